//! The work of a step, counted: what `thresholds.toml` says, and what real batches save.

use clap::ValueEnum;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use zograd_benches::batches::Batches;
use zograd_benches::counts::{BatchCounts, StepCounts};
use zograd_benches::perturbations::FamilyName;
use zograd_benches::steps::MethodName;
use zograd_models::ModelConfig;

#[derive(Deserialize)]
struct Thresholds {
    steps: BTreeMap<String, StepCounts>,
    dense: BTreeMap<String, BatchCounts>,
}

fn thresholds() -> Thresholds {
    toml::from_str(include_str!("../thresholds.toml")).expect("valid")
}

fn opt_125m() -> ModelConfig {
    ModelConfig::named("opt-125m").expect("a published shape")
}

#[test]
fn steps_do_the_work_they_are_said_to() {
    for (name, expected) in thresholds().steps {
        let (method, family) = match name.strip_suffix("-low-rank") {
            Some(method) => (method, FamilyName::Subzero),
            None => (&name[..], FamilyName::Dense),
        };
        let method = MethodName::from_str(method, false).expect("a method");
        let found = StepCounts::of(method, family).expect("a step");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn dense_batches_run_every_token_but_the_last() {
    for (length, expected) in thresholds().dense {
        let length = length.parse().expect("a length");
        let batches = Batches::dense(16, length, opt_125m().vocab_size);
        let counts = BatchCounts::of(&batches, &opt_125m()).expect("plans");
        assert_eq!(counts, [expected], "{length}");
    }
}

/// Real batches of SST-2 (two options of one token after a shared prompt): the layers see at most a quarter of the
/// tokens that the originals pad to, and logits exist once a prompt.
#[test]
fn real_batches_are_a_fraction_of_the_padded_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/peer/sst2_batches.json");
    if !path.exists() {
        let ci = std::env::var("CI");
        assert_ne!(ci.as_deref(), Ok("true"), "{} is missing", path.display());
        eprintln!("skipped: ../shared is not here");
        return;
    }
    let batches = Batches::read(&path, usize::MAX).expect("batches");
    for counts in BatchCounts::of(&batches, &opt_125m()).expect("plans") {
        assert_eq!(counts.logit_positions, 16);
        assert!(4 * counts.tokens <= counts.padded_tokens, "{counts:?}");
    }
}
