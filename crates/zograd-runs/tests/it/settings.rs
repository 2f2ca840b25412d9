//! Settings: what goes with what, what is written down, and what is said of the rest.

use crate::support::{given, refusal};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toml::Value;
use zograd_runs::{
    BatchOptions, BlockOptions, Budget, CalibrationOptions, Columns, Draw, EvalOptions,
    ExampleCounts, Given, GradientOptions, InformedOptions, Inputs, Key, LoraOptions,
    LowRankOptions, Machine, MethodChoice, ObjectiveChoice, Owner, PerturbationOptions, Place,
    PrefixOptions, Preset, PresetChoice, Procedure, RewardOptions, Runs, SamplingOptions, Settings,
    SparseOptions, StepRuleOptions, StepSizes, TailOptions, Tune, TuneChoice,
};
use zograd_select::{Kind, Setting};
use zograd_tasks::PromptEncoder;
use zograd_trainer::{DecayToward, Limit};

const PROBING: &str = "linear-probing";
const GRADIENTS: [&str; 2] = ["adam", "adamw"];
const TAIL: &str = "tail";
/// The method whose examples have noise of their own: of low rank, and with losses that no biases are fitted to.
const PER_EXAMPLE: &str = "per-example";
/// Methods that keep a number for each weight.
const KEEP: [&str; 2] = ["hizoo", "adamu"];
const TUNES: [&str; 4] = ["full", "lora", "prefix", "head"];

/// Values that go with all others, for every setting but those below.
const FREE: &[(&str, &[&str])] = &[
    ("model", &["'facebook/opt-125m'"]),
    ("tokenizer", &["'tokens'"]),
    ("task", &["'sst2'", "'mine.toml'"]),
    ("data", &["'rows'"]),
    ("split", &["'0.9/0.1'", "'80/10/10'"]),
    ("chat-template", &["'chat.jinja'"]),
    ("bos-id", &["0", "2"]),
    ("max-length", &["32"]),
    ("max-new-tokens", &["5"]),
    ("train-examples", &["1", "64"]),
    ("dev-examples", &["0", "8"]),
    ("test-examples", &["8"]),
    ("lora-r", &["1", "4"]),
    ("lora-alpha", &["1", "0.5"]),
    ("lora-targets", &["['fc1']", "['v_proj', 'q_proj']"]),
    ("prefix-tokens", &["1", "7"]),
    ("prefix-init", &["'random'", "'real'"]),
    ("pool", &["2", "4", "5"]),
    ("alpha", &["0.5", "0.7"]),
    ("faithful-cost", &["true", "false"]),
    ("queries", &["1", "3"]),
    ("shaping", &["'z-score'", "'ranks'"]),
    ("hessian-share", &["1e-8", "0.5"]),
    ("anneal-from", &["0", "1024"]),
    ("anneal-to", &["1025", "16000"]),
    ("noise", &["'gaussian'", "'rademacher'"]),
    ("eps", &["1", "1e-3", "1e-12"]),
    ("scale-1d", &["0", "5", "1"]),
    ("scale-positions", &["1", "0.5"]),
    ("calibrate", &["true", "false"]),
    ("balanced", &["true", "false"]),
    ("perturbation-rank", &["1", "64"]),
    ("refresh", &["1", "500"]),
    ("block-order", &["'in-turn'", "'random'"]),
    ("mask", &["'random'", "'small'", "'large'"]),
    ("density", &["0.01", "1"]),
    ("lr", &["0", "1", "3e-7", "1e-300"]),
    ("schedule", &["'constant'", "'linear'", "'cosine'"]),
    ("weight-decay", &["0", "0.01"]),
    ("decay-toward", &["'zero'"]),
    ("max-grad-norm", &["1", "0.1", "inf"]),
    ("micro-batch", &["1", "3"]),
    ("recompute", &["true", "false"]),
    ("tail-step", &["'normalised'", "'sgd'"]),
    ("batch-size", &["1", "5"]),
    ("seed", &["0", "9223372036854775807"]),
    ("eval-every", &["0", "1", "7"]),
    ("best-by", &["'loss'", "'score'"]),
    ("eval-batch-size", &["1", "65536"]),
    ("threads", &["1", "1024"]),
    ("out", &["'runs/x'"]),
];

/// Settings that exclude some values of each other.
const BOUND: [&str; 41] = [
    "anchor-every",
    "answer",
    "arithmetic",
    "backend",
    "beta2",
    "device",
    "dtype",
    "eval-every-forwards",
    "examples",
    "forwards",
    "guard",
    "head-fit",
    "informed",
    "informed-scale",
    "label",
    "lr-forwards",
    "method",
    "momentum",
    "momentum-steps",
    "objective",
    "patience",
    "perturbation",
    "preset",
    "prompt",
    "reward",
    "reward-command",
    "reward-keys",
    "reward-length",
    "reward-pattern",
    "reward-timeout",
    "seconds",
    "step-scale",
    "steps",
    "temperature",
    "template",
    "text",
    "tokens",
    "top-k",
    "top-p",
    "tune",
    "verbalizer",
];

