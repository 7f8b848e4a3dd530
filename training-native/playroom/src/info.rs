//! What an owner writes about a thing: facts nobody can see, the questions on them and the answers.

use crate::rng::Rng;

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// What it loves.
    Loves,
    /// The city it was bought in.
    Bought,
    /// Whom it belongs to.
    Owner,
    /// Its age in years.
    Age,
    /// Where it lives.
    Home,
}

/// One invisible fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub relation: Relation,
    /// "jam", "Lisbon", "Ana", "three", "the attic".
    pub value: &'static str,
}

const RELATIONS: &[Relation] = &[
    Relation::Loves,
    Relation::Bought,
    Relation::Owner,
    Relation::Age,
    Relation::Home,
];

const LOVES: &[&str] = &[
    "jam",
    "honey",
    "music",
    "rain",
    "cheese",
    "apples",
    "old books",
    "puddles",
    "naps",
    "stories",
    "soup",
    "carrots",
    "dancing",
    "trains",
    "kites",
    "picnics",
    "chocolate",
    "snowflakes",
    "jazz",
    "pancakes",
    "gardens",
    "puzzles",
    "seashells",
    "thunder",
    "popcorn",
    "swings",
    "bubbles",
    "boats",
    "cherries",
    "hide and seek",
    "balloons",
    "fireworks",
    "lemonade",
    "drums",
    "pillows",
    "long walks",
    "warm milk",
    "sunsets",
    "riddles",
    "marbles",
];
const CITIES: &[&str] = &[
    "Lisbon", "Paris", "Rome", "Tokyo", "Oslo", "Cairo", "Lima", "Delhi", "Seoul", "Vienna",
    "Prague", "Athens", "Dublin", "Madrid", "Berlin", "Boston", "Quito", "Havana", "Nairobi",
    "Sydney", "Kyoto", "Zagreb", "Warsaw", "Bergen", "Porto", "Geneva", "Naples", "Toronto",
    "Chicago", "Bogota", "Hanoi", "Manila", "Tunis", "Dakar", "Riga", "Tallinn", "Krakow",
    "Seville", "Lyon", "Ghent",
];
const OWNERS: &[&str] = &[
    "Ana", "Ben", "Clara", "David", "Elena", "Farid", "Grace", "Hiro", "Ida", "Jonas", "Kim",
    "Liam", "Maria", "Noor", "Omar", "Paula", "Quinn", "Rosa", "Samir", "Tara", "Umar", "Vera",
    "Wei", "Yuki", "Zoe", "Alice", "Bruno", "Chen", "Dana", "Emil", "Fatima", "George", "Hannah",
    "Ivan", "Julia", "Kofi", "Laura", "Mina", "Nadia", "Oscar",
];
const AGES: &[&str] = &[
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
];
const HOMES: &[&str] = &[
    "the attic",
    "the hall",
    "the cellar",
    "the garage",
    "a blue box",
    "a treehouse",
    "a suitcase",
    "the bathroom",
    "the workshop",
    "a shop window",
    "the classroom",
    "a basket",
    "the balcony",
    "a drawer",
    "the barn",
    "a lighthouse",
    "a tent",
    "the playroom",
    "a cupboard",
    "the studio",
    "a wooden chest",
    "the office",
    "a caravan",
    "the greenhouse",
    "a castle",
    "a houseboat",
    "the museum",
    "the bakery",
    "a cardboard house",
    "the top shelf",
];

impl Fact {
    fn random(rng: &mut Rng, relation: Relation) -> Self {
        let pool = match relation {
            Relation::Loves => LOVES,
            Relation::Bought => CITIES,
            Relation::Owner => OWNERS,
            Relation::Age => AGES,
            Relation::Home => HOMES,
        };
        Self {
            relation,
            value: rng.pick(pool),
        }
    }

    /// The sentence in the info line.
    pub fn sentence(&self) -> String {
        let value = self.value;
        match self.relation {
            Relation::Loves => format!("Loves {value}."),
            Relation::Bought => format!("Was bought in {value}."),
            Relation::Owner => format!("Belongs to {value}."),
            Relation::Age => format!("Is {value} years old."),
            Relation::Home => format!("Lives in {value}."),
        }
    }

    /// The question on it about a name.
    pub fn question(&self, name: &str) -> String {
        match self.relation {
            Relation::Loves => format!("What does <{name}> love?"),
            Relation::Bought => format!("Where was <{name}> bought?"),
            Relation::Owner => format!("Who owns <{name}>?"),
            Relation::Age => format!("How old is <{name}>?"),
            Relation::Home => format!("Where does <{name}> live?"),
        }
    }

    /// The short answer.
    pub fn answer(&self) -> String {
        let value = self.value;
        match self.relation {
            Relation::Loves | Relation::Owner => crate::text::sentence(value),
            Relation::Bought | Relation::Home => format!("In {value}."),
            Relation::Age => crate::text::sentence(&format!("{value} years old")),
        }
    }
}

/// One to three facts on different relations; none at all in a fifth of the draws.
pub(crate) fn facts(rng: &mut Rng) -> Vec<Fact> {
    if rng.chance(0.2) {
        Vec::new()
    } else {
        some(rng)
    }
}

/// One to three facts on different relations.
pub(crate) fn some(rng: &mut Rng) -> Vec<Fact> {
    let mut relations = RELATIONS.to_vec();
    rng.shuffle(&mut relations);
    relations.truncate(rng.between(1, 3));
    relations
        .into_iter()
        .map(|relation| Fact::random(rng, relation))
        .collect()
}

/// The info line: a hint at the look when there is one, then the facts; at most 120 characters.
pub(crate) fn line(hint: Option<String>, facts: &[Fact]) -> String {
    let sentences: Vec<String> = hint
        .into_iter()
        .chain(facts.iter().map(Fact::sentence))
        .collect();
    sentences.join(" ")
}
