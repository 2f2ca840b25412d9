//! The tail's gradient as the first candidate of a step.

use crate::tiny::{Cpu, model, prompts};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use zograd_models::{Model, content_hash};
use zograd_perturb::{
    Direction, Grids, NoiseKind, ParameterSpace, PerturbError, Perturbed, Seed, Selection,
};
use zograd_select::{MethodSpec, Methods};
use zograd_tasks::Prompt;
use zograd_trainer::trajectory::Record;
use zograd_trainer::{
    Accuracy, Batches, Classification, Examples, Informant, Objective, Observer, Scoring,
    StepRecord, TailDirection, TailStep, TailTraining, TrainConfig, TrainError, TrainState,
    Training, measure,
};

const EPS: f64 = 1e-2;

#[derive(Default)]
struct Steps(Vec<StepRecord>);

impl<M> Observer<M> for Steps {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.0.push(record.clone());
        Ok(())
    }
}

/// The numbers of every parameter.
#[derive(Default)]
struct Numbers(Vec<Vec<f32>>);

impl Numbers {
    fn of(model: &Model<Cpu>) -> Vec<Vec<f32>> {
        let mut numbers = Self::default();
        model.visit(&mut numbers);
        numbers.0
    }
}

impl ModuleVisitor<Cpu> for Numbers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Cpu, D>>) {
        self.0.push(param.val().into_data().iter().collect());
    }
}

fn direction(scale: f64, batch: &[&Prompt]) -> Model<Cpu> {
    let informant = TailDirection::new(&Classification, &Selection::All, scale);
    let found = informant.direction(&model(), batch, None).expect("scores");
    assert!(found.tokens > 0);
    found.direction.expect("a finite loss")
}

fn perturbed(model: Model<Cpu>) -> Perturbed<Cpu, Model<Cpu>> {
    let space = ParameterSpace::select(&model, &Selection::All).expect("parameters");
    Perturbed::new(model, space, NoiseKind::Gaussian, EPS).expect("its own space")
}

fn config(steps: u64, lr: f64) -> TrainConfig {
    let mut config = TrainConfig::new(steps, lr);
    (config.batch_size, config.seed) = (8, 3);
    config
}

fn method(name: &str) -> MethodSpec {
    match name {
        "mezo" => MethodSpec::new(name),
        _ => MethodSpec::new(name).with("pool", 3),
    }
}

/// A run on the small prompts whose first candidate is informed.
struct Run<'a> {
    method: MethodSpec,
    objective: &'a dyn Objective,
    scale: f64,
    config: TrainConfig,
    prompts: Vec<Prompt>,
}

impl Run<'_> {
    fn new(name: &str, scale: f64, config: TrainConfig) -> Self {
        Self {
            method: method(name),
            objective: &Classification,
            scale,
            config,
            prompts: prompts(),
        }
    }

    fn with<T>(&self, steps: &mut Steps, work: impl FnOnce(Training<'_, Model<Cpu>>) -> T) -> T {
        let scoring = Scoring::choice();
        let examples = Examples {
            train: &self.prompts,
            dev: &[],
            scoring: &scoring,
        };
        let mut strategy = Methods::built_in().build(&self.method).expect("valid");
        let selection = Selection::All;
        let informant = TailDirection::new(self.objective, &selection, self.scale);
        let training = Training::new(strategy.as_mut(), self.objective, examples, &self.config);
        work(training.informed(&informant).observer(steps))
    }

    fn train(&self, model: &mut Perturbed<Cpu, Model<Cpu>>, state: TrainState) -> Vec<StepRecord> {
        let mut steps = Steps::default();
        let done = self.with(&mut steps, |training| training.resume(state).run(model));
        assert_eq!(done.expect("trains").steps, self.config.steps);
        steps.0
    }
}

/// The first candidate of the step with this number, from 1.
fn candidate(config: &TrainConfig, step: u64) -> Direction {
    Direction::unit(Seed::new(config.seed).child(0).child(step - 1).child(0))
}

/// The first batch of a run.
fn first_batch<'p>(config: &TrainConfig, prompts: &'p [Prompt]) -> Vec<&'p Prompt> {
    let order = Seed::new(config.seed).child(1);
    let rows = Batches::new(order, prompts.len(), config.batch_size).at(0);
    rows.into_iter().map(|row| &prompts[row]).collect()
}

