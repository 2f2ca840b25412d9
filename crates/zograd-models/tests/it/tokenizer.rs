//! `vocab.json` with `merges.txt` gives the ids of `tokenizer.json`.

use std::fs;

use zograd_models::{ModelConfig, tokenizer};

/// Spaces, line ends, contractions, digits, scripts, emoji with modifiers, controls, specials.
const TEXTS: [&str; 24] = [
    "",
    " ",
    "   three spaces",
    "trailing space ",
    "Hello world",
    " Hello world",
    "it's they'll I'VE don't",
    "line\nbreak\r\n\ttab",
    "\n\n\n",
    "1234567890 3.14 1e-5",
    "snake_case CamelCase kebab-case",
    "!?...,;:\"'()[]{}<>",
    "Grüße, señor, à bientôt",
    "Ελληνικά и русский",
    "日本語のテキスト、中文",
    "العربية עברית हिन्दी",
    "👍🏽 👩‍👩‍👧 🇩🇪",
    "e\u{301} and é",
    "\u{200b}zero\u{200b}width\u{feff}",
    "\u{0}\u{1}\u{7f}",
    "</s> in <pad> between</s>",
    "<s> <unk> are ordinary text here",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "The quick brown fox\u{a0}jumps — over “the” lazy dog…",
];

#[test]
fn both_forms_give_the_same_ids() {
    let Some(folder) = crate::reference::shared("tokenizer/opt") else {
        return;
    };
    let single = tokenizer::load(&folder).expect("tokenizer.json loads");
    let parts = tempfile::tempdir().expect("a temporary folder");
    for name in ["vocab.json", "merges.txt"] {
        fs::copy(folder.join(name), parts.path().join(name)).expect("copied");
    }
    let parts = tokenizer::load(parts.path()).expect("vocab.json and merges.txt load");
    for text in TEXTS {
        let [a, b] = [&single, &parts].map(|tokenizer| {
            let encoding = tokenizer.encode(text, true).expect("encodes");
            encoding.get_ids().to_vec()
        });
        assert_eq!(a, b, "{text:?}");
        assert_eq!(a[0], 2, "{text:?} begins with </s>");
        let [a, b] =
            [&single, &parts].map(|tokenizer| tokenizer.decode(&a[1..], false).expect("decodes"));
        assert_eq!((a.as_str(), b.as_str()), (text, text));
    }
    let config = ModelConfig::named("opt-125m").expect("known");
    assert!(tokenizer::check_fits(&single, &config).is_ok());
    let small = ModelConfig::from_json(
        r#"{"vocab_size": 8192, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "ffn_dim": 8, "max_position_embeddings": 8}"#,
    );
    let error = tokenizer::check_fits(&parts, &small.expect("valid")).expect_err("too large");
    assert!(error.to_string().contains("50264"), "{error}");
}

#[test]
fn the_ids_are_those_of_the_model_card() {
    let Some(folder) = crate::reference::shared("models/opt-tiny-5m") else {
        return;
    };
    let tokenizer = tokenizer::load(&folder).expect("loads");
    let text = "unflinchingly bleak and desperate It was";
    let encoding = tokenizer.encode(text, true).expect("encodes");
    let expected = [2, 403, 73, 2189, 340, 1329, 3364, 441, 292, 5588, 528, 353];
    assert_eq!(encoding.get_ids(), expected);
}

#[test]
fn broken_folders_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let message = || {
        tokenizer::load(folder.path())
            .map(|_| ())
            .expect_err("must be refused")
            .to_string()
    };
    assert!(message().contains("vocab.json and merges.txt"));
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    put("vocab.json", r#"{"a": 0, "b": 1, "</s>": 2}"#);
    assert!(message().contains("holds no tokenizer"));
    put("merges.txt", "#version: 0.2\n");
    assert!(message().contains("has no <pad>"), "{}", message());
    put("merges.txt", "#version: 0.2\na c\n");
    assert!(message().contains("not a valid tokenizer file"));
    put("tokenizer.json", "{}");
    assert!(message().contains("tokenizer.json"));
}

/// A byte-level vocabulary of the letters and one merge, with these files beside it.
fn letters(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    let vocab = r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "a": 3, "b": 4, "\u0120": 5, "\u0120a": 6}"#;
    put("vocab.json", vocab);
    put("merges.txt", "#version: 0.2\n\u{120} a\n");
    for (name, text) in files {
        put(name, text);
    }
    folder
}

