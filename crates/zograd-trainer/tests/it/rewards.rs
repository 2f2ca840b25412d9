//! Training by what written answers are worth, on a model small enough to check.

use crate::answers::{model, prompts, writer};
use crate::tiny::Cpu;
use burn::module::Module;
use burn::tensor::backend::Backend;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use zograd_models::{
    ADAPTERS, AdapterConfig, Continuation, Generation, LoraConfig, Model, ModelError, Plan,
    PrefixConfig, PrefixInit, Sampling, content_hash,
};
use zograd_perturb::{Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{PoolRegression, Shaping, SkipReason};
use zograd_tasks::metrics::Metric;
use zograd_tasks::rewards::{Reward, RewardError, WordOverlap};
use zograd_tasks::{Prompt, Question};
use zograd_trainer::{
    ByReward, EvalRecord, Event, Examples, Guards, LanguageModel, Observer, Scoring, StepRecord,
    StopReason, TrainConfig, TrainError, TrainState, TrainSummary, Training, evaluate, measure,
};

const EPS: f64 = 5e-2;
const LR: f64 = 3e-2;

/// The share of words below `w20`: a rule that no gradient knows of.
#[derive(Debug)]
pub struct Low;

impl Reward for Low {
    fn reward(&self, _question: &Question, answer: &str) -> Result<f64, RewardError> {
        let is_low = |word: &&str| word[1..].parse().is_ok_and(|n: u32| n < 20);
        let words = answer.split_whitespace();
        Ok(words.clone().filter(is_low).count() as f64 / words.count().max(1) as f64)
    }
}

#[derive(Default)]
struct Kept {
    steps: Vec<StepRecord>,
    evals: Vec<EvalRecord>,
}

impl Observer<Model<Cpu>> for Kept {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let mut record = record.clone();
        (record.seconds, record.peak_memory_bytes) = (0.0, None);
        self.steps.push(record);
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, _: &Model<Cpu>) -> Result<(), TrainError> {
        self.evals.push(record.clone());
        Ok(())
    }
}

fn walker() -> Perturbed<Cpu, Model<Cpu>> {
    let module = model();
    let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
    let grids = Grids::of(&module, &space, EPS, LR).expect("finite");
    Perturbed::on_grids(module, space, NoiseKind::Gaussian, EPS, grids).expect("f32")
}

fn config(steps: u64) -> TrainConfig {
    let mut config = TrainConfig::new(steps, LR);
    (config.batch_size, config.eval_every) = (7, steps);
    config
}

/// A run by an evolution strategy from `state` on.
fn run(
    model: &mut Perturbed<Cpu, Model<Cpu>>,
    objective: &ByReward,
    config: &TrainConfig,
    state: TrainState,
) -> (Result<TrainSummary, TrainError>, Kept) {
    let (prompts, mut kept) = (prompts(true, false), Kept::default());
    let scoring = Scoring::rewarded(Arc::new(Low), writer());
    let examples = Examples {
        train: &prompts,
        dev: &prompts,
        scoring: &scoring,
    };
    let mut strategy = PoolRegression::new(8)
        .expect("a pool")
        .shaped(Shaping::ZScore);
    let summary = Training::new(&mut strategy, objective, examples, config)
        .resume(state)
        .observer(&mut kept)
        .run(model);
    (summary, kept)
}

/// By a quarter of the words at least.
#[test]
fn an_evolution_strategy_raises_the_reward() {
    let objective = ByReward::new(Arc::new(Low));
    let (summary, kept) = run(
        &mut walker(),
        &objective,
        &config(60),
        TrainState::beginning(),
    );
    assert_eq!(summary.expect("trains").forwards, 480);
    let rewards: Vec<f64> = kept
        .evals
        .iter()
        .filter_map(|e| e.dev_score.value())
        .collect();
    assert!(rewards[1] > rewards[0] + 0.25, "{rewards:?}");
    for eval in &kept.evals {
        assert_eq!(eval.dev_score.metric(), Metric::Reward);
        assert_eq!(Some(-eval.dev_loss), eval.dev_score.value());
    }
}

/// What is drawn is a function of the run's seed, the step and the row: a run that was stopped goes on in the same bits.
#[test]
fn a_run_with_drawn_answers_is_resumed_to_the_bit() {
    let hot = Sampling {
        temperature: 2.0,
        ..Sampling::new(Seed::new(0))
    };
    let objective = ByReward::new(Arc::new(Low)).sampled(hot);
    let config = config(6);
    let mut whole = walker();
    let (_, kept) = run(&mut whole, &objective, &config, TrainState::beginning());
    // the first half, and the rest from its records
    let (mut half, mut first) = (walker(), config.clone());
    first.steps = 3;
    let (_, begun) = run(&mut half, &objective, &first, TrainState::beginning());
    let state = TrainState::after(&begun.steps, &[]);
    let (_, rest) = run(&mut half, &objective, &config, state);
    assert_eq!(kept.steps, [begun.steps, rest.steps].concat());
    let hash = |model: Perturbed<_, _>| content_hash(&model.into_module().expect("at rest"));
    assert_eq!(hash(whole), hash(half));
}

