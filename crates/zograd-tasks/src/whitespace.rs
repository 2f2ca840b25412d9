//! Stripping as Python's `str.strip` does it: prompts must equal those of MeZO's code to the byte.

/// Whether `str.isspace` holds for this character: Unicode's `White_Space` and, unlike Rust, the
/// four ASCII separators.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `text.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_python_space)
}

/// Python's `text.lstrip()`.
pub(crate) fn strip_start(text: &str) -> &str {
    text.trim_start_matches(is_python_space)
}

/// Python's `text.rstrip()`.
pub(crate) fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_python_space)
}

/// Python's `text.strip(' ')`.
pub(crate) fn strip_blanks(text: &str) -> &str {
    text.trim_matches(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_stripping_differ() {
        let text = " \u{1c}\n\u{a0}a b\t \u{2003}";
        assert_eq!(strip(text), "a b");
        assert_eq!(strip_start(text), "a b\t \u{2003}");
        assert_eq!(strip_end(text), " \u{1c}\n\u{a0}a b");
        assert_eq!(strip_blanks(" \n a "), "\n a");
    }
}
