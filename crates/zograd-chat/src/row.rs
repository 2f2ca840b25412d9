//! Chats as rows have them.

use crate::RowError;
use crate::chat::{Chat, Message, Role};
use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// The fields that say what is asked, and for messages also what is answered: where a row belongs depends on them.
pub const FIELDS: [&str; 6] = [
    "messages",
    "conversations",
    "system",
    "prompt",
    "instruction",
    "input",
];

/// The most messages of a chat: where the assistant speaks is found by rendering what comes before each of its turns, so
/// that time grows with the square of their number.
const MAX_MESSAGES: usize = 1000;

/// The lists of messages.
const LISTS: [&str; 2] = ["messages", "conversations"];

/// A question's field with those that its answer may have.
const PAIRS: [(&str, &[&str]); 2] = [
    ("prompt", &["response", "completion"]),
    ("instruction", &["output", "response"]),
];

impl Chat {
    /// Whether a row has the fields of a chat, right or wrong.
    pub fn is_in(row: &Fields) -> bool {
        let has = |field: &str| row.contains_key(field);
        LISTS.into_iter().any(has)
            || PAIRS.iter().any(|(question, answers)| {
                has(question) && answers.iter().any(|answer| has(answer))
            })
    }

    /// The chat in a row that is to be learnt from: it ends with an answer.
    ///
    /// | fields | from |
    /// |---|---|
    /// | `messages`: `role` and `content` | OpenAI, Hugging Face |
    /// | `conversations`: `from` (`human`, `gpt`) and `value` | ShareGPT |
    /// | `prompt`, and `response` or `completion` | texts, or lists of messages |
    /// | `instruction`, `input` that may be blank, and `output` | Alpaca |
    ///
    /// `system` says how the assistant is to be, where no message does; `tools` goes to the template. A list may be a text in
    /// JSON, as tables without lists have it.
    ///
    /// # Errors
    /// What is wrong, with the number of the message.
    pub fn of_row(row: &Fields) -> Result<Self, RowError> {
        let chat = Self::of_row_to_answer(row)?;
        if chat.answers() == 0 {
            return Err(RowError::NoAnswer);
        }
        if let Some(last) = chat.messages.last()
            && last.role == Role::Assistant
            && is_blank(last)
        {
            return Err(RowError::BlankAnswer);
        }
        match chat.messages.last() {
            Some(last) if last.role != Role::Assistant => Err(RowError::Unanswered {
                role: last.role.to_string(),
            }),
            _ => Ok(chat),
        }
    }

    /// The chat in a row that may end with a question.
    ///
    /// # Errors
    /// As [`of_row`](Self::of_row), but for an answer that is missing.
    pub fn of_row_to_answer(row: &Fields) -> Result<Self, RowError> {
        let mut messages = all(row)?;
        if let Some(system) = text_of(row, "system")?.filter(|text| !text.is_empty())
            && messages
                .first()
                .is_none_or(|first| first.role != Role::System)
        {
            messages.insert(0, Message::plain(Role::System, system));
        }
        let says = |message: &&Message| message.role != Role::Assistant;
        if messages.iter().filter(says).all(is_blank) {
            return Err(RowError::NothingAsked);
        }
        Ok(Self {
            messages,
            tools: match row.get("tools") {
                Some(Value::String(text)) => unpacked(text).unwrap_or_else(|| text.clone().into()),
                tools => tools.cloned().unwrap_or_default(),
            },
        })
    }
}

/// Whether a message says nothing, and has no other field that might.
fn is_blank(message: &Message) -> bool {
    message.content.trim().is_empty() && message.fields.len() <= 2
}

