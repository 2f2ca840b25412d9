//! Where the head alone is tuned, the layers run once a step.

use crate::tiny::{Cpu, model, prompts};
use burn::module::Module;
use burn::tensor::backend::Backend;
use std::sync::atomic::{AtomicUsize, Ordering};
use zograd_models::{
    Continuation, Generation, HEAD, LanguageModel, Model, ModelError, Plan, Probe, Still,
    content_hash,
};
use zograd_perturb::{Grids, NoiseKind, ParameterSpace, Perturbed, Selection};
use zograd_select::{MethodSpec, Methods};
use zograd_trainer::{
    Classification, Examples, Observer, Scoring, StepRecord, TrainConfig, TrainError, Training,
};

/// Forward passes through all layers.
static WHOLE: AtomicUsize = AtomicUsize::new(0);

/// A model that counts them.
#[derive(Module, Debug)]
struct Counting<B: Backend> {
    opt: Model<B>,
    #[module(skip)]
    once: bool,
}

impl LanguageModel for Counting<Cpu> {
    type Backend = Cpu;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        WHOLE.fetch_add(1, Ordering::Relaxed);
        self.opt.log_probs(plan)
    }

    fn takes_probes(&self) -> bool {
        self.once
    }

    fn log_probs_at_each<P: Probe<Cpu>>(
        &self,
        plan: &Plan,
        probes: &[P],
        still: &mut Still<Cpu>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let before = still.has_all_layers();
        let found = self.opt.log_probs_at_each(plan, probes, still)?;
        let whole = match (before, still.has_all_layers()) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => found.len(),
        };
        WHOLE.fetch_add(whole, Ordering::Relaxed);
        Ok(found)
    }

    fn generate(&self, _: &[&[u32]], _: &Generation) -> Result<Vec<Continuation>, ModelError> {
        Ok(Vec::new())
    }
}

#[derive(Default)]
struct Steps(Vec<StepRecord>);

impl<M> Observer<M> for Steps {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.0.push(record.clone());
        Ok(())
    }
}

/// Losses and weights after some steps, and how often the layers ran.
fn run(selection: &Selection, once: bool) -> (Vec<StepRecord>, String, usize) {
    let (prompts, scoring) = (prompts(), Scoring::choice());
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let mut config = TrainConfig::new(5, 1e-2);
    (config.batch_size, config.weight_decay) = (6, 0.1);
    let opt = model().untied();
    let model = Counting { opt, once };
    let space = ParameterSpace::select(&model, selection).expect("a head");
    // on grids: weights that walk to the probes and weights that stand still are the same
    let grids = Grids::of(&model, &space, 1e-2, 1e-2).expect("finite");
    let model = Perturbed::on_grids(model, space, NoiseKind::Gaussian, 1e-2, grids);
    let mut model = model.expect("its own");
    let method = MethodSpec::new("gv")
        .with("pool", 4)
        .with("faithful-cost", false);
    let mut strategy = Methods::built_in().build(&method).expect("valid");
    let (mut steps, before) = (Steps::default(), WHOLE.load(Ordering::Relaxed));
    let training = Training::new(strategy.as_mut(), &Classification, examples, &config);
    training
        .observer(&mut steps)
        .run(&mut model)
        .expect("trains");
    let weights = content_hash(&model.into_module().expect("restored").opt);
    (steps.0, weights, WHOLE.load(Ordering::Relaxed) - before)
}

#[test]
fn the_layers_run_once_a_step_where_the_head_moves_alone() {
    let head = Selection::matching([format!("opt.{HEAD}")]);
    let (steps, weights, whole) = run(&head, false);
    let (found, found_weights, once) = run(&head, true);
    assert_eq!((whole, once), (5 * 6, 5));
    assert_eq!(found_weights, weights);
    let mut tokens = 0;
    for (found, step) in found.iter().zip(&steps) {
        assert_eq!(found.losses, step.losses);
        assert_eq!(
            (found.forwards, &found.update),
            (step.forwards, &step.update)
        );
        assert_eq!(found.tokens - tokens, (step.tokens - 6 * tokens) / 6);
        tokens = found.tokens;
    }
    // where other weights move, too, every probe is run as a whole
    let (_, _, whole) = run(&Selection::All, true);
    assert_eq!(whole, 5 * 6);
}
