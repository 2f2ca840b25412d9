//! Tokens of many sequences laid end to end, and who may attend to whom.

use std::ops::Range;

use crate::error::ModelError;

/// A run of consecutive packed tokens with causal attention among themselves that may also look
/// back at one earlier run.
///
/// A token of the segment sees all of `context` and the tokens of its own segment up to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// The packed tokens of the segment.
    pub tokens: Range<usize>,
    /// The packed tokens that all of them see besides; empty for a prefix or a lone sequence.
    pub context: Range<usize>,
}

impl Segment {
    /// The packed tokens that `token` of this segment sees, itself last: in the order of their positions, from 0.
    pub fn seen_by(&self, token: usize) -> impl Iterator<Item = usize> + use<> {
        self.context.clone().chain(self.tokens.start..token + 1)
    }
}

/// Segments that belong together: one prefix and the tails that branch from it. Contiguous in the
/// packed order, prefix first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRow {
    pub(crate) segments: Vec<Segment>,
}

impl PackedRow {
    /// The prefix, and then the tails that branch from it.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The packed tokens of the row.
    pub fn tokens(&self) -> Range<usize> {
        let start = self.segments.first().map_or(0, |first| first.tokens.start);
        let end = self.segments.last().map_or(0, |last| last.tokens.end);
        start..end
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens().len()
    }

    /// Whether plain causal attention describes the row.
    pub(crate) fn is_causal(&self) -> bool {
        self.segments.len() <= 1
    }
}

/// The tokens a forward pass runs, and how they are grouped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Token ids, all rows end to end.
    pub ids: Vec<u32>,
    /// Position of each token within its sequence, from 0.
    pub positions: Vec<u32>,
    pub rows: Vec<PackedRow>,
}

impl Packing {
    /// Whole sequences, one row each.
    pub fn whole(sequences: &[impl AsRef<[u32]>]) -> Self {
        let mut packing = Self::default();
        for ids in sequences {
            packing.push(ids.as_ref(), &[]);
        }
        packing
    }

    /// Appends a row: a prefix and the tails that branch from its end. Returns where the prefix
    /// and each tail start in the packed order.
    pub fn push(&mut self, prefix: &[u32], tails: &[&[u32]]) -> (usize, Vec<usize>) {
        let start = self.append(prefix, 0);
        let context = start..self.ids.len();
        let mut segments = vec![Segment {
            tokens: context.clone(),
            context: start..start,
        }];
        let mut starts = Vec::with_capacity(tails.len());
        for tail in tails {
            let start = self.append(tail, prefix.len());
            starts.push(start);
            if !tail.is_empty() {
                segments.push(Segment {
                    tokens: start..self.ids.len(),
                    context: context.clone(),
                });
            }
        }
        self.rows.push(PackedRow { segments });
        (start, starts)
    }

    /// Appends the rows of another packing.
    pub fn extend(&mut self, other: &Self) {
        let start = self.ids.len();
        let moved = |range: &Range<usize>| start + range.start..start + range.end;
        self.ids.extend_from_slice(&other.ids);
        self.positions.extend_from_slice(&other.positions);
        self.rows.extend(other.rows.iter().map(|row| {
            PackedRow {
                segments: row
                    .segments
                    .iter()
                    .map(|segment| Segment {
                        tokens: moved(&segment.tokens),
                        context: moved(&segment.context),
                    })
                    .collect(),
            }
        }));
    }

    fn append(&mut self, ids: &[u32], first_position: usize) -> usize {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.positions
            .extend((first_position..).take(ids.len()).map(|p| p as u32));
        start
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The segment of a packed token.
    pub fn segment_of(&self, token: usize) -> Option<&Segment> {
        let row = self.rows.partition_point(|row| row.tokens().end <= token);
        let segments = &self.rows.get(row)?.segments;
        segments.get(segments.partition_point(|segment| segment.tokens.end <= token))
    }

    /// Refuses what the tables of a model with so many ids and positions have no row for: an out-of-range lookup
    /// is undefined on a GPU and a panic on a CPU.
    pub fn check(&self, vocab_size: usize, positions: usize) -> Result<(), ModelError> {
        if self.ids.is_empty() {
            return Err(ModelError::NoTokens);
        }
        if let Some(empty) = self.rows.iter().position(|row| row.len() == 0) {
            return Err(ModelError::EmptySequence(empty));
        }
        check_ids(&self.ids, vocab_size)?;
        if let Some(position) = self.positions.iter().max()
            && *position as usize >= positions
        {
            return Err(ModelError::TooLong {
                length: *position as usize + 1,
                limit: positions,
            });
        }
        Ok(())
    }
}

pub(crate) fn check_ids(ids: &[u32], vocab_size: usize) -> Result<(), ModelError> {
    match ids.iter().find(|id| **id as usize >= vocab_size) {
        Some(&id) => Err(ModelError::IdOutOfRange { id, vocab_size }),
        None => Ok(()),
    }
}
