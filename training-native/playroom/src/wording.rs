//! How an identity reads: long, short, and attribute by attribute.

use crate::identity::{Accessory, Identity, Marking, Pattern};

impl Identity {
    /// All of it in words, without an article: "red striped cat with a blue hat and a heart".
    ///
    /// The second colour is said once, on the first of accessory, marking and pattern that is there:
    /// "red cat with a blue star", "red and blue checked cat". Plain and absent attributes are left out.
    pub fn describe(&self) -> String {
        let second = self.second.word();
        let kind = self.category.word();
        let (accessory, marking) = (self.accessory, self.marking);
        if accessory == Accessory::None && marking == Marking::None {
            let body = self.body.word();
            return format!("{body} and {second} {} {kind}", self.pattern.word());
        }
        let mut text = self.brief();
        text.push_str(" with ");
        if accessory != Accessory::None {
            text.push_str(&self.wears());
            if marking != Marking::None {
                text.push_str(&format!(" and a {}", marking.word()));
            }
        } else {
            text.push_str(&article(&format!("{second} {}", marking.word())));
        }
        text
    }

    /// The short form, without an article: "red striped cat".
    pub fn brief(&self) -> String {
        let (body, kind) = (self.body.word(), self.category.word());
        match self.pattern {
            Pattern::Plain => format!("{body} {kind}"),
            pattern => format!("{body} {} {kind}", pattern.word()),
        }
    }

    /// What it wears with colour and article: "a blue hat", "blue glasses", "nothing".
    pub fn wears(&self) -> String {
        let second = self.second.word();
        match self.accessory {
            Accessory::None => "nothing".to_owned(),
            // Glasses are plural and take no article.
            Accessory::Glasses => format!("{second} glasses"),
            worn => article(&format!("{second} {}", worn.word())),
        }
    }

    /// The mark with colour and article: "an orange heart", "none".
    pub fn marked(&self) -> String {
        match self.marking {
            Marking::None => "none".to_owned(),
            marking => article(&format!("{} {}", self.second.word(), marking.word())),
        }
    }
}

/// Puts "a" or "an" before a phrase of our vocabulary.
pub(crate) fn article(phrase: &str) -> String {
    // "orange" is the only word of ours that starts with a vowel sound.
    let vowel = phrase.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {phrase}", if vowel { "an" } else { "a" })
}
