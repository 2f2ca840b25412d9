//! What the columns of rows hold.

use super::answered::Line;
use crate::error::{Blame, Result};
use serde_json::Value;
use std::collections::HashSet;

/// Hands out all rows, one after the other.
pub(super) type Each<'a> = &'a dyn Fn(&mut dyn FnMut(Line) -> Result<()>) -> Result<()>;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// In each row one of these.
    One(Kind),
    /// In each row a list of these.
    Lists(Kind),
}

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// None yet.
    Nothing,
    Truths,
    Wholes,
    Numbers,
    Texts,
}

/// A column.
pub(super) struct Column {
    pub name: String,
    pub holds: Holds,
}

/// The columns of all rows, in the order they come up.
///
/// # Errors
/// The rows cannot be read.
pub(super) fn columns(each: Each<'_>) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    each(&mut |row| {
        let row = row.fields().while_running()?;
        for (k, (name, value)) in row.iter().enumerate() {
            if known.insert(name.clone()) {
                columns.push(Column {
                    name: name.clone(),
                    holds: Holds::One(Kind::Nothing),
                });
            }
            // most rows have the same fields in the same order
            let at = match columns.get(k) {
                Some(column) if column.name == *name => Some(k),
                _ => columns.iter().position(|column| column.name == *name),
            };
            if let Some(column) = at.and_then(|at| columns.get_mut(at)) {
                column.holds = column.holds.with(value);
            }
        }
        Ok(())
    })?;
    Ok(columns)
}

/// A value as a cell has it.
pub(super) fn in_words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Holds {
    /// With one value more. What has no form of its own is a text: objects, lists of them or of values of several
    /// kinds, and values that are lists in some rows.
    fn with(self, value: &Value) -> Self {
        let found = match value {
            Value::Null => return self,
            Value::Array(items) => match Kind::of_all(items) {
                Some(kind) => Self::Lists(kind),
                None => Self::One(Kind::Texts),
            },
            value => Self::One(Kind::of(value).unwrap_or(Kind::Texts)),
        };
        let both = match (self, found) {
            (Self::One(Kind::Nothing), found) => Some(found),
            (Self::One(one), Self::One(other)) => one.and(other).map(Self::One),
            (Self::Lists(one), Self::Lists(other)) => one.and(other).map(Self::Lists),
            _ => None,
        };
        both.unwrap_or(Self::One(Kind::Texts))
    }
}

impl Kind {
    /// That of a value; none, if it has no form but a text.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Nothing),
            Value::Bool(_) => Some(Self::Truths),
            Value::Number(number) if number.is_i64() => Some(Self::Wholes),
            // a number of 64 bits would lose digits as one of 53
            Value::Number(number) if number.is_u64() => None,
            Value::Number(_) => Some(Self::Numbers),
            Value::String(_) => Some(Self::Texts),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// That of all items of a list, if they have one.
    fn of_all(items: &[Value]) -> Option<Self> {
        let mut kinds = items.iter().map(Self::of);
        kinds.try_fold(Self::Nothing, |kind, next| kind.and(next?))
    }

    /// What can be both, without a change of what they are.
    fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Nothing, other) => Some(other),
            (one, Self::Nothing) => Some(one),
            (one, other) if one == other => Some(one),
            (Self::Wholes | Self::Numbers, Self::Wholes | Self::Numbers) => Some(Self::Numbers),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_is_what_all_its_values_are() {
        let of = |values: Value| {
            let values = values.as_array().expect("a list").clone();
            let nothing = Holds::One(Kind::Nothing);
            values
                .iter()
                .fold(nothing, |holds, value| holds.with(value))
        };
        for (values, holds) in [
            (json!([null]), Holds::One(Kind::Nothing)),
            (json!([1, null, 2.5]), Holds::One(Kind::Numbers)),
            (json!([true, 1]), Holds::One(Kind::Texts)),
            (json!([1, u64::MAX]), Holds::One(Kind::Texts)),
            (json!([null, [], ["a"]]), Holds::Lists(Kind::Texts)),
            (json!([[1], [null, 2.5]]), Holds::Lists(Kind::Numbers)),
            (json!([[], null]), Holds::Lists(Kind::Nothing)),
            (json!([["a"], "a"]), Holds::One(Kind::Texts)),
            (json!([["a", 1]]), Holds::One(Kind::Texts)),
            (json!([["a"], [1]]), Holds::One(Kind::Texts)),
            (json!([[1, u64::MAX]]), Holds::One(Kind::Texts)),
            (json!([[["a"]]]), Holds::One(Kind::Texts)),
            (json!([[{"role": "user"}]]), Holds::One(Kind::Texts)),
        ] {
            assert_eq!(of(values.clone()), holds, "{values}");
        }
    }
}
