//! Damage to bytes.

use proptest::prelude::*;
use proptest::sample::Index;

/// Numbers that lengths and counts are replaced by.
pub const NUMBERS: [u64; 16] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 7,
    u64::MAX,
];

#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Byte(Index, u8),
    Truncate(Index),
    Insert(Index, Vec<u8>),
    Delete(Index, u16),
    /// 1, 2, 4 or 8 bytes of a number, little- or big-endian.
    Number {
        at: Index,
        value: u64,
        width: usize,
        big: bool,
    },
    /// Bytes from elsewhere put in between.
    Splice {
        from: Index,
        to: Index,
        length: u16,
    },
}

/// `original` after one to four changes.
pub fn damaged(original: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(change(), 1..5).prop_map(move |changes| {
        let mut bytes = original.clone();
        for change in &changes {
            apply(&mut bytes, change);
        }
        bytes
    })
}

/// All beginnings of `original` but itself.
pub fn truncations(original: &[u8]) -> impl ExactSizeIterator<Item = Vec<u8>> {
    (0..original.len()).map(|length| original[..length].to_vec())
}

/// `original` with each of its bits flipped.
pub fn flips(original: &[u8]) -> impl ExactSizeIterator<Item = Vec<u8>> {
    (0..original.len() * 8).map(|bit| {
        let mut bytes = original.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    })
}

/// `original` with each of [`NUMBERS`] at each place in 4 and in 8 bytes.
pub fn numbers(original: &[u8]) -> impl ExactSizeIterator<Item = Vec<u8>> {
    (0..original.len() * NUMBERS.len() * 2).map(|case| {
        let (case, width) = (case / 2, [4, 8][case % 2]);
        let mut bytes = original.to_vec();
        let at = case / NUMBERS.len();
        write(&mut bytes, at, NUMBERS[case % NUMBERS.len()], width, false);
        bytes
    })
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop::sample::select(NUMBERS.to_vec());
    let width = prop::sample::select(vec![1, 2, 4, 8]);
    prop_oneof![
        3 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        1 => any::<Index>().prop_map(Change::Truncate),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (any::<Index>(), 1u16..64).prop_map(|(at, length)| Change::Delete(at, length)),
        3 => (any::<Index>(), number, width, any::<bool>())
            .prop_map(|(at, value, width, big)| Change::Number { at, value, width, big }),
        1 => (any::<Index>(), any::<Index>(), 1u16..256)
            .prop_map(|(from, to, length)| Change::Splice { from, to, length }),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match change {
        Change::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Change::Byte(at, byte) => bytes[at.index(length)] = *byte,
        Change::Truncate(at) => bytes.truncate(at.index(length)),
        Change::Insert(at, more) => {
            let at = at.index(length + 1);
            bytes.splice(at..at, more.iter().copied());
        }
        Change::Delete(at, count) => {
            let at = at.index(length);
            bytes.drain(at..(at + usize::from(*count)).min(length));
        }
        Change::Number {
            at,
            value,
            width,
            big,
        } => write(bytes, at.index(length), *value, *width, *big),
        Change::Splice {
            from,
            to,
            length: count,
        } => {
            let from = from.index(length);
            let piece = bytes[from..(from + usize::from(*count)).min(length)].to_vec();
            let to = to.index(length + 1);
            bytes.splice(to..to, piece);
        }
    }
}

fn write(bytes: &mut [u8], at: usize, value: u64, width: usize, big: bool) {
    let mut number = value.to_le_bytes();
    if big {
        number[..width].reverse();
    }
    for (byte, new) in bytes[at..].iter_mut().zip(&number[..width]) {
        *byte = *new;
    }
}
