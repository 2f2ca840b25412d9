//! A task made of columns: what stands in the command line and in the rows, as a task file says it.

use crate::error::{Blame, Result, RunError, refuse};
use crate::settings::{Columns, Roles};
use crate::words::count;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use zograd_tasks::{DataError, Dataset, Row};

/// More classes than these are no classes.
const MAX_CLASSES: usize = 200;

/// A task file that was made, and what there is to say of it.
pub(super) struct Made {
    /// The file's text.
    pub text: String,
    /// What is probably not meant.
    pub notes: Vec<String>,
}

/// A class as it stands in the rows.
#[derive(Clone, Debug)]
struct Class {
    value: Value,
    word: String,
    /// Whether the rows have it as a number, and not as a text that reads like one.
    is_number: bool,
    rows: usize,
}

/// The columns that a row's place among the splits depends on: those of the prompt.
///
/// # Errors
/// A template whose braces do not match.
pub(super) fn fields(columns: &Columns, roles: Roles<'_>) -> Result<Vec<String>> {
    match &columns.template {
        None => Ok(input(roles).into_iter().map(String::from).collect()),
        Some(template) => zograd_tasks::template_fields(&unescaped(template))
            .map_err(|fix| RunError::input(format!("`template = {template}`: {fix}"))),
    }
}

/// The task that these columns of these rows are.
///
/// # Errors
/// A column that is not there, a single class, too many of them, a verbalizer that does not fit.
pub(super) fn made(
    columns: &Columns,
    roles: Roles<'_>,
    data: &Dataset,
    label_optional: bool,
) -> Result<Made> {
    check(columns, roles, data, label_optional)?;
    let mut file = toml::Table::new();
    file.insert("name".into(), name(data).into());
    let mut notes = Vec::new();
    let result = match roles {
        Roles::Choice { label, .. } => {
            let classes = match label {
                Some(label) => classes(label, data, label_optional)?,
                None => Vec::new(),
            };
            notes.extend(
                label
                    .into_iter()
                    .filter_map(|label| look_alike(label, &classes)),
            );
            let known = match &columns.verbalizer {
                Some(given) => verbalized(given, &classes)?,
                None => classes
                    .into_iter()
                    .map(|class| (class.value, class.word))
                    .collect(),
            };
            if known.is_empty() {
                if let Some(column) = &columns.label {
                    for split in data.splits() {
                        for row in data.range(split, 0..1).about("`data`")? {
                            row.value(column).about(format!("`label = {column}`"))?;
                        }
                    }
                }
                refuse!(
                    "no row says which classes there are: name them by `verbalizer`, such as neg=terrible,pos=great"
                );
            }
            let candidates = known.iter().map(|(_, word)| ending(word));
            file.insert(
                "candidates".into(),
                toml::Value::Array(candidates.collect()),
            );
            let labels = known.into_iter().map(|(value, _)| in_toml(&value));
            file.insert("labels".into(), toml::Value::Array(labels.collect()));
            let label = label.unwrap_or("label");
            file.insert("label".into(), label.into());
            label
        }
        Roles::Written { answer, .. } => {
            let answer = answer.unwrap_or("answer");
            file.insert("answer".into(), answer.into());
            if has_line_breaks(answer, data)? {
                file.insert("end".into(), "eos".into());
            }
            answer
        }
    };
    let template = match &columns.template {
        Some(template) => unescaped(template),
        None => {
            let input = input(roles).unwrap_or_default();
            format!("{{{input}}}\n{}:", plain(result))
        }
    };
    file.insert("template".into(), template.into());
    Ok(Made {
        text: toml::to_string(&file).or_input()?,
        notes,
    })
}

/// The column that is read, where no template names it.
fn input(roles: Roles<'_>) -> Option<&str> {
    match roles {
        Roles::Choice { text, .. } => text,
        Roles::Written { prompt, .. } => prompt,
    }
}

