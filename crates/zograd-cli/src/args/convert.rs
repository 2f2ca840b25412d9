//! Flags of `zograd convert`.

use super::shared::ModelArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use zograd_models::gguf::WrittenType;

/// `zograd convert`
#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The file, must not exist yet; its name ends in .gguf
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How matrices are stored; norms and biases are f32
    #[arg(long = "type", value_enum, default_value_t = FileType::F16)]
    pub written: FileType,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// How matrices are stored in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileType {
    F32,
    F16,
    Bf16,
    /// 8 bits, a scale for each 32 weights
    #[value(name = "q8_0")]
    Q8,
}

impl From<FileType> for WrittenType {
    fn from(written: FileType) -> Self {
        match written {
            FileType::F32 => Self::F32,
            FileType::F16 => Self::F16,
            FileType::Bf16 => Self::BF16,
            FileType::Q8 => Self::Q8_0,
        }
    }
}
