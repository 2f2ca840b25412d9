//! Descent along the tail: it learns, moves what is selected, and is made again to the bit.

use crate::tiny::{Cpu, model, prompts};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use zograd_models::{
    ADAPTERS, AdapterConfig, LoraConfig, Model, PrefixConfig, PrefixInit, content_hash,
    content_hash_of, is_adapter,
};
use zograd_perturb::{Seed, Selection};
use zograd_tasks::Prompt;
use zograd_trainer::trajectory::Record;
use zograd_trainer::{
    Accuracy, Classification, Event, Examples, Objective, Observer, Scoring, StepRecord, TailStep,
    TailTraining, TeacherForcing, TrainConfig, TrainError, TrainState, TrainSummary,
};

fn config(steps: u64, lr: f64) -> TrainConfig {
    let mut config = TrainConfig::new(steps, lr);
    (config.batch_size, config.seed) = (8, 3);
    config
}

#[derive(Default)]
struct Steps(Vec<StepRecord>);

impl<M> Observer<M> for Steps {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.0.push(record.clone());
        Ok(())
    }
}

/// A run on the small prompts.
struct Run<'a> {
    step: TailStep,
    objective: &'a dyn Objective,
    selection: Selection,
    config: TrainConfig,
    prompts: Vec<Prompt>,
}

impl Run<'_> {
    fn new(step: TailStep, config: TrainConfig) -> Self {
        Self {
            step,
            objective: &Classification,
            selection: Selection::All,
            config,
            prompts: prompts(),
        }
    }

    fn with<T>(&self, work: impl FnOnce(TailTraining<'_, Cpu>) -> T) -> T {
        let scoring = Scoring::choice();
        let examples = Examples {
            train: &self.prompts,
            dev: &[],
            scoring: &scoring,
        };
        work(TailTraining::new(
            self.step,
            self.objective,
            examples,
            &self.config,
        ))
    }

    fn train(&self, model: Model<Cpu>, state: TrainState) -> (Model<Cpu>, Vec<StepRecord>) {
        let mut steps = Steps::default();
        let run =
            |training: TailTraining<'_, Cpu>| -> Result<(Model<Cpu>, TrainSummary), TrainError> {
                let training = training.resume(state).observer(&mut steps);
                training.run(model, &self.selection)
            };
        let (model, summary) = self.with(run).expect("trains");
        assert_eq!(summary.steps, self.config.steps);
        assert_eq!(summary.forwards, self.config.steps);
        (model, steps.0)
    }
}

/// The loss falls, by either step and under either objective.
#[test]
fn it_learns() {
    for (step, lr) in [(TailStep::Normalised, 0.01), (TailStep::Sgd, 0.2)] {
        for objective in [&Classification as &dyn Objective, &TeacherForcing] {
            let run = Run {
                objective,
                ..Run::new(step, config(60, lr))
            };
            let (_, steps) = run.train(model(), TrainState::beginning());
            let (first, last) = (steps[0].loss, steps[59].loss);
            assert!(last < 0.5 * first, "{step:?}: {first} to {last}");
            assert!(steps.iter().all(|step| step.projected_gradient > 0.0));
        }
    }
}

/// What is selected learns the task; the rest stays to the bit.
#[test]
fn only_the_selected_parameters_move() {
    let base = content_hash(&model());
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let prefix = AdapterConfig::Prefix(PrefixConfig {
        tokens: 4,
        init: PrefixInit::Real,
    });
    for (name, adapter, lr) in [("lora", lora, 0.02), ("prefix", prefix, 0.1)] {
        let model = model().with_adapter(&adapter, Seed::new(5)).expect("fits");
        let before = content_hash_of(&model, is_adapter);
        let run = Run {
            selection: Selection::matching(ADAPTERS),
            ..Run::new(TailStep::Normalised, config(60, lr))
        };
        let (model, steps) = run.train(model, TrainState::beginning());
        let (first, last) = (steps[0].loss, steps[59].loss);
        // a prefix before random weights has little to say; that one learns is seen through the command
        assert!(
            name == "prefix" || last < 0.8 * first,
            "{name}: {first} to {last}"
        );
        assert_ne!(content_hash_of(&model, is_adapter), before);
        assert_eq!(content_hash(&model.without_adapter()), base, "{name}");
    }
}

