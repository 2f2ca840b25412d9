//! The sizes of Parquet pages, looked at before the library believes them.
//!
//! The header of each page says how large the page is once unpacked, and the library allocates that much
//! (up to 2 GiB) before it unpacks. Page headers are structs in Thrift's compact protocol, of which only two
//! numbers are of interest here. (Format: parquet.thrift, `PageHeader`; Thrift's compact protocol.)

use parquet::file::metadata::ColumnChunkMetaData;
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// The most that the largest pages of all columns of a row group may have together, unpacked, beyond
/// [`MAX_RATIO`] times what they have packed. Writers begin a new page after a megabyte, but look at the size
/// only after a thousand rows or so.
const MAX_BYTES: u64 = 48 << 20;

/// How many times its packed size a page may be: what Snappy and LZ4 reach at most is near it. Wide tables and
/// long texts are as large as they claim; it is small files that claim much that are refused.
const MAX_RATIO: u64 = 32;

/// How deep the structs of a page header are nested: three in the format.
const MAX_DEPTH: u32 = 8;

/// A file, or what stands for one in memory.
pub(super) trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// Refuses a row group whose pages claim more than a machine should spend on them.
///
/// # Errors
/// They do; a page header that is damaged; the file cannot be read.
pub(super) fn check(file: &mut dyn Input, columns: &[ColumnChunkMetaData]) -> Result<()> {
    let size = file.seek(SeekFrom::End(0))?;
    let (mut together, mut beyond) = (0u64, 0u64);
    for column in columns {
        let (start, length) = column.byte_range();
        let end = start.saturating_add(length).min(size);
        let largest = largest(file, start, end)?;
        let expected = largest.packed.saturating_mul(MAX_RATIO);
        together = together.saturating_add(largest.bytes);
        beyond = beyond.saturating_add(largest.bytes.saturating_sub(expected));
        if beyond > MAX_BYTES {
            return Err(damaged(format!(
                "its pages claim {together} bytes at once, far more than the file has"
            )));
        }
    }
    Ok(())
}

/// The size of a page.
#[derive(Clone, Copy, Default)]
struct Page {
    /// Unpacked or packed, whichever is more.
    bytes: u64,
    packed: u64,
}

/// The largest page between two places of the file, both of which lie in it.
fn largest(file: &mut dyn Input, mut start: u64, end: u64) -> Result<Page> {
    let mut largest = Page::default();
    while start < end {
        file.seek(SeekFrom::Start(start))?;
        let mut input = Counted {
            input: BufReader::with_capacity(1 << 10, (&mut *file).take(end - start)),
            bytes: 0,
        };
        let sizes = sizes(&mut input)?;
        let [Some(unpacked), Some(packed)] = sizes.map(|size| u64::try_from(size).ok()) else {
            return Err(damaged("a page has a negative size".to_owned()));
        };
        let bytes = unpacked.max(packed);
        if bytes > largest.bytes {
            // a page that is cut off has no more than the file
            let packed = packed.min(end - start);
            largest = Page { bytes, packed };
        }
        start = start.saturating_add(input.bytes).saturating_add(packed);
    }
    Ok(largest)
}

/// The second and third field of a page header: its size unpacked and packed.
fn sizes(input: &mut impl Read) -> Result<[i64; 2]> {
    let (mut sizes, mut id) = ([0; 2], 0);
    while let Some((kind, delta)) = field(input)? {
        id += delta;
        match (id, kind) {
            (2 | 3, I32) => sizes[id as usize - 2] = zigzag(number(input)?),
            _ => skip(input, kind, 0)?,
        }
    }
    Ok(sizes)
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const STRUCT: u8 = 12;

/// The type of the next field and how far its number is from that of the one before; `None` at the end of
/// the struct.
fn field(input: &mut impl Read) -> Result<Option<(u8, i64)>> {
    let [byte] = bytes(input)?;
    let kind = byte & 0x0f;
    Ok(match (byte >> 4, kind) {
        (_, 0) => None,
        // numbers that jump are written out; the format has none in page headers
        (0, _) => return Err(damaged("a page header is damaged".to_owned())),
        (delta, kind) => Some((kind, delta.into())),
    })
}

fn skip(input: &mut impl Read, kind: u8, depth: u32) -> Result<()> {
    match kind {
        TRUE | FALSE => {}
        BYTE => drop(bytes::<1>(input)?),
        I16 | I32 | I64 => drop(number(input)?),
        DOUBLE => drop(bytes::<8>(input)?),
        BINARY => {
            let length = number(input)?;
            let skipped = std::io::copy(&mut input.take(length), &mut std::io::sink())?;
            if skipped < length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        STRUCT if depth < MAX_DEPTH => {
            while let Some((kind, _)) = field(input)? {
                skip(input, kind, depth + 1)?;
            }
        }
        _ => return Err(damaged("a page header is damaged".to_owned())),
    }
    Ok(())
}

/// A number of seven bits a byte.
fn number(input: &mut impl Read) -> Result<u64> {
    let mut n = 0;
    for shift in (0..63).step_by(7) {
        let [byte] = bytes(input)?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(n);
        }
    }
    // the tenth byte holds the last bit
    let [byte] = bytes(input)?;
    match byte {
        0 | 1 => Ok(n | u64::from(byte) << 63),
        _ => Err(damaged("a page header is damaged".to_owned())),
    }
}

fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