/// Refuses columns that the first row of a split does not have.
fn check(columns: &Columns, roles: Roles<'_>, data: &Dataset, label_optional: bool) -> Result<()> {
    let (input, result) = match roles {
        Roles::Choice { text, label } => (("text", text), ("label", label)),
        Roles::Written { prompt, answer } => (("prompt", prompt), ("answer", answer)),
    };
    let fields = fields(columns, roles)?;
    if let (key, Some(column)) = input {
        if column.contains(['{', '}', '\n']) {
            refuse!(
                "`{key} = {column}`: a column with braces in its name cannot be read; rename it"
            );
        }
        if !fields.iter().any(|field| field == column) {
            refuse!(
                "`{key} = {column}`: `template` does not read this column; put {{{column}}} into it"
            );
        }
    }
    let template = columns.template.as_deref().unwrap_or_default();
    let is_required = !label_optional;
    if let ((key, None), true) = (result, is_required) {
        refuse!("`{key}` is missing: the column that says what is right");
    }
    for split in data.splits() {
        for row in data.range(split, 0..1).about("`data`")? {
            for field in &fields {
                let named = match input {
                    (key, Some(column)) if column == field => format!("`{key} = {column}`"),
                    _ => format!("`template = {template}`"),
                };
                row.value(field).about(named)?;
            }
            if let (key, Some(column)) = result {
                match row.value(column) {
                    Err(_) if label_optional => {}
                    other => drop(other.about(format!("`{key} = {column}`"))?),
                }
            }
        }
    }
    Ok(())
}

/// The classes that rows have in this column, in their order: that of the numbers, or of the alphabet.
fn classes(label: &str, data: &Dataset, label_optional: bool) -> Result<Vec<Class>> {
    let named = || format!("`label = {label}`");
    let mut found: BTreeMap<String, Class> = BTreeMap::new();
    let mut rows = 0usize;
    let mut look = |row: Row| -> Result<(), RunError> {
        let Some(class) = class(label, &row).about(named())? else {
            return Ok(());
        };
        rows += 1;
        let known = found.len();
        found
            .entry(class.word.clone())
            .and_modify(|known| known.rows += 1)
            .or_insert(class);
        if found.len() > known && known >= MAX_CLASSES {
            refuse!(
                "{}: more than {MAX_CLASSES} different values in {} are no classes; is the column one of answers to write \
                 (`answer`)?",
                named(),
                count(rows, "row")
            );
        }
        Ok(())
    };
    for split in data.splits() {
        data.each(split, |row| look(row).map_err(Look))
            .map_err(|Look(error)| error)?;
    }
    let mut classes: Vec<Class> = found.into_values().collect();
    let number = |class: &Class| class.word.parse::<i64>().ok();
    if classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by_key(number);
    }
    if classes.iter().all(|class| class.is_number) {
        for class in &mut classes {
            class.value = number(class).map_or(Value::Null, Value::from);
        }
    }
    match (&classes[..], label_optional) {
        ([], false) => refuse!("{}: no row has anything in this column", named()),
        ([one], false) => refuse!(
            "{}: all {} say {:?}: there is nothing to tell apart",
            named(),
            count(rows, "row"),
            one.word
        ),
        _ => Ok(classes),
    }
}

/// An error of this crate where one of rows may come, too.
struct Look(RunError);

impl From<DataError> for Look {
    fn from(error: DataError) -> Self {
        Self(RunError::of_input(error))
    }
}

/// The class of a row, if it says it.
fn class(label: &str, row: &Row) -> Result<Option<Class>, DataError> {
    let value = match row.value(label) {
        Ok(Value::Null) | Err(_) => return Ok(None),
        Ok(value) => value,
    };
    let whole = row.number_in(value).filter(|number| {
        let number = number.as_f64().unwrap_or(f64::NAN);
        number.fract() == 0.0 && number.abs() < 1e15
    });
    let word = match (value, &whole) {
        (_, Some(number)) => format!("{:.0}", number.as_f64().unwrap_or_default()),
        (Value::String(text), None) if text.is_empty() => return Ok(None),
        (Value::String(text), None) => text.clone(),
        (Value::Bool(truth), None) => truth.to_string(),
        (other, None) => {
            return Err(DataError::UnknownValue {
                location: row.location().to_owned(),
                field: label.to_owned(),
                found: other.to_string(),
                expected: "a word or a whole number".into(),
            });
        }
    };
    Ok(Some(Class {
        value: value.clone(),
        word,
        is_number: whole.is_some(),
        rows: 1,
    }))
}

