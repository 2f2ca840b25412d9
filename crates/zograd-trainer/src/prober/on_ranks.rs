use super::{Loss, Portion, Prober, reward};
use crate::TrainError;
use zograd_perturb::{AppliedUpdate, Direction};
use zograd_ranks::{Incoming, Outgoing, RankError, Ranks, Share, share};
use zograd_select::SkipReason;

/// What a rank says first: that it has losses, or that it gave the step up.
const FOUND: u64 = 0;
const GIVEN_UP: u64 = 1;

/// A prober whose losses are found by several ranks, each of which has the same weights and another part of the
/// directions: one exchange of some numbers, and all ranks know all losses and make the same update.
///
/// The losses, and the weights, are those of the prober alone, to the bit, if its losses do not depend on which of them
/// are asked for together. Over any prober, ranks beyond the number of directions have nothing to do; in a
/// [`Training`](crate::Training) several of them share the examples of a batch.
pub struct OnRanks<'p, 'a, 'b> {
    prober: &'p mut dyn Prober,
    ranks: &'p Ranks,
    portion: Option<&'p Portion<'a, 'b>>,
    /// Whether losses were asked for before.
    asked: bool,
}

impl<'p> OnRanks<'p, '_, '_> {
    /// Shares what `prober` is asked for among `ranks`.
    pub fn new(ranks: &'p Ranks, prober: &'p mut dyn Prober) -> Self {
        Self {
            prober,
            ranks,
            portion: None,
            asked: false,
        }
    }
}

impl<'p, 'a, 'b> OnRanks<'p, 'a, 'b> {
    /// The same for a prober that looks at no more than `portion` says.
    pub(crate) fn sharing(
        ranks: &'p Ranks,
        prober: &'p mut dyn Prober,
        portion: &'p Portion<'a, 'b>,
    ) -> Self {
        Self {
            prober,
            ranks,
            portion: Some(portion),
            asked: false,
        }
    }

    /// What this rank sends: what it found, or that it gave up.
    fn found(
        &mut self,
        directions: &[Direction],
        parts: Option<&Portion<'_, '_>>,
    ) -> Result<Outgoing, TrainError> {
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        let examples = parts.map_or(1, Portion::batch_size);
        let mine = share(rank, size, directions.len(), examples);
        let counted = self.asked || mine.candidates.start > 0;
        match (parts, self.portion) {
            (Some(parts), _) => parts.look_at(mine.examples.clone(), counted),
            (None, Some(portion)) => portion.look_at_all(counted),
            (None, None) => {}
        }
        let asked = match mine.is_empty() {
            true => 0..0,
            false => mine.candidates,
        };
        let mut sent = Outgoing::new();
        match self.prober.some_losses(directions, asked) {
            Err(TrainError::Stopped) => sent.number(GIVEN_UP),
            Err(other) => return Err(other),
            Ok(losses) => {
                sent.number(FOUND);
                match parts {
                    Some(parts) => parts.send(&mut sent),
                    None => losses.iter().for_each(|loss| send(loss, &mut sent)),
                }
            }
        }
        Ok(sent)
    }
}

fn send(loss: &Loss, to: &mut Outgoing) {
    to.real(loss.mean);
    to.number(loss.terms);
    to.number(loss.tokens);
    reward::send(loss.reward_failure.map(Err), to);
}

fn receive(from: &mut Incoming<'_>) -> Result<Loss, RankError> {
    let mean = from.real("a loss")?;
    let terms = from.number("terms")?;
    let tokens = from.number("tokens")?;
    let found = Loss::new(mean).with_terms(terms).with_tokens(tokens);
    Ok(Loss {
        reward_failure: reward::receive(from)?.and_then(Result::err),
        ..found
    })
}

/// The losses of all ranks, in their order.
fn concatenated(all: &mut [Incoming<'_>], directions: usize) -> Result<Vec<Loss>, RankError> {
    let mut losses = Vec::with_capacity(directions);
    for from in all {
        while !from.is_empty() {
            losses.push(receive(from)?);
        }
    }
    Ok(losses)
}

/// The losses of candidates that several ranks have together, or whose losses are made together.
fn assembled(
    all: &mut [Incoming<'_>],
    directions: usize,
    portion: &Portion<'_, '_>,
) -> Result<Vec<Loss>, RankError> {
    let size = all.len();
    let shares: Vec<Share> = (0..size)
        .map(|rank| share(rank, size, directions, portion.batch_size()))
        .collect();
    let candidate = |candidate| {
        let mut whole = portion.nothing();
        for (from, share) in all.iter_mut().zip(&shares) {
            if share.candidates.contains(&candidate) {
                portion.receive(from, share.examples.clone(), &mut whole)?;
            }
        }
        Ok(whole)
    };
    let probes: Result<Vec<_>, RankError> = (0..directions).map(candidate).collect();
    Ok(portion.losses_of(&probes?))
}

impl Prober for OnRanks<'_, '_, '_> {
    fn begin(&mut self, step: u64) -> Result<(), TrainError> {
        self.prober.begin(step)
    }

    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
        let size = self.ranks.size();
        // where losses are made together, all ranks have to know all scores
        let parts = self
            .portion
            .filter(|portion| directions.len() < size || portion.is_joint());
        let found = self.found(directions, parts);
        let failed = found.as_ref().err().map(ToString::to_string);
        let mine = match (&found, &failed) {
            (Ok(found), _) => Ok(found.as_bytes()),
            (Err(_), why) => Err(why.as_deref().unwrap_or_default()),
        };
        let all = self.ranks.gather_or_fail(mine)?;
        self.asked = true;
        let mut all: Vec<Incoming<'_>> = all
            .iter()
            .enumerate()
            .map(|(rank, bytes)| Incoming::of(rank, bytes))
            .collect();
        let mut given_up = false;
        for from in &mut all {
            match from.number("what it found")? {
                FOUND => {}
                GIVEN_UP => given_up = true,
                _ => return Err(from.unreadable("what it found").into()),
            }
        }
        if given_up {
            return Err(TrainError::Stopped);
        }
        Ok(match parts {
            Some(portion) => assembled(&mut all, directions.len(), portion)?,
            None => concatenated(&mut all, directions.len())?,
        })
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        self.prober.update(update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        self.prober.rest()
    }
}
