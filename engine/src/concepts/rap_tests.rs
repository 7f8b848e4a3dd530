//! Databases of RAP and RePIC as they are in circulation: layouts, stray lines, odd texts.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::concepts::{Library, OnCollision};

const GOLDEN: &str = r#"{
  "concept_dict": {
    "<anya>": {"name": "Anya", "image": "./db/Anya.jpg", "info": "Anya is a girl\nwith pink hair.", "category": "person"},
    "<mr.krab>": {"name": "Mr.Krabs", "image": "./db/krab.png", "info": "", "category": "plush toy"}
  },
  "path_to_concept": {"./db/Anya.jpg": "<anya>", "db/krab.png": "<mr.krab>", "./db/krab2.png": "<mr.krab>"}
}"#;

/// Photos whose bytes are their paths.
fn photos(paths: &[&str]) -> Vec<GivenPhoto> {
    let photo = |path: &&str| ((*path).to_owned(), Arc::from(path.as_bytes()));
    paths.iter().map(photo).collect()
}

fn contents(json: &str, given: &[&str]) -> Contents {
    let database = Database::parse(json.as_bytes()).unwrap();
    database.concepts(&photos(given), None, 9).unwrap()
}

/// Each thing with its photos.
fn shelf(contents: &Contents) -> Vec<(String, Vec<String>)> {
    let photo = |r: &Reference| String::from_utf8(r.photo.to_vec()).unwrap();
    let thing = |c: &Concept| (c.name.clone(), c.references.iter().map(photo).collect());
    contents.concepts.iter().map(thing).collect()
}

fn things(list: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
    list.iter()
        .map(|(name, photos)| ((*name).to_owned(), owned(photos)))
        .collect()
}

fn problems(contents: &Contents) -> String {
    let all: Vec<String> = contents.problems.iter().map(Error::to_string).collect();
    all.join("\n")
}

#[test]
fn a_database_becomes_concepts() {
    let given = ["db/krab2.png", "db/Anya.jpg", "db/krab.png"];
    let all = contents(GOLDEN, &given);
    assert_eq!(all.problems, []);
    let anya = Concept {
        id: String::new(),
        name: "Anya".into(),
        aliases: vec!["<anya>".into()],
        category: "person".into(),
        info: "Anya is a girl with pink hair.".into(),
        references: vec![Reference::new(*b"db/Anya.jpg")],
        created_ms: 9,
        updated_ms: 9,
    };
    assert_eq!(all.concepts[0], anya);
    // `./db/krab.png` and `db/krab.png` are one photo.
    let want = things(&[
        ("Anya", &["db/Anya.jpg"]),
        ("Mr.Krabs", &["db/krab.png", "db/krab2.png"]),
    ]);
    assert_eq!(shelf(&all), want);
    let mut library = Library::new("e");
    let report = library.import(all.concepts, OnCollision::Error).unwrap();
    assert_eq!(report.added, ["anya", "mr-krabs"]);
    let krab = library.find_by_name_or_alias("Mr.Krab").unwrap();
    assert_eq!(krab.name, "Mr.Krabs");
    assert_eq!(library.get("anya").unwrap().aliases, ["<anya>"]);
}

#[test]
fn only_the_photos_that_are_named_are_needed() {
    let database = Database::parse(GOLDEN.as_bytes()).unwrap();
    let given = [
        "x/image.faiss",
        "x/db/krab.png",
        "x/db/other.png",
        "x/db/Anya.jpg",
    ];
    assert_eq!(database.needs(&given, Some("x/database.json")), [1, 3]);
}

#[test]
fn equal_bare_names_are_two_photos_and_a_missing_one_is_reported() {
    let json = r#"{"concept_dict": {
        "<ada>": {"name": "Ada", "image": "./train/a/0.png"},
        "<bob>": {"name": "Bob", "image": "./train/b/0.png"}}}"#;
    let both = contents(json, &["train/b/0.png", "train/a/0.png"]);
    let want = things(&[("Ada", &["train/a/0.png"]), ("Bob", &["train/b/0.png"])]);
    assert_eq!(shelf(&both), want);
    let one = contents(json, &["train/a/0.png"]);
    assert_eq!(shelf(&one), want[..1]);
    let told = problems(&one);
    assert!(
        told.contains(r#"concept_dict["<bob>"]: the photo `./train/b/0.png` was not given"#),
        "{told}"
    );
    // Nothing at all is an error, not an empty shelf.
    let none = Database::parse(json.as_bytes())
        .unwrap()
        .concepts(&photos(&["0.png"]), None, 0);
    let told = none.unwrap_err().to_string();
    assert!(told.contains("several things"), "{told}");
}