/// A model whose candidates write side by side, or one after the other.
#[derive(Module, Debug)]
struct Candidates<B: Backend> {
    opt: Model<B>,
    #[module(skip)]
    side_by_side: bool,
}

/// Candidates that were asked for together, at most.
static TOGETHER: AtomicUsize = AtomicUsize::new(0);

impl LanguageModel for Candidates<Cpu> {
    type Backend = Cpu;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        self.opt.log_probs(plan)
    }

    fn at_once(&self, moving: &[(&str, usize)]) -> usize {
        self.opt.at_once(moving)
    }

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        self.opt.generate(prompts, generation)
    }

    fn generate_by_each(
        models: &[Self],
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Vec<Continuation>>, ModelError> {
        if !models.iter().all(|model| model.side_by_side) {
            let each = models.iter();
            return each
                .map(|model| model.generate(prompts, generation))
                .collect();
        }
        TOGETHER.fetch_max(models.len(), Ordering::Relaxed);
        let models: Vec<Model<Cpu>> = models.iter().map(|model| model.opt.clone()).collect();
        Model::generate_by_each(&models, prompts, generation)
    }
}

impl Observer<Candidates<Cpu>> for Kept {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        Observer::<Model<Cpu>>::on_step(self, record)
    }
}

/// Candidates of an adapter that write side by side make the run that they make one after the other: all losses, tokens and
/// weights.
#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "no fused multiply-add"
)]
fn candidates_that_write_side_by_side_make_the_same_run() {
    let hot = Sampling {
        temperature: 2.0,
        ..Sampling::new(Seed::new(0))
    };
    let (prompts, config) = (prompts(true, false), config(4));
    let scoring = Scoring::rewarded(Arc::new(Low), writer());
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let prefix = AdapterConfig::Prefix(PrefixConfig {
        tokens: 3,
        init: PrefixInit::Random,
    });
    for adapter in [lora, prefix] {
        let by_reward = ByReward::new(Arc::new(Low));
        for objective in [by_reward.clone(), by_reward.sampled(hot.clone())] {
            let run = |side_by_side| {
                let opt = model().with_adapter(&adapter, Seed::new(5)).expect("valid");
                let model = Candidates { opt, side_by_side };
                let space = ParameterSpace::select(&model, &Selection::matching(ADAPTERS));
                let space = space.expect("adapters");
                assert!(model.at_once(&space.sizes()) > 1);
                let mut model =
                    Perturbed::new(model, space, NoiseKind::Gaussian, 0.5).expect("its own");
                let mut strategy = PoolRegression::new(11)
                    .expect("a pool")
                    .shaped(Shaping::ZScore);
                let mut kept = Kept::default();
                Training::new(&mut strategy, &objective, examples, &config)
                    .observer(&mut kept)
                    .run(&mut model)
                    .expect("trains");
                let end = model.into_module().expect("at rest");
                (kept.steps, content_hash(&end.opt))
            };
            let (together, one_by_one) = (run(true), run(false));
            assert_eq!(together, one_by_one, "{adapter:?}");
            let losses = &together.0[0].losses;
            assert_eq!(losses.len(), 11);
            assert!(
                losses.iter().any(|loss| *loss != losses[0]),
                "{adapter:?}: {losses:?}"
            );
        }
    }
    assert_eq!(TOGETHER.load(Ordering::Relaxed), 8);
}

#[test]
fn draws_differ_by_step_and_row_and_not_by_place() {
    let (model, mut prompts) = (model(), prompts(true, false));
    let hot = Sampling {
        temperature: 5.0,
        ..Sampling::new(Seed::new(0))
    };
    let write = |seed, prompts: &[&Prompt]| -> Vec<String> {
        let drawing = writer().drawing(&hot, Seed::new(seed));
        let written = drawing.write(&model, prompts).expect("written");
        written
            .into_iter()
            .map(|w| w.text.expect("finite"))
            .collect()
    };
    let one = |seed, row: usize| write(seed, &[&prompts[row]]).remove(0);
    assert_ne!(one(1, 3), one(2, 3));
    let order = [5, 3, 3, 0];
    let batch: Vec<&Prompt> = order.iter().map(|row| &prompts[*row]).collect();
    let expected: Vec<String> = order.iter().map(|row| one(1, *row)).collect();
    assert_eq!(write(1, &batch), expected);
    // the same question in another row
    let before = one(1, 3);
    prompts[3].row = 4;
    assert_ne!(write(1, &[&prompts[3]]), [before]);
}

