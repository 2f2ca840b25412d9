//! Logits, losses and greedy continuations agree with transformers on tiny random models of both
//! shapes (pre-norm; post-norm with projections).
//!
//! Tolerance: 1e-4 of the largest expected magnitude. f32 keeps 7 digits and these models sum at
//! most a few hundred terms in a row, so honest differences are around 1e-6; a wrong position, mask
//! or norm changes the first digit.

use crate::reference::{Goldens, counts, floats, ids, relative_error};
use burn::tensor::Device;
use zograd_models::{
    Decoding, Generation, LoadOptions, Model, ModelBackend, Plan, Sequence, Sharing,
};

/// On CUDA, burn multiplies f32 matrices in TF32, whose factors keep 3 digits: see docs/src/gpu.md.
fn tolerance<B: ModelBackend>() -> f64 {
    let name = B::name(&Device::<B>::default());
    if name.contains("cuda") { 1e-2 } else { 1e-4 }
}

fn model<B: ModelBackend>(folder: &str) -> Option<(Model<B>, Goldens)> {
    let (path, goldens) = Goldens::read(folder)?;
    let device = Device::<B>::default();
    let (model, report) =
        Model::load(&path, &LoadOptions::default(), &device).expect("the model loads");
    assert_eq!(report.stored, ["F32"]);
    Some((model, goldens))
}

fn logits_agree<B: ModelBackend>(folder: &str) {
    let Some((model, goldens)) = model::<B>(folder) else {
        return;
    };
    for batch in ["full", "leftpad", "maxlen"] {
        let ids = goldens.rows(&format!("{batch}.input_ids"));
        let mask = goldens.rows(&format!("{batch}.attention_mask"));
        let (shape, expected) = goldens.values(&format!("{batch}.logits_f64"));
        let mask_bits: Vec<Vec<bool>> = mask
            .iter()
            .map(|row| row.iter().map(|real| *real == 1).collect())
            .collect();
        let logits = model.forward_padded(&ids, &mask_bits).expect("valid ids");
        let [rows, length, vocabulary] = logits.dims();
        assert_eq!([rows, vocabulary], [shape[0], shape[2]]);
        // `maxlen` keeps the last positions only
        let logits = logits.slice([0..rows, length - shape[1]..length, 0..vocabulary]);
        let found: Vec<f64> = logits.into_data().iter::<f64>().collect();
        let mut largest: f64 = 0.0;
        let kept = mask.iter().flat_map(|row| &row[length - shape[1]..]);
        for (token, real) in kept.enumerate() {
            let cells = token * vocabulary..(token + 1) * vocabulary;
            if *real == 0 {
                assert!(found[cells].iter().all(|logit| *logit == 0.0));
                continue;
            }
            let error = relative_error(&found[cells.clone()], &expected[cells]);
            largest = largest.max(error);
            assert!(
                error < tolerance::<B>(),
                "{folder} {batch} token {token}: {error}"
            );
        }
        println!("{folder} {batch}: logits are off by {largest:.1e} at most");
        let sequences = goldens.sequences(batch);
        let packed = model.forward(&sequences).expect("valid ids");
        for (logits, sequence) in packed.iter().zip(&sequences) {
            assert_eq!(logits.dims(), [sequence.len(), vocabulary]);
        }
    }
}

/// Mean log-probability of each option.
fn option_means<B: ModelBackend>(model: &Model<B>, groups: &[Vec<Sequence>]) -> Vec<f64> {
    let plan = Plan::new(groups, Sharing::Prefix).expect("valid options");
    let scores = model.log_probs(&plan).expect("valid ids");
    plan.spans()
        .iter()
        .map(|span| {
            let sum: f64 = scores[span.clone()].iter().map(|x| f64::from(*x)).sum();
            sum / span.len() as f64
        })
        .collect()
}

