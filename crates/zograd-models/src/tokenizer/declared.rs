//! What the small files beside a vocabulary say of its tokenizer: `tokenizer_config.json`,
//! `special_tokens_map.json` and `added_tokens.json`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;
use zograd_files::MAX_SMALL_BYTES;

use super::{TokenizerError, invalid};

pub(super) const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// The keys of tokens with a role.
const ROLES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// The settings of a tokenizer that stand outside its vocabulary.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// Whether a text begins with the token that begins texts; `None`: there is no tokenizer_config.json.
    pub add_bos: Option<bool>,
    /// Whether a text ends with the token that ends texts.
    pub add_eos: bool,
    /// Whether special tokens in a text are read as ordinary text.
    pub split_special: bool,
    /// Whether a text is read as if a space stood before it, if it is said.
    pub add_prefix_space: Option<bool>,
    /// What begins a text, if it is said.
    pub bos: Option<AddedToken>,
    /// What ends a text, if it is said.
    pub eos: Option<AddedToken>,
    /// What pads, if it is said.
    pub pad: Option<AddedToken>,
    /// Every token with a role.
    pub special: Vec<AddedToken>,
    /// Their texts, by the keys of their roles.
    pub roles: Vec<(&'static str, String)>,
    /// Those that are named as special beside them.
    pub extra: Vec<AddedToken>,
    /// Tokens with their ids: those the vocabulary lacks, and perhaps some it has.
    pub added: BTreeMap<u32, AddedToken>,
    /// The file that names `added`.
    pub added_file: PathBuf,
}

impl Declared {
    /// What is said in a folder. As in Hugging Face: where `tokenizer_config.json` lists the added tokens, it says
    /// everything; else the two older files add to it.
    pub fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let config = object(&folder.join(CONFIG))?;
        let special = object(&folder.join(SPECIAL))?;
        let is_told = config.is_some();
        let config = config.unwrap_or_default();
        let listed = config
            .get("added_tokens_decoder")
            .is_some_and(|list| !list.is_null());
        let mut keys = config;
        if !listed {
            let special = special.unwrap_or_default();
            keys.extend(special.into_iter().filter(|(_, value)| !value.is_null()));
        }
        let file = folder.join(CONFIG);
        let flag = |key: &str| match keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(invalid(&file, &format!("{key} is {other}, no truth value"))),
        };
        // a token that is said to be none stands nowhere
        let is_none = |key: &str| keys.get(key).is_some_and(Value::is_null);
        let role = |key: &str| match keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match token(value, true) {
                Some(token) => Ok(Some(token)),
                None => Err(invalid(&file, &format!("{key} is {value}, no token"))),
            },
        };
        let mut declared = Self {
            // what Hugging Face's GPT2Tokenizer, which is OPT's, takes where nothing is said
            add_bos: is_told
                .then_some(flag("add_bos_token")?.unwrap_or(false) && !is_none("bos_token")),
            add_eos: flag("add_eos_token")?.unwrap_or(false) && !is_none("eos_token"),
            split_special: flag("split_special_tokens")?.unwrap_or(false),
            add_prefix_space: flag("add_prefix_space")?,
            bos: role("bos_token")?,
            eos: role("eos_token")?,
            pad: role("pad_token")?,
            ..Self::default()
        };
        for key in ROLES {
            let token = role(key)?;
            let named = token.as_ref().map(|token| (key, token.content.clone()));
            declared.roles.extend(named);
            declared.special.extend(token);
        }
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            let tokens: Vec<&Value> = match keys.get(key) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(tokens)) => tokens.iter().collect(),
                // with the names of their roles
                Some(Value::Object(tokens)) => tokens.values().collect(),
                Some(other) => return Err(invalid(&file, &format!("{key} is {other}, no list"))),
            };
            for value in tokens {
                let wrong = || invalid(&file, &format!("{key} has {value}, no token"));
                declared.extra.push(token(value, true).ok_or_else(wrong)?);
            }
        }
        let (added, added_file) = match listed {
            true => (numbered(&keys["added_tokens_decoder"]), file.clone()),
            false => {
                let file = folder.join(ADDED);
                let added = object(&file)?.map(|tokens| declared.by_name(&tokens));
                (added.unwrap_or_else(|| Some(BTreeMap::new())), file)
            }
        };
        let wrong = || invalid(&added_file, &"its added tokens are not texts with ids");
        declared.added = added.ok_or_else(wrong)?;
        declared.added_file = added_file;
        if listed {
            declared.follow_list();
        }
        Ok(declared)
    }

    /// Gives the tokens that have a role or are named as special the flags that they have in the list of added tokens:
    /// as in Hugging Face, it says how a token is looked for, whatever else names it.
    fn follow_list(&mut self) {
        let added = self.added.values();
        let listed: HashMap<&str, &AddedToken> =
            added.map(|token| (token.content.as_str(), token)).collect();
        let ends = [&mut self.bos, &mut self.eos, &mut self.pad];
        for token in ends.into_iter().flatten().chain(&mut self.special) {
            if let Some(listed) = listed.get(token.content.as_str()) {
                *token = (*listed).clone().special(true);
            }
        }
        for token in &mut self.extra {
            if let Some(listed) = listed.get(token.content.as_str()) {
                *token = (*listed).clone();
            }
        }
    }

    /// The added token with this text, as a special one.
    pub fn listed(&self, content: &str) -> Option<AddedToken> {
        let mut added = self.added.values();
        let listed = added.find(|token| token.content == content)?;
        Some(listed.clone().special(true))
    }

    /// `{"<sep>": 8192}`; special are those that have a role.
    fn by_name(&self, tokens: &Map<String, Value>) -> Option<BTreeMap<u32, AddedToken>> {
        let entry = |(content, id): (&String, &Value)| {
            let id = u32::try_from(id.as_u64()?).ok()?;
            let mut named = self.special.iter().chain(&self.extra);
            let role = named.find(|token| token.content == *content);
            let plain = || AddedToken::from(content.clone(), false);
            Some((id, role.cloned().unwrap_or_else(plain)))
        };
        tokens.iter().map(entry).collect()
    }
}

/// `{"8192": {"content": "<sep>", ...}}`.
fn numbered(list: &Value) -> Option<BTreeMap<u32, AddedToken>> {
    let entry = |(id, value): (&String, &Value)| Some((id.parse().ok()?, token(value, false)?));
    list.as_object()?.iter().map(entry).collect()
}

/// A token: its text, or an object with its text and how it is looked for.
fn token(value: &Value, special: bool) -> Option<AddedToken> {
    if let Value::String(content) = value {
        return Some(AddedToken::from(content.clone(), special));
    }
    let flag = |key: &str, default: bool| match value.get(key) {
        None => Some(default),
        Some(flag) => flag.as_bool(),
    };
    let content = value.get("content")?.as_str()?;
    let special = flag("special", special)?;
    let token = AddedToken::from(content, special)
        .normalized(flag("normalized", !special)?)
        .single_word(flag("single_word", false)?)
        .lstrip(flag("lstrip", false)?)
        .rstrip(flag("rstrip", false)?);
    Some(token)
}

/// The object of a file; `None` if there is no file.
pub(super) fn object(file: &Path) -> Result<Option<Map<String, Value>>, TokenizerError> {
    if !zograd_files::exists(file) {
        return Ok(None);
    }
    let text = zograd_files::read_text(file, MAX_SMALL_BYTES).map_err(|e| invalid(file, &e))?;
    let object = serde_json::from_str(&text).map_err(|error| invalid(file, &error))?;
    Ok(Some(object))
}
