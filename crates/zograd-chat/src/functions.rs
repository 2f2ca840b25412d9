//! What templates may call beside Jinja's own: as in Hugging Face's transformers.

use crate::json::{Layout, dumps};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};
use std::fmt;

/// The longest JSON that a template writes, in bytes.
const MAX_JSON: usize = 8 << 20;

/// What a template says when it refuses a chat.
#[derive(Debug)]
pub(crate) struct Raised(pub String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// Makes them known.
pub(crate) fn add(env: &mut Environment<'_>) {
    env.add_function("raise_exception", raise_exception);
    env.add_function("strftime_now", strftime_now);
    env.add_filter("tojson", tojson);
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let raised = Raised(message.to_string());
    Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(raised))
}

/// JSON without the escapes that web pages need.
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let wrong = |reason: String| Error::new(ErrorKind::InvalidOperation, reason);
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let sorted: Option<bool> = options.get("sort_keys")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let separators = match separators.as_deref() {
        None => (", ", ": "),
        Some([items, keys]) => (items.as_str(), keys.as_str()),
        Some(_) => return Err(wrong("separators are two texts".into())),
    };
    let layout = Layout { indent, separators };
    if sorted != Some(true) {
        return dumps(value, &layout, MAX_JSON).map_err(wrong);
    }
    let text = dumps(value, &layout, MAX_JSON).map_err(wrong)?;
    let mut value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    value.sort_all_objects();
    dumps(&value, &layout, MAX_JSON).map_err(wrong)
}

/// The date, which is always the same: a run is to have the same prompts on any day. It is the one that Llama 3's
/// templates take where they are told none.
fn strftime_now(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next().filter(|c| *c != '-').or_else(|| chars.next()) {
            Some('d' | 'e') => out.push_str("26"),
            Some('m') => out.push_str("07"),
            Some('Y') => out.push_str("2024"),
            Some('y') => out.push_str("24"),
            Some('B') => out.push_str("July"),
            Some('b' | 'h') => out.push_str("Jul"),
            Some('A') => out.push_str("Friday"),
            Some('a') => out.push_str("Fri"),
            Some('j') => out.push_str("208"),
            Some('F') => out.push_str("2024-07-26"),
            Some('H' | 'M' | 'S') => out.push_str("00"),
            Some('I') => out.push_str("12"),
            Some('p') => out.push_str("AM"),
            Some(other) => out.push(other),
            None => out.push('%'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_always_the_same() {
        assert_eq!(strftime_now("%d %b %Y"), "26 Jul 2024");
        assert_eq!(
            strftime_now("%A, %-d %B %y 100%%"),
            "Friday, 26 July 24 100%"
        );
    }
}
