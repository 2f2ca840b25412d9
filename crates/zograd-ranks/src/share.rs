use std::ops::Range;

/// What one rank looks at when the losses at some candidates are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its candidates.
    pub candidates: Range<usize>,
    /// The examples of the batch at which it looks with each.
    pub examples: Range<usize>,
}

impl Share {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty() || self.examples.is_empty()
    }
}

/// The `index`-th of `of` blocks of so many items, which follow one another and differ by one item at most.
///
/// ```
/// let blocks: Vec<_> = (0..3).map(|index| zograd_ranks::block(index, 3, 7)).collect();
/// assert_eq!(blocks, [0..2, 2..4, 4..7]);
/// ```
pub fn block(index: usize, of: usize, items: usize) -> Range<usize> {
    // no product of real numbers of ranks and items reaches the end of a u128
    let bound = |index: usize| (index as u128 * items as u128 / of.max(1) as u128) as usize;
    bound(index)..bound(index + 1)
}

/// What rank `rank` of `size` looks at: some of the candidates with all examples; where there are fewer candidates than
/// ranks, one candidate with some of the examples, which it shares with the ranks beside it.
///
/// Parts follow one another in the order of the ranks: candidate by candidate, and of each candidate example by example.
///
/// ```
/// use zograd_ranks::share;
///
/// // MeZO has two candidates: of three ranks two have one of them together
/// let shares = [0, 1, 2].map(|rank| share(rank, 3, 2, 16));
/// assert_eq!(shares.each_ref().map(|share| share.candidates.clone()), [0..1, 1..2, 1..2]);
/// assert_eq!(shares.map(|share| share.examples), [0..16, 0..8, 8..16]);
/// ```
pub fn share(rank: usize, size: usize, candidates: usize, examples: usize) -> Share {
    let whole = 0..examples;
    if candidates == 0 || size <= candidates {
        return Share {
            candidates: block(rank, size, candidates),
            examples: whole,
        };
    }
    // the ranks of a candidate are a block; the candidate of a rank is the one whose block it is in
    let all = 0..candidates;
    let mut blocks = all.map(|candidate| (candidate, block(candidate, candidates, size)));
    match blocks.find(|(_, ranks)| ranks.contains(&rank)) {
        Some((candidate, ranks)) => Share {
            candidates: candidate..candidate + 1,
            examples: block(rank - ranks.start, ranks.len(), examples),
        },
        None => Share {
            candidates: 0..0,
            examples: whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every example of every candidate is looked at once, in the order of the ranks, and nobody has much more to do
        /// than another.
        #[test]
        fn shares_are_everything_once(size in 1usize..70, candidates in 1usize..12, examples in 1usize..20) {
            let shares: Vec<Share> = (0..size).map(|r| share(r, size, candidates, examples)).collect();
            let looked: Vec<(usize, usize)> = shares
                .iter()
                .flat_map(|share| {
                    let examples = share.examples.clone();
                    share.candidates.clone().flat_map(move |c| examples.clone().map(move |e| (c, e)))
                })
                .collect();
            let all: Vec<(usize, usize)> =
                (0..candidates).flat_map(|c| (0..examples).map(move |e| (c, e))).collect();
            prop_assert_eq!(looked, all);
            let work = shares.iter().map(|s| s.candidates.len() * s.examples.len());
            let most = work.max().unwrap_or(0);
            let fair = match size <= candidates {
                true => candidates.div_ceil(size) * examples,
                false => examples.div_ceil(size / candidates),
            };
            prop_assert!(most <= fair, "{} of {}", most, fair);
        }
    }
}
