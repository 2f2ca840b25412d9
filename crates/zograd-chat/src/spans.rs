//! Where in the text of a chat the assistant speaks.

use crate::chat::Role;
use crate::{Chat, ChatError, ChatTemplate, generation};
use std::ops::Range;

/// The text of a chat with its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The bytes of it that are the assistant's, ascending; the token that ends a turn belongs to it. At least one range.
    pub spans: Vec<Range<usize>>,
    /// Turns of the assistant that count nowhere: the template writes them, or what stands before them, otherwise once the
    /// chat has gone on, as those do that leave old thoughts out.
    pub left_out: usize,
}

impl ChatTemplate {
    /// The text of a chat that ends with an answer, and which of it is the assistant's: what stands in the template's
    /// `{% generation %}` marks, or without these, for each turn of the assistant, what it adds to the text of the turns
    /// before it with the generation prompt.
    ///
    /// # Errors
    /// As [`render`](Self::render); [`ChatError::NotFound`] and [`ChatError::NothingMarked`].
    pub fn assistant(&self, chat: &Chat) -> Result<Rendered, ChatError> {
        if self.has_marks() {
            let marked = self.render_marked(chat, false)?;
            let (text, spans) = generation::unmarked(&marked);
            if spans.is_empty() {
                return Err(ChatError::NothingMarked);
            }
            return Ok(Rendered {
                left_out: chat.answers().saturating_sub(spans.len()),
                text,
                spans,
            });
        }
        let text = self.render(chat, false)?;
        let mut spans = Vec::new();
        let mut left_out = 0;
        let last = chat.turns() - 1;
        for (turn, message) in chat.messages.iter().enumerate() {
            if message.role != Role::Assistant {
                continue;
            }
            match self.added(chat, turn, &text)? {
                Some(span) => spans.push(span),
                None if turn == last => return Err(ChatError::NotFound),
                None => left_out += 1,
            }
        }
        match spans.is_empty() {
            true => Err(ChatError::NotFound),
            false => Ok(Rendered {
                text,
                spans,
                left_out,
            }),
        }
    }

    /// What a turn adds to the turns before it, if the text of the whole chat has both as they are alone.
    fn added(
        &self,
        chat: &Chat,
        turn: usize,
        whole: &str,
    ) -> Result<Option<Range<usize>>, ChatError> {
        let before = match turn {
            // nothing to render
            0 => String::new(),
            _ => self.render(&chat.first(turn), true)?,
        };
        let end = match turn + 1 == chat.turns() {
            true => whole.len(),
            false => {
                let with = self.render(&chat.first(turn + 1), false)?;
                if !whole.starts_with(&with) {
                    return Ok(None);
                }
                with.len()
            }
        };
        let is_there = whole.starts_with(&before) && before.len() < end;
        Ok(is_there.then_some(before.len()..end))
    }

    /// What the template puts behind an answer, where that can be told: the token that ends a turn is in it.
    pub fn turn_end(&self) -> Option<String> {
        const ANSWER: &str = "zograd";
        let chat = Chat::asked(None, "a").answered(ANSWER);
        let text = self.render(&chat, false).ok()?;
        let (_, after) = text.rsplit_once(ANSWER)?;
        Some(after.to_owned())
    }
}
