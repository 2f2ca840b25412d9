//! Inputs as people have them: `../shared/cases`, each a folder with a script and the right outcome.

mod checkpoints;

use crate::support::{run, scratch, shared};
use checkpoints::{bin, header, params, tables};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Cases that have not the right outcome yet, and why.
const OPEN: [(&str, &str); 0] = [];

/// What a script printed and what it should have.
struct Seen {
    stdout: String,
    stderr: String,
    /// The lists of numbers in the text of the right outcome.
    expected: Vec<Vec<f64>>,
}

impl Seen {
    /// The objects that were printed.
    fn objects(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Whether the scores of the first row are those of this list.
    fn has_scores(&self, list: usize) -> bool {
        let objects = self.objects();
        let Some(scores) = objects.first().and_then(|row| row["scores"].as_array()) else {
            return false;
        };
        let mut pairs = scores.iter().zip(&self.expected[list]);
        let close = |(a, b): (&Value, &f64)| a.as_f64().is_some_and(|a| (a - b).abs() < 1e-4);
        scores.len() == self.expected[list].len() && pairs.all(close)
    }

    fn refuses(&self) -> bool {
        self.stderr.contains("error:")
    }

    /// The ids of the right candidate of every row that was printed.
    fn ids(&self) -> Vec<Vec<u64>> {
        let ids = |row: &Value| {
            let right = row["correct"].as_u64()? as usize;
            let ids = row["candidates"][right]["ids"].as_array()?;
            ids.iter().map(Value::as_u64).collect()
        };
        self.objects().iter().filter_map(ids).collect()
    }

    fn first_list(&self) -> Vec<u64> {
        self.expected[0].iter().map(|id| *id as u64).collect()
    }
}

/// Makes what the repository of cases does not store; given are the case's folder and the shared model.
type Prepare = fn(&Path, &Path);
/// Whether the outcome is right.
type Check = fn(&Seen) -> bool;

fn nothing(_: &Path, _: &Path) {}

/// The weights of the shared model, as they are.
fn weights(case: &Path, model: &Path) {
    let name = "model.safetensors";
    fs::copy(model.join(name), case.join("model").join(name)).expect("copied");
}

const CASES: [(&str, Prepare, Check); 22] = [
    ("01-pissa-adapter", nothing, |seen| {
        seen.stderr
            .contains("init_lora_weights = \"pissa\" is not supported")
    }),
    ("03-head-only-checkpoint", head_only, |seen| {
        seen.has_scores(0)
    }),
    ("04-added-tokens-json", nothing, |seen| {
        seen.ids() == [seen.first_list()]
    }),
    ("05-tokenizer-config-ignored", nothing, |seen| {
        let ids = seen.ids();
        let [bare, prefix, bos] = ids.as_slice() else {
            return false;
        };
        // without a token in front; with the blank; with the other token
        bare[0] != 2 && prefix[0] == 2 && prefix[1] != bare[0] && bos[0] == 0 && bos[1..] == *bare
    }),
    ("06-eos-list", weights, |seen| seen.has_scores(0)),
    ("08-generation-config-eos", weights, |seen| {
        seen.objects()[0]["ids"] == json!(seen.first_list())
    }),
    ("09-shared-storage-untied", shared_storage, |seen| {
        seen.has_scores(0)
    }),
    ("10-expanded-view-bin", expanded, |seen| {
        !seen.refuses() && seen.objects().len() == 1
    }),
    ("11-head-differs", other_head, |seen| {
        seen.refuses() && seen.stderr.contains("lm_head.weight")
    }),
    ("13-adapter-beside-model", weights, |seen| {
        seen.has_scores(0)
    }),
    ("14-predictions-mode-0600", nothing, |seen| {
        seen.stdout.lines().last() == Some("644")
    }),
    ("15-hub-environment", snapshot, |seen| {
        let errors: Vec<&str> = seen
            .stderr
            .lines()
            .filter(|l| l.contains("error:"))
            .collect();
        let online = |error: &&str| error.contains("downloading failed");
        seen.stdout.matches("accuracy").count() == 5
            && errors.len() == 4
            && errors[..3].iter().all(online)
            && errors[3].contains("forbids downloading")
    }),
    ("16-two-processes-one-run", longer, |seen| {
        seen.stdout.contains("another process is at work") && !seen.stdout.contains("is broken")
    }),
    ("17-two-trains-start-together", nothing, |seen| {
        seen.stdout.matches("rc=0").count() == 2
            && seen.stdout.ends_with("sst2-mezo\nsst2-mezo-2\n")
    }),
    ("18-resume-with-changed-data", longer, |seen| {
        seen.stdout.contains("error:")
    }),
    ("19-prompt-file-crlf", nothing, |seen| {
        let objects = seen.objects();
        objects.len() == 2 && objects[0] == objects[1]
    }),
    ("20-dotted-field", nothing, is_read),
    ("22-parquet-wide", tables, is_read),
    ("24-all-linear-full-names", three_layers, |seen| {
        is_read(seen) && seen.stdout.matches("with its adapter").count() == 2
    }),
    ("25-hub-parquet-names", nothing, is_read),
    ("26-parquet-codecs", nothing, is_read),
    ("27-report-json-twice", a_run, |seen| {
        !seen.refuses() && seen.stdout.lines().count() == 2
    }),
];

/// More steps for a script that interrupts a run after some seconds: machines differ.
fn longer(case: &Path, _: &Path) {
    let path = case.join("cmd");
    let script = fs::read_to_string(&path).expect("a script");
    let longer = script.replace("--steps 150", "--steps 600");
    let longer = longer.replace("--steps 60 ", "--steps 600 ");
    assert_ne!(longer, script);
    fs::write(path, longer).expect("written");
}

fn is_read(seen: &Seen) -> bool {
    !seen.refuses() && !seen.stdout.is_empty()
}

#[test]
fn every_case_has_its_right_outcome() {
    let (Some(cases), Some(model)) = (shared("cases"), shared("models/opt-tiny-5m")) else {
        return;
    };
    let model = model.canonicalize().expect("there");
    let known: Vec<&str> = CASES.iter().map(|(name, ..)| *name).collect();
    for entry in fs::read_dir(&cases).expect("cases") {
        let name = entry.expect("a case").file_name();
        let name = name.to_str().expect("text");
        let is_case = name.starts_with(|c: char| c.is_ascii_digit());
        assert!(
            !is_case || known.contains(&name),
            "{name} is tried by nobody"
        );
    }
    let (mut wrong, mut mended) = (Vec::new(), Vec::new());
    for (name, prepare, check) in CASES {
        let dir = scratch();
        copy(&cases.join(name), dir.path());
        complete(dir.path(), &model);
        prepare(dir.path(), &model);
        let output = Command::new("bash")
            .arg("./cmd")
            .current_dir(dir.path())
            .env("Z", env!("CARGO_BIN_EXE_zograd"))
            .env("S", &model)
            .env("NO_COLOR", "1")
            .env_remove("HF_TOKEN")
            .output()
            .expect("bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let expected = fs::read_to_string(dir.path().join("expected")).expect("an outcome");
        let seen = Seen {
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            expected: lists(&expected),
        };
        if seen.stdout.contains("the run is finished") {
            eprintln!("{name}: nothing was interrupted, the run had ended");
            continue;
        }
        let open = OPEN.iter().any(|(open, _)| *open == name);
        match check(&seen) {
            true if open => mended.push(name),
            false if !open => {
                wrong.push(format!(
                    "{name}\n{expected}\n{}{}",
                    seen.stdout, seen.stderr
                ));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(mended, [""; 0], "right now: take them off the list OPEN");
}

/// The lists of numbers in a text.
fn lists(text: &str) -> Vec<Vec<f64>> {
    let pieces = text.split('[').skip(1);
    let inside = pieces.filter_map(|piece| piece.split_once(']'));
    inside
        .filter_map(|(list, _)| serde_json::from_str(&format!("[{list}]")).ok())
        .collect()
}

/// A copy that can be written in, whatever the original may be.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::write(target, fs::read(entry.path()).expect("read")).expect("written"),
        }
    }
}

/// A folder `model` gets the tokenizer of the shared model.
fn complete(case: &Path, model: &Path) {
    let folder = case.join("model");
    if !folder.is_dir() {
        return;
    }
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
        "merges.txt",
    ] {
        if !folder.join(name).exists() {
            fs::copy(model.join(name), folder.join(name)).expect("copied");
        }
    }
}

const TABLE: &str = "model.decoder.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

fn head_only(case: &Path, model: &Path) {
    let mut tensors = params(model);
    let table = tensors.remove(TABLE).expect("a table");
    tensors.insert(HEAD.into(), table);
    header(&tensors, &[(TABLE, HEAD)], &case.join("model"));
}

fn other_head(case: &Path, model: &Path) {
    let mut tensors = params(model);
    let mut head = tensors[TABLE].clone();
    // the sign of the first number
    head.bytes[1] ^= 0x80;
    tensors.insert(HEAD.into(), head);
    header(&tensors, &[], &case.join("model"));
}

fn shared_storage(case: &Path, model: &Path) {
    bin(&params(model), &[(HEAD, TABLE)], &[], &case.join("model"));
}

fn expanded(case: &Path, model: &Path) {
    let bias = "model.decoder.layers.0.fc1.bias";
    bin(&params(model), &[], &[bias], &case.join("model"));
}

fn snapshot(case: &Path, model: &Path) {
    let repository = case.join("xdg/huggingface/hub/models--acme--opt-x");
    let commit = fs::read_to_string(repository.join("refs/main")).expect("a commit");
    copy(model, &repository.join("snapshots").join(commit.trim()));
}

fn three_layers(case: &Path, model: &Path) {
    checkpoints::three_layers(&case.join("three"));
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(model.join(name), case.join("three").join(name)).expect("copied");
    }
}

fn a_run(case: &Path, _: &Path) {
    let words = [
        "train",
        "--steps",
        "2",
        "--eval-every",
        "1",
        "--dev-examples",
        "4",
        "--test-examples",
        "4",
    ];
    run(case, &[&words[..], &["--out", "run"]].concat());
}