/// What a normalised step along the tail takes off the weights, in units of its rate.
#[test]
fn it_is_the_normalised_gradient_of_the_tail() {
    let (rows, config) = (prompts(), config(1, 1.0));
    let scoring = Scoring::choice();
    let examples = Examples {
        train: &rows,
        dev: &[],
        scoring: &scoring,
    };
    let descent = TailTraining::new(TailStep::Normalised, &Classification, examples, &config);
    let (after, _) = descent.run(model(), &Selection::All).expect("a step");
    let (before, after) = (Numbers::of(&model()), Numbers::of(&after));
    let found = Numbers::of(&direction(0.5, &first_batch(&config, &rows)));
    for (tensor, found) in found.iter().enumerate() {
        let moved = after[tensor].iter().zip(&before[tensor]);
        for ((after, before), found) in moved.zip(found) {
            // a rounding of the weight before the step and of the one after it
            let off = (0.5 * (after - before) - found).abs();
            assert!(off < 1e-6 * (1.0 + before.abs() + after.abs()), "{off}");
        }
        let squares: f64 = found.iter().map(|x| f64::from(*x).powi(2)).sum();
        let root = (squares / found.len() as f64).sqrt();
        // of tables no row is longer, and most have no gradient
        assert!(root < 0.5 + 1e-4, "{root}");
    }
    let matrix = |model: &Model<Cpu>| {
        let map = model.projection(0, zograd_models::Projection::Fc1);
        map.expect("OPT has it").weight.val()
    };
    let d = matrix(&direction(0.5, &first_batch(&config, &rows)));
    let root: f32 = d.powi_scalar(2).mean().sqrt().into_scalar();
    assert!((root - 0.5).abs() < 1e-4, "{root}");
}

/// The first loss of a step is that at weights that are moved by the candidate, and the update goes along it.
#[test]
fn its_loss_is_that_of_moved_weights() {
    let run = Run::new("mezo", 0.5, config(1, 1e-4));
    let batch = first_batch(&run.config, &run.prompts);
    let mut trained = perturbed(model());
    let steps = run.train(&mut trained, TrainState::beginning());
    let z = candidate(&run.config, 1);
    let mut moved = perturbed(model());
    let seed = z.terms()[0].0;
    moved.inform(0, seed, direction(0.5, &batch)).expect("fits");
    let mut losses = Vec::new();
    for there in [z.clone(), -&z] {
        moved.move_to(&there).expect("a pass");
        let found = measure(moved.module(), &batch, &Classification, None).expect("scores");
        losses.push(found.loss(&Classification).mean);
    }
    for (found, expected) in steps[0].losses.iter().zip(&losses) {
        // weights that stand still and weights that hop round differently
        assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
    }
    assert!(losses[0] < losses[1], "it goes downhill: {losses:?}");
    let slope = steps[0].projected_gradient;
    assert!(slope < 0.0, "{slope}");
    assert_eq!(steps[0].update, &z * slope);
    // two probes, and the forward pass of the tail
    assert_eq!(steps[0].forwards, 3);
    let length = 1e-4 * slope.abs() * moved.length(&z);
    let told = steps[0].update_norm.expect("a length");
    assert!((told / length - 1.0).abs() < 1e-6, "{told} and {length}");
}

/// The gradient is the best of a pool of three in nearly every step, and the loss falls.
#[test]
fn greedy_picks_it() {
    let run = Run::new("greedy", 0.1, config(60, 0.01));
    let steps = run.train(&mut perturbed(model()), TrainState::beginning());
    let picked = steps.iter().filter(|step| {
        let seed = candidate(&run.config, step.step).terms()[0].0;
        step.update.coefficient(seed) != 0.0
    });
    let picked = picked.count();
    assert!(picked > 45, "{picked} of 60");
    assert_eq!(steps[59].forwards, 60 * 5);
    let mean = |steps: &[StepRecord]| {
        let sum: f64 = steps.iter().map(|step| step.loss).sum();
        sum / steps.len() as f64
    };
    let (first, last) = (mean(&steps[..10]), mean(&steps[50..]));
    assert!(last < 0.8 * first, "{first} to {last}");
}