/// Classes that only case or blanks tell apart, in words.
fn look_alike(label: &str, classes: &[Class]) -> Option<String> {
    let plain = |class: &Class| class.word.trim().to_lowercase();
    let twin = |(k, class): (usize, &Class)| {
        let before = classes[..k]
            .iter()
            .find(|other| plain(other) == plain(class));
        before.map(|other| (other.clone(), class.clone()))
    };
    let (a, b) = classes.iter().enumerate().find_map(twin)?;
    Some(format!(
        "note: `label = {label}`: {:?} ({}) and {:?} ({}) are two classes; is that meant?",
        a.word,
        count(a.rows, "row"),
        b.word,
        count(b.rows, "row")
    ))
}

/// The classes with the words that were given for them, in the order they were given.
fn verbalized(given: &str, classes: &[Class]) -> Result<Vec<(Value, String)>> {
    let wrong = |what: String| RunError::input(format!("`verbalizer = {given}`: {what}"));
    let mut known: Vec<(Value, String)> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for pair in given.split(',') {
        let Some((name, word)) = pair.split_once('=') else {
            return Err(wrong(format!("{pair:?} is no LABEL=WORD")));
        };
        let (name, word) = (name.trim(), word.trim());
        if name.is_empty() || word.is_empty() {
            return Err(wrong(format!("{pair:?} is no LABEL=WORD")));
        }
        if names.contains(&name) || known.iter().any(|(_, known)| known == word) {
            return Err(wrong(format!(
                "{pair:?}: the label or the word stands there twice"
            )));
        }
        let class = classes.iter().find(|class| class.word == name);
        let value = match class {
            Some(class) => class.value.clone(),
            None => name.parse::<i64>().map_or(Value::from(name), Value::from),
        };
        names.push(name);
        known.push((value, word.to_owned()));
    }
    if known.len() < 2 {
        return Err(wrong("give at least two, with commas between them".into()));
    }
    match classes
        .iter()
        .find(|class| !names.contains(&class.word.as_str()))
    {
        Some(class) => Err(wrong(format!(
            "it has no word for {:?}, which {} have",
            class.word,
            count(class.rows, "row")
        ))),
        None => Ok(known),
    }
}

/// Whether an answer has several lines, at the first of which it would end.
fn has_line_breaks(answer: &str, data: &Dataset) -> Result<bool> {
    let is_broken = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.trim().contains('\n'))
    };
    let mut found = false;
    for split in data.splits() {
        let look = |row: Row| -> Result<(), DataError> {
            found |= match row.value(answer) {
                Ok(Value::Array(all)) => all.iter().any(is_broken),
                Ok(value) => is_broken(value),
                Err(_) => false,
            };
            Ok(())
        };
        data.each(split, look).about("`data`")?;
    }
    Ok(found)
}

/// What stands behind the prompt for a word.
fn ending(word: &str) -> toml::Value {
    format!(" {}", plain(word)).into()
}

/// A text as a template has it.
fn plain(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A template from a command line, where a line break is written as two characters.
fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}

fn in_toml(value: &Value) -> toml::Value {
    match (value, value.as_i64()) {
        (_, Some(number)) => number.into(),
        (Value::Bool(truth), None) => (*truth).into(),
        (Value::String(text), None) => text.clone().into(),
        (other, None) => other.to_string().into(),
    }
}

/// What reports call it: the file's name.
fn name(data: &Dataset) -> String {
    name_of(Path::new(data.name()))
}

