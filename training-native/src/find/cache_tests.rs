//! Caches after a kill at every byte, with damaged records, in use, and of other models.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn stamp(size: u64) -> Stamp {
    Stamp { size, changed: 7 }
}

/// A cache of three photos at four places.
fn filled(path: &Path) -> Cache {
    let mut cache = Cache::open(path, "encoder").unwrap();
    for photo in 0..3u8 {
        let sum = [photo; 32];
        cache.put_scan(&sum, &[photo; 50]).unwrap();
        let place = format!("/photos/{photo}.jpg");
        cache
            .put_place(&place, stamp(u64::from(photo)), &sum)
            .unwrap();
    }
    cache.put_place("/copy.jpg", stamp(9), &[1; 32]).unwrap();
    cache
}

#[test]
fn what_was_put_in_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("things.cache");
    drop(filled(&path));
    let mut cache = Cache::open(&path, "encoder").unwrap();
    assert_eq!((cache.len(), cache.notes.len()), (3, 0));
    assert_eq!(cache.sum_at("/copy.jpg", stamp(9)), Some([1; 32]));
    assert_eq!(cache.sum_at("/copy.jpg", stamp(8)), None);
    assert_eq!(cache.sum_at("/other.jpg", stamp(9)), None);
    assert_eq!(cache.scan(&[2; 32]).unwrap(), [2; 50]);
    // The later one counts.
    cache.put_scan(&[2; 32], &[9; 70]).unwrap();
    cache.put_place("/copy.jpg", stamp(10), &[2; 32]).unwrap();
    drop(cache);
    let mut cache = Cache::open(&path, "encoder").unwrap();
    assert_eq!(cache.scan(&[2; 32]).unwrap(), [9; 70]);
    assert_eq!(cache.sum_at("/copy.jpg", stamp(10)), Some([2; 32]));
}

#[test]
fn whatever_a_kill_leaves_behind_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("things.cache");
    drop(filled(&path));
    let bytes = std::fs::read(&path).unwrap();
    let mut most = 0;
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let mut cache = Cache::open(&path, "encoder").unwrap();
        let known = cache.len();
        assert!(known >= most, "{length}: {known} of {most}");
        most = known;
        for photo in 0..known as u8 {
            assert_eq!(cache.scan(&[photo; 32]).unwrap(), [photo; 50], "{length}");
        }
        cache.put_scan(&[7; 32], b"more").unwrap();
        drop(cache);
        let mut cache = Cache::open(&path, "encoder").unwrap();
        assert_eq!((cache.len(), cache.notes.len()), (known + 1, 0), "{length}");
        assert_eq!(cache.scan(&[7; 32]).unwrap(), b"more");
    }
    assert_eq!(most, 3);
}

#[test]
fn damaged_bytes_are_never_taken_for_a_photo() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("things.cache");
    drop(filled(&path));
    let bytes = std::fs::read(&path).unwrap();
    for at in MAGIC.len()..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, &damaged).unwrap();
        let mut cache = Cache::open(&path, "encoder").unwrap();
        for photo in 0..3u8 {
            if let Some(scan) = cache.scan(&[photo; 32]) {
                assert_eq!(scan, [photo; 50], "{at}");
            }
        }
    }
}

#[test]
fn what_another_model_saw_is_begun_anew_and_other_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("things.cache");
    drop(filled(&path));
    let cache = Cache::open(&path, "another").unwrap();
    assert_eq!((cache.len(), cache.notes.len()), (0, 1));
    drop(cache);
    for text in [
        "{\"format\": \"namelens-concepts\"}",
        "N",
        "\u{89}PNG and so on",
    ] {
        std::fs::write(&path, text).unwrap();
        let opened = Cache::open(&path, "encoder");
        match text {
            // The start of our own, cut off.
            "N" => assert!(opened.unwrap().is_empty()),
            _ => {
                assert!(opened.unwrap_err().to_string().contains("left as it is"));
                assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            }
        }
    }
}

#[test]
fn one_program_writes_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("things.cache");
    let first = filled(&path);
    let error = Cache::open(&path, "encoder").unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    drop(first);
    assert_eq!(Cache::open(&path, "encoder").unwrap().len(), 3);
}
