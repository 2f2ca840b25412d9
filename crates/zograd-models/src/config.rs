//! The sizes of a model, as `config.json` of a Hugging Face folder states them.

mod common;
mod error;
mod keys;

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use serde_json::{Map, Value};
use zograd_files::MAX_SMALL_BYTES;

pub(crate) use common::Common;
pub use error::ConfigError;
pub(crate) use error::MAX_SIZE;
pub(crate) use keys::{Keys, whole};

use crate::adapter::{AdapterConfig, AdapterError, Projection};
use crate::families::{Family, OptConfig, family_of, published};
use crate::gguf::{GgufModel, is_gguf};
use crate::shape::{Shape, Sizes};

/// The sizes and settings of a model: its `config.json`, checked.
///
/// The JSON it was read from is kept, so that [`ModelConfig::to_json`] gives back every key, also
/// those that mean nothing here.
///
/// ```
/// use zograd_models::ModelConfig;
///
/// let config = ModelConfig::named("opt-125m")?;
/// assert_eq!(config.head_dim, 64);
/// assert_eq!(config.num_parameters(), 125_239_296);
/// # Ok::<(), zograd_models::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Rows of the token table; token ids are below it.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries.
    pub num_attention_heads: usize,
    /// Heads of keys and values; divides those of the queries.
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// The longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// `true`: the head is the token table. `false`: it has a table of its own (`lm_head.weight`), as
    /// [`Model::untied`](crate::Model::untied) gives it.
    pub tie_word_embeddings: bool,
    /// Standard deviation of freshly initialised matrices and tables.
    pub init_std: f64,
    /// Id that batches are padded with.
    pub pad_token_id: Option<u32>,
    /// Id that begins a text.
    pub bos_token_id: Option<u32>,
    /// Ids that end a text; of these, `eos_token_id` may name none, one or several. Where a model folder has a
    /// generation_config.json that names some, they are meant, as in Hugging Face.
    pub eos_token_ids: Vec<u32>,
    /// What the family adds.
    pub family: Family,
    source: Map<String, Value>,
}

