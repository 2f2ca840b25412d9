use super::{EncodedCandidate, Form, Prompt, PromptError, Question};
use crate::whitespace::{strip, strip_blanks, strip_start};
use crate::{Cloze, Sample, Task};
use std::sync::Arc;
use tokenizers::Tokenizer;

/// Turns samples into token ids, as MeZO's `encode_prompt` does.
///
/// Text is tokenised without the tokenizer's own special tokens, and one BOS id is put in front.
/// Clones share the tokenizer.
#[derive(Clone, Debug)]
pub struct PromptEncoder {
    tokenizer: Arc<Tokenizer>,
    bos_id: Option<u32>,
    max_length: usize,
    max_new_tokens: usize,
}

impl PromptEncoder {
    /// MeZO's default `max_length`, and the number of positions of the OPT models.
    pub const DEFAULT_MAX_LENGTH: usize = 2048;
    /// MeZO's default `max_new_tokens`.
    pub const DEFAULT_MAX_NEW_TOKENS: usize = 50;

    /// An encoder with the BOS id that the tokenizer itself puts in front of a text (none if it puts
    /// none), and the default lengths. Truncation and padding set in the tokenizer's file are
    /// switched off.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] if it cannot encode.
    pub fn new(mut tokenizer: Tokenizer) -> Result<Self, PromptError> {
        tokenizer
            .with_padding(None)
            .with_truncation(None)
            .map_err(|source| PromptError::Tokenizer { source })?;
        // a text, as encoding "" would take the </s> that some tokenizers append for a BOS
        let probe = guarded(|| tokenizer.encode("a", true))?;
        let is_special = probe.get_special_tokens_mask().first() == Some(&1);
        Ok(Self {
            bos_id: probe.get_ids().first().copied().filter(|_| is_special),
            tokenizer: Arc::new(tokenizer),
            max_length: Self::DEFAULT_MAX_LENGTH,
            max_new_tokens: Self::DEFAULT_MAX_NEW_TOKENS,
        })
    }

    /// Sets the first id of every sequence, or that there is none. OPT was trained with 2, which is
    /// what its tokenizer gives; the public MeZO code uses 0.
    #[must_use]
    pub fn with_bos(mut self, bos_id: Option<u32>) -> Self {
        self.bos_id = bos_id;
        self
    }

    /// Sets the largest number of ids of a sequence, BOS included. Longer ones lose ids from the
    /// left, but for the BOS.
    #[must_use]
    pub fn with_max_length(mut self, max_length: usize) -> Self {
        self.max_length = max_length;
        self
    }

    /// Sets how many tokens a model may write. Prompts of generation tasks are kept shorter than the
    /// maximum length by this number, also those to train on.
    #[must_use]
    pub fn with_max_new_tokens(mut self, max_new_tokens: usize) -> Self {
        self.max_new_tokens = max_new_tokens;
        self
    }

    /// The tokenizer, without truncation and padding.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The first id of every sequence.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The largest number of ids of a sequence.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// How many tokens a model may write.
    pub fn max_new_tokens(&self) -> usize {
        self.max_new_tokens
    }

    /// Encodes a sample in one form: for choices one candidate per ending, for generation one, with
    /// the first gold answer ([`Form::Train`]) or without (`option_len` 0).
    ///
    /// The length of an option is the number of tokens of context and ending together less that of
    /// the context, both stripped of blanks at their ends, and without demonstrations: blanks move
    /// from the end of a context to the beginning of the option's first token.
    ///
    /// # Errors
    /// See [`PromptError`].
    pub fn encode(
        &self,
        task: &dyn Task,
        sample: &Sample,
        form: Form<'_>,
    ) -> Result<Prompt, PromptError> {
        let limit = self.limit(task)?;
        let writes_answer = task.is_generation() && !matches!(form, Form::Train);
        let (correct, candidates) = if writes_answer {
            let cloze = cloze(task, sample, form)?;
            let context = strip_blanks(&cloze.context);
            (vec![], vec![self.sequence(task, form, context, 0, limit)?])
        } else {
            let candidates = self.options(task, sample, form, limit)?;
            (sample.correct.clone(), candidates)
        };
        Ok(Prompt {
            row: sample.row,
            correct,
            candidates,
            ..Prompt::default()
        })
    }

    /// Encodes all that training and evaluation ask of a sample: its candidates after `form`, for
    /// generation the first gold answer and also the question that the model is to answer itself,
    /// and the candidates in the form `calibration`, if they are to be calibrated.
    ///
    /// # Errors
    /// See [`PromptError`].
    pub fn prepare(
        &self,
        task: &dyn Task,
        sample: &Sample,
        form: Form<'_>,
        calibration: Option<Form<'_>>,
    ) -> Result<Prompt, PromptError> {
        let limit = self.limit(task)?;
        let question = match task.is_generation() {
            true => {
                let context = strip_blanks(&cloze(task, sample, form)?.context);
                Some(Question {
                    prompt: self.sequence(task, form, context, 0, limit)?,
                    answers: sample.answers.clone(),
                })
            }
            false => None,
        };
        Ok(Prompt {
            row: sample.row,
            correct: sample.correct.clone(),
            candidates: self.options(task, sample, form, limit)?,
            calibration: match calibration {
                Some(form) => self.options(task, sample, form, limit)?,
                None => vec![],
            },
            question,
        })
    }

