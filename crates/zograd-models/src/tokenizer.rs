//! Tokenizers of model folders.
//!
//! A folder has `tokenizer.json` (the whole tokenizer in one file) or, as the older OPT folders,
//! `vocab.json` and `merges.txt`; both give the same ids. What the files beside them say is followed:
//! `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`.

mod chat;
mod declared;
mod growth;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub(crate) use chat::chat_template;
pub use chat::{ChatFiles, chat};
use declared::Declared;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::{AddedToken, Tokenizer};
use zograd_weights::is_lfs_pointer;

use crate::config::ModelConfig;
use crate::gguf::{GgufError, GgufModel, is_gguf};

/// What OPT puts before every text and after every answer, unless another token is named.
const BOS: &str = "</s>";

/// What OPT pads batches with, unless another token is named.
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
    /// A GGUF file that is refused.
    #[error(transparent)]
    Gguf(Box<GgufError>),
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
        token: String,
    },
    /// An added token whose id is not the one it gets.
    #[error("{file} gives {token:?} the id {id}, but the vocabulary makes it {found}")]
    AddedId {
        /// The file that names the token.
        file: PathBuf,
        /// The token.
        token: String,
        /// Its id there.
        id: u32,
        /// The id of the vocabulary, or the next free one.
        found: u32,
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
/// before it, `</s>` and `<pad>` are special), unless the files beside them say otherwise:
///
/// | file | what it says |
/// |---|---|
/// | `tokenizer_config.json` | `add_bos_token`, `add_eos_token`, `bos_token` and the other tokens with a role (without `tokenizer.json`); `add_prefix_space`; `split_special_tokens`; `added_tokens_decoder`; `extra_special_tokens`, or `additional_special_tokens`, which may be new |
/// | `special_tokens_map.json`, `added_tokens.json` | the same of older folders, in which `tokenizer_config.json` has no `added_tokens_decoder` |
///
/// A GGUF file has its tokenizer in its metadata.
///
/// Merges are not dropped at random, as a `dropout` of `tokenizer.json` asks for while a tokenizer is trained with: a text
/// has the same ids each time. A warning says so.
///
/// # Errors
/// The folder has neither, or a file is not valid.
pub fn load(folder: &Path) -> Result<Tokenizer, TokenizerError> {
    if is_gguf(folder) {
        let tokenizer = GgufModel::open(folder).and_then(|model| model.tokenizer());
        return tokenizer.map_err(|error| TokenizerError::Gguf(error.into()));
    }
    let declared = Declared::read(folder)?;
    let split = declared.split_special;
    let mut tokenizer = from_files(folder, declared)?;
    tokenizer.set_encode_special_tokens(split);
    Ok(tokenizer)
}

fn from_files(folder: &Path, declared: Declared) -> Result<Tokenizer, TokenizerError> {
    let single = folder.join("tokenizer.json");
    if zograd_files::exists(&single) {
        return from_single(&single, declared);
    }
    let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    if !zograd_files::exists(&vocab) || !zograd_files::exists(&merges) {
        return Err(TokenizerError::Missing {
            folder: folder.to_owned(),
        });
    }
    from_vocab_and_merges(&vocab, &merges, declared)
}

/// `tokenizer.json`, which is whole; in Hugging Face `add_prefix_space` and added tokens it lacks still count.
fn from_single(file: &Path, declared: Declared) -> Result<Tokenizer, TokenizerError> {
    let text = read_text(file)?;
    growth::check(&text).map_err(|why| invalid(file, &why))?;
    // the library joins and cuts texts of the file by the lengths of others, unchecked: a merge longer
    // than every token of the vocabulary is a panic in it, for one
    let tokenizer = zograd_files::guarded(|| Tokenizer::from_bytes(text.as_bytes()))
        .map_err(|panic| invalid(file, &panic))?;
    let mut tokenizer = tokenizer.map_err(|error| invalid(file, &error))?;
    if let (Some(add), Some(PreTokenizerWrapper::ByteLevel(level))) =
        (declared.add_prefix_space, tokenizer.get_pre_tokenizer())
    {
        let level = ByteLevel::new(add, level.trim_offsets, level.use_regex);
        tokenizer.with_pre_tokenizer(Some(level));
    }
    without_dropout(&mut tokenizer, file);
    let mut lacking = declared;
    lacking
        .added
        .retain(|_, token| tokenizer.token_to_id(&token.content).is_none());
    let (roles, extra) = (lacking.special.clone(), lacking.extra.clone());
    add(&mut tokenizer, lacking)?;
    let is_new = |token: &AddedToken| tokenizer.token_to_id(&token.content).is_none();
    if extra.iter().any(is_new) {
        // in this order they get their ids
        let missing = roles.into_iter().chain(extra).filter(is_new);
        let missing: Vec<AddedToken> = missing.collect();
        tokenizer
            .add_special_tokens(missing)
            .map_err(|error| invalid(file, &error))?;
    }
    Ok(tokenizer)
}

/// Switches off that merges are left out at random.
fn without_dropout(tokenizer: &mut Tokenizer, file: &Path) {
    let ModelWrapper::BPE(bpe) = tokenizer.get_model() else {
        return;
    };
    if bpe.dropout.is_some_and(|share| share > 0.0) {
        tracing::warn!(
            "{}: its dropout is for training a tokenizer's model, and is left out: every text has the same ids each time",
            file.display()
        );
        let mut bpe = bpe.clone();
        bpe.dropout = None;
        tokenizer.with_model(bpe);
    }
}

fn from_vocab_and_merges(
    vocab: &Path,
    merges: &Path,
    declared: Declared,
) -> Result<Tokenizer, TokenizerError> {
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
    let add_prefix_space = declared.add_prefix_space.unwrap_or(false);
    let add_bos = declared.add_bos.unwrap_or(true);
    let named = |token: &Option<AddedToken>, usual: &str| {
        let listed = || declared.listed(usual);
        let usual = || AddedToken::from(usual, true).normalized(true);
        token.clone().or_else(listed).unwrap_or_else(usual)
    };
    let (bos, pad) = (named(&declared.bos, BOS), named(&declared.pad, PAD));
    let eos = declared.add_eos.then(|| named(&declared.eos, BOS));
    let (special, extra) = (declared.special.clone(), declared.extra.clone());
    add(&mut tokenizer, declared)?;
    for token in [&pad, &bos].into_iter().chain(&eos).chain(&special) {
        if tokenizer.token_to_id(&token.content).is_none() {
            return Err(TokenizerError::NoSpecial {
                file: vocab.to_owned(),
                token: token.content.clone(),
            });
        }
    }
    let first = add_bos.then_some(&bos);
    let ends = [first, eos.as_ref()].map(|token| {
        let id = tokenizer.token_to_id(&token?.content)?;
        Some((id, token?.content.clone()))
    });
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, true, true)))
        .with_decoder(Some(ByteLevel::default()))
        .add_special_tokens(special.into_iter().chain([pad, bos.clone()]).chain(extra))
        .map_err(|error| invalid(vocab, &error))?;
    let template = template(ends).map_err(|error| invalid(vocab, &error))?;
    tokenizer.with_post_processor(template);
    Ok(tokenizer)
}