#[test]
fn stray_lines_are_reported_and_the_rest_is_taken() {
    let json = r#"{"concept_dict": {"<a>": {"name": "Ada", "image": "a.png"}, "<b>": 3,
        "<c>": {"name": ["Cy"], "image": "c.png"}, "<d>": {"name": "Di", "image": ["d.png", 7, ""]},
        "<e>": {"name": "Eve", "image": "old.png"}, "<e>": {"name": "Eve", "image": "e.png"}},
      "path_to_concept": {"hinton.jpg": "<C", "x.png": null, "d.png": "<d>", "./a.png": "<d>", " ": "<a>"}}"#;
    let all = contents(
        json,
        &[
            "a.png",
            "c.png",
            "d.png",
            "e.png",
            "old.png",
            "hinton.jpg",
            "x.png",
        ],
    );
    let want = things(&[("Ada", &["a.png"]), ("Di", &["d.png"]), ("Eve", &["e.png"])]);
    assert_eq!(shelf(&all), want);
    let told = problems(&all);
    for line in [
        r#"path_to_concept["hinton.jpg"]: "<C" is no key"#,
        r#"path_to_concept["x.png"]: null is no key"#,
        r#"path_to_concept["./a.png"]: is the photo of "<a>" and of "<d>""#,
        r#"path_to_concept[" "]: is no path"#,
        r#"concept_dict["<b>"]: must be an object"#,
        r#"concept_dict["<c>"].name: must be a text"#,
        r#"concept_dict["<d>"].image: 7 is no path"#,
        r#"concept_dict["<e>"]: stands in the file twice"#,
    ] {
        assert!(told.contains(line), "{line} in\n{told}");
    }
    assert_eq!(all.problems.len(), 9, "{told}");
    let list = contents(
        r#"{"concept_dict": {"<a>": {}}, "path_to_concept": []}"#,
        &[],
    );
    assert_eq!(shelf(&list), things(&[("a", &[])]));
    assert!(problems(&list).contains("path_to_concept: must be an object"));
}

#[test]
fn texts_of_any_form_are_taken_or_named() {
    let json = r#"{"concept_dict": {
        "<a>": {"name": " ", "info": ["She is a girl.", "pink hair", "red\nhat"], "category": ["cat", "toy"]},
        "<b>": {"name": 7, "info": {"colour": "red", "likes": ["jam", "tea"], "x": null}, "category": null},
        "<long>": {"name": "Long", "info": "LONG"}, "": {"name": "Keyless"}}}"#;
    let all = contents(&json.replace("LONG", &"x".repeat(4001)), &[]);
    let texts: Vec<[&str; 3]> = all
        .concepts
        .iter()
        .map(|c| [c.name.as_str(), &c.category, &c.info])
        .collect();
    let want = [
        ["a", "cat, toy", "She is a girl. pink hair, red hat"],
        ["7", "", "colour: red, likes: jam, tea"],
        ["Keyless", "", ""],
    ];
    assert_eq!(texts, want);
    assert!(all.concepts[2].aliases.is_empty());
    let told = problems(&all);
    assert!(
        told.contains(r#"concept_dict["<long>"]: `Long`: the info has 4001 characters"#),
        "{told}"
    );
}

#[test]
fn equal_names_stay_two_things() {
    let json = r#"{"concept_dict": {"<a>": {"name": "Mo", "image": "a.png"}, "<b>": {"name": "Mo", "image": "b.png"}}}"#;
    let all = contents(json, &["b.png", "a.png"]);
    let mut library = Library::new("e");
    let report = library.import(all.concepts, OnCollision::Rename).unwrap();
    assert_eq!(report.renamed, [("Mo".to_owned(), "Mo (2)".to_owned())]);
    let photo = |id: &str| library.get(id).unwrap().references[0].photo.to_vec();
    assert_eq!(
        (photo("mo"), photo("mo-2")),
        (b"a.png".to_vec(), b"b.png".to_vec())
    );
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_place() {
    let message = |json: &str| Database::parse(json.as_bytes()).unwrap_err().to_string();
    assert!(message("{}").contains("concept_dict"));
    assert!(message(r#"{"concept_dict": []}"#).contains("things by their keys"));
    assert!(message("{").contains("line 1"));
    let empty = contents(r#"{"concept_dict": {}, "path_to_concept": {}}"#, &["a.png"]);
    assert_eq!(empty, Contents::default());
}

#[test]
fn endless_lists_and_endless_encodings_are_read_in_no_time() {
    let images: Vec<String> = (0..20_000).map(|i| format!("{i}.jpg")).collect();
    let json = serde_json::json!({ "concept_dict": { "<bo>": { "name": "Bo", "image": images } } });
    let found = contents(&json.to_string(), &["0.jpg", "1.jpg"]);
    assert_eq!(shelf(&found), things(&[("Bo", &["0.jpg", "1.jpg"])]));
    assert!(
        problems(&found).contains("20000 photos"),
        "{}",
        problems(&found)
    );
    // Each round takes a layer from each, and leaves one more slash.
    let path: String = (0..2_000)
        .map(|layers| format!("%{}2f", "25".repeat(layers)))
        .collect();
    assert!(!photo_paths::same(&path, "b.jpg"));
    assert!(photo_paths::same("a%2Fb.jpg", "a/b.jpg"));
}