fn all(row: &Fields) -> Result<Vec<Message>, RowError> {
    // in a table every row has all fields, and null or an empty cell where it has nothing
    let has_other = |field: &str| {
        let mut others = LISTS.into_iter().chain(["prompt", "instruction"]);
        others.any(|other| other != field && row.get(other).is_some_and(|value| !is_nothing(value)))
    };
    let there = |field: &str| {
        row.get(field)
            .filter(|value| !is_nothing(value) || !has_other(field))
    };
    for field in LISTS {
        if let Some(value) = there(field) {
            return list(field, value);
        }
    }
    if let Some(prompt) = there("prompt") {
        let mut messages = turns("prompt", prompt, Role::User)?;
        let answer = ["response", "completion"]
            .into_iter()
            .find_map(|field| Some((field, row.get(field).filter(|value| !is_nothing(value))?)));
        if let Some((field, answer)) = answer {
            messages.extend(turns(field, answer, Role::Assistant)?);
        }
        return Ok(messages);
    }
    if row.contains_key("instruction") {
        let instruction = text_of(row, "instruction")?.unwrap_or_default();
        let input = text_of(row, "input")?.filter(|text| !text.trim().is_empty());
        let question = match input {
            Some(input) => format!("{instruction}\n\n{input}"),
            None => instruction.to_owned(),
        };
        let mut messages = vec![Message::plain(Role::User, &question)];
        for field in ["output", "response"] {
            if let Some(answer) = text_of(row, field)?.filter(|text| !text.is_empty()) {
                messages.push(Message::plain(Role::Assistant, answer));
                break;
            }
        }
        return Ok(messages);
    }
    let present: Vec<&str> = row.keys().map(String::as_str).collect();
    Err(RowError::NoChat {
        present: present.join(", "),
    })
}

/// A text field; none if it is missing or null.
fn text_of<'r>(row: &'r Fields, field: &'static str) -> Result<Option<&'r str>, RowError> {
    match row.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(format!("field {field:?}"), "a text", other)),
    }
}

/// What is missing as good as when the field is.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A list of objects that a table without lists, such as CSV, has as a text in JSON.
fn unpacked(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let items = value.as_array()?;
    items.iter().all(Value::is_object).then_some(value)
}

/// The same, if the objects are messages: a prompt may be any text.
fn unpacked_messages(text: &str) -> Option<Value> {
    let is_message = |item: &Value| item.get("role").or(item.get("from")).is_some();
    let value = unpacked(text)?;
    let items = value.as_array()?;
    (!items.is_empty() && items.iter().all(is_message)).then_some(value)
}

/// A text said in this role, or messages.
fn turns(field: &'static str, value: &Value, role: Role) -> Result<Vec<Message>, RowError> {
    match value {
        Value::String(text) => match unpacked_messages(text) {
            Some(messages) => list(field, &messages),
            None => Ok(vec![Message::plain(role, text)]),
        },
        Value::Array(_) => list(field, value),
        other => Err(wrong(
            format!("field {field:?}"),
            "a text or a list of messages",
            other,
        )),
    }
}

fn list(field: &'static str, value: &Value) -> Result<Vec<Message>, RowError> {
    let unpacked = value.as_str().and_then(unpacked);
    let value = unpacked.as_ref().unwrap_or(value);
    let Value::Array(items) = value else {
        return Err(wrong(
            format!("field {field:?}"),
            "a list of messages",
            value,
        ));
    };
    if items.is_empty() {
        return Err(RowError::Empty { field });
    }
    if items.len() > MAX_MESSAGES {
        return Err(RowError::TooMany {
            field,
            messages: items.len(),
            most: MAX_MESSAGES,
        });
    }
    items
        .iter()
        .enumerate()
        .map(|(k, item)| message(k + 1, item))
        .collect()
}

fn message(number: usize, value: &Value) -> Result<Message, RowError> {
    let Value::Object(fields) = value else {
        return Err(wrong(format!("message {number}"), "an object", value));
    };
    let (who, what) = match fields.contains_key("from") {
        true => ("from", "value"),
        false => ("role", "content"),
    };
    let missing = |field| RowError::Missing {
        message: number,
        field,
    };
    let name = match fields.get(who).ok_or_else(|| missing(who))? {
        Value::String(name) => name,
        other => {
            let place = format!("{who:?} of message {number}");
            return Err(wrong(place, "a text", other));
        }
    };
    let role = role(name).ok_or_else(|| RowError::Role {
        message: number,
        role: name.clone(),
        known: Role::ALL.map(Role::name).join(", "),
    })?;
    let others: Fields = fields
        .iter()
        .filter(|(key, _)| *key != who && *key != what)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let content = match fields.get(what) {
        // a call says nothing
        None | Some(Value::Null) if others.contains_key("tool_calls") => String::new(),
        None => return Err(missing(what)),
        Some(content) => text(number, what, content)?,
    };
    Ok(Message::new(role, content, others))
}

