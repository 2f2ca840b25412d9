//! Ends the process if a reader does not come to an end.

use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// An input that takes longer is as good as a hang. Readers need milliseconds; the rest is for busy machines.
const MOST: Duration = Duration::from_secs(20);

/// Which reader has which input, and since when.
static CURRENT: Mutex<Option<(Instant, &str, Vec<u8>)>> = Mutex::new(None);

/// From now on, a reader is at work on an input, or none is.
pub(crate) fn expect(work: Option<(&'static str, Vec<u8>)>) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(watch);
    });
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    *current = work.map(|(reader, input)| (Instant::now(), reader, input));
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, reader, input)) = &*current
            && since.elapsed() > MOST
        {
            let file = std::env::temp_dir().join("zograd-hostile-hang");
            let kept = std::fs::write(&file, input);
            eprintln!("{reader}: hangs on {} ({kept:?})", file.display());
            std::process::abort();
        }
    }
}
