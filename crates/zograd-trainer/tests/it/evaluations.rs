//! When a run is evaluated, and by what.

use crate::answers::{self, scoring};
use crate::tiny::{Cpu, model, prompts};
use burn::module::Module;
use burn::tensor::backend::Backend;
use std::sync::atomic::{AtomicUsize, Ordering};
use zograd_models::{
    Continuation, Generation, LanguageModel, Model, ModelError, Plan, content_hash,
};
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Selection};
use zograd_select::Mezo;
use zograd_tasks::metrics::Metric;
use zograd_trainer::{
    BestBy, Classification, DevScore, EvalRecord, Examples, Gain, Observer, Scoring, StepRecord,
    StopReason, TeacherForcing, TrainConfig, TrainError, TrainState, TrainSummary, Training,
};

/// Evaluations, with the weights they were made of.
#[derive(Default)]
struct Evals(Vec<(EvalRecord, String)>);

impl Observer<Model<Cpu>> for Evals {
    fn on_eval(&mut self, record: &EvalRecord, model: &Model<Cpu>) -> Result<(), TrainError> {
        self.0.push((record.clone(), content_hash(model)));
        Ok(())
    }
}

fn run(lr: f64, dev: bool) -> (Evals, TrainSummary, String) {
    let (prompts, scoring) = (prompts(), Scoring::choice());
    let (train, rest) = prompts.split_at(16);
    let examples = Examples {
        train,
        dev: if dev { rest } else { &[] },
        scoring: &scoring,
    };
    let mut config = TrainConfig::new(6, lr);
    (config.batch_size, config.eval_every, config.best_by) = (4, 3, BestBy::Loss);
    let space = ParameterSpace::select(&model(), &Selection::All).expect("parameters");
    let mut model = Perturbed::new(model(), space, NoiseKind::Gaussian, 1e-3).expect("its own");
    let mut evals = Evals::default();
    let summary = Training::new(&mut Mezo, &Classification, examples, &config)
        .observer(&mut evals)
        .run(&mut model)
        .expect("trains");
    let weights = content_hash(model.module());
    (evals, summary, weights)
}

/// The untuned model is the best until another is better, and evaluating it changes no step.
#[test]
fn the_untuned_model_is_a_candidate() {
    let (evals, summary, weights) = run(100.0, true);
    let steps: Vec<u64> = evals.0.iter().map(|(record, _)| record.step).collect();
    assert_eq!(steps, [0, 3, 6]);
    let (untuned, hash) = &evals.0[0];
    assert_eq!((untuned.best, untuned.forwards), (true, 0));
    assert_eq!(*hash, content_hash(&model()));
    assert_eq!(summary.untuned.as_ref(), Some(untuned));
    assert_eq!(
        summary.best.as_ref(),
        Some(untuned),
        "{evals:?}",
        evals = evals.0
    );
    assert_eq!(summary.last.as_ref(), Some(&evals.0[2].0));
    assert_eq!(summary.gain(BestBy::Loss), Some(Gain::BlewUp));
    let (none, without, same) = run(100.0, false);
    assert!(none.0.is_empty() && without.best.is_none());
    assert_eq!((without.gain(BestBy::Loss), same), (None, weights));
    let (_, still, _) = run(0.0, true);
    assert_eq!(still.gain(BestBy::Loss), Some(Gain::Nothing));
}

/// A run that becomes no better ends when its patience does, and ends there again when it is resumed.
#[test]
fn patience_ends_a_run() {
    let (prompts, scoring) = (prompts(), Scoring::choice());
    let (train, dev) = prompts.split_at(16);
    let examples = Examples {
        train,
        dev,
        scoring: &scoring,
    };
    let run = |state: TrainState, patience: u64| {
        let mut config = TrainConfig::new(8, 0.0);
        (config.batch_size, config.eval_every, config.patience) = (4, 2, patience);
        let space = ParameterSpace::select(&model(), &Selection::All).expect("parameters");
        let mut model = Perturbed::new(model(), space, NoiseKind::Gaussian, 1e-3).expect("its own");
        Training::new(&mut Mezo, &Classification, examples, &config)
            .resume(state)
            .run(&mut model)
            .expect("trains")
    };
    for (patience, steps, stop) in [
        (0, 8, StopReason::Finished),
        (1, 2, StopReason::Patience),
        (3, 6, StopReason::Patience),
        // the last evaluation ends a run anyway
        (4, 8, StopReason::Finished),
    ] {
        let summary = run(TrainState::beginning(), patience);
        assert_eq!((summary.steps, summary.stop), (steps, stop), "{patience}");
    }
    let mut stale = EvalRecord::new(0, 0, DevScore::new(Metric::Accuracy, 0.5), 1.0);
    stale.best = true;
    let mut next = stale.clone();
    (next.step, next.best) = (2, false);
    let steps = [StepRecord::new(1, vec![1.0]), StepRecord::new(2, vec![1.0])];
    let ended = run(TrainState::after(&steps, &[stale, next]), 1);
    assert_eq!((ended.steps, ended.stop), (2, StopReason::Patience));
}

/// Prompts that were answered in words.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

#[derive(Module, Debug)]
struct Writing<B: Backend> {
    opt: Model<B>,
}

impl LanguageModel for Writing<Cpu> {
    type Backend = Cpu;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        self.opt.log_probs(plan)
    }

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        WRITTEN.fetch_add(prompts.len(), Ordering::Relaxed);
        self.opt.generate(prompts, generation)
    }
}

#[derive(Default)]
struct Records(Vec<EvalRecord>);

impl<M> Observer<M> for Records {
    fn on_eval(&mut self, record: &EvalRecord, _: &M) -> Result<(), TrainError> {
        self.0.push(record.clone());
        Ok(())
    }
}

/// Where the loss decides, answers are written at the end alone; the losses are those of evaluations that write.
#[test]
fn answers_are_written_where_they_are_looked_at() {
    let (prompts, scoring) = (answers::prompts(true, false), scoring(Metric::F1));
    let examples = Examples {
        train: &prompts,
        dev: &prompts,
        scoring: &scoring,
    };
    let run = |best_by| {
        let mut config = TrainConfig::new(4, 1e-3);
        (config.batch_size, config.eval_every, config.best_by) = (2, 2, best_by);
        let model = Writing {
            opt: answers::model(),
        };
        let space = ParameterSpace::select(&model, &Selection::All).expect("parameters");
        let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-3).expect("its own");
        let mut records = Records::default();
        let before = WRITTEN.load(Ordering::Relaxed);
        Training::new(&mut Mezo, &TeacherForcing, examples, &config)
            .observer(&mut records)
            .run(&mut model)
            .expect("trains");
        (records.0, WRITTEN.load(Ordering::Relaxed) - before)
    };
    let ((by_score, all), (by_loss, last)) = (run(BestBy::Score), run(BestBy::Loss));
    assert_eq!((all, last), (3 * prompts.len(), prompts.len()));
    let losses = |evals: &[EvalRecord]| evals.iter().map(|e| e.dev_loss).collect::<Vec<_>>();
    assert_eq!(losses(&by_loss), losses(&by_score));
    let scores = |evals: &[EvalRecord]| {
        let scores = evals.iter().map(|eval| eval.dev_score.value());
        scores.map(|score| score.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(scores(&by_score), [true; 3]);
    assert_eq!(scores(&by_loss), [false, false, true]);
    assert_eq!(by_loss[2].dev_score, by_score[2].dev_score);
}
