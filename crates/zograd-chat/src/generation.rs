//! The marks by which a template says what is the assistant's: `{% generation %}` and `{% endgeneration %}`.
//!
//! To Jinja here they are a filter, whose text is put between two characters that are none; these are taken out of what is
//! rendered.

use crate::ChatError;
use std::ops::Range;

/// The name of the filter.
pub(crate) const FILTER: &str = "zograd_generation";

/// What begins and ends the assistant's text: noncharacters of Unicode, which no text has.
const BEGIN: char = '\u{fdd0}';
const END: char = '\u{fdd1}';

/// A template whose marks are filters, if it has any.
pub(crate) fn as_filters(template: &str) -> (String, bool) {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let mut found = false;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        let inside = tag.trim_start_matches(['-', '+']);
        let name = inside.trim_start();
        let word = ["endgeneration", "generation"].into_iter().find(|word| {
            let after = name.strip_prefix(word).map(str::trim_start);
            let after = after.map(|after| after.trim_start_matches(['-', '+']));
            after.is_some_and(|after| after.starts_with("%}"))
        });
        rest = tag;
        if let Some(word) = word {
            found = true;
            let start = tag.len() - name.len();
            out.push_str(&tag[..start]);
            match word {
                "generation" => out.push_str(&format!("filter {FILTER}")),
                _ => out.push_str("endfilter"),
            }
            rest = &tag[start + word.len()..];
        }
    }
    out.push_str(rest);
    (out, found)
}

/// What the filter does.
pub(crate) fn marked(text: &str) -> String {
    format!("{BEGIN}{text}{END}")
}

/// Refuses a text that has the marks' characters.
pub(crate) fn check(text: &str) -> Result<(), ChatError> {
    match text.chars().find(|c| [BEGIN, END].contains(c)) {
        Some(mark) => Err(ChatError::Mark(mark)),
        None => Ok(()),
    }
}

/// The text without its marks, and the ranges in bytes that stood between them.
pub(crate) fn unmarked(text: &str) -> (String, Vec<Range<usize>>) {
    let mut plain = String::with_capacity(text.len());
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut begins = Vec::new();
    for c in text.chars() {
        match c {
            BEGIN => begins.push(plain.len()),
            END => {
                let begin = begins.pop();
                // of nested ones the outer counts
                if let (Some(begin), true) = (begin, begins.is_empty())
                    && begin < plain.len()
                {
                    spans.push(begin..plain.len());
                }
            }
            c => plain.push(c),
        }
    }
    (plain, spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_filters_and_nothing_else_changes() {
        for (template, filters) in [
            (
                "a{% generation %}b{% endgeneration %}",
                "a{% filter zograd_generation %}b{% endfilter %}",
            ),
            (
                "{%- generation -%}b{%-endgeneration+%}",
                "{%- filter zograd_generation -%}b{%-endfilter+%}",
            ),
            (
                "{% generations %}{{ generation }}{% set generation = 1 %}",
                "",
            ),
            ("{%", ""),
        ] {
            let (found, has) = as_filters(template);
            assert_eq!(has, !filters.is_empty());
            assert_eq!(found, if has { filters } else { template });
        }
    }

    #[test]
    fn marks_are_taken_out() {
        let text = format!("\u{e9}{}b{}{}", marked("a"), marked(""), marked("cd"));
        assert_eq!(unmarked(&text), ("\u{e9}abcd".into(), vec![2..3, 4..6]));
        assert_eq!(check(&text), Err(ChatError::Mark(BEGIN)));
        assert_eq!(check("a"), Ok(()));
    }
}