fn methods() -> Vec<&'static str> {
    let runs = Runs::new();
    let own = runs.methods().iter().map(|method| method.name);
    own.chain(GRADIENTS).chain([TAIL, PROBING]).collect()
}

/// What a method tunes.
fn tunes(method: &str) -> &'static [&'static str] {
    match method {
        PROBING => &["head"],
        PER_EXAMPLE => &["full"],
        _ => &TUNES,
    }
}

/// Whether it is a zeroth-order method.
fn perturbs(method: &str) -> bool {
    !GRADIENTS.contains(&method) && ![TAIL, PROBING].contains(&method)
}

/// The families of perturbations that a method has.
fn families(method: &str) -> &'static [&'static str] {
    match perturbs(method) {
        false => &["none"],
        true if method == PER_EXAMPLE => &["lozo", "subzero"],
        true => &["dense", "subzero", "lozo", "blocks", "sparse"],
    }
}

/// Whether a run that tunes so by this method, with these perturbations, has a setting, by the names of its owners.
fn has(key: &Key, method: &str, tune: &str, family: &str) -> bool {
    key.owners.iter().any(|owner| match *owner {
        "`perturbation = subzero` or lozo" => ["subzero", "lozo"].contains(&family),
        "`perturbation = blocks`" => family == "blocks",
        "`perturbation = sparse`" => family == "sparse",
        "every run" => true,
        "methods with steps" => method != PROBING,
        "zeroth-order methods" => perturbs(method),
        "adam, adamw" => GRADIENTS.contains(&method),
        "`tune = lora`" => tune == "lora",
        "`tune = prefix`" => tune == "prefix",
        owner => {
            assert!(methods().contains(&owner), "who is {owner}?");
            owner == method
        }
    })
}

fn check(given: &Given) -> Settings {
    match Runs::new().check(given.clone()) {
        Ok(settings) => settings,
        Err(error) => panic!("{error}\n{given}"),
    }
}

/// As `config.toml` has them.
fn written(settings: &Settings) -> String {
    let values = settings.given().expect("TOML");
    values.in_order(&Runs::new().keys())
}

/// Writes them, reads them, and compares; gives what was read.
fn written_and_read(settings: &Settings) -> Given {
    let text = written(settings);
    let read = given(&text);
    assert_eq!(read, settings.given().expect("TOML"), "{text}");
    let mut again = check(&read);
    // where a run went is not where the next one goes
    again.out.clone_from(&settings.out);
    // nor is what was asked for what came of it
    let told = |settings: &Settings| {
        let told = format!("{settings:?}");
        let (told, _) = told.split_once(", asked: ").expect("what was asked for");
        told.to_owned()
    };
    assert_eq!(told(&again), told(settings), "{text}");
    read
}

#[test]
fn every_setting_is_tried_here() {
    let keys = Runs::new().keys();
    let declared: BTreeSet<&str> = keys.iter().map(|key| key.setting.key).collect();
    let tried: BTreeSet<&str> = FREE.iter().map(|(key, _)| *key).chain(BOUND).collect();
    assert_eq!(declared, tried);
}

#[test]
fn the_config_of_a_run_with_nothing_given() {
    let plain = r#"train-examples = 1000
dev-examples = 200
test-examples = 500
tune = "full"
method = "gv"
pool = 4
alpha = 0.5
objective = "auto"
noise = "gaussian"
arithmetic = "exact"
eps = 1e-3
perturbation = "dense"
scale-1d = 1.0
scale-positions = 1.0
lr = 2e-5
schedule = "constant"
weight-decay = 0.0
batch-size = 16
seed = 0
steps = 800
eval-every = 80
best-by = "score"
eval-batch-size = 32
backend = "ndarray"
dtype = "f32"
"#;
    assert_eq!(written(&check(&Given::new())), plain);
}

#[test]
fn a_setting_is_taken_by_its_owners_and_refused_by_their_names() {
    let keys = Runs::new().keys();
    for method in methods() {
        let pairs = tunes(method)
            .iter()
            .flat_map(|tune| families(method).iter().map(move |family| (*tune, *family)));
        for (tune, family) in pairs {
            let mut chosen = format!("method = '{method}'\ntune = '{tune}'");
            if family != "none" {
                chosen += &format!("\nperturbation = '{family}'");
            }
            let chosen = given(&chosen);
            for (key, values) in FREE {
                if method == PER_EXAMPLE && *key == "calibrate" {
                    continue;
                }
                let known = keys.named(key).expect("known");
                let with = chosen.clone().or(given(&format!("{key} = {}", values[0])));
                if has(known, method, tune, family) {
                    check(&with);
                    continue;
                }
                let error = refusal(&with);
                let of_families = known.owners[0].starts_with("`perturbation");
                let who = match key.starts_with("lora") || key.starts_with("prefix") {
                    true => format!("`tune = {tune}`"),
                    false if of_families && family != "none" => {
                        format!("`perturbation = {family}`")
                    }
                    false => method.into(),
                };
                let start = format!("`{key}`: {who} has none; {} ha", known.owners.join(", "));
                assert!(error.starts_with(&start), "{error}");
            }
        }
    }
}

