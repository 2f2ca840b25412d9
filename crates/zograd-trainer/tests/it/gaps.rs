//! Losses of texts of which parts do not count.

use crate::tiny::{Cpu, model, prompt};
use zograd_models::Model;
use zograd_tasks::Prompt;
use zograd_trainer::{Objective, TeacherForcing, measure};

const IDS: [u32; 9] = [2, 10, 11, 7, 8, 9, 12, 13, 14];

/// The last six ids, of which the second to the fourth do not count.
fn chat() -> Prompt {
    let mut chat = prompt(0, &[(IDS.to_vec(), 6)], 0);
    chat.candidates[0].gaps = std::iter::once(1..4).collect();
    chat
}

fn scores(model: &Model<Cpu>, prompts: &[&Prompt]) -> Vec<Vec<f32>> {
    let measured = measure(model, prompts, &TeacherForcing, None).expect("measured");
    let examples = measured.examples.into_iter();
    examples
        .map(|example| example.candidates[0].1.clone())
        .collect()
}

#[test]
fn the_loss_is_that_of_the_tokens_that_count() {
    let model = model();
    let (chat, whole) = (chat(), prompt(1, &[(IDS.to_vec(), 6)], 0));
    let all = scores(&model, &[&whole]).remove(0);
    // beside another text, in one batch
    let both = scores(&model, &[&whole, &chat]);
    assert_eq!((both[0].len(), both[1].len()), (6, 3));
    for (found, expected) in both[1].iter().zip([all[0], all[4], all[5]]) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let measured = measure(&model, &[&chat], &TeacherForcing, None).expect("measured");
    assert_eq!(TeacherForcing.terms(&measured.examples), 3);
    let expected = -f64::from(all[0] + all[4] + all[5]) / 3.0;
    assert!((measured.loss(&TeacherForcing).mean - expected).abs() < 1e-5);
}
