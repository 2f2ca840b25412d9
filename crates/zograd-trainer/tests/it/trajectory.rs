//! A strategy that is not built in, logged, replayed and resumed.

use crate::families::specs;
use crate::tiny::{Cpu, model, prompts};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zograd_models::{Model, Storage, content_hash};
use zograd_perturb::family::{FamilySpec, Part, PerturbationSpec, Values};
use zograd_perturb::{
    Arithmetic, Direction, Family, NoiseKind, ParameterSpace, ParameterSpec, PerturbError,
    Perturbation, Perturbed, Seed, Selection, noise,
};
use zograd_select::{Action, MethodSpec, StepContext, Strategy, StrategyError, Told, Update};
use zograd_trainer::trajectory::{
    Header, Record, ReplayError, Trajectory, TrajectoryError, TrajectoryWriter, Walk, replay,
    retell,
};
use zograd_trainer::{
    Classification, DecayToward, EvalRecord, Event, Examples, Observer, Scoring, StepRecord,
    StopReason, TrainConfig, TrainError, TrainState, TrainSummary, Training,
};

pub const STEPS: u64 = 9;
pub const KILLED_AFTER: u64 = 5;

/// One-sided slopes, each averaged with the one before: it needs its memory.
#[derive(Default)]
struct Damped {
    last: f64,
}

impl Strategy for Damped {
    fn name(&self) -> &str {
        "damped"
    }

    fn forwards(&self) -> usize {
        2
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let z = Direction::unit(step.seed.child(0));
        let [here, there] = told else {
            return Ok(Action::Evaluate(vec![Direction::zero(), z]));
        };
        let slope = (there.loss - here.loss) / step.eps;
        let damped = 0.5 * (slope + self.last);
        self.last = slope;
        Ok(Action::update_or_skip(Update::along(z, damped)))
    }
}

/// Keeps what a run tells, and asks it to stop after some step.
struct Keeper<'a> {
    stop: &'a AtomicBool,
    after: u64,
    steps: Vec<StepRecord>,
    evals: Vec<EvalRecord>,
    end: Option<(TrainSummary, Model<Cpu>)>,
}

impl Observer<Model<Cpu>> for Keeper<'_> {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.steps.push(record.clone());
        if record.step == self.after {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, _: &Model<Cpu>) -> Result<(), TrainError> {
        self.evals.push(record.clone());
        Ok(())
    }

    fn on_end(&mut self, summary: &TrainSummary, model: &Model<Cpu>) -> Result<(), TrainError> {
        self.end = Some((summary.clone(), model.clone()));
        Ok(())
    }
}

pub fn header(arithmetic: Arithmetic) -> Header {
    header_of(arithmetic, PerturbationSpec::default())
}

fn header_of(arithmetic: Arithmetic, perturbation: PerturbationSpec) -> Header {
    let mut config = TrainConfig::new(STEPS, 1e-2);
    (config.batch_size, config.eval_every, config.weight_decay) = (6, 3, 0.1);
    let space = ParameterSpace::select(&model(), &Selection::All).expect("parameters");
    let stands_still = arithmetic != Arithmetic::Exact;
    let mut header = Header {
        format: Header::format_of(None, &perturbation, arithmetic, stands_still, &config),
        model: "tiny".into(),
        weights: content_hash(&model()),
        dtype: Storage::F32,
        dimension: space.dimension(),
        selection: Selection::All,
        head_fit: None,
        measured_rate: None,
        informed: None,
        adapter: None,
        noise: NoiseKind::Gaussian,
        perturbation,
        noise_version: noise::VERSION,
        arithmetic,
        stands_still,
        eps: 1e-3,
        // for people: the strategy is given by hand
        method: MethodSpec::new("mezo"),
        config,
    };
    header.note_mask(&model()).expect("a mask");
    header
}

pub fn walk(header: &Header) -> Walk {
    Walk::from_start(&model(), header, "unused".into()).expect("finite weights")
}

