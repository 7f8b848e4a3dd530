//! Pictures of kinds that are not read here, told by their first bytes.

/// Bytes of a file's beginning that [`other_kind`] looks at.
pub const HEAD: usize = 16;

/// What kind of picture begins with these bytes, if it is one that [`super::decode()`] does not read: `HEIC`, `AVIF`, `GIF`, `TIFF`,
/// `JPEG XL`, or `raw` of a camera that says so.
pub fn other_kind(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'G', b'I', b'F', b'8', ..] => Some("GIF"),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => by_brand(brand),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some("TIFF"),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some("JPEG XL"),
        _ => None,
    }
}

/// Files of the ISO media format name what they are in four letters; most are films.
fn by_brand(brand: &[u8]) -> Option<&'static str> {
    match brand.get(..4)? {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            Some("HEIC")
        }
        b"avif" | b"avis" => Some("AVIF"),
        b"crx " => Some("raw"),
        _ => None,
    }
}
