//! Which tokens have to be run to score which tokens: decided on the host, before any tensor.

use std::ops::Range;

use crate::error::ModelError;
use crate::packing::{PackedRow, Packing, Segment, check_ids};

/// A token sequence whose last tokens are to be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// Token ids, without padding.
    pub ids: &'a [u32],
    /// How many of the last ids are scored, each given everything before it. At least 1, and
    /// less than `ids.len()`: nothing stands before the first token.
    pub scored: usize,
}

/// What the sequences of one group may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sharing {
    /// Every sequence is run on its own.
    None,
    /// The longest token prefix that all sequences of a group share is run once, and their tails
    /// branch from it. The same scores up to rounding, with fewer tokens.
    #[default]
    Prefix,
}

/// Why sequences cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is no sequence at all.
    #[error("there are no sequences to score")]
    Empty,
    /// A sequence without scored tokens.
    #[error("sequence {sequence} of group {group} has no scored token; a score needs at least 1")]
    NothingScored {
        /// Index of the group.
        group: usize,
        /// Index of the sequence in its group.
        sequence: usize,
    },
    /// More scored tokens than there are tokens with something before them.
    #[error(
        "sequence {sequence} of group {group} scores {scored} of {length} tokens; the first token \
         cannot be scored, so at most {} can", length.saturating_sub(1)
    )]
    NoContext {
        /// Index of the group.
        group: usize,
        /// Index of the sequence in its group.
        sequence: usize,
        /// `Sequence::scored`.
        scored: usize,
        /// Length of the sequence.
        length: usize,
    },
}

/// A scored token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Index into [`Plan::logit_tokens`].
    pub logit: usize,
    pub id: u32,
}

/// How much work a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PlanStats {
    /// Sequences scored.
    pub sequences: usize,
    /// Tokens scored.
    pub targets: usize,
    /// Tokens that go through the layers.
    pub tokens: usize,
    /// Positions at which vocabulary logits are computed.
    pub logit_positions: usize,
    /// Tokens a batch padded to its longest sequence would have run.
    pub padded_tokens: usize,
}

/// The tokens to run and the positions to read, for a batch of sequences.
///
/// Three savings, none of which changes a score beyond rounding: the last token of a sequence is
/// only ever predicted and never run; a prefix that the sequences of a group share is run once
/// ([`Sharing::Prefix`]); and vocabulary logits are computed only where a scored token is
/// predicted, once per position however many candidates are read there.
///
/// What a model has to do with it, in order: run the tokens [`Plan::ids`] at [`Plan::positions`], each seeing
/// [`Plan::seen_by`]; compute logits at [`Plan::logit_tokens`]; and return one log-probability for each pair of
/// [`Plan::scored`]. `examples/own_model.rs` is such a model.
///
/// ```
/// use zograd_models::{Plan, Sequence, Sharing};
///
/// // two single-token options after one prompt of three tokens
/// let (great, terrible) = ([2, 10, 11, 7], [2, 10, 11, 8]);
/// let option = |ids| Sequence { ids, scored: 1 };
/// let plan = Plan::new(&[vec![option(&great), option(&terrible)]], Sharing::Prefix)?;
/// // the prompt is run once, and both options are read at its last position
/// assert_eq!(plan.stats().tokens, 3);
/// assert_eq!(plan.stats().logit_positions, 1);
/// assert_eq!(plan.spans(), [0..1, 1..2]);
///
/// assert_eq!(plan.ids(), [2, 10, 11]);
/// assert_eq!(plan.logit_tokens(), [2]);
/// assert_eq!(plan.scored().collect::<Vec<_>>(), [(0, 7), (0, 8)]);
/// assert_eq!(plan.seen_by(2).collect::<Vec<_>>(), [0, 1, 2]);
/// # Ok::<(), zograd_models::PlanError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) packing: Packing,
    /// Packed tokens at which logits are computed, ascending, each once.
    pub(crate) logit_tokens: Vec<usize>,
    pub(crate) targets: Vec<Target>,
    spans: Vec<Range<usize>>,
    padded_tokens: usize,
    normalised: bool,
}

