//! Libraries that panic.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Panics of all threads, while these are guarded.
static OF_ALL: Mutex<Heard> = Mutex::new(Heard {
    guards: 0,
    said: Vec::new(),
});

struct Heard {
    /// How many ask for it now, within one another or on several threads.
    guards: usize,
    /// What panics said since the first of these.
    said: Vec<String>,
}

fn heard() -> MutexGuard<'static, Heard> {
    // what a panic has left behind is whole all the same
    OF_ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a parser of another library and makes an error of its panic. For libraries that are known to panic
/// on damaged input, where checking the input beforehand would be a second parser; the message of the panic
/// is not printed. What the parser worked on must not be used afterwards.
///
/// # Errors
/// What the panic said.
pub fn guarded<T>(parse: impl FnOnce() -> T) -> Result<T, String> {
    be_quiet();
    let before = GUARDED.replace(true);
    let parsed = catch_unwind(AssertUnwindSafe(parse));
    GUARDED.set(before);
    parsed.map_err(|panic| format!("the parser gave up: {}", words_of(&*panic)))
}

/// Runs the start of another library that panics in threads of its own, and makes an error of it. Until it is over no panic
/// of any thread of the process is printed: for the beginning of a program, before it has much else to do.
///
/// # Errors
/// What the first panic of the process said.
pub fn guarded_with_threads<T>(start: impl FnOnce() -> T) -> Result<T, String> {
    be_quiet();
    let before = {
        let mut heard = heard();
        heard.guards += 1;
        heard.said.len()
    };
    let started = catch_unwind(AssertUnwindSafe(start));
    let mut heard = heard();
    let first = heard.said.get(before).cloned();
    heard.guards -= 1;
    if heard.guards == 0 {
        heard.said.clear();
    }
    drop(heard);
    started.map_err(|panic| first.unwrap_or_else(|| words_of(&*panic)))
}

/// From now on panics that are guarded are not printed.
fn be_quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if GUARDED.get() {
                return;
            }
            let mut heard = heard();
            if heard.guards > 0 {
                heard.said.push(words_of(panic.payload()));
                return;
            }
            drop(heard);
            usual(panic);
        }));
    });
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given").replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(guarded(|| 1), Ok(1));
        let empty: [u8; 0] = [];
        let error = guarded(|| empty[std::hint::black_box(3)]).expect_err("out of bounds");
        assert!(
            error.contains("the parser gave up: index out of bounds"),
            "{error}"
        );
        assert!(!GUARDED.get());
    }

    #[test]
    fn the_first_panic_of_a_thread_is_the_error() {
        assert_eq!(guarded_with_threads(|| 1), Ok(1));
        let start = || {
            let thread = std::thread::spawn(|| panic!("there is no driver\nfor it"));
            thread.join().expect("a thread that answers");
        };
        // within another, which has nothing to say of it
        let error = guarded_with_threads(|| guarded_with_threads(start));
        let error = error.expect("the inner one").expect_err("no answer");
        assert_eq!(error, "there is no driver; for it");
        let heard = heard();
        assert_eq!((heard.guards, heard.said.len()), (0, 0));
    }
}
