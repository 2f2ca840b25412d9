//! Long texts, tokenised in pieces: the tokenizers library takes several hundred bytes of memory for each byte of a text, and
//! of a long one the model reads the end alone.

use super::PromptError;
use std::ops::Range;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

/// Bytes of a piece.
const PIECE: usize = 1 << 16;

/// Bytes on each side of a place that are looked at to tell whether a token ends there.
const AROUND: usize = 256;

/// Places that are looked at before a text is left whole.
const TRIES: usize = 64;

/// The tokens of a text: how many there are, and the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    /// At most as many as were asked for.
    pub last: Vec<u32>,
    /// All of them.
    pub count: usize,
}

impl Tokens {
    /// Those of a text without the tokenizer's own special tokens, and the `most` last of them.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn of(text: &str, most: usize, tokenizer: &Tokenizer) -> Result<Self, PromptError> {
        let mut tokens = Self {
            last: Vec::new(),
            count: 0,
        };
        let mut rest = text;
        while let Some(end) = piece(rest, tokenizer)? {
            let (piece, after) = rest.split_at(end);
            tokens.push(&ids(piece, tokenizer)?, most);
            rest = after;
        }
        tokens.push(&ids(rest, tokenizer)?, most);
        // there may be tens of thousands
        tokens.last.shrink_to_fit();
        Ok(tokens)
    }

    fn push(&mut self, ids: &[u32], most: usize) {
        self.count += ids.len();
        self.last.extend(ids);
        let more = self.last.len().saturating_sub(most);
        self.last.drain(..more);
    }
}

/// All tokens of a text without the tokenizer's own special tokens, each with the bytes of the text that it stands for.
///
/// # Errors
/// [`PromptError::Tokenizer`].
pub(super) fn located(
    text: &str,
    tokenizer: &Tokenizer,
) -> Result<Vec<(u32, Range<usize>)>, PromptError> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut push = |piece: &str, start: usize| {
        let encoding = guarded(|| tokenizer.encode(piece, false))?;
        let places = encoding.get_offsets().iter();
        let places = places.map(|(from, to)| start + from..start + to);
        all.extend(encoding.get_ids().iter().copied().zip(places));
        Ok(())
    };
    while let Some(length) = piece(&text[start..], tokenizer)? {
        push(&text[start..start + length], start)?;
        start += length;
    }
    push(&text[start..], start)?;
    Ok(all)
}

/// Where the first piece of a long text ends: between a letter or digit and a mark or blank. Tokenizers that split a text
/// into words before anything else have no token there that goes on, and what follows does not depend on what was before. It
/// is looked at all the same whether that is so.
fn piece(text: &str, tokenizer: &Tokenizer) -> Result<Option<usize>, PromptError> {
    if text.len() <= PIECE || !splits(tokenizer) {
        return Ok(None);
    }
    let start = text.floor_char_boundary(PIECE);
    let mut before = None;
    let mut tries = 0;
    for (place, c) in text[start..].char_indices() {
        let goes_on = before.is_none_or(|before: char| !before.is_alphanumeric());
        before = Some(c);
        if goes_on || !ends_word(c) {
            continue;
        }
        if is_between(text, start + place, tokenizer)? {
            return Ok(Some(start + place));
        }
        tries += 1;
        if tries == TRIES {
            break;
        }
    }
    Ok(None)
}

/// Whether a character ends the word before it. An apostrophe may belong to it.
fn ends_word(c: char) -> bool {
    let is_mark = |c: char| c.is_ascii_punctuation() && c != '\'';
    // and those of East Asia, whose texts have no blanks
    c == ' ' || is_mark(c) || ('\u{3001}'..='\u{3011}').contains(&c) || c == '\u{ff0c}'
}

/// Whether the tokenizer splits texts into words.
fn splits(tokenizer: &Tokenizer) -> bool {
    match tokenizer.get_pre_tokenizer() {
        Some(PreTokenizerWrapper::ByteLevel(level)) => level.use_regex,
        // its words may go on over blanks
        None | Some(PreTokenizerWrapper::Metaspace(_)) => false,
        Some(_) => true,
    }
}

