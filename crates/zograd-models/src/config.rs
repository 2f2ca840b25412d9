//! The shape of an OPT model, as `config.json` of a Hugging Face folder states it.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use serde_json::{Map, Value};
use zograd_files::MAX_SMALL_BYTES;

/// OPT's position table starts with this many rows that no token uses: the padding index of the
/// original fairseq model plus one (`OPTLearnedPositionalEmbedding.offset` in Hugging Face).
pub const POSITION_OFFSET: usize = 2;

/// What is read, for messages.
const READ: &str = "OPT (`model_type` opt)";

/// No size may be larger: a generous bound below which no count of weights overflows.
const MAX_SIZE: usize = 1 << 20;

/// The nonlinearity between the two feed-forward layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`: every OPT that Meta published.
    Relu,
    /// `x Phi(x)` with the exact error function (`gelu`; Galactica).
    Gelu,
    /// The tanh approximation of GELU (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
}

impl Activation {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "relu" => Some(Self::Relu),
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            _ => None,
        }
    }

    /// The name Hugging Face gives it in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_new",
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}; a model folder needs a config.json")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// generation_config.json is there and could not be read.
    #[error("cannot read {path}: {source}")]
    ReadGeneration {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that was read is refused.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ConfigError>,
    },
    /// Not JSON.
    #[error("the model configuration is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no object.
    #[error("the model configuration is not valid: it is no JSON object")]
    NoObject,
    /// A required key is missing.
    #[error("the model configuration is not valid: {0} is missing (zograd reads {READ})")]
    Missing(&'static str),
    /// A value of the wrong type.
    #[error("the model configuration is not valid: {key} is {value}, but must be {expected}")]
    Type {
        /// The key.
        key: &'static str,
        /// Its value, as JSON.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The folder holds another architecture.
    #[error("it is {article} {name}{class}; zograd reads {READ}", article = article(name), class = in_brackets(class))]
    Architecture {
        /// Its `model_type`; where there is none, its class.
        name: String,
        /// The class of transformers that reads it, if the file names one beside the type.
        class: Option<String>,
    },
    /// An activation this crate has no code for.
    #[error(
        "activation_function {0:?} is not supported; use one of relu, gelu, gelu_new, \
         gelu_pytorch_tanh"
    )]
    Activation(String),
    /// A feature of Hugging Face's `OPTConfig` that no published OPT uses.
    #[error("{key} = {value} is not supported: {reason}")]
    Unsupported {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why.
        reason: &'static str,
    },
    /// A size of zero.
    #[error("{0} is 0; it must be at least 1")]
    Zero(&'static str),
    /// A size beyond anything a model has.
    #[error("{key} is {size}; more than {MAX_SIZE} is surely a mistake")]
    TooLarge {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        size: usize,
    },
    /// The heads do not divide the hidden size.
    #[error(
        "hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}"
    )]
    Heads {
        /// `hidden_size`.
        hidden_size: usize,
        /// `num_attention_heads`.
        num_attention_heads: usize,
    },
    /// A special token outside the vocabulary.
    #[error("{key} is {id}, outside the vocabulary of {vocab_size}")]
    SpecialToken {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        id: u32,
        /// `vocab_size`.
        vocab_size: usize,
    },
    /// A name [`OptConfig::named`] does not know.
    #[error("no published OPT shape is called {0:?}; known: {known}", known = crate::shapes::NAMES.join(", "))]
    UnknownName(String),
}

