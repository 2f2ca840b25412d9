//! Parsers that panic.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a parser of another library and makes an error of its panic. For libraries that are known to panic
/// on damaged input, where checking the input beforehand would be a second parser; the message of the panic
/// is not printed. What the parser worked on must not be used afterwards.
///
/// # Errors
/// What the panic said.
pub fn guarded<T>(parse: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let parsed = catch_unwind(AssertUnwindSafe(parse));
    GUARDED.set(before);
    parsed.map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("no reason given").replace('\n', "; ");
        format!("the parser gave up: {text}")
    })
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
}
