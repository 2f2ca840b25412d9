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
            | Self::OptionFillsSequence { .. } => true,
            Self::NoRoom { .. } | Self::NoCalibration { .. } | Self::NoEndOfText { .. } => false,
        }
    }
}
