//! Weight passes: against the copy bandwidth of the machine, and against drawing and adding noise in PyTorch.

use super::machine::Machine;
use super::program::{Programs, number, numbers, peer};
use super::record::Record;
use super::spread::Spread;
use super::{Arguments, Sink};
use crate::workspace::workspace;
use anyhow::Result;

/// Bytes of an f32 that is read and written.
const MOVED: f64 = 8.0;

/// The records of this topic: passes with each set of vector instructions, whatever else the machine has.
pub const AVX512: &str = "noise/avx512";
pub const AVX2: &str = "noise/avx2";

pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    for (name, instructions) in [(AVX512, "avx512"), (AVX2, "avx2")] {
        if arguments.wants(name) && has(instructions) {
            sink(measured(programs, arguments, name, instructions)?)?;
        }
    }
    Ok(())
}

/// Whether this machine has vector instructions that `measure` calls so.
pub fn has(instructions: &str) -> bool {
    let vectors = Machine::this().vectors;
    match instructions {
        "avx512" => vectors == "AVX-512",
        _ => vectors != "baseline",
    }
}

fn measured(
    programs: &Programs,
    arguments: &Arguments,
    name: &str,
    instructions: &str,
) -> Result<Record> {
    let threads = arguments.threads.to_string();
    let script = workspace().join("docs/src/scripts/normal_add.py");
    let mut record = Record::new(name, arguments.rounds);
    let mut columns = Columns::new(arguments.threads);
    for round in 1..=arguments.rounds {
        eprintln!("{name}: round {round} of {}", arguments.rounds);
        let ours = programs.measure(&pass_arguments(&threads, instructions))?;
        columns.add(&ours)?;
        if let Some(python) = &arguments.peer_python {
            let line = format!("{python} {}", script.display());
            let report = peer(&line, &["--threads", &threads])?;
            columns.add_peer(number(&report, "pass_s_median")?);
            record.note_versions(&report);
        }
    }
    columns.fill(&mut record);
    Ok(record)
}

/// What `measure` is given for passes with such instructions.
pub fn pass_arguments<'a>(threads: &'a str, instructions: &'a str) -> [&'a str; 7] {
    let fixed = ["noise", "--repeats", "3", "--threads"];
    let [noise, repeats, three, option] = fixed;
    [
        noise,
        repeats,
        three,
        option,
        threads,
        "--instructions",
        instructions,
    ]
}

/// One value a round of each quantity.
#[derive(Default)]
struct Columns {
    threads: f64,
    normals: Vec<f64>,
    five: Vec<f64>,
    signs: Vec<f64>,
    in_place: Vec<f64>,
    copy: Vec<f64>,
    gaussian_share: Vec<f64>,
    rademacher_share: Vec<f64>,
    gaussian_s: Vec<f64>,
    torch_s: Vec<f64>,
    torch_speedup: Vec<f64>,
}

impl Columns {
    fn new(threads: usize) -> Self {
        Self {
            threads: threads as f64,
            ..Self::default()
        }
    }

    fn add(&mut self, report: &serde_json::Value) -> Result<()> {
        let n = number(report, "parameters")?;
        let median = |name| -> Result<f64> {
            Ok(Spread::of(&numbers(report, name)?).map_or(f64::NAN, |s| s.median))
        };
        let (gaussian, signs) = (median("gaussian_s")?, median("rademacher_s")?);
        let (in_place, copy) = (median("in_place_s")?, median("copy_s")?);
        self.gaussian_s.push(gaussian);
        self.normals.push(n / gaussian);
        self.five
            .push(5.0 * n / median("gaussian5_s")? / self.threads);
        self.signs.push(n / signs);
        self.in_place.push(MOVED * n / in_place / 1e9);
        self.copy.push(MOVED * n / copy / 1e9);
        // the faster of the two ways to read and write as many bytes
        let fastest = in_place.min(copy);
        self.gaussian_share.push(fastest / gaussian);
        self.rademacher_share.push(fastest / signs);
        Ok(())
    }

    fn add_peer(&mut self, seconds: f64) {
        self.torch_s.push(seconds);
        let ours = self.gaussian_s.last().copied().unwrap_or(f64::NAN);
        self.torch_speedup.push(seconds / ours);
    }

    fn fill(&self, record: &mut Record) {
        for (name, values) in [
            ("gaussian_normals_per_s", &self.normals),
            ("gaussian_five_streams_per_s_core", &self.five),
            ("rademacher_signs_per_s", &self.signs),
            ("in_place_gb_per_s", &self.in_place),
            ("copy_gb_per_s", &self.copy),
            ("gaussian_share_of_copy", &self.gaussian_share),
            ("rademacher_share_of_copy", &self.rademacher_share),
            ("gaussian_s", &self.gaussian_s),
            ("torch_s", &self.torch_s),
            ("torch_speedup", &self.torch_speedup),
        ] {
            record.add(name, values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_are_of_the_faster_copy() {
        let mut columns = Columns::new(2);
        columns
            .add(
                &json!({"parameters": 1e9, "gaussian_s": [1.0], "gaussian5_s": [2.5],
                "rademacher_s": [0.4, 0.5, 0.6], "in_place_s": [0.4], "copy_s": [0.8]}),
            )
            .expect("complete");
        columns.add_peer(8.0);
        let mut record = Record::new(AVX2, 1);
        columns.fill(&mut record);
        let median = |name| record.get(name).map(|s| s.median);
        assert_eq!(median("gaussian_normals_per_s"), Some(1e9));
        assert_eq!(median("gaussian_five_streams_per_s_core"), Some(1e9));
        assert_eq!(median("rademacher_share_of_copy"), Some(0.8));
        assert_eq!(median("copy_gb_per_s"), Some(10.0));
        assert_eq!(median("torch_speedup"), Some(8.0));
        assert!(columns.add(&json!({"parameters": 1})).is_err());
    }
}
