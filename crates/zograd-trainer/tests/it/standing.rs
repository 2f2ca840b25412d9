//! Steps with weights that stand still: the losses and the weights of steps that walk.

use crate::steps::methods;
use crate::tiny::{Cpu, model, prompt, prompts};
use burn::module::Module;
use zograd_models::{
    AdapterConfig, HEAD, LoraConfig, Model, ModelBackend, Plan, Probe, Sequence, Sharing,
    content_hash, content_hash_of,
};
use zograd_perturb::{Grids, NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{MethodSpec, Methods, StepContext};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Accuracy, AnswerF1, Classification, LanguageModel, Loss, Objective, Rule, Scored, Standing,
    StepReport, TeacherForcing, TrainError, Walking, measure, measure_at_each, run_step,
    stands_still,
};

const EPS: f64 = 1e-2;

/// On grids where they can be.
fn perturbed<B: NoiseBackend + ModelBackend>(
    module: Model<B>,
    selection: &Selection,
    exact: bool,
) -> Perturbed<B, Model<B>> {
    let space = ParameterSpace::select(&module, selection).expect("parameters");
    if !exact {
        return Perturbed::new(module, space, NoiseKind::Gaussian, EPS).expect("its own space");
    }
    let grids = Grids::of(&module, &space, EPS, 1e-2).expect("finite");
    Perturbed::on_grids(module, space, NoiseKind::Gaussian, EPS, grids).expect("f32")
}

/// Options of one token after the same words: their normaliser cancels.
fn short() -> Vec<Prompt> {
    let one = |row: usize| {
        let context = [2, 10 + (row % 2) as u32, 14 + (row as u32 * 7) % 13, 5];
        let option = |answer: u32| ([&context[..], &[answer]].concat(), 1);
        prompt(row, &[option(7), option(8), option(9)], row % 3)
    };
    (0..6).map(one).collect()
}

struct Made {
    reports: Vec<StepReport>,
    weights: String,
    passes: u64,
    streams: u64,
}

fn make<B: NoiseBackend + ModelBackend>(
    mut model: Perturbed<B, Model<B>>,
    method: &MethodSpec,
    (batch, objective): (&[&Prompt], &dyn Objective),
    standing: bool,
) -> Made {
    let mut strategy = Methods::built_in().build(method).expect("valid");
    let mut reports = Vec::new();
    for step in 0..3 {
        let context = StepContext::new(step, Seed::new(5).child(step), EPS);
        let rule = Rule::new(1e-3, 0.1);
        let report = if standing {
            let mut prober = Standing::new(&mut model, |model, probes| {
                let found = measure_at_each(model, probes, batch, objective)?;
                Ok(found.iter().map(|found| found.loss(objective)).collect())
            });
            run_step(strategy.as_mut(), &context, &mut prober, rule)
        } else {
            let mut prober = Walking::new(&mut model, |model| {
                Ok(measure(model, batch, objective, None)?.loss(objective))
            });
            run_step(strategy.as_mut(), &context, &mut prober, rule)
        };
        reports.push(report.expect("a step"));
    }
    let (passes, streams) = (model.passes(), model.streams());
    let weights = content_hash(&model.into_module().expect("at rest"));
    Made {
        reports,
        weights,
        passes,
        streams,
    }
}