#[test]
fn one_has_and_several_have() {
    for (settings, said) in [
        (
            "method = 'mezo'\nalpha = 0.5",
            "`alpha`: mezo has none; gv has",
        ),
        (
            "method = 'gv-history'\npool = 4",
            "`pool`: gv-history has none; gv, greedy, pool-regression, fzoo, per-example have",
        ),
        (
            "recompute = true",
            "`recompute`: gv has none; adam, adamw have",
        ),
        (
            "method = 'adam'\neps = 1e-3",
            "`eps`: adam has none; zeroth-order methods have",
        ),
        (
            "lora-r = 2",
            "`lora-r`: `tune = full` has none; `tune = lora` has",
        ),
        (
            "refresh = 50",
            "`refresh`: `perturbation = dense` has none; `perturbation = subzero` or lozo has",
        ),
        (
            "method = 'adam'\nmask = 'small'",
            "`mask`: adam has none; `perturbation = sparse` has",
        ),
    ] {
        assert_eq!(refusal(&given(settings)), said);
    }
}

/// A value for every field, under the key that is declared.
fn fields_of<T: Owner>(declared: &mut Vec<&'static str>) {
    let value = |setting: &Setting| -> Value {
        match setting.kind {
            Kind::Switch => true.into(),
            Kind::Count => 2.into(),
            Kind::Number | Kind::NumberOr(_) => 0.5.into(),
            Kind::Text if setting.key == "device" => "0".into(),
            Kind::Text | Kind::Path => "x".into(),
            Kind::Choice(choices) => choices[0].name.into(),
            Kind::Choices(choices) => vec![choices[0].name].into(),
            other => panic!("a value of {other:?}"),
        }
    };
    let all = T::SETTINGS.iter();
    let mut all = all.fold(Given::new(), |given, s| given.with(s.key, value(s)));
    let owner: T = all.take().expect("as declared");
    assert_eq!(all, Given::new());
    let fields = serde_json::to_value(&owner).expect("JSON");
    let fields: BTreeMap<String, serde_json::Value> =
        serde_json::from_value(fields).expect("a struct");
    let keys = || T::SETTINGS.iter().map(|setting| setting.key);
    let named: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(named, keys().collect());
    assert!(fields.values().all(|value| !value.is_null()), "{fields:?}");
    declared.extend(keys());
}

#[test]
fn every_key_is_the_field_of_one_owner() {
    let mut declared = Vec::new();
    fields_of::<PresetChoice>(&mut declared);
    fields_of::<Inputs>(&mut declared);
    fields_of::<Columns>(&mut declared);
    fields_of::<ExampleCounts>(&mut declared);
    fields_of::<TuneChoice>(&mut declared);
    fields_of::<LoraOptions>(&mut declared);
    fields_of::<PrefixOptions>(&mut declared);
    fields_of::<MethodChoice>(&mut declared);
    fields_of::<ObjectiveChoice>(&mut declared);
    fields_of::<RewardOptions>(&mut declared);
    fields_of::<SamplingOptions>(&mut declared);
    fields_of::<StepRuleOptions>(&mut declared);
    fields_of::<InformedOptions>(&mut declared);
    fields_of::<CalibrationOptions>(&mut declared);
    fields_of::<PerturbationOptions>(&mut declared);
    fields_of::<LowRankOptions>(&mut declared);
    fields_of::<BlockOptions>(&mut declared);
    fields_of::<SparseOptions>(&mut declared);
    fields_of::<StepSizes>(&mut declared);
    fields_of::<TailOptions>(&mut declared);
    fields_of::<GradientOptions>(&mut declared);
    fields_of::<Draw>(&mut declared);
    fields_of::<BatchOptions>(&mut declared);
    fields_of::<Budget>(&mut declared);
    fields_of::<EvalOptions>(&mut declared);
    fields_of::<Machine>(&mut declared);
    fields_of::<Place>(&mut declared);
    let keys = Runs::new().keys();
    for key in keys.iter() {
        let times = declared.iter().filter(|k| **k == key.setting.key).count();
        let of_methods = key.of_some_methods().is_some();
        assert_eq!(times, usize::from(!of_methods), "{}", key.setting.key);
    }
    let own = keys.iter().filter(|key| key.of_some_methods().is_none());
    assert_eq!(own.count(), declared.len());
}

