use zograd_chat::ChatError;

/// Why a sample could not be made into token ids.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// The tokenizer failed.
    #[error("the tokenizer failed: {source}")]
    Tokenizer {
        /// The tokenizer's reason.
        source: tokenizers::Error,
    },
    /// The maximum length leaves no room for a token and what comes before it.
    #[error(
        "a maximum length of {max_length} ids, less {reserved} kept for the answer, leaves no room for a prompt: at least {} is needed",
        reserved + 2
    )]
    NoRoom {
        /// The encoder's maximum length.
        max_length: usize,
        /// What is kept for the answer of a generation task.
        reserved: usize,
    },
    /// An option adds no token to its context, so it has no probability of its own.
    #[error(
        "task {task}, row {row}: option {option} ({ending:?}) adds no token to its context with this tokenizer"
    )]
    EmptyOption {
        /// The task.
        task: String,
        /// Row number of the sample.
        row: usize,
        /// Index of the option.
        option: usize,
        /// The text the option adds.
        ending: String,
    },
    /// An option is as long as the whole sequence, so its first token follows nothing.
    #[error(
        "task {task}, row {row}: option {option} has {option_len} tokens, but its sequence only {kept} ids ({truncated} were cut off): nothing is left before it; raise the maximum length, or set a BOS id"
    )]
    OptionFillsSequence {
        /// The task.
        task: String,
        /// Row number of the sample.
        row: usize,
        /// Index of the option.
        option: usize,
        /// Tokens of the option.
        option_len: usize,
        /// Ids of the sequence.
        kept: usize,
        /// Ids cut from the left.
        truncated: usize,
    },
    /// The task, or this sample of it, has no form for calibration.
    #[error("task {task} has no prompt without input, so it cannot be calibrated (sfc)")]
    NoCalibration {
        /// The task.
        task: String,
    },
    /// A chat task has no form with demonstrations.
    #[error("task {task} has no prompts with demonstrations (`shots`): its chats are as they are")]
    NoDemonstrations {
        /// The task.
        task: String,
    },
    /// Nothing makes a text of a chat.
    #[error(
        "the model has no chat template (chat_template.jinja, or `chat_template` in tokenizer_config.json): give one, in \
         Jinja, with `chat-template`"
    )]
    NoChatTemplate,
    /// The template makes no text of a chat.
    #[error("{source}")]
    Chat {
        /// Row number of the sample.
        row: usize,
        /// Why.
        source: ChatError,
    },
    /// No token of a chat can be asked for.
    #[error(
        "the assistant's turns have no token behind the first of the chat, so that there is nothing to learn"
    )]
    NothingSpoken {
        /// Row number of the sample.
        row: usize,
    },
    /// Answers of the task end with the model's end-of-text token, and the model names none.
    #[error(
        "task {task}: its answers end with the model's end-of-text token (`end = \"eos\"`), but the model names none \
         (`eos_token_id` in its config.json)"
    )]
    NoEndOfText {
        /// The task.
        task: String,
    },
}

impl PromptError {
    /// Whether another row might have been fine.
    pub fn is_of_a_row(&self) -> bool {
        match self {
            Self::Tokenizer { .. }
            | Self::EmptyOption { .. }
            | Self::Chat { .. }
            | Self::NothingSpoken { .. }
            | Self::OptionFillsSequence { .. } => true,
            Self::NoRoom { .. }
            | Self::NoCalibration { .. }
            | Self::NoDemonstrations { .. }
            | Self::NoChatTemplate
            | Self::NoEndOfText { .. } => false,
        }
    }
}
