//! Training with an adapter moves its tensors and nothing else, and the log tells how it began.

use crate::seeded;
use crate::tiny::{Cpu, model};
use burn::module::Module;
use burn::tensor::backend::Backend;
use std::path::Path;
use std::sync::Mutex;
use zograd_models::{
    ADAPTERS, AdapterConfig, BaseNote, Continuation, Generation, LoraConfig, Model, ModelConfig,
    ModelError, Plan, PrefixConfig, PrefixInit, Sequence, Sharing, Storage, content_hash,
    content_hash_of, is_adapter, save_adapter,
};
use zograd_perturb::{
    Direction, NoiseKind, ParameterError, ParameterSpace, Perturbed, Seed, Selection,
};
use zograd_select::{MethodSpec, Methods, StepContext};
use zograd_tasks::{EncodedCandidate, Prompt};
use zograd_trainer::trajectory::{AdapterStart, AdapterStartError};
use zograd_trainer::{
    Examples, InStack, LanguageModel, Loss, Rule, Scoring, Stacked, TeacherForcing, TrainConfig,
    Training, Walking, run_step,
};

fn adapters() -> [AdapterConfig; 3] {
    [
        AdapterConfig::Lora(LoraConfig::default()),
        AdapterConfig::Prefix(PrefixConfig::default()),
        AdapterConfig::Prefix(PrefixConfig {
            tokens: 3,
            init: PrefixInit::Random,
        }),
    ]
}

#[test]
fn only_the_adapter_moves() {
    let base = model();
    let untouched = content_hash(&base);
    assert!(matches!(
        ParameterSpace::select(&base, &Selection::matching(ADAPTERS)),
        Err(ParameterError::NothingSelected { .. })
    ));
    let ids = [2, 4, 3, 5, 1];
    let plan = Plan::new(
        &[vec![Sequence {
            ids: &ids,
            scored: 3,
        }]],
        Sharing::Prefix,
    );
    let plan = plan.expect("valid");
    for config in adapters() {
        let (start, model) = AdapterStart::fresh(config, 5, model()).expect("valid");
        let space =
            ParameterSpace::select(&model, &Selection::matching(ADAPTERS)).expect("adapters");
        let names: Vec<&str> = space.names().collect();
        assert!(names.iter().all(|name| is_adapter(name)), "{names:?}");
        let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-2).expect("its own");
        let mut strategy = Methods::built_in()
            .build(&MethodSpec::new("greedy").with("pool", 3))
            .expect("valid");
        for step in 0..3 {
            let context = StepContext::new(step, Seed::new(5).child(step), 1e-2);
            let mut prober = Walking::new(&mut model, |m: &Model<Cpu>| {
                Ok(-f64::from(m.log_probs(&plan)?.iter().sum::<f32>()))
            });
            let rule = Rule::new(1e-2, 1e-2);
            run_step(strategy.as_mut(), &context, &mut prober, rule).expect("a step");
        }
        let model = model.into_module().expect("restored");
        assert_ne!(content_hash_of(&model, is_adapter), start.weights);
        assert_eq!(content_hash(&model.without_adapter()), untouched);
    }
}

/// A probe moves every tensor of an adapter, whichever its place.
#[test]
fn every_tensor_of_an_adapter_moves() {
    for config in adapters() {
        let (_, model) = AdapterStart::fresh(config, 5, model()).expect("valid");
        let space =
            ParameterSpace::select(&model, &Selection::matching(ADAPTERS)).expect("adapters");
        let names: Vec<String> = space.names().map(String::from).collect();
        let hash = |model: &Model<Cpu>, name: &str| content_hash_of(model, |other| other == name);
        let before: Vec<String> = names.iter().map(|name| hash(&model, name)).collect();
        let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-2).expect("its own");
        model
            .move_to(&Direction::from(vec![(Seed::new(1), 1.0)]))
            .expect("a pass");
        for (name, before) in names.iter().zip(before) {
            assert_ne!(hash(model.module(), name), before, "{name}");
        }
    }
}

