use crate::DataError;
use crate::near::nearest;
use serde_json::{Map, Value};

/// One row of a data set: named values, and where they were read, so that every complaint about a
/// row can say which one it is.
///
/// Fields are named by path: `answers.text` is the field `text` of the object `answers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    number: usize,
    location: String,
    fields: Map<String, Value>,
}

impl Row {
    /// A row with its number in the split (from 0), a place for people (`train.jsonl:3`), and its
    /// fields.
    pub fn new(number: usize, location: impl Into<String>, fields: Map<String, Value>) -> Self {
        Self {
            number,
            location: location.into(),
            fields,
        }
    }

    /// Number of the row in its split, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The file and line, or the file and row, this was read from.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// A text field.
    ///
    /// # Errors
    /// [`DataError::MissingField`] and [`DataError::WrongType`].
    pub fn text(&self, field: &str) -> Result<&str, DataError> {
        match self.value(field)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong_type(field, "a text", other)),
        }
    }

    /// A field that is a list of texts, at least one.
    ///
    /// # Errors
    /// [`DataError::MissingField`], [`DataError::WrongType`] and [`DataError::EmptyList`].
    pub fn texts(&self, field: &str) -> Result<Vec<&str>, DataError> {
        let expected = "a list of texts";
        let Value::Array(items) = self.value(field)? else {
            return Err(self.wrong_type(field, expected, self.value(field)?));
        };
        if items.is_empty() {
            return Err(DataError::EmptyList {
                location: self.location.clone(),
                field: field.to_owned(),
            });
        }
        items
            .iter()
            .map(|item| {
                item.as_str()
                    .ok_or_else(|| self.wrong_type(field, expected, item))
            })
            .collect()
    }

    /// A class label from 0 to `classes - 1`.
    ///
    /// # Errors
    /// [`DataError::MissingField`], [`DataError::WrongType`] if it is no whole number, and
    /// [`DataError::LabelOutOfRange`].
    pub fn label(&self, field: &str, classes: usize) -> Result<usize, DataError> {
        let value = self.value(field)?;
        let Value::Number(number) = value else {
            return Err(self.wrong_type(field, "a whole number", value));
        };
        if number.is_f64() {
            return Err(self.wrong_type(field, "a whole number", value));
        }
        number
            .as_u64()
            .and_then(|label| usize::try_from(label).ok())
            .filter(|&label| label < classes)
            .ok_or_else(|| DataError::LabelOutOfRange {
                location: self.location.clone(),
                field: field.to_owned(),
                label: number.to_string(),
                largest: classes.saturating_sub(1),
            })
    }

    /// The value of a field, whatever it is.
    ///
    /// # Errors
    /// [`DataError::MissingField`].
    pub fn value(&self, field: &str) -> Result<&Value, DataError> {
        let mut names = field.split('.');
        let mut value = names.next().and_then(|name| self.fields.get(name));
        for name in names {
            value = value.and_then(|v| v.get(name));
        }
        value.ok_or_else(|| DataError::MissingField {
            location: self.location.clone(),
            field: field.to_owned(),
            near: nearest(field, self.fields.keys().map(String::as_str)).map(str::to_owned),
            present: self
                .fields
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    pub(crate) fn wrong_type(
        &self,
        field: &str,
        expected: &'static str,
        found: &Value,
    ) -> DataError {
        DataError::WrongType {
            location: self.location.clone(),
            field: field.to_owned(),
            expected,
            found: type_name(found),
        }
    }
}

/// What a JSON value is, in words.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Row::new(
            4,
            "train.jsonl:5",
            serde_json::from_str(json).expect("an object"),
        )
    }

    fn message<T: std::fmt::Debug>(result: Result<T, DataError>) -> String {
        result.expect_err("a bad field").to_string()
    }

    #[test]
    fn reads_what_is_there() {
        let row = row(r#"{"a": "x", "b": {"c": ["y", "z"]}, "label": 1}"#);
        assert_eq!(row.text("a").expect("a text"), "x");
        assert_eq!(row.texts("b.c").expect("two texts"), ["y", "z"]);
        assert_eq!(row.label("label", 2).expect("in range"), 1);
        assert_eq!(row.number(), 4);
    }

    #[test]
    fn a_missing_field_says_where_and_what_there_is_instead() {
        let row = row(r#"{"a": "x", "b": {"c": []}}"#);
        assert_eq!(
            message(row.text("sentence")),
            "train.jsonl:5: field `sentence` is missing; the row has: a, b"
        );
        assert!(
            message(self::row(r#"{"text": ""}"#).text("texts")).contains("did you mean `text`?")
        );
        assert!(message(row.texts("b.d")).contains("`b.d` is missing"));
        assert!(message(row.texts("a.d")).contains("`a.d` is missing"));
        assert_eq!(
            message(row.texts("b.c")),
            "train.jsonl:5: field `b.c` is an empty list, at least one entry is needed"
        );
    }

    #[test]
    fn a_field_of_another_type_says_what_it_is() {
        let row = row(r#"{"a": 1, "b": ["x", null], "label": "1", "half": 0.5}"#);
        assert_eq!(
            message(row.text("a")),
            "train.jsonl:5: field `a` must be a text, not a whole number"
        );
        assert!(message(row.texts("b")).contains("must be a list of texts, not null"));
        assert!(message(row.texts("a")).contains("must be a list of texts, not a whole number"));
        assert!(message(row.label("label", 2)).contains("must be a whole number, not a text"));
        assert!(message(row.label("half", 2)).contains("not a number with a fraction"));
    }

    #[test]
    fn labels_are_checked() {
        let row = row(r#"{"hidden": -1, "two": 2, "huge": 18446744073709551615}"#);
        assert_eq!(
            message(row.label("hidden", 2)),
            "train.jsonl:5: field `hidden` is -1, but this task's labels are 0 to 1 \
             (-1 marks hidden labels: is this a test split?)"
        );
        assert!(message(row.label("two", 2)).contains("is 2, but"));
        assert!(message(row.label("huge", 2)).contains("is 18446744073709551615, but"));
    }
}
