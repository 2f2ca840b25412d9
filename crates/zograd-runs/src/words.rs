//! Values as people write them.

use crate::error::{Result, RunError};
use std::path::Path;

/// A TOML value as people write it: `1e-5` rather than `0.00001`, no quotes.
pub fn value(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(x) => number(*x),
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number as people write it.
pub fn number(x: f64) -> String {
    if x != 0.0 && (x.abs() < 0.01 || x.abs() >= 1e6) {
        format!("{x:e}")
    } else {
        x.to_string()
    }
}

/// A time as people say it: `40 s`, `12 min`, `3.5 h`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 90.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// So many of something: `1 step`, `2 steps`, `3 forward passes`.
pub fn count(n: impl std::fmt::Display, what: &str) -> String {
    let n = n.to_string();
    match n.as_str() {
        "1" => format!("1 {what}"),
        _ if what.ends_with('s') => format!("{n} {what}es"),
        _ => format!("{n} {what}s"),
    }
}

/// So many of something, and what they do: `1 row is`, `2 rows are`.
pub fn these(n: usize, what: &str, [does, do_]: [&str; 2]) -> String {
    let verb = if n == 1 { does } else { do_ };
    format!("{} {verb}", count(n, what))
}

/// A path as settings have it.
pub(crate) fn as_text(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| RunError::input(format!("{}: the path is no UTF-8", path.display())))
}
