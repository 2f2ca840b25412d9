//! What a model says about tokens: scores of a plan, logits.

use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::error::ModelError;
use crate::indices::indices;
use crate::opt::Opt;
use crate::packing::Packing;
use crate::plan::{Plan, Target};
use crate::scores::{Chunks, LOGIT_ROWS, ids_of, unnormalised};

impl<B: ModelBackend> Opt<B> {
    /// The log-probability of each scored token given everything before it, in the order of the
    /// plan's sequences ([`Plan::spans`]); natural logarithm, log-softmax in f32. Of a plan that wants no more
    /// ([`Plan::unnormalised`]) the logits alone.
    ///
    /// ```
    /// use burn_ndarray::NdArray;
    /// use zograd_models::{Opt, OptConfig, Plan, Sequence, Sharing};
    ///
    /// let config = OptConfig::from_json(r#"{
    ///     "vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    ///     "ffn_dim": 16, "max_position_embeddings": 64}"#)?;
    /// let model = Opt::<NdArray>::init(&config, &Default::default());
    /// let (yes, no) = ([2, 10, 11, 7], [2, 10, 11, 8, 9]);
    /// let options = vec![
    ///     Sequence { ids: &yes, scored: 1 },
    ///     Sequence { ids: &no, scored: 2 },
    /// ];
    /// let plan = Plan::new(&[options], Sharing::Prefix)?;
    /// let scores = model.log_probs(&plan)?;
    /// assert_eq!(scores.len(), 3);
    /// assert!(scores.iter().all(|score| *score < 0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A token id outside the vocabulary, or a sequence longer than the position table.
    pub fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        Ok(self
            .log_probs_tensor(plan)?
            .into_data()
            .iter::<f32>()
            .collect())
    }

    /// [`Opt::log_probs`] left on the device, `[scored tokens]`, f32; differentiable on an
    /// autodiff backend.
    ///
    /// # Errors
    /// As [`Opt::log_probs`].
    pub fn log_probs_tensor(&self, plan: &Plan) -> Result<Tensor<B, 1>, ModelError> {
        self.check(plan)?;
        let hidden = self.run_at(&plan.packing, Some(&plan.logit_tokens));
        Ok(self.scores_at(hidden, plan))
    }

    /// The scores of the plan, given what the layers make of the tokens where logits are read.
    pub(crate) fn scores_at(&self, hidden: Tensor<B, 2>, plan: &Plan) -> Tensor<B, 1> {
        if plan.is_normalised() {
            return self.log_probs_at(hidden, &plan.targets);
        }
        let ids = ids_of(&plan.targets);
        let rows = indices(ids.iter().map(|id| *id as i32), &hidden.device());
        let rows = self.head_table().weight.val().select(0, rows);
        let logits = B::packed_logits(self.before_head(hidden), rows);
        unnormalised(logits, &ids, &plan.targets)
    }

    /// The log-probabilities of `targets`, given what the layers make of the tokens where logits are read.
    pub(crate) fn log_probs_at(&self, hidden: Tensor<B, 2>, targets: &[Target]) -> Tensor<B, 1> {
        let [positions, width] = hidden.dims();
        let chunks = Chunks::new(targets, positions);
        let starts = (0..positions).step_by(LOGIT_ROWS);
        let scores = starts.zip(&chunks.pairs).map(|(start, pairs)| {
            let end = positions.min(start + LOGIT_ROWS);
            let logits = self.head(hidden.clone().slice([start..end, 0..width]));
            B::log_probs_at(logits, pairs)
        });
        chunks.in_order(scores.collect())
    }

    /// Whether the model has all ids and positions of a plan.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), ModelError> {
        let config = self.config();
        plan.check(config.vocab_size, config.max_position_embeddings)
    }

    pub(crate) fn check_packing(&self, packing: &Packing) -> Result<(), ModelError> {
        let config = self.config();
        packing.check(config.vocab_size, config.max_position_embeddings)
    }

    /// What the head is given where each scored token is predicted, `[scored tokens, word_embed_proj_dim]`, in the
    /// order of [`Plan::targets`]: the features that a linear probe learns from.
    ///
    /// # Errors
    /// As [`Opt::log_probs`].
    pub fn features(&self, plan: &Plan) -> Result<Tensor<B, 2>, ModelError> {
        self.check(plan)?;
        let hidden = self.before_head(self.run_at(&plan.packing, Some(&plan.logit_tokens)));
        let rows = plan.targets.iter().map(|target| target.logit as i32);
        let rows = indices(rows, &hidden.device());
        Ok(hidden.select(0, rows))
    }

    /// Logits after every token of every sequence: one `[tokens, vocab_size]` tensor each, in
    /// f32 (f64 from f64 weights).
    ///
    /// All logits are held at once; to score tokens, [`Opt::log_probs`] needs far less memory.
    ///
    /// # Errors
    /// No tokens, a token id outside the vocabulary, or a sequence longer than the position table.
    pub fn forward(&self, sequences: &[Vec<u32>]) -> Result<Vec<Tensor<B, 2>>, ModelError> {
        let packing = Packing::whole(sequences);
        self.check_packing(&packing)?;
        let logits = self.head(self.run(&packing));
        let vocabulary = self.config().vocab_size;
        let slice = |tokens| logits.clone().slice([tokens, 0..vocabulary]);
        Ok(packing.rows.iter().map(|row| slice(row.tokens())).collect())
    }

    /// Logits of a padded batch, `[rows, length, vocab_size]`, f32, as `OPTForCausalLM` gives them for
    /// `input_ids` and `attention_mask`: padding may stand anywhere, positions count the real
    /// tokens only, and nothing attends to padding. Where the mask is `false` the logits are 0.
    ///
    /// # Errors
    /// As [`Opt::forward`], and rows of different lengths.
    pub fn forward_padded(
        &self,
        ids: &[Vec<u32>],
        mask: &[Vec<bool>],
    ) -> Result<Tensor<B, 3>, ModelError> {
        let length = ids.first().map_or(0, Vec::len);
        check_rectangle("batch", ids, ids.len(), length)?;
        check_rectangle("attention mask", mask, ids.len(), length)?;
        let real = |(ids, mask): (&Vec<u32>, &Vec<bool>)| {
            let kept = ids.iter().zip(mask).filter(|(_, real)| **real);
            kept.map(|(id, _)| *id).collect::<Vec<u32>>()
        };
        let sequences: Vec<Vec<u32>> = ids.iter().zip(mask).map(real).collect();
        let packing = Packing::whole(&sequences);
        self.check_packing(&packing)?;
        let logits = self.head(self.run(&packing));

        let device = logits.device();
        let vocabulary = self.config().vocab_size;
        let cells = mask.iter().flatten();
        // row 0 of the extended logits is what padding gets
        let mut next = 0;
        let sources = cells.map(|real| {
            next += i32::from(*real);
            if *real { next } else { 0 }
        });
        let sources = indices(sources, &device);
        let zeros = Tensor::zeros([1, vocabulary], (&device, logits.dtype()));
        Ok(Tensor::cat(vec![zeros, logits], 0)
            .select(0, sources)
            .reshape([ids.len(), length, vocabulary]))
    }
}

fn check_rectangle<T>(
    what: &'static str,
    rows: &[Vec<T>],
    count: usize,
    expected: usize,
) -> Result<(), ModelError> {
    if rows.len() != count {
        return Err(ModelError::Ragged {
            row: rows.len().min(count),
            what,
            found: 0,
            expected,
        });
    }
    match rows.iter().position(|row| row.len() != expected) {
        Some(row) => Err(ModelError::Ragged {
            row,
            what,
            found: rows[row].len(),
            expected,
        }),
        None => Ok(()),
    }
}