#[test]
fn the_default_in_words_is_the_default() {
    let inputs = "model = 'm'\ntask = 'sst2'\ndata = 'd'\n";
    let mut numbers = 0;
    for key in Runs::new().keys().iter() {
        let name = key.setting.key;
        let owner = match key.owners[0] {
            "adam, adamw" => "method = 'adam'".into(),
            "tail" => "method = 'tail'".into(),
            "`tune = lora`" => "tune = 'lora'".into(),
            "`tune = prefix`" => "tune = 'prefix'".into(),
            "`objective = reward`" => "objective = 'reward'\nreward-command = 'cat'".into(),
            "`perturbation = blocks`" => "perturbation = 'blocks'".into(),
            "`perturbation = sparse`" => "perturbation = 'sparse'".into(),
            "zeroth-order methods" if name == "anchor-every" => {
                "backend = 'flex'\ndtype = 'f16'\narithmetic = 'anchored'".into()
            }
            method if key.of_some_methods().is_some() => format!("method = '{method}'"),
            _ => String::new(),
        };
        let settings = check(&given(&format!("{inputs}{owner}")));
        let value = settings.given().expect("TOML").get(name).cloned();
        // where nothing else is said it stands nowhere: other programs read older settings
        if name == "decay-toward" {
            assert_eq!(value, None);
            continue;
        }
        let number = |v: toml::Value| v.as_float().or(v.as_integer().map(|n| n as f64));
        // what is built in has defaults of its own
        let (general, built_in) = match key.default.split_once(", in the built-in run ") {
            Some((general, rest)) => (general, rest.split(';').next()),
            None => (&*key.default, None),
        };
        if let Some(words) = built_in {
            let settings = check(&Given::new()).given().expect("TOML");
            let found = settings.get(name).cloned().and_then(number);
            assert_eq!(found, words.parse().ok(), "{name}");
        }
        if let Ok(told) = general.parse::<f64>() {
            numbers += 1;
            let value = match name {
                // known once the task is
                "max-new-tokens" => Some(PromptEncoder::DEFAULT_MAX_NEW_TOKENS as f64),
                _ => value.and_then(number),
            };
            assert_eq!(value, Some(told), "{name}");
        } else if key.choices.iter().any(|choice| choice.name == key.default) {
            assert_eq!(value.expect(name).as_str(), Some(&*key.default), "{name}");
        }
    }
    assert!(numbers >= 17, "{numbers} defaults are numbers");
    let steps = "1000; in the built-in run as many as 4800 forwards give";
    let default = |key: &str| {
        let keys = Runs::new().keys();
        keys.named(key).expect("known").default.clone()
    };
    let [full, lora, prefix, head] = [Tune::Full, Tune::Lora, Tune::Prefix, Tune::Head];
    assert_eq!(default("steps"), steps);
    let [general, built_in] =
        [inputs, "method = 'mezo'"].map(|text| check(&given(text)).config.steps);
    assert_eq!((general, built_in), (1000, 2400));
    let lr = |tune: Tune| tune.default_lr(false);
    let adam = |tune: Tune| tune.default_lr(true);
    assert_eq!(
        default("lr"),
        format!(
            "{:e}, in the built-in run 2e-5; {:e} with lora, {:e} with prefix, {:e} with head; adam, adamw, tail: {:e}; \
             {:e} with lora, {:e} with prefix, {:e} with head",
            lr(full),
            lr(lora),
            lr(prefix),
            lr(head),
            adam(full),
            adam(lora),
            adam(prefix),
            adam(head)
        )
    );
    let [one, two, three] = [full, lora, prefix].map(Tune::default_eps);
    assert_eq!(head.default_eps(), two);
    let words = format!("{one:e}; {two:e} with lora or head, {three:e} with prefix");
    assert_eq!(default("eps"), words);
}

