//! A language model of one's own: a bigram, which knows nothing but the last token.
//!
//! It is a burn module, so its parameter moves like any other, and it implements [`LanguageModel`], so `zograd_trainer`
//! trains and evaluates it. `cargo run --release -p zograd-models --example own_model`

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use burn_ndarray::NdArray;
use zograd_models::{
    Continuation, Decoding, Finish, Generation, LanguageModel, ModelBackend, ModelError, Plan,
    Sequence, Sharing,
};

/// A row of logits for each token that may have been the last.
#[derive(Module, Debug)]
struct Bigram<B: Backend> {
    /// `[vocabulary, vocabulary]`.
    table: Param<Tensor<B, 2>>,
}

impl<B: ModelBackend> Bigram<B> {
    fn new(vocabulary: usize, logits: impl Fn(usize, usize) -> f32) -> Self {
        let cells = (0..vocabulary * vocabulary).map(|i| logits(i / vocabulary, i % vocabulary));
        let data = TensorData::new(cells.collect(), [vocabulary, vocabulary]);
        Self {
            table: Param::from_tensor(Tensor::from_data(data, &Default::default())),
        }
    }

    /// The logits after each of these tokens, `[tokens, vocabulary]`.
    fn logits(&self, ids: impl Iterator<Item = u32>) -> Tensor<B, 2> {
        let ids: Vec<i32> = ids.map(|id| id as i32).collect();
        let table = self.table.val();
        let ids = Tensor::<B, 1, Int>::from_ints(&ids[..], &table.device());
        table.select(0, ids)
    }
}

impl<B: ModelBackend> LanguageModel for Bigram<B> {
    type Backend = B;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        let [vocabulary, _] = self.table.dims();
        // any length will do: there are no positions
        plan.check(vocabulary, usize::MAX)?;
        // nothing is run but what is read; a model that attends would run `plan.ids()` at `plan.positions()`
        let read = plan.logit_tokens().iter().map(|token| plan.ids()[*token]);
        let scored: Vec<(usize, u32)> = plan.scored().collect();
        let scores = B::log_probs_at(self.logits(read), &scored);
        Ok(scores.into_data().iter::<f32>().collect())
    }

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        if generation.decoding != Decoding::Greedy {
            return Err(ModelError::Other(
                "a bigram writes greedily only".to_owned(),
            ));
        }
        let write = |prompt: &&[u32]| {
            let mut last = *prompt.last().ok_or(ModelError::NoTokens)?;
            let mut ids = Vec::new();
            while ids.len() < generation.max_new_tokens {
                let best = self.logits([last].into_iter()).argmax(1).into_data();
                last = best.iter::<i64>().next().unwrap_or(0) as u32;
                ids.push(last);
                if generation.stop.contains(&last) {
                    let finish = Finish::Stop;
                    return Ok(Continuation { ids, finish });
                }
            }
            let finish = Finish::Length;
            Ok(Continuation { ids, finish })
        };
        prompts.iter().map(write).collect()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let logits = |last: usize, next: usize| ((last * 7 + next * 3) % 11) as f32 / 2.0;
    let model = Bigram::<NdArray>::new(20, logits);

    // two questions with two options each; the options share their prompt, and the longer ones score two tokens
    let sequences: [(&[u32], usize); 4] = [
        (&[2, 10, 11, 7], 1),
        (&[2, 10, 11, 8, 9], 2),
        (&[2, 5, 4], 1),
        (&[2, 5, 3, 19], 2),
    ];
    let sequence = |(ids, scored)| Sequence { ids, scored };
    let groups: Vec<Vec<Sequence<'_>>> = sequences
        .chunks(2)
        .map(|options| options.iter().copied().map(sequence).collect())
        .collect();
    let plan = Plan::new(&groups, Sharing::Prefix)?;
    let scores = model.log_probs(&plan)?;

    // the same numbers by a plain loop
    for ((ids, scored), span) in sequences.into_iter().zip(plan.spans()) {
        let pairs = ids.windows(2).skip(ids.len() - 1 - scored);
        for (pair, score) in pairs.zip(&scores[span.clone()]) {
            let [last, next] = [pair[0] as usize, pair[1] as usize];
            let total: f32 = (0..20).map(|next| logits(last, next).exp()).sum();
            let expected = logits(last, next) - total.ln();
            assert!((score - expected).abs() < 1e-5, "{score} for {expected}");
        }
        println!("{ids:?}: {:?}", &scores[span.clone()]);
    }

    let written = model.generate(&[&[2, 10], &[7]], &Generation::greedy(5))?;
    for (continuation, mut last) in written.iter().zip([10, 7]) {
        for id in &continuation.ids {
            let better = (0..20).find(|next| logits(last, *next) > logits(last, *id as usize));
            assert_eq!(better, None, "after {last}");
            last = *id as usize;
        }
        println!("it writes {:?}", continuation.ids);
    }
    Ok(())
}

#[test]
fn the_numbers_are_those_of_a_plain_loop() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