pub struct Ran {
    summary: TrainSummary,
    pub state: TrainState,
    pub weights: String,
    pub end: Model<Cpu>,
}

/// Trains on from `state`, and logs it, up to step `until` or the last.
pub fn run(
    model: &mut Perturbed<Cpu, Model<Cpu>>,
    strategy: &mut dyn Strategy,
    (header, state): (&Header, TrainState),
    log: &mut TrajectoryWriter,
    until: u64,
) -> Ran {
    let (prompts, scoring, stop) = (prompts(), Scoring::choice(), AtomicBool::new(false));
    let (train, dev) = prompts.split_at(16);
    let examples = Examples {
        train,
        dev,
        scoring: &scoring,
    };
    let mut keeper = Keeper {
        stop: &stop,
        after: until,
        steps: vec![],
        evals: vec![],
        end: None,
    };
    let summary = Training::new(strategy, &Classification, examples, &header.config)
        .resume(state)
        .observer((log, &mut keeper))
        .stop(&stop)
        .run(model)
        .expect("trains");
    let (told, end) = keeper.end.expect("told of the end");
    assert_eq!(told, summary);
    assert_eq!(content_hash(&end), content_hash(model.module()));
    Ran {
        summary,
        state: TrainState::after(&keeper.steps, &keeper.evals),
        weights: content_hash(&end),
        end,
    }
}

/// What stays the same when a run is made again: everything but the time.
fn timeless(mut summary: TrainSummary) -> TrainSummary {
    summary.seconds = 0.0;
    let evals = [&mut summary.untuned, &mut summary.best, &mut summary.last];
    for eval in evals.into_iter().flatten() {
        (eval.seconds, eval.eval_seconds) = (0.0, 0.0);
    }
    summary
}

fn replayed(header: &Header, records: &[Record]) -> (Perturbed<Cpu, Model<Cpu>>, Damped) {
    let mut again = walk(header).begin(model()).expect("the start");
    let mut strategy = Damped::default();
    replay(&mut again, &mut strategy, header, records, |_| ()).expect("this run's");
    (again, strategy)
}

fn whole_run(header: &Header, path: &Path) -> Ran {
    let mut log = TrajectoryWriter::create(path, header.clone()).expect("a new log");
    let mut walked = walk(header).begin(model()).expect("the start");
    let start = (header, TrainState::beginning());
    run(
        &mut walked,
        &mut Damped::default(),
        start,
        &mut log,
        STEPS + 1,
    )
}

/// A run that is interrupted, and resumed from a checkpoint or from its log alone.
fn resumed_run(header: &Header, path: &Path, from_checkpoint: bool) -> Ran {
    let mut log = TrajectoryWriter::create(path, header.clone()).expect("a new log");
    let mut walked = walk(header).begin(model()).expect("the start");
    let start = (header, TrainState::beginning());
    let first = run(
        &mut walked,
        &mut Damped::default(),
        start,
        &mut log,
        KILLED_AFTER,
    );
    assert_eq!(first.summary.stop, StopReason::Interrupted);
    let cut = Trajectory::read(path).expect("a log");
    assert_eq!(cut.records.len() as u64, KILLED_AFTER);

    let (mut walked, mut strategy) = if from_checkpoint {
        let mut strategy = Damped::default();
        retell(&mut strategy, header, &cut.records).expect("this run's");
        let walked = walk(header).resume(first.end).expect("its own");
        (walked, strategy)
    } else {
        replayed(header, &cut.records)
    };
    let end = cut.ends[cut.records.len()];
    let mut log = TrajectoryWriter::resume(path, header.clone(), end).expect("cut");
    let rest = (header, first.state);
    run(&mut walked, &mut strategy, rest, &mut log, STEPS + 1)
}

