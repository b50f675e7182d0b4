//! A gzip member as a source (RFC 1952), inflated as it is read.
//!
//! The window is a ring that the inflater writes to and `peek` shows parts of;
//! checksum and length are compared at the end.

use alloc::boxed::Box;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::source::{ArchiveError, Source};

/// The window of deflate, at which the ring wraps.
const WINDOW: usize = 32 * 1024;

const FLAG_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;

/// An inflating source.
pub(super) struct Gzip<'a> {
    inner: &'a mut dyn Source,
    inflater: Box<DecompressorOxide>,
    window: Box<[u8]>,
    /// What of the window is there to be read.
    start: usize,
    end: usize,
    over: bool,
    position: u64,
    crc: u32,
    length: u32,
}

impl<'a> Gzip<'a> {
    /// Reads the header.
    pub(super) fn new(inner: &'a mut dyn Source) -> Result<Gzip<'a>, ArchiveError> {
        let mut head = [0; 10];
        fill(inner, &mut head)?;
        let [0x1f, 0x8b, 8, flags, ..] = head else {
            return Err(ArchiveError::Gzip("not compressed by deflate"));
        };
        if flags & 0xe0 != 0 {
            return Err(ArchiveError::Gzip("reserved flags"));
        }
        if flags & FLAG_EXTRA != 0 {
            let mut len = [0; 2];
            fill(inner, &mut len)?;
            for _ in 0..u16::from_le_bytes(len) {
                fill(inner, &mut [0])?;
            }
        }
        for flag in [FLAG_NAME, FLAG_COMMENT] {
            let mut byte = [1];
            while flags & flag != 0 && byte != [0] {
                fill(inner, &mut byte)?;
            }
        }
        if flags & FLAG_CRC != 0 {
            fill(inner, &mut [0; 2])?;
        }
        Ok(Gzip {
            inner,
            inflater: Box::default(),
            window: alloc::vec![0; WINDOW].into_boxed_slice(),
            start: 0,
            end: 0,
            over: false,
            position: 0,
            crc: !0,
            length: 0,
        })
    }

    /// Inflates until there is something to read or the end.
    fn refill(&mut self) -> Result<(), ArchiveError> {
        while self.start == self.end && !self.over {
            let at = self.end % WINDOW;
            let input = self.inner.peek()?;
            // A source that is at its end has no more for us.
            let more = if input.is_empty() {
                0
            } else {
                inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
            };
            let (status, read, written) =
                decompress(&mut self.inflater, input, &mut self.window, at, more);
            self.inner.consume(read);
            self.start = at;
            self.end = at + written;
            self.count(at, written);
            match status {
                TINFLStatus::Done => {
                    self.over = true;
                    self.check_end()?;
                }
                TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput if read + written > 0 => {}
                TINFLStatus::NeedsMoreInput
                | TINFLStatus::HasMoreOutput
                | TINFLStatus::FailedCannotMakeProgress => {
                    return Err(ArchiveError::Short("compressed data"));
                }
                _ => return Err(ArchiveError::Gzip("the compressed data is damaged")),
            }
        }
        Ok(())
    }

    fn count(&mut self, at: usize, written: usize) {
        for byte in &self.window[at..at + written] {
            self.crc = CRC_TABLE[((self.crc ^ u32::from(*byte)) & 0xff) as usize] ^ (self.crc >> 8);
        }
        // CAST: a chunk is at most the window; the sum wraps as RFC 1952 says.
        self.length = self.length.wrapping_add(written as u32);
    }

    fn check_end(&mut self) -> Result<(), ArchiveError> {
        let mut tail = [0; 8];
        fill(self.inner, &mut tail)?;
        let [a, b, c, d, e, f, g, h] = tail;
        if u32::from_le_bytes([a, b, c, d]) != !self.crc {
            return Err(ArchiveError::Gzip("the checksum is wrong"));
        }
        if u32::from_le_bytes([e, f, g, h]) != self.length {
            return Err(ArchiveError::Gzip("the length is wrong"));
        }
        Ok(())
    }
}

impl Source for Gzip<'_> {
    fn peek(&mut self) -> Result<&[u8], ArchiveError> {
        self.refill()?;
        Ok(&self.window[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.position += count as u64;
    }

    fn position(&self) -> u64 {
        self.position
    }
}

fn fill(source: &mut dyn Source, to: &mut [u8]) -> Result<(), ArchiveError> {
    for byte in to {
        *byte = *source
            .peek()?
            .first()
            .ok_or(ArchiveError::Short("a gzip header or its end"))?;
        source.consume(1);
    }
    Ok(())
}

/// The CRC of RFC 1952, section 8, by byte.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 != 0 {
                0xedb8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::super::source::{ArchiveError, Source};
    use super::Gzip;

    struct Bytes<'a>(&'a [u8], usize);

    impl Source for Bytes<'_> {
        fn peek(&mut self) -> Result<&[u8], ArchiveError> {
            Ok(&self.0[self.1..])
        }

        fn consume(&mut self, count: usize) {
            self.1 += count;
        }

        fn position(&self) -> u64 {
            self.1 as u64
        }
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            super::CRC_TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8)
        })
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
        bytes.extend_from_slice(b"name\0");
        bytes.extend(miniz_oxide::deflate::compress_to_vec(content, 6));
        bytes.extend(crc(content).to_le_bytes());
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes
    }

    fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, ArchiveError> {
        let mut source = Bytes(bytes, 0);
        let mut gzip = Gzip::new(&mut source)?;
        let mut out = Vec::new();
        loop {
            let part = gzip.peek()?.to_vec();
            if part.is_empty() {
                return Ok(out);
            }
            gzip.consume(part.len());
            out.extend(part);
        }
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn inflates_more_than_a_window() {
        let content: Vec<u8> = (0..200_000_u32).map(|i| (i / 7 % 251) as u8).collect();
        assert_eq!(gunzip(&gzip(&content)), Ok(content));
    }

    #[test]
    fn damage_is_an_error() {
        let good = gzip(&[5; 1000]);
        for len in 0..good.len() {
            assert!(gunzip(&good[..len]).is_err(), "{len}");
        }
        let mut wrong = good.clone();
        let at = wrong.len() - 5;
        wrong[at] ^= 1;
        assert_eq!(
            gunzip(&wrong),
            Err(ArchiveError::Gzip("the checksum is wrong"))
        );
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 0x55;
            let _ = gunzip(&damaged);
        }
    }
}
