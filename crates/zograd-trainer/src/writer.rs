use crate::{LanguageModel, TrainError};
use zograd_models::{Finish, Generation};
use zograd_tasks::{Prompt, PromptEncoder};

/// How the answers of a generation task are had: how the model writes, and how its token ids become
/// text.
#[derive(Clone, Debug)]
pub struct Writer {
    encoder: PromptEncoder,
    generation: Generation,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The text; `None` if the model's logits were not finite.
    pub text: Option<String>,
    /// Tokens that went through the layers for it.
    pub tokens: usize,
}

impl Writer {
    /// Answers written by `generation` and decoded by the tokenizer of `encoder`.
    pub fn new(encoder: PromptEncoder, generation: Generation) -> Self {
        Self {
            encoder,
            generation,
        }
    }

    /// The answer to the question of every prompt.
    ///
    /// # Errors
    /// A prompt without a question, one the model refuses, or ids the tokenizer does not know.
    pub fn write<M: LanguageModel>(
        &self,
        model: &M,
        prompts: &[&Prompt],
    ) -> Result<Vec<Written>, TrainError> {
        let questions = prompts.iter().map(|prompt| match &prompt.question {
            Some(question) => Ok(question.prompt.ids.as_slice()),
            None => Err(TrainError::NoQuestion { row: prompt.row }),
        });
        let questions: Vec<&[u32]> = questions.collect::<Result<_, _>>()?;
        let written = model.generate(&questions, &self.generation)?;
        questions
            .iter()
            .zip(written)
            .map(|(question, written)| {
                Ok(Written {
                    text: match written.finish {
                        Finish::NonFinite => None,
                        _ => Some(self.encoder.answer(&written.ids)?),
                    },
                    // the last token is not run
                    tokens: question.len() + written.ids.len().saturating_sub(1),
                })
            })
            .collect()
    }
}
