//! From chats to token ids: the text that a template makes, and which of its tokens are the assistant's.

use super::pieces::{Tokens, located};
use super::{EncodedCandidate, PromptError};
use std::ops::Range;
use tokenizers::Tokenizer;
use zograd_chat::{Chat, ChatTemplate};

/// How a model has chats.
#[derive(Clone, Debug)]
pub(super) struct ChatFormat {
    pub template: ChatTemplate,
    /// The special token behind an answer.
    pub turn_end: Option<u32>,
}

impl ChatFormat {
    pub fn new(template: ChatTemplate, tokenizer: &Tokenizer) -> Result<Self, PromptError> {
        let added = tokenizer.get_added_tokens_decoder();
        let after = template.turn_end().unwrap_or_default();
        let after = Tokens::of(&after, usize::MAX, tokenizer)?.last;
        let turn_end = after.into_iter().find(|id| added.contains_key(id));
        Ok(Self { template, turn_end })
    }

    /// The text of a question, with what begins the answer.
    pub fn render(&self, chat: &Chat, row: usize) -> Result<String, PromptError> {
        let text = self.template.render(chat, true);
        text.map_err(|source| PromptError::Chat { row, source })
    }

    /// A chat up to the end of its last answer, at most `limit` ids of it, with gaps between the assistant's turns; and
    /// how many of these count nowhere.
    pub fn answered(
        &self,
        chat: &Chat,
        row: usize,
        limit: usize,
        tokenizer: &Tokenizer,
    ) -> Result<(EncodedCandidate, usize), PromptError> {
        let rendered = self.template.assistant(chat);
        let rendered = rendered.map_err(|source| PromptError::Chat { row, source })?;
        let (ids, places): (Vec<u32>, Vec<Range<usize>>) =
            located(&rendered.text, tokenizer)?.into_iter().unzip();
        let spans = rendered.spans.iter();
        let spoken: Vec<Range<usize>> = spans.filter_map(|span| tokens(span, &places)).collect();
        let candidate = option(ids, &spoken, limit);
        let candidate = candidate.ok_or(PromptError::NothingSpoken { row })?;
        Ok((candidate, rendered.left_out))
    }
}

/// The tokens from the first to the last that have a byte of the span; none if no token has.
fn tokens(span: &Range<usize>, places: &[Range<usize>]) -> Option<Range<usize>> {
    let has = |place: &Range<usize>| place.start < span.end && span.start < place.end;
    let first = places.iter().position(has)?;
    let last = places.iter().rposition(has)?;
    Some(first..last + 1)
}

/// The last `limit` ids up to the end of what is spoken, which is asked for but for an id that stands first: nothing is
/// before it. None if nothing is left to ask for.
fn option(mut ids: Vec<u32>, spoken: &[Range<usize>], limit: usize) -> Option<EncodedCandidate> {
    let end = spoken.last()?.end;
    ids.truncate(end);
    let truncated = end.saturating_sub(limit);
    ids.drain(..truncated);
    ids.shrink_to_fit();
    // in what is left
    let clipped = spoken.iter().map(|span| {
        let start = span.start.saturating_sub(truncated).max(1);
        start..span.end.saturating_sub(truncated)
    });
    let spoken: Vec<Range<usize>> = clipped.filter(|span| !span.is_empty()).collect();
    let begin = spoken.first()?.start;
    let pairs = spoken.iter().zip(spoken.iter().skip(1));
    let gaps = pairs.map(|(a, b)| a.end - begin..b.start - begin);
    Some(EncodedCandidate {
        option_len: ids.len() - begin,
        // turns may touch, or share a token
        gaps: gaps.filter(|gap| gap.start < gap.end).collect(),
        ids,
        truncated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_span_are_those_with_a_byte_of_it() {
        // a token without bytes in the middle
        let places = [0..2, 2..5, 5..5, 5..8];
        assert_eq!(tokens(&(3..6), &places), Some(1..4));
        assert_eq!(tokens(&(2..5), &places), Some(1..2));
        assert_eq!(tokens(&(5..5), &places), None);
    }

    #[test]
    fn what_is_asked_for_is_what_is_spoken() {
        let ids = || (0..10).collect::<Vec<u32>>();
        let one = |range: Range<usize>| vec![range];
        let found = |spoken: &[Range<usize>], limit| {
            let c = option(ids(), spoken, limit).expect("something");
            let begin = c.ids.len() - c.option_len;
            let asked = (0..c.option_len).filter(|k| !c.is_gap(*k));
            let asked: Vec<u32> = asked.map(|k| c.ids[begin + k]).collect();
            assert_eq!(asked.len(), c.scored());
            (asked, c.ids.len(), c.truncated)
        };
        assert_eq!(found(&[2..4, 6..9], 20), (vec![2, 3, 6, 7, 8], 9, 0));
        assert_eq!(found(&[2..4, 4..9], 20), (vec![2, 3, 4, 5, 6, 7, 8], 9, 0));
        // turns that share a token
        assert_eq!(found(&[2..4, 3..5], 20), (vec![2, 3, 4], 5, 0));
        // cut from the left, within a turn: nothing stands before id 3
        assert_eq!(found(&[2..5, 7..9], 6), (vec![4, 7, 8], 6, 3));
        assert_eq!(found(&[2..4, 6..9], 4), (vec![6, 7, 8], 4, 5));
        // nothing stands before the first of all
        assert_eq!(found(&one(0..3), 20), (vec![1, 2], 3, 0));
        assert_eq!(option(ids(), &one(0..1), 20), None);
        assert_eq!(option(ids(), &[], 20), None);
    }
}