    /// The ids of any text, as it is: the BOS and its tokens, nothing cut.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        Ok(self.bos_id.into_iter().chain(self.ids(text)?).collect())
    }

    /// The answer that a model wrote as these ids: special tokens left out, blanks and line breaks
    /// at the ends stripped.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn answer(&self, ids: &[u32]) -> Result<String, PromptError> {
        Ok(strip(&self.text(ids)?).to_owned())
    }

    /// What ids say, special tokens left out.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn text(&self, ids: &[u32]) -> Result<String, PromptError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|source| PromptError::Tokenizer { source })
    }

    /// The last token of a text: at the one of a line break a written answer ends.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn last_id(&self, text: &str) -> Result<Option<u32>, PromptError> {
        Ok(self.ids(text)?.last().copied())
    }

    /// How many ids a sequence may have.
    fn limit(&self, task: &dyn Task) -> Result<usize, PromptError> {
        let reserved = match task.is_generation() {
            true => self.max_new_tokens,
            false => 0,
        };
        self.max_length
            .checked_sub(reserved)
            .filter(|&limit| limit >= 2)
            .ok_or(PromptError::NoRoom {
                max_length: self.max_length,
                reserved,
            })
    }

    fn options(
        &self,
        task: &dyn Task,
        sample: &Sample,
        form: Form<'_>,
        limit: usize,
    ) -> Result<Vec<EncodedCandidate>, PromptError> {
        let (row, cloze) = (sample.row, cloze(task, sample, form)?);
        let context_len = self.ids(strip_blanks(&cloze.context))?.len();
        let encode = |(option, ending): (usize, &String)| {
            let text = format!("{}{ending}", cloze.context);
            let text = strip_blanks(&text);
            let option_len = self.ids(text)?.len().saturating_sub(context_len);
            if option_len == 0 {
                return Err(PromptError::EmptyOption {
                    task: task.name().to_owned(),
                    row,
                    option,
                    ending: ending.clone(),
                });
            }
            let sequence = self.sequence(task, form, text, option_len, limit)?;
            if option_len >= sequence.ids.len() {
                return Err(PromptError::OptionFillsSequence {
                    task: task.name().to_owned(),
                    row,
                    option,
                    option_len,
                    kept: sequence.ids.len(),
                    truncated: sequence.truncated,
                });
            }
            Ok(sequence)
        };
        cloze.endings.iter().enumerate().map(encode).collect()
    }

    /// Demonstrations, text and BOS as at most `limit` ids.
    fn sequence(
        &self,
        task: &dyn Task,
        form: Form<'_>,
        text: &str,
        option_len: usize,
        limit: usize,
    ) -> Result<EncodedCandidate, PromptError> {
        let whole = match form {
            // MeZO's code strips line breaks from the front of all forms but this one
            Form::Calibration => text.to_owned(),
            _ => {
                let shown = form.demonstrations().map_or("", |shown| shown.as_str());
                let whole = format!("{shown}{}{text}", task.separator());
                strip_blanks(strip_start(&whole)).to_owned()
            }
        };
        let encoded = self.ids(&whole)?;
        let room = limit - usize::from(self.bos_id.is_some());
        let truncated = encoded.len().saturating_sub(room);
        let kept = &encoded[truncated..];
        let text = guarded(|| self.tokenizer.decode(kept, false))?;
        Ok(EncodedCandidate {
            text,
            ids: self
                .bos_id
                .into_iter()
                .chain(kept.iter().copied())
                .collect(),
            option_len,
            truncated,
        })
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        let encoding = guarded(|| self.tokenizer.encode_fast(text, false))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// The texts of a sample in a form.
fn cloze<'s>(
    task: &dyn Task,
    sample: &'s Sample,
    form: Form<'_>,
) -> Result<&'s Cloze, PromptError> {
    if !form.is_calibration() {
        return Ok(&sample.cloze);
    }
    let calibration = sample.calibration.as_ref();
    calibration.ok_or_else(|| PromptError::NoCalibration {
        task: task.name().to_owned(),
    })
}

/// The parts of a tokenizer look each other's tokens up without asking whether they are there, so a file
/// whose parts do not fit together is a panic of the library on the first text that needs them.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, PromptError> {
    zograd_files::guarded(work)
        .unwrap_or_else(|panic| Err(panic.into()))
        .map_err(|source| PromptError::Tokenizer { source })
}