#[test]
fn a_strategy_of_ones_own_is_replayed_and_resumed_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    for arithmetic in [Arithmetic::Plain, Arithmetic::Exact] {
        let header = header(arithmetic);
        let path = folder.path().join(format!("{arithmetic:?}"));
        let whole = whole_run(&header, &path);
        assert_eq!(whole.summary.stop, StopReason::Finished);
        assert_eq!(
            (whole.summary.steps, whole.summary.forwards),
            (STEPS, 2 * STEPS)
        );
        assert_ne!(whole.weights, header.weights);
        let log = Trajectory::read(&path).expect("a log");
        let (again, _) = replayed(&header, &log.records);
        assert_eq!(
            content_hash(again.module()),
            whole.weights,
            "{arithmetic:?}"
        );

        for from_checkpoint in [false, true] {
            let path = folder
                .path()
                .join(format!("{arithmetic:?} {from_checkpoint}"));
            let resumed = resumed_run(&header, &path, from_checkpoint);
            assert_eq!(
                resumed.weights, whole.weights,
                "{arithmetic:?} {from_checkpoint}"
            );
            assert_eq!(timeless(resumed.summary), timeless(whole.summary.clone()));
            let found = Trajectory::read(&path).expect("a log");
            assert_eq!(found.records, log.records);
        }
    }
}

/// Decay towards the start finds the start weights again, from which the log is replayed and a checkpoint goes on; a reader
/// that would lead them to zero refuses the log.
#[test]
fn decay_towards_the_start_is_replayed_and_resumed_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    for arithmetic in [Arithmetic::Plain, Arithmetic::Exact] {
        let toward = |decay_toward| {
            let mut header = header(arithmetic);
            (header.config.weight_decay, header.config.decay_toward) = (5.0, decay_toward);
            header.format = Header::format_of(
                None,
                &header.perturbation,
                arithmetic,
                header.stands_still,
                &header.config,
            );
            header
        };
        let at = |name: &str| folder.path().join(format!("{arithmetic:?} {name}"));
        let header = toward(DecayToward::Start);
        assert_eq!(header.format, 8);
        let whole = whole_run(&header, &at("whole"));
        let to_zero = whole_run(&toward(DecayToward::Zero), &at("to zero"));
        assert_ne!(whole.weights, to_zero.weights);
        let log = Trajectory::read(&at("whole")).expect("a log");
        assert_eq!(log.header, header);
        let (again, _) = replayed(&log.header, &log.records);
        assert_eq!(content_hash(again.module()), whole.weights);
        for from_checkpoint in [false, true] {
            let path = at(&from_checkpoint.to_string());
            let resumed = resumed_run(&header, &path, from_checkpoint);
            assert_eq!(
                resumed.weights, whole.weights,
                "{arithmetic:?} {from_checkpoint}"
            );
        }
    }
}

/// Weights that decay elsewhere than the settings say are not trained.
#[test]
fn a_walk_that_decays_elsewhere_is_refused() {
    let header = header(Arithmetic::Plain);
    let mut config = header.config.clone();
    config.decay_toward = DecayToward::Start;
    let (prompts, scoring) = (prompts(), Scoring::choice());
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let mut walked = walk(&header).begin(model()).expect("the start");
    let mut strategy = Damped::default();
    let error = Training::new(&mut strategy, &Classification, examples, &config)
        .run(&mut walked)
        .expect_err("another decay")
        .to_string();
    assert!(error.starts_with("`decay-toward = start`: "), "{error}");
}

/// Nothing of a family is saved but its name and settings: what was drawn is drawn again, what was masked is masked again.
#[test]
fn every_family_is_replayed_and_resumed_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, spec) in specs().into_iter().enumerate() {
        for arithmetic in [Arithmetic::Plain, Arithmetic::Exact] {
            let header = header_of(arithmetic, spec.clone());
            assert_eq!(header.format == 5, !spec.is_dense());
            let path = folder.path().join(format!("{number} {arithmetic:?}"));
            let whole = whole_run(&header, &path);
            assert_ne!(whole.weights, header.weights);
            let log = Trajectory::read(&path).expect("a log");
            assert_eq!(log.header, header);
            let (again, _) = replayed(&log.header, &log.records);
            assert_eq!(content_hash(again.module()), whole.weights, "{header:?}");
            for from_checkpoint in [false, true] {
                let path = folder
                    .path()
                    .join(format!("{number} {arithmetic:?} {from_checkpoint}"));
                let resumed = resumed_run(&header, &path, from_checkpoint);
                assert_eq!(
                    resumed.weights, whole.weights,
                    "{header:?} {from_checkpoint}"
                );
                let found = Trajectory::read(&path).expect("a log");
                assert_eq!(found.records, log.records);
            }
        }
    }
}