/// A normalised step moves every tensor by the learning rate, root of mean square, and no row of a table by more.
#[test]
fn a_normalised_step_has_the_length_of_the_rate() {
    let run = Run::new(TailStep::Normalised, config(1, 0.01));
    let (before, after) = (model(), run.train(model(), TrainState::beginning()).0);
    let matrix = |model: &Model<Cpu>| {
        let map = model.projection(0, zograd_models::Projection::Fc1);
        map.expect("OPT has it").weight.val()
    };
    let moved = matrix(&after) - matrix(&before);
    let root: f32 = moved.powi_scalar(2).mean().sqrt().into_scalar();
    // f32 weights of some tenths move by a hundredth: 2^-24 of their size is 1e-6 of it
    assert!((root / 0.01 - 1.0).abs() < 1e-4, "{root}");
    let table = |model: &Model<Cpu>| model.token_table().weight.val();
    let rows = (table(&after) - table(&before)).powi_scalar(2).mean_dim(1);
    let most: f32 = rows.max().sqrt().into_scalar();
    assert!((most / 0.01 - 1.0).abs() < 1e-4, "{most}");
}

/// Weight decay shrinks what decays, norms and biases not, and nothing else is changed by it.
#[test]
fn weight_decay_is_decoupled() {
    let mut decaying = config(1, 0.01);
    decaying.weight_decay = 0.5;
    let [plain, decayed] = [config(1, 0.01), decaying].map(|config| {
        let run = Run::new(TailStep::Normalised, config);
        run.train(model(), TrainState::beginning()).0
    });
    let map = |model: &Model<Cpu>| {
        let map = model.projection(1, zograd_models::Projection::Fc2);
        let map = map.expect("OPT has it");
        (map.weight.val(), map.bias.as_ref().map(Param::val))
    };
    let ((plain, bias), (decayed, same)) = (map(&plain), map(&decayed));
    let shrunk = plain - map(&model()).0 * 0.005;
    let off: f32 = (shrunk - decayed).abs().max().into_scalar();
    assert!(off < 1e-6, "{off}");
    let bits = |of: Option<Tensor<Cpu, 1>>| of.map(Tensor::into_data);
    assert_eq!(bits(bias), bits(same));
}

/// A run that goes on from its tenth step ends as one that was not interrupted, whether its weights were kept or are made
/// again from the examples.
#[test]
fn steps_are_made_again_to_the_bit() {
    for step in [TailStep::Normalised, TailStep::Sgd] {
        let mut config = config(20, 0.01);
        config.weight_decay = 0.1;
        config.schedule = zograd_trainer::Schedule::Linear;
        let run = Run::new(step, config);
        let (whole, steps) = run.train(model(), TrainState::beginning());
        let records: Vec<Record> = steps.iter().map(Record::from).collect();
        let mut made = 0;
        let half = run.with(|training| {
            training.repeat(model(), &Selection::All, &records[..10], |_| made += 1)
        });
        assert_eq!(made, 10);
        let state = TrainState::after(&steps[..10], &[]);
        let (again, rest) = run.train(half.expect("the same examples"), state);
        assert_eq!(content_hash(&again), content_hash(&whole), "{step:?}");
        let losses = |steps: &[StepRecord]| -> Vec<f64> { steps.iter().map(|s| s.loss).collect() };
        assert_eq!(losses(&rest), losses(&steps[10..]));

        // other examples lead elsewhere, and are noticed
        let mut other = Run::new(step, run.config.clone());
        other.prompts.reverse();
        let repeated = other
            .with(|training| training.repeat(model(), &Selection::All, &records[..10], |_| ()));
        let refused = repeated.expect_err("other examples");
        assert!(
            matches!(refused, TrainError::OtherLoss { step: 1, .. }),
            "{refused}"
        );
    }
}

/// A loss that is not finite moves nothing.
#[test]
fn a_non_finite_loss_never_reaches_the_weights() {
    struct Spoil;
    impl ModuleMapper<Cpu> for Spoil {
        fn map_float<const D: usize>(
            &mut self,
            param: Param<Tensor<Cpu, D>>,
        ) -> Param<Tensor<Cpu, D>> {
            param.map(|weight| weight * f32::MAX)
        }
    }
    let spoilt = model().map(&mut Spoil);
    let before = content_hash(&spoilt);
    let run = Run::new(TailStep::Normalised, config(2, 0.01));
    let (after, steps) = run.train(spoilt, TrainState::beginning());
    assert!(
        steps
            .iter()
            .all(|step| step.event == Some(Event::NonFiniteLoss) && step.skipped.is_some())
    );
    assert_eq!(content_hash(&after), before);
}

#[test]
fn an_objective_without_a_gradient_is_refused() {
    let run = Run {
        objective: &Accuracy,
        ..Run::new(TailStep::Normalised, config(1, 0.01))
    };
    let result = run.with(|training| training.run(model(), &Selection::All));
    assert!(matches!(result, Err(TrainError::NotDifferentiable)));
}