/// GV weighs it as any candidate of its pool.
#[test]
fn gv_weighs_it() {
    let run = Run::new("gv", 0.5, config(3, 1e-4));
    for step in run.train(&mut perturbed(model()), TrainState::beginning()) {
        let seed = candidate(&run.config, step.step).terms()[0].0;
        assert_eq!(step.update.len(), 3);
        assert_ne!(step.update.coefficient(seed), 0.0);
    }
}

/// A run that goes on from its sixth step, made again from the examples, ends as one that was not interrupted.
#[test]
fn steps_are_made_again_to_the_bit() {
    for name in ["mezo", "gv", "greedy"] {
        let mut config = config(12, 1e-3);
        config.weight_decay = 0.1;
        let run = Run::new(name, 0.1, config);
        let mut whole = perturbed(model());
        let steps = run.train(&mut whole, TrainState::beginning());
        let whole = content_hash(&whole.into_module().expect("at rest"));
        let records: Vec<Record> = steps.iter().map(Record::from).collect();
        let (mut half, mut made) = (perturbed(model()), 0);
        run.with(&mut Steps::default(), |training| {
            training.repeat(&mut half, &records[..6], |_| made += 1)
        })
        .expect("the same examples");
        assert_eq!(made, 6);
        // the weights alone are what a run goes on from
        let mut half = perturbed(half.into_module().expect("at rest"));
        let rest = run.train(&mut half, TrainState::after(&steps[..6], &[]));
        let losses = |steps: &[StepRecord]| -> Vec<Vec<f64>> {
            steps.iter().map(|step| step.losses.clone()).collect()
        };
        assert_eq!(losses(&rest), losses(&steps[6..]), "{name}");
        let half = content_hash(&half.into_module().expect("at rest"));
        assert_eq!(half, whole, "{name}");

        // a log whose method made something else of the same losses is noticed as well
        for alter in [
            |record: &mut Record| record.update = Direction::zero(),
            |record: &mut Record| record.losses.clear(),
        ] {
            let mut altered = records[..6].to_vec();
            alter(&mut altered[5]);
            let mut model = perturbed(model());
            let repeated = run.with(&mut Steps::default(), |training| {
                training.repeat(&mut model, &altered, |_| ())
            });
            let refused = repeated.expect_err("another outcome");
            assert!(
                matches!(refused, TrainError::OtherStep { step: 6 }),
                "{refused}"
            );
        }

        // other examples lead elsewhere, and are noticed
        let mut other = Run::new(name, 0.1, run.config.clone());
        other.prompts.reverse();
        let mut model = perturbed(model());
        let repeated = other.with(&mut Steps::default(), |training| {
            training.repeat(&mut model, &records[..6], |_| ())
        });
        let refused = repeated.expect_err("other examples");
        assert!(
            matches!(refused, TrainError::OtherLoss { step: 1, .. }),
            "{refused}"
        );
    }
}

#[test]
fn what_has_no_gradient_informs_nothing() {
    let run = Run {
        objective: &Accuracy,
        ..Run::new("greedy", 0.1, config(1, 1e-3))
    };
    let before = content_hash(&model());
    let mut accuracy = perturbed(model());
    let refused = run.with(&mut Steps::default(), |training| {
        training.run(&mut accuracy)
    });
    assert!(matches!(refused, Err(TrainError::NotDifferentiable)));
    assert_eq!(content_hash(accuracy.module()), before);
}

#[test]
fn exact_steps_have_no_room_for_it() {
    let run = Run::new("greedy", 0.1, config(1, 1e-3));
    let space = ParameterSpace::select(&model(), &Selection::All).expect("parameters");
    let grids = Grids::of(&model(), &space, EPS, 1e-2).expect("finite");
    let exact = Perturbed::on_grids(model(), space, NoiseKind::Gaussian, EPS, grids);
    let mut exact = exact.expect("f32");
    let refused = run.with(&mut Steps::default(), |training| training.run(&mut exact));
    assert!(
        matches!(
            refused,
            Err(TrainError::Perturb(PerturbError::NotOnGrids(_)))
        ),
        "{refused:?}"
    );
}