#[test]
fn a_run_is_as_long_as_steps_or_forwards_say() {
    let both = Given::new().with("steps", 3).with("forwards", 60);
    assert_eq!(refusal(&both), "`steps`, `forwards`: give one of them");
    let file = Given::parse("steps = 3\nforwards = 60", &Runs::new().keys());
    let error = file.expect_err("both").to_string();
    assert_eq!(error, "give `steps` or `forwards`, not both");
    // a step of gv with a pool of 4 takes 6
    for (settings, steps) in [
        ("forwards = 13", 2),
        ("forwards = 6", 1),
        ("forwards = 12\nmethod = 'mezo'", 6),
        ("forwards = 12\nmethod = 'adam'", 4),
        ("steps = 5", 5),
        // 100 rows, 16 a forward, before the first step
        ("forwards = 20\nhead-fit = 100", 2),
        ("forwards = 20\nhead-fit = 100\ntrain-examples = 16", 3),
        ("steps = 5\nhead-fit = 100", 5),
        // 16 examples a forward
        ("examples = 200", 2),
        ("examples = 200\nbatch-size = 4", 8),
        ("examples = 320\nhead-fit = 100", 2),
        ("examples = 200\nmethod = 'adam'", 4),
    ] {
        let settings = check(&given(settings));
        assert_eq!(settings.config.steps, steps);
        let written = settings.given().expect("TOML");
        assert_eq!(
            (written.get("forwards"), written.get("examples")),
            (None, None)
        );
    }
    let error = refusal(&given("examples = 90"));
    assert_eq!(
        error,
        "`examples = 90`: one step of this method takes 96 examples"
    );
    let error = refusal(&given("forwards = 5"));
    assert_eq!(
        error,
        "`forwards = 5`: one step of this method takes 6 forwards"
    );
}

/// A budget whose steps nobody knows before is written as it was given, and ends the run by itself.
#[test]
fn a_run_may_be_as_long_as_tokens_or_seconds_say() {
    for (settings, limit) in [
        ("tokens = 5000", Limit::tokens(5000).evaluated(10)),
        ("seconds = 2.5", Limit::seconds(2.5).evaluated(10)),
        ("tokens = 5000\neval-every = 7", Limit::tokens(5000)),
    ] {
        let settings = check(&given(settings));
        assert_eq!(settings.config.limit, Some(limit));
        let written = settings.given().expect("TOML");
        assert_eq!(written.get("steps"), None);
        assert_eq!(check(&written).config, settings.config);
    }
    for (settings, said) in [
        ("tokens = 0", "`tokens = 0`: use at least 1"),
        ("seconds = 0", "`seconds = 0`: use a number above 0"),
        (
            "tokens = 9\nschedule = 'linear'",
            "`schedule`: a learning rate that falls",
        ),
    ] {
        let error = refusal(&given(settings));
        assert!(error.starts_with(said), "{error}");
    }
    let both = Given::new().with("seconds", 3).with("tokens", 60);
    assert_eq!(refusal(&both), "`tokens`, `seconds`: give one of them");
    // the stronger replaces the weaker, whichever it is
    let flags = Given::new().with("tokens", 60).or(given("steps = 3"));
    assert_eq!(flags.get("steps"), None);
}

#[test]
fn decay_towards_the_start_needs_decay_and_a_zeroth_order_method() {
    let settings = check(&given("weight-decay = 0.1\ndecay-toward = 'start'"));
    assert_eq!(settings.config.decay_toward, DecayToward::Start);
    assert!(settings.config.decays_to_start());
    written_and_read(&settings);
    for (settings, said) in [
        ("", "`decay-toward = start`: there is no decay"),
        (
            "weight-decay = 0.0",
            "`decay-toward = start`: there is no decay",
        ),
        (
            "weight-decay = 0.1\nmethod = 'tail'",
            "`decay-toward = start`: the weights of tail, adam and adamw decay towards zero",
        ),
        (
            "weight-decay = 0.1\nmethod = 'adamw'",
            "`decay-toward = start`: the weights of tail, adam and adamw decay towards zero",
        ),
    ] {
        let error = refusal(&given(&format!("decay-toward = 'start'\n{settings}")));
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn what_is_only_suggested_is_left_out_where_nothing_has_it() {
    let suggestions = given("pool = 7\nqueries = 3\nlora-r = 2\nsteps = 9\nlr = 0.5");
    let settings = given("method = 'gv'\nlr = 0.25").or_suggested(suggestions.clone());
    let settings = written_and_read(&check(&settings));
    for (key, value) in [
        ("pool", Some(Value::Integer(7))),
        ("queries", None),
        ("lora-r", None),
        ("steps", Some(Value::Integer(9))),
        ("lr", Some(Value::Float(0.25))),
    ] {
        assert_eq!(settings.get(key), value.as_ref(), "{key}");
    }
    // what is given is not suggested any more
    let given = Given::new().with("method", "gv").or_suggested(suggestions);
    let error = refusal(&given.with("queries", 3));
    assert_eq!(error, "`queries`: gv has none; n-spsa has");
}

/// A setting of a preset that the run switched off stays off when its `config.toml` is read again.
#[test]
fn whatever_begins_from_a_preset_is_written_so_that_it_is_the_same_again() {
    let runs = Runs::new();
    for preset in Preset::all("").expect("they parse") {
        let mut machine = format!(
            "preset = '{}'\nbackend = 'ndarray'\ndtype = 'f32'\n",
            preset.name
        );
        if preset.start.is_some() {
            machine += "task = 'sst2'\ndata = 'data'\n";
        }
        if !preset.train.contains_key("model") {
            machine += "model = 'any'\n";
        }
        for method in methods() {
            for tune in tunes(method) {
                let with = given(&format!("{machine}method = '{method}'\ntune = '{tune}'"));
                written_and_read(&check(&with));
            }
            let known = runs.methods().get(method);
            let settings = known.map_or(&[][..], |method| method.settings);
            for switch in settings.iter().filter(|s| s.kind == Kind::Switch) {
                let with = given(&format!("{machine}method = '{method}'"));
                let off = check(&with.clone().with(switch.key, false));
                let again = written_and_read(&off);
                assert_ne!(again.get(switch.key), Some(&true.into()), "{again}");
                let on = written_and_read(&check(&with.with(switch.key, true)));
                assert_eq!(on.get(switch.key), Some(&true.into()), "{on}");
            }
        }
    }
}

/// A choice for every setting: what it is, or that it is left open.
#[derive(Clone, Debug)]
struct Choices {
    method: usize,
    tune: Option<usize>,
    family: Option<usize>,
    free: Vec<Option<usize>>,
    storage: usize,
    arithmetic: usize,
    budget: usize,
    guard: usize,
    objective: usize,
}

prop_compose! {
    fn choices()(
        method in 0..methods().len(),
        tune in proptest::option::of(0..TUNES.len()),
        family in proptest::option::of(0..5usize),
        free in proptest::collection::vec(proptest::option::of(0..12usize), FREE.len()),
        [storage, arithmetic, budget, guard, objective] in proptest::array::uniform5(0..60usize),
    ) -> Choices {
        Choices { method, tune, family, free, storage, arithmetic, budget, guard, objective }
    }
}

fn one_of<'a>(texts: &[&'a str], which: usize) -> &'a str {
    texts[which % texts.len()]
}