fn losses_agree<B: ModelBackend>(folder: &str) {
    let Some((model, goldens)) = model::<B>(folder) else {
        return;
    };
    for case in ["cls_equal", "cls_three", "cls_unequal"] {
        let golden = &goldens.json[case];
        let sequences = goldens.sequences(case);
        let scored = counts(&golden["option_len"]);
        let num_options = counts(&golden["num_options"]);
        let mut groups = Vec::new();
        let mut start = 0;
        while start < sequences.len() {
            let end = start + num_options[start];
            let options = sequences[start..end].iter().zip(&scored[start..end]);
            groups.push(
                options
                    .map(|(ids, scored)| Sequence {
                        ids,
                        scored: *scored,
                    })
                    .collect::<Vec<_>>(),
            );
            start = end;
        }
        let means = option_means(&model, &groups);
        let error = relative_error(&means, &floats(&golden["option_mean_logprob_f64"]));
        println!("{folder} {case}: log-probabilities are off by {error:.1e}");
        assert!(error < tolerance::<B>(), "{folder} {case}: {error}");

        let mut losses = Vec::new();
        let mut rest = means.as_slice();
        for (group, correct) in groups.iter().zip(counts(&golden["correct"])) {
            let (scores, others) = rest.split_at(group.len());
            rest = others;
            let total: f64 = scores.iter().map(|score| score.exp()).sum();
            losses.push(total.ln() - scores[correct]);
        }
        let error = relative_error(&losses, &floats(&golden["per_example_loss_f64"]));
        println!("{folder} {case}: losses are off by {error:.1e}");
        assert!(error < tolerance::<B>(), "{folder} {case} losses: {error}");
    }

    let golden = &goldens.json["teacher_forcing"];
    let sequences = goldens.sequences("leftpad");
    let scored = counts(&golden["option_len"]);
    let groups: Vec<Vec<Sequence>> = sequences
        .iter()
        .zip(&scored)
        .map(|(ids, scored)| {
            vec![Sequence {
                ids,
                scored: *scored,
            }]
        })
        .collect();
    let losses: Vec<f64> = option_means(&model, &groups)
        .iter()
        .map(|mean| -mean)
        .collect();
    let error = relative_error(&losses, &floats(&golden["per_example_loss_f64"]));
    println!("{folder} teacher forcing: losses are off by {error:.1e}");
    assert!(
        error < tolerance::<B>(),
        "{folder} teacher forcing: {error}"
    );
    let tokens: usize = scored.iter().sum();
    let sum: f64 = losses.iter().zip(&scored).map(|(x, n)| x * *n as f64).sum();
    let batch = golden["batch_loss_f64"].as_f64().expect("a number");
    let error = relative_error(&[sum / tokens as f64], &[batch]);
    assert!(error < tolerance::<B>(), "{folder} batch loss: {error}");
}

fn greedy_agrees<B: ModelBackend>(folder: &str) {
    let Some((model, goldens)) = model::<B>(folder) else {
        return;
    };
    for case in goldens.json["greedy"].as_array().expect("a list") {
        let expected = ids(&case["output"]);
        let prompt = ids(&case["prompt"]);
        let found = model
            .generate(&[&prompt], &Generation::greedy(expected.len()))
            .expect("fits");
        assert_eq!(found[0].ids, expected, "{folder}");
    }
    let case = &goldens.json["greedy_stop"];
    let until = Generation {
        stop: ids(&case["eos_ids"]),
        ..Generation::greedy(12)
    };
    let prompt = ids(&case["prompt"]);
    let found = model.generate(&[&prompt], &until).expect("fits");
    assert_eq!(found[0].ids, ids(&case["output_including_eos"]), "{folder}");
}

/// What `generate(num_beams=.., length_penalty=1.0, early_stopping=False)` of transformers finds with
/// these models in f64, after the prompt of the greedy goldens; the next best mean log-probability is
/// 2e-3 away or more.
fn beams_agree<B: ModelBackend>(folder: &str, cases: &[(usize, &[u32], [u32; 12])]) {
    let Some((model, goldens)) = model::<B>(folder) else {
        return;
    };
    let prompt = ids(&goldens.json["greedy"][0]["prompt"]);
    for (beams, stop, expected) in cases {
        let generation = Generation {
            stop: stop.to_vec(),
            decoding: Decoding::Beams(*beams),
            ..Generation::greedy(12)
        };
        let found = model.generate(&[&prompt], &generation).expect("fits");
        assert_eq!(found[0].ids, expected, "{folder} {beams} {stop:?}");
    }
}