fn ids(folder: &tempfile::TempDir, text: &str) -> Vec<u32> {
    let tokenizer = tokenizer::load(folder.path()).expect("loads");
    let encoding = tokenizer.encode(text, true).expect("encodes");
    encoding.get_ids().to_vec()
}

#[test]
fn tokenizer_config_is_followed() {
    for (config, expected) in [
        // without it, and with what it says of OPT
        ("", [2, 3, 6].as_slice()),
        (
            r#"{"add_bos_token": true, "bos_token": "</s>"}"#,
            &[2, 3, 6],
        ),
        // Hugging Face's default
        ("{}", &[3, 6]),
        (r#"{"add_bos_token": false, "bos_token": "</s>"}"#, &[3, 6]),
        (r#"{"add_bos_token": true, "bos_token": "<s>"}"#, &[0, 3, 6]),
        (
            r#"{"add_bos_token": true, "bos_token": {"content": "<s>", "lstrip": false}}"#,
            &[0, 3, 6],
        ),
        (
            r#"{"add_bos_token": true, "add_prefix_space": true}"#,
            &[2, 6, 6],
        ),
        // a token that is none is put nowhere
        (r#"{"add_bos_token": true, "bos_token": null}"#, &[3, 6]),
        (
            r#"{"add_bos_token": true, "add_eos_token": true, "bos_token": "</s>", "eos_token": null}"#,
            &[2, 3, 6],
        ),
    ] {
        let folder = match config {
            "" => letters(&[]),
            config => letters(&[("tokenizer_config.json", config)]),
        };
        assert_eq!(ids(&folder, "a a"), expected, "{config}");
    }
}

/// The ids are those of Hugging Face's transformers 5.24.
#[test]
fn what_is_said_of_special_tokens_counts() {
    let whole = tokenizer::load(letters(&[]).path()).expect("loads");
    let whole = whole.to_string(false).expect("JSON");
    for (config, text, expected) in [
        (
            r#""split_special_tokens": true"#,
            "a</s>",
            [2, 3].as_slice(),
        ),
        (
            r#""additional_special_tokens": ["<new>", "a"]"#,
            "a<new>b",
            &[2, 3, 7, 4],
        ),
        (r#""extra_special_tokens": ["<new>"]"#, "<new>", &[2, 7]),
        (
            r#""extra_special_tokens": {"image_token": "<new>"}"#,
            "<new>a",
            &[2, 7, 3],
        ),
    ] {
        let config = format!(r#"{{"add_bos_token": true, "bos_token": "</s>", {config}}}"#);
        let beside = ("tokenizer_config.json", config.as_str());
        for files in [&[beside][..], &[beside, ("tokenizer.json", &whole)]] {
            assert_eq!(ids(&letters(files), text), expected, "{config}");
        }
    }
    let config = r#"{"add_bos_token": true, "bos_token": "<s>", "eos_token": "</s>", "add_eos_token": true}"#;
    let folder = letters(&[("tokenizer_config.json", config)]);
    assert_eq!(ids(&folder, "a"), [0, 3, 2]);
    // new ones come behind those with a role
    let config = r#"{"pad_token": "[PAD]", "additional_special_tokens": ["<new>"]}"#;
    let beside = ("tokenizer_config.json", config);
    let folder = letters(&[beside, ("tokenizer.json", &whole)]);
    assert_eq!(ids(&folder, "<new>[PAD]"), [2, 8, 7]);
}

/// BPE dropout leaves out merges at random: ids of a text, and with them a run, would not be the same twice.
#[test]
fn merges_are_not_left_out_at_random() {
    let whole = tokenizer::load(letters(&[]).path()).expect("loads");
    let whole = whole.to_string(false).expect("JSON");
    let random = whole.replace(r#""dropout":null"#, r#""dropout":0.5"#);
    assert_ne!(whole, random);
    let folder = letters(&[("tokenizer.json", random.as_str())]);
    let text = " a".repeat(100);
    let expected: Vec<u32> = std::iter::once(2).chain(vec![6; 100]).collect();
    assert_eq!(ids(&folder, &text), expected);
}

#[test]
fn the_special_tokens_map_of_older_folders_counts() {
    let config = (
        "tokenizer_config.json",
        r#"{"add_bos_token": true, "bos_token": "</s>"}"#,
    );
    let map = ("special_tokens_map.json", r#"{"bos_token": "<s>"}"#);
    assert_eq!(ids(&letters(&[config, map]), "a"), [0, 3]);
    let none = (
        "tokenizer_config.json",
        r#"{"add_bos_token": true, "bos_token": null}"#,
    );
    assert_eq!(ids(&letters(&[none, map]), "a"), [0, 3]);
    // where the configuration lists its tokens, it says everything
    let config = (
        "tokenizer_config.json",
        r#"{"add_bos_token": true, "bos_token": "</s>",
            "added_tokens_decoder": {"2": {"content": "</s>", "special": true}}}"#,
    );
    assert_eq!(ids(&letters(&[config, map]), "a"), [2, 3]);
}

#[test]
fn added_tokens_are_whole() {
    let added = ("added_tokens.json", r#"{"<two>": 8, "<one>": 7}"#);
    assert_eq!(ids(&letters(&[added]), "a <one>b<two>"), [2, 3, 5, 7, 4, 8]);
    let listed = (
        "tokenizer_config.json",
        r#"{"add_bos_token": true, "added_tokens_decoder": {"7": {"content": "<one>", "lstrip": true}}}"#,
    );
    assert_eq!(ids(&letters(&[listed]), "a <one>b"), [2, 3, 7, 4]);
    // beside a whole tokenizer, too, and with the prefix space
    let whole = tokenizer::load(letters(&[]).path()).expect("loads");
    let whole = whole.to_string(false).expect("JSON");
    let files = [
        ("tokenizer.json", whole.as_str()),
        ("added_tokens.json", r#"{"</s>": 2, "<one>": 7}"#),
        ("tokenizer_config.json", r#"{"add_prefix_space": true}"#),
    ];
    assert_eq!(ids(&letters(&files), "a<one>"), [2, 6, 7]);
}

/// The ids are those of Hugging Face's transformers 5.24.
#[test]
fn the_list_of_added_tokens_says_how_each_is_looked_for() {
    let token = |content: &str, flags: &str| {
        format!(r#"{{"content": "{content}", "special": true, "normalized": false, {flags}}}"#)
    };
    let before = r#""lstrip": true, "rstrip": false, "single_word": false"#;
    let behind = r#""lstrip": false, "rstrip": true, "single_word": true"#;
    for (named, list, text, expected) in [
        // named by nothing else, by a role, as special
        ("", ("7", "<m>", before), "a <m> a", [2, 3, 7, 6].as_slice()),
        (
            r#""mask_token": "<m>","#,
            ("7", "<m>", before),
            "a <m> a",
            &[2, 3, 7, 6],
        ),
        (
            r#""mask_token": "<m>","#,
            ("7", "<m>", behind),
            "a <m> a<m>",
            &[2, 3, 5, 7, 3],
        ),
        (
            r#""mask_token": {"__type": "AddedToken", "content": "<m>", "rstrip": true},"#,
            ("7", "<m>", before),
            "a <m> a",
            &[2, 3, 7, 6],
        ),
        (
            r#""extra_special_tokens": ["<m>"],"#,
            ("7", "<m>", before),
            "a <m> a",
            &[2, 3, 7, 6],
        ),
        (
            r#""additional_special_tokens": ["<m>"],"#,
            ("7", "<m>", before),
            "a <m> a",
            &[2, 3, 7, 6],
        ),
        // what begins a text and what pads
        ("", ("2", "</s>", before), "a </s>a", &[2, 3, 2, 3]),
        ("", ("1", "<pad>", before), "a <pad>a", &[2, 3, 1, 3]),
        (
            r#""pad_token": "<pad>","#,
            ("1", "<pad>", before),
            "a <pad>a",
            &[2, 3, 1, 3],
        ),
    ] {
        let (id, content, flags) = list;
        let token = token(content, flags);
        let config = format!(
            r#"{{"add_bos_token": true, "bos_token": "</s>", {named} "added_tokens_decoder": {{"{id}": {token}}}}}"#
        );
        let folder = letters(&[("tokenizer_config.json", config.as_str())]);
        assert_eq!(ids(&folder, text), expected, "{config}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_told_as_such() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1034\n";
    for name in ["tokenizer.json", "vocab.json", "merges.txt"] {
        let folder = letters(&[(name, pointer)]);
        let error = tokenizer::load(folder.path()).map(|_| ()).expect_err(name);
        let error = error.to_string();
        assert!(error.contains(name), "{error}");
        assert!(error.contains("git lfs pull"), "{error}");
    }
}

#[test]
fn settings_that_are_none_are_named() {
    for (name, text, part) in [
        ("added_tokens.json", r#"{"<one>": 9}"#, "the id 9"),
        ("added_tokens.json", r#"{"a": 9}"#, "the id 9"),
        (
            "added_tokens.json",
            r#"{"<one>": "7"}"#,
            "not texts with ids",
        ),
        ("added_tokens.json", "[]", "added_tokens.json"),
        (
            "tokenizer_config.json",
            r#"{"add_bos_token": "yes"}"#,
            "add_bos_token is \"yes\"",
        ),
        (
            "tokenizer_config.json",
            r#"{"bos_token": 2}"#,
            "bos_token is 2",
        ),
        (
            "tokenizer_config.json",
            r#"{"bos_token": "<bos>"}"#,
            "has no <bos>",
        ),
        (
            "tokenizer_config.json",
            r#"{"additional_special_tokens": "<new>"}"#,
            "additional_special_tokens is \"<new>\"",
        ),
        (
            "tokenizer_config.json",
            r#"{"extra_special_tokens": [7]}"#,
            "extra_special_tokens has 7",
        ),
        (
            "special_tokens_map.json",
            r#"{"pad_token": "[PAD]"}"#,
            "has no [PAD]",
        ),
    ] {
        let folder = letters(&[(name, text)]);
        let error = tokenizer::load(folder.path()).map(|_| ()).expect_err(text);
        let error = error.to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

/// Files that an editor on Windows saved.
#[test]
fn byte_order_marks_and_carriage_returns_change_nothing() {
    let plain = letters(&[]);
    let folder = letters(&[]);
    for name in ["vocab.json", "merges.txt"] {
        let text = fs::read_to_string(plain.path().join(name)).expect("read");
        let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        fs::write(folder.path().join(name), text).expect("written");
    }
    assert_eq!(ids(&folder, "a a"), ids(&plain, "a a"));
    let whole = tokenizer::load(plain.path()).expect("loads");
    let whole = whole.to_string(false).expect("JSON");
    let marked = format!("\u{feff}{whole}");
    let folder = letters(&[("tokenizer.json", marked.as_str())]);
    assert_eq!(ids(&folder, "a a"), ids(&plain, "a a"));
}

/// In a file of its own, else in the tokenizer's settings, alone or among others.
#[test]
fn chat_templates_are_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    let found = || {
        let chat = tokenizer::chat(folder.path()).expect("readable");
        let template = chat.template.map(|(file, text)| {
            let name = file
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, text)
        });
        (template, chat.tokens)
    };
    assert_eq!(found(), (None, vec![]));
    let config = "tokenizer_config.json";
    write(
        config,
        r#"{"eos_token": "</s>", "bos_token": {"content": "<s>"}, "chat_template": [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]}"#,
    );
    let tokens = vec![
        ("bos_token".to_owned(), "<s>".to_owned()),
        ("eos_token".to_owned(), "</s>".to_owned()),
    ];
    let template = |file: &str, text: &str| Some((file.to_owned(), text.to_owned()));
    assert_eq!(found(), (template(config, "d"), tokens.clone()));
    write(
        config,
        r#"{"eos_token": "</s>", "bos_token": "<s>", "chat_template": "c"}"#,
    );
    assert_eq!(found(), (template(config, "c"), tokens.clone()));
    write("chat_template.jinja", "j");
    assert_eq!(found(), (template("chat_template.jinja", "j"), tokens));
    write(config, r#"{"chat_template": 1}"#);
    fs::remove_file(folder.path().join("chat_template.jinja")).expect("removed");
    let error = tokenizer::chat(folder.path()).expect_err("a number");
    assert!(error.to_string().contains("chat_template is 1"), "{error}");
}
