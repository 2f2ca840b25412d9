//! A model of any family.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use zograd_direction::Seed;

use crate::adapter::attach;
use crate::adapter::keys_and_values::keys_and_values;
use crate::adapter::load::with_adapter_from;
use crate::adapter::stack::{log_probs_of_each, scored_together};
use crate::adapter::{AdapterConfig, AdapterError, Projection};
use crate::backend::ModelBackend;
use crate::config::ModelConfig;
use crate::decoder::{self, Decoder, DecoderLayer};
use crate::error::ModelError;
use crate::families::{Family, Llama, Opt};
use crate::forward;
use crate::generate::{Continuation, Generation, generate_by_each, generate_with};
use crate::language_model::LanguageModel;
use crate::nn::{Embedding, Linear};
use crate::parameters::{Fresh, ParameterSource};
use crate::plan::Plan;
use crate::probe::Probe;
use crate::still::Still;

/// Pattern of the path of the head's parameter, in a model whose head is a table of its own ([`Model::untied`]).
pub const HEAD: &str = "lm_head.*";

/// A model of the family that its `config.json` names.
///
/// A parameter's path in this module is its name in Hugging Face's files without the leading `model.`, for example
/// `decoder.layers.0.self_attn.q_proj.weight` in OPT and `layers.0.self_attn.q_proj.weight` in Llama, with the same shape;
/// the variant is no part of it ([`zograd_params::ParameterPath`]). The head is the token table, one parameter used twice,
/// unless the configuration says otherwise (`tie_word_embeddings`).
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one model, and it is moved seldom"
)]
pub enum Model<B: Backend> {
    /// OPT.
    Opt(Opt<B>),
    /// Llama, Mistral, Qwen2, Qwen3, Gemma 3.
    Llama(Llama<B>),
}

/// Evaluates an expression with the model of whatever family.
macro_rules! with {
    ($model:expr, $family:ident => $body:expr) => {
        match $model {
            Model::Opt($family) => $body,
            Model::Llama($family) => $body,
        }
    };
}

pub(crate) use with;

/// The same of an expression that gives a model of the family.
macro_rules! same {
    ($model:expr, $family:ident => $body:expr) => {
        match $model {
            Model::Opt($family) => $body.map(Model::Opt),
            Model::Llama($family) => $body.map(Model::Llama),
        }
    };
}

impl<B: ModelBackend> Model<B> {
    /// An untrained f32 model: matrices and tables N(0, `init_std`), biases 0, norms 1. The
    /// numbers come from burn's generator for the device; `B::seed(device, seed)` fixes them.
    pub fn init(config: &ModelConfig, device: &B::Device) -> Self {
        Self::init_with_dtype(config, DType::F32, device)
    }

    /// [`Model::init`] with weights of another float dtype.
    ///
    /// # Panics
    /// The backend cannot hold `dtype`.
    pub fn init_with_dtype(config: &ModelConfig, dtype: DType, device: &B::Device) -> Self {
        let mut fresh = Fresh::<B> {
            std: config.init_std,
            dtype,
            device,
        };
        let Ok(model) = Self::build(config, &mut fresh);
        model
    }

    pub(crate) fn build<S: ParameterSource<B>>(
        config: &ModelConfig,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        match &config.family {
            Family::Opt(settings) => Opt::build(config, settings, source).map(Self::Opt),
            Family::Llama(settings) => Llama::build(config, settings, source).map(Self::Llama),
        }
    }

    /// The device of the weights.
    pub fn device(&self) -> B::Device {
        with!(self, model => decoder::device(model))
    }

    /// Float type of the weights; [`ModelBackend::activations`] is that of what flows between the layers.
    pub fn dtype(&self) -> DType {
        with!(self, model => decoder::dtype(model))
    }