/// A log of dense noise is what it was before there were families, and a reader of that time refuses the others by their
/// version.
#[test]
fn a_log_says_what_a_seed_means_if_it_is_not_dense_noise() {
    let text = |spec| serde_json::to_value(header_of(Arithmetic::Exact, spec)).expect("JSON");
    let dense = text(PerturbationSpec::default());
    assert_eq!(
        (dense.get("perturbation"), &dense["format"]),
        (None, &3.into())
    );
    for spec in specs().into_iter().skip(1) {
        let header = text(spec.clone());
        assert_eq!(header["format"], 5);
        let read: PerturbationSpec =
            serde_json::from_value(header["perturbation"].clone()).expect("a family");
        assert_eq!(read.scales, spec.scales);
        if let FamilySpec::Sparse { hash, .. } = read.family {
            assert!(hash.is_some_and(|hash| hash.starts_with("sha256:")));
        }
    }
}

/// Start weights that lead to another mask are refused before a step is made with it.
#[test]
fn a_mask_that_is_not_the_runs_is_refused() {
    let mut header = header_of(Arithmetic::Exact, specs().swap_remove(4));
    let FamilySpec::Sparse { hash, .. } = &mut header.perturbation.family else {
        panic!("{:?}", header.perturbation);
    };
    *hash = Some("sha256:00".into());
    let refused = Walk::from_start(&model(), &header, "unused".into());
    let error = refused.err().expect("refused").to_string();
    assert!(error.contains("not sha256:00"), "{error}");
}

/// Dense noise with the opposite sign in every other step.
#[derive(Debug)]
struct Flipped;

impl Family for Flipped {
    fn part(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Part {
        Part::made(Signed {
            sign: if step.is_multiple_of(2) { 1.0 } else { -1.0 },
            parameter: parameter.clone(),
            seed,
        })
    }

    fn since(&self, step: u64) -> u64 {
        step
    }
}

#[derive(Debug)]
struct Signed {
    sign: f32,
    parameter: ParameterSpec,
    seed: Seed,
}

impl Values for Signed {
    fn fill(&self, start: usize, out: &mut [f32]) {
        noise::fill(
            self.seed,
            self.parameter.id,
            NoiseKind::Gaussian,
            start as u64,
            out,
        );
        for value in out {
            *value *= self.sign;
        }
    }
}

/// A family of another crate has its name in the log; its program alone can replay it.
#[test]
fn a_family_of_ones_own_is_replayed_by_its_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = FamilySpec::Own {
        name: "flipped".into(),
    };
    let header = header_of(Arithmetic::Exact, PerturbationSpec::new(own));
    let walk = || {
        let noise = Perturbation::new(NoiseKind::Gaussian, Flipped);
        Walk::with_noise(&model(), &header, "unused".into(), noise).expect("finite weights")
    };
    let path = folder.path().join("log");
    let mut log = TrajectoryWriter::create(&path, header.clone()).expect("a new log");
    let mut walked = walk().begin(model()).expect("the start");
    let start = (&header, TrainState::beginning());
    let ran = run(
        &mut walked,
        &mut Damped::default(),
        start,
        &mut log,
        STEPS + 1,
    );
    let read = Trajectory::read(&path).expect("a log");
    let mut again = walk().begin(model()).expect("the start");
    let mut strategy = Damped::default();
    replay(
        &mut again,
        &mut strategy,
        &read.header,
        &read.records,
        |_| (),
    )
    .expect("this run's");
    assert_eq!(content_hash(again.module()), ran.weights);
    let refused = Walk::from_start(&model(), &read.header, "unused".into());
    let error = refused.err().expect("refused").to_string();
    assert!(
        error.contains("\"flipped\" is a family of another program"),
        "{error}"
    );
}

