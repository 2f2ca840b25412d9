//! A pass that nobody wants any more ends between two layers or two tokens, and leaves nothing behind.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_ndarray::NdArray;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{
    Decoding, Generation, LanguageModel, Model, ModelConfig, ModelError, Plan, Probe, Sequence,
    Sharing, Still, interruptible, is_interrupted,
};

use crate::seeded;

type Cpu = NdArray;

fn model() -> Model<Cpu> {
    let config = ModelConfig::from_json(
        r#"{"vocab_size": 24, "hidden_size": 16, "num_hidden_layers": 3,
            "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 40, "word_embed_proj_dim": 16}"#,
    );
    seeded::model(&config.expect("valid"), 7)
}

fn plan() -> Plan {
    let ids: &[u32] = &[2, 5, 7, 11];
    Plan::new(&[vec![Sequence { ids, scored: 2 }]], Sharing::None).expect("valid")
}

#[test]
fn every_pass_ends_when_it_is_not_wanted() {
    let (model, plan, stop) = (model(), plan(), AtomicBool::new(true));
    let before = model.log_probs(&plan).expect("scores");
    let prompt: &[u32] = &[2, 5, 7];
    let beams = Generation {
        decoding: Decoding::Beams(2),
        ..Generation::greedy(4)
    };
    interruptible(&stop, || {
        assert!(is_interrupted());
        assert_eq!(model.log_probs(&plan), Err(ModelError::Interrupted));
        let features = model.features(&plan).map(|_| ());
        assert_eq!(features, Err(ModelError::Interrupted));
        for generation in [&Generation::greedy(4), &beams] {
            let written = model.generate(&[prompt], generation);
            assert_eq!(written, Err(ModelError::Interrupted));
        }
        let keys = model.keys_and_values(prompt).map(|_| ());
        assert_eq!(keys, Err(ModelError::Interrupted));
        // the innermost flag is the one that counts
        let goes_on = AtomicBool::new(false);
        let inner = interruptible(&goes_on, || model.log_probs(&plan));
        assert_eq!(inner.as_ref(), Ok(&before));
    });
    assert_eq!(model.log_probs(&plan), Ok(before));
}

#[test]
fn a_continuation_ends_between_two_tokens() {
    let (model, stop) = (model(), AtomicBool::new(false));
    let mut tokens = 0;
    let written = interruptible(&stop, || {
        model.generate_with(&[&[2, 5, 7]], &Generation::greedy(10), |_, _| {
            tokens += 1;
            stop.store(tokens == 3, Ordering::Relaxed);
        })
    });
    assert_eq!((written, tokens), (Err(ModelError::Interrupted), 3));
}

/// Moves everything, nowhere, and raises the flag when so many parts were made.
struct Raises<'a> {
    stop: &'a AtomicBool,
    after: usize,
    made: Cell<usize>,
}

impl Probe<Cpu> for Raises<'_> {
    fn points(&self) -> usize {
        1
    }

    fn moves<M: Module<Cpu>>(&self, _part: &M) -> bool {
        true
    }

    fn moved<M: Module<Cpu>>(&self, part: &M) -> Vec<M> {
        self.made.set(self.made.get() + 1);
        if self.made.get() == self.after {
            self.stop.store(true, Ordering::Relaxed);
        }
        vec![part.clone()]
    }

    fn makes_rows(&self) -> bool {
        false
    }

    fn rows(&self, table: &Param<Tensor<Cpu, 2>>, rows: &[u32]) -> Vec<Tensor<Cpu, 2>> {
        let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        let rows = Tensor::from_ints(&rows[..], &Default::default());
        vec![table.val().select(0, rows)]
    }
}

#[test]
fn probes_end_between_two_layers() {
    let (model, plan, stop) = (model(), plan(), AtomicBool::new(false));
    let made = |after| {
        stop.store(false, Ordering::Relaxed);
        let probe = Raises {
            stop: &stop,
            after,
            made: Cell::new(0),
        };
        let found = interruptible(&stop, || {
            model.log_probs_at_each(&plan, std::slice::from_ref(&probe), &mut Still::new())
        });
        (found, probe.made.get())
    };
    let (found, all) = made(usize::MAX);
    assert_eq!(found, Ok(vec![model.log_probs(&plan).expect("scores")]));
    // the second of three layers, after what comes before them: the third and the head are not made
    let (found, parts) = made(all - 3);
    assert_eq!(found, Err(ModelError::Interrupted));
    assert!(parts < all, "{parts} of {all}");
}