/// Evaluations and steps see the same rewards where answers are not drawn.
#[test]
fn an_evaluation_is_the_mean_reward() {
    let (model, prompts) = (model(), prompts(true, false));
    let goes_on = |_| ControlFlow::Continue(());
    let scoring = Scoring::rewarded(Arc::new(WordOverlap), writer());
    let by_reward = evaluate(&model, &prompts, &scoring, 3, goes_on).expect("evaluated");
    let scoring = Scoring::written(Metric::F1, writer());
    let by_f1 = evaluate(&model, &prompts, &scoring, 3, goes_on).expect("evaluated");
    assert_eq!(
        (by_reward.score, -by_reward.loss),
        (by_f1.score, by_f1.score)
    );
    let batch: Vec<&Prompt> = prompts.iter().collect();
    let objective = ByReward::new(Arc::new(WordOverlap));
    let measured = measure(&model, &batch, &objective, Some(&writer())).expect("measured");
    let loss = measured.loss(&objective);
    assert!((loss.mean + by_f1.score).abs() < 1e-12);
    assert_eq!((loss.terms, loss.reward_failure), (7, None));
}

/// Fails once.
#[derive(Debug)]
struct Fails {
    how: Result<f64, RewardError>,
    from: u64,
    asked: AtomicU64,
}

impl Reward for Fails {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        match self.asked.fetch_add(1, Ordering::Relaxed) == self.from {
            true => self.how.clone(),
            false => Low.reward(question, answer),
        }
    }
}

/// Each way to fail is an event of its own, by default a step that is skipped and gone on after.
#[test]
fn a_step_without_rewards_is_an_event() {
    let ended = RewardError::ended("gone");
    let late = RewardError::late("slow");
    let unreadable = RewardError::unreadable("a word");
    for (how, event, name) in [
        (Err(ended), Event::RewardEnded, "reward-ended"),
        (Err(late), Event::RewardLate, "reward-late"),
        (
            Err(unreadable),
            Event::RewardUnreadable,
            "reward-unreadable",
        ),
        (Ok(f64::NAN), Event::RewardNotFinite, "reward-not-finite"),
    ] {
        let fails = || Fails {
            how: how.clone(),
            // in the middle of the second step of 8 candidates and 7 examples
            from: 56 + 7 * 3 + 2,
            asked: AtomicU64::new(0),
        };
        let mut model = walker();
        let objective = ByReward::new(Arc::new(fails()));
        let (summary, kept) = run(&mut model, &objective, &config(3), TrainState::beginning());
        let summary = summary.expect("it goes on");
        let events: Vec<Option<Event>> = kept.steps.iter().map(|step| step.event).collect();
        assert_eq!(events[1], Some(event));
        assert_ne!(events[2], Some(event));
        assert_eq!(kept.steps[1].skipped, Some(SkipReason::NonFiniteLoss));
        assert!(kept.steps[1].losses.iter().any(|loss| loss.is_nan()));
        assert_eq!((summary.steps, summary.events[&event]), (3, 1));
        assert_eq!((event.name(), summary.stop), (name, StopReason::Finished));

        let mut stops = config(3);
        let guards: Guards = format!("{name}=stop").parse().expect("a guard");
        stops.guards = guards;
        let objective = ByReward::new(Arc::new(fails()));
        let (summary, _) = run(&mut walker(), &objective, &stops, TrainState::beginning());
        let summary = summary.expect("it stops");
        assert_eq!((summary.steps, summary.stop), (2, StopReason::Guard));
        let shrinks = format!("{name}=shrink").parse::<Guards>();
        assert!(shrinks.is_err(), "{name}");
    }
}

/// There an answer without a reward cannot be left out.
#[test]
fn an_evaluation_without_rewards_is_an_error() {
    let (model, prompts) = (model(), prompts(true, false));
    let fails = Fails {
        how: Err(RewardError::ended("the program is gone")),
        from: 4,
        asked: AtomicU64::new(0),
    };
    let scoring = Scoring::rewarded(Arc::new(fails), writer());
    let error = evaluate(&model, &prompts, &scoring, 3, |_| ControlFlow::Continue(()));
    let error = error.expect_err("no score");
    assert_eq!(error.to_string(), "the program is gone");
}
