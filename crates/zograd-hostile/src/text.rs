//! Damage to text in lines: words, lines, quotes, brackets.

use crate::bytes;
use crate::json::VALUES;
use proptest::prelude::*;
use proptest::sample::Index;

/// What else words are replaced by.
const WORDS: [&[u8]; 12] = [
    b"[",
    b"]]",
    b"=",
    b"\"\"\"",
    b"'",
    b"#",
    b"+inf",
    b"-nan",
    b"0x7fffffffffffffff",
    b"0b1",
    b"1979-05-27T07:32:00Z",
    b"\xff\xfe",
];

#[derive(Clone, Debug)]
enum Change {
    Word(Index, usize),
    RemoveLine(Index),
    RepeatLine(Index, u8),
    SwapLines(Index, Index),
    /// Very many opening brackets in place of a word.
    Deep(Index, bool),
}

/// `original` after one to three changes; sometimes also with damaged bytes.
pub fn damaged(original: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let lines: Vec<Vec<u8>> = original
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let changed = prop::collection::vec(change(), 1..4).prop_map(move |changes| {
        let mut lines = lines.clone();
        for change in &changes {
            apply(&mut lines, change);
        }
        lines.concat()
    });
    prop_oneof![4 => changed, 1 => bytes::damaged(original.to_vec())]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (any::<Index>(), 0..VALUES.len() + WORDS.len()).prop_map(|(at, w)| Change::Word(at, w)),
        1 => any::<Index>().prop_map(Change::RemoveLine),
        1 => (any::<Index>(), 1u8..4).prop_map(|(at, n)| Change::RepeatLine(at, n)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::SwapLines(a, b)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, curly)| Change::Deep(at, curly)),
    ]
}

fn apply(lines: &mut Vec<Vec<u8>>, change: &Change) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len();
    match change {
        Change::Word(at, word) => {
            let word = match VALUES.get(*word) {
                Some(value) => value,
                None => WORDS[word - VALUES.len()],
            };
            replace_word(lines, *at, word);
        }
        Change::Deep(at, curly) => {
            let bracket: &[u8] = if *curly { b"{a=" } else { b"[" };
            replace_word(lines, *at, &bracket.repeat(100_000));
        }
        Change::RemoveLine(at) => drop(lines.remove(at.index(count))),
        Change::RepeatLine(at, times) => {
            let at = at.index(count);
            let line = lines[at].clone();
            lines.splice(at..at, vec![line; usize::from(*times)]);
        }
        Change::SwapLines(a, b) => lines.swap(a.index(count), b.index(count)),
    }
}

/// Puts `word` in place of one of the runs of letters and digits, or of the bytes between them.
fn replace_word(lines: &mut [Vec<u8>], at: Index, word: &[u8]) {
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let pieces = |line: &[u8]| -> Vec<Vec<u8>> {
        let runs = line.chunk_by(|a, b| of_word(a) == of_word(b));
        runs.map(<[u8]>::to_vec).collect()
    };
    let count: usize = lines.iter().map(|line| pieces(line).len()).sum();
    if count == 0 {
        return;
    }
    let mut number = at.index(count);
    for line in lines {
        let mut pieces = pieces(line);
        if let Some(piece) = pieces.get_mut(number) {
            *piece = word.to_vec();
            *line = pieces.concat();
            return;
        }
        number -= pieces.len();
    }
}
