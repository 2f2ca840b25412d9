//! Words for people on the standard error, results on the standard output.

use std::io::Write;

/// Prints a line on the standard error. Whether anybody reads it does not matter: a run of hours must not end
/// because a terminal was closed.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line on the standard output.
///
/// # Errors
/// It cannot be written.
pub fn answer(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
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
    use super::one_line;

    #[test]
    fn names_from_files_do_nothing_to_the_terminal() {
        assert_eq!(one_line("a\nb\u{1b}[2J\u{7f}\n"), "a; b\\u{1b}[2J\\u{7f}");
    }
}