/// The shape of an OPT model: Hugging Face's `OPTConfig`, checked.
///
/// The JSON it was read from is kept, so that [`OptConfig::to_json`] gives back every key, also
/// those that mean nothing here.
///
/// ```
/// use zograd_models::OptConfig;
///
/// let config = OptConfig::named("opt-125m")?;
/// assert_eq!(config.head_dim(), 64);
/// assert_eq!(config.num_parameters(), 125_239_296);
/// # Ok::<(), zograd_models::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OptConfig {
    /// Rows of the token table; token ids are below it.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the token table; differs from `hidden_size` in opt-350m only, which then has
    /// `project_in` and `project_out`.
    pub word_embed_proj_dim: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Heads per attention; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width between `fc1` and `fc2`.
    pub ffn_dim: usize,
    /// The longest sequence, in tokens. The position table has [`POSITION_OFFSET`] rows more.
    pub max_position_embeddings: usize,
    /// Nonlinearity of the feed-forward layers.
    pub activation: Activation,
    /// `true`: layer norms before attention and feed-forward (all sizes but 350m).
    pub do_layer_norm_before: bool,
    /// `true`: no layer norm after the last layer although `do_layer_norm_before` is set.
    pub remove_final_layer_norm: bool,
    /// Whether the linear layers have biases.
    pub enable_bias: bool,
    /// `true`, as in every published OPT: the head is the token table. `false`: it has a table of its own
    /// (`lm_head.weight`), as [`Opt::untied`](crate::Opt::untied) gives it.
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
    source: Map<String, Value>,
}

/// `config.json`, asked for its keys. Numbers that are whole may be written as such or as `64.0`; `null` is as good
/// as no key.
struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    fn get(&self, key: &'static str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// What `read` makes of a value, `None` where there is none.
    fn read<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let value = self.get(key).map(|value| {
            read(value).ok_or_else(|| ConfigError::Type {
                key,
                value: value.to_string(),
                expected,
            })
        });
        value.transpose()
    }

    fn size(&self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        let size = |value: &Value| Some(usize::try_from(whole(value)?).unwrap_or(usize::MAX));
        self.read(key, "a whole number", size)
    }

    /// Sizes have no default on purpose: a model whose size was guessed is never what the user wanted.
    fn needed(&self, key: &'static str) -> Result<usize, ConfigError> {
        self.size(key)?.ok_or(ConfigError::Missing(key))
    }

    fn switch(&self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        let switch = self.read(key, "true or false", Value::as_bool)?;
        Ok(switch.unwrap_or(default))
    }

    fn text(&self, key: &'static str) -> Result<Option<&str>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(ConfigError::Type {
                key,
                value: other.to_string(),
                expected: "a text",
            }),
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        self.read(key, "a number", Value::as_f64)
    }

    fn token(&self, key: &'static str) -> Result<Option<u32>, ConfigError> {
        self.read(key, "a token id or null", token)
    }

    /// One token or a list of them.
    fn tokens(&self, key: &'static str) -> Result<Option<Vec<u32>>, ConfigError> {
        let tokens = |value: &Value| match value {
            Value::Array(ids) => ids.iter().map(token).collect(),
            id => Some(vec![token(id)?]),
        };
        self.read(key, "a token id, a list of them, or null", tokens)
    }
}

/// Refuses the configuration of another architecture before a size of OPT is missed in it. Files without `model_type` are
/// OPT's unless the classes they name are another's.
fn check_architecture(keys: &Keys<'_>) -> Result<(), ConfigError> {
    let model_type = keys.text("model_type")?;
    let classes = keys.get("architectures").and_then(Value::as_array);
    let class = classes.and_then(|classes| classes.first()?.as_str());
    let (name, class) = match (model_type, class) {
        (Some("opt"), _) | (None, None) => return Ok(()),
        (None, Some(class)) if class.starts_with("OPT") => return Ok(()),
        (Some(name), class) => (name, class),
        (None, Some(class)) => (class, None),
    };
    Err(ConfigError::Architecture {
        name: name.to_owned(),
        class: class.map(str::to_owned),
    })
}

/// `a` or `an`.
fn article(name: &str) -> &'static str {
    match name.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) {
        true => "an",
        false => "a",
    }
}

fn in_brackets(class: &Option<String>) -> String {
    let class = class.as_ref();
    class.map(|class| format!(" ({class})")).unwrap_or_default()
}

fn token(value: &Value) -> Option<u32> {
    u32::try_from(whole(value)?).ok()
}

/// A whole number of at least 0, however it is written.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let written_otherwise = || {
        let number = value.as_f64()?;
        let exact = number.fract() == 0.0 && (0.0..=2f64.powi(53)).contains(&number);
        exact.then_some(number as u64)
    };
    value.as_u64().or_else(written_otherwise)
}

