//! A run that is logged, and its weights rebuilt from the log without a forward pass.
//!
//!     cargo run --release --example replay_a_log

mod built_in;

use built_in::BuiltIn;
use std::error::Error;
use zograd_models::{Storage, content_hash};
use zograd_perturb::family::PerturbationSpec;
use zograd_perturb::{Arithmetic, NoiseKind, ParameterSpace, Selection, noise};
use zograd_select::{MethodSpec, Mezo};
use zograd_trainer::trajectory::{Header, Trajectory, TrajectoryWriter, Walk, replay};
use zograd_trainer::{Classification, Examples, Scoring, TrainConfig, Training};

fn main() -> Result<(), Box<dyn Error>> {
    let BuiltIn { model, train, dev } = BuiltIn::load()?;
    let mut config = TrainConfig::new(20, 1e-4);
    config.seed = 7;
    // all that has to be known besides the start weights
    let header = Header {
        format: Header::format_of(
            None,
            &PerturbationSpec::default(),
            Arithmetic::Exact,
            false,
            &config,
        ),
        model: "embedded".into(),
        weights: content_hash(&model),
        dtype: Storage::F32,
        dimension: ParameterSpace::select(&model, &Selection::All)?.dimension(),
        selection: Selection::All,
        head_fit: None,
        measured_rate: None,
        informed: None,
        adapter: None,
        noise: NoiseKind::Gaussian,
        perturbation: PerturbationSpec::default(),
        noise_version: noise::VERSION,
        arithmetic: Arithmetic::Exact,
        // it cannot be told with exact steps
        stands_still: false,
        eps: 1e-3,
        method: MethodSpec::new("mezo"),
        config,
    };

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("trajectory.zog");
    let mut log = TrajectoryWriter::create(&path, header.clone())?;
    let originals = folder.path().join("unused");
    let mut tuned = Walk::from_start(&model, &header, originals.clone())?.begin(model.clone())?;
    let scoring = Scoring::choice();
    let examples = Examples {
        train: &train,
        dev: &dev,
        scoring: &scoring,
    };
    let summary = Training::new(&mut Mezo, &Classification, examples, &header.config)
        .observer(&mut log)
        .run(&mut tuned)?;

    let read = Trajectory::read(&path)?;
    let mut rebuilt = Walk::from_start(&model, &read.header, originals)?.begin(model)?;
    replay(&mut rebuilt, &mut Mezo, &read.header, &read.records, |_| ())?;

    let (live, replayed) = (content_hash(tuned.module()), content_hash(rebuilt.module()));
    println!("{} steps in {} bytes", summary.steps, log.bytes());
    println!("start    {}", header.weights);
    println!(
        "live     {live}, {} passes over the weights",
        tuned.passes()
    );
    println!("replayed {replayed}, {} passes", rebuilt.passes());
    assert_eq!(read.records.len(), 20);
    assert_ne!(live, header.weights);
    assert_eq!(live, replayed);
    Ok(())
}
