//! TensorBoard event files: scalar summaries as length- and checksum-framed protocol buffers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Appends scalar summaries to one `events.out.tfevents.*` file.
#[derive(Debug)]
pub struct EventWriter {
    out: BufWriter<File>,
}

impl EventWriter {
    /// Starts a new event file in `dir`; TensorBoard joins the files of a run.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        let now = now_secs();
        let path = dir.join(format!("events.out.tfevents.{:.0}.namelens", now));
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut writer = Self {
            out: BufWriter::new(file),
        };
        // Event { wall_time = 1: double, file_version = 3: string }
        let mut event = Vec::new();
        put_double(&mut event, 1, now);
        put_bytes(&mut event, 3, b"brain.Event:2");
        writer.frame(&event)?;
        Ok(writer)
    }

    /// Writes one scalar.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f32) -> Result<()> {
        // Summary.Value { tag = 1, simple_value = 2: float }
        let mut summary_value = Vec::new();
        put_bytes(&mut summary_value, 1, tag.as_bytes());
        summary_value.push(2 << 3 | 5);
        summary_value.extend_from_slice(&value.to_le_bytes());
        let mut summary = Vec::new();
        put_bytes(&mut summary, 1, &summary_value);
        // Event { wall_time = 1, step = 2: int64, summary = 5 }
        let mut event = Vec::new();
        put_double(&mut event, 1, now_secs());
        event.push(2 << 3);
        put_varint(&mut event, step);
        put_bytes(&mut event, 5, &summary);
        self.frame(&event)
    }

    /// TFRecord framing: length, masked CRC of the length, data, masked CRC of the data.
    fn frame(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked_crc(&length).to_le_bytes())?;
        self.out.write_all(data)?;
        self.out.write_all(&masked_crc(data).to_le_bytes())?;
        self.out.flush()?;
        Ok(())
    }
}

fn now_secs() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// The mask of TensorFlow's record format, so that a CRC of data holding CRCs stays sound.
fn masked_crc(data: &[u8]) -> u32 {
    let crc = crc32c::crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn frames_carry_their_checksums() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path()).unwrap();
        writer.scalar(7, "loss", 0.5).unwrap();
        drop(writer);
        let file = std::fs::read_dir(dir.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let mut at = 0;
        let mut records = 0;
        while at < bytes.len() {
            let length = bytes[at..at + 8].to_vec();
            let n = u64::from_le_bytes(length.clone().try_into().unwrap()) as usize;
            let read = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(read(at + 8), masked_crc(&length));
            assert_eq!(read(at + 12 + n), masked_crc(&bytes[at + 12..at + 12 + n]));
            at += 16 + n;
            records += 1;
        }
        assert_eq!(records, 2);
        // Known answer of the masked CRC of eight zero bytes (TensorFlow's empty-length frame).
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }
}
