//! A folder with several vision projectors: one is chosen, or the command says which there are.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use namelens::export::{Conversion, Types, convert, open_bundle, open_model};
use namelens_engine::weights::Dtype;

#[test]
fn the_projector_is_chosen_by_name_or_path() {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    let model =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let conversion = Conversion {
        types: Types {
            text: Dtype::Q8_0,
            vision: Dtype::F16,
            embeddings: Dtype::Q8_0,
        },
        split: None,
        force: false,
    };
    convert(&model, &out, conversion, &mut |_, _| ()).unwrap();
    let ggufs = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().path());
        entries
            .filter(|path| path.extension().is_some_and(|kind| kind == "gguf"))
            .collect()
    };
    let is_projector = |path: &PathBuf| path.to_string_lossy().contains("mmproj");
    let (projectors, texts): (Vec<_>, Vec<_>) = ggufs().into_iter().partition(is_projector);
    let (projector, text) = (&projectors[0], &texts[0]);
    let first = projector.file_name().unwrap().to_str().unwrap();
    assert!(open_bundle(&out).unwrap().contains(first));
    assert!(open_bundle(text).unwrap().contains(first));

    let second = "mmproj-other precision.gguf";
    std::fs::copy(projector, out.join(second)).unwrap();
    std::fs::write(out.join("mmproj-damaged.gguf"), "none of ours").unwrap();
    let elsewhere = folder.path().join("elsewhere.gguf");
    std::fs::copy(projector, &elsewhere).unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    for path in [text, &out] {
        let error = open_bundle(path).unwrap_err().to_string();
        for part in ["--mmproj", first, second] {
            assert!(error.contains(part), "{error}");
        }
        for (wanted, other) in [(first, second), (second, first)] {
            let whole = out.join(wanted);
            for chosen in [wanted, whole.to_str().unwrap()] {
                let files = open_model(path, Some(chosen)).unwrap();
                assert!(
                    files.contains(wanted) && !files.contains(other),
                    "{files:?}"
                );
            }
        }
        let error = open_model(path, Some("mmproj-none.gguf")).unwrap_err();
        assert!(error.to_string().contains(second), "{error}");
        let error = open_model(path, Some(text.to_str().unwrap())).unwrap_err();
        assert!(
            error.to_string().contains("not a vision projector"),
            "{error}"
        );
    }
    let files = open_model(text, Some(elsewhere)).unwrap();
    assert!(files.contains("elsewhere.gguf") && !files.contains(first));
    let error = open_model(&out, Some(elsewhere)).unwrap_err();
    assert!(error.to_string().contains("text model's file"), "{error}");
    let error = open_model(&model, Some("x.gguf")).unwrap_err();
    assert!(
        error.to_string().contains("no vision projectors"),
        "{error}"
    );
}
