//! The types that weights are kept in.

use std::fmt;
use std::str::FromStr;

use burn::tensor::DType;
use serde::{Deserialize, Serialize};

/// Which type the weights of a model have in memory.
///
/// ```
/// use zograd_weights::Storage;
///
/// let storage: Storage = "bf16".parse()?;
/// assert_eq!(storage.to_string(), "bf16");
/// assert_eq!(Storage::try_from(burn::tensor::DType::BF16)?, storage);
/// # Ok::<(), zograd_weights::UnknownStorage>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Storage {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 11 of them for the digits.
    F16,
    /// 16 bits, with the range of 32.
    Bf16,
}

/// A type that weights cannot be kept in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("weights cannot be kept as {0}; use f32, f16 or bf16")]
pub struct UnknownStorage(pub String);

impl Storage {
    /// All of them, the widest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// As in files and settings: `f32`, `f16` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of a weight.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Storage {
    type Err = UnknownStorage;

    fn from_str(name: &str) -> Result<Self, UnknownStorage> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|storage| storage.name() == name);
        found.ok_or_else(|| UnknownStorage(name.to_owned()))
    }
}

impl From<Storage> for DType {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::F32 => Self::F32,
            Storage::F16 => Self::F16,
            Storage::Bf16 => Self::BF16,
        }
    }
}

impl TryFrom<DType> for Storage {
    type Error = UnknownStorage;

    fn try_from(dtype: DType) -> Result<Self, UnknownStorage> {
        match dtype {
            DType::F32 | DType::Flex32 => Ok(Self::F32),
            DType::F16 => Ok(Self::F16),
            DType::BF16 => Ok(Self::Bf16),
            other => Err(UnknownStorage(format!("{other:?}").to_lowercase())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for storage in Storage::ALL {
            assert_eq!(storage.to_string().parse(), Ok(storage));
            assert_eq!(Storage::try_from(DType::from(storage)), Ok(storage));
            let json = serde_json::to_string(&storage).expect("a name");
            assert_eq!(json, format!("\"{storage}\""));
            assert_eq!(serde_json::from_str::<Storage>(&json).ok(), Some(storage));
        }
        let error = "F32".parse::<Storage>().expect_err("capitals");
        assert!(error.to_string().contains("f32, f16 or bf16"), "{error}");
        assert!(Storage::try_from(DType::I32).is_err());
    }
}
