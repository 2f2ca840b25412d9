//! What the engine's fuel does not count: lists that share their parts.
//!
//! Adding two lists costs the engine a step however long they are, and so does a list of lists, so that sixty steps make a
//! value that no machine holds, and a list in a list in a list overflows the stack that looks at it. A loop hands values on
//! by namespaces and macros alone; what they are made of, literals and sums, is sent through a filter that measures it.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// The name of the filter.
const FILTER: &str = "zograd_bounded";

/// How much a value may hold with all its parts: values, and texts for each 256 bytes.
const MOST: u64 = 250_000;

/// How deep a value may stand in others.
const DEPTH: usize = 64;

/// Filters that make nested lists, which no template of chats uses.
const REMOVED: [&str; 5] = ["batch", "chain", "groupby", "slice", "zip"];

/// Words that are no values.
const WORDS: [&str; 12] = [
    "and",
    "elif",
    "else",
    "for",
    "if",
    "in",
    "is",
    "not",
    "or",
    "recursive",
    "set",
    "with",
];

/// Makes the filter known, and measures what namespaces and dicts are made of.
pub(crate) fn add(env: &mut Environment<'_>) {
    env.add_filter(FILTER, |state: &State<'_, '_>, value: &Value| {
        bounded(state, value)
    });
    for name in REMOVED {
        env.remove_filter(name);
    }
    for name in ["namespace", "dict"] {
        let known = env.globals().find(|(known, _)| *known == name);
        let Some((_, made)) = known else {
            continue;
        };
        let measured = move |state: &mut State<'_, '_>, parts: Rest<Value>, named: Kwargs| {
            let mut parts = parts.to_vec();
            if named.args().next().is_some() {
                parts.push(Value::from(named));
            }
            for part in &parts {
                bounded(state, part)?;
            }
            made.call(state, &parts)
        };
        env.add_function(name, measured);
    }
}

/// The value, if it is not too large; lists that are put together when they are looked at are put together.
fn bounded(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let mut left = MOST;
    measure(value, DEPTH, &mut left)?;
    state.consume_fuel((MOST - left) / 8 + 1)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let is_lazy = value.kind() == ValueKind::Iterable;
            match is_lazy {
                true => Ok(value.try_iter()?.collect::<Vec<Value>>().into()),
                false => Ok(value.clone()),
            }
        }
        _ => Ok(value.clone()),
    }
}

fn measure(value: &Value, depth: usize, left: &mut u64) -> Result<(), Error> {
    let wrong = |reason| Error::new(ErrorKind::InvalidOperation, reason);
    let text = value.as_str().map_or(0, |text| text.len() as u64 / 256);
    *left = left
        .checked_sub(1 + text)
        .ok_or_else(|| wrong("a value is too large"))?;
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    if object.type_name().ends_with("Namespace") {
        return Err(wrong("a namespace cannot be put into a value"));
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(wrong("a value is nested too deep"));
    };
    match value.kind() {
        ValueKind::Map => {
            for key in value.try_iter()? {
                measure(&value.get_item(&key)?, depth, left)?;
            }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                measure(&item, depth, left)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A template whose literals, sums and assignments to namespaces go through the filter.
pub(crate) fn measured(template: &str) -> String {
    let mut out = String::with_capacity(template.len() + template.len() / 4);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let close = match from.as_bytes().get(1) {
            Some(b'#') => {
                let end = from.find("#}").map_or(from.len(), |end| end + 2);
                out.push_str(&from[..end]);
                rest = &from[end..];
                continue;
            }
            Some(b'%') => "%}",
            Some(b'{') => "}}",
            _ => {
                out.push('{');
                rest = &from[1..];
                continue;
            }
        };
        let (inside, length) = inside(&from[2..], close);
        out.push_str(&from[..2]);
        out.push_str(&assigned(inside));
        rest = &from[2 + length..];
        let written = &from[2..2 + length];
        if close == "%}" && written.trim_matches(['-', '+', ' ', '\t', '\n', '\r']) == "raw" {
            let end = rest.find("endraw").unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            // it stands in a tag that began before it
            let end = rest.find("%}").map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

/// What stands in a tag up to its end, with the filter, and how long it is in the template.
fn inside(text: &str, close: &str) -> (String, usize) {
    let mut out = String::new();
    // open brackets, and whether they are literals
    let mut open: Vec<bool> = Vec::new();
    let mut after_value = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if open.is_empty() && rest.starts_with(close) {
            break;
        }
        let mut length = c.len_utf8();
        match c {
            '"' | '\'' => {
                length = literal(rest, c);
                after_value = true;
            }
            '(' | '[' | '{' => {
                open.push(c != '(' && !after_value);
                after_value = false;
            }
            ')' | ']' | '}' => {
                let is_literal = open.pop().unwrap_or(false);
                out.push(c);
                if is_literal {
                    out.push('|');
                    out.push_str(FILTER);
                }
                after_value = true;
                at += length;
                continue;
            }
            '+' if after_value && !rest[1..].starts_with(close) => {
                out.push('|');
                out.push_str(FILTER);
                after_value = false;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                after_value = !WORDS.contains(&&rest[..length]);
            }
            c if c.is_whitespace() => {}
            _ => after_value = false,
        }
        out.push_str(&rest[..length]);
        at += length;
    }
    (out, at)
}

/// The length of a text in quotation marks.
fn literal(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `set a.b = c` with `c` through the filter; anything else as it is.
fn assigned(inside: String) -> String {
    let words = inside.trim_start_matches(['-', '+']).trim_start();
    let Some(target) = words
        .strip_prefix("set")
        .filter(|rest| rest.starts_with([' ', '\n', '\t', '\r']))
    else {
        return inside;
    };
    let Some((name, value)) = target.split_once('=') else {
        return inside;
    };
    if !name.contains('.') || value.starts_with('=') {
        return inside;
    }
    let start = inside.len() - value.len();
    let whole = value.trim_end();
    let end = whole.strip_suffix(['-', '+']).unwrap_or(whole).len();
    format!(
        "{}({})|{FILTER}{}",
        &inside[..start],
        &value[..end],
        &value[end..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_sums_and_assignments_are_measured() {
        for (template, expected) in [
            ("a + [b] {# [1] + 2 #} {b}", "a + [b] {# [1] + 2 #} {b}"),
            (
                "{{ a + b.c[1:] + 'x + [y]' }}",
                "{{ a |B+ b.c[1:] |B+ 'x + [y]' }}",
            ),
            ("{{ [a, {'b': [1]}] }}", "{{ [a, {'b': [1]|B}|B]|B }}"),
            ("{%+ if x in [1] +%}", "{%+ if x in [1]|B +%}"),
            (
                "{%- set n.a = n.a + 1 -%}",
                "{%- set n.a =( n.a |B+ 1 )|B-%}",
            ),
            ("{% set a = f(b)[0] %}", "{% set a = f(b)[0] %}"),
            (
                "{% if a.b == c %}{% set a.b %}x{% endset %}",
                "{% if a.b == c %}{% set a.b %}x{% endset %}",
            ),
            (
                "{% raw %}{{ [1] }}{% endraw %}{{ [1] }}",
                "{% raw %}{{ [1] }}{% endraw %}{{ [1]|B }}",
            ),
            ("{{ {'a': {}} }}", "{{ {'a': {}|B}|B }}"),
            ("{{ 'it\\'s' ~ \"[\" + a", "{{ 'it\\'s' ~ \"[\" |B+ a"),
        ] {
            assert_eq!(
                measured(template),
                expected.replace("|B", &format!("|{FILTER}")),
                "{template}"
            );
        }
    }
}
