//! Tokenizers of model folders.
//!
//! A folder has `tokenizer.json` (the whole tokenizer in one file) or, as the older OPT folders,
//! `vocab.json` and `merges.txt`; both give the same ids.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use crate::config::OptConfig;

/// What OPT puts before every text and after every answer.
const BOS: &str = "</s>";

/// What OPT pads batches with.
const PAD: &str = "<pad>";

/// The largest file that is read: vocabularies have some megabytes.
pub(crate) const MAX_BYTES: u64 = 128 << 20;

/// Why a tokenizer could not be loaded, or does not fit a model.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// No tokenizer in the folder.
    #[error("{folder} holds no tokenizer; it needs tokenizer.json, or vocab.json and merges.txt")]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A tokenizer file that the tokenizers library refuses.
    #[error("{file} is not a valid tokenizer file: {reason}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A vocabulary without a token OPT needs.
    #[error("{file} has no {token}, which OPT's tokenizer needs")]
    NoSpecial {
        /// The vocabulary file.
        file: PathBuf,
        /// The token.
        token: &'static str,
    },
    /// The tokenizer can produce ids the model has no row for.
    #[error(
        "the tokenizer has {token:?} with id {id}, but the model's vocab_size is {vocab_size}; \
         tokenizer and model do not belong together"
    )]
    TooLarge {
        /// The token with the largest id.
        token: String,
        /// Its id.
        id: u32,
        /// `vocab_size` of the model.
        vocab_size: usize,
    },
}

/// Loads the tokenizer of a model folder: `tokenizer.json` if there is one, else the byte-level BPE
/// of `vocab.json` and `merges.txt` as OPT uses it (no space is put before the text, `</s>` is put
/// before it, `</s>` and `<pad>` are special).
///
/// # Errors
/// The folder has neither, or a file is not valid.
pub fn load(folder: &Path) -> Result<Tokenizer, TokenizerError> {
    let single = folder.join("tokenizer.json");
    if zograd_files::exists(&single) {
        let bytes = zograd_files::read(&single, MAX_BYTES).map_err(|e| invalid(&single, &e))?;
        // the library joins and cuts texts of the file by the lengths of others, unchecked: a merge longer
        // than every token of the vocabulary is a panic in it, for one
        let tokenizer = zograd_files::guarded(|| Tokenizer::from_bytes(&bytes))
            .map_err(|panic| invalid(&single, &panic))?;
        return tokenizer.map_err(|error| invalid(&single, &error));
    }
    let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    if !zograd_files::exists(&vocab) || !zograd_files::exists(&merges) {
        return Err(TokenizerError::Missing {
            folder: folder.to_owned(),
        });
    }
    from_vocab_and_merges(&vocab, &merges)
}

fn from_vocab_and_merges(vocab: &Path, merges: &Path) -> Result<Tokenizer, TokenizerError> {
    let (tokens, pairs) = (read_vocab(vocab)?, read_merges(merges)?);
    let unknown = |(a, b): &&(String, String)| !tokens.contains_key(&format!("{a}{b}"));
    if let Some((a, b)) = pairs.iter().find(unknown) {
        let reason =
            format!("it makes {a:?} and {b:?} one token, which the vocabulary does not have");
        return Err(invalid(merges, &reason));
    }
    let bpe = BPE::builder()
        .vocab_and_merges(tokens, pairs)
        .build()
        .map_err(|error| invalid(merges, &error))?;
    let mut tokenizer = Tokenizer::new(bpe);
    let special = |token: &'static str| {
        let id = tokenizer.token_to_id(token);
        id.ok_or_else(|| TokenizerError::NoSpecial {
            file: vocab.to_owned(),
            token,
        })
    };
    let bos = special(BOS)?;
    special(PAD)?;
    let prepend_bos = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))
        .and_then(|template| template.try_pair(format!("{BOS} $A {BOS} $B")))
        .map_err(|error| invalid(vocab, &error))?
        .special_tokens(vec![(BOS, bos)])
        .build()
        .map_err(|error| invalid(vocab, &error))?;
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
        .with_post_processor(Some(prepend_bos))
        .with_decoder(Some(ByteLevel::default()));
    let added = [PAD, BOS].map(|token| AddedToken::from(token, true).normalized(true));
    tokenizer
        .add_special_tokens(added)
        .map_err(|error| invalid(vocab, &error))?;
    Ok(tokenizer)
}

/// Tokens and their ids: one JSON object.
fn read_vocab(file: &Path) -> Result<Vocab, TokenizerError> {
    let bytes = zograd_files::read(file, MAX_BYTES).map_err(|error| invalid(file, &error))?;
    let tokens: HashMap<String, u32> =
        serde_json::from_slice(&bytes).map_err(|error| invalid(file, &error))?;
    Ok(tokens.into_iter().collect())
}

/// The pairs of tokens that become one, by rank: two to a line, a space between them. A first line may
/// begin with `#version`.
fn read_merges(file: &Path) -> Result<Vec<(String, String)>, TokenizerError> {
    let text = zograd_files::read_text(file, MAX_BYTES).map_err(|error| invalid(file, &error))?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.starts_with("#version"))
        .map(|(number, line)| match line.split_once(' ') {
            Some((a, b)) if !b.contains(' ') => Ok((a.to_owned(), b.to_owned())),
            _ => {
                let reason = format!("line {} is not a pair of tokens", number + 1);
                Err(invalid(file, &reason))
            }
        })
        .collect()
}

/// Checks that the model has a row for every id the tokenizer can produce. (The reverse does not
/// hold: OPT's table is padded to 50,272 rows for 50,265 tokens.)
///
/// # Errors
/// [`TokenizerError::TooLarge`] with the largest token.
pub fn check_fits(tokenizer: &Tokenizer, config: &OptConfig) -> Result<(), TokenizerError> {
    let vocabulary = tokenizer.get_vocab(true);
    match vocabulary.into_iter().max_by_key(|(_, id)| *id) {
        Some((token, id)) if id as usize >= config.vocab_size => Err(TokenizerError::TooLarge {
            token,
            id,
            vocab_size: config.vocab_size,
        }),
        _ => Ok(()),
    }
}

fn invalid(file: &Path, reason: &dyn std::fmt::Display) -> TokenizerError {
    TokenizerError::Invalid {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}