impl Plan {
    /// Plans the scoring of `groups`; a group holds sequences that probably begin alike, such as
    /// the options of one example.
    ///
    /// # Errors
    /// No sequences, or a sequence whose `scored` is 0 or leaves no token before the first scored
    /// one.
    pub fn new(groups: &[Vec<Sequence<'_>>], sharing: Sharing) -> Result<Self, PlanError> {
        check(groups)?;
        let mut packing = Packing::default();
        let mut targets = Vec::new();
        let mut spans = Vec::new();
        for group in packing_order(groups, sharing) {
            let prefix = group.prefix;
            let tails: Vec<&[u32]> = group.inputs.iter().map(|ids| &ids[prefix..]).collect();
            let shared = group.inputs.first().map_or(&[][..], |ids| &ids[..prefix]);
            let (start, tail_starts) = packing.push(shared, &tails);
            for (sequence, tail_start) in group.sequences.iter().zip(tail_starts) {
                let scored = (sequence.input.ids.len() - sequence.input.scored)..;
                let ids = &sequence.input.ids[scored.clone()];
                let predictions = scored.map(|index| {
                    let input = index - 1;
                    if input < prefix {
                        start + input
                    } else {
                        tail_start + input - prefix
                    }
                });
                targets.push((
                    sequence.order,
                    predictions.zip(ids.iter().copied()).collect::<Vec<_>>(),
                ));
            }
        }
        // packing order is by length; scores come back in the caller's order
        targets.sort_unstable_by_key(|(order, _)| *order);
        let mut logit_tokens: Vec<usize> = targets
            .iter()
            .flat_map(|(_, targets)| targets.iter().map(|(token, _)| *token))
            .collect();
        logit_tokens.sort_unstable();
        logit_tokens.dedup();
        let mut flat = Vec::new();
        for (_, sequence) in targets {
            let start = flat.len();
            for (token, id) in sequence {
                // every token was put into the list above
                let logit = logit_tokens.partition_point(|other| *other < token);
                flat.push(Target { logit, id });
            }
            spans.push(start..flat.len());
        }
        let longest = sequences(groups).map(|s| s.ids.len()).max().unwrap_or(0);
        Ok(Self {
            padded_tokens: longest * spans.len(),
            packing,
            logit_tokens,
            targets: flat,
            spans,
            normalised: true,
        })
    }

    /// The same plan where scores are wanted only up to a number that all scores read at one position have in common:
    /// enough to compare what may follow. A model may then leave the normaliser of its softmax away, and with it the
    /// logits of all tokens that are not scored.
    pub fn unnormalised(self) -> Self {
        Self {
            normalised: false,
            ..self
        }
    }

    /// The same plan without some of the scores: those of which `is_out` says so, told the sequence, in the order of
    /// [`Plan::spans`], and the place among its scored tokens, from 0. The tokens are run as before; no logits are computed
    /// where nothing is scored any more.
    pub fn without(self, is_out: impl Fn(usize, usize) -> bool) -> Self {
        let mut kept = Vec::new();
        let mut spans = Vec::with_capacity(self.spans.len());
        for (sequence, span) in self.spans.iter().enumerate() {
            let start = kept.len();
            let scored = self.targets[span.clone()].iter().enumerate();
            let scored = scored.filter(|(place, _)| !is_out(sequence, *place));
            kept.extend(scored.map(|(_, target)| *target));
            spans.push(start..kept.len());
        }
        let mut read: Vec<usize> = kept.iter().map(|target| target.logit).collect();
        read.sort_unstable();
        read.dedup();
        for target in &mut kept {
            // every one was put into the list above
            target.logit = read.partition_point(|other| *other < target.logit);
        }
        Self {
            logit_tokens: read.iter().map(|logit| self.logit_tokens[*logit]).collect(),
            targets: kept,
            spans,
            ..self
        }
    }

    /// Whether scores are log-probabilities, and not such up to a number ([`Plan::unnormalised`]).
    pub fn is_normalised(&self) -> bool {
        self.normalised
    }

    /// Where the scores of each sequence stand in the result of `Model::log_probs`: one range per
    /// sequence, in the order of the groups and their sequences.
    pub fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    /// The ids of the tokens that are run: all rows end to end, longest row first. Packed tokens are numbered by
    /// their place here.
    pub fn ids(&self) -> &[u32] {
        &self.packing.ids
    }

    /// The position of each packed token in its sequence, from 0. Tokens of different rows, or of tails that branch
    /// from one prefix, have equal positions.
    pub fn positions(&self) -> &[u32] {
        &self.packing.positions
    }

    /// Which packed tokens belong together, and who sees whom: rows in packed order, which do not see one another.
    pub fn rows(&self) -> &[PackedRow] {
        &self.packing.rows
    }

    /// The packed tokens that a packed token sees, itself last: the sequence up to it, in the order of positions
    /// from 0.
    ///
    /// # Panics
    /// There is no such token.
    pub fn seen_by(&self, token: usize) -> impl Iterator<Item = usize> + use<> {
        self.segment_of(token).seen_by(token)
    }

    fn segment_of(&self, token: usize) -> &Segment {
        let segment = self.packing.segment_of(token);
        segment.expect("a packed token belongs to a segment")
    }

    /// The packed tokens after which logits are computed, ascending, each once.
    pub fn logit_tokens(&self) -> &[usize] {
        &self.logit_tokens
    }

    /// What is scored, in the order of the scores ([`Plan::spans`] says whose they are): an index into
    /// [`Plan::logit_tokens`], and the id whose log-probability is asked for there. As
    /// [`ModelBackend::log_probs_at`](crate::ModelBackend::log_probs_at) takes them.
    pub fn scored(&self) -> impl ExactSizeIterator<Item = (usize, u32)> {
        let targets = self.targets.iter();
        targets.map(|target| (target.logit, target.id))
    }

    /// Refuses what a model of `vocab_size` ids and `positions` positions cannot run or score.
    ///
    /// # Errors
    /// A token id outside the vocabulary, or a sequence longer than the positions.
    pub fn check(&self, vocab_size: usize, positions: usize) -> Result<(), ModelError> {
        self.packing.check(vocab_size, positions)?;
        self.targets()
            .try_for_each(|id| check_ids(&[id], vocab_size))
    }

    /// The ids of the scored tokens, in the order of their scores.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = u32> {
        self.targets.iter().map(|target| target.id)
    }

