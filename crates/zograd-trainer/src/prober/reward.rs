//! How a rank sends what an answer is worth.

use zograd_ranks::{Incoming, Outgoing, RankError};
use zograd_tasks::rewards::RewardFailure;

/// There was no answer, there is a number, or it failed for the reason whose place in [`RewardFailure::ALL`] is added.
const NONE: u64 = 0;
const NUMBER: u64 = 1;
const FAILURE: u64 = 2;

pub(super) fn send(reward: Option<Result<f64, RewardFailure>>, to: &mut Outgoing) {
    match reward {
        None => to.number(NONE),
        Some(Ok(number)) => {
            to.number(NUMBER);
            to.real(number);
        }
        Some(Err(failure)) => {
            let place = RewardFailure::ALL.iter().position(|f| *f == failure);
            to.number(FAILURE + place.unwrap_or(0) as u64);
        }
    }
}

pub(super) fn receive(
    from: &mut Incoming<'_>,
) -> Result<Option<Result<f64, RewardFailure>>, RankError> {
    Ok(match from.number("a reward")? {
        NONE => None,
        NUMBER => Some(Ok(from.real("a reward")?)),
        code => {
            let failure = RewardFailure::ALL.get((code - FAILURE) as usize);
            let failure = failure.ok_or_else(|| from.unreadable("a reward"))?;
            Some(Err(*failure))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_arrive_as_they_were() {
        let failures = RewardFailure::ALL.map(|failure| Some(Err(failure)));
        for reward in [None, Some(Ok(-0.5))].into_iter().chain(failures) {
            let mut sent = Outgoing::new();
            send(reward, &mut sent);
            let mut from = Incoming::of(0, sent.as_bytes());
            assert_eq!(receive(&mut from), Ok(reward));
            assert!(from.is_empty());
        }
        let mut unknown = Outgoing::new();
        unknown.number(99);
        assert!(receive(&mut Incoming::of(0, unknown.as_bytes())).is_err());
    }
}