/// What puts tokens, with these ids, before and after a text.
fn template(ends: [Option<(u32, String)>; 2]) -> Result<Option<TemplateProcessing>, String> {
    let mut tokens = Vec::new();
    // in a template a token has a name, which has no blanks
    let mut named = |name: &'static str, end: Option<(u32, String)>| match end {
        Some((id, content)) => {
            tokens.push(SpecialToken::new(name.to_owned(), vec![id], vec![content]));
            name
        }
        None => "",
    };
    let [first, last] = ends;
    let (first, last) = (named("bos", first), named("eos", last));
    let tokens: Result<Vec<_>, _> = tokens.into_iter().collect();
    let tokens = tokens.map_err(|error| error.to_string())?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let joined = |parts: &[&str]| {
        let parts = parts.iter().copied().filter(|part| !part.is_empty());
        parts.collect::<Vec<&str>>().join(" ")
    };
    let built = TemplateProcessing::builder()
        .try_single(joined(&[first, "$A", last]))
        .and_then(|template| template.try_pair(joined(&[first, "$A", last, first, "$B", last])))?
        .special_tokens(tokens)
        .build();
    built.map(Some).map_err(|error| error.to_string())
}

/// Gives a tokenizer the tokens that are declared beside it, each with the id it is declared with.
fn add(tokenizer: &mut Tokenizer, declared: Declared) -> Result<(), TokenizerError> {
    let Declared {
        added, added_file, ..
    } = declared;
    // new ids are given in order
    tokenizer
        .add_tokens(added.values().cloned())
        .map_err(|error| invalid(&added_file, &error))?;
    for (id, token) in added {
        match tokenizer.token_to_id(&token.content) {
            Some(found) if found == id => {}
            found => {
                return Err(TokenizerError::AddedId {
                    file: added_file,
                    token: token.content,
                    id,
                    found: found.unwrap_or_default(),
                });
            }
        }
    }
    Ok(())
}

/// The text of a file with a vocabulary, which may be large enough for git-lfs.
fn read_text(file: &Path) -> Result<String, TokenizerError> {
    let text = zograd_files::read_text(file, MAX_BYTES).map_err(|error| invalid(file, &error))?;
    if is_lfs_pointer(text.as_bytes()) {
        let reason = "it is a git-lfs pointer and not the file itself; git lfs pull, run in its folder, fetches it";
        return Err(invalid(file, &reason));
    }
    Ok(text)
}

/// Tokens and their ids: one JSON object.
fn read_vocab(file: &Path) -> Result<Vocab, TokenizerError> {
    let text = read_text(file)?;
    let tokens: HashMap<String, u32> =
        serde_json::from_str(&text).map_err(|error| invalid(file, &error))?;
    Ok(tokens.into_iter().collect())
}

/// The pairs of tokens that become one, by rank: two to a line, a space between them. A first line may
/// begin with `#version`.
fn read_merges(file: &Path) -> Result<Vec<(String, String)>, TokenizerError> {
    let text = read_text(file)?;
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
pub fn check_fits(tokenizer: &Tokenizer, config: &ModelConfig) -> Result<(), TokenizerError> {
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
