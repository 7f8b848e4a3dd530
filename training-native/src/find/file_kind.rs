//! What a file is, by its first bytes: a photo that is read here, a picture of another kind, or something else.

use std::path::Path;

use namelens_engine::image::other_kind;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// JPEG, PNG or WebP, or a file that is called so.
    Photo,
    /// A picture of a kind that is not read.
    Unsupported(&'static str),
    /// No picture.
    Other,
}

/// Raw files of cameras, which begin as TIFF files do or in ways of their own.
const RAW: [&str; 12] = [
    "arw", "cr2", "cr3", "dng", "nef", "nrw", "orf", "pef", "raf", "rw2", "srw", "raw",
];

/// What a file is that begins with these bytes; its name counts only where they say nothing.
pub fn of(head: &[u8], path: &Path) -> FileKind {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let extension = extension.to_ascii_lowercase();
    match head {
        [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', ..] => FileKind::Photo,
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => FileKind::Photo,
        _ => other(head, &extension),
    }
}

fn other(head: &[u8], extension: &str) -> FileKind {
    match other_kind(head) {
        // Many raw files begin as TIFF files do.
        None | Some("TIFF") if RAW.contains(&extension) => FileKind::Unsupported("raw"),
        Some(kind) => FileKind::Unsupported(kind),
        // A film, whatever it is called.
        None if head.get(4..8) == Some(b"ftyp") => FileKind::Other,
        None if extension == "bmp" && head.starts_with(b"BM") => FileKind::Unsupported("BMP"),
        None => by_name(extension),
    }
}

/// An empty or damaged file is what its name says: it is reported as such rather than passed over.
fn by_name(extension: &str) -> FileKind {
    match extension {
        "jpg" | "jpeg" | "png" | "webp" => FileKind::Photo,
        "heic" | "heif" => FileKind::Unsupported("HEIC"),
        "avif" => FileKind::Unsupported("AVIF"),
        "gif" => FileKind::Unsupported("GIF"),
        "tif" | "tiff" => FileKind::Unsupported("TIFF"),
        "jxl" => FileKind::Unsupported("JPEG XL"),
        _ => FileKind::Other,
    }
}

/// What to do about files of a kind that is not read.
pub fn hint(kind: &str) -> &'static str {
    match kind {
        "HEIC" => {
            "convert them to JPEG (`heif-convert IMG.heic IMG.jpg`, or export them from your photo program)"
        }
        "raw" => "export them as JPEG from your photo program",
        _ => "convert them to JPEG or PNG",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_what_is_in_them() {
        let of = |head: &[u8], name: &str| of(head, Path::new(name));
        for (head, name, kind) in [
            (&b"\xff\xd8\xff\xe0"[..], "a.heic", FileKind::Photo),
            (b"\x89PNG\r\n\x1a\n", "a", FileKind::Photo),
            (b"RIFF\0\0\0\0WEBPVP8 ", "a.jpg", FileKind::Photo),
            (b"RIFF\0\0\0\0WAVEfmt ", "a.wav", FileKind::Other),
            (
                b"\0\0\0\x18ftypheic",
                "IMG.JPG",
                FileKind::Unsupported("HEIC"),
            ),
            (
                b"\0\0\0\x18ftypavif",
                "a.avif",
                FileKind::Unsupported("AVIF"),
            ),
            (b"\0\0\0\x18ftypisom", "a.mp4", FileKind::Other),
            (b"\0\0\0\x18ftypisom", "a.jpg", FileKind::Other),
            (b"\0\0\0\x18ftypcrx ", "a.CR3", FileKind::Unsupported("raw")),
            (b"II*\0\x08\0\0\0", "a.tif", FileKind::Unsupported("TIFF")),
            (b"II*\0\x08\0\0\0", "a.NEF", FileKind::Unsupported("raw")),
            (b"GIF89a", "a.gif", FileKind::Unsupported("GIF")),
            (b"", "empty.jpg", FileKind::Photo),
            (b"<html>", "page.JPEG", FileKind::Photo),
            (b"", "empty.heif", FileKind::Unsupported("HEIC")),
            (b"BM", "notes.txt", FileKind::Other),
            (b"hello", "notes.txt", FileKind::Other),
        ] {
            assert_eq!(of(head, name), kind, "{name}");
        }
    }
}
