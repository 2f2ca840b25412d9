//! How strategies are made from names and settings, and what stands in a log.

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use zograd_select::{
    Action, Configured, Method, MethodSpec, Methods, Setting, SkipReason, StepContext, Strategy,
    StrategyError, Told,
};

/// The built-in methods as they stand in logs, which stay readable.
const IN_LOGS: [&str; 10] = [
    r#"{"method":"mezo"}"#,
    r#"{"method":"n-spsa","queries":2}"#,
    r#"{"method":"gv","pool":4,"alpha":0.5,"faithful_cost":false}"#,
    r#"{"method":"gv-history"}"#,
    r#"{"method":"greedy","pool":4}"#,
    r#"{"method":"pool-regression","pool":4}"#,
    r#"{"method":"fzoo","pool":4}"#,
    r#"{"method":"hizoo","hessian_share":1e-8}"#,
    r#"{"method":"adamu","anneal_from":1024,"anneal_to":16000}"#,
    r#"{"method":"per-example","pool":4}"#,
];

fn refused(spec: &MethodSpec) -> String {
    let error = Methods::built_in().complete(spec).expect_err("refused");
    let built = Methods::built_in().build(spec).err();
    assert_eq!(built.as_ref(), Some(&error), "both refuse it alike");
    error.to_string()
}

#[test]
fn logs_keep_their_form() {
    let methods = Methods::built_in();
    for text in IN_LOGS {
        let spec: MethodSpec = serde_json::from_str(text).expect("a method");
        assert_eq!(serde_json::to_string(&spec).expect("JSON"), text);
        assert_eq!(methods.complete(&spec), Ok(spec.clone()));
        let name = MethodSpec::new(spec.name());
        let completed = methods.complete(&name).expect("known");
        assert_eq!(serde_json::to_string(&completed).expect("JSON"), text);
    }
    let names = IN_LOGS.map(|text| serde_json::from_str::<MethodSpec>(text).expect("a method"));
    assert!(methods.iter().map(Method::defaults).eq(names));
}

/// An order of the settings that is not the declared one changes nothing in the log.
#[test]
fn completed_settings_are_in_their_declared_order() {
    let gv = MethodSpec::new("gv").with("faithful-cost", true);
    let gv = gv.with("alpha", 0.25).with("pool", 8);
    let completed = Methods::built_in().complete(&gv).expect("valid");
    assert_eq!(
        serde_json::to_string(&completed).expect("JSON"),
        r#"{"method":"gv","pool":8,"alpha":0.25,"faithful_cost":true}"#
    );
}

/// Each setting is declared under its field's name, with a help text, and the defaults make a strategy.
#[test]
fn declarations_match_their_settings() {
    let methods = Methods::built_in();
    for method in methods.iter() {
        let defaults = method.defaults();
        let fields: BTreeSet<String> = defaults
            .settings()
            .keys()
            .map(|field| field.replace('_', "-"))
            .collect();
        let declared: BTreeSet<String> = method.settings.iter().map(|s| s.key.into()).collect();
        assert!(fields.is_subset(&declared), "{}", method.name);
        assert_eq!(method.settings.len(), declared.len(), "{}", method.name);
        for setting in method.settings {
            assert!(!setting.help.is_empty(), "{setting:?}");
            let Some(default) = defaults.settings().get(&setting.key.replace('-', "_")) else {
                // then it says in words what is done without it
                assert!(!setting.default.is_empty(), "{setting:?}");
                continue;
            };
            assert_eq!(setting.read(default).as_ref(), Ok(default), "{setting:?}");
        }
        assert!(!method.about.is_empty());
        assert_eq!(methods.complete(&defaults).as_ref(), Ok(&defaults));
        let strategy = methods.build(&defaults).expect("defaults are valid");
        assert_eq!(strategy.name(), method.name);
    }
}

