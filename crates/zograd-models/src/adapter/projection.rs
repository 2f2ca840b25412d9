//! The linear maps of a layer that an adapter can add to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A linear map of a layer, by the last part of its name. No family has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names of the modules")]
pub enum Projection {
    QProj,
    KProj,
    VProj,
    OutProj,
    Fc1,
    Fc2,
    OProj,
    GateProj,
    UpProj,
    DownProj,
}

/// A name that no projection of a layer has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no projection of a layer; use {names}", names = Projection::ALL.map(Projection::name).join(", "))]
pub struct UnknownProjection(pub String);

impl Projection {
    /// All of them: OPT's, then those that Llama and its kin have besides.
    pub const ALL: [Self; 10] = [
        Self::QProj,
        Self::KProj,
        Self::VProj,
        Self::OutProj,
        Self::Fc1,
        Self::Fc2,
        Self::OProj,
        Self::GateProj,
        Self::UpProj,
        Self::DownProj,
    ];

    /// As in files and on the command line: `q_proj`.
    pub fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OutProj => "out_proj",
            Self::Fc1 => "fc1",
            Self::Fc2 => "fc2",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    /// The one with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, UnknownProjection> {
        let found = Self::ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| UnknownProjection(name.to_owned()))
    }

    /// Path within a layer.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Fc1 | Self::Fc2 => self.name().to_owned(),
            Self::GateProj | Self::UpProj | Self::DownProj => format!("mlp.{}", self.name()),
            _ => format!("self_attn.{}", self.name()),
        }
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
