use crate::DataError;
use crate::near::nearest;
use serde_json::{Map, Number, Value};
use std::sync::Arc;

/// One row of a data set: named values, and where they were read, so that every complaint about a
/// row can say which one it is.
///
/// Fields are named by path: `answers.text` is the field `text` of the object `answers`, unless there is a field
/// whose name is `answers.text` as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    number: usize,
    location: String,
    fields: Map<String, Value>,
    label_optional: bool,
    is_untyped: bool,
    /// The line or object it was read from, in one line, where that has numbers of more digits than the fields.
    written: Option<Arc<str>>,
}

impl Row {
    /// A row with its number in the split (from 0), a place for people (`train.jsonl:3`), and its
    /// fields.
    pub fn new(number: usize, location: impl Into<String>, fields: Map<String, Value>) -> Self {
        Self {
            number,
            location: location.into(),
            fields,
            label_optional: false,
            is_untyped: false,
            written: None,
        }
    }

    /// The same row, of a table whose cells are all texts (CSV): a text that is written like a number counts as one where
    /// a number is needed.
    #[must_use]
    pub fn untyped(mut self) -> Self {
        self.is_untyped = true;
        self
    }

    /// The same row, of an object of JSON, in one line, that has numbers of more digits than the fields.
    #[must_use]
    pub(crate) fn written_as(mut self, text: &str) -> Self {
        self.written = Some(text.into());
        self
    }

    /// The object of JSON it was read from, in one line, if that has numbers of more digits than the fields.
    pub fn written(&self) -> Option<&Arc<str>> {
        self.written.as_ref()
    }

