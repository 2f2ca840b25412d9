//! How far ranks go: a model of a step, extrapolated to 1,024 of them. `cargo xtask bench ranks` runs it, and holds it
//! against what some ranks do.
//!
//! ```sh
//! cargo run --release -p zograd-ranks --example scale                       # the table
//! cargo run --release -p zograd-ranks --example scale -- svg                # the figure
//! cargo run --release -p zograd-ranks --example scale -- here 1e-3 2e-3 2   # seconds of GV's step on 1 to 4 ranks, where an
//! # evaluation takes so long, and so much more an example, and there are so many processors
//! ```

mod chart;
mod here;
mod model;

use here::Processors;
use model::{Net, Rank, Step};
use std::error::Error;
use std::fmt::Write;

/// Steps whose stragglers are drawn.
const DRAWS: u64 = 200;

/// How many ranks are looked at.
const RANKS: [usize; 11] = [1, 2, 4, 6, 8, 16, 32, 64, 128, 512, 1024];

/// A card of today: a third of its 16-bit products, and half of its memory's rate.
const CARD: Rank = Rank {
    rate: 3e14,
    bandwidth: 1.5e12,
    spread: 0.05,
};

/// Eight of them, for weights that one has no room for.
const EIGHT_CARDS: Rank = Rank {
    rate: 8.0 * CARD.rate,
    bandwidth: 8.0 * CARD.bandwidth,
    ..CARD
};

/// A cluster's net, and the tenth of a millisecond after which a rank that waits looks again.
const CLUSTER: Net = Net {
    latency: 1e-4,
    bandwidth: 1e9,
};

const fn step(parameters: f64, asks: &'static [usize]) -> Step {
    Step {
        parameters,
        bytes: 2.0,
        asks,
        examples: 16,
        tokens: 32.0,
    }
}

/// What is extrapolated: names, steps, ranks of which kind.
const STEPS: [(&str, Step, Rank); 5] = [
    ("OPT-13B, MeZO", step(13e9, &[2]), CARD),
    ("OPT-13B, GV, M = 4", step(13e9, &[4, 2]), CARD),
    ("OPT-175B, MeZO", step(175e9, &[2]), EIGHT_CARDS),
    ("OPT-175B, GV, M = 4", step(175e9, &[4, 2]), EIGHT_CARDS),
    (
        "OPT-175B, 10,000 at once",
        step(175e9, &[10_000]),
        EIGHT_CARDS,
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => print!("{}", table()),
        ["svg"] => print!("{}", chart::svg(&speedups(), &RANKS)),
        ["here", fixed, each, processors] => {
            let processors = Processors {
                number: processors.parse()?,
                fixed: fixed.parse()?,
                each: each.parse()?,
            };
            let (_, gv, _) = STEPS[1];
            let seconds = (1..=4).map(|ranks| processors.seconds(&gv, ranks));
            println!("{:?}", seconds.collect::<Vec<f64>>());
        }
        _ => return Err("give nothing, svg, or here with three numbers".into()),
    }
    Ok(())
}

/// How many times as fast as one rank each number of ranks is.
fn speedups() -> Vec<(&'static str, Vec<f64>)> {
    let each = STEPS.iter().map(|(name, step, rank)| {
        let seconds = |ranks| step.seconds(rank, &CLUSTER, ranks, DRAWS);
        let one = seconds(1);
        (
            *name,
            RANKS.iter().map(|ranks| one / seconds(*ranks)).collect(),
        )
    });
    each.collect()
}

fn table() -> String {
    let mut text = String::from(
        "Extrapolated, seconds of a step (in brackets how many times as fast as one rank), and the bytes that each rank \
         receives for it:\n\n| ranks |",
    );
    for (name, ..) in &STEPS {
        let _ = write!(text, " {name} |");
    }
    text += " bytes, GV |\n|---|---|---|---|---|---|---|\n";
    for ranks in RANKS {
        let _ = write!(text, "| {ranks} |");
        for (_, step, rank) in &STEPS {
            let seconds = |ranks| step.seconds(rank, &CLUSTER, ranks, DRAWS);
            let (one, now) = (seconds(1), seconds(ranks));
            let _ = write!(text, " {} ({:.1}) |", significant(now), one / now);
        }
        let _ = writeln!(text, " {} |", STEPS[1].1.received(ranks));
    }
    text
}

/// Three digits.
fn significant(x: f64) -> String {
    let digits = (2.0 - x.abs().log10().floor()).max(0.0) as usize;
    format!("{x:.digits$}")
}
