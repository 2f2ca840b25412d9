//! Templates that are no good: each ends, with one line.

use zograd_chat::{Chat, ChatError, ChatTemplate};

fn render(template: &str) -> Result<String, ChatError> {
    let chat = Chat::asked(None, "a");
    ChatTemplate::new(template, [("bos_token", "<s>")])?.render(&chat, true)
}

#[test]
fn templates_that_go_on_are_stopped() {
    let doubled = "{% set ns = namespace(s='0123456789abcdef') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}x";
    let added = doubled.replace("ns.s ~ ns.s", "ns.s + ns.s");
    let replaced = "{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', 'aaaa') %}{% endfor %}x";
    let loops =
        "{% for i in range(10000) %}{% for j in range(10000) %}{{ i }}{% endfor %}{% endfor %}";
    let written = "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s }}{% endfor %}";
    for template in [doubled, &added, replaced, loops, written] {
        let error = render(template).expect_err(template);
        assert!(
            matches!(error, ChatError::Endless { .. }),
            "{template}: {error}"
        );
    }
}

#[test]
fn what_a_template_cannot_do_is_told() {
    let recursive = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    for (template, said) in [
        (recursive, "recursion limit exceeded"),
        ("{{ ('a' * 9000000) | tojson }}", "the JSON is too long"),
        ("{{ 'a' * 10000000000 }}", "does not end"),
        ("{{ nothing.at.all }}", "undefined"),
        ("a\n{{ messages.nonsense() }}", "line 2"),
        ("{{ unknown_function() }}", "unknown_function"),
        ("{% include 'other' %}", ""),
        ("{% if %}", "cannot be read: line 1"),
        ("a\n{% for %}", "cannot be read: line 2"),
        ("{% generation %}", "cannot be read"),
        (
            "{{ raise_exception('no\nsystem, please') }}",
            "refuses this chat: no system, please",
        ),
        (
            "{% macro f() %}{{ raise_exception('deep') }}{% endmacro %}{{ f() }}",
            "refuses this chat: deep",
        ),
        ("", "empty text"),
        ("{% if false %}a{% endif %}\n ", "empty text"),
    ] {
        let error = render(template).expect_err(template).to_string();
        assert!(error.contains(said), "{template}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// What the engine counts as few steps: lists that share their parts, and lists in lists.
#[test]
fn values_that_grow_are_stopped() {
    let grown = |begin: &str, by: &str, times: usize, end: &str| {
        format!(
            "{{% set ns = namespace(s={begin}) %}}{{% for i in range({times}) %}}{{% set ns.s = {by} %}}{{% endfor %}}{end}"
        )
    };
    let straight = format!("{{% set a = [1] %}}{}x", "{% set a = a + a %}".repeat(60));
    let macros = "{% macro f(x, n) %}{% if n %}{{ f(x + x, n - 1) }}{% endif %}{% endmacro %}{{ f([1], 60) }}x";
    for template in [
        grown("[1]", "ns.s + ns.s", 60, "{{ ns.s|length }}"),
        grown("[1]", "[1] + ns.s + ns.s", 60, "x"),
        grown("[1]", "[ns.s, ns.s]", 60, "{{ ns.s }}"),
        grown("[1]", "{'a': ns.s, 'b': ns.s}", 60, "{{ ns.s == ns.s }}"),
        grown("[1]", "dict(a=ns.s, b=ns.s)", 60, "{{ ns.s }}"),
        grown("[1]", "[ns.s]", 100_000, "{{ ns.s }}"),
        grown("[1]", "ns", 2, "{{ ns }}"),
        grown("[1]", "[ns]", 2, "{{ ns }}"),
        grown("[1]", "namespace(a=ns)", 2, "{{ ns }}"),
        straight,
        macros.to_owned(),
    ] {
        let error = render(&template).expect_err(&template).to_string();
        let said = [
            "too large",
            "nested too deep",
            "put into a value",
            "does not end",
            "recursion limit exceeded",
        ];
        assert!(
            said.iter().any(|said| error.contains(said)),
            "{template}: {error}"
        );
    }
    // as templates do add turns
    let sums = grown("[]", "ns.s + [i]", 1000, "{{ ns.s|length }}");
    assert_eq!(render(&sums).as_deref(), Ok("1000"));
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for (open, close) in [("(", ")"), ("[", "]")] {
        let deep = format!(
            "{{{{ {}1{} }}}}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        assert!(render(&deep).is_err());
    }
    let deep = format!(
        "{}a{}",
        "{% if true %}".repeat(50_000),
        "{% endif %}".repeat(50_000)
    );
    assert!(render(&deep).is_err());
}

#[test]
fn marks_in_a_chat_are_refused() {
    let template =
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}";
    let template = ChatTemplate::new(template, [("", "")]).expect("a template");
    let error = template.assistant(&Chat::asked(None, "a\u{fdd1}").answered("b"));
    assert_eq!(error, Err(ChatError::Mark('\u{fdd1}')));
}
