//! What is tuned: all weights, the head, or an adapter beside the weights.

use super::names::names;
use super::owner::Owner;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use zograd_models::{
    ADAPTERS, AdapterConfig, HEAD, LoraConfig, ModelConfig, PrefixConfig, PrefixInit, Projection,
};
use zograd_perturb::Selection;
use zograd_select::{Choice, Setting};

names! {
    /// What is tuned.
    pub enum Tune {
        Full = "full", "All weights";
        Lora = "lora", "Low-rank additions to projections (LoRA)";
        Prefix = "prefix", "Keys and values before every sequence (prefix tuning)";
        Head = "head", "The head alone, which gets a table of its own for it";
    }
}

impl Tune {
    /// Perturbation scale where none is given: a middle of those that the paper tries.
    pub fn default_eps(self) -> f64 {
        match self {
            Self::Full => 1e-3,
            Self::Lora | Self::Head => 1e-2,
            Self::Prefix => 1e-1,
        }
    }

    /// Learning rate where none is given: a middle of those that the paper tries, for gradient methods a customary
    /// one.
    pub fn default_lr(self, gradient: bool) -> f64 {
        match (self, gradient) {
            (Self::Full, false) => 1e-6,
            (Self::Lora, false) => 5e-5,
            (Self::Prefix, false) => 5e-3,
            (Self::Full, true) => 1e-5,
            (Self::Prefix, true) => 1e-3,
            (Self::Head, _) | (Self::Lora, true) => 1e-4,
        }
    }

    /// Which parameters move.
    pub fn selection(self) -> Selection {
        match self {
            Self::Full => Selection::All,
            Self::Lora | Self::Prefix => Selection::matching(ADAPTERS),
            Self::Head => Selection::matching([HEAD]),
        }
    }
}

/// What is tuned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TuneChoice {
    /// What is tuned.
    pub tune: Option<Tune>,
}

impl Owner for TuneChoice {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Tuning";
    const SETTINGS: &'static [Setting] = &[Setting::choice(
        "tune",
        "WHAT",
        "What is tuned; of an adapter (lora, prefix) only its own tensors move and are saved",
        Tune::CHOICES,
    )
    .or("full; head with linear-probing")];
}

/// The settings of LoRA.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LoraOptions {
    /// Rank.
    pub lora_r: Option<usize>,
    /// Scale times rank.
    pub lora_alpha: Option<f64>,
    /// What it adds to.
    pub lora_targets: Option<Vec<Projection>>,
}

/// The projections that LoRA can add to.
const PROJECTIONS: &[Choice] = &[
    Choice {
        name: "q_proj",
        help: "Queries",
    },
    Choice {
        name: "k_proj",
        help: "Keys",
    },
    Choice {
        name: "v_proj",
        help: "Values",
    },
    Choice {
        name: "out_proj",
        help: "What attention puts out, in OPT",
    },
    Choice {
        name: "fc1",
        help: "Into the feed-forward layer, in OPT",
    },
    Choice {
        name: "fc2",
        help: "Out of the feed-forward layer, in OPT",
    },
    Choice {
        name: "o_proj",
        help: "What attention puts out, in Llama and its kin",
    },
    Choice {
        name: "gate_proj",
        help: "The gate of the feed-forward layer, in Llama and its kin",
    },
    Choice {
        name: "up_proj",
        help: "Into the feed-forward layer, in Llama and its kin",
    },
    Choice {
        name: "down_proj",
        help: "Out of the feed-forward layer, in Llama and its kin",
    },
];

impl Owner for LoraOptions {
    const NAME: &'static str = "`tune = lora`";
    const HEADING: &'static str = "Tuning";
    const SETTINGS: &'static [Setting] = &[
        Setting::count("lora-r", "R", "Rank of LoRA's additions").or("8"),
        Setting::number(
            "lora-alpha",
            "ALPHA",
            "LoRA's additions are scaled by ALPHA / R",
        )
        .or("16"),
        Setting::choices(
            "lora-targets",
            "NAMES",
            "What LoRA adds to, with commas: q_proj, k_proj, v_proj; in OPT out_proj, fc1, fc2; in Llama and its kin o_proj, gate_proj, up_proj, down_proj",
            PROJECTIONS,
        )
        .or("q_proj,v_proj"),
    ];
}

impl LoraOptions {
    pub(super) fn complete(&mut self) -> AdapterConfig {
        let default = LoraConfig::default();
        let targets = self.lora_targets.get_or_insert(default.targets);
        // their order means nothing
        targets.sort_unstable();
        AdapterConfig::Lora(LoraConfig {
            r: *self.lora_r.get_or_insert(default.r),
            alpha: *self.lora_alpha.get_or_insert(default.alpha),
            rank_stabilized: default.rank_stabilized,
            targets: targets.clone(),
        })
    }
}

/// The settings of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PrefixOptions {
    /// Its length.
    pub prefix_tokens: Option<usize>,
    /// How it begins.
    pub prefix_init: Option<PrefixInit>,
}

const INITS: &[Choice] = &[
    Choice {
        name: "real",
        help: "The keys and values of random words",
    },
    Choice {
        name: "random",
        help: "Random numbers",
    },
];

impl Owner for PrefixOptions {
    const NAME: &'static str = "`tune = prefix`";
    const HEADING: &'static str = "Tuning";
    const SETTINGS: &'static [Setting] = &[
        Setting::count(
            "prefix-tokens",
            "N",
            "Key and value vectors of a prefix, in every layer",
        )
        .or("5"),
        Setting::choice("prefix-init", "HOW", "How a prefix begins", INITS).or("real"),
    ];
}

impl PrefixOptions {
    pub(super) fn complete(&mut self) -> AdapterConfig {
        let default = PrefixConfig::default();
        AdapterConfig::Prefix(PrefixConfig {
            tokens: *self.prefix_tokens.get_or_insert(default.tokens),
            init: *self.prefix_init.get_or_insert(default.init),
        })
    }
}

/// Refuses an adapter that the model cannot have, by the name of its setting.
///
/// # Errors
/// Such a setting.
pub(crate) fn check_adapter(adapter: Option<&AdapterConfig>, model: &ModelConfig) -> Result<()> {
    use crate::error::Blame;
    let Some(adapter) = adapter else {
        return Ok(());
    };
    model.check_adapter(adapter).or_input()
}
