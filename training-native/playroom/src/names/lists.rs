//! Raw material for names; plain lists, no logic.

pub(super) const GIVEN: &[&str] = &[
    "Ana", "Anya", "Ava", "Bella", "Ben", "Björn", "Bruno", "Carla", "Céline", "Chloé", "Clara",
    "Diego", "Dora", "Edgar", "Elif", "Elsa", "Émile", "Emma", "Enzo", "Eva", "Felix", "Finn",
    "Fleur", "Frida", "Gino", "Greta", "Hana", "Hugo", "Ines", "Iris", "Ivo", "Jack", "Jana",
    "João", "José", "Jules", "Kai", "Karl", "Kaya", "Lars", "Lea", "Leo", "Lena", "Lola", "Lotte",
    "Luca", "Lucía", "Luna", "Mads", "Malu", "Marta", "Mateo", "Max", "Maya", "Mía", "Mila",
    "Milo", "Mina", "Nala", "Nele", "Nico", "Nils", "Nina", "Noé", "Nora", "Olaf", "Olga", "Oscar",
    "Otto", "Pablo", "Paul", "Pepe", "Pia", "Rafa", "René", "Rita", "Romy", "Rosa", "Rudi", "Sam",
    "Sara", "Søren", "Sofía", "Sven", "Tao", "Tess", "Theo", "Tilda", "Timo", "Tom", "Toño", "Uma",
    "Ursa", "Vera", "Victor", "Viggo", "Wanda", "Willi", "Xena", "Yara", "Yusuf", "Zara", "Zélie",
    "Zoë",
];

pub(super) const SYLLABLES: &[&str] = &[
    "ba", "be", "bi", "bo", "bu", "by", "ca", "chi", "co", "cho", "da", "de", "di", "do", "du",
    "fa", "fi", "fo", "ga", "gi", "go", "gu", "ha", "hu", "ja", "jo", "ju", "ka", "ki", "ko", "ku",
    "la", "le", "li", "lo", "lu", "ma", "mi", "mo", "mu", "na", "ne", "ni", "no", "nu", "pa", "pe",
    "pi", "po", "pu", "ra", "ri", "ro", "ru", "sa", "sha", "si", "so", "su", "ta", "te", "ti",
    "to", "tu", "va", "vi", "vo", "wa", "wi", "wo", "ya", "yo", "yu", "za", "zi", "zo", "zu",
    "bel", "dor", "fin", "lin", "mar", "nel", "per", "ron", "sol", "tan", "ver", "win", "zel",
    "né", "ñu", "lü", "bö", "rå", "çe",
];

pub(super) const TITLES: &[&str] = &[
    "Captain", "Mr.", "Mrs.", "Miss", "Dr.", "Sir", "Lady", "King", "Queen", "Baron", "Prof.",
    "Aunt", "Uncle", "Little", "Big", "Old", "Señor", "Madame", "Herr", "Don", "Agent", "Major",
];

pub(super) const ADJECTIVES: &[&str] = &[
    "happy", "lazy", "tiny", "fuzzy", "lucky", "sunny", "silly", "brave", "quiet", "mighty",
    "sleepy", "swift", "rusty", "misty", "jolly", "witty",
];

pub(super) const FOODS: &[&str] = &[
    "biscuit", "mochi", "waffle", "pepper", "noodle", "pickle", "muffin", "cookie", "olive",
    "ginger", "toffee", "pudding", "peanut", "bagel", "basil", "bean", "berry", "button", "cacao",
    "candy", "caramel", "cherry", "chip", "cinder", "clover", "cocoa", "coral", "crumb", "daisy",
    "domino", "dumpling", "echo", "ember", "fig", "fudge", "hazel", "honey", "jam", "juno", "kiwi",
    "latte", "lemon", "maple", "marble", "mango", "mint", "mocha", "nutmeg", "oreo", "papaya",
    "patches", "peach", "pebble", "pesto", "pixel", "plum", "poppy", "pretzel", "quill", "radish",
    "raisin", "ravioli", "saffron", "salsa", "shadow", "socks", "sorbet", "sparky", "sprout",
    "sushi", "taco", "tango", "thimble", "toast", "tofu", "truffle", "tulip", "turnip", "twix",
    "velvet", "vanilla", "whisk", "yuzu", "ziggy",
];

pub(super) const CYRILLIC: &[&str] = &[
    "ба", "бо", "ва", "ви", "га", "да", "ди", "жа", "зо", "и", "ка", "ки", "ко", "ла", "ли", "ло",
    "лю", "ма", "ми", "му", "на", "ни", "но", "ня", "па", "пу", "ра", "ро", "ру", "са", "си", "со",
    "та", "ти", "то", "ту", "фе", "ша", "ша", "шу", "ю", "я", "мур", "сик", "рик", "лан", "дор",
    "вер",
];

pub(super) const GREEK: &[&str] = &[
    "α", "βα", "γι", "δη", "δω", "ζω", "θε", "κα", "κι", "κο", "λα", "λε", "λι", "μα", "μι", "μο",
    "να", "νε", "νι", "πα", "πε", "πο", "ρα", "ρη", "σα", "σο", "τα", "τι", "φα", "φι", "χα",
    "ρις", "νος", "λος",
];

pub(super) const HANZI: &[&str] = &[
    "豆", "米", "花", "果", "月", "星", "雪", "糖", "饼", "球", "毛", "乐", "福", "宝", "虎", "龙",
    "云", "雨", "梅", "兰", "竹", "桃", "橙", "瓜", "茶", "甜", "圆", "团", "灰", "黑", "白", "金",
    "银", "铃", "叶", "树", "石", "贝", "鱼", "鸟", "冬", "夏", "春", "秋", "安", "可", "美", "妞",
];

pub(super) const KANA: &[&str] = &[
    "あ", "い", "う", "え", "お", "か", "き", "く", "け", "こ", "さ", "し", "す", "そ", "た", "ち",
    "つ", "と", "な", "に", "ね", "の", "は", "ひ", "ふ", "ほ", "ま", "み", "む", "め", "も", "や",
    "ゆ", "よ", "ら", "り", "る", "れ", "ろ", "わ", "ポチ", "タマ", "ミケ", "ココ", "モモ", "クロ",
    "シロ", "ハナ", "ソラ", "レオ",
];

pub(super) const HANGUL: &[&str] = &[
    "가", "나", "다", "라", "마", "바", "사", "아", "자", "초", "코", "토", "포", "호", "구", "두",
    "루", "무", "보", "미", "비", "리", "지", "하", "별", "달", "콩", "봄", "빛", "솜", "밤", "몽",
    "랑", "이",
];

pub(super) const ARABIC: &[&str] = &[
    "با", "بي", "دا", "دو", "را", "ري", "زا", "سا", "سو", "شا", "فا", "فو", "كا", "كي", "لا", "لو",
    "لي", "ما", "مو", "مي", "نا", "نو", "ني", "ها", "يا", "سمر", "قمر", "نور", "ريم", "جود",
];

pub(super) const EMOJI: &[&str] = &["🌟", "🍀", "🐾", "🌸", "🔥", "🍓", "🌙", "🎈", "⚡", "🍪"];