/// Hops round, so a log of weights that stood still is not replayed as one of weights that walked. With exact steps it is
/// all the same.
#[test]
fn a_log_says_whether_the_weights_stood_still() {
    let folder = tempfile::tempdir().expect("a folder");
    for arithmetic in [Arithmetic::Plain, Arithmetic::Exact] {
        let path = folder.path().join(format!("{arithmetic:?}"));
        let ran = whole_run(&header(arithmetic), &path);
        let log = Trajectory::read(&path).expect("a log");
        assert_eq!(log.header.stands_still, arithmetic == Arithmetic::Plain);
        assert_eq!(log.header.format == 4, log.header.stands_still);
        let walked = Header {
            stands_still: false,
            ..log.header.clone()
        };
        let (again, _) = replayed(&walked, &log.records);
        let same = content_hash(again.module()) == ran.weights;
        assert_eq!(same, arithmetic == Arithmetic::Exact);
    }
}

/// A log whose losses lead elsewhere, or that has too few of them, is not this strategy's.
#[test]
fn a_log_that_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let header = header(Arithmetic::Plain);
    let path = folder.path().join("log");
    whole_run(&header, &path);
    let log = Trajectory::read(&path).expect("a log");
    let retold = |change: fn(&mut Record)| {
        let mut records = log.records.clone();
        change(&mut records[3]);
        retell(&mut Damped::default(), &header, &records)
    };
    assert!(retold(|_| ()).is_ok());
    let changes: [fn(&mut Record); 4] = [
        |record| record.losses[0] += 1e-3,
        |record| record.losses.push(0.5),
        |record| record.update = Direction::zero(),
        |record| record.losses[1] = f64::NAN,
    ];
    for change in changes {
        assert!(matches!(
            retold(change),
            Err(ReplayError::Differs { step: 4 })
        ));
    }
    let short = retold(|record| record.losses.truncate(1));
    assert!(matches!(
        short,
        Err(ReplayError::Losses { step: 4, losses: 1 })
    ));
}

/// Before version 3 of the format weight decay was rounded away on grids: such a log would replay to other weights.
#[test]
fn a_log_whose_decay_was_rounded_away_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arithmetic, decay, refused) in [
        (Arithmetic::Exact, 0.1, true),
        (Arithmetic::Anchored, 0.1, true),
        (Arithmetic::Exact, 0.0, false),
        (Arithmetic::Plain, 0.1, false),
    ] {
        let mut header = header(arithmetic);
        (header.format, header.config.weight_decay) = (1, decay);
        let path = folder.path().join(format!("{arithmetic:?}{decay}"));
        TrajectoryWriter::create(&path, header.clone()).expect("a log");
        match Trajectory::read(&path) {
            Err(TrajectoryError::LostDecay { .. }) => assert!(refused, "{arithmetic:?} {decay}"),
            other => assert!(
                !refused && other.is_ok(),
                "{arithmetic:?} {decay}: {other:?}"
            ),
        }
        let format = Header::format_of(
            None,
            &PerturbationSpec::default(),
            arithmetic,
            false,
            &header.config,
        );
        assert_eq!(format, if refused { 3 } else { 1 });
    }
}

/// Updates that the grid rounds away are counted; without a grid there is nothing to round to.
#[test]
fn updates_below_the_grid_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = |arithmetic, lr| {
        let mut header = header(arithmetic);
        header.config.lr = lr;
        let ran = whole_run(&header, &folder.path().join(format!("{arithmetic:?}{lr}")));
        let events = ran.summary.events;
        events.get(&Event::UpdateBelowGrid).copied().unwrap_or(0)
    };
    assert_eq!(below(Arithmetic::Exact, 1e-10), STEPS);
    assert_eq!(below(Arithmetic::Exact, 1e-2), 0);
    assert_eq!(below(Arithmetic::Plain, 1e-10), 0);
}