/// With exact steps every loss and every weight has the bits of walking, for every method and whatever moves.
#[test]
fn standing_and_walking_make_the_same_steps() {
    let (long, short) = (prompts(), short());
    let long: Vec<&Prompt> = long.iter().take(6).collect();
    let short: Vec<&Prompt> = short.iter().collect();
    let moving = [
        (model(), Selection::All, false),
        (model().untied(), Selection::matching([HEAD]), true),
        (
            model(),
            Selection::matching(["*bias", "*layer_norm*"]),
            false,
        ),
    ];
    for (module, selection, head_alone) in moving {
        for method in methods() {
            for (batch, objective) in [
                (&short, &Classification as &dyn Objective),
                (&long, &Classification),
                (&long, &TeacherForcing),
            ] {
                let start = || perturbed(module.clone(), &selection, true);
                let walked = make(start(), &method, (batch, objective), false);
                let stood = make(start(), &method, (batch, objective), true);
                for (walked, stood) in walked.reports.iter().zip(&stood.reports) {
                    // the layers before the head run once for all probes that are asked for together
                    match head_alone {
                        true => assert!(stood.tokens < walked.tokens),
                        false => assert_eq!(walked.tokens, stood.tokens),
                    }
                    if cfg!(target_arch = "x86_64") {
                        assert_eq!(walked.evaluations, stood.evaluations, "{method:?}");
                    }
                    for (a, b) in walked.evaluations.iter().zip(&stood.evaluations) {
                        assert!((a.loss - b.loss).abs() < 1e-5, "{a:?} and {b:?}");
                    }
                }
                if cfg!(target_arch = "x86_64") {
                    assert_eq!(walked.weights, stood.weights, "{method:?}");
                }
                assert!(stood.streams <= walked.streams && stood.passes <= walked.passes);
            }
        }
    }
}

/// (passes, streams) of a step: those of the probes, where one and its opposite are one, and those of the update.
#[test]
fn streams_of_a_step_are_counted() {
    let with_pool = |name, pool: usize| MethodSpec::new(name).with("pool", pool);
    let gv = |pool| with_pool("gv", pool).with("alpha", 0.5);
    for (method, passes, streams) in [
        (MethodSpec::new("mezo"), 2, 2),
        (MethodSpec::new("n-spsa").with("queries", 3), 4, 6),
        (gv(4).with("faithful-cost", false), 6, 12),
        (gv(2).with("faithful-cost", false), 2, 4),
        (gv(2).with("faithful-cost", true), 4, 6),
        (with_pool("greedy", 4), 6, 6),
        (with_pool("pool-regression", 4), 5, 8),
        (with_pool("fzoo", 4), 5, 8),
        (MethodSpec::new("hizoo"), 2, 2),
        (MethodSpec::new("adamu"), 2, 2),
    ] {
        let mut model = perturbed(model(), &Selection::All, true);
        let mut strategy = Methods::built_in().build(&method).expect("valid");
        let mut asked = 0.0;
        let mut prober = Standing::new(&mut model, |_, probes| {
            let points: usize = probes.iter().map(Probe::<Cpu>::points).sum();
            let rising = |_| {
                asked += 1.0;
                Loss::new(asked)
            };
            Ok((0..points).map(rising).collect())
        });
        let context = StepContext::new(0, Seed::new(5), EPS);
        let rule = Rule::new(1e-4, 0.0);
        run_step(strategy.as_mut(), &context, &mut prober, rule).expect("a step");
        assert_eq!(asked as usize, strategy.forwards(), "{method:?}");
        assert_eq!(
            (model.passes(), model.streams()),
            (passes, streams),
            "{method:?}"
        );
    }
}

/// Nothing of a probe is left in the weights, also where walking leaves roundings behind.
#[test]
fn probes_leave_nothing_behind() {
    let before = content_hash(&model());
    let mut model = perturbed(model(), &Selection::All, false);
    let short = short();
    let batch: Vec<&Prompt> = short.iter().collect();
    for step in 0..20 {
        let mut strategy = Methods::built_in()
            .build(&MethodSpec::new("gv").with("pool", 4))
            .expect("valid");
        let context = StepContext::new(step, Seed::new(5).child(step), EPS);
        let mut prober = Standing::new(&mut model, |model, probes| {
            let found = measure_at_each(model, probes, &batch, &Classification)?;
            Ok(found
                .iter()
                .map(|found| found.loss(&Classification))
                .collect())
        });
        // an update of nothing
        let rule = Rule::new(0.0, 0.0);
        let report = run_step(strategy.as_mut(), &context, &mut prober, rule);
        let losses: Vec<f64> = report
            .expect("a step")
            .evaluations
            .iter()
            .map(|told| told.loss)
            .collect();
        assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
        assert!(losses.iter().any(|loss| *loss != losses[0]), "{losses:?}");
    }
    assert_eq!(content_hash(&model.into_module().expect("at rest")), before);
}

