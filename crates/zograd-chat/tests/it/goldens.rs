//! Renderings of transformers 5.24 (`fixtures/chat.json`): six templates in the styles that are in use, four chats, with and
//! without the generation prompt.

use serde_json::Value;
use zograd_chat::{Chat, ChatTemplate};

/// The file with templates, chats and renderings.
pub fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/chat.json")).expect("JSON")
}

/// A template of the file.
pub fn template(fixture: &Value, name: &str) -> ChatTemplate {
    let source = fixture["templates"][name].as_str().expect("a template");
    let tokens = fixture["special"].as_object().expect("tokens");
    let tokens = tokens
        .iter()
        .map(|(role, token)| (role.clone(), token.as_str().expect("a token")));
    ChatTemplate::new(source, tokens).expect(name)
}

/// A chat of the file.
pub fn chat(fixture: &Value, name: &str) -> Chat {
    let mut row = serde_json::Map::new();
    row.insert("messages".into(), fixture["conversations"][name].clone());
    Chat::of_row_to_answer(&row).expect(name)
}

#[test]
fn texts_and_refusals_are_those_of_transformers() {
    let fixture = fixture();
    let rendered = fixture["rendered"].as_object().expect("renderings");
    assert_eq!(rendered.len(), 48);
    for (key, expected) in rendered {
        let parts: Vec<&str> = key.split('/').collect();
        let [name, conversation, form] = parts[..] else {
            panic!("{key}");
        };
        let template = template(&fixture, name);
        let chat = chat(&fixture, conversation);
        let text = template.render(&chat, form == "prompt");
        match expected["error"].as_str() {
            Some(message) => {
                let error = text.expect_err(key).to_string();
                let said = format!("the chat template refuses this chat: {message}");
                assert_eq!(error, said, "{key}");
            }
            None => assert_eq!(
                text.expect(key),
                expected["text"].as_str().expect("text"),
                "{key}"
            ),
        }
    }
}

#[test]
fn marked_spans_are_those_of_transformers() {
    let fixture = fixture();
    let rendered = fixture["rendered"].as_object().expect("renderings");
    let mut seen = 0;
    for (key, expected) in rendered {
        let Some(spans) = expected["assistant_spans"].as_array() else {
            continue;
        };
        let conversation = key.split('/').nth(1).expect("a chat");
        let chat = chat(&fixture, conversation);
        if chat.answers() == 0 {
            assert!(spans.is_empty());
            continue;
        }
        let found = template(&fixture, "marked").assistant(&chat).expect(key);
        // there in characters
        let characters = |byte: usize| found.text[..byte].chars().count();
        let found: Vec<Value> = found
            .spans
            .iter()
            .map(|span| serde_json::json!([characters(span.start), characters(span.end)]))
            .collect();
        assert_eq!(&found, spans, "{key}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// More of what templates use, with what Jinja in transformers makes of it.
#[test]
fn values_print_and_behave_as_in_python() {
    let chat = Chat::asked(Some("s"), "a <b> & \"c\"");
    for (template, text) in [
        ("{{ none }} {{ true }} {{ false }}", "None True False"),
        ("{{ 1.0 }} {{ 3 // 2 }} {{ 'a' ~ 1 }}", "1.0 1 a1"),
        (
            "{{ messages[1].content | tojson }}",
            "\"a <b> & \\\"c\\\"\"",
        ),
        (
            "{{ {'a': [1, 2], 'b': {}} | tojson }}",
            "{\"a\": [1, 2], \"b\": {}}",
        ),
        (
            "{{ {'b': [1], 'a': none} | tojson(indent=2, sort_keys=true) }}",
            "{\n  \"a\": null,\n  \"b\": [\n    1\n  ]\n}",
        ),
        (
            "{{ {'a': [1, 2]} | tojson(separators=(',', ':')) }}",
            "{\"a\":[1,2]}",
        ),
        (
            "{{ messages[0] | tojson }}",
            "{\"role\": \"system\", \"content\": \"s\"}",
        ),
        ("{{ ' a '.strip() + 'b,c'.split(',')[-1] }}", "ac"),
        (
            "{{ 'abc'.startswith('a') and 'abc'.endswith('c') }}",
            "True",
        ),
        (
            "{{ messages[::-1][0].role }} {{ messages[1:]|length }}",
            "user 1",
        ),
        ("{{ messages[0].get('name', 'none') }}", "none"),
        (
            "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}",
            "role=system;content=s;",
        ),
        (
            "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}",
            "system",
        ),
        (
            "{{ 'x' if tools is none else 'y' }}{{ 'z' if tools else 'w' }}",
            "xw",
        ),
        ("{{ 'x' if absent is defined else 'y' }}{{ absent }}", "y"),
        (
            "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='role') | join(',') }}",
            "user",
        ),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a') }}", "<a>"),
        (
            "{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}",
            "2",
        ),
        (
            "{{ bos_token }}{{ messages[0] is mapping }}{{ messages[0].content is string }}",
            "<s>TrueTrue",
        ),
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("  {% if true %}\n  a\n  {% endif %}\nb", "  a\nb"),
    ] {
        let compiled = ChatTemplate::new(template, [("bos_token", "<s>")]).expect(template);
        assert_eq!(
            compiled.render(&chat, false).expect(template),
            text,
            "{template}"
        );
    }
}