impl ModelConfig {
    /// One of the published shapes, for benchmarks and fresh models: `opt-125m`, `opt-350m`, `opt-1.3b`, `opt-2.7b`,
    /// `opt-6.7b`, `opt-13b`, `opt-30b`, `opt-66b`, `smollm2-135m`, `llama-3.2-1b`, `llama-3.1-8b`, `qwen3-0.6b`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownName`], which lists the names.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        Self::from_value(published(name)?)
    }

    /// What OPT adds, if it is one.
    pub fn opt(&self) -> Option<&OptConfig> {
        match &self.family {
            Family::Opt(opt) => Some(opt),
            Family::Llama(_) => None,
        }
    }

    /// Reads `config.json` of a model folder, and of `generation_config.json`, if there is one, the tokens that
    /// end a text. The metadata of a GGUF file say the same.
    ///
    /// # Errors
    /// A file cannot be read, or [`ModelConfig::from_json`] refuses it.
    pub fn from_folder(folder: &Path) -> Result<Self, ConfigError> {
        if is_gguf(folder) {
            let model = GgufModel::open(folder).map_err(|error| ConfigError::Gguf(error.into()))?;
            return Self::from_gguf(&model).map_err(|source| in_file(folder.to_owned(), source));
        }
        let config = folder.join("config.json");
        let text = zograd_files::read_text(&config, MAX_SMALL_BYTES).map_err(|source| {
            let path = config.clone();
            ConfigError::Read { path, source }
        })?;
        let mut read = Self::from_json(&text).map_err(|source| in_file(config, source))?;
        let generation = folder.join("generation_config.json");
        if zograd_files::exists(&generation) {
            let path = generation.clone();
            let text = zograd_files::read_text(&generation, MAX_SMALL_BYTES)
                .map_err(|source| ConfigError::ReadGeneration { path, source })?;
            read = read
                .with_generation(&text)
                .map_err(|source| in_file(generation, source))?;
        }
        Ok(read)
    }

    /// Of the metadata of a GGUF file.
    pub(crate) fn from_gguf(model: &GgufModel) -> Result<Self, ConfigError> {
        Self::from_value(Value::Object(model.config_json().clone()))
    }

    /// Reads the text of a `config.json`, written by any version of transformers. Its defaults are those of Hugging
    /// Face's class for the family, but for sizes, which must be there.
    ///
    /// # Errors
    /// Invalid JSON, another architecture, a missing size, an unsupported feature, or values that contradict each other.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_value(serde_json::from_str(text)?)
    }

    /// The same shape with the ends of text of a `generation_config.json`, if it names any.
    fn with_generation(mut self, text: &str) -> Result<Self, ConfigError> {
        let Value::Object(keys) = serde_json::from_str(text)? else {
            return Err(ConfigError::NoObject);
        };
        if let Some(ids) = Keys(&keys).tokens("eos_token_id")? {
            self.eos_token_ids = ids;
            self.check()?;
        }
        Ok(self)
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, ConfigError> {
        let Value::Object(source) = value else {
            return Err(ConfigError::NoObject);
        };
        let keys = Keys(&source);
        let (common, family) = family_of(&keys)?;
        if let Some(value) = keys.get("quantization_config") {
            return Err(ConfigError::Unsupported {
                key: "quantization_config",
                value: value.to_string(),
                reason: "the weights here are floats; take the model's unquantised folder",
            });
        }
        let hidden_size = keys.needed("hidden_size")?;
        if common.heads == 0 {
            return Err(ConfigError::Zero("num_attention_heads"));
        }
        let head_dim = match common.head_dim {
            Some(width) => width,
            None if hidden_size.is_multiple_of(common.heads) => hidden_size / common.heads,
            None => {
                return Err(ConfigError::Heads {
                    hidden_size,
                    num_attention_heads: common.heads,
                });
            }
        };
        let config = Self {
            vocab_size: keys.needed("vocab_size")?,
            hidden_size,
            num_hidden_layers: keys.needed("num_hidden_layers")?,
            num_attention_heads: common.heads,
            num_key_value_heads: common.key_value_heads,
            head_dim,
            max_position_embeddings: keys.needed("max_position_embeddings")?,
            tie_word_embeddings: common.tied,
            init_std: common.init_std.unwrap_or(0.02),
            pad_token_id: keys.token("pad_token_id")?,
            bos_token_id: keys.token("bos_token_id")?,
            eos_token_ids: keys.tokens("eos_token_id")?.unwrap_or_default(),
            family,
            source,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (key, size) in sizes.into_iter().chain(self.family.sizes()) {
            if size == 0 {
                return Err(ConfigError::Zero(key));
            }
            if size > MAX_SIZE {
                return Err(ConfigError::TooLarge { key, size });
            }
        }
        let (query, key_value) = (self.num_attention_heads, self.num_key_value_heads);
        if !query.is_multiple_of(key_value) {
            return Err(ConfigError::KeyValueHeads {
                num_attention_heads: query,
                num_key_value_heads: key_value,
            });
        }
        if !self.init_std.is_finite() || self.init_std < 0.0 {
            return Err(ConfigError::Unsupported {
                key: self.family.init_key(),
                value: self.init_std.to_string(),
                reason: "a standard deviation is a finite number of at least 0",
            });
        }
        for (key, ids) in [
            ("pad_token_id", self.pad_token_id.as_slice()),
            ("bos_token_id", self.bos_token_id.as_slice()),
            ("eos_token_id", &self.eos_token_ids),
        ] {
            if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size) {
                return Err(ConfigError::SpecialToken {
                    key,
                    id: *id,
                    vocab_size: self.vocab_size,
                });
            }
        }
        self.family.check()
    }

    /// The same shape with a head of its own.
    pub(crate) fn untied(mut self) -> Self {
        self.tie_word_embeddings = false;
        self.source
            .insert("tie_word_embeddings".into(), false.into());
        self
    }

    /// What of it matters to those who give the model tokens.
    pub fn shape(&self) -> Shape {
        Shape {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            positions: self.max_position_embeddings,
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            key_value_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            positions: self.max_position_embeddings,
        }
    }

    /// Whether the model can have this adapter.
    ///
    /// # Errors
    /// [`AdapterError::Setting`] for the first setting that is out of its range.
    pub fn check_adapter(&self, adapter: &AdapterConfig) -> Result<(), AdapterError> {
        let projections = self.projections().into_iter();
        let projections: Vec<Projection> = projections.map(|(which, _)| which).collect();
        adapter.check(self.shape(), &projections)
    }

    /// Width of the token table, and of what the head is given.
    pub fn table_width(&self) -> usize {
        self.opt()
            .map_or(self.hidden_size, |opt| opt.word_embed_proj_dim)
    }

    /// The linear maps of a layer, in the order of their use, with their widths in and out.
    pub fn projections(&self) -> Vec<(Projection, [usize; 2])> {
        self.family.projections(self.sizes())
    }

    /// Number of weights; a head that is the token table counts once, with it.
    pub fn num_parameters(&self) -> usize {
        let token_tables = if self.tie_word_embeddings { 1 } else { 2 };
        let projections = self.projections().into_iter();
        let layer: usize = projections
            .map(|(_, [width_in, width_out])| width_in * width_out)
            .sum();
        token_tables * self.vocab_size * self.table_width()
            + self.num_hidden_layers * layer
            + self.family.other_weights(self.sizes())
    }

    /// `config.json` for weights stored as `dtype`: the JSON this configuration was read from
    /// with `torch_dtype` set.
    pub fn to_json(&self, dtype: DType) -> String {
        let mut json = self.source.clone();
        let name = match dtype {
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F64 => "float64",
            _ => "float32",
        };
        json.insert("torch_dtype".to_owned(), Value::from(name));
        // newer versions of transformers write and prefer this key
        if json.contains_key("dtype") {
            json.insert("dtype".to_owned(), Value::from(name));
        }
        format!("{:#}\n", Value::Object(json))
    }
}

