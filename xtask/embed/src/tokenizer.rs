//! The byte-level BPE tokenizer of the toy language, in the layout of OPT's.

use anyhow::{Result, anyhow};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::{AddedToken, Tokenizer};

/// `<s>`, `<pad>`, `</s>`, `<unk>` have the ids 0 to 3, as in OPT.
pub const SPECIALS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// Begin and end of a document: `</s>`, as in OPT.
pub const BOS: u32 = 2;

/// Trains a tokenizer with at most `vocab_size` entries on `documents`: the four special tokens, all
/// 256 bytes, and merges.
///
/// # Errors
///
/// Whatever the `tokenizers` crate reports.
pub fn train<'a>(
    documents: impl Iterator<Item = &'a str> + Send,
    vocab_size: usize,
) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(true, true, true)));
    let specials: Vec<AddedToken> = SPECIALS
        .iter()
        .map(|&token| AddedToken::from(token, true).normalized(false))
        .collect();
    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(vocab_size)
        .special_tokens(specials)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    tokenizer
        .train(&mut trainer, documents)
        .map_err(|error| anyhow!("training the tokenizer: {error}"))?;
    let template = TemplateProcessing::builder()
        .try_single("</s> $A")
        .and_then(|builder| builder.try_pair("</s> $A </s> $B"))
        .map_err(|error| anyhow!("the tokenizer's template: {error}"))?
        .special_tokens(vec![SpecialToken::from(("</s>", BOS))])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Documents;
    use std::collections::HashSet;
    use zograd_direction::Seed;

    fn small() -> Tokenizer {
        let none = HashSet::new();
        let texts: Vec<String> = Documents::new(Seed::new(3), &none).take(2000).collect();
        train(texts.iter().map(String::as_str), 512).expect("trains")
    }

    #[test]
    fn has_the_layout_of_opt() {
        let tokenizer = small();
        assert_eq!(tokenizer.get_vocab_size(true), 512);
        for (id, token) in (0..).zip(SPECIALS) {
            assert_eq!(tokenizer.token_to_id(token), Some(id));
        }
        let text = "the soup was not stale . It was great";
        let ids = tokenizer.encode(text, true).expect("encodes");
        assert_eq!(ids.get_ids()[0], BOS);
        let plain = tokenizer.encode(text, false).expect("encodes");
        assert_eq!(&ids.get_ids()[1..], plain.get_ids());
        assert_eq!(
            tokenizer.decode(plain.get_ids(), true).expect("decodes"),
            text
        );
    }

    /// Both answers of the task are one token: no tails are needed to score them.
    #[test]
    fn verdicts_are_single_tokens() {
        let tokenizer = small();
        for word in [" great", " terrible"] {
            let ids = tokenizer.encode(word, false).expect("encodes");
            assert_eq!(ids.len(), 1, "{word}: {:?}", ids.get_tokens());
        }
    }

    #[test]
    fn training_is_deterministic() {
        let text = |t: &Tokenizer| t.to_string(true).expect("serialises");
        assert_eq!(text(&small()), text(&small()));
    }
}
