//! Many damaged files through one reader.

use crate::allocations::{self, Allocated};
use crate::watchdog;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One reader, and how much is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Name of the reader in reports.
    pub reader: &'static str,
    /// Number of random inputs when `ZOGRAD_HOSTILE_CASES` is not set.
    pub cases: u32,
}

/// Whether a reader accepted an input; the text is its reason if it did not.
pub type Seen = Result<(), String>;

/// Bytes that a reader may hold whatever the size of the file: buffers and the like.
const SLACK_BYTES: usize = 64 << 20;
/// Bytes that a reader may hold for each byte of the file.
const BYTES_PER_BYTE: usize = 16;
/// Allocations are counted for the whole process, so one trial runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

impl Trial {
    /// Feeds `cases` inputs of `damaged` to `read`, which panics if an error is not as it should be.
    ///
    /// # Panics
    /// An input made `read` panic, hang or allocate too much: the smallest one that proptest finds is shown.
    /// Or none was refused.
    pub fn run(self, damaged: impl Strategy<Value = Vec<u8>>, read: impl Fn(&[u8]) -> Seen) {
        let _alone = alone();
        let cases = self.cases.saturating_mul(times());
        let config = Config {
            cases,
            max_shrink_iters: 2000,
            failure_persistence: None,
            ..Config::default()
        };
        // the same inputs every time, and other ones in a longer run
        let seed = [(times() % 251) as u8; 32];
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let tally = RefCell::new(Tally::new(self.reader));
        let result = runner.run(&damaged.prop_map(Shown), |input| {
            let mut tally = tally.borrow_mut();
            tally.watch(&input.0, &read).map_err(TestCaseError::fail)
        });
        if let Err(error) = result {
            panic!("{}: {error}", self.reader);
        }
        tally.into_inner().report();
    }

    /// Feeds `cases` of `inputs`, evenly spread, to `read`; all of them if they are no more.
    ///
    /// # Panics
    /// As [`Self::run`]; a panic of `read` is passed on after the input was shown.
    pub fn each(
        self,
        inputs: impl ExactSizeIterator<Item = Vec<u8>>,
        read: impl Fn(&[u8]) -> Seen,
    ) {
        let _alone = alone();
        let mut tally = Tally::new(self.reader);
        let cases = self.cases.saturating_mul(times()) as usize;
        let every = inputs.len().div_ceil(cases.max(1)).max(1);
        for input in inputs.step_by(every) {
            let input = Shown(input);
            let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                tally.watch(&input.0, &read)
            }));
            match watched {
                Ok(Ok(())) => {}
                Ok(Err(complaint)) => panic!("{complaint}: {input:?}"),
                Err(panic) => {
                    eprintln!("{}: panicked on {input:?}", self.reader);
                    std::panic::resume_unwind(panic);
                }
            }
        }
        tally.report();
    }
}

/// What has been seen of a reader.
struct Tally {
    reader: &'static str,
    inputs: u64,
    accepted: u64,
    most: Allocated,
    start: Instant,
}

impl Tally {
    fn new(reader: &'static str) -> Self {
        Self {
            reader,
            inputs: 0,
            accepted: 0,
            most: Allocated::default(),
            start: Instant::now(),
        }
    }

    /// Lets one input be read.
    fn watch(&mut self, input: &[u8], read: &impl Fn(&[u8]) -> Seen) -> Result<(), String> {
        let reader = self.reader;
        watchdog::expect(Some((reader, input.to_vec())));
        let before = allocations::start();
        let seen = read(input);
        let allocated = allocations::since(before);
        watchdog::expect(None);
        self.inputs += 1;
        self.accepted += u64::from(seen.is_ok());
        self.most.largest = self.most.largest.max(allocated.largest);
        self.most.peak = self.most.peak.max(allocated.peak);
        let allowed = SLACK_BYTES.saturating_add(input.len().saturating_mul(BYTES_PER_BYTE));
        if allocated.peak.max(allocated.largest) > allowed {
            let size = input.len();
            return Err(format!(
                "{reader}: {allocated:?} for {size} bytes, {seen:?}"
            ));
        }
        Ok(())
    }

    fn report(&self) {
        eprintln!(
            "{}: {} inputs, {} accepted; at most {} KiB at once, {} KiB together; {:.1} s",
            self.reader,
            self.inputs,
            self.accepted,
            self.most.largest >> 10,
            self.most.peak >> 10,
            self.start.elapsed().as_secs_f64()
        );
        assert!(
            self.accepted < self.inputs,
            "{}: nothing was refused",
            self.reader
        );
    }
}

/// An input that is legible in a report.
#[derive(Clone)]
struct Shown(Vec<u8>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = &self.0[..self.0.len().min(4000)];
        write!(f, "{} bytes: {}", self.0.len(), some.escape_ascii())
    }
}

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `ZOGRAD_HOSTILE_CASES`, 1 if it is not set.
fn times() -> u32 {
    std::env::var("ZOGRAD_HOSTILE_CASES").map_or(1, |n| {
        n.parse().expect("ZOGRAD_HOSTILE_CASES is a whole number")
    })
}
