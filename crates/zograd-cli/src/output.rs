//! Words for people on the standard error, results on the standard output.

use crate::closed;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether another process speaks for this one.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// From now on this process prints nothing: another one of those that were started together speaks for it.
pub fn hush() {
    HUSHED.store(true, Ordering::Relaxed);
}

/// Whether another process speaks for this one.
pub fn is_hushed() -> bool {
    HUSHED.load(Ordering::Relaxed)
}

/// Prints a line on the standard error, without control characters. Whether anybody reads it does not matter: a run of hours must not end
/// because a terminal was closed.
pub fn say(line: impl std::fmt::Display) {
    if !is_hushed() {
        let _ = writeln!(std::io::stderr(), "{}", harmless(&line.to_string()));
    }
}

/// Prints lines on the standard output. Control characters in them, which names from somebody's files may hold, are
/// written as JSON writes them: they do nothing to a terminal, and JSON stays what it is.
///
/// # Errors
/// It cannot be written.
pub fn answer(lines: impl std::fmt::Display) -> std::io::Result<()> {
    if is_hushed() {
        return Ok(());
    }
    let text = harmless(&lines.to_string());
    closed::check().map_err(on_standard_output)?;
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(on_standard_output)
}

/// Many lines of JSON on the standard output.
pub struct Lines(std::io::BufWriter<std::io::StdoutLock<'static>>);

impl Lines {
    /// None yet.
    pub fn new() -> Self {
        Self(std::io::BufWriter::new(std::io::stdout().lock()))
    }

    /// Prints a line.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn line(&mut self, value: &impl serde::Serialize) -> std::io::Result<()> {
        let line = serde_json::to_string(value)?;
        writeln!(self.0, "{line}").map_err(on_standard_output)
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> std::io::Result<()> {
        closed::check().map_err(on_standard_output)?;
        self.0.flush().map_err(on_standard_output)
    }
}

fn on_standard_output(error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("the standard output: {error}"))
}

/// Whether words for people may be drawn over and have colours, as far as the terminal is concerned.
pub fn is_drawn() -> bool {
    !is_hushed()
        && std::io::stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether words for people may have colours: NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded, in this order.
pub fn has_colours() -> bool {
    colours(
        |name| std::env::var_os(name).filter(|value| !value.is_empty()),
        is_drawn(),
    )
}

fn colours(variable: impl Fn(&str) -> Option<OsString>, drawn: bool) -> bool {
    let on = |name: &str| variable(name).map(|value| value != "0");
    match (variable("NO_COLOR"), on("CLICOLOR_FORCE"), on("CLICOLOR")) {
        (Some(_), _, _) => false,
        (None, Some(true), _) => true,
        (None, _, clicolor) => drawn && clicolor.unwrap_or(true),
    }
}

/// The text with all control characters but line ends and tabs escaped as JSON does it.
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => harmless.push(c),
            c if c.is_control() => harmless += &format!("\\u{:04x}", u32::from(c)),
            c => harmless.push(c),
        }
    }
    harmless
}

/// A text that may hold names from somebody's files, as one line that does nothing to a terminal: line ends
/// become semicolons, other control characters are written as escapes.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim_end().chars() {
        match c {
            '\n' => line.push_str("; "),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{colours, harmless, one_line};

    #[test]
    fn names_from_files_do_nothing_to_the_terminal() {
        assert_eq!(one_line("a\nb\u{1b}[2J\u{7f}\n"), "a; b\\u{1b}[2J\\u{7f}");
    }

    #[test]
    fn results_do_nothing_to_it_either() {
        let text = "{\"name\": \"\u{9b}31m\"}\n\u{1b}[31m";
        let line = "{\"name\": \"\\u009b31m\"}\n\\u001b[31m";
        assert_eq!(harmless(text), line);
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        for (variables, drawn, expected) in [
            (&[][..], true, true),
            (&[], false, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, false),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("CLICOLOR_FORCE", "0")], true, true),
            (&[("CLICOLOR", "0")], true, false),
            (&[("CLICOLOR", "1")], false, false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).into())
            };
            assert_eq!(colours(variable, drawn), expected, "{variables:?} {drawn}");
        }
    }
}
