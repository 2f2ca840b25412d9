//! Records as bytes. All numbers are little-endian; counts are LEB128.

use super::TrajectoryError;
use crate::StepRecord;
use zograd_perturb::{AppliedUpdate, Direction, Seed};
use zograd_select::SkipReason;

/// The first bytes of every log.
pub(super) const MAGIC: &[u8; 8] = b"zogtraj\n";

/// The largest header: room for thousands of tensor patterns.
pub const MAX_HEADER_BYTES: usize = 1 << 20;

/// The largest record: a step of [`zograd_select::MAX_EVALUATIONS`] evaluations fits.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// Seeds up to this child of the step's seed take one byte, others nine.
const MAX_CHILD: u64 = 254;
const FOREIGN: u8 = 255;

/// What the header leads one to expect of a step: not written again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    /// Seed of the step, the parent of those of its candidates.
    pub(super) seed: Seed,
    /// What the schedule says.
    pub(super) lr: f64,
    /// The run's.
    pub(super) weight_decay: f64,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Steps done, this one included.
    pub step: u64,
    /// Learning rate of the step.
    pub lr: f64,
    /// Weight decay lambda.
    pub weight_decay: f64,
    /// What was subtracted from the weights, before the factor of the learning rate; zero if skipped.
    pub update: Direction,
    /// The losses in the order they were asked for.
    pub losses: Vec<f64>,
    /// Why no update was made.
    pub skipped: Option<SkipReason>,
}

impl From<&StepRecord> for Record {
    fn from(step: &StepRecord) -> Self {
        Self {
            step: step.step,
            lr: step.lr,
            weight_decay: step.weight_decay,
            update: step.update.clone(),
            losses: step.losses.clone(),
            skipped: step.skipped,
        }
    }
}

impl Record {
    /// The update that this step made, if it was not skipped.
    pub fn applied(&self) -> Option<AppliedUpdate> {
        self.skipped.is_none().then(|| {
            AppliedUpdate::new(self.update.clone(), self.lr)
                .with_decay(self.weight_decay, self.step.saturating_sub(1))
        })
    }

    /// The payload, shorter where it says what `expected` says.
    pub(super) fn encode(&self, expected: Expected) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        count(&mut bytes, self.step);
        bytes.push(match self.skipped {
            None => 0,
            Some(SkipReason::NonFiniteLoss) => 1,
            Some(SkipReason::NonFiniteUpdate) => 2,
            Some(SkipReason::UpdateTooFar) => 3,
            Some(SkipReason::LossExplosion) => 4,
            Some(SkipReason::VanishingGradient) => 5,
            Some(SkipReason::ExplodingGradient) => 6,
            // a reason this version does not know: no reader would know it either
            Some(_) => 2,
        });
        number(&mut bytes, self.lr, expected.lr);
        number(&mut bytes, self.weight_decay, expected.weight_decay);
        count(&mut bytes, self.update.len() as u64);
        for &(seed, coefficient) in self.update.terms() {
            match (0..=MAX_CHILD).find(|i| expected.seed.child(*i) == seed) {
                Some(child) => bytes.push(child as u8),
                None => {
                    bytes.push(FOREIGN);
                    bytes.extend(seed.value().to_le_bytes());
                }
            }
            bytes.extend(coefficient.to_le_bytes());
        }
        count(&mut bytes, self.losses.len() as u64);
        for loss in &self.losses {
            bytes.extend(loss.to_le_bytes());
        }
        bytes
    }

    /// Reads a payload back; `None` if it is not one.
    pub(super) fn decode(bytes: &[u8], expected: impl Fn(u64) -> Expected) -> Option<Self> {
        let mut rest = bytes;
        let step = read_count(&mut rest)?;
        let skipped = match take::<1>(&mut rest)?[0] {
            0 => None,
            1 => Some(SkipReason::NonFiniteLoss),
            2 => Some(SkipReason::NonFiniteUpdate),
            3 => Some(SkipReason::UpdateTooFar),
            4 => Some(SkipReason::LossExplosion),
            5 => Some(SkipReason::VanishingGradient),
            6 => Some(SkipReason::ExplodingGradient),
            _ => return None,
        };
        let expected = expected(step);
        let lr = read_number(&mut rest, expected.lr)?;
        let weight_decay = read_number(&mut rest, expected.weight_decay)?;
        let terms = read_count(&mut rest)?;
        // not reserved: the count is only believed as far as there are bytes
        let mut update = Vec::new();
        for _ in 0..terms {
            let seed = match take::<1>(&mut rest)?[0] {
                FOREIGN => Seed::new(u64::from_le_bytes(take(&mut rest)?)),
                child => expected.seed.child(u64::from(child)),
            };
            update.push((seed, f64::from_le_bytes(take(&mut rest)?)));
        }
        let evaluations = read_count(&mut rest)?;
        let mut losses = Vec::new();
        for _ in 0..evaluations {
            losses.push(f64::from_le_bytes(take(&mut rest)?));
        }
        rest.is_empty().then(|| Self {
            step,
            lr,
            weight_decay,
            update: update.into(),
            losses,
            skipped,
        })
    }
}

