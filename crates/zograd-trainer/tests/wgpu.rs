//! Whole steps on a GPU backend against the CPU: through wgpu where that is compiled in, on any machine with OpenGL
//! (Mesa's software renderer will do; Debian: libegl1 and libgl1-mesa-dri), otherwise on the first NVIDIA GPU.

#![cfg(any(feature = "wgpu", feature = "cuda"))]

use burn_ndarray::NdArray;
use std::path::Path;
use zograd_models::{
    ADAPTERS, AdapterConfig, LoadOptions, LoraConfig, Model, ModelBackend, ModelConfig,
    PrefixConfig, save_pretrained,
};
use zograd_perturb::{NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{MethodSpec, Methods, StepContext};
use zograd_tasks::{EncodedCandidate, Prompt};
use zograd_trainer::{Classification, Rule, StepReport, Walking, measure, run_step};

type Cpu = NdArray<f32>;
#[cfg(feature = "wgpu")]
type Gpu = burn_wgpu::Wgpu;
#[cfg(not(feature = "wgpu"))]
type Gpu = burn_cuda::Cuda;

const EPS: f64 = 1e-2;

fn config() -> ModelConfig {
    ModelConfig::from_json(
        r#"{"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "ffn_dim": 32, "max_position_embeddings": 32, "init_std": 0.2}"#,
    )
    .expect("a valid configuration")
}

/// Two examples of different lengths, with options of one and of three tokens.
fn batch() -> Vec<Prompt> {
    let prompt = |row: usize, context: &[u32], options: &[&[u32]]| Prompt {
        row,
        correct: vec![0],
        candidates: options
            .iter()
            .map(|option| EncodedCandidate {
                ids: [context, option].concat(),
                option_len: option.len(),
                truncated: 0,
                gaps: vec![],
            })
            .collect(),
        ..Prompt::default()
    };
    vec![
        prompt(0, &[2, 11, 12, 13, 14, 15], &[&[20], &[21]]),
        prompt(1, &[2, 30], &[&[22, 23, 24], &[25]]),
    ]
}

/// Two steps of `method` from the weights in `folder`, or with an adapter beside them.
fn steps<B: NoiseBackend + ModelBackend>(
    folder: &Path,
    method: &MethodSpec,
    adapter: Option<&AdapterConfig>,
    device: &B::Device,
) -> Vec<StepReport> {
    let options = LoadOptions::default();
    let (mut model, _) = Model::<B>::load(folder, &options, device).expect("a model");
    let mut selection = Selection::All;
    if let Some(adapter) = adapter {
        model = model.with_adapter(adapter, Seed::new(1)).expect("valid");
        selection = Selection::matching(ADAPTERS);
    }
    let space = ParameterSpace::select(&model, &selection).expect("parameters");
    let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, EPS).expect("its own space");
    let mut strategy = Methods::built_in().build(method).expect("valid");
    let batch = batch();
    let batch: Vec<&Prompt> = batch.iter().collect();
    (0..2)
        .map(|step| {
            let context = StepContext::new(step, Seed::new(5).child(step), EPS);
            let mut prober = Walking::new(&mut model, |m| {
                let measured = measure(m, &batch, &Classification, None)?;
                Ok(measured.loss(&Classification))
            });
            let rule = Rule::new(1e-3, 1e-2);
            run_step(strategy.as_mut(), &context, &mut prober, rule).expect("a step")
        })
        .collect()
}

/// Losses agree to 1e-4 relative, as forwards in f32 do; a slope is a difference of two losses over 2 eps, so
/// its error may be 2e-4 of a loss near 1 over 2e-2.
#[test]
fn steps_equal_those_of_the_cpu() {
    let gpu = Default::default();
    #[cfg(feature = "wgpu")]
    burn_wgpu::init_setup::<burn_wgpu::graphics::OpenGl>(&gpu, Default::default());
    let folder = tempfile::tempdir().expect("a folder");
    let model = Model::<Cpu>::init(&config(), &Default::default());
    save_pretrained(&model, &config(), None, folder.path()).expect("written");
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let prefix = AdapterConfig::Prefix(PrefixConfig::default());
    for (method, adapter) in [
        (MethodSpec::new("mezo"), None),
        (
            MethodSpec::new("gv")
                .with("pool", 4)
                .with("alpha", 0.5)
                .with("faithful-cost", false),
            None,
        ),
        (MethodSpec::new("greedy").with("pool", 3), None),
        (MethodSpec::new("mezo"), Some(&lora)),
        (MethodSpec::new("mezo"), Some(&prefix)),
    ] {
        let expected = steps::<Cpu>(folder.path(), &method, adapter, &Default::default());
        let found = steps::<Gpu>(folder.path(), &method, adapter, &gpu);
        for (found, expected) in found.iter().zip(&expected) {
            for (a, e) in found.evaluations.iter().zip(&expected.evaluations) {
                assert_eq!(a.direction, e.direction);
                assert!((a.loss / e.loss - 1.0).abs() < 1e-4, "{a:?} for {e:?}");
            }
            let difference = found.projected_gradient - expected.projected_gradient;
            assert!(difference.abs() < 1e-2, "{found:?} for {expected:?}");
            assert!(expected.projected_gradient != 0.0);
        }
    }
}
