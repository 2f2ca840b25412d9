//! The zip archives that `torch.save` writes: entries stored as they are, uncompressed.
//!
//! Only the directory at the end of the file is read, field by field from memory, and every entry must lie
//! within the file, so that no length in it is believed further than the file goes. (Format: PKWARE's
//! APPNOTE 6.3.10, sections 4.3.12 to 4.3.16.)

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The first bytes of an archive.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// The largest directory: some hundred bytes for each of 100,000 entries.
const MAX_DIRECTORY: u64 = 16 << 20;

const END: u32 = 0x0605_4b50;
const END_64_LOCATOR: u32 = 0x0706_4b50;
const END_64: u32 = 0x0606_4b50;
const DIRECTORY_ENTRY: u32 = 0x0201_4b50;
const LOCAL_HEADER: u32 = 0x0403_4b50;

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub start: u64,
    pub bytes: u64,
    /// CRC-32 of the piece, where the file has one.
    pub crc: Option<u32>,
}

/// The entries of an archive, by name.
pub(super) fn directory(file: &mut File) -> Result<HashMap<String, Region>, String> {
    let size = file.metadata().map_err(text)?.len();
    let (start, length) = find_directory(file, size)?;
    if length > MAX_DIRECTORY || start.checked_add(length).is_none_or(|end| end > size) {
        return Err(format!(
            "its directory of {length} bytes does not fit; at most {MAX_DIRECTORY} are read"
        ));
    }
    let bytes = read(file, start, length as usize)?;
    let mut rest = bytes.as_slice();
    let mut entries = HashMap::new();
    while !rest.is_empty() {
        let (name, header, region) = entry(&mut rest).ok_or("its directory is damaged")?;
        let region =
            locate(file, size, header, region).map_err(|why| format!("{name:?}: {why}"))?;
        if entries.insert(name.clone(), region).is_some() {
            return Err(format!("it has two entries {name:?}"));
        }
    }
    Ok(entries)
}

/// Where the directory is and how long, from the record at the end of the file.
fn find_directory(file: &mut File, size: u64) -> Result<(u64, u64), String> {
    // the record has 22 bytes and may be followed by a comment, which torch does not write
    let end = size.checked_sub(22).ok_or("it is cut off")?;
    let bytes = read(file, end, 22)?;
    let mut rest = bytes.as_slice();
    let fields = || -> Option<(u64, u64)> {
        (number::<4>(&mut rest)? == u64::from(END)).then_some(())?;
        // disks and numbers of entries
        take(&mut rest, 8)?;
        let length = number::<4>(&mut rest)?;
        Some((number::<4>(&mut rest)?, length))
    };
    let mut fields = fields;
    let (start, length) = fields().ok_or("it is cut off: no directory at its end")?;
    let large = u64::from(u32::MAX);
    if start != large && length != large {
        return Ok((start, length));
    }
    // sizes beyond 32 bits: a locator before the record leads to a larger one
    let locator = end.checked_sub(20).ok_or("it is cut off")?;
    let bytes = read(file, locator, 20)?;
    let mut rest = bytes.as_slice();
    let mut place = || -> Option<u64> {
        (number::<4>(&mut rest)? == u64::from(END_64_LOCATOR)).then_some(())?;
        take(&mut rest, 4)?;
        number::<8>(&mut rest)
    };
    let place = place().ok_or("its directory is damaged")?;
    if place.checked_add(56).is_none_or(|end| end > size) {
        return Err("its directory is damaged".to_owned());
    }
    let bytes = read(file, place, 56)?;
    let mut rest = bytes.as_slice();
    let mut fields = || -> Option<(u64, u64)> {
        (number::<4>(&mut rest)? == u64::from(END_64)).then_some(())?;
        // its size, versions, disks and numbers of entries
        take(&mut rest, 36)?;
        let length = number::<8>(&mut rest)?;
        Some((number::<8>(&mut rest)?, length))
    };
    fields().ok_or_else(|| "its directory is damaged".to_owned())
}

/// What the directory says of an entry: its name, where its local header is, and the piece it is without
/// its start; the piece has no bytes if it is compressed.
struct Listed {
    compressed: bool,
    bytes: u64,
    crc: u32,
}

fn entry(rest: &mut &[u8]) -> Option<(String, u64, Listed)> {
    (number::<4>(rest)? == u64::from(DIRECTORY_ENTRY)).then_some(())?;
    // versions and flags
    take(rest, 6)?;
    let method = number::<2>(rest)?;
    // time and date
    take(rest, 4)?;
    let crc = u32::try_from(number::<4>(rest)?).ok()?;
    let (mut stored, mut bytes) = (number::<4>(rest)?, number::<4>(rest)?);
    let (name, extra, comment) = (number::<2>(rest)?, number::<2>(rest)?, number::<2>(rest)?);
    // disk and attributes
    take(rest, 8)?;
    let mut header = number::<4>(rest)?;
    let name = String::from_utf8(take(rest, name as usize)?.to_vec()).ok()?;
    let mut extra = take(rest, extra as usize)?;
    take(rest, comment as usize)?;
    while !extra.is_empty() {
        let (kind, length) = (number::<2>(&mut extra)?, number::<2>(&mut extra)?);
        let mut field = take(&mut extra, length as usize)?;
        if kind == 1 {
            // the fields that did not fit, in this order
            for value in [&mut bytes, &mut stored, &mut header] {
                if *value == u64::from(u32::MAX) {
                    *value = number::<8>(&mut field)?;
                }
            }
        }
    }
    let compressed = method != 0 || stored != bytes;
    let listed = Listed {
        compressed,
        bytes,
        crc,
    };
    Some((name, header, listed))
}

/// Finds the bytes of an entry behind its local header.
fn locate(file: &mut File, size: u64, header: u64, listed: Listed) -> Result<Region, String> {
    if listed.compressed {
        return Err(
            "it is compressed, which torch does not do; unpack and save it again".to_owned(),
        );
    }
    let outside = || "it lies outside the file".to_owned();
    if header.checked_add(30).is_none_or(|end| end > size) {
        return Err(outside());
    }
    let bytes = read(file, header, 30)?;
    let mut rest = bytes.as_slice();
    let mut lengths = || -> Option<u64> {
        (number::<4>(&mut rest)? == u64::from(LOCAL_HEADER)).then_some(())?;
        take(&mut rest, 22)?;
        Some(number::<2>(&mut rest)? + number::<2>(&mut rest)?)
    };
    let lengths = lengths().ok_or("its header is damaged")?;
    let start = header + 30 + lengths;
    if start.checked_add(listed.bytes).is_none_or(|end| end > size) {
        return Err(outside());
    }
    Ok(Region {
        start,
        bytes: listed.bytes,
        crc: Some(listed.crc),
    })
}

fn read(file: &mut File, start: u64, length: usize) -> Result<Vec<u8>, String> {
    file.seek(SeekFrom::Start(start)).map_err(text)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(text)?;
    Ok(bytes)
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(take(rest, N)?);
    Some(u64::from_le_bytes(wide))
}