/// Probes of an adapter that are scored together, in one pass or several, make the step that they make one by one.
#[test]
fn probes_together_make_the_same_step() {
    let batch = [&[2, 4, 3, 5, 1][..], &[2, 9, 30], &[7, 8, 9, 10]];
    let groups = batch.map(|ids| vec![Sequence { ids, scored: 1 }]);
    let plan = Plan::new(&groups, Sharing::Prefix).expect("valid");
    for config in adapters() {
        let step = |method: &MethodSpec, at_once: usize| {
            let (_, model) = AdapterStart::fresh(config.clone(), 5, model()).expect("valid");
            let space = ParameterSpace::select(&model, &Selection::matching(ADAPTERS));
            let space = space.expect("adapters");
            assert!(model.at_once(&space.sizes()) > 1);
            let mut model =
                Perturbed::new(model, space, NoiseKind::Gaussian, 1e-2).expect("its own");
            let context = StepContext::new(0, Seed::new(5), 1e-2);
            let mut sizes = Vec::new();
            let losses = |models: &[Model<Cpu>], stack: InStack| {
                assert_eq!((stack.first, stack.of), (0, models.len()));
                sizes.push(models.len());
                let each = Model::log_probs_of_each(models, &plan)?;
                let loss = |scores: &Vec<f32>| Loss::new(-f64::from(scores.iter().sum::<f32>()));
                Ok(each.iter().map(loss).collect())
            };
            let mut strategy = Methods::built_in().build(method).expect("valid");
            let mut prober = Stacked::new(&mut model, at_once, losses);
            let rule = Rule::new(1e-2, 1e-2);
            let report = run_step(strategy.as_mut(), &context, &mut prober, rule).expect("a step");
            let passes = model.passes();
            let weights = content_hash(&model.into_module().expect("restored"));
            (report, sizes, passes, weights)
        };
        for (method, sizes) in [
            (MethodSpec::new("mezo"), vec![2]),
            (MethodSpec::new("greedy").with("pool", 5), vec![3, 2, 1]),
            (MethodSpec::new("n-spsa").with("queries", 2), vec![3, 1]),
        ] {
            let (expected, one_by_one, passes, weights) = step(&method, 1);
            let (report, found, found_passes, found_weights) = step(&method, 3);
            assert_eq!(found, sizes);
            assert_eq!(one_by_one, vec![1; sizes.iter().sum()]);
            assert_eq!(found_passes, passes);
            // elsewhere the matrix library may take another kernel for other numbers of rows
            if cfg!(target_arch = "x86_64") {
                assert_eq!(report.evaluations, expected.evaluations);
                assert_eq!(found_weights, weights);
            }
            for (a, b) in report.evaluations.iter().zip(&expected.evaluations) {
                assert!((a.loss - b.loss).abs() < 1e-5, "{a:?} and {b:?}");
            }
        }
    }
}

/// A model that tells how many of it were scored together.
#[derive(Module, Debug)]
struct Counting<B: Backend> {
    opt: Model<B>,
}

static TOGETHER: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl LanguageModel for Counting<Cpu> {
    type Backend = Cpu;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        self.opt.log_probs(plan)
    }

    fn at_once(&self, moving: &[(&str, usize)]) -> usize {
        self.opt.at_once(moving)
    }

    fn log_probs_of_each(models: &[Self], plan: &Plan) -> Result<Vec<Vec<f32>>, ModelError> {
        TOGETHER.lock().expect("no panic").push(models.len());
        let models: Vec<Model<Cpu>> = models.iter().map(|model| model.opt.clone()).collect();
        Model::log_probs_of_each(&models, plan)
    }

    fn generate(&self, _: &[&[u32]], _: &Generation) -> Result<Vec<Continuation>, ModelError> {
        Ok(Vec::new())
    }
}

