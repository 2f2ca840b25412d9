//! What can be wrong with a chat.

/// Why a row is no chat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// It has none of the fields that chats have.
    #[error(
        "it is no chat: it has no \"messages\", \"conversations\", \"prompt\" with \"response\" or \"completion\", or \
         \"instruction\" with \"output\"; it has {present}"
    )]
    NoChat {
        /// The fields it has.
        present: String,
    },
    /// A field of the row, or of a message in it, has the wrong type.
    #[error("{place} must be {expected}, not {found}")]
    WrongType {
        /// Where: a field, or a message by its number, from 1.
        place: String,
        /// What is needed.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A list of messages that has none.
    #[error("field {field:?} has no messages")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A list of more messages than are read.
    #[error("field {field:?} has {messages} messages; at most {most} are read: divide the chat")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many there are.
        messages: usize,
        /// How many there may be.
        most: usize,
    },
    /// A message without one of its fields.
    #[error("message {message} has no {field:?}")]
    Missing {
        /// Its number, from 1.
        message: usize,
        /// The field.
        field: &'static str,
    },
    /// A role that no chat has.
    #[error("message {message} has the role {role:?}; the roles are {known}")]
    Role {
        /// Its number, from 1.
        message: usize,
        /// The role.
        role: String,
        /// Those there are.
        known: String,
    },
    /// No turn of the assistant.
    #[error("the chat has no turn of the assistant, so that there is nothing to learn")]
    NoAnswer,
    /// The last turn is the assistant's, and says nothing.
    #[error("the last turn of the assistant is blank, so that there is nothing to learn")]
    BlankAnswer,
    /// The last turn is not the assistant's.
    #[error(
        "the chat ends with a turn of the {role}; end it with the assistant's answer, from which the model learns"
    )]
    Unanswered {
        /// Whose it is.
        role: String,
    },
    /// Nobody asks anything.
    #[error("the chat is blank but for the assistant's turns, so that there is nothing to answer")]
    NothingAsked,
}

impl RowError {
    /// Whether the fields of a chat are null or missing, as in a table with gaps.
    pub fn is_null_or_missing(&self) -> bool {
        match self {
            Self::NoChat { .. } => true,
            Self::WrongType { place, found, .. } => place.starts_with("field ") && found == "null",
            _ => false,
        }
    }
}

/// Why a template makes no text of a chat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The template is no Jinja.
    #[error("the chat template cannot be read: line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The parser's reason.
        reason: String,
    },
    /// The template refuses the chat, in its own words.
    #[error("the chat template refuses this chat: {message}")]
    Raised {
        /// What it says.
        message: String,
    },
    /// The template fails.
    #[error("the chat template fails: line {line}: {reason}")]
    Failed {
        /// The line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// The template goes on and on.
    #[error(
        "the chat template does not end: more than {steps} steps (of 64 bytes at most) for one chat"
    )]
    Endless {
        /// What it may do.
        steps: u64,
    },
    /// Nothing comes of the chat.
    #[error("the chat template makes an empty text of this chat")]
    Nothing,
    /// The text of the whole chat does not begin with that of what stands before the answer.
    #[error(
        "the chat template writes what stands before the last answer otherwise when the answer is there, so that the \
         answer's place cannot be told; a template with {{% generation %}} around the assistant's turns says it"
    )]
    NotFound,
    /// The template has marks, and marks nothing of this chat.
    #[error("the chat template marks nothing of this chat by {{% generation %}}")]
    NothingMarked,
    /// A character that marks are made of.
    #[error("the chat has the character U+{:04X}, which is no character of texts", u32::from(*.0))]
    Mark(char),
}
