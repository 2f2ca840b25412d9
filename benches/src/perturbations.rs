//! What seeds mean in the steps that are measured.

use zograd_perturb::family::{FamilySpec, PerturbationSpec};

/// The families that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FamilyName {
    /// Noise in every weight.
    Dense,
    /// `U S V'` on each matrix.
    Subzero,
    /// `U V'` on each matrix.
    Lozo,
}

/// A family and its settings.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Family {
    /// What a seed means
    #[arg(long = "perturbation", value_enum, default_value_t = FamilyName::Dense)]
    pub name: FamilyName,
    /// Of the perturbations of a matrix, where they are of low rank
    #[arg(long = "perturbation-rank", default_value_t = 32)]
    pub rank: u64,
    /// Steps for which a subspace is kept
    #[arg(long, default_value_t = 1000)]
    pub refresh: u64,
}

impl Family {
    /// As a log has it.
    pub fn spec(self) -> PerturbationSpec {
        let Self {
            name,
            rank,
            refresh,
        } = self;
        PerturbationSpec::new(match name {
            FamilyName::Dense => FamilySpec::Dense,
            FamilyName::Subzero => FamilySpec::Subzero { rank, refresh },
            FamilyName::Lozo => FamilySpec::Lozo { rank, refresh },
        })
    }
}
