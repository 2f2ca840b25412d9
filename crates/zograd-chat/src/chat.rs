//! A chat.

use serde_json::{Map, Value};
use std::fmt;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Says how the assistant is to be.
    System,
    /// The same of newer models.
    Developer,
    /// Asks.
    User,
    /// Answers: the model.
    Assistant,
    /// Says what came of a call.
    Tool,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Developer,
        Self::User,
        Self::Assistant,
        Self::Tool,
    ];

    /// As messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A turn: who says what, and what else a template may want to know of it (calls of tools, thoughts).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub role: Role,
    pub content: String,
    /// All fields, as the template sees them.
    pub fields: Map<String, Value>,
}

impl Message {
    /// A turn with these fields beside role and content.
    pub fn new(role: Role, content: String, others: Map<String, Value>) -> Self {
        let mut fields = Map::new();
        fields.insert("role".into(), role.name().into());
        fields.insert("content".into(), content.clone().into());
        fields.extend(others);
        Self {
            role,
            content,
            fields,
        }
    }

    /// A turn that is nothing but text.
    pub fn plain(role: Role, content: &str) -> Self {
        Self::new(role, content.to_owned(), Map::new())
    }
}

/// Turns of a system, users, tools and an assistant, in their order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub(crate) messages: Vec<Message>,
    /// Tools that the assistant may call, as the row describes them.
    pub(crate) tools: Value,
}

impl Chat {
    /// A question, and how the assistant is to be.
    pub fn asked(system: Option<&str>, question: &str) -> Self {
        let system = system.map(|text| Message::plain(Role::System, text));
        let user = Message::plain(Role::User, question);
        Self {
            messages: system.into_iter().chain([user]).collect(),
            tools: Value::Null,
        }
    }

    /// The chat with an answer behind it.
    #[must_use]
    pub fn answered(mut self, answer: &str) -> Self {
        self.messages.push(Message::plain(Role::Assistant, answer));
        self
    }

    /// How many turns it has.
    pub fn turns(&self) -> usize {
        self.messages.len()
    }

    /// How many of them are the assistant's.
    pub fn answers(&self) -> usize {
        let is_answer = |message: &&Message| message.role == Role::Assistant;
        self.messages.iter().filter(is_answer).count()
    }

    /// What the assistant says at the end, if the last turn is its.
    pub fn answer(&self) -> Option<&str> {
        let last = self.messages.last();
        last.filter(|message| message.role == Role::Assistant)
            .map(|message| message.content.as_str())
    }

    /// The chat without the answer at its end.
    #[must_use]
    pub fn question(&self) -> Self {
        let turns = self.messages.len() - usize::from(self.answer().is_some());
        self.first(turns)
    }

    /// Its first turns.
    pub(crate) fn first(&self, turns: usize) -> Self {
        Self {
            messages: self.messages[..turns].to_vec(),
            tools: self.tools.clone(),
        }
    }
}

/// For people: every turn in a paragraph, behind its role.
impl fmt::Display for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, message) in self.messages.iter().enumerate() {
            let between = if k == 0 { "" } else { "\n" };
            write!(f, "{between}{}: {}", message.role, message.content)?;
        }
        Ok(())
    }
}
