//! Forward passes: what share of the matrix library's rate they reach.

use super::program::{Programs, number, numbers};
use super::record::Record;
use super::spread::Spread;
use super::{Arguments, Sink};
use anyhow::Result;

/// The CPU backends with the types their weights can have.
const KINDS: [(&str, &str); 4] = [
    ("ndarray", "f32"),
    ("flex", "f32"),
    ("flex", "f16"),
    ("flex", "bf16"),
];

/// Measures dense batches of 64 and 256 tokens and the real ones, on the CPU backends.
pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    let batches = arguments.batches.as_ref().map(|f| f.display().to_string());
    let dense = |seq: &str| vec!["--seq".to_owned(), seq.to_owned()];
    let mut inputs = vec![("16x64", dense("64")), ("16x256", dense("256"))];
    if let Some(file) = batches {
        inputs.push(("sst2", vec!["--batches".into(), file]));
    }
    for (input, input_arguments) in inputs {
        let mut columns = KINDS.map(|kind| {
            let name = match kind {
                (backend, "f32") => format!("forward/{input}-{backend}"),
                (backend, dtype) => format!("forward/{input}-{backend}-{dtype}"),
            };
            (kind, name, Columns::default())
        });
        for round in 1..=arguments.rounds {
            for ((backend, dtype), name, columns) in &mut columns {
                if !arguments.wants(name) {
                    continue;
                }
                eprintln!("{name}: round {round} of {}", arguments.rounds);
                let mut words = input_arguments.clone();
                let threads = arguments.threads.to_string();
                words.extend(["--backend", backend, "--threads", &threads].map(String::from));
                words.extend(["--dtype", dtype].map(String::from));
                words.extend(["--repeats", "1"].map(String::from));
                words.insert(0, "forward".into());
                columns.add(&programs.measure(&words)?)?;
            }
        }
        for (_, name, columns) in columns {
            if arguments.wants(&name) {
                let mut record = Record::new(name, arguments.rounds);
                columns.fill(&mut record);
                sink(record)?;
            }
        }
    }
    Ok(())
}

/// One value a round of each quantity.
#[derive(Default)]
struct Columns {
    tokens: Vec<f64>,
    forward_s: Vec<f64>,
    gflops: Vec<f64>,
    peak_gflops: Vec<f64>,
    share_of_peak: Vec<f64>,
    linear_share_of_peak: Vec<f64>,
    linear_share_of_time: Vec<f64>,
}

impl Columns {
    fn add(&mut self, report: &serde_json::Value) -> Result<()> {
        let median = |name| -> Result<f64> {
            Ok(Spread::of(&numbers(report, name)?).map_or(f64::NAN, |s| s.median))
        };
        let (forward, linear) = (median("forward_s")?, median("linear_s")?);
        let (flops, peak) = (number(report, "flops")?, median("peak_flops")?);
        let linear_flops = number(report, "linear_flops")?;
        self.tokens
            .push(number(report, "tokens")? / number(report, "batches")?);
        self.forward_s.push(forward / number(report, "batches")?);
        self.gflops.push(flops / forward / 1e9);
        self.peak_gflops.push(peak / 1e9);
        self.share_of_peak.push(flops / forward / peak);
        self.linear_share_of_peak.push(linear_flops / linear / peak);
        // of the products that the forward pass needs: the last layer stops early for most tokens
        let needed = (flops / linear_flops).min(1.0);
        self.linear_share_of_time.push(needed * linear / forward);
        Ok(())
    }

    fn fill(&self, record: &mut Record) {
        for (name, values) in [
            ("tokens", &self.tokens),
            ("forward_s", &self.forward_s),
            ("gflops", &self.gflops),
            ("peak_gflops", &self.peak_gflops),
            ("share_of_peak", &self.share_of_peak),
            ("linear_share_of_peak", &self.linear_share_of_peak),
            ("linear_share_of_time", &self.linear_share_of_time),
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
    fn shares_are_of_the_measured_peak() {
        let mut columns = Columns::default();
        columns
            .add(
                &json!({"batches": 2, "tokens": 100, "flops": 8e9, "forward_s": [1.0, 0.5, 2.0],
                "linear_s": [0.8], "linear_flops": 8e9, "peak_flops": [1e10, 1.6e10]}),
            )
            .expect("complete");
        let mut record = Record::new("forward/x", 1);
        columns.fill(&mut record);
        let median = |name| record.get(name).map(|s| s.median);
        assert_eq!(median("tokens"), Some(50.0));
        assert_eq!(median("forward_s"), Some(0.5));
        assert_eq!(median("share_of_peak"), Some(0.5));
        assert_eq!(median("linear_share_of_peak"), Some(0.625));
        assert_eq!(median("linear_share_of_time"), Some(0.8));
    }
}
