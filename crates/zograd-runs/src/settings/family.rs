//! What a seed means, and the settings of those families that have any.

use super::given::Given;
use super::names::names;
use super::owner::{Owner, table};
use crate::error::{Blame, Result};
use serde::{Deserialize, Serialize};
use zograd_perturb::family::{BlockOrder, FamilySpec, MaskRule, PerturbationSpec, Scales};
use zograd_select::{Choice, Setting};

names! {
    /// A family of perturbations.
    pub enum FamilyName {
        Dense = "dense", "Noise in every weight";
        Subzero = "subzero", "Each matrix moves by U S V', with orthonormal U and V kept for some steps";
        Lozo = "lozo", "Each matrix moves by U V', with V kept for some steps";
        Blocks = "blocks", "One layer a step; what lies below it is computed once";
        Sparse = "sparse", "Some weights of each matrix, always the same";
    }
}

/// The settings of families of low rank.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LowRankOptions {
    /// Columns of the factors.
    pub perturbation_rank: Option<u64>,
    /// Steps for which a subspace is kept.
    pub refresh: Option<u64>,
}

impl Owner for LowRankOptions {
    const NAME: &'static str = "`perturbation = subzero` or lozo";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::count(
            "perturbation-rank",
            "R",
            "Rank of the perturbations of a matrix",
        )
        .or("32 with subzero; 2 with lozo"),
        Setting::count("refresh", "N", "Steps for which a subspace is kept")
            .or("1000 with subzero; 50 with lozo"),
    ];
}

/// The settings of `perturbation = blocks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BlockOptions {
    /// Which layer is the next.
    pub block_order: Option<BlockOrder>,
}

const ORDERS: &[Choice] = &[
    Choice {
        name: "in-turn",
        help: "What has no layer first, then layer by layer",
    },
    Choice {
        name: "random",
        help: "Any, drawn for each step",
    },
];

impl Owner for BlockOptions {
    const NAME: &'static str = "`perturbation = blocks`";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[Setting::choice(
        "block-order",
        "ORDER",
        "Which layer is the next to move",
        ORDERS,
    )
    .or("in-turn")];
}

/// The settings of `perturbation = sparse`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SparseOptions {
    /// Which weights move.
    pub mask: Option<MaskRule>,
    /// Their share of a matrix.
    pub density: Option<f64>,
}

const MASKS: &[Choice] = &[
    Choice {
        name: "random",
        help: "Any",
    },
    Choice {
        name: "small",
        help: "Those of the smallest magnitude at the start, matrix by matrix",
    },
    Choice {
        name: "large",
        help: "Those of the largest",
    },
];

impl Owner for SparseOptions {
    const NAME: &'static str = "`perturbation = sparse`";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::choice("mask", "RULE", "Which weights of a matrix move", MASKS).or("random"),
        Setting::number("density", "SHARE", "Share of the weights that move").or("0.25"),
    ];
}

/// Keys of the settings that some families have and others have not.
pub(super) const OF_FAMILIES: [&str; 5] = [
    "perturbation-rank",
    "refresh",
    "block-order",
    "mask",
    "density",
];

/// Takes the settings of a family, and fills in what was left open; with the settings as they are to be written.
///
/// # Errors
/// A setting out of its range.
pub(super) fn take(
    given: &mut Given,
    family: FamilyName,
    scales: Scales,
) -> Result<(PerturbationSpec, toml::Table)> {
    let mut written = toml::Table::new();
    let family = match family {
        FamilyName::Dense => FamilySpec::Dense,
        FamilyName::Subzero | FamilyName::Lozo => {
            let subzero = family == FamilyName::Subzero;
            let (rank, refresh) = if subzero { (32, 1000) } else { (2, 50) };
            let mut options: LowRankOptions = given.take()?;
            let rank = *options.perturbation_rank.get_or_insert(rank);
            let refresh = *options.refresh.get_or_insert(refresh);
            written.extend(table(&options)?);
            match subzero {
                true => FamilySpec::Subzero { rank, refresh },
                false => FamilySpec::Lozo { rank, refresh },
            }
        }
        FamilyName::Blocks => {
            let mut options: BlockOptions = given.take()?;
            let order = *options.block_order.get_or_insert_default();
            written.extend(table(&options)?);
            FamilySpec::Blocks { order }
        }
        FamilyName::Sparse => {
            let mut options: SparseOptions = given.take()?;
            let mask = *options.mask.get_or_insert_default();
            let density = *options.density.get_or_insert(0.25);
            written.extend(table(&options)?);
            FamilySpec::Sparse {
                mask,
                density,
                hash: None,
            }
        }
    };
    let mut spec = PerturbationSpec::new(family);
    spec.scales = scales;
    spec.check().or_input()?;
    Ok((spec, written))
}
