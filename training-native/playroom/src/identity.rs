//! What a thing *is*: the permanent attributes, how they read in words, and near misses of them.

use crate::rng::Rng;
use crate::split::Split;

/// Declares an attribute: a closed list whose members each have one word.
macro_rules! attribute {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[doc = $word] $variant),+ }

        impl $name {
            /// Every member, in a fixed order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in captions and answers.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}
pub(crate) use attribute;

attribute! {
    /// What kind of thing it is; each has its own silhouette.
    Category {
        Cat = "cat", Dog = "dog", Rabbit = "rabbit", Bear = "bear", Bird = "bird", Fish = "fish",
        Robot = "robot", Doll = "doll", Dragon = "dragon", Car = "car", Mug = "mug",
        Teapot = "teapot", Ball = "ball", Lamp = "lamp", Plant = "plant", Backpack = "backpack",
    }
}
attribute! {
    /// A named colour, of the body or of everything that is not the body.
    Colour {
        Red = "red", Orange = "orange", Yellow = "yellow", Green = "green", Cyan = "cyan",
        Blue = "blue", Purple = "purple", Pink = "pink", Brown = "brown", Black = "black",
        White = "white", Grey = "grey",
    }
}
attribute! {
    /// How the two colours share the body.
    Pattern {
        Plain = "plain", Striped = "striped", Spotted = "spotted", Checked = "checked",
        TwoTone = "two-tone", Zigzag = "zigzag",
    }
}
attribute! {
    /// What it wears, in the second colour.
    Accessory {
        None = "nothing", Hat = "hat", Scarf = "scarf", Bow = "bow", Glasses = "glasses",
        Crown = "crown",
    }
}
attribute! {
    /// A mark on its chest, in the second colour with a cream border.
    Marking { None = "none", Heart = "heart", Star = "star", Patch = "patch" }
}

impl Colour {
    /// The paint, sRGB.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [224, 42, 46],
            Self::Orange => [255, 138, 20],
            Self::Yellow => [255, 219, 44],
            Self::Green => [44, 164, 66],
            Self::Cyan => [64, 214, 218],
            Self::Blue => [40, 92, 224],
            Self::Purple => [136, 58, 196],
            Self::Pink => [255, 146, 196],
            Self::Brown => [134, 82, 44],
            Self::Black => [50, 50, 58],
            Self::White => [246, 246, 244],
            Self::Grey => [146, 150, 158],
        }
    }

    /// Whether a pattern of `self` and `other` stays readable at the size of a thumbnail.
    pub fn contrasts(self, other: Self) -> bool {
        use Colour::{
            Black, Blue, Brown, Cyan, Green, Grey, Orange, Pink, Purple, Red, White, Yellow,
        };
        const CLOSE: [(Colour, Colour); 14] = [
            (Red, Orange),
            (Orange, Yellow),
            (Orange, Brown),
            (Red, Brown),
            (Blue, Purple),
            (Black, Brown),
            (White, Grey),
            (White, Yellow),
            (White, Cyan),
            (White, Pink),
            (Grey, Cyan),
            (Purple, Brown),
            (Black, Purple),
            (Green, Grey),
        ];
        self != other && !CLOSE.contains(&(self, other)) && !CLOSE.contains(&(other, self))
    }
}

/// The permanent attributes of a thing: two things are the same exactly when these are equal.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Identity {
    /// Kind of thing.
    pub category: Category,
    /// Colour of the body.
    pub body: Colour,
    /// Colour of pattern, accessory and marking; always contrasts with the body.
    pub second: Colour,
    /// How the second colour lies on the body.
    pub pattern: Pattern,
    /// What it wears.
    pub accessory: Accessory,
    /// The mark on its chest.
    pub marking: Marking,
}

impl Identity {
    /// How many attributes an identity has.
    pub const ATTRIBUTES: usize = 6;