    /// The plan `count` times over, as blocks one after the other that do not see each other.
    pub(crate) fn repeated(&self, count: usize) -> Self {
        let mut all = self.clone();
        for _ in 1..count {
            all.append(self);
        }
        all
    }

    /// Appends another plan, as blocks that do not see those before.
    pub(crate) fn append(&mut self, other: &Self) {
        let (tokens, logits) = (self.packing.len(), self.logit_tokens.len());
        let scores = self.targets.len();
        self.packing.extend(&other.packing);
        self.logit_tokens
            .extend(other.logit_tokens.iter().map(|token| tokens + token));
        self.targets
            .extend(other.targets.iter().map(|target| Target {
                logit: logits + target.logit,
                id: target.id,
            }));
        let moved = |span: &Range<usize>| scores + span.start..scores + span.end;
        self.spans.extend(other.spans.iter().map(moved));
        self.padded_tokens += other.padded_tokens;
    }

    /// Counts, for metrics.
    pub fn stats(&self) -> PlanStats {
        PlanStats {
            sequences: self.spans.len(),
            targets: self.targets.len(),
            tokens: self.packing.len(),
            logit_positions: self.logit_tokens.len(),
            padded_tokens: self.padded_tokens,
        }
    }
}

fn sequences<'g>(groups: &'g [Vec<Sequence<'g>>]) -> impl Iterator<Item = &'g Sequence<'g>> {
    groups.iter().flatten()
}

fn check(groups: &[Vec<Sequence<'_>>]) -> Result<(), PlanError> {
    if sequences(groups).next().is_none() {
        return Err(PlanError::Empty);
    }
    for (group, members) in groups.iter().enumerate() {
        for (sequence, Sequence { ids, scored }) in members.iter().enumerate() {
            if *scored == 0 {
                return Err(PlanError::NothingScored { group, sequence });
            }
            if *scored >= ids.len() {
                return Err(PlanError::NoContext {
                    group,
                    sequence,
                    scored: *scored,
                    length: ids.len(),
                });
            }
        }
    }
    Ok(())
}

/// A sequence and its place in the caller's order.
struct Ordered<'a> {
    order: usize,
    input: Sequence<'a>,
}

/// Sequences that become one packed row.
struct PackedGroup<'a> {
    sequences: Vec<Ordered<'a>>,
    /// Their ids without the last one, which is only predicted.
    inputs: Vec<&'a [u32]>,
    /// Tokens that all inputs begin with.
    prefix: usize,
}

impl<'a> PackedGroup<'a> {
    fn new(sequences: Vec<Ordered<'a>>) -> Self {
        let inputs: Vec<&[u32]> = sequences
            .iter()
            .map(|sequence| &sequence.input.ids[..sequence.input.ids.len() - 1])
            .collect();
        let prefix = common_prefix(&inputs);
        Self {
            sequences,
            inputs,
            prefix,
        }
    }

    fn tokens(&self) -> usize {
        self.prefix
            + self
                .inputs
                .iter()
                .map(|ids| ids.len() - self.prefix)
                .sum::<usize>()
    }
}

/// Rows sorted by length, longest first, so that rectangles of similar rows are contiguous in the
/// packed order.
fn packing_order<'a>(groups: &[Vec<Sequence<'a>>], sharing: Sharing) -> Vec<PackedGroup<'a>> {
    let mut packed = Vec::new();
    let mut order = 0..;
    for group in groups.iter().filter(|group| !group.is_empty()) {
        let ordered = group.iter().zip(&mut order).map(|(input, order)| Ordered {
            order,
            input: *input,
        });
        let shared = PackedGroup::new(ordered.collect());
        if sharing == Sharing::Prefix && shared.prefix > 0 {
            packed.push(shared);
        } else {
            let alone = shared.sequences.into_iter();
            packed.extend(alone.map(|sequence| PackedGroup::new(vec![sequence])));
        }
    }
    packed.sort_by_key(|group| std::cmp::Reverse(group.tokens()));
    packed
}

fn common_prefix(sequences: &[&[u32]]) -> usize {
    let Some((first, others)) = sequences.split_first() else {
        return 0;
    };
    others.iter().fold(first.len(), |prefix, other| {
        first[..prefix]
            .iter()
            .zip(*other)
            .take_while(|(a, b)| a == b)
            .count()
    })
}