/// Check values of a small pretrained model, from its README.
fn pretrained_agrees<B: ModelBackend>() {
    let Some(folder) = crate::reference::shared("models/opt-tiny-5m") else {
        return;
    };
    let device = Device::<B>::default();
    let (model, report) =
        Model::<B>::load(&folder, &LoadOptions::default(), &device).expect("the model loads");
    assert_eq!(report.stored, ["F16"]);
    assert_eq!((report.tensors, report.weights), (68, 5_388_288));
    let (great, terrible) = (611, 1907);
    let cases: [(&[u32], [f64; 3]); 2] = [
        (
            &[
                2, 275, 710, 86, 261, 4316, 292, 1644, 4489, 280, 4111, 373, 528, 353,
            ],
            [-5.77891, -7.37293, -5.16893],
        ),
        (
            &[2, 403, 73, 2189, 340, 1329, 3364, 441, 292, 5588, 528, 353],
            [-6.48062, -7.79279, -6.09141],
        ),
    ];
    for (prompt, expected) in cases {
        let with = |id| [prompt, &[id]].concat();
        let options = [with(great), with(terrible)];
        let group = vec![
            Sequence {
                ids: &options[0],
                scored: 1,
            },
            Sequence {
                ids: &options[1],
                scored: 1,
            },
            Sequence {
                ids: prompt,
                scored: prompt.len() - 1,
            },
        ];
        let found = option_means(&model, &[group]);
        // the README gives five decimals
        for (found, expected) in found.iter().zip(expected) {
            println!("pretrained: {found} against {expected}");
            assert!(
                (found - expected).abs() < 0.2 * tolerance::<B>(),
                "{found} against {expected}"
            );
        }
    }
}

macro_rules! on_backend {
    ($module:ident, $backend:ty) => {
        mod $module {
            type B = $backend;

            #[test]
            fn logits_agree() {
                super::logits_agree::<B>("tiny-opt-prenorm");
                super::logits_agree::<B>("tiny-opt-350m");
            }

            #[test]
            fn losses_agree() {
                super::losses_agree::<B>("tiny-opt-prenorm");
                super::losses_agree::<B>("tiny-opt-350m");
            }

            #[test]
            fn greedy_agrees() {
                super::greedy_agrees::<B>("tiny-opt-prenorm");
                super::greedy_agrees::<B>("tiny-opt-350m");
            }

            #[test]
            fn beams_agree() {
                let best = [208, 368, 250, 11, 238, 15, 135, 42, 390, 148, 207, 15];
                let cases = [(4, &[300, 2][..], best), (2, &[2], best)];
                super::beams_agree::<B>("tiny-opt-prenorm", &cases);
                let four = [325, 500, 439, 431, 500, 439, 214, 339, 392, 118, 500, 466];
                let until = [431, 500, 175, 500, 392, 97, 272, 325, 325, 500, 97, 325];
                let two = [431, 500, 439, 500, 439, 500, 439, 97, 325, 431, 369, 325];
                let cases = [(4, &[2][..], four), (4, &[439, 2], until), (2, &[2], two)];
                super::beams_agree::<B>("tiny-opt-350m", &cases);
            }

            #[test]
            fn pretrained_agrees() {
                super::pretrained_agrees::<B>();
            }
        }
    };
}

#[cfg(feature = "ndarray")]
on_backend!(ndarray, burn_ndarray::NdArray);
// no overrides: the plain tensor operations, as on a GPU
#[cfg(feature = "ndarray")]
on_backend!(autodiff, burn_autodiff::Autodiff<burn_ndarray::NdArray>);
#[cfg(feature = "flex")]
on_backend!(flex, burn_flex::Flex);
#[cfg(feature = "cuda")]
on_backend!(cuda, burn_cuda::Cuda);