fn in_file(path: PathBuf, source: ConfigError) -> ConfigError {
    ConfigError::File {
        path,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;

    const TINY: &str = r#"{"model_type": "opt", "vocab_size": 8, "hidden_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 8,
        "max_position_embeddings": 16, "my_own_key": [1, 2]}"#;

    fn with(key: &str, value: Value) -> Result<ModelConfig, ConfigError> {
        let mut json: Map<String, Value> = serde_json::from_str(TINY).expect("valid JSON");
        json.insert(key.to_owned(), value);
        ModelConfig::from_json(&Value::Object(json).to_string())
    }

    #[test]
    fn defaults_are_those_of_hugging_face() {
        let config = ModelConfig::from_json(TINY).expect("complete");
        assert_eq!(config.table_width(), 4);
        let opt = config.opt().expect("an OPT");
        assert_eq!(opt.activation, Activation::Relu);
        assert!(opt.do_layer_norm_before && opt.enable_bias);
        assert!(opt.has_final_layer_norm());
    }

    #[test]
    fn whole_numbers_count_however_they_are_written() {
        let config = with("ffn_dim", Value::from(8.0)).expect("whole");
        assert_eq!(config.opt().map(|opt| opt.ffn_dim), Some(8));
        let config = with("bos_token_id", Value::from(2.0)).expect("whole");
        assert_eq!(config.bos_token_id, Some(2));
        let error = with("ffn_dim", Value::from(8.5)).expect_err("a fraction");
        assert!(error.to_string().contains("ffn_dim is 8.5"), "{error}");
        let error = with("vocab_size", "8".into()).expect_err("a text");
        assert!(error.to_string().contains("vocab_size is \"8\""), "{error}");
    }

    #[test]
    fn a_text_may_end_in_several_ways() {
        let ends = |value: Value| with("eos_token_id", value).map(|config| config.eos_token_ids);
        assert_eq!(ends(serde_json::json!([2, 5])).expect("two"), [2, 5]);
        assert_eq!(ends(2.into()).expect("one"), [2]);
        for none in [Value::Null, serde_json::json!([])] {
            assert!(ends(none).expect("none").is_empty());
        }
        let error = ends(serde_json::json!([2, 8])).expect_err("outside");
        assert!(error.to_string().contains("eos_token_id is 8"), "{error}");
        let error = ends(serde_json::json!([2, "</s>"])).expect_err("a text");
        assert!(error.to_string().contains("eos_token_id is [2,"), "{error}");
    }

    #[test]
    fn generation_config_says_how_a_text_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
            ModelConfig::from_folder(folder.path()).map(|config| config.eos_token_ids)
        };
        let config = TINY.replace("\"my_own_key\"", "\"eos_token_id\": 2, \"my_own_key\"");
        assert_eq!(put("config.json", &config).expect("read"), [2]);
        let name = "generation_config.json";
        assert_eq!(
            put(name, r#"{"eos_token_id": [3, 4]}"#).expect("read"),
            [3, 4]
        );
        assert_eq!(put(name, r#"{"eos_token_id": null}"#).expect("read"), [2]);
        for (text, key) in [
            (r#"{"eos_token_id": 8}"#, "eos_token_id is 8"),
            (r#"{"eos_token_id": true}"#, "eos_token_id is true"),
            ("[]", "no JSON object"),
        ] {
            let error = put(name, text).expect_err("refused").to_string();
            assert!(error.contains(name) && error.contains(key), "{error}");
        }
        let error = put(
            "config.json",
            &TINY.replace("\"ffn_dim\": 8", "\"ffn_dim\": []"),
        );
        let error = error.expect_err("refused").to_string();
        assert!(
            error.contains("config.json") && error.contains("ffn_dim is []"),
            "{error}"
        );
    }

    #[test]
    fn saving_keeps_unknown_keys_and_states_the_dtype() {
        let config = ModelConfig::from_json(TINY).expect("complete");
        let json: Value = serde_json::from_str(&config.to_json(DType::F16)).expect("valid JSON");
        assert_eq!(json["my_own_key"], serde_json::json!([1, 2]));
        assert_eq!(json["torch_dtype"], "float16");
    }

    #[test]
    fn an_untied_shape_has_a_second_table_and_says_so() {
        let tied = ModelConfig::from_json(TINY).expect("complete");
        let untied = tied.clone().untied();
        let table = tied.vocab_size * tied.table_width();
        assert_eq!(untied.num_parameters(), tied.num_parameters() + table);
        let back = ModelConfig::from_json(&untied.to_json(DType::F32)).expect("its own JSON");
        assert!(tied.tie_word_embeddings && !back.tie_word_embeddings);
    }

    /// Before the sizes that OPT alone has are missed.
    #[test]
    fn another_architecture_is_called_by_its_name() {
        for (text, said) in [
            (
                r#"{"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": 8}"#,
                "it is a mixtral (MixtralForCausalLM); zograd reads OPT, Llama",
            ),
            (
                r#"{"model_type": "gpt2", "n_embd": 8}"#,
                "it is a gpt2; zograd reads OPT, Llama",
            ),
            (
                r#"{"model_type": "olmo", "architectures": []}"#,
                "it is an olmo; zograd reads OPT, Llama",
            ),
            (
                r#"{"architectures": ["GPT2LMHeadModel"], "n_embd": 8}"#,
                "it is a GPT2LMHeadModel; zograd reads OPT, Llama",
            ),
        ] {
            let error = ModelConfig::from_json(text).expect_err(text);
            assert!(error.to_string().starts_with(said), "{error}");
        }
        let error = ModelConfig::from_json(r#"{"model_type": "OPT"}"#).expect_err("no type");
        assert!(error.to_string().ends_with("in small letters"), "{error}");
        // old folders do not say what they are
        let unnamed = TINY.replacen('{', r#"{"architectures": ["OPTForCausalLM"], "#, 1);
        ModelConfig::from_json(&unnamed).expect("an OPT");
        let error = ModelConfig::from_json(r#"{"n_embd": 8}"#).expect_err("what is it?");
        assert!(error.to_string().contains("zograd reads OPT"), "{error}");
    }

    #[test]
    fn errors_name_the_key_and_the_value() {
        let message = |key, value| with(key, value).expect_err("must be refused").to_string();
        assert!(message("activation_function", "swish".into()).contains("\"swish\""));
        assert!(message("num_attention_heads", 3.into()).contains("multiple of"));
        assert!(message("vocab_size", u64::MAX.into()).contains("vocab_size"));
        assert!(message("ffn_dim", 0.into()).contains("ffn_dim"));
        assert!(message("layer_norm_elementwise_affine", false.into()).contains("affine"));
        let none = TINY.replacen('{', r#"{"pad_token_id": -1, "#, 1);
        assert_eq!(
            ModelConfig::from_json(&none)
                .expect("no padding")
                .pad_token_id,
            None
        );
        assert!(message("pad_token_id", 8.into()).contains("pad_token_id is 8"));
        assert!(message("hidden_size", (-4).into()).contains("not valid"));
        let missing = ModelConfig::from_json(r#"{"vocab_size": 8}"#).expect_err("sizes missing");
        assert!(missing.to_string().contains("hidden_size"), "{missing}");
    }
}
