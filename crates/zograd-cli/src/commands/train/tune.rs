//! What is tuned: all weights, or an adapter beside them.

use super::interrupted::Interrupted;
use crate::args::{TrainArgs, TuneName};
use crate::backend::TrainBackend;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use zograd_models::{
    ADAPTERS, AdapterConfig, AdapterError, BaseNote, HEAD, LoraConfig, Opt, OptConfig,
    PrefixConfig, save_adapter,
};
use zograd_perturb::Selection;
use zograd_trainer::trajectory::AdapterStart;

/// Perturbation scale where none is given: a middle of those that the paper tries.
pub fn default_eps(tune: TuneName) -> f64 {
    match tune {
        TuneName::Full => 1e-3,
        TuneName::Lora | TuneName::Head => 1e-2,
        TuneName::Prefix => 1e-1,
    }
}

/// Learning rate where none is given: a middle of those that the paper tries, for gradient methods a customary one.
pub fn default_lr(tune: TuneName, gradient: bool) -> f64 {
    match (tune, gradient) {
        (TuneName::Full, false) => 1e-6,
        (TuneName::Lora, false) => 5e-5,
        (TuneName::Prefix, false) => 5e-3,
        (TuneName::Full, true) => 1e-5,
        (TuneName::Prefix, true) => 1e-3,
        (TuneName::Head, _) | (TuneName::Lora, true) => 1e-4,
    }
}

/// The adapter that the flags describe, its defaults filled in; `None` where all weights are tuned.
///
/// # Errors
/// A flag of another way of tuning.
pub fn resolve(r: &mut TrainArgs) -> Result<Option<AdapterConfig>> {
    let tune = *r.tune.get_or_insert(TuneName::Full);
    let lora = [
        ("--lora-r", r.lora_r.is_some()),
        ("--lora-alpha", r.lora_alpha.is_some()),
        ("--lora-targets", r.lora_targets.is_some()),
    ];
    let prefix = [
        ("--prefix-tokens", r.prefix_tokens.is_some()),
        ("--prefix-init", r.prefix_init.is_some()),
    ];
    for (flags, owner, name) in [
        (&lora[..], TuneName::Lora, "lora"),
        (&prefix[..], TuneName::Prefix, "prefix"),
    ] {
        if tune != owner
            && let Some((flag, _)) = flags.iter().find(|(_, given)| *given)
        {
            bail!("{flag}: only --tune {name} has it");
        }
    }
    Ok(match tune {
        TuneName::Full | TuneName::Head => None,
        TuneName::Lora => {
            let default = LoraConfig::default();
            let targets = r.lora_targets.get_or_insert(default.targets);
            // their order means nothing
            targets.sort_unstable();
            Some(AdapterConfig::Lora(LoraConfig {
                r: *r.lora_r.get_or_insert(default.r),
                alpha: *r.lora_alpha.get_or_insert(default.alpha),
                targets: targets.clone(),
            }))
        }
        TuneName::Prefix => {
            let default = PrefixConfig::default();
            Some(AdapterConfig::Prefix(PrefixConfig {
                tokens: *r.prefix_tokens.get_or_insert(default.tokens),
                init: *r.prefix_init.get_or_insert(default.init),
            }))
        }
    })
}

/// Refuses an adapter that the model cannot have, by the name of its flag.
///
/// # Errors
/// Such a setting.
pub fn check(adapter: Option<&AdapterConfig>, model: &OptConfig) -> Result<()> {
    let Some(adapter) = adapter else {
        return Ok(());
    };
    match adapter.check(model) {
        Err(AdapterError::Setting { name, value, fix }) => {
            bail!("--{}-{name} {value}: {fix}", adapter.kind())
        }
        other => Ok(other?),
    }
}

/// Which parameters move.
pub fn selection(tune: TuneName) -> Selection {
    match tune {
        TuneName::Full => Selection::All,
        TuneName::Lora | TuneName::Prefix => Selection::matching(ADAPTERS),
        TuneName::Head => Selection::matching([HEAD]),
    }
}

/// The model of a run that tunes all weights or those that `selection` includes, as the run begins with it.
pub fn without_adapter<B: TrainBackend>(base: Opt<B>, selection: &Selection) -> Opt<B> {
    match *selection == Selection::matching([HEAD]) {
        true => base.untied(),
        false => base,
    }
}

/// The model as the run begins with it: `base`, or `base` with the adapter.
///
/// # Errors
/// The adapter of an interrupted run comes out otherwise than it did.
pub fn begin<B: TrainBackend>(
    adapter: Option<&AdapterConfig>,
    seed: u64,
    interrupted: Option<&Interrupted>,
    (base, selection): (Opt<B>, &Selection),
    out: &Path,
) -> Result<(Opt<B>, Option<AdapterStart>)> {
    let Some(config) = adapter else {
        return Ok((without_adapter(base, selection), None));
    };
    let before = interrupted.and_then(|run| run.header().adapter.as_ref());
    match before {
        Some(start) if start.config == *config => {
            let model = start.again(base, &start_folder(out)).context("--resume")?;
            Ok((model, Some(start.clone())))
        }
        _ => {
            let (start, model) = AdapterStart::fresh(config.clone(), seed, base)?;
            Ok((model, Some(start)))
        }
    }
}

/// Where a run keeps the adapter it began with.
pub fn start_folder(run: &Path) -> PathBuf {
    run.join("start")
}

/// Keeps the adapter that the run begins with, if the log alone might not be enough to make it again.
///
/// # Errors
/// It cannot be written.
pub fn keep_start<B: TrainBackend>(
    start: Option<&AdapterStart>,
    model: &Opt<B>,
    base: &BaseNote,
    run: &Path,
) -> Result<()> {
    if start.is_some_and(AdapterStart::depends_on_the_machine) {
        save_adapter(model, base, &start_folder(run))?;
    }
    Ok(())
}