/// Frames a payload: its length, itself, its CRC-32.
pub(super) fn framed(
    what: &'static str,
    payload: &[u8],
    most: usize,
) -> Result<Vec<u8>, TrajectoryError> {
    if payload.len() > most {
        return Err(TrajectoryError::TooLarge {
            what,
            bytes: payload.len(),
        });
    }
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    count(&mut bytes, payload.len() as u64);
    bytes.extend(payload);
    bytes.extend(crc32fast::hash(payload).to_le_bytes());
    Ok(bytes)
}

/// Takes a framed payload off the front of `bytes`, or says why there is none.
pub(super) fn unframed<'a>(bytes: &mut &'a [u8], most: usize) -> Result<&'a [u8], &'static str> {
    let mut rest = *bytes;
    let length = read_count(&mut rest).ok_or("its length is cut off")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > most {
        return Err("its length is impossible");
    }
    let (payload, rest_of_file) = rest.split_at_checked(length).ok_or("it is cut off")?;
    rest = rest_of_file;
    let sum = take(&mut rest).ok_or("its checksum is cut off")?;
    if crc32fast::hash(payload) != u32::from_le_bytes(sum) {
        return Err("its checksum is wrong");
    }
    *bytes = rest;
    Ok(payload)
}

fn count(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn read_count(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..63).step_by(7) {
        let [byte] = take::<1>(bytes)?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// One byte for what was expected, else nine.
fn number(bytes: &mut Vec<u8>, x: f64, expected: f64) {
    if x.to_bits() == expected.to_bits() {
        bytes.push(0);
    } else {
        bytes.push(1);
        bytes.extend(x.to_le_bytes());
    }
}

fn read_number(bytes: &mut &[u8], expected: f64) -> Option<f64> {
    match take::<1>(bytes)?[0] {
        0 => Some(expected),
        1 => Some(f64::from_le_bytes(take(bytes)?)),
        _ => None,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let coefficient =
            any::<f64>().prop_filter("a zero is no term", |c| *c != 0.0 && c.is_finite());
        let skipped = prop_oneof![
            Just(None),
            Just(Some(SkipReason::NonFiniteLoss)),
            Just(Some(SkipReason::NonFiniteUpdate))
        ];
        (
            1u64..1 << 40,
            any::<f64>().prop_filter("compares equal", |x| !x.is_nan()),
            prop::collection::vec((0u64..300, coefficient), 0..6),
            prop::collection::vec(-1e9f64..1e9, 0..8),
            skipped,
        )
            .prop_map(|(step, lr, terms, losses, skipped)| Record {
                step,
                lr,
                weight_decay: 0.0,
                update: terms
                    .into_iter()
                    .map(|(i, c)| (Seed::new(step).child(i), c))
                    .collect(),
                losses,
                skipped,
            })
    }

    proptest! {
        #[test]
        fn a_record_reads_back(record in any_record()) {
            let expected = |step| Expected { seed: Seed::new(step), ..Expected::default() };
            let payload = record.encode(expected(record.step));
            prop_assert_eq!(Record::decode(&payload, expected), Some(record));
        }

        /// Whatever the bytes are, reading them ends without a panic and without memory for what is not there.
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::decode(&bytes, |_| Expected::default());
            let mut rest = bytes.as_slice();
            let _ = unframed(&mut rest, MAX_RECORD_BYTES);
        }

        #[test]
        fn a_flipped_bit_is_noticed(record in any_record(), at: prop::sample::Index, bit in 0u8..8) {
            let payload = record.encode(Expected::default());
            let mut bytes = framed("a record", &payload, MAX_RECORD_BYTES).expect("small");
            let i = at.index(bytes.len());
            bytes[i] ^= 1 << bit;
            let read = unframed(&mut bytes.as_slice(), MAX_RECORD_BYTES);
            prop_assert!(read != Ok(payload.as_slice()));
        }
    }

    /// What is promised: a step of GV with a pool of 4 takes less than 100 bytes.
    #[test]
    fn a_step_of_gv_takes_less_than_100_bytes() {
        let seed = Seed::new(9);
        let expected = Expected {
            seed,
            lr: 1e-6,
            weight_decay: 0.0,
        };
        let record = Record {
            step: 1_000_000,
            lr: 1e-6,
            weight_decay: 0.0,
            update: (0..4)
                .map(|i| (seed.child(i), 0.123 * (i + 1) as f64))
                .collect(),
            losses: vec![0.69; 6],
            skipped: None,
        };
        let bytes = framed("a record", &record.encode(expected), MAX_RECORD_BYTES).expect("small");
        assert!(bytes.len() < 100, "{}", bytes.len());
    }
}
