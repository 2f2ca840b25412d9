//! The probes of an adapter's step: what scoring them together gains.

use super::program::{Programs, number, numbers};
use super::record::Record;
use super::spread::Spread;
use super::{Arguments, Sink};
use anyhow::Result;

/// As many as the pool of the paper's MeZO-GV.
const PROBES: &str = "4";

/// Measures LoRA and prefix on dense batches of 64, 240 and 496 tokens, and on the real ones.
pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    let dense = |rows: &str, length: &str| ["--batch", rows, "--seq", length].map(String::from);
    let mut inputs = vec![
        ("4x17", dense("4", "17").to_vec()),
        ("16x16", dense("16", "16").to_vec()),
        ("16x32", dense("16", "32").to_vec()),
    ];
    if let Some(file) = &arguments.batches {
        let file = file.display().to_string();
        inputs.push(("sst2", vec!["--batches".into(), file]));
    }
    for (input, words) in inputs {
        for adapter in ["lora", "prefix"] {
            let name = format!("probes/{input}-{adapter}");
            if !arguments.wants(&name) {
                continue;
            }
            let mut record = Record::new(&name, arguments.rounds);
            let (mut tokens, mut together, mut one_by_one) = (vec![], vec![], vec![]);
            let mut difference = vec![];
            for round in 1..=arguments.rounds {
                eprintln!("{name}: round {round} of {}", arguments.rounds);
                let mut all = vec!["probes".to_owned()];
                let threads = arguments.threads.to_string();
                let others = [
                    "--adapter",
                    adapter,
                    "--probes",
                    PROBES,
                    "--threads",
                    &threads,
                ];
                all.extend(others.map(String::from));
                all.extend(words.iter().cloned());
                let report = programs.measure(&all)?;
                let batches = number(&report, "batches")?;
                let median = |name| -> Result<f64> {
                    let values = numbers(&report, name)?;
                    Ok(Spread::of(&values).map_or(f64::NAN, |s| s.median) / batches)
                };
                tokens.push(number(&report, "tokens")? / batches);
                difference.push(number(&report, "difference")?);
                together.push(median("together_s")?);
                one_by_one.push(median("one_by_one_s")?);
            }
            let gain: Vec<f64> = one_by_one
                .iter()
                .zip(&together)
                .map(|(a, b)| a / b)
                .collect();
            for (name, values) in [
                ("tokens", tokens),
                ("one_by_one_s", one_by_one),
                ("together_s", together),
                ("gain", gain),
                ("difference", difference),
            ] {
                record.add(name, &values);
            }
            sink(record)?;
        }
    }
    Ok(())
}
