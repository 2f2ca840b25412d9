//! A model's template, and what it makes of a chat.

use crate::functions::{self, Raised};
use crate::{Chat, ChatError, generation, guard, value};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

/// What a template may do for one chat: instructions, and 64 bytes each of what it makes. Templates of models take a
/// hundred for a message.
const FUEL: u64 = 4_000_000;

/// How deep a template may call itself.
const RECURSION: usize = 100;

/// The name of the only template.
const NAME: &str = "chat";

/// A template in Jinja that makes one text of a chat, as transformers does: blocks take the line break behind them and the
/// blanks before them along, values have Python's methods, and a template knows the messages, the tools,
/// `add_generation_prompt` and the special tokens by their roles.
///
/// Clones share what was compiled.
#[derive(Clone)]
pub struct ChatTemplate {
    env: Arc<Environment<'static>>,
    tokens: Arc<BTreeMap<String, String>>,
    source: Arc<str>,
    has_marks: bool,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate")
            .field("source", &self.source)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Compiles a template. `tokens` are special tokens by the names it knows them by, such as `bos_token`.
    ///
    /// # Errors
    /// [`ChatError::Syntax`].
    pub fn new<K: Into<String>, V: Into<String>>(
        source: &str,
        tokens: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ChatError> {
        let mut env = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build();
        env.set_syntax(syntax.map_err(|error| failed(&error))?);
        env.set_fuel(Some(FUEL));
        env.set_recursion_limit(RECURSION);
        env.set_unknown_method_callback(unknown_method_callback);
        env.set_formatter(python_formatter);
        functions::add(&mut env);
        guard::add(&mut env);
        env.add_filter(generation::FILTER, |text: &Value| {
            generation::marked(&text.to_string())
        });
        let (filtered, has_marks) = generation::as_filters(source);
        let compiled = env.add_template_owned(NAME, guard::measured(&filtered));
        compiled.map_err(|error| ChatError::Syntax {
            line: error.line().unwrap_or(1),
            reason: reason(&error),
        })?;
        let tokens = tokens
            .into_iter()
            .map(|(role, token)| (role.into(), token.into()));
        Ok(Self {
            env: Arc::new(env),
            tokens: Arc::new(tokens.collect()),
            source: source.into(),
            has_marks,
        })
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The special tokens it was told.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &str)> {
        let tokens = self.tokens.iter();
        tokens.map(|(role, token)| (role.as_str(), token.as_str()))
    }

    /// Whether it says by `{% generation %}` what is the assistant's.
    pub fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// The text of a chat; with `add_generation_prompt` what begins the assistant's turn stands at its end.
    ///
    /// # Errors
    /// The template refuses the chat, fails, does not end, or makes nothing of it.
    pub fn render(&self, chat: &Chat, add_generation_prompt: bool) -> Result<String, ChatError> {
        let text = self.render_marked(chat, add_generation_prompt)?;
        Ok(match self.has_marks {
            true => generation::unmarked(&text).0,
            false => text,
        })
    }

    /// The same with what marks the assistant's text.
    pub(crate) fn render_marked(&self, chat: &Chat, prompt: bool) -> Result<String, ChatError> {
        if self.has_marks {
            for message in &chat.messages {
                generation::check(&message.content)?;
            }
        }
        let messages = chat.messages.iter();
        let messages: Vec<Value> = messages
            .map(|message| value::object(&message.fields))
            .collect();
        let tokens = self.tokens.iter();
        let tokens = Value::from_pairs(tokens.map(|(role, token)| (role.as_str(), token.as_str())));
        let context = context! {
            messages => messages,
            tools => value::value(&chat.tools),
            documents => (),
            add_generation_prompt => prompt,
            ..tokens
        };
        let template = self.env.get_template(NAME);
        let text = template
            .and_then(|template| template.render(context))
            .map_err(|error| failed(&error))?;
        match text.trim().is_empty() {
            true => Err(ChatError::Nothing),
            false => Ok(text),
        }
    }
}

/// Values as Python prints them, where the engine's own way is another.
fn python_formatter(
    out: &mut minijinja::Output<'_>,
    state: &mut minijinja::State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let text = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return minijinja::escape_formatter(out, state, value),
    };
    out.write_str(text).map_err(Error::from)
}

fn failed(error: &Error) -> ChatError {
    if error.kind() == ErrorKind::OutOfFuel {
        return ChatError::Endless { steps: FUEL };
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            return ChatError::Raised { message };
        }
        source = cause.source();
    }
    ChatError::Failed {
        line: error.line().unwrap_or(1),
        reason: reason(error),
    }
}

/// The engine's reason in a line.
fn reason(error: &Error) -> String {
    let words = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