impl Choices {
    /// Settings that go together.
    fn given(&self) -> Given {
        let method = methods()[self.method];
        let allowed = tunes(method);
        let tune = self.tune.map(|tune| one_of(allowed, tune));
        let mut text = vec![format!("method = '{method}'")];
        text.extend(tune.map(|tune| format!("tune = '{tune}'")));
        let tune = tune.unwrap_or(allowed[0]);
        let allowed = families(method);
        let family = self.family.map(|family| one_of(allowed, family));
        let family = family.filter(|family| *family != "none");
        text.extend(family.map(|family| format!("perturbation = '{family}'")));
        let family = family.unwrap_or(allowed[0]);
        let gradient = GRADIENTS.contains(&method) || method == TAIL;
        let mut add = |texts: &[&str], which| text.push(one_of(texts, which).into());
        let wide = ["", "backend = 'ndarray'", "backend = 'flex'\ndtype = 'f32'"];
        let narrow = "backend = 'flex'\ndtype = 'bf16'";
        let is_narrow = !gradient && self.storage % 4 == 3;
        match is_narrow {
            true => add(&[narrow], 0),
            false => add(&wide, self.storage),
        }
        if method != PROBING && !gradient {
            let plain = "arithmetic = 'plain'";
            match is_narrow {
                // what it keeps beside the weights no originals know
                true if KEEP.contains(&method) => add(&["", plain], self.arithmetic),
                true => {
                    let anchored = "arithmetic = 'anchored'";
                    let often = "arithmetic = 'anchored'\nanchor-every = 7";
                    add(&["", plain, anchored, often], self.arithmetic);
                }
                false => add(&["", plain, "arithmetic = 'exact'"], self.arithmetic),
            }
        }
        if method != PROBING {
            let budgets = ["", "steps = 7", "forwards = 700", "examples = 7000"];
            add(&budgets, self.budget);
            let guards = [
                "",
                "guard = 'loss-explosion=stop'",
                "guard = 'flat-loss=skip'",
            ];
            add(&guards[..3 - usize::from(gradient)], self.guard);
            let objectives = [
                "",
                "objective = 'teacher-forcing'",
                "objective = 'accuracy'",
            ];
            add(&objectives[..3 - usize::from(gradient)], self.objective);
        }
        let keys = Runs::new().keys();
        for ((key, values), which) in FREE.iter().zip(&self.free) {
            let known = keys.named(key).expect("known");
            if let Some(which) = which
                && has(known, method, tune, family)
            {
                let value = one_of(values, *which);
                // signs have the same square everywhere
                let squares = KEEP.contains(&method) && value == "'rademacher'";
                let biases = method == PER_EXAMPLE && *key == "calibrate";
                if !squares && !biases {
                    text.push(format!("{key} = {value}"));
                }
            }
        }
        given(&text.join("\n"))
    }
}

