//! `vocab.json` with `merges.txt` gives the ids of `tokenizer.json`.

use std::fs;

use zograd_models::{OptConfig, tokenizer};

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
    let config = OptConfig::named("opt-125m").expect("known");
    assert!(tokenizer::check_fits(&single, &config).is_ok());
    let small = OptConfig::from_json(
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