/// The loss without the normalisers is that with them, as long as each is computed in f32: scores of a few units, whose
/// roundings of 2^-22 at most do not add up.
#[test]
fn the_loss_is_the_same_without_normalisers() {
    for objective in [&Classification as &dyn Objective, &Accuracy] {
        let short = short();
        let batch: Vec<&Prompt> = short.iter().collect();
        let bare = measure(&model(), &batch, objective, None).expect("scored");
        let mut scores = bare.examples.iter().flat_map(|example| example.means());
        assert!(scores.any(|score| score > 0.0), "these are logits");
        let whole = with_normalisers(&batch);
        let (bare, whole) = (bare.loss(objective).mean, objective.loss(&whole));
        assert!((bare - whole).abs() <= 1e-6 * whole.abs(), "{bare} {whole}");
    }
    // where they do not cancel they stay
    let long = prompts();
    let long: Vec<&Prompt> = long.iter().take(2).collect();
    for (batch, objective) in [
        (&long, &Classification as &dyn Objective),
        (&short().iter().collect(), &TeacherForcing),
    ] {
        let found = measure(&model(), batch, objective, None).expect("scored");
        let mut scores = found.examples.iter().flat_map(|example| example.means());
        assert!(
            scores.all(|score| score < 0.0),
            "these are log-probabilities"
        );
    }
}

fn with_normalisers<'p>(batch: &[&'p Prompt]) -> Vec<Scored<'p>> {
    let options = |prompt: &&'p Prompt| -> Vec<Sequence<'p>> {
        let candidates = prompt.candidates.iter();
        let sequence = |ids| Sequence { ids, scored: 1 };
        candidates
            .map(|candidate| sequence(&candidate.ids[..]))
            .collect()
    };
    let groups: Vec<Vec<Sequence<'p>>> = batch.iter().map(options).collect();
    let plan = Plan::new(&groups, Sharing::Prefix).expect("valid");
    let scores = model().log_probs(&plan).expect("valid ids");
    let mut scores = scores.into_iter();
    batch
        .iter()
        .map(|prompt| Scored {
            reward: None,
            prompt,
            candidates: (0..prompt.candidates.len())
                .map(|candidate| (candidate, scores.by_ref().take(1).collect()))
                .collect(),
            answer: None,
        })
        .collect()
}

/// Who stands still: a model that takes probes, unless it writes its answers or moves an adapter in copies.
#[test]
fn who_stands_still() {
    let space = |module: &Model<Cpu>, selection: &Selection| {
        ParameterSpace::select(module, selection).expect("parameters")
    };
    let whole = model();
    let all = space(&whole, &Selection::All);
    assert!(stands_still(&whole, &all, &Classification));
    assert!(!stands_still(&whole, &all, &AnswerF1));
    let adapter = AdapterConfig::Lora(LoraConfig::default());
    let tuned = model().with_adapter(&adapter, Seed::new(1)).expect("valid");
    let small = space(&tuned, &Selection::matching(zograd_models::ADAPTERS));
    assert!(tuned.at_once(&small.sizes()) > 1);
    assert!(!stands_still(&tuned, &small, &Classification));
}

/// An error of the model ends the step, and the weights are where they were.
#[test]
fn an_error_leaves_the_weights_alone() {
    let before = content_hash_of(&model(), |_| true);
    let mut model = perturbed(model(), &Selection::All, false);
    let mut strategy = Methods::built_in()
        .build(&MethodSpec::new("mezo"))
        .expect("valid");
    let mut prober = Standing::new(&mut model, |_, _| Err(TrainError::NoWriter));
    let context = StepContext::new(0, Seed::new(5), EPS);
    let failed = run_step(
        strategy.as_mut(),
        &context,
        &mut prober,
        Rule::new(1e-3, 0.0),
    );
    assert!(matches!(failed, Err(TrainError::NoWriter)));
    assert_eq!(content_hash_of(model.module(), |_| true), before);
    assert!(model.module().num_params() > 0);
}
