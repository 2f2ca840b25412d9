//! Texts with places for fields: `Review: {text}`.

use crate::{DataError, Row};
use serde_json::Value;
use std::fmt;

/// A text that a row's fields are put into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Field(field) => write!(f, "{{{field}}}"),
        }
    }
}

impl Template {
    /// Reads a template: `{field}` is a place, `{{` and `}}` are braces.
    ///
    /// # Errors
    /// What is wrong with the braces, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let from_brace = &rest[at..];
            if let Some(after) = ["{{", "}}"].iter().find_map(|b| from_brace.strip_prefix(b)) {
                plain.push_str(&from_brace[..1]);
                rest = after;
                continue;
            }
            let Some(inside) = from_brace.strip_prefix('{') else {
                return Err("a } without its {; write }} for a brace".into());
            };
            let Some((field, after)) = inside.split_once('}') else {
                return Err("a { without its }; write {{ for a brace".into());
            };
            if field.is_empty() || field.contains(['{', '\n']) || field.trim() != field {
                return Err(format!(
                    "{{{field}}} is no field name; write {{{{ for a brace"
                ));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Field(field.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The fields it has places for.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(field) => Some(field.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Both as a task file has them, if a reader would take the last word of this and the first of `next`, which follows
    /// it, for one.
    pub fn glued(&self, next: &Self) -> Option<String> {
        let (last, first) = (self.0.last()?, next.0.first()?);
        let ends = match last {
            Piece::Text(text) => text.chars().next_back()?,
            // as the texts of rows end
            Piece::Field(_) => '.',
        };
        let Piece::Text(begin) = first else {
            return None;
        };
        // scripts without cases write no blanks between words, or none that we know of
        let is_word = |c: char| c.is_numeric() || c.is_lowercase() || c.is_uppercase();
        let opens = |c: char| c.is_whitespace() || "([{<\"'\u{201c}\u{2018}/-_#$@".contains(c);
        (is_word(begin.chars().next()?) && !opens(ends)).then(|| format!("{last}{begin}"))
    }

    /// Whether all the fields it has places for are blank in this row, so that the text says nothing of it.
    pub fn has_nothing_of(&self, row: &Row) -> bool {
        let is_blank = |field| match row.value(field) {
            Ok(Value::String(text)) => text.trim().is_empty(),
            _ => false,
        };
        self.fields().next().is_some() && self.fields().all(is_blank)
    }

    /// The text with the row's fields put in: texts as they are, numbers and truth values as in JSON.
    ///
    /// # Errors
    /// A field that is missing or no such value.
    pub fn fill(&self, row: &Row) -> Result<String, DataError> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Field(field) => match row.value(field)? {
                    Value::String(text) => filled.push_str(text),
                    number @ (Value::Number(_) | Value::Bool(_)) => {
                        filled.push_str(&number.to_string());
                    }
                    other => return Err(row.wrong_type(field, "a text or a number", other)),
                },
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_put_in() {
        let fields = serde_json::from_str(r#"{"a": "x{y}", "b": {"c": 3}, "list": []}"#);
        let row = Row::new(0, "r:1", fields.expect("an object"));
        let fill = |text| Template::parse(text).expect("a template").fill(&row);
        assert_eq!(fill("{a} {{b}}\n{b.c}!").expect("filled"), "x{y} {b}\n3!");
        assert_eq!(fill("").expect("filled"), "");
        let error = fill("{list}").expect_err("a list").to_string();
        assert_eq!(
            error,
            "r:1: field \"list\" must be a text or a number, not a list"
        );
    }

    #[test]
    fn braces_must_match() {
        for (text, part) in [
            ("a {b", "a { without"),
            ("a } b", "a } without"),
            ("{}", "{} is no field name"),
            ("{ a }", "{ a } is no field name"),
            ("{a{b}}", "{a{b} is no field name"),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
