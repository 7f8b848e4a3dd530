//! What was seen of each photo, in one file that only grows: whatever moment a program is killed at, what was whole before
//! is found again, and another library is compared with it without looking at a photo.
//!
//! The file begins with `MAGIC` and one record that names the encoder. A record is the lengths of its head and body, their
//! CRC-32C, head and body; the checksum of the head covers the lengths, so that a walk from head to head is sure of each
//! step. A head is one byte that says what it is, and a photo's SHA-256; behind that, a place has size, time and path, and a
//! scan has its bytes as body. Of two records for one thing the later one counts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crc32c::{crc32c, crc32c_append};

use super::key::{Stamp, Sum};

/// How the file begins; the last byte is the version.
const MAGIC: [u8; 8] = *b"NLFOUND\x01";
const ENCODER: u8 = 0;
const PLACE: u8 = 1;
const SCAN: u8 = 2;
/// Lengths and checksums of a record.
const FRAME: usize = 16;
/// Longest head: a path may have 32 KiB and a few bytes around it.
const MOST_HEAD: usize = 1 << 17;
/// Largest body: a scan has about a megabyte.
const MOST_BODY: usize = 64 << 20;

/// A file of scans that this program alone writes.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    file: File,
    end: u64,
    places: HashMap<String, (Stamp, Sum)>,
    /// Where the body of a scan begins, its length and checksum.
    scans: HashMap<Sum, (u64, usize, u32)>,
    /// What was wrong with the file when it was opened.
    pub notes: Vec<String>,
}

