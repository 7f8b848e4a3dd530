//! Paths of photos: which file is meant, and when none is taken.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// What each wanted path gets, in letters: `+` and the file, or `-` and the reason.
fn run(wanted: &[(&str, usize)], given: &[&str], file: Option<&str>) -> Vec<String> {
    let wanted: Vec<Wanted<'_>> = wanted
        .iter()
        .map(|&(path, thing)| Wanted { path, thing })
        .collect();
    find(&wanted, given, file)
        .into_iter()
        .map(|found| match found {
            Ok(at) => format!("+{}", given[at]),
            Err(why) if why.contains("not given") => "-missing".to_owned(),
            Err(why) if why.contains("any of") => "-several".to_owned(),
            Err(why) if why.contains("several things") => "-shared".to_owned(),
            Err(why) => why,
        })
        .collect()
}

/// One path of one thing.
fn one(path: &str, given: &[&str]) -> String {
    run(&[(path, 0)], given, None).remove(0)
}

const ADA_BOB: [(&str, usize); 2] = [("./train/a/0.png", 0), ("./train/b/0.png", 1)];

#[test]
fn equal_bare_names_are_told_apart_by_their_folders() {
    let both = ["train/a/0.png", "train/b/0.png"];
    assert_eq!(
        run(&ADA_BOB, &both, None),
        ["+train/a/0.png", "+train/b/0.png"]
    );
    let dropped = ["my things/train/b/0.png", "my things/train/a/0.png"];
    assert_eq!(
        run(&ADA_BOB, &dropped, None),
        ["+my things/train/a/0.png", "+my things/train/b/0.png"]
    );
    assert_eq!(
        run(&ADA_BOB, &["b/0.png", "a/0.png"], None),
        ["+a/0.png", "+b/0.png"]
    );
}

#[test]
fn a_missing_photo_never_becomes_that_of_another() {
    assert_eq!(
        run(&ADA_BOB, &["train/a/0.png"], None),
        ["+train/a/0.png", "-missing"]
    );
    for given in [
        "train/a/0.png",
        "a/0.png",
        "x/train/a/0.png",
        "/train/a/0.png",
    ] {
        assert_eq!(run(&ADA_BOB[1..], &[given], None), ["-missing"], "{given}");
        assert_eq!(
            run(&ADA_BOB[1..], &[given], Some("train/database.json")),
            ["-missing"],
            "{given}"
        );
    }
    // One bare name for two things is nobody's.
    assert_eq!(run(&ADA_BOB, &["0.png"], None), ["-shared", "-shared"]);
    assert_eq!(
        run(&ADA_BOB, &["0.png", "a/0.png"], None),
        ["+a/0.png", "-shared"]
    );
    assert_eq!(
        run(&[("0.png", 0), ("a/0.png", 1)], &["a/0.png"], None),
        ["-shared", "+a/0.png"]
    );
}

#[test]
fn either_slash_dots_spaces_percents_and_case_do_not_matter() {
    for (wanted, given) in [
        ("./db/Anya.jpg", "db/Anya.jpg"),
        ("db\\Anya.jpg", "db/Anya.jpg"),
        ("./db//Anya.jpg", "./db/Anya.jpg"),
        ("db/Anya.jpg", "x\\db\\Anya.jpg"),
        ("C:\\Users\\me\\db\\Anya.jpg", "db/Anya.jpg"),
        ("file:///home/me/db/Anya.jpg", "db/Anya.jpg"),
        ("/home/me/db/Anya.jpg", "Anya.jpg"),
        ("../db/Anya.jpg", "db/Anya.jpg"),
        ("a/../db/Anya.jpg", "db/Anya.jpg"),
        ("db/my%20cat.jpg", "db/my cat.jpg"),
        ("db/my cat.jpg", "db/my%20cat.jpg"),
        ("db%2Fmy%20cat.jpg", "db/my cat.jpg"),
        ("db/100%.jpg", "db/100%.jpg"),
        ("db/Anya.jpg ", "db/Anya.jpg"),
        ("DB/ANYA.JPG", "db/anya.jpg"),
        ("db/\u{e9}.jpg", "db/e\u{301}.jpg"),
        (
            "example_database/bo.png",
            "any name/example_database/bo.png",
        ),
        ("example_database/bo.png", "bo.png"),
        ("./bo.png", "any name/bo.png"),
    ] {
        assert_eq!(
            one(wanted, &[given, "zz.jpg"]),
            format!("+{given}"),
            "{wanted}"
        );
    }
    assert!(same("./x/a.png", "x\\a.png") && !same("x/a.png", "y/a.png"));
}

#[test]
fn the_longest_end_wins_and_equal_ends_are_refused() {
    let given = ["0.png", "a/0.png", "train/a/0.png", "b/0.png"];
    assert_eq!(one("./train/a/0.png", &given), "+train/a/0.png");
    assert_eq!(one("train/a/0.png", &given[..2]), "+a/0.png");
    assert_eq!(one("0.png", &["x/0.png", "y/0.png"]), "-several");
    assert_eq!(one("a/0.png", &["x/a/0.png", "y/a/0.png"]), "-several");
    assert_eq!(one("a/0.png", &["a/0.png", "old/a/0.png"]), "+a/0.png");
    assert_eq!(one("a.png", &["A.png", "a.png"]), "+a.png");
    assert_eq!(one("a.PNG", &["A.png", "a.png"]), "-several");
    assert_eq!(
        run(&[("A.png", 0), ("a.png", 1)], &["a.png"], None),
        ["-shared", "+a.png"]
    );
}