/// A run makes use of it: a pool of four in one forward, then the two sides of the estimate in another.
#[test]
fn a_run_scores_its_probes_together() {
    let prompt = Prompt {
        candidates: vec![EncodedCandidate {
            ids: vec![2, 4, 3],
            option_len: 1,
            truncated: 0,
            gaps: vec![],
        }],
        correct: vec![0],
        ..Prompt::default()
    };
    let scoring = Scoring::choice();
    let examples = Examples {
        train: &[prompt],
        dev: &[],
        scoring: &scoring,
    };
    let mut config = TrainConfig::new(2, 1e-3);
    (config.batch_size, config.seed) = (3, 3);
    let method = MethodSpec::new("gv")
        .with("pool", 4)
        .with("alpha", 0.5)
        .with("faithful-cost", false);
    let (_, opt) = AdapterStart::fresh(adapters()[0].clone(), 5, model()).expect("valid");
    let model = Counting { opt };
    let space = ParameterSpace::select(&model, &Selection::matching(ADAPTERS)).expect("adapters");
    let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-2).expect("its own");
    let mut strategy = Methods::built_in().build(&method).expect("valid");
    let training = Training::new(strategy.as_mut(), &TeacherForcing, examples, &config);
    let summary = training.run(&mut model).expect("trains");
    assert_eq!(summary.forwards, 12);
    assert_eq!(*TOGETHER.lock().expect("no panic"), [4, 2, 4, 2]);
}

/// Copies of all weights would take the memory that zeroth-order methods save.
#[test]
fn probes_of_all_weights_are_made_one_by_one() {
    let (_, tuned) = AdapterStart::fresh(adapters()[0].clone(), 5, model()).expect("valid");
    for model in [model(), tuned] {
        let space = ParameterSpace::select(&model, &Selection::All).expect("parameters");
        assert_eq!(model.at_once(&space.sizes()), 1);
    }
    // an adapter as large as the projections it stands beside, in a model of 5 million weights
    let shape = r#"{"vocab_size": 40, "hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2,
        "ffn_dim": 1024, "max_position_embeddings": 32}"#;
    let shape = ModelConfig::from_json(shape).expect("a valid configuration");
    let at_once = |r: usize| {
        let base = seeded::model(&shape, 1);
        let lora = LoraConfig {
            r,
            ..LoraConfig::default()
        };
        let model = base.with_adapter(&AdapterConfig::Lora(lora), Seed::new(1));
        let model = model.expect("valid");
        let space = ParameterSpace::select(&model, &Selection::matching(ADAPTERS));
        model.at_once(&space.expect("adapters").sizes())
    };
    assert_eq!([1, 256, 512].map(at_once), [8, 2, 1]);
}

#[test]
fn a_start_is_made_again_or_refused() {
    let nowhere = Path::new("/nonexistent");
    for config in adapters() {
        let (start, first) = AdapterStart::fresh(config, 5, model()).expect("valid");
        let json = serde_json::to_string(&start).expect("JSON");
        assert_eq!(
            serde_json::from_str::<AdapterStart>(&json).expect("JSON"),
            start
        );
        let again = start.again(model(), nowhere).expect("made again");
        assert_eq!(content_hash(&again), content_hash(&first));
        let mut other = start.clone();
        other.weights = "sha256:0".to_owned();
        let refused = other.again(model(), nowhere).expect_err("other bits");
        assert!(matches!(refused, AdapterStartError::Differs { .. }));

        // a folder that was kept is believed, if it holds what the log says
        let kept = tempfile::tempdir().expect("a folder");
        let note = BaseNote {
            model: "tiny".to_owned(),
            weights: content_hash(&model()),
            dtype: Storage::F32,
        };
        save_adapter(&first, &note, kept.path()).expect("saved");
        assert!(start.again(model(), kept.path()).is_ok());
        let (_, foreign) = AdapterStart::fresh(start.config.clone(), 6, model()).expect("valid");
        save_adapter(&foreign, &note, kept.path()).expect("saved");
        let refused = start.again(model(), kept.path()).expect_err("other bits");
        assert!(matches!(refused, AdapterStartError::Differs { .. }));
    }
}
