use super::chat::ChatFormat;
use super::pieces::{Tokens, guarded};
use super::{EncodedCandidate, Form, Prompt, PromptError, Question};
use crate::whitespace::{strip, strip_blanks, strip_start};
use crate::{AnswerEnd, Cloze, Sample, Task};
use std::sync::Arc;
use tokenizers::Tokenizer;
use zograd_chat::{Chat, ChatTemplate};

/// Turns samples into token ids, as MeZO's `encode_prompt` does.
///
/// Text is tokenised without the tokenizer's own special tokens, and one BOS id is put in front.
/// Clones share the tokenizer.
#[derive(Clone, Debug)]
pub struct PromptEncoder {
    tokenizer: Arc<Tokenizer>,
    bos_id: Option<u32>,
    end_ids: Vec<u32>,
    max_length: usize,
    max_new_tokens: usize,
    chat: Option<ChatFormat>,
}

/// What is wanted of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The whole with its answers.
    Answered,
    /// What stands before the last answer.
    Asked,
    Both,
}

/// A text and its tokens.
struct Tokenised<'t> {
    text: &'t str,
    tokens: Tokens,
}

/// What the sequences of a sample have in common.
struct Layout<'a> {
    task: &'a dyn Task,
    form: Form<'a>,
    /// How many ids a sequence may have.
    limit: usize,
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
            end_ids: Vec::new(),
            max_length: Self::DEFAULT_MAX_LENGTH,
            max_new_tokens: Self::DEFAULT_MAX_NEW_TOKENS,
            chat: None,
        })
    }

    /// Sets the first id of every sequence, or that there is none. OPT was trained with 2, which is
    /// what its tokenizer gives; the public MeZO code uses 0.
    #[must_use]
    pub fn with_bos(mut self, bos_id: Option<u32>) -> Self {
        self.bos_id = bos_id;
        self
    }

    /// Sets the ids with which the model ends a text; none without it. The first ends the answers of tasks whose answers
    /// end so ([`AnswerEnd::Eos`]).
    #[must_use]
    pub fn with_end_ids(mut self, end_ids: &[u32]) -> Self {
        self.end_ids = end_ids.to_vec();
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

    /// Sets what makes texts of chats. The template says what begins a text, so the BOS id counts for other texts alone.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn with_chat_template(mut self, template: ChatTemplate) -> Result<Self, PromptError> {
        self.chat = Some(ChatFormat::new(template, &self.tokenizer)?);
        Ok(self)
    }

    /// What makes texts of chats.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat.as_ref().map(|chat| &chat.template)
    }

    /// The token that ends the assistant's turn, if it is a special one.
    pub fn turn_end(&self) -> Option<u32> {
        self.chat.as_ref().and_then(|chat| chat.turn_end)
    }

    /// The tokenizer, without truncation and padding.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The first id of every sequence.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The ids with which the model ends a text.
    pub fn end_ids(&self) -> &[u32] {
        &self.end_ids
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
        let layout = self.layout(task, form)?;
        if let Some(chat) = &sample.chat {
            let only = match form {
                Form::Train => Part::Answered,
                _ => Part::Asked,
            };
            let prompt = self.chat(&layout, sample, chat, only)?;
            let asked = prompt.question.map(|question| question.prompt);
            return Ok(Prompt {
                candidates: prompt.candidates.into_iter().chain(asked).collect(),
                question: None,
                ..prompt
            });
        }
        let cloze = cloze(task, sample, form)?;
        let context = self.tokenised(strip_blanks(&cloze.context))?;
        let writes_answer = task.is_generation() && !matches!(form, Form::Train);
        let (correct, candidates) = if writes_answer {
            (vec![], vec![self.sequence(&layout, context, None, 0)?])
        } else {
            let candidates = self.options(&layout, sample, cloze, context.tokens.count)?;
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
        let layout = self.layout(task, form)?;
        if let Some(chat) = &sample.chat {
            if calibration.is_some() {
                cloze(task, sample, Form::Calibration)?;
            }
            return self.chat(&layout, sample, chat, Part::Both);
        }
        let asked = cloze(task, sample, form)?;
        let context = self.tokenised(strip_blanks(&asked.context))?;
        let candidates = self.options(&layout, sample, asked, context.tokens.count)?;
        let question = match task.is_generation() {
            true => Some(Question {
                prompt: self.sequence(&layout, context, None, 0)?,
                answers: sample.answers.clone(),
                fields: None,
            }),
            false => None,
        };
        let calibration = match calibration {
            Some(form) => {
                let layout = Layout { form, ..layout };
                let cloze = cloze(task, sample, form)?;
                let context_len = self.tokens(strip_blanks(&cloze.context))?.count;
                self.options(&layout, sample, cloze, context_len)?
            }
            None => vec![],
        };
        Ok(Prompt {
            row: sample.row,
            correct: sample.correct.clone(),
            candidates,
            calibration,
            question,
            left_out: 0,
        })
    }

    /// The question of a chat without an answer, as a model reads it: with what begins the assistant's turn, nothing cut.
    ///
    /// # Errors
    /// No template, or one that makes no text of the chat; [`PromptError::Tokenizer`].
    pub fn encode_chat(&self, chat: &Chat) -> Result<Vec<u32>, PromptError> {
        let format = self.chat_format()?;
        let text = format.render(chat, 0)?;
        Ok(Tokens::of(&text, usize::MAX, &self.tokenizer)?.last)
    }

    /// What a chat gives to learn and to answer.
    fn chat(
        &self,
        layout: &Layout<'_>,
        sample: &Sample,
        chat: &Chat,
        part: Part,
    ) -> Result<Prompt, PromptError> {
        if layout.form.is_calibration() {
            cloze(layout.task, sample, layout.form)?;
        }
        if layout.form.demonstrations().is_some() {
            return Err(PromptError::NoDemonstrations {
                task: layout.task.name().to_owned(),
            });
        }
        let format = self.chat_format()?;
        let mut prompt = Prompt {
            row: sample.row,
            ..Prompt::default()
        };
        if part != Part::Asked && chat.answer().is_some() {
            let (answered, left_out) =
                format.answered(chat, sample.row, self.max_length, &self.tokenizer)?;
            prompt.correct.clone_from(&sample.correct);
            prompt.candidates.push(answered);
            prompt.left_out = left_out;
        }
        if part != Part::Answered {
            let text = format.render(&chat.question(), sample.row)?;
            let tokens = Tokens::of(&text, layout.limit, &self.tokenizer)?;
            prompt.question = Some(Question {
                prompt: EncodedCandidate {
                    truncated: tokens.count - tokens.last.len(),
                    ids: tokens.last,
                    option_len: 0,
                    gaps: vec![],
                },
                answers: sample.answers.clone(),
                fields: None,
            });
        }
        Ok(prompt)
    }

    fn chat_format(&self) -> Result<&ChatFormat, PromptError> {
        self.chat.as_ref().ok_or(PromptError::NoChatTemplate)
    }

    /// What the ids of a candidate say, the first token of every sequence (BOS) left out.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn shown(&self, candidate: &EncodedCandidate) -> Result<String, PromptError> {
        // chats begin as their template says
        let bos = usize::from(self.bos_id.is_some() && self.chat.is_none());
        let ids = candidate.ids.get(bos..).unwrap_or_default();
        guarded(|| self.tokenizer.decode(ids, false))
    }

    /// The ids of any text, as it is: the BOS and its tokens, nothing cut.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        let all = Tokens::of(text, usize::MAX, &self.tokenizer)?;
        Ok(self.bos_id.into_iter().chain(all.last).collect())
    }

    /// The answer that a model wrote as these ids: special tokens and the one that ends a text left out, blanks and
    /// line breaks at the ends stripped.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`].
    pub fn answer(&self, ids: &[u32]) -> Result<String, PromptError> {
        // a tokenizer need not know that the token is special
        let ends = |id: &u32| self.end_ids.contains(id) || self.turn_end() == Some(*id);
        let ids = match ids.split_last() {
            Some((last, before)) if ends(last) => before,
            _ => ids,
        };
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
        Ok(self.tokens(text)?.last.last().copied())
    }

    /// How the sequences of a task are laid out in this form.
    fn layout<'a>(&self, task: &'a dyn Task, form: Form<'a>) -> Result<Layout<'a>, PromptError> {
        let reserved = match task.is_generation() {
            true => self.max_new_tokens,
            false => 0,
        };
        let limit = self.max_length.checked_sub(reserved);
        match limit.filter(|&limit| limit >= 2) {
            Some(limit) => Ok(Layout { task, form, limit }),
            None => Err(PromptError::NoRoom {
                max_length: self.max_length,
                reserved,
            }),
        }
    }

    /// The id that ends an answer behind its text.
    fn answer_end(&self, task: &dyn Task) -> Result<Option<u32>, PromptError> {
        if !task.is_generation() || task.answer_end() == AnswerEnd::Line {
            return Ok(None);
        }
        let end = self.end_ids.first().copied();
        end.map(Some).ok_or_else(|| PromptError::NoEndOfText {
            task: task.name().to_owned(),
        })
    }

    /// The options of a sample; `context_len` is the number of tokens of its context alone.
    fn options(
        &self,
        layout: &Layout<'_>,
        sample: &Sample,
        cloze: &Cloze,
        context_len: usize,
    ) -> Result<Vec<EncodedCandidate>, PromptError> {
        let (row, task) = (sample.row, layout.task);
        let end = self.answer_end(task)?;
        let encode = |(option, ending): (usize, &String)| {
            let text = format!("{}{ending}", cloze.context);
            let text = self.tokenised(strip_blanks(&text))?;
            let added = text.tokens.count.saturating_sub(context_len);
            let option_len = added + usize::from(end.is_some());
            if option_len == 0 {
                return Err(PromptError::EmptyOption {
                    task: task.name().to_owned(),
                    row,
                    option,
                    ending: ending.clone(),
                });
            }
            let sequence = self.sequence(layout, text, end, option_len)?;
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

    /// BOS, demonstrations, text and what ends it, as many ids as the layout has room for.
    fn sequence(
        &self,
        layout: &Layout<'_>,
        text: Tokenised<'_>,
        end: Option<u32>,
        option_len: usize,
    ) -> Result<EncodedCandidate, PromptError> {
        let whole = layout.whole(text.text);
        let tokens = match whole == text.text {
            true => text.tokens,
            false => self.tokens(&whole)?,
        };
        let room = layout.limit - usize::from(self.bos_id.is_some());
        let truncated = (tokens.count + usize::from(end.is_some())).saturating_sub(room);
        let forgotten = tokens.count - tokens.last.len();
        let kept = tokens
            .last
            .into_iter()
            .skip(truncated.saturating_sub(forgotten))
            .chain(end);
        Ok(EncodedCandidate {
            // as large as it is: there may be tens of thousands
            ids: self.bos_id.into_iter().chain(kept).collect(),
            option_len,
            truncated,
            gaps: vec![],
        })
    }

    fn tokenised<'t>(&self, text: &'t str) -> Result<Tokenised<'t>, PromptError> {
        let tokens = self.tokens(text)?;
        Ok(Tokenised { text, tokens })
    }

    /// Those of a text, of which no more than a sequence has are kept.
    fn tokens(&self, text: &str) -> Result<Tokens, PromptError> {
        Tokens::of(text, self.max_length, &self.tokenizer)
    }
}

impl Layout<'_> {
    /// A text with all that stands before it.
    fn whole(&self, text: &str) -> String {
        // MeZO's code strips line breaks from the front of all forms but this one
        if let Form::Calibration = self.form {
            return text.to_owned();
        }
        let shown = self
            .form
            .demonstrations()
            .map_or("", |shown| shown.as_str());
        let whole = format!("{shown}{}{text}", self.task.separator());
        strip_blanks(strip_start(&whole)).to_owned()
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