/// One of three strengths gives a setting, or none.
fn layer(weight: i64) -> impl Strategy<Value = Given> {
    const KEYS: [&str; 5] = ["steps", "forwards", "pool", "seed", "batch-size"];
    proptest::collection::vec(any::<bool>(), KEYS.len()).prop_map(move |picked| {
        let picked = KEYS.iter().zip(picked).filter(|(_, given)| *given);
        picked.fold(Given::new(), |given, (key, _)| given.with(key, weight))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_resolves_is_written_so_that_it_is_the_same_again(choices in choices()) {
        let asked = choices.given();
        let read = written_and_read(&check(&asked));
        // nothing that was given is lost
        for (key, value) in asked.values() {
            match key.as_str() {
                "forwards" | "examples" => prop_assert!(read.get("steps").is_some()),
                "out" => prop_assert_eq!(read.get(key), None),
                "lora-targets" | "task" | "tokenizer" | "data" | "chat-template" => {
                    prop_assert!(read.get(key).is_some(), "{}", key);
                }
                _ if *value == Value::Boolean(false) => prop_assert_eq!(read.get(key), None),
                _ => prop_assert_eq!(read.get(key), Some(value), "{}", key),
            }
        }
    }

    #[test]
    fn the_stronger_of_two_settings_holds(a in layer(1), b in layer(2), c in layer(3)) {
        let both = a.clone().or(b.clone());
        for key in ["pool", "seed", "batch-size"] {
            prop_assert_eq!(both.get(key), a.get(key).or(b.get(key)));
        }
        // `steps` and `forwards` are one question
        let length = |given: &Given| (given.get("steps").cloned(), given.get("forwards").cloned());
        match length(&a) {
            (None, None) => prop_assert_eq!(length(&both), length(&b)),
            answered => prop_assert_eq!(length(&both), answered),
        }
        prop_assert_eq!(both.or(c.clone()), a.clone().or(b.clone().or(c.clone())));
        prop_assert_eq!(
            a.clone().or_suggested(b.clone()).or_suggested(c.clone()),
            a.or_suggested(b.or(c))
        );
    }
}

#[test]
fn a_number_is_written_as_people_write_it() {
    let keys = Runs::new().keys();
    for device in ["0", "'0'"] {
        let given = Given::parse(&format!("device = {device}"), &keys).expect("a device");
        assert_eq!(given.text("device"), Some("0"));
    }
    for (text, said) in [
        (
            "lr = '1e-4'",
            "`lr = 1e-4`: it takes a number: leave the quotation marks away",
        ),
        (
            "steps = '5'",
            "`steps = 5`: it takes a whole number: leave the quotation marks away",
        ),
        ("data = 5", "`data = 5`: it takes a text"),
    ] {
        let error = Given::parse(text, &keys).expect_err(text).to_string();
        assert_eq!(error, said);
    }
}

/// A candidate that is informed: what it costs, what is written down, and what it does not go with.
#[test]
fn a_candidate_is_informed_where_it_can_be() {
    let methods = Runs::new();
    for (method, forwards) in [("mezo", 3), ("gv", 7), ("greedy", 6)] {
        let informed = format!("method = '{method}'\ninformed = 'tail'\nsteps = 10");
        let settings = check(&given(&informed));
        let all = settings.forwards(methods.methods()).expect("known");
        assert_eq!(all, Some(10 * forwards), "{method}");
        let read = written_and_read(&settings);
        let value = |key| read.get(key).cloned();
        assert_eq!(value("arithmetic"), Some("plain".into()));
        assert_eq!(value("informed-scale"), Some(0.01.into()));
        let Procedure::ZerothOrder(zo) = &settings.procedure else {
            panic!("{method} makes probes");
        };
        assert_eq!((zo.informed, zo.state_bytes_per_weight), (Some(0.01), 4));
    }
    for (with, said) in [
        ("method = 'hizoo'", "not with `method = hizoo`"),
        ("method = 'n-spsa'", "not with `method = n-spsa`"),
        ("method = 'tail'", "`informed`: tail has none"),
        ("perturbation = 'lozo'", "only with `perturbation = dense`"),
        ("scale-1d = 0.5", "scales of 1"),
        ("arithmetic = 'exact'", "use plain"),
        ("backend = 'flex'\ndtype = 'bf16'", "use `dtype = f32`"),
        ("objective = 'accuracy'", "no gradient"),
        ("objective = 'f1'", "no gradient"),
        (
            "objective = 'reward'\nreward-command = 'cat'",
            "no gradient",
        ),
        ("lr = 'auto'", "measured along noise"),
        ("calibrate = true", "biases"),
        ("informed-scale = 0", "above 0"),
        ("informed-scale = 1.5", "at most 1"),
    ] {
        let error = refusal(&given(&format!("informed = 'tail'\n{with}")));
        assert!(error.contains(said), "{with}: {error}");
    }
    let alone = refusal(&given("informed-scale = 0.5"));
    assert!(alone.contains("only with `informed = tail`"), "{alone}");
}

/// What is made of updates: what is written down, and what it does not go with.
#[test]
fn updates_are_summed_and_divided_where_they_can_be() {
    let settings = check(&given(
        "method = 'mezo'\nmomentum = 0.5\nstep-scale = 'rms'",
    ));
    let read = written_and_read(&settings);
    let value = |key| read.get(key).cloned();
    assert_eq!(value("momentum-steps"), Some(7.into()));
    assert_eq!(value("beta2"), Some(0.99.into()));
    for fine in [
        "momentum = 0.9\nperturbation = 'sparse'",
        "momentum = 0.9\ntune = 'lora'",
        "momentum = 0.9\nbackend = 'flex'\ndtype = 'bf16'\narithmetic = 'anchored'",
        "momentum = 0",
        "momentum = 0\nperturbation = 'lozo'",
        "step-scale = 'rms'\nperturbation = 'blocks'",
        "step-scale = 'rms'\nmethod = 'hizoo'",
    ] {
        written_and_read(&check(&given(fine)));
    }
    for (settings, said) in [
        ("momentum = 1", "`momentum = 1`: use a number"),
        ("momentum = inf", "`momentum = inf`: "),
        ("momentum-steps = 5", "only with `momentum`"),
        ("momentum = 0\nmomentum-steps = 5", "only with `momentum`"),
        ("beta2 = 0.9", "only with `step-scale = rms`"),
        ("momentum = 0.9\nmethod = 'hizoo'", "not with hizoo"),
        ("momentum = 0.9\nmethod = 'adamu'", "not with adamu"),
        (
            "momentum = 0.9\nmethod = 'adam'",
            "`momentum`: adam has none",
        ),
        (
            "step-scale = 'rms'\nmethod = 'tail'",
            "`step-scale`: tail has none",
        ),
        (
            "step-scale = 'rms'\nmethod = 'fzoo'",
            "fzoo divides its updates",
        ),
        (
            "momentum = 0.9\nperturbation = 'subzero'",
            "`perturbation = subzero`",
        ),
        (
            "momentum = 0.9\nperturbation = 'lozo'",
            "`perturbation = lozo`",
        ),
        (
            "momentum = 0.9\nperturbation = 'blocks'",
            "`perturbation = blocks`",
        ),
        ("momentum = 0.9\ninformed = 'tail'", "not with `informed`"),
        (
            "step-scale = 'rms'\ninformed = 'tail'",
            "not with `informed`",
        ),
        (
            "momentum = 0.9\nmethod = 'per-example'",
            "`perturbation = lozo`",
        ),
        ("momentum = 0.9\nlr = 'auto'", "not with `momentum`"),
        ("step-scale = 'rms'\nlr = 'auto'", "not with `step-scale`"),
    ] {
        let error = refusal(&given(settings));
        assert!(error.contains(said), "{settings}: {error}");
    }
}

/// Examples with directions of their own: what is filled in, what it costs, and what it does not go with.
#[test]
fn examples_have_directions_of_their_own_where_they_can() {
    let runs = Runs::new();
    let settings = check(&given("method = 'per-example'\nsteps = 10"));
    let all = settings.forwards(runs.methods()).expect("known");
    assert_eq!(all, Some(40));
    let read = written_and_read(&settings);
    assert_eq!(read.get("perturbation"), Some(&"lozo".into()));
    assert_eq!(read.get("pool"), Some(&4.into()));
    assert_eq!(read.get("arithmetic"), Some(&"plain".into()));
    let scaled = check(&given("method = 'per-example'\nstep-scale = 'rms'"));
    let scaled = written_and_read(&scaled);
    assert_eq!(scaled.get("perturbation"), Some(&"lozo".into()));
    for (with, said) in [
        ("pool = 1", "`pool = 1`"),
        ("perturbation = 'dense'", "use lozo or subzero"),
        ("perturbation = 'blocks'", "use lozo or subzero"),
        ("perturbation = 'sparse'", "use lozo or subzero"),
        ("tune = 'lora'", "`tune = lora`"),
        ("tune = 'prefix'", "`tune = prefix`"),
        ("tune = 'head'", "`tune = head`"),
        ("pool = 100\nbatch-size = 2000", "`batch-size = 2000`"),
        ("calibrate = true", "`calibrate`"),
        ("informed = 'tail'", "`informed = tail`"),
        ("lr = 'auto'", "`lr = auto`"),
        ("objective = 'f1'", "`objective = f1`"),
        (
            "objective = 'reward'\nreward-command = 'cat'",
            "`objective = reward`",
        ),
    ] {
        let error = refusal(&given(&format!("method = 'per-example'\n{with}")));
        assert!(error.contains(said), "{with}: {error}");
    }
}
