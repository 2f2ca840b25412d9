use crate::{LanguageModel, TrainError};
use zograd_models::{Continuation, Decoding, Finish, Generation, Sampling};
use zograd_perturb::Seed;
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

    /// The same with answers that are drawn: a draw is a function of this seed, the row of the prompt and the number of the
    /// token.
    #[must_use]
    pub fn drawing(&self, sampling: &Sampling, seed: Seed) -> Self {
        let mut drawing = self.clone();
        drawing.generation.decoding = Decoding::Sampling(Sampling {
            seed,
            ..sampling.clone()
        });
        drawing
    }

    /// How the answers to these prompts are written.
    fn generation(&self, prompts: &[&Prompt]) -> Generation {
        let mut generation = self.generation.clone();
        if let Decoding::Sampling(sampling) = &mut generation.decoding {
            sampling.streams = prompts.iter().map(|prompt| prompt.row as u64).collect();
        }
        generation
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
        let questions = questions(prompts)?;
        let written = model.generate(&questions, &self.generation(prompts))?;
        self.texts(&questions, written)
    }

    /// [`Writer::write`] by each of several models that differ as [`LanguageModel::at_once`] says.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_by_each<M: LanguageModel>(
        &self,
        models: &[M],
        prompts: &[&Prompt],
    ) -> Result<Vec<Vec<Written>>, TrainError> {
        let questions = questions(prompts)?;
        let written = M::generate_by_each(models, &questions, &self.generation(prompts))?;
        let each = written.into_iter();
        each.map(|written| self.texts(&questions, written))
            .collect()
    }

    /// What was written, as text.
    fn texts(
        &self,
        questions: &[&[u32]],
        written: Vec<Continuation>,
    ) -> Result<Vec<Written>, TrainError> {
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

/// The tokens of the questions.
fn questions<'p>(prompts: &[&'p Prompt]) -> Result<Vec<&'p [u32]>, TrainError> {
    let questions = prompts.iter().map(|prompt| match &prompt.question {
        Some(question) => Ok(question.prompt.ids.as_slice()),
        None => Err(TrainError::NoQuestion { row: prompt.row }),
    });
    questions.collect()
}