/// A pool of which nothing is said to be shaped is logged as ever.
#[test]
fn shaping_is_logged_where_it_is_asked_for() {
    let methods = Methods::built_in();
    let plain = methods
        .complete(&MethodSpec::new("pool-regression"))
        .expect("valid");
    let text = serde_json::to_string(&plain).expect("JSON");
    assert_eq!(text, r#"{"method":"pool-regression","pool":4}"#);
    let ranks = MethodSpec::new("pool-regression").with("shaping", "ranks");
    let ranks = methods.complete(&ranks).expect("valid");
    let text = serde_json::to_string(&ranks).expect("JSON");
    assert_eq!(
        text,
        r#"{"method":"pool-regression","pool":4,"shaping":"ranks"}"#
    );
    let error = refused(&MethodSpec::new("pool-regression").with("shaping", "rank"));
    assert!(error.contains("z-score"), "{error}");
}

#[test]
fn numbers_are_read_with_care() {
    let greedy = |pool: Value| MethodSpec::new("greedy").with("pool", pool);
    let methods = Methods::built_in();
    let whole = methods.complete(&greedy(json!(4.0))).expect("whole");
    assert_eq!(whole, greedy(json!(4)));
    let gv = MethodSpec::new("gv").with("alpha", 1);
    let gv = methods.complete(&gv).expect("a number");
    assert_eq!(gv.settings()["alpha"], json!(1.0));
    for (value, shown) in [
        (json!(-1), "-1"),
        (json!(1e30), "1e+30"),
        (json!("4"), "\"4\""),
        (json!(4.5), "4.5"),
        (json!(null), "null"),
        (json!({"a": 1}), "{\"a\":1}"),
    ] {
        let error = refused(&greedy(value));
        let expected = format!("`pool = {shown}`: use a whole number from 0 to 2^64 - 1");
        assert_eq!(error, expected);
    }
    let switch = MethodSpec::new("gv").with("faithful-cost", 1);
    assert_eq!(refused(&switch), "`faithful-cost = 1`: use true or false");
}

#[test]
fn unknown_names_are_refused_with_a_hint() {
    let known = "the methods are mezo, n-spsa, gv, gv-history, greedy, pool-regression, fzoo, hizoo, adamu and \
                 per-example";
    for (spec, expected) in [
        (
            MethodSpec::new("greedily"),
            format!("`method = greedily`: did you mean greedy? {known}"),
        ),
        (MethodSpec::new("x"), format!("`method = x`: {known}")),
        (
            MethodSpec::new("n-spsa").with("querys", 1),
            "`querys`: the method n-spsa has no such setting; did you mean queries?".into(),
        ),
        (
            MethodSpec::new("n-spsa").with("faithful_cost", true),
            "`faithful-cost`: the method n-spsa has no such setting; methods with it: gv".into(),
        ),
        (
            MethodSpec::new("mezo").with("pool", 4),
            "`pool`: the method mezo has no such setting; methods with it: gv, greedy, pool-regression, fzoo and per-example"
                .into(),
        ),
        (
            MethodSpec::new("greedy").with("x", 4),
            "`x`: the method greedy has no such setting; its settings: pool".into(),
        ),
        (
            MethodSpec::new("mezo").with("x", 4),
            "`x`: the method mezo has no such setting; its settings: none".into(),
        ),
    ] {
        assert_eq!(refused(&spec), expected);
    }
}

/// A method from outside, with a setting that need not be given.
struct Idle {
    forwards: usize,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct IdleSettings {
    at_most: Option<u8>,
}

impl Configured for Idle {
    const NAME: &'static str = "idle";
    const ABOUT: &'static str = "Nothing";
    const SETTINGS: &'static [Setting] = &[Setting::count("at-most", "N", "Forwards of a step")];
    type Settings = IdleSettings;

    fn configured(settings: IdleSettings) -> Result<Self, StrategyError> {
        let forwards = settings.at_most.unwrap_or(7).into();
        Ok(Self { forwards })
    }
}

impl Strategy for Idle {
    fn next(&mut self, _: &StepContext, _: &[Told]) -> Result<Action, StrategyError> {
        Ok(Action::Skip(SkipReason::VanishingGradient))
    }

    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.forwards
    }
}

#[test]
fn a_method_from_outside_is_one_of_them() {
    let methods = Methods::built_in().with(Method::of::<Idle>());
    assert_eq!(methods.iter().count(), IN_LOGS.len() + 1);
    let idle = MethodSpec::new("idle");
    let completed = methods.complete(&idle).expect("known");
    let text = r#"{"method":"idle","at_most":null}"#;
    assert_eq!(serde_json::to_string(&completed).expect("JSON"), text);
    assert_eq!(methods.complete(&completed), Ok(completed.clone()));
    let forwards = |spec: &MethodSpec| methods.build(spec).map(|idle| idle.forwards());
    assert_eq!(forwards(&completed), Ok(7));
    assert_eq!(forwards(&idle.clone().with("at-most", 3.0)), Ok(3));
    // what the declaration allows and the type does not
    let error = forwards(&idle.with("at-most", 300)).expect_err("refused");
    let text = error.to_string();
    assert!(text.starts_with("`at-most = 300`: "), "{text}");
}

#[test]
fn a_method_replaces_one_of_its_name() {
    struct Loud;
    impl Configured for Loud {
        const NAME: &'static str = "gv";
        const ABOUT: &'static str = "Another";
        const SETTINGS: &'static [Setting] = &[];
        type Settings = zograd_select::NoSettings;
        fn configured(_: Self::Settings) -> Result<Self, StrategyError> {
            Ok(Self)
        }
    }
    impl Strategy for Loud {
        fn next(&mut self, _: &StepContext, _: &[Told]) -> Result<Action, StrategyError> {
            Ok(Action::Skip(SkipReason::VanishingGradient))
        }
        fn name(&self) -> &str {
            Self::NAME
        }
        fn forwards(&self) -> usize {
            1
        }
    }
    let methods = Methods::built_in().with(Method::of::<Loud>());
    assert_eq!(methods.iter().count(), IN_LOGS.len());
    assert_eq!(
        methods.get("gv").map(|method| method.about),
        Some("Another")
    );
}

fn value() -> impl proptest::strategy::Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0u64..20).prop_map(Value::from),
        (0u32..20).prop_map(|n| Value::from(f64::from(n))),
        any::<f64>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::from),
    ]
}

proptest! {
    /// Whatever stands for a setting, it is read or refused by name; read again, it is the same.
    #[test]
    fn completing_is_idempotent(at in any::<prop::sample::Index>(), setting in any::<prop::sample::Index>(), value in value()) {
        let methods = Methods::built_in();
        let all: Vec<_> = methods.iter().filter(|method| !method.settings.is_empty()).collect();
        let method = at.get(&all);
        let key = setting.get(method.settings).key;
        match methods.complete(&MethodSpec::new(method.name).with(key, value)) {
            Ok(completed) => {
                let text = serde_json::to_string(&completed).expect("JSON");
                let read: MethodSpec = serde_json::from_str(&text).expect("a method");
                prop_assert_eq!(&read, &completed);
                prop_assert_eq!(methods.complete(&read), Ok(completed));
            }
            Err(error) => prop_assert!(error.to_string().starts_with(&format!("`{key} = ")), "{error}"),
        }
    }
}