/// The text of a message: one, or parts that are texts.
fn text(number: usize, field: &str, content: &Value) -> Result<String, RowError> {
    let wrong = |found: &Value| {
        let place = format!("{field:?} of message {number}");
        wrong(place, "a text, or a list of parts that are texts", found)
    };
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| match part.get("text") {
                Some(Value::String(text)) => Ok(text.as_str()),
                _ => Err(wrong(part)),
            });
            texts.collect()
        }
        other => Err(wrong(other)),
    }
}

/// A role by its name, also as ShareGPT has it.
fn role(name: &str) -> Option<Role> {
    match name {
        "human" => Some(Role::User),
        "gpt" => Some(Role::Assistant),
        "observation" => Some(Role::Tool),
        _ => Role::ALL.into_iter().find(|role| role.name() == name),
    }
}

fn wrong(place: String, expected: &'static str, found: &Value) -> RowError {
    RowError::WrongType {
        place,
        expected,
        found: match found {
            Value::Null => "null".into(),
            Value::Bool(_) => "true or false".into(),
            Value::Number(_) => "a number".into(),
            Value::String(_) => "a text".into(),
            Value::Array(_) => "a list".into(),
            Value::Object(fields) => match fields.get("type").and_then(Value::as_str) {
                Some(kind) => format!("an object of type {kind:?}"),
                None => "an object".into(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Fields {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn rows_of_all_kinds_are_read() {
        for (json, text) in [
            (
                r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, {"role": "assistant", "content": "c"}]}"#,
                "system: s\nuser: ab\nassistant: c",
            ),
            (
                r#"{"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#,
                "system: s\nuser: a\nassistant: b",
            ),
            (
                r#"{"prompt": "a", "response": "b"}"#,
                "user: a\nassistant: b",
            ),
            (
                r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
                "user: a\nassistant: b",
            ),
            (
                r#"{"messages": null, "prompt": "a", "instruction": null, "response": "b"}"#,
                "user: a\nassistant: b",
            ),
            (
                r#"{"prompt": "", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
                "user: a\nassistant: b",
            ),
            (
                r#"{"messages": null, "instruction": "a", "output": "b"}"#,
                "user: a\nassistant: b",
            ),
            (
                r#"{"instruction": "a", "input": "b", "output": "c"}"#,
                "user: a\n\nb\nassistant: c",
            ),
            (
                r#"{"instruction": "a", "input": " ", "output": "c"}"#,
                "user: a\nassistant: c",
            ),
        ] {
            assert!(Chat::is_in(&row(json)), "{json}");
            assert_eq!(Chat::of_row(&row(json)).expect(json).to_string(), text);
        }
        for json in [
            r#"{"prompt": "a"}"#,
            r#"{"text": "a", "label": 1}"#,
            r#"{"instruction": "a"}"#,
            "{}",
        ] {
            assert!(!Chat::is_in(&row(json)), "{json}");
        }
    }

    /// As CSV and the Parquet files of `predict` have them.
    #[test]
    fn lists_may_be_texts_in_json() {
        let messages =
            r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#;
        for (fields, tools) in [
            (
                vec![("messages", messages), ("tools", r#"[{"name": "f"}]"#)],
                true,
            ),
            (vec![("prompt", messages)], false),
        ] {
            let fields = fields.into_iter();
            let row: Fields = fields
                .map(|(key, text)| (key.to_owned(), text.into()))
                .collect();
            let chat = Chat::of_row(&row).expect("a chat");
            assert_eq!(chat.to_string(), "user: a\nassistant: b");
            assert_eq!(chat.tools.is_array(), tools);
        }
        // a prompt may begin like a list and is none
        for text in ["[1, 2] is a list", r#"[{"x": 1}]"#, "[]", "[1]"] {
            let row = row(&serde_json::json!({"prompt": text, "response": "b"}).to_string());
            let chat = Chat::of_row(&row).expect("a chat");
            assert_eq!(chat.messages[0].content, text);
        }
    }

    #[test]
    fn what_a_message_has_beside_goes_on() {
        let json = r#"{"tools": [{"name": "f"}], "messages": [{"role": "user", "content": "a", "name": "x"},
            {"role": "assistant", "content": null, "tool_calls": [1]}]}"#;
        let chat = Chat::of_row(&row(json)).expect("a chat");
        assert_eq!(chat.messages[0].fields["name"], "x");
        assert_eq!(chat.messages[1].fields["content"], "");
        assert_eq!(chat.messages[1].fields["tool_calls"][0], 1);
        assert_eq!(chat.tools[0]["name"], "f");
    }

    #[test]
    fn a_question_is_a_chat_without_its_answer() {
        let answered = Chat::of_row(&row(r#"{"prompt": "a", "response": "b"}"#)).expect("a chat");
        assert_eq!(answered.answer(), Some("b"));
        assert_eq!(answered.question(), Chat::asked(None, "a"));
        let asked = row(r#"{"prompt": "a", "response": ""}"#);
        let asked = Chat::of_row_to_answer(&asked).expect("a question");
        assert_eq!(asked, asked.question());
    }

    #[test]
    fn every_wrong_row_is_told_in_a_line() {
        for (json, said) in [
            (r#"{"text": "a"}"#, "it is no chat"),
            (
                r#"{"messages": "a"}"#,
                "field \"messages\" must be a list of messages, not a text",
            ),
            (r#"{"messages": []}"#, "field \"messages\" has no messages"),
            (
                r#"{"messages": ["a"]}"#,
                "message 1 must be an object, not a text",
            ),
            (
                r#"{"messages": [{"content": "a"}]}"#,
                "message 1 has no \"role\"",
            ),
            (
                r#"{"messages": [{"role": "user"}]}"#,
                "message 1 has no \"content\"",
            ),
            (
                r#"{"messages": [{"role": "user", "content": null}]}"#,
                "\"content\" of message 1 must be a text, or a list of parts that are texts, not null",
            ),
            (
                r#"{"messages": [{"role": "user", "content": [{"type": "image"}]}]}"#,
                "not an object of type \"image\"",
            ),
            (
                r#"{"messages": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]}"#,
                "message 2 has the role \"bot\"; the roles are system, developer, user, assistant, tool",
            ),
            (
                r#"{"messages": [{"role": 1, "content": "a"}]}"#,
                "\"role\" of message 1 must be a text",
            ),
            (
                r#"{"messages": [{"role": "user", "content": "a"}]}"#,
                "no turn of the assistant",
            ),
            (
                r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}"#,
                "ends with a turn of the user",
            ),
            (r#"{"prompt": " ", "response": "a"}"#, "nothing to answer"),
            (
                r#"{"prompt": 1, "response": "a"}"#,
                "field \"prompt\" must be a text or a list of messages",
            ),
            (
                r#"{"prompt": "a", "response": null}"#,
                "no turn of the assistant",
            ),
            (
                r#"{"instruction": "a", "output": 2}"#,
                "field \"output\" must be a text, not a number",
            ),
        ] {
            let error = Chat::of_row(&row(json)).expect_err(json).to_string();
            assert!(error.contains(said), "{json}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    /// Time grows with the square of the number of turns.
    #[test]
    fn a_chat_of_very_many_turns_is_refused() {
        let turns = |n: usize| {
            let one = r#"{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}"#;
            let row = format!(r#"{{"messages": [{}]}}"#, vec![one; n].join(", "));
            let row: Fields = serde_json::from_str(&row).expect("JSON");
            Chat::of_row(&row)
        };
        assert!(turns(500).is_ok());
        let error = turns(501).expect_err("too many").to_string();
        assert!(
            error.starts_with("field \"messages\" has 1002 messages"),
            "{error}"
        );
    }
}