/// What a task of the columns of this file or folder is called.
pub(super) fn name_of(data: &Path) -> String {
    let stem = data.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.chars().map(plain).collect();
    let name = name.trim_matches('-');
    match name {
        "" => "rows".into(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(rows: &[&str]) -> Dataset {
        Dataset::from_json_lines("data/my rows.csv", rows.join("\n"), rows.join("\n"))
    }

    fn choice() -> Columns {
        Columns {
            text: Some("review".into()),
            label: Some("mood".into()),
            ..Columns::default()
        }
    }

    fn of(columns: &Columns, rows: &[&str]) -> Result<Made> {
        let roles = columns.roles(None)?.expect("columns");
        made(columns, roles, &data(rows), false)
    }

    fn error(columns: &Columns, rows: &[&str]) -> String {
        match of(columns, rows) {
            Err(error) => error.to_string(),
            Ok(made) => panic!("{}", made.text),
        }
    }

    #[test]
    fn words_and_numbers_are_classes() {
        let made = of(
            &choice(),
            &[
                r#"{"review": "a", "mood": "so {so}"}"#,
                r#"{"review": "b", "mood": "bad"}"#,
            ],
        );
        assert_eq!(
            made.expect("a task").text,
            "candidates = [\" bad\", \" so {{so}}\"]\nlabel = \"mood\"\nlabels = [\"bad\", \"so {so}\"]\nname = \
             \"my-rows\"\ntemplate = \"\"\"\n{review}\nmood:\"\"\"\n"
        );
        let rows = [10, 9, -1].map(|k| format!(r#"{{"review": "a", "mood": {k}}}"#));
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let text = of(&choice(), &rows).expect("a task").text;
        assert!(text.contains("labels = [-1, 9, 10]"), "{text}");
    }

    #[test]
    fn a_verbalizer_has_a_word_for_every_class() {
        let rows = [
            r#"{"review": "a", "mood": 1}"#,
            r#"{"review": "b", "mood": 0}"#,
        ];
        let with = |verbalizer: &str| Columns {
            verbalizer: Some(verbalizer.into()),
            ..choice()
        };
        let text = of(&with("1=great, 0=bad"), &rows).expect("a task").text;
        assert!(
            text.contains("candidates = [\" great\", \" bad\"]")
                && text.contains("labels = [1, 0]"),
            "{text}"
        );
        for (verbalizer, part) in [
            ("1=great,2=bad", "no word for \"0\", which 2 rows have"),
            ("1=great", "at least two"),
            ("1=great,0", "\"0\" is no LABEL=WORD"),
            ("1=great,0=great", "twice"),
        ] {
            let error = error(&with(verbalizer), &rows);
            assert!(
                error.contains(part) && error.contains("`verbalizer = "),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_task_is_told_by_its_setting() {
        let row = r#"{"review": "a", "mood": "x", "half": 0.5}"#;
        assert!(
            error(&choice(), &[row])
                .ends_with("all 2 rows say \"x\": there is nothing to tell apart")
        );
        let half = Columns {
            label: Some("half".into()),
            ..choice()
        };
        assert!(error(&half, &[row]).contains("must be a word or a whole number"));
        let typo = Columns {
            text: Some("reviw".into()),
            ..choice()
        };
        let said = error(&typo, &[row]);
        assert!(
            said.starts_with("`text = reviw`: ") && said.contains("did you mean \"review\"?"),
            "{said}"
        );
        let elsewhere = Columns {
            template: Some("{mood} is it\\n".into()),
            ..choice()
        };
        assert!(error(&elsewhere, &[row]).contains("put {review} into it"));
    }

    #[test]
    fn answers_of_several_lines_end_with_the_text() {
        let columns = Columns {
            prompt: Some("q".into()),
            answer: Some("a".into()),
            ..Columns::default()
        };
        let one = of(&columns, &[r#"{"q": "x", "a": "y\n"}"#])
            .expect("a task")
            .text;
        let two = of(&columns, &[r#"{"q": "x", "a": "y\nz"}"#])
            .expect("a task")
            .text;
        assert!(
            !one.contains("end =") && two.contains("end = \"eos\""),
            "{two}"
        );
    }

    #[test]
    fn columns_of_two_kinds_are_refused() {
        let both = Columns {
            answer: Some("a".into()),
            ..choice()
        };
        assert!(both.roles(None).is_err() && choice().roles(Some("sst2")).is_err());
        assert_eq!(Columns::default().roles(None).expect("none"), None);
        let split = Columns {
            split: Some("0.9/0.1".into()),
            ..Columns::default()
        };
        assert!(!split.stand_for_a_task() && choice().stand_for_a_task());
    }
}
