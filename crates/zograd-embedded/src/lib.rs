//! A tiny OPT checkpoint and a small task that ship with zograd, so that it can be tried at once:
//! without a download, without a data set, and in a minute on two cores.
//!
//! This crate holds bytes and knows nothing of their meaning; [`unpack`] writes them out as an
//! ordinary Hugging Face model folder and an ordinary data folder, so that the built-in model takes
//! the same way through every program as any other. `cargo xtask embed` made the files; `README.md`
//! among them ([`README`]) says how, and what the model can do before it is tuned.
//!
//! ```
//! let folder = std::env::temp_dir().join(format!("zograd-doc-{}", std::process::id()));
//! zograd_embedded::unpack(&folder)?;
//! assert!(folder.join("model/model.safetensors").is_file());
//! assert!(folder.join("data/train.jsonl").is_file());
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

use std::fs;
use std::io;
use std::path::Path;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The weights: safetensors, f16, named as in Hugging Face's `OPTForCausalLM`.
pub const MODEL: &[u8] = include_bytes!("../assets/model.safetensors");

/// The shape of the model: Hugging Face's `config.json`.
pub const CONFIG: &str = include_str!("../assets/config.json");

/// The tokenizer: `tokenizer.json` of the `tokenizers` library, a byte-level BPE that puts `</s>`
/// (id 2) before a text, as OPT's does.
pub const TOKENIZER: &str = include_str!("../assets/tokenizer.json");

/// Training rows of the task, JSON lines in the layout of SST-2: `sentence`, `label` (0 negative,
/// 1 positive) and `idx`. Rows of even index are negative.
pub const TRAIN: &str = include_str!("../assets/train.jsonl");

/// Validation rows of the task, laid out as [`TRAIN`]. None of them is a training row.
pub const VALIDATION: &str = include_str!("../assets/validation.jsonl");

/// How the files were made and what was measured on them, as Markdown.
pub const README: &str = include_str!("../assets/README.md");

/// All files, with the paths they have where they are unpacked:
///
/// | path | what |
/// |---|---|
/// | `model/` | `model.safetensors`, `config.json`, `tokenizer.json` |
/// | `data/` | `train.jsonl`, `validation.jsonl` |
/// | `README.md` | [`README`] |
pub const FILES: [(&str, &[u8]); 6] = [
    ("model/model.safetensors", MODEL),
    ("model/config.json", CONFIG.as_bytes()),
    ("model/tokenizer.json", TOKENIZER.as_bytes()),
    ("data/train.jsonl", TRAIN.as_bytes()),
    ("data/validation.jsonl", VALIDATION.as_bytes()),
    ("README.md", README.as_bytes()),
];

/// Writes the [`FILES`] under `folder`, which is created if it is missing.
///
/// Files that are there already are overwritten.
///
/// # Errors
///
/// A folder or file cannot be written; the message names it.
pub fn unpack(folder: &Path) -> io::Result<()> {
    for (path, bytes) in FILES {
        let path = folder.join(path);
        write(&path, bytes).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write {}: {error}", path.display()),
            )
        })?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "a copy of what is in here, which can be unpacked again; this crate depends on nothing"
    )]
    fs::write(path, bytes)
}
