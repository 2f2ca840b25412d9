use super::part::Sent;
use crate::TrainError;
use std::ops::ControlFlow;
use zograd_ranks::{Incoming, Outgoing, Ranks};
use zograd_tasks::Prompt;

/// Looks at all prompts, `batch_size` at a time, and has what comes of them taken up in their order; of several ranks each
/// looks at every so-many-th batch. `progress` is told how many prompts are done, and says whether to go on, on all ranks
/// alike.
///
/// # Errors
/// Those of `look`, on any rank; [`TrainError::Stopped`].
pub(super) fn in_chunks<P: Sent>(
    ranks: &Ranks,
    prompts: &[Prompt],
    batch_size: usize,
    mut look: impl FnMut(&[&Prompt]) -> Result<P, TrainError>,
    mut take: impl FnMut(P),
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<(), TrainError> {
    let batch_size = batch_size.max(1);
    let chunks: Vec<&[Prompt]> = prompts.chunks(batch_size).collect();
    let mut look = |chunk: &[Prompt]| look(&chunk.iter().collect::<Vec<&Prompt>>());
    let mut done = 0;
    for round in chunks.chunks(ranks.size()) {
        if ranks.is_alone() {
            round
                .iter()
                .try_for_each(|chunk| look(chunk).map(&mut take))?;
        } else {
            let mut sent = Outgoing::new();
            let mine = round.get(ranks.rank()).map(|chunk| look(chunk));
            let failed = match mine.transpose() {
                Ok(part) => {
                    part.iter().for_each(|part| part.send(&mut sent));
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            let mine = failed.as_deref().map_or(Ok(sent.as_bytes()), Err);
            let all = ranks.gather_or_fail(mine)?;
            for (rank, bytes) in all.iter().enumerate().take(round.len()) {
                take(P::receive(&mut Incoming::of(rank, bytes))?);
            }
        }
        done += round.iter().map(|chunk| chunk.len()).sum::<usize>();
        if progress(done).is_break() && done < prompts.len() {
            return Err(TrainError::Stopped);
        }
    }
    Ok(())
}