    /// Any identity of a split.
    pub fn random(rng: &mut Rng, split: Split) -> Self {
        loop {
            let identity = Self {
                category: rng.pick(Category::ALL),
                body: rng.pick(Colour::ALL),
                second: rng.pick(Colour::ALL),
                pattern: rng.pick(Pattern::ALL),
                accessory: rng.pick(Accessory::ALL),
                // Half of the things carry no mark: a mark is the smallest feature to learn.
                marking: if rng.chance(0.5) {
                    Marking::None
                } else {
                    rng.pick(Marking::ALL)
                },
            };
            if identity.valid() && identity.split() == split {
                return identity;
            }
        }
    }

    /// Whether the two colours contrast and the second one shows somewhere.
    pub fn valid(&self) -> bool {
        let shows = self.pattern != Pattern::Plain
            || self.accessory != Accessory::None
            || self.marking != Marking::None;
        shows && self.body.contrasts(self.second)
    }

    /// A number of its own for every attribute tuple.
    pub fn code(&self) -> u32 {
        let digits = [
            (self.category as u32, Category::ALL.len()),
            (self.body as u32, Colour::ALL.len()),
            (self.second as u32, Colour::ALL.len()),
            (self.pattern as u32, Pattern::ALL.len()),
            (self.accessory as u32, Accessory::ALL.len()),
            (self.marking as u32, Marking::ALL.len()),
        ];
        digits
            .iter()
            .fold(0, |code, &(digit, base)| code * base as u32 + digit)
    }

    /// Every valid identity, in a fixed order.
    pub fn every() -> impl Iterator<Item = Self> {
        fn each<T: Copy>(list: &'static [T]) -> impl Iterator<Item = T> + Clone {
            list.iter().copied()
        }
        each(Category::ALL)
            .flat_map(|category| each(Colour::ALL).map(move |body| (category, body)))
            .flat_map(|start| each(Colour::ALL).map(move |second| (start, second)))
            .flat_map(|start| each(Pattern::ALL).map(move |pattern| (start, pattern)))
            .flat_map(|start| each(Accessory::ALL).map(move |accessory| (start, accessory)))
            .flat_map(|start| each(Marking::ALL).map(move |marking| (start, marking)))
            .map(
                |(((((category, body), second), pattern), accessory), marking)| Self {
                    category,
                    body,
                    second,
                    pattern,
                    accessory,
                    marking,
                },
            )
            .filter(Self::valid)
    }

    /// Which split it belongs to.
    pub fn split(&self) -> Split {
        Split::of_identity(self)
    }

    /// An identity of the same split that differs in exactly one attribute, each attribute as likely as
    /// the next; `None` for the few that have no such neighbour in a small split.
    pub fn lookalike(&self, rng: &mut Rng) -> Option<Self> {
        let mut attributes = [0, 1, 2, 3, 4, 5];
        rng.shuffle(&mut attributes);
        attributes.into_iter().find_map(|attribute| {
            let mut near = self.varied(attribute);
            near.retain(|other| other != self && other.valid() && other.split() == self.split());
            if near.is_empty() {
                None
            } else {
                Some(rng.pick(&near))
            }
        })
    }

    /// This identity with every value of one attribute.
    fn varied(&self, attribute: usize) -> Vec<Self> {
        fn each<T: Copy>(list: &[T], with: impl Fn(T) -> Identity) -> Vec<Identity> {
            list.iter().map(|&value| with(value)).collect()
        }
        match attribute {
            0 => each(Category::ALL, |category| Self { category, ..*self }),
            1 => each(Colour::ALL, |body| Self { body, ..*self }),
            2 => each(Colour::ALL, |second| Self { second, ..*self }),
            3 => each(Pattern::ALL, |pattern| Self { pattern, ..*self }),
            4 => each(Accessory::ALL, |accessory| Self { accessory, ..*self }),
            _ => each(Marking::ALL, |marking| Self { marking, ..*self }),
        }
    }

    /// In how many attributes two identities differ, 0 to [`Identity::ATTRIBUTES`].
    pub fn distance(&self, other: &Self) -> usize {
        [
            self.category != other.category,
            self.body != other.body,
            self.second != other.second,
            self.pattern != other.pattern,
            self.accessory != other.accessory,
            self.marking != other.marking,
        ]
        .into_iter()
        .filter(|&differs| differs)
        .count()
    }
}