    /// The same row without a field.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.fields.shift_remove(field);
        self
    }

    /// The same row under another number.
    pub(crate) fn renumbered(mut self, number: usize) -> Self {
        self.number = number;
        self
    }

    /// The same row, which need not say what is right: tasks make a sample without right options or answers of it
    /// ([`is_unlabelled`](Self::is_unlabelled)).
    #[must_use]
    pub fn label_optional(mut self) -> Self {
        self.label_optional = true;
        self
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

    /// Whether this field, which says what is right, says nothing in a row that need not say it: it is missing, null or
    /// empty.
    pub fn is_unlabelled(&self, field: &str) -> bool {
        self.label_optional
            && match self.value(field) {
                Err(_) | Ok(Value::Null) => true,
                Ok(Value::String(text)) => text.is_empty(),
                Ok(Value::Array(items)) => items.is_empty(),
                Ok(_) => false,
            }
    }

    /// The option that is right by a [`label`](Self::label); none if the row need not say it and does not, or says -1,
    /// as the test splits on the hub do.
    ///
    /// # Errors
    /// As [`label`](Self::label).
    pub fn correct(&self, field: &str, classes: usize) -> Result<Vec<usize>, DataError> {
        let is_hidden = || {
            let label = self
                .value(field)
                .ok()
                .and_then(|value| self.number_in(value));
            self.label_optional && label.as_ref().and_then(whole) == Some(-1)
        };
        match self.is_unlabelled(field) || is_hidden() {
            true => Ok(vec![]),
            false => Ok(vec![self.label(field, classes)?]),
        }
    }

    /// A class label from 0 to `classes - 1`.
    ///
    /// # Errors
    /// [`DataError::MissingField`], [`DataError::WrongType`] if it is no whole number, and
    /// [`DataError::LabelOutOfRange`].
    pub fn label(&self, field: &str, classes: usize) -> Result<usize, DataError> {
        let value = self.value(field)?;
        let Some(number) = self.number_in(value) else {
            return Err(self.wrong_type(field, "a whole number", value));
        };
        let Some(label) = whole(&number) else {
            return Err(self.wrong_type(field, "a whole number", value));
        };
        usize::try_from(label)
            .ok()
            .filter(|&label| label < classes)
            .ok_or_else(|| DataError::LabelOutOfRange {
                location: self.location.clone(),
                field: field.to_owned(),
                label: number.to_string(),
                largest: classes.saturating_sub(1),
            })
    }

    /// A value of this row as a number, if it is one, or is written like one in a table of texts.
    pub fn number_in(&self, value: &Value) -> Option<Number> {
        match value {
            Value::Number(number) => Some(number.clone()),
            Value::String(text) if self.is_untyped => serde_json::from_str(text.trim()).ok(),
            _ => None,
        }
    }

    /// Whether it need not say what is right ([`label_optional`](Self::label_optional)).
    pub(crate) fn is_label_optional(&self) -> bool {
        self.label_optional
    }

    /// Whether this row's values are those of a table of texts ([`untyped`](Self::untyped)).
    pub(crate) fn is_untyped(&self) -> bool {
        self.is_untyped
    }

    /// The value of a field, whatever it is.
    ///
    /// # Errors
    /// [`DataError::MissingField`].
    pub fn value(&self, field: &str) -> Result<&Value, DataError> {
        at_path(&self.fields, field).ok_or_else(|| {
            let (near, present) = self.instead(field);
            DataError::MissingField {
                location: self.location.clone(),
                field: field.to_owned(),
                near,
                present,
            }
        })
    }

    /// What may be meant by a field that is missing, and what there is, in words: of the object that its path leads to, if
    /// it leads to one.
    pub(crate) fn instead(&self, field: &str) -> (Option<String>, String) {
        let present = names(&self.fields);
        let Some((path, inner)) = object_on(&self.fields, field) else {
            let near = nearest(field, self.fields.keys().map(String::as_str));
            return (near.map(str::to_owned), present);
        };
        let near = nearest(&field[path.len() + 1..], inner.keys().map(String::as_str));
        let near = near.map(|near| format!("{path}.{near}"));
        let inside = match inner.is_empty() {
            true => "none".to_owned(),
            false => names(inner),
        };
        let present =
            format!("{present}; a dot leads to a field within a field, and {path:?} has: {inside}");
        (near, present)
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

/// The value at a path of names joined by dots. Names may have dots themselves: the whole path is looked for
/// first, then what its first name leads to.
fn at_path<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let within = || {
        let mut dots = path.match_indices('.');
        dots.find_map(|(dot, _)| match fields.get(&path[..dot]) {
            Some(Value::Object(inner)) => at_path(inner, &path[dot + 1..]),
            _ => None,
        })
    };
    fields.get(path).or_else(within)
}

/// The innermost object that a path leads to before it ends, and the part of the path up to it.
fn object_on<'a, 'p>(
    fields: &'a Map<String, Value>,
    path: &'p str,
) -> Option<(&'p str, &'a Map<String, Value>)> {
    let mut dots = path.rmatch_indices('.');
    dots.find_map(|(dot, _)| match at_path(fields, &path[..dot]) {
        Some(Value::Object(inner)) => Some((&path[..dot], inner)),
        _ => None,
    })
}

/// The names of fields, in words.
fn names(fields: &Map<String, Value>) -> String {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.join(", ")
}

/// A whole number, also where it is written as `1.0`, as tables with gaps write it.
pub(crate) fn whole(number: &Number) -> Option<i128> {
    let exact = || Some(number.as_u64()?.into());
    let signed = || Some(number.as_i64()?.into());
    let float = || {
        let float = number.as_f64()?;
        // beyond this a float is not one whole number
        let bound = 2f64.powi(53);
        (float.fract() == 0.0 && float.abs() <= bound).then_some(float as i128)
    };
    None.or_else(exact).or_else(signed).or_else(float)
}

/// What a JSON value is, in words.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.as_f64().is_some_and(|n| n.fract() != 0.0) => {
            "a number with a fraction"
        }
        Value::Number(n) if whole(n).is_none() => "a number too large to be told exactly",
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
    fn a_name_with_dots_is_found_as_it_stands_and_as_a_path() {
        let row = row(
            r#"{"a.b": "flat", "c": {"d.e": "in", "d": {"f": "deep"}}, "c.d": {"g": "mixed"},
            "a": {"b": "nested"}}"#,
        );
        for (path, text) in [
            ("a.b", "flat"),
            ("c.d.e", "in"),
            ("c.d.f", "deep"),
            ("c.d.g", "mixed"),
        ] {
            assert_eq!(row.text(path).expect(path), text);
        }
        assert!(message(row.text("c.d.h")).contains("\"c.d.h\" is missing"));
    }

    #[test]
    fn whole_numbers_count_however_they_are_written() {
        let row = row(r#"{"a": 1.0, "b": 1e0, "c": -0.0, "d": -1.0, "e": 1.5}"#);
        for (field, label) in [("a", 1), ("b", 1), ("c", 0)] {
            assert_eq!(row.label(field, 2).expect(field), label);
        }
        assert!(message(row.label("d", 2)).contains("-1"));
        assert!(message(row.label("e", 2)).contains("not a number with a fraction"));
    }

    #[test]
    fn a_number_beyond_all_whole_ones_is_called_large() {
        let row = row(r#"{"a": 18446744073709551617, "b": 1e300, "c": -9223372036854775809}"#);
        for field in ["a", "b", "c"] {
            let message = message(row.label(field, 2));
            assert!(message.contains("not a number too large"), "{message}");
        }
    }

    #[test]
    fn a_missing_field_says_where_and_what_there_is_instead() {
        let row = row(r#"{"a": "x", "b": {"c": []}}"#);
        assert_eq!(
            message(row.text("sentence")),
            "train.jsonl:5: field \"sentence\" is missing; the row has: a, b"
        );
        assert!(
            message(self::row(r#"{"text": ""}"#).text("texts")).contains("did you mean \"text\"?")
        );
        assert!(message(row.texts("b.d")).contains("\"b.d\" is missing"));
        assert!(message(row.texts("a.d")).contains("\"a.d\" is missing"));
        assert_eq!(
            message(row.texts("b.c")),
            "train.jsonl:5: field \"b.c\" is an empty list, at least one entry is needed"
        );
    }

    #[test]
    fn a_field_missing_in_an_object_is_looked_for_there() {
        let row = row(r#"{"doc": {"txt": "x", "by": {"name": "y"}}, "docs.text": {}, "none": {}}"#);
        assert_eq!(
            message(row.text("doc.text")),
            "train.jsonl:5: field \"doc.text\" is missing, did you mean \"doc.txt\"?; the row has: doc, docs.text, none; \
             a dot leads to a field within a field, and \"doc\" has: txt, by"
        );
        let inner = message(row.text("doc.by.names"));
        assert!(inner.contains("did you mean \"doc.by.name\"?"), "{inner}");
        // nothing is like it, least of all the object itself
        let unlike = message(row.text("doc.label"));
        assert!(unlike.contains("\"doc.label\" is missing; the"), "{unlike}");
        let empty = message(row.text("none.a"));
        assert!(empty.ends_with("and \"none\" has: none"), "{empty}");
    }

    #[test]
    fn a_field_of_another_type_says_what_it_is() {
        let row = row(r#"{"a": 1, "b": ["x", null], "label": "1", "half": 0.5}"#);
        assert_eq!(
            message(row.text("a")),
            "train.jsonl:5: field \"a\" must be a text, not a whole number"
        );
        assert!(message(row.texts("b")).contains("must be a list of texts, not null"));
        assert!(message(row.texts("a")).contains("must be a list of texts, not a whole number"));
        assert!(message(row.label("label", 2)).contains("must be a whole number, not a text"));
        assert!(message(row.label("half", 2)).contains("not a number with a fraction"));
    }

    #[test]
    fn a_row_may_do_without_a_label() {
        for json in [
            r#"{"a": 1}"#,
            r#"{"label": null}"#,
            r#"{"label": ""}"#,
            r#"{"label": -1}"#,
        ] {
            assert!(row(json).correct("label", 2).is_err(), "{json}");
            let correct = row(json).label_optional().correct("label", 2);
            assert_eq!(correct.expect(json), [0usize; 0]);
        }
        let labelled = row(r#"{"label": 1}"#).label_optional();
        assert_eq!(labelled.correct("label", 2).expect("a label"), [1]);
        assert!(labelled.correct("label", 1).is_err());
    }

    #[test]
    fn labels_are_checked() {
        let row = row(r#"{"hidden": -1, "two": 2, "huge": 18446744073709551615}"#);
        assert_eq!(
            message(row.label("hidden", 2)),
            "train.jsonl:5: field \"hidden\" is -1, but this task's labels are 0 to 1 \
             (-1 marks hidden labels: is this a test split?)"
        );
        assert!(message(row.label("two", 2)).contains("is 2, but"));
        assert!(message(row.label("huge", 2)).contains("is 18446744073709551615, but"));
    }
}