    /// The log-probability of each scored token given everything before it, in the order of the
    /// plan's sequences ([`Plan::spans`]); natural logarithm, log-softmax in f32. Of a plan that wants no more
    /// ([`Plan::unnormalised`]) the logits alone.
    ///
    /// ```
    /// use burn_ndarray::NdArray;
    /// use zograd_models::{Model, ModelConfig, Plan, Sequence, Sharing};
    ///
    /// let config = ModelConfig::from_json(r#"{
    ///     "vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    ///     "ffn_dim": 16, "max_position_embeddings": 64}"#)?;
    /// let model = Model::<NdArray>::init(&config, &Default::default());
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
    /// A token id outside the vocabulary, or a sequence longer than the model's positions.
    pub fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        let scores = self.log_probs_tensor(plan)?.into_data();
        Ok(scores.iter::<f32>().collect())
    }

    /// [`Model::log_probs`] left on the device, `[scored tokens]`, f32; differentiable on an
    /// autodiff backend.
    ///
    /// # Errors
    /// As [`Model::log_probs`].
    pub fn log_probs_tensor(&self, plan: &Plan) -> Result<Tensor<B, 1>, ModelError> {
        with!(self, model => forward::log_probs_tensor(model, plan))
    }

    /// [`Model::log_probs`] by each of several models that differ **in the numbers of their adapters alone**: the base of
    /// the first serves all of them. Small plans go through the layers for several models at a time, large ones for one
    /// after the other; the results are the same, up to the rounding of a matrix product whose order of sums depends on
    /// the number of its rows.
    ///
    /// # Errors
    /// As [`Model::log_probs`].
    ///
    /// # Panics
    /// The models are of different families, or the adapters of different kinds or shapes.
    pub fn log_probs_of_each(models: &[Self], plan: &Plan) -> Result<Vec<Vec<f32>>, ModelError> {
        match Self::by_family(models) {
            (opts, llamas) if opts.is_empty() => log_probs_of_each(&llamas, plan),
            (opts, _) => log_probs_of_each(&opts, plan),
        }
    }

    /// The models, which are of one family.
    ///
    /// # Panics
    /// They are not.
    fn by_family(models: &[Self]) -> (Vec<&Opt<B>>, Vec<&Llama<B>>) {
        let opts = models.iter().filter_map(|model| match model {
            Self::Opt(opt) => Some(opt),
            Self::Llama(_) => None,
        });
        let opts: Vec<&Opt<B>> = opts.collect();
        let llamas = models.iter().filter_map(|model| match model {
            Self::Llama(llama) => Some(llama),
            Self::Opt(_) => None,
        });
        let llamas: Vec<&Llama<B>> = llamas.collect();
        assert!(
            opts.is_empty() || llamas.is_empty(),
            "models that run together are of one family"
        );
        (opts, llamas)
    }

    /// What the head is given where each scored token is predicted, `[scored tokens, width of the head's table]`, in the
    /// order of [`Plan::scored`]: the features that a linear probe learns from.
    ///
    /// # Errors
    /// As [`Model::log_probs`].
    pub fn features(&self, plan: &Plan) -> Result<Tensor<B, 2>, ModelError> {
        with!(self, model => forward::features(model, plan))
    }

    /// Logits after every token of every sequence: one `[tokens, vocab_size]` tensor each, in
    /// f32 (f64 from f64 weights).
    ///
    /// All logits are held at once; to score tokens, [`Model::log_probs`] needs far less memory.
    ///
    /// # Errors
    /// No tokens, a token id outside the vocabulary, or a sequence longer than the model's positions.
    pub fn forward(&self, sequences: &[Vec<u32>]) -> Result<Vec<Tensor<B, 2>>, ModelError> {
        with!(self, model => forward::forward(model, sequences))
    }

    /// Logits of a padded batch, `[rows, length, vocab_size]`, f32, as transformers gives them for
    /// `input_ids` and `attention_mask`: padding may stand anywhere, positions count the real
    /// tokens only, and nothing attends to padding. Where the mask is `false` the logits are 0.
    ///
    /// # Errors
    /// As [`Model::forward`], and rows of different lengths.
    pub fn forward_padded(
        &self,
        ids: &[Vec<u32>],
        mask: &[Vec<bool>],
    ) -> Result<Tensor<B, 3>, ModelError> {
        with!(self, model => forward::forward_padded(model, ids, mask))
    }

    /// Continues every prompt. Keys and values of earlier tokens are kept, so that a new token runs
    /// alone; the prompts, which may differ in length, are run without padding.
    ///
    /// ```
    /// use burn_ndarray::NdArray;
    /// use zograd_models::{Generation, Model, ModelConfig};
    ///
    /// let config = ModelConfig::from_json(r#"{
    ///     "vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    ///     "ffn_dim": 16, "max_position_embeddings": 64}"#)?;
    /// let model = Model::<NdArray>::init(&config, &Default::default());
    /// let written = model.generate(&[&[2, 10, 11], &[2, 7]], &Generation::greedy(5))?;
    /// assert_eq!([written[0].ids.len(), written[1].ids.len()], [5, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A setting out of its range, no prompts, an empty prompt, a token id outside the vocabulary, or
    /// a prompt longer than the position table.
    pub fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        self.generate_with(prompts, generation, |_, _| ())
    }

    /// [`Model::generate`] by each of several models that differ **in the numbers of their adapters alone**: the base of the
    /// first serves all of them. Prompts go through the layers model by model, and the new tokens of several models, as many as
    /// there is room for, side by side. The results are the same, up to the rounding of a matrix product whose order of sums
    /// depends on the number of its rows.
    ///
    /// # Errors
    /// As [`Model::generate`].
    ///
    /// # Panics
    /// The models are of different families, or the adapters of different kinds or shapes.
    pub fn generate_by_each(
        models: &[Self],
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Vec<Continuation>>, ModelError> {
        match Self::by_family(models) {
            (opts, llamas) if opts.is_empty() => generate_by_each(&llamas, prompts, generation),
            (opts, _) => generate_by_each(&opts, prompts, generation),
        }
    }

    /// [`Model::generate`], telling `on_token` the place of the prompt and the token as soon as one is
    /// chosen; with beams, whose tokens are known at the end only, then.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn generate_with(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
        on_token: impl FnMut(usize, u32),
    ) -> Result<Vec<Continuation>, ModelError> {
        with!(self, model => generate_with(model, prompts, generation, on_token))
    }

    /// The keys and values that the sequence `ids` produces in each layer, as they are compared with queries:
    /// `[tokens, key and value heads * head_dim]` each, in the type of what flows between the layers.
    ///
    /// # Errors
    /// No ids, ids outside the vocabulary, or more of them than positions.
    pub fn keys_and_values(&self, ids: &[u32]) -> Result<Vec<[Tensor<B, 2>; 2]>, ModelError> {
        with!(self, model => keys_and_values(model, ids))
    }

    /// The model with a fresh adapter, whose numbers are a function of `seed`. They are stored in the type of
    /// the weights.
    ///
    /// # Errors
    /// The model has an adapter, or a setting is out of its range.
    pub fn with_adapter(self, config: &AdapterConfig, seed: Seed) -> Result<Self, AdapterError> {
        same!(self, model => attach::with_adapter(model, config, seed))
    }

    /// The model with the adapter of a folder, LoRA as PEFT saves it or what [`save_adapter`] wrote. Its
    /// tensors are read into the type of the weights.
    ///
    /// [`save_adapter`]: crate::save_adapter
    ///
    /// # Errors
    /// The model has an adapter; the configuration is not supported; the weight file is missing or damaged; a
    /// tensor is missing, left over, or does not fit the model.
    pub fn with_adapter_from(self, folder: &std::path::Path) -> Result<Self, AdapterError> {
        same!(self, model => with_adapter_from(model, folder))
    }

    /// The model without its adapter, if it has one.
    pub fn without_adapter(self) -> Self {
        match self {
            Self::Opt(model) => Self::Opt(attach::without_adapter(model)),
            Self::Llama(model) => Self::Llama(attach::without_adapter(model)),
        }
    }

    /// The model with its LoRA factors added to the weights, `W + scale B A`, and without them. The same
    /// function up to rounding, at the speed of the base.
    ///
    /// # Errors
    /// There is no adapter, or it is a prefix, which is no change of weights.
    pub fn merged(self) -> Result<Self, AdapterError> {
        same!(self, model => attach::merged(model))
    }

    /// The model with a head of its own, which begins as a copy of the token table: the same function, until
    /// one of the two moves.
    pub fn untied(mut self) -> Self {
        if !self.config().tie_word_embeddings {
            return self;
        }
        with!(&mut self, model => {
            let head = model.token_table().copied();
            *model.own_head_mut() = Some(head);
            model.config = model.config.clone().untied();
        });
        self
    }

    /// The model with the weight that `change` makes of that of its own head, if it has one.
    pub fn map_head(mut self, change: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        with!(&mut self, model => {
            if let Some(head) = model.own_head_mut().take() {
                let weight = head.weight.map(change);
                *model.own_head_mut() = Some(Embedding { weight });
            }
        });
        self
    }

    /// The token table, `[vocab_size, width]`; also the head, if that has no table of its own.
    pub fn token_table(&self) -> &Embedding<B> {
        with!(self, model => model.token_table())
    }

    /// The table of the head, `[vocab_size, width]`, if it is not the token table.
    pub fn own_head(&self) -> Option<&Embedding<B>> {
        with!(self, model => {
            let (head, table) = (model.head_table(), model.token_table());
            (head.weight.id != table.weight.id).then_some(head)
        })
    }

    /// A linear map of a layer; `None` beyond the last layer, and if the family has no such map.
    pub fn projection(&self, layer: usize, which: Projection) -> Option<&Linear<B>> {
        with!(self, model => model.layers().get(layer)?.projection(which))
    }

    /// [`Model::projection`], to change it.
    pub fn projection_mut(&mut self, layer: usize, which: Projection) -> Option<&mut Linear<B>> {
        with!(self, model => model.layers_mut().get_mut(layer)?.projection_mut(which))
    }

    /// The adapter it has.
    pub fn adapter(&self) -> Option<&AdapterConfig> {
        with!(self, model => model.adapter())
    }
}