impl Cache {
    /// Opens the cache of this encoder, or begins it: also in place of what another encoder saw.
    ///
    /// A record that was cut off is removed, as a killed program leaves it, and so is all behind a damaged one.
    ///
    /// # Errors
    /// When the file is something else, is in use, or cannot be read or written.
    pub fn open(path: &Path, encoder: &str) -> Result<Self> {
        let shown = path.display();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot write {shown}; name another file with --cache"))?;
        match file.try_lock() {
            // Where a file system knows no locks, nobody can be told.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "{shown} is in use by another `namelens find`; wait for it, or name another file with --cache"
            ),
        }
        let length = file.metadata()?.len();
        let mut magic = Vec::new();
        (&mut file)
            .take(MAGIC.len() as u64)
            .read_to_end(&mut magic)?;
        if !MAGIC.starts_with(&magic[..magic.len().min(MAGIC.len() - 1)]) {
            bail!(
                "{shown} is no cache of `namelens find`, and is left as it is; name another file with --cache"
            );
        }
        let mut cache = Self {
            path: path.to_owned(),
            file,
            end: MAGIC.len() as u64,
            places: HashMap::new(),
            scans: HashMap::new(),
            notes: Vec::new(),
        };
        if magic == MAGIC && cache.is_of(encoder, length)? {
            cache.walk(length)?;
            return Ok(cache);
        }
        if length > MAGIC.len() as u64 {
            let note = format!("{shown} has what another model saw; photos are looked at anew");
            cache.notes.push(note);
        }
        cache.begin(encoder)?;
        Ok(cache)
    }

    /// How many photos were seen.
    pub fn len(&self) -> usize {
        self.scans.len()
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.scans.is_empty()
    }

    /// The sum of the photo at a place, if it is as it was.
    pub fn sum_at(&self, path: &str, stamp: Stamp) -> Option<Sum> {
        let (known, sum) = self.places.get(path)?;
        (*known == stamp).then_some(*sum)
    }

    /// Whether the photo with this sum was seen.
    pub fn has(&self, sum: &Sum) -> bool {
        self.scans.contains_key(sum)
    }

    /// What was seen of the photo with this sum; `None` too where the file was damaged since.
    pub fn scan(&mut self, sum: &Sum) -> Option<Vec<u8>> {
        let &(at, length, checksum) = self.scans.get(sum)?;
        let mut body = vec![0; length];
        let read = self
            .file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.read_exact(&mut body));
        if read.is_err() || crc32c(&body) != checksum {
            self.scans.remove(sum);
            return None;
        }
        Some(body)
    }

    /// Keeps which photo is at a place.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put_place(&mut self, path: &str, stamp: Stamp, sum: &Sum) -> Result<()> {
        if self.places.get(path) == Some(&(stamp, *sum)) {
            return Ok(());
        }
        let numbers = [stamp.size.to_le_bytes(), stamp.changed.to_le_bytes()];
        let head = [&[PLACE][..], sum, numbers.as_flattened(), path.as_bytes()].concat();
        self.append(&head, &[])?;
        self.places.insert(path.to_owned(), (stamp, *sum));
        Ok(())
    }

    /// Keeps what was seen of a photo.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put_scan(&mut self, sum: &Sum, scan: &[u8]) -> Result<()> {
        let head = [&[SCAN][..], sum].concat();
        let at = self.append(&head, scan)?;
        self.scans.insert(*sum, (at, scan.len(), crc32c(scan)));
        Ok(())
    }

    fn begin(&mut self, encoder: &str) -> Result<()> {
        self.end = MAGIC.len() as u64;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file
            .write_all(&MAGIC)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.append(&[&[ENCODER][..], encoder.as_bytes()].concat(), &[])?;
        Ok(())
    }

    /// Writes a record behind all others in one go, and says where its body is.
    fn append(&mut self, head: &[u8], body: &[u8]) -> Result<u64> {
        let lengths = [head.len() as u32, body.len() as u32].map(u32::to_le_bytes);
        let checksum = crc32c_append(crc32c(lengths.as_flattened()), head);
        let checksums = [checksum, crc32c(body)].map(u32::to_le_bytes);
        let frame = [lengths.as_flattened(), checksums.as_flattened()];
        let record = [frame[0], frame[1], head, body].concat();
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&record));
        if let Err(error) = written {
            // What was half written would hide what comes behind it.
            let _ = self.file.set_len(self.end);
            let shown = self.path.display();
            return Err(error).with_context(|| format!("cannot write {shown}"));
        }
        let body_at = self.end + (FRAME + head.len()) as u64;
        self.end += record.len() as u64;
        Ok(body_at)
    }

    /// Whether the first record names this encoder; the walk then stands behind it.
    fn is_of(&mut self, encoder: &str, length: u64) -> Result<bool> {
        let Some((head, next)) = self.record(length)? else {
            return Ok(false);
        };
        self.end = next.2;
        Ok(head.first() == Some(&ENCODER) && &head[1..] == encoder.as_bytes())
    }

    /// Reads every head, and cuts off what is not whole.
    fn walk(&mut self, length: u64) -> Result<()> {
        while let Some((head, (at, body, next, checksum))) = self.record(length)? {
            let is_last = next == length;
            if is_last && !self.is_whole(at, body, checksum)? {
                break;
            }
            self.note(&head, at, body, checksum);
            self.end = next;
        }
        if self.end < length {
            let note = format!(
                "the end of {} was not whole, as after a program that was stopped: what {} photos look like is kept",
                self.path.display(),
                self.scans.len()
            );
            self.notes.push(note);
            self.file.set_len(self.end)?;
        }
        Ok(())
    }

    fn note(&mut self, head: &[u8], at: u64, body: usize, checksum: u32) {
        let Some((sum, rest)) = head.get(1..).and_then(<[u8]>::split_first_chunk::<32>) else {
            return;
        };
        let number = |from: usize| {
            let bytes = rest.get(from..from + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        match (head[0], number(0), number(8)) {
            (SCAN, ..) => {
                self.scans.insert(*sum, (at, body, checksum));
            }
            (PLACE, Some(size), Some(changed)) => {
                if let Ok(path) = std::str::from_utf8(&rest[16..]) {
                    let stamp = Stamp { size, changed };
                    self.places.insert(path.to_owned(), (stamp, *sum));
                }
            }
            // Of a later version, perhaps.
            _ => {}
        }
    }

    /// The head of the next record; where its body begins, how long it is, where the next record begins, the body's checksum.
    #[allow(clippy::type_complexity, reason = "read here only")]
    fn record(&mut self, length: u64) -> Result<Option<(Vec<u8>, (u64, usize, u64, u32))>> {
        let room = length.saturating_sub(self.end);
        if room < FRAME as u64 {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        let mut frame = [0; FRAME];
        self.file.read_exact(&mut frame)?;
        let [head, body, head_sum, body_sum] =
            [0, 4, 8, 12].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|i| frame[at + i])));
        let (head, body) = (head as usize, body as usize);
        let all = (FRAME + head + body) as u64;
        if head == 0 || head > MOST_HEAD || body > MOST_BODY || all > room {
            return Ok(None);
        }
        let mut bytes = vec![0; head];
        self.file.read_exact(&mut bytes)?;
        if crc32c_append(crc32c(&frame[..8]), &bytes) != head_sum {
            return Ok(None);
        }
        let at = self.end + (FRAME + head) as u64;
        Ok(Some((bytes, (at, body, self.end + all, body_sum))))
    }

    fn is_whole(&mut self, at: u64, body: usize, checksum: u32) -> Result<bool> {
        let mut bytes = vec![0; body];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut bytes)?;
        Ok(crc32c(&bytes) == checksum)
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