#[test]
fn a_known_place_of_the_file_decides() {
    let placed =
        |path: &str, given: &[&str], file: &str| run(&[(path, 0)], given, Some(file)).remove(0);
    // Beside the file, not in a copy further down.
    let copies = ["db/train/a/0.png", "db/old/train/a/0.png"];
    assert_eq!(
        placed("./train/a/0.png", &copies, "db/database.json"),
        "+db/train/a/0.png"
    );
    assert_eq!(one("./train/a/0.png", &copies), "-several");
    // RAP counts from the folder above; the folder may have been renamed.
    let rap = "example_database/bo.png";
    assert_eq!(
        placed(
            rap,
            &["example_database/bo.png"],
            "example_database/database.json"
        ),
        "+example_database/bo.png"
    );
    assert_eq!(
        placed(rap, &["pets/bo.png"], "pets/database.json"),
        "+pets/bo.png"
    );
    assert_eq!(
        placed("C:\\x\\db\\a\\0.png", &["up/a/0.png"], "up/database.json"),
        "+up/a/0.png"
    );
    assert_eq!(
        placed(
            "../photos/a.png",
            &["x/photos/a.png", "y/photos/a.png"],
            "x/db/database.json"
        ),
        "+x/photos/a.png"
    );
    assert_eq!(
        placed("/home/ada/photos/a.png", &["up/a.png"], "up/database.json"),
        "-missing"
    );
}

#[test]
fn two_photos_of_one_thing_or_one_photo_of_two_are_as_written() {
    // The same path for two things is what the file says.
    let both = [("./two.png", 0), ("two.png", 1)];
    assert_eq!(run(&both, &["two.png"], None), ["+two.png", "+two.png"]);
    // Two spellings of one thing's photo.
    let spellings = [("/home/me/db/a.png", 0), ("./db/a.png", 0)];
    assert_eq!(
        run(&spellings, &["db/a.png"], None),
        ["+db/a.png", "+db/a.png"]
    );
}

#[test]
fn ten_thousand_equal_names_are_no_trouble() {
    let paths: Vec<String> = (0..10_000).map(|i| format!("./train/{i}/0.png")).collect();
    let wanted: Vec<Wanted<'_>> = (0..)
        .zip(&paths)
        .map(|(thing, path)| Wanted { path, thing })
        .collect();
    let names: Vec<String> = (0..9_999).map(|i| format!("up/train/{i}/0.png")).collect();
    let given: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = find(&wanted, &given, None);
    assert!((0..9_999).all(|i| found[i] == Ok(i)));
    let why = found[9_999].clone().unwrap_err();
    assert!(why.len() < 300, "{why}");
}

proptest! {
    /// Whatever is given, in whatever spelling: a thing gets its own photo or none.
    #[test]
    fn nobody_gets_the_photo_of_another(
        things in proptest::collection::vec("(ada|bob|eve)/(train|test)/[ab0]\\.png", 1..6),
        kept in proptest::collection::vec(any::<bool>(), 6),
        prefix in "(|\\./|up/|C:\\\\me\\\\)",
        drop in "(|/|folder/|folder\\\\)",
        cut in 0usize..3,
        upper in any::<bool>(),
    ) {
        let mut things = things;
        things.sort();
        things.dedup();
        let wanted_paths: Vec<String> = things.iter().map(|path| format!("{prefix}{path}")).collect();
        let wanted: Vec<Wanted<'_>> = wanted_paths.iter().enumerate()
            .map(|(thing, path)| Wanted { path, thing }).collect();
        // Each file remembers whose it is.
        let files: Vec<(usize, String)> = things.iter().enumerate().filter(|(i, _)| kept[*i]).map(|(i, path)| {
            let rest: Vec<&str> = path.split('/').skip(cut).collect();
            let path = format!("{drop}{}", rest.join("/"));
            (i, if upper { path.to_uppercase() } else { path })
        }).collect();
        let given: Vec<&str> = files.iter().map(|(_, path)| path.as_str()).collect();
        for (thing, found) in find(&wanted, &given, None).into_iter().enumerate() {
            let contained = matches!(prefix.as_str(), "" | "./") || drop.len() < 2;
            if cut == 0 && kept[thing] && contained {
                prop_assert!(found.is_ok(), "{:?} of {:?}: {:?}", wanted_paths[thing], given, found);
            }
            if let Ok(at) = found {
                // Cut short, a photo may be called as one that was not given is, and nothing tells them apart.
                let twin = things.iter().enumerate().any(|(i, other)| i != thing && kept[i] && {
                    let tail = |p: &str| p.split('/').skip(cut).map(str::to_owned).collect::<Vec<_>>();
                    tail(other) == tail(&things[thing])
                });
                prop_assert!(files[at].0 == thing || twin, "{:?} got {:?}", wanted_paths[thing], given[at]);
                if twin {
                    // Both are wanted, so a photo of both is nobody's.
                    prop_assert!(cut == 0 || files[at].0 == thing);
                }
            }
        }
    }
}