impl<B: Backend> Model<B> {
    /// The sizes and settings of the model.
    pub fn config(&self) -> &ModelConfig {
        with!(self, model => &model.config)
    }
}

impl<B: ModelBackend> LanguageModel for Model<B> {
    type Backend = B;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        Self::log_probs(self, plan)
    }

    fn at_once(&self, moving: &[(&str, usize)]) -> usize {
        with!(self, model => model.at_once(moving))
    }

    fn log_probs_of_each(models: &[Self], plan: &Plan) -> Result<Vec<Vec<f32>>, ModelError> {
        Self::log_probs_of_each(models, plan)
    }

    fn generate_by_each(
        models: &[Self],
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Vec<Continuation>>, ModelError> {
        Self::generate_by_each(models, prompts, generation)
    }

    fn scored_together(plan: &Plan) -> usize {
        scored_together(plan)
    }

    fn takes_probes(&self) -> bool {
        true
    }

    fn log_probs_at_each<P: Probe<B>>(
        &self,
        plan: &Plan,
        probes: &[P],
        still: &mut Still<B>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        with!(self, model => model.log_probs_at_each(plan, probes, still))
    }

    fn log_probs_at_own<P: Probe<B>>(
        &self,
        parts: &[(&Plan, &[P])],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        with!(self, model => model.log_probs_at_own(parts))
    }

    fn decays(&self, parameter: &str) -> bool {
        with!(self, model => Decoder::decays(model, parameter))
    }

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        Self::generate(self, prompts, generation)
    }
}
