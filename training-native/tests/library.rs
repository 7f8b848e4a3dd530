//! `namelens library`: things go in, are listed, leave and travel; a library is whole whatever goes wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{CAN, DOG, fixture, put, refused, run, spoken, stderr, stdout};

/// What `list --json` tells.
fn listed(root: &Path, file: &str) -> Value {
    let out = run(root, &["library", "list", "--json", "--file", file]);
    serde_json::from_str(&stdout(&out)).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let things = list.as_array().unwrap().iter();
    things
        .map(|thing| thing["name"].as_str().unwrap())
        .collect()
}

/// Every file of a folder with its bytes: nothing half written may be left.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn things_go_in_are_listed_and_leave() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let dog = spoken("Rex", "dog-0.jpg", DOG[0]) + ":barks at jam";
    let out = run(root, &["library", "add", &dog, "--category", "dog"]);
    // The classifier has words for kinds of dogs: this one is a Pembroke corgi.
    assert!(
        stdout(&out).contains("looks like: ") && stdout(&out).contains("Pembroke"),
        "{}",
        stdout(&out)
    );
    assert_eq!(stderr(&out), "");
    let second = format!("rex={}", fixture("dog-1.jpg").display());
    let out = run(root, &["library", "add", &second]);
    assert!(
        stdout(&out).starts_with("Rex: 2 photos"),
        "{}",
        stdout(&out)
    );
    assert!(stderr(&out).contains("add a box"), "{}", stderr(&out));
    run(
        root,
        &["library", "add", &spoken("Whale", "can-0.jpg", CAN[0])],
    );
    let list = listed(root, "things.json");
    assert_eq!(names(&list), ["Rex", "Whale"]);
    assert_eq!(
        (&list[0]["category"], &list[0]["info"]),
        (&json!("dog"), &json!("barks at jam"))
    );
    assert_eq!(
        (
            list[0]["photos"].as_array().unwrap().len(),
            &list[0]["photos"][1]["box"]
        ),
        (2, &Value::Null)
    );
    let text = stdout(&run(root, &["library", "list"]));
    assert_eq!(
        text.lines().next(),
        Some("Rex  2 photos  dog  barks at jam")
    );
    run(root, &["library", "remove", "whale"]);
    assert_eq!(names(&listed(root, "things.json")), ["Rex"]);
}

#[test]
fn what_cannot_be_added_leaves_the_library_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    run(
        root,
        &["library", "add", &spoken("Rex", "dog-0.jpg", DOG[0])],
    );
    put(
        root,
        "inside/broken.jpg",
        &fs::read(fixture("dog-0.jpg")).unwrap()[..4000],
    );
    put(root, "inside/other.json", b"{\"concepts\": []}");
    let before = files(root);
    let can = spoken("Whale", "can-0.jpg", CAN[0]);
    let long = format!("{}={}", "x".repeat(65), fixture("can-0.jpg").display());
    for (args, part) in [
        (
            &["library", "add", "Whale=nowhere.jpg"][..],
            "no photo `nowhere.jpg`",
        ),
        (
            &["library", "add", &can, "Broken=inside/broken.jpg"],
            "cut off",
        ),
        (&["library", "add", &long], "at most 64"),
        (&["library", "remove", "Nobody"], "there is no `Nobody`"),
        (&["library", "import", "inside/other.json"], "other.json"),
        (&["library", "import", "nowhere"], "nowhere"),
        (
            &["library", "list", "--file", "nowhere.json"],
            "there is no library",
        ),
        (&["library", "list", "--file", "inside"], "is a folder"),
        (
            &["library", "list", "--file", "inside/other.json"],
            "is no library",
        ),
        (
            &["library", "add", &can, "--file", "inside/other.json"],
            "is no library",
        ),
        (
            &["library", "export", "no/such/folder/x.json"],
            "there is no folder no/such/folder",
        ),
    ] {
        let error = refused(root, args);
        assert!(error.contains(part), "{part}: {error}");
        assert!(files(root) == before, "{args:?} changed a file");
    }
    assert_eq!(
        fs::read(root.join("inside/other.json")).unwrap(),
        b"{\"concepts\": []}"
    );
}

