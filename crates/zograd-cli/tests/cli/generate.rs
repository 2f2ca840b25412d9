//! `zograd generate`: texts from everywhere, greedily, drawn and with beams.

use crate::errors::refused;
use crate::reference::word_tokenizer;
use crate::support::{run, run_json, scratch, shared, short, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::Stdio;

fn text(dir: &std::path::Path, args: &[&str]) -> String {
    String::from_utf8(run(dir, args).stdout).expect("UTF-8")
}

#[test]
fn a_prompt_comes_from_a_flag_a_file_or_the_standard_input() {
    let dir = scratch();
    let prompt = "The film was\nlong and";
    let short = ["generate", "--max-new-tokens", "8"];
    let flag = text(dir.path(), &[&short[..], &["--prompt", prompt]].concat());
    assert!(flag.trim().len() > 2, "{flag:?}");
    fs::write(dir.path().join("p.txt"), format!("{prompt}\n")).expect("written");
    let file = text(dir.path(), &[&short[..], &["--file", "p.txt"]].concat());
    assert_eq!(file, flag);
    let mut child = zograd(dir.path(), &short)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(prompt.as_bytes()).expect("written");
    drop(stdin);
    let piped = child.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&piped.stdout), flag);
}

/// An input without an end is refused by its size, and what is no text as a file of that would be.
#[cfg(unix)]
#[test]
fn an_input_that_is_no_prompt_is_refused() {
    let dir = scratch();
    fs::write(dir.path().join("junk"), b"It was \xff").expect("written");
    for (input, says) in [
        (
            std::path::PathBuf::from("/dev/zero"),
            "it has more than 67108864 bytes",
        ),
        (dir.path().join("junk"), "byte 7 is no UTF-8"),
    ] {
        let input = fs::File::open(input).expect("opened");
        let mut generate = zograd(dir.path(), &["generate", "--max-new-tokens", "1"]);
        let output = generate.stdin(input).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        let named = format!("error: the standard input: {says}");
        assert!(stderr.starts_with(&named), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// A run, and what it kept, come with their model and adapter.
#[test]
fn a_run_is_a_model() {
    let dir = scratch();
    for tune in ["full", "lora", "prefix"] {
        let tuned = [
            "--tune", tune, "--lr", "1e-4", "--method", "mezo", "--out", tune,
        ];
        run(dir.path(), &short(&tuned));
        let best = format!("{tune}/best");
        let write = |more: &[&str]| {
            let args = [
                "generate",
                "--json",
                "--max-new-tokens",
                "4",
                "--prompt",
                "It was",
            ];
            run_json(dir.path(), &[&args[..], more].concat())
        };
        let by_parts = match tune {
            "full" => write(&["--model", &best]),
            _ => write(&["--adapter", &best]),
        };
        assert_eq!(write(&["--model", tune]), by_parts, "{tune}");
        assert_eq!(write(&["--model", &best]), by_parts, "{tune}");
    }
}

/// An adapter that is given counts as one that lies beside the weights.
#[test]
fn an_adapter_is_used() {
    let dir = scratch();
    unpack(dir.path());
    // so far that it writes something else; without development examples the last weights are the best
    let tuned = ["--tune", "lora", "--lr", "1e-1", "--out", "lora"];
    let mut args = short(&tuned);
    let dev = args.iter().position(|arg| *arg == "--dev-examples");
    args[dev.expect("a flag") + 1] = "0";
    run(dir.path(), &args);
    let prompt = ["--prompt", "It was", "--max-new-tokens", "12", "--json"];
    let ids = |more: &[&str]| {
        let args = [&["generate", "--model", "model"], &prompt[..], more].concat();
        run_json(dir.path(), &args)["ids"].clone()
    };
    let (plain, with) = (ids(&[]), ids(&["--adapter", "lora/best"]));
    for entry in fs::read_dir(dir.path().join("lora/best"))
        .expect("a folder")
        .flatten()
    {
        let to = dir.path().join("model").join(entry.file_name());
        fs::copy(entry.path(), to).expect("copied");
    }
    assert_eq!(ids(&[]), with);
    assert_ne!(plain, with);
    let args = [&["generate", "--adapter", "lora"], &prompt[..]].concat();
    refused(dir.path(), &args, &["lora/best"]);
}

#[test]
fn draws_are_a_function_of_the_seed() {
    let dir = scratch();
    let drawn = |seed: &str| {
        let args = [
            "generate",
            "--json",
            "--prompt",
            "It was",
            "--temperature",
            "1.5",
            "--top-k",
            "50",
            "--top-p",
            "0.95",
            "--max-new-tokens",
            "20",
            "--seed",
            seed,
        ];
        run_json(dir.path(), &args)["ids"].clone()
    };
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    // one token to draw from is the greedy one
    let ids = |more: &[&str]| {
        let args = [&["generate", "--json", "--prompt", "It was"], more].concat();
        run_json(dir.path(), &args)["ids"].clone()
    };
    assert_eq!(ids(&["--top-k", "1"]), ids(&[]));
    assert_eq!(ids(&["--temperature", "0"]), ids(&["--beams", "1"]));
}

#[test]
fn several_prompts_make_several_lines() {
    let dir = scratch();
    let args = [
        "generate",
        "--json",
        "--max-new-tokens",
        "4",
        "--prompt",
        "I",
        "--prompt",
        "The acting was fine and the plot",
        "--beams",
        "3",
    ];
    let lines = text(dir.path(), &args);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["prompt"], "I");
    for line in &lines {
        let ids = line["ids"].as_array().expect("ids").len();
        match line["finish"].as_str() {
            Some("length") => assert_eq!(ids, 4),
            Some("stop") => assert!(ids <= 4),
            other => panic!("{other:?}"),
        }
    }
}

/// A text that fills the model's positions ends there, and that is said.
#[test]
fn the_end_of_the_positions_is_told() {
    let dir = scratch();
    let args = [
        "generate",
        "--prompt",
        "It",
        "--max-new-tokens",
        "1000",
        "--seed",
        "3",
        "--temperature",
        "5",
    ];
    let output = run(dir.path(), &args);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("128 positions"), "{words}");
}

/// The greedy ids of the Python originals, through the binary; also with stop tokens.
#[test]
fn greedy_ids_equal_the_originals() {
    for model in ["tiny-opt-prenorm", "tiny-opt-350m"] {
        let Some(folder) = shared(&format!("reference/{model}")) else {
            return;
        };
        let goldens = fs::read_to_string(folder.join("goldens.json")).expect("goldens");
        let goldens: Value = serde_json::from_str(&goldens).expect("JSON");
        let dir = scratch();
        let tokenizer = word_tokenizer(&[]).to_string();
        fs::write(dir.path().join("tokenizer.json"), tokenizer).expect("written");
        let folder = folder.display().to_string();
        let ids = |case: &Value, output: &str, stop: &[u64]| {
            let list = |value: &Value| -> Vec<u64> {
                let list = value.as_array().expect("ids");
                list.iter().map(|id| id.as_u64().expect("an id")).collect()
            };
            let prompt = list(&case["prompt"]);
            let (bos, words) = prompt.split_first().expect("a prompt");
            let words: Vec<String> = words.iter().map(|id| format!("w{id}")).collect();
            let (words, bos) = (words.join(" "), bos.to_string());
            let stop: Vec<String> = stop.iter().map(|id| format!("w{id}")).collect();
            let mut args = vec![
                "generate",
                "--json",
                "--model",
                &folder,
                "--tokenizer",
                ".",
                "--bos-id",
                &bos,
                "--prompt",
                &words,
                "--max-new-tokens",
                "12",
            ];
            stop.iter()
                .for_each(|s| args.extend(["--stop", s.as_str()]));
            assert_eq!(
                list(&run_json(dir.path(), &args)["ids"]),
                list(&case[output]),
                "{model}"
            );
        };
        for case in goldens["greedy"].as_array().expect("cases") {
            ids(case, "output", &[]);
        }
        let until = &goldens["greedy_stop"];
        let stop = until["eos_ids"].as_array().expect("ids");
        let stop: Vec<u64> = stop.iter().filter_map(Value::as_u64).collect();
        // the end-of-text token stops without being asked to
        let (asked, end): (Vec<u64>, Vec<u64>) = stop.into_iter().partition(|id| *id != 2);
        assert_eq!(end, [2]);
        ids(until, "output_including_eos", &asked);
    }
}

#[test]
fn wrong_input_is_named() {
    let dir = scratch();
    let long = "word ".repeat(200);
    fs::write(dir.path().join("bytes"), [0xff, 0xfe]).expect("written");
    for (args, parts) in [
        (
            &["--prompt", "a", "--temperature", "-1"][..],
            &["--temperature -1"][..],
        ),
        (&["--prompt", "a", "--top-p", "2"], &["--top-p 2"]),
        (&["--prompt", "a", "--top-k", "0"], &["--top-k 0"]),
        (&["--prompt", "a", "--beams", "0"], &["--beams 0"]),
        (
            &["--prompt", "a", "--beams", "2", "--seed", "1"],
            &["--beams", "--seed"],
        ),
        (
            &["--prompt", "a", "--max-new-tokens", "0"],
            &["--max-new-tokens 0"],
        ),
        (
            &["--prompt", "a", "--stop", "not one token"],
            &["--stop", "tokens"],
        ),
        (&["--prompt", "a", "--stop", ""], &["--stop", "0 tokens"]),
        (&["--prompt", &long], &["128 positions"]),
        (&["--prompt", "a", "--file", "b"], &["--prompt", "--file"]),
        (&["--file", "nowhere"], &["--file nowhere"]),
        (&["--file", "bytes"], &["--file bytes", "UTF-8"]),
        (
            &["--prompt", "a", "--bos-id", "9999"],
            &["9999", "--bos-id"],
        ),
    ] {
        refused(dir.path(), &[&["generate"], args].concat(), parts);
    }
}