impl OptConfig {
    /// One of the published shapes, for benchmarks and fresh models: `opt-125m`, `opt-350m`,
    /// `opt-1.3b`, `opt-2.7b`, `opt-6.7b`, `opt-13b`, `opt-30b`, `opt-66b`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownName`], which lists the names.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        let source = crate::shapes::published(name)
            .ok_or_else(|| ConfigError::UnknownName(name.to_owned()))?;
        Self::from_value(source)
    }

    /// Reads `config.json` of a model folder, and of `generation_config.json`, if there is one, the tokens that
    /// end a text.
    ///
    /// # Errors
    /// A file cannot be read, or [`OptConfig::from_json`] refuses it.
    pub fn from_folder(folder: &Path) -> Result<Self, ConfigError> {
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

    /// Reads the text of a `config.json`. Its defaults are those of Hugging Face's `OPTConfig`.
    ///
    /// # Errors
    /// Invalid JSON, a missing size, an unsupported feature, or values that contradict each other.
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

    fn from_value(value: Value) -> Result<Self, ConfigError> {
        let Value::Object(source) = value else {
            return Err(ConfigError::NoObject);
        };
        let keys = Keys(&source);
        check_architecture(&keys)?;
        let activation = keys.text("activation_function")?.unwrap_or("relu");
        let activation = Activation::parse(activation)
            .ok_or_else(|| ConfigError::Activation(activation.to_owned()))?;
        if !keys.switch("layer_norm_elementwise_affine", true)? {
            return Err(ConfigError::Unsupported {
                key: "layer_norm_elementwise_affine",
                value: "false".to_owned(),
                reason: "the layer norms here have a weight and a bias",
            });
        }
        let hidden_size = keys.needed("hidden_size")?;
        let config = Self {
            vocab_size: keys.needed("vocab_size")?,
            hidden_size,
            word_embed_proj_dim: keys.size("word_embed_proj_dim")?.unwrap_or(hidden_size),
            num_hidden_layers: keys.needed("num_hidden_layers")?,
            num_attention_heads: keys.needed("num_attention_heads")?,
            ffn_dim: keys.needed("ffn_dim")?,
            max_position_embeddings: keys.needed("max_position_embeddings")?,
            activation,
            do_layer_norm_before: keys.switch("do_layer_norm_before", true)?,
            remove_final_layer_norm: keys.switch("_remove_final_layer_norm", false)?,
            enable_bias: keys.switch("enable_bias", true)?,
            tie_word_embeddings: keys.switch("tie_word_embeddings", true)?,
            init_std: keys.number("init_std")?.unwrap_or(0.02),
            pad_token_id: keys.token("pad_token_id")?,
            bos_token_id: keys.token("bos_token_id")?,
            eos_token_ids: keys.tokens("eos_token_id")?.unwrap_or_default(),
            source,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("word_embed_proj_dim", self.word_embed_proj_dim),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("ffn_dim", self.ffn_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if size == 0 {
                return Err(ConfigError::Zero(key));
            }
            if size > MAX_SIZE {
                return Err(ConfigError::TooLarge { key, size });
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(ConfigError::Heads {
                hidden_size: self.hidden_size,
                num_attention_heads: self.num_attention_heads,
            });
        }
        if !self.init_std.is_finite() || self.init_std < 0.0 {
            return Err(ConfigError::Unsupported {
                key: "init_std",
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
        Ok(())
    }

    /// The same shape with a head of its own.
    pub(crate) fn untied(mut self) -> Self {
        self.tie_word_embeddings = false;
        self.source
            .insert("tie_word_embeddings".into(), false.into());
        self
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Whether a layer norm follows the last layer.
    pub fn has_final_layer_norm(&self) -> bool {
        self.do_layer_norm_before && !self.remove_final_layer_norm
    }

    /// Whether `project_in` and `project_out` stand between the token table and the layers.
    pub fn has_projections(&self) -> bool {
        self.word_embed_proj_dim != self.hidden_size
    }

    /// Number of weights; a head that is the token table counts once, with it.
    pub fn num_parameters(&self) -> usize {
        let (d, e, f) = (self.hidden_size, self.word_embed_proj_dim, self.ffn_dim);
        let token_tables = if self.tie_word_embeddings { 1 } else { 2 };
        let tables = token_tables * self.vocab_size * e
            + (self.max_position_embeddings + POSITION_OFFSET) * d;
        let projections = if self.has_projections() { 2 * d * e } else { 0 };
        let biases = if self.enable_bias { 5 * d + f } else { 0 };
        let layer = 4 * d * d + 2 * d * f + biases + 4 * d;
        let final_norm = if self.has_final_layer_norm() {
            2 * d
        } else {
            0
        };
        tables + projections + self.num_hidden_layers * layer + final_norm
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

    const TINY: &str = r#"{"model_type": "opt", "vocab_size": 8, "hidden_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 8,
        "max_position_embeddings": 16, "my_own_key": [1, 2]}"#;

    fn with(key: &str, value: Value) -> Result<OptConfig, ConfigError> {
        let mut json: Map<String, Value> = serde_json::from_str(TINY).expect("valid JSON");
        json.insert(key.to_owned(), value);
        OptConfig::from_json(&Value::Object(json).to_string())
    }

    #[test]
    fn defaults_are_those_of_hugging_face() {
        let config = OptConfig::from_json(TINY).expect("complete");
        assert_eq!(config.word_embed_proj_dim, 4);
        assert_eq!(config.activation, Activation::Relu);
        assert!(config.do_layer_norm_before && config.enable_bias);
        assert!(config.has_final_layer_norm() && !config.has_projections());
    }

    #[test]
    fn whole_numbers_count_however_they_are_written() {
        let config = with("ffn_dim", Value::from(8.0)).expect("whole");
        assert_eq!(config.ffn_dim, 8);
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
            OptConfig::from_folder(folder.path()).map(|config| config.eos_token_ids)
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
        let config = OptConfig::from_json(TINY).expect("complete");
        let json: Value = serde_json::from_str(&config.to_json(DType::F16)).expect("valid JSON");
        assert_eq!(json["my_own_key"], serde_json::json!([1, 2]));
        assert_eq!(json["torch_dtype"], "float16");
    }

    #[test]
    fn an_untied_shape_has_a_second_table_and_says_so() {
        let tied = OptConfig::from_json(TINY).expect("complete");
        let untied = tied.clone().untied();
        let table = tied.vocab_size * tied.word_embed_proj_dim;
        assert_eq!(untied.num_parameters(), tied.num_parameters() + table);
        let back = OptConfig::from_json(&untied.to_json(DType::F32)).expect("its own JSON");
        assert!(tied.tie_word_embeddings && !back.tie_word_embeddings);
    }

    /// Before the sizes that OPT alone has are missed.
    #[test]
    fn another_architecture_is_called_by_its_name() {
        for (text, said) in [
            (
                r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8}"#,
                "it is a llama (LlamaForCausalLM); zograd reads OPT (`model_type` opt)",
            ),
            (
                r#"{"model_type": "gpt2", "n_embd": 8}"#,
                "it is a gpt2; zograd reads OPT (`model_type` opt)",
            ),
            (
                r#"{"model_type": "olmo", "architectures": []}"#,
                "it is an olmo; zograd reads OPT (`model_type` opt)",
            ),
            (
                r#"{"architectures": ["GPT2LMHeadModel"], "n_embd": 8}"#,
                "it is a GPT2LMHeadModel; zograd reads OPT (`model_type` opt)",
            ),
        ] {
            let error = OptConfig::from_json(text).expect_err(text);
            assert_eq!(error.to_string(), said);
        }
        // old folders do not say what they are
        let unnamed = TINY.replacen('{', r#"{"architectures": ["OPTForCausalLM"], "#, 1);
        OptConfig::from_json(&unnamed).expect("an OPT");
        let error = OptConfig::from_json(r#"{"n_embd": 8}"#).expect_err("what is it?");
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
        assert!(message("pad_token_id", 8.into()).contains("pad_token_id is 8"));
        assert!(message("hidden_size", (-4).into()).contains("not valid"));
        let missing = OptConfig::from_json(r#"{"vocab_size": 8}"#).expect_err("sizes missing");
        assert!(missing.to_string().contains("hidden_size"), "{missing}");
    }
}