#[test]
fn a_library_travels_whole() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    run(
        root,
        &[
            "library",
            "add",
            &spoken("Rex", "dog-0.jpg", DOG[0]),
            &spoken("Whale", "can-0.jpg", CAN[0]),
        ],
    );
    run(root, &["library", "export", "out.json"]);
    run(
        root,
        &["library", "--file", "other.json", "import", "out.json"],
    );
    let without_times = |mut list: Value| {
        for thing in list.as_array_mut().unwrap() {
            thing
                .as_object_mut()
                .unwrap()
                .retain(|key, _| !key.ends_with("Ms"));
        }
        list
    };
    let (here, there) = (listed(root, "things.json"), listed(root, "other.json"));
    assert_eq!(without_times(here), without_times(there));
    // What the model made of the photos travels too.
    let out: Value = serde_json::from_slice(&fs::read(root.join("out.json")).unwrap()).unwrap();
    let photo = &out["concepts"][0]["references"][0];
    assert!(photo["embeddings"].as_str().unwrap().len() > 10_000);
    // Names that are taken get a number.
    let out = run(
        root,
        &["library", "--file", "other.json", "import", "out.json"],
    );
    assert!(stderr(&out).contains("Rex (2)"), "{}", stderr(&out));
    assert_eq!(
        names(&listed(root, "other.json")),
        ["Rex", "Whale", "Rex (2)", "Whale (2)"]
    );
}

#[test]
fn what_another_model_saw_is_looked_at_anew() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    run(
        root,
        &["library", "add", &spoken("Rex", "dog-0.jpg", DOG[0])],
    );
    let path = root.join("things.json");
    let mut library: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let photo = &mut library["concepts"][0]["references"][0];
    let digest = photo["encoder"].clone();
    photo["encoder"] = json!("another");
    fs::write(&path, library.to_string()).unwrap();
    fs::copy(fixture("dog-1.jpg"), root.join("dog.jpg")).unwrap();
    let found = stdout(&run(root, &["find", "dog.jpg"]));
    assert!(found.contains("Rex"), "{found}");
    // And kept, when the library is written the next time.
    run(
        root,
        &["library", "add", &spoken("Whale", "can-0.jpg", CAN[0])],
    );
    let library: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(library["concepts"][0]["references"][0]["encoder"], digest);
}

/// A database in RAP's layout: paths begin with the folder the file is in.
fn example_database(root: &Path) {
    let database = json!({
        "concept_dict": {
            "<rex>": {"name": "rex", "image": "example_database/rex.jpg", "info": "barks", "category": "dog"},
            "<whale>": {"name": "whale", "image": "example_database/cans/whale.jpg", "info": "", "category": "can"},
            "<gone>": {"name": "gone", "image": "example_database/gone.png", "info": "", "category": "toy"},
        },
        "path_to_concept": {
            "example_database/rex.jpg": "<rex>",
            "example_database/cans/whale.jpg": "<whale>",
        },
    });
    put(
        root,
        "RAP/example_database/database.json",
        database.to_string().as_bytes(),
    );
    put(
        root,
        "RAP/example_database/rex.jpg",
        &fs::read(fixture("dog-0.jpg")).unwrap(),
    );
    put(
        root,
        "RAP/example_database/cans/whale.jpg",
        &fs::read(fixture("can-0.jpg")).unwrap(),
    );
    // Has its name, but is not it.
    put(root, "RAP/elsewhere/gone.png", b"not it");
    put(root, "RAP/elsewhere/rex.jpg", b"not it");
}

#[test]
fn the_example_database_of_rap_imports_with_its_photos() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    example_database(root);
    for (file, from) in [
        ("a.json", "RAP/example_database/database.json"),
        ("b.json", "RAP/example_database"),
    ] {
        let out = run(root, &["library", "--file", file, "import", from]);
        assert!(stdout(&out).contains("added 2 things"), "{}", stdout(&out));
        assert!(
            stderr(&out).contains("example_database/gone.png"),
            "{}",
            stderr(&out)
        );
        let list = listed(root, file);
        assert_eq!(names(&list), ["rex", "whale"]);
        assert_eq!(
            (&list[0]["info"], &list[0]["aliases"]),
            (&json!("barks"), &json!(["<rex>"]))
        );
        let bytes = fs::metadata(fixture("dog-0.jpg")).unwrap().len();
        assert_eq!(list[0]["photos"][0]["bytes"], bytes);
    }
    // Photos that lie beside the folder, as a database that was moved into one of its own has them.
    fs::rename(
        root.join("RAP/example_database/rex.jpg"),
        root.join("RAP/rex.jpg"),
    )
    .unwrap();
    let text = fs::read_to_string(root.join("RAP/example_database/database.json")).unwrap();
    let text = text.replace("example_database/rex.jpg", "rex.jpg");
    fs::write(root.join("RAP/example_database/database.json"), text).unwrap();
    fs::remove_file(root.join("RAP/elsewhere/rex.jpg")).unwrap();
    run(
        root,
        &[
            "library",
            "--file",
            "c.json",
            "import",
            "RAP/example_database",
        ],
    );
    assert_eq!(names(&listed(root, "c.json")), ["rex", "whale"]);
}
