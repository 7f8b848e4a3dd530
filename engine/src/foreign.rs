//! Files that are not what their name says: git-lfs pointers, web pages, archives, servers' answers, weights of other frameworks.

/// Bytes of a file's beginning that are looked at.
pub const BEGINNING: usize = 512;

/// Beginnings of formats that are unpacked first.
const ARCHIVES: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x04\x22\x4d\x18", "an lz4 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (
        b"PK\x03\x04",
        "a zip archive, or weights as PyTorch saves them",
    ),
];

/// Beginnings of weights that are converted first.
const WEIGHTS: [(&[u8], &str); 7] = [
    (b"\x89HDF\r\n\x1a\n", "weights of Keras (HDF5)"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"lmgg", "weights of a ggml of before GGUF"),
    (b"fmgg", "weights of a ggml of before GGUF"),
    (b"tjgg", "weights of a ggml of before GGUF"),
    (b"algg", "weights of a ggml of before GGUF"),
    (b"GGUF", "a GGUF file"),
];

/// What the hub and other servers say where there is no file.
const ANSWERS: [&str; 8] = [
    "entry not found",
    "repository not found",
    "invalid username or password",
    "invalid credentials",
    "access to model",
    "not found",
    "404",
    "{\"error\"",
];

/// What a weight file that is none is, by its first bytes, and what to do; `None` where they tell nothing.
pub fn weights(start: &[u8]) -> Option<String> {
    told(start).or_else(|| {
        match start {
            // Protocol 2 to 5 of Python's pickles.
            [0x80, 2..=5, ..] => return Some(convert("weights as PyTorch pickles them")),
            // Version of the format, then the name of what wrote it.
            [0x08, 3..=20, 0x12, ..] => return Some(convert("a model in ONNX")),
            _ => {}
        }
        let found = WEIGHTS.iter().find(|(sign, _)| start.starts_with(sign));
        found.map(|(_, what)| convert(what))
    })
}

/// What a text file that is none is, by its first bytes, and what to do; `None` where they tell nothing.
pub fn text(start: &[u8]) -> Option<String> {
    if start.starts_with(b"\xef\xbb\xbf") {
        return Some("begins with a byte order mark; save it as UTF-8 without one".into());
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Some("is UTF-16 text; save it as UTF-8".into());
    }
    weights(start)
}

fn convert(what: &str) -> String {
    format!("is {what}; take the model's safetensors or GGUF files, or convert it to them")
}

fn told(start: &[u8]) -> Option<String> {
    let start = &start[..start.len().min(BEGINNING)];
    if start.is_empty() {
        return Some("is empty; download it again".into());
    }
    if start.len() >= 16 && start.iter().all(|byte| *byte == 0) {
        return Some("begins with nothing but zeros; the download was not finished".into());
    }
    let shown = String::from_utf8_lossy(start);
    let shown = shown.trim_start_matches('\u{feff}').trim_start();
    let lower = shown.to_ascii_lowercase();
    if lower.starts_with("version https://git-lfs") || lower.starts_with("version https://hawser") {
        return Some(pointer(shown));
    }
    if ["<!doctype html", "<html", "<head", "<body", "<title"]
        .iter()
        .any(|sign| lower.starts_with(sign))
    {
        return Some(
            "is a web page, not the file; download the file itself (on the hub: the address with /resolve/, not /blob/), and sign \
             in if the model asks for it"
                .into(),
        );
    }
    if lower.starts_with("<?xml") {
        return Some("is a server's answer in XML, not the file; download it again".into());
    }
    if ANSWERS.iter().any(|sign| lower.starts_with(sign)) {
        let line: String = shown.chars().take_while(|c| *c != '\n').take(80).collect();
        return Some(format!(
            "is a server's answer, not the file (`{line}`); check the address, sign in if the model asks for it, and download it \
             again"
        ));
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some(unpack("a tar archive"));
    }
    let archive = ARCHIVES.iter().find(|(sign, _)| start.starts_with(sign));
    archive.map(|(_, what)| unpack(what))
}

fn unpack(what: &str) -> String {
    format!("is {what}; unpack it, and take the model's safetensors, GGUF and JSON files")
}

/// A pointer names the size of the file it stands for.
fn pointer(text: &str) -> String {
    let size = text.lines().find_map(|line| line.strip_prefix("size "));
    let size = size.and_then(|size| size.trim().parse::<u64>().ok());
    let size = size.map_or_else(String::new, |bytes| format!(" of {bytes} bytes"));
    format!(
        "is a git-lfs pointer, not the file{size} it stands for; run `git lfs pull` in the model's folder, or download the file \
         itself"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_files_place_is_named() {
        let tar = [&[b'a'; 257][..], b"ustar\x0000"].concat();
        let page = b"\n  <!DOCTYPE html>\n<html><head>".as_slice();
        for (start, told) in [
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 538090408\n"
                    .as_slice(),
                "538090408 bytes",
            ),
            (page, "web page"),
            (b"<HTML>", "web page"),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied", "XML"),
            (b"Entry not found", "`Entry not found`"),
            (b"{\"error\":\"Repository not found\"}", "server's answer"),
            (b"\x1f\x8b\x08\x00", "gzip"),
            (b"PK\x03\x04\x14\x00", "zip"),
            (b"\x28\xb5\x2f\xfd\x00", "zstd"),
            (&tar, "tar"),
            (b"\x80\x02}q\x00", "pickles"),
            (b"lmgg\x00\x00", "before GGUF"),
            (b"\x08\x08\x12\x07pytorch", "ONNX"),
            (b"", "empty"),
            (&[0; 64], "zeros"),
        ] {
            let said = weights(start).unwrap();
            assert!(said.contains(told), "{said}");
            assert_eq!(text(start), Some(said));
        }
        assert!(text(b"\xef\xbb\xbf{}").unwrap().contains("byte order mark"));
        assert!(text(b"\xff\xfe{\x00").unwrap().contains("UTF-16"));
        assert!(text(b"GGUF\x03\x00").unwrap().contains("GGUF"));
    }

    #[test]
    fn files_that_are_what_they_say_are_left_alone() {
        for start in [
            b"{\"model_type\": \"smolvlm\"}".as_slice(),
            b"{%- for message in messages -%}",
            b"<|im_start|>{% for message in messages %}",
            b"{{ bos_token }}",
            b"\x48\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}",
            b"[]",
        ] {
            assert_eq!(text(start), None, "{start:?}");
        }
    }
}