/// Whether the tokens around a place are those before it and those after it.
fn is_between(text: &str, place: usize, tokenizer: &Tokenizer) -> Result<bool, PromptError> {
    let start = text.floor_char_boundary(place.saturating_sub(AROUND));
    let end = text.ceil_char_boundary((place + AROUND).min(text.len()));
    let mut apart = ids(&text[start..place], tokenizer)?;
    apart.extend(ids(&text[place..end], tokenizer)?);
    Ok(ids(&text[start..end], tokenizer)? == apart)
}

fn ids(text: &str, tokenizer: &Tokenizer) -> Result<Vec<u32>, PromptError> {
    let encoding = guarded(|| tokenizer.encode_fast(text, false))?;
    Ok(encoding.get_ids().to_vec())
}

/// The parts of a tokenizer look each other's tokens up without asking whether they are there, so a file
/// whose parts do not fit together is a panic of the library on the first text that needs them.
pub(super) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, PromptError> {
    zograd_files::guarded(work)
        .unwrap_or_else(|panic| Err(panic.into()))
        .map_err(|source| PromptError::Tokenizer { source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    /// Byte-level tokenizers with the patterns of GPT-2 and of Llama 3, some merges, and a token with a blank in it.
    fn tokenizers() -> Vec<Tokenizer> {
        let level = |regex| {
            format!(
                r#"{{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": {regex}}}"#
            )
        };
        let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
        let split = format!(
            r#"{{"type": "Sequence", "pretokenizers": [{{"type": "Split", "pattern": {{"Regex": "{pattern}"}}, "behavior": "Isolated", "invert": false}}, {}]}}"#,
            level(false)
        );
        let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        let mut tokens: Vec<String> = alphabet.into_iter().map(String::from).collect();
        tokens.sort();
        tokens.extend(
            ["ab", "\u{120}a", "\u{120}ab", "12", "!!", "\u{120}\u{120}"].map(String::from),
        );
        let vocab: Vec<String> = tokens
            .iter()
            .enumerate()
            .map(|(id, token)| format!("{}: {id}", serde_json::to_string(token).expect("JSON")))
            .collect();
        let vocab = vocab.join(", ");
        [level(true), split]
            .into_iter()
            .map(|split| {
                let json = format!(
                    r#"{{"version": "1.0", "pre_tokenizer": {split}, "decoder": null, "post_processor": null, "normalizer": null,
                    "added_tokens": [{{"id": 600, "content": "b c", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false}}],
                    "model": {{"type": "BPE", "vocab": {{{vocab}}}, "merges": ["a b", "\u0120 a", "\u0120a b", "1 2", "! !", "\u0120 \u0120"]}}}}"#
                );
                Tokenizer::from_str(&json).expect("a tokenizer")
            })
            .collect()
    }

    #[test]
    fn pieces_have_the_tokens_of_the_whole() {
        for tokenizer in tokenizers() {
            for unit in [
                "word ",
                "!a1!a1",
                "ab  ab\n\n c'd 12345, (x) ",
                "b c b c ",
                "\u{4f60}\u{597d}\u{3002}",
                "e\u{301}, \u{e9}. ",
                "aaaa",
            ] {
                let text = unit.repeat(3 * PIECE / unit.len() + 7);
                let whole = ids(&text, &tokenizer).expect("encodes");
                let tokens = Tokens::of(&text, usize::MAX, &tokenizer).expect("encodes");
                assert!(tokens.last == whole, "{unit:?}");
                assert_eq!(tokens.count, whole.len());
                let tokens = Tokens::of(&text, 100, &tokenizer).expect("encodes");
                assert!(tokens.last == whole[whole.len() - 100..], "{unit:?}");
                assert_eq!(tokens.count, whole.len());
                // a token of this text has a blank, a word of that one no end
                let is_cut = piece(&text, &tokenizer).expect("encodes").is_some();
                assert_eq!(is_cut, !unit.contains("aaaa"), "{unit:?}");
                let located = located(&text, &tokenizer).expect("encodes");
                let encoding = tokenizer.encode(text.as_str(), false).expect("encodes");
                let places = encoding.get_offsets().iter().map(|(from, to)| *from..*to);
                let expected: Vec<_> = whole.iter().copied().zip(places).collect();
                assert!(located == expected, "{unit:?}");
            }
        }
    }
}