/// Every step goes far in the same direction.
struct Straight;

impl Strategy for Straight {
    fn name(&self) -> &str {
        "straight"
    }

    fn forwards(&self) -> usize {
        1
    }

    fn next(&mut self, _: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let z = Direction::unit(7.into());
        Ok(match told {
            [] => Action::Evaluate(vec![Direction::zero()]),
            _ => Action::update_or_skip(Update::along(z, 75.0)),
        })
    }
}

/// A tensor that outgrows its grid ends the run by name: without development examples, between evaluations, and in a
/// replay.
#[test]
fn a_tensor_that_outgrows_its_grid_ends_run_and_replay() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let mut header = header(Arithmetic::Exact);
    (header.config.steps, header.config.eval_every) = (50, 0);
    let mut log = TrajectoryWriter::create(&path, header.clone()).expect("a new log");
    let (prompts, scoring) = (prompts(), Scoring::choice());
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let mut walked = walk(&header).begin(model()).expect("the start");
    let ran = Training::new(&mut Straight, &Classification, examples, &header.config)
        .observer(&mut log)
        .run(&mut walked);
    let error = ran.expect_err("outgrown").to_string();
    assert!(error.contains("has grown to"), "{error}");
    let records = Trajectory::read(&path).expect("a log").records;
    assert!(records.len() < 10, "{}", records.len());
    assert!(records.iter().all(|record| record.skipped.is_none()));
    let mut again = walk(&header).begin(model()).expect("the start");
    let replayed = replay(&mut again, &mut Straight, &header, &records, |_| ());
    assert!(
        matches!(
            replayed,
            Err(ReplayError::Perturb(PerturbError::OffGrid { .. }))
        ),
        "{replayed:?}"
    );
}

/// Other noise would walk to other weights.
#[test]
fn noise_of_another_version_is_not_replayed() {
    let mut header = header(Arithmetic::Exact);
    header.noise_version = 1;
    let mut again = walk(&header).begin(model()).expect("the start");
    let error = replay(&mut again, &mut Damped::default(), &header, &[], |_| ());
    let error = error.expect_err("version 1").to_string();
    assert!(
        error.contains("version 1") && error.contains("version 2"),
        "{error}"
    );
}

/// What decays is the model's to say.
#[test]
fn what_decays_is_what_the_model_says() {
    let walked = walk(&header(Arithmetic::Exact))
        .begin(model())
        .expect("the start");
    let parameters = walked.space().parameters();
    for parameter in parameters {
        let spared = ["bias", "layer_norm"]
            .iter()
            .any(|part| parameter.name.contains(part));
        assert_eq!(parameter.decays, !spared, "{}", parameter.name);
    }
    assert!(parameters.iter().any(|p| p.decays) && parameters.iter().any(|p| !p.decays));
}

#[test]
fn a_log_that_is_there_has_its_header() {
    let folder = tempfile::tempdir().expect("a folder");
    let header = header(Arithmetic::Exact);
    let path = |n: usize| folder.path().join(n.to_string());
    let made = AtomicUsize::new(0);
    let most = 64;
    // as a kill would leave it: whoever looks sees no log or one that can be read
    std::thread::scope(|threads| {
        threads.spawn(|| {
            loop {
                let next = made.load(Ordering::Acquire);
                if next == most {
                    return;
                }
                if path(next).exists() {
                    let log = Trajectory::read(&path(next)).expect("its header is there");
                    assert_eq!(log.header, header);
                }
            }
        });
        for n in 0..most {
            TrajectoryWriter::create(&path(n), header.clone()).expect("a new log");
            made.store(n + 1, Ordering::Release);
        }
    });
    let error = TrajectoryWriter::create(&path(0), header.clone()).expect_err("it is there");
    assert!(error.to_string().contains("exists"), "{error}");
}
