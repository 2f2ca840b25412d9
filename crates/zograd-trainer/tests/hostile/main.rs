//! Trajectory logs that are not as they were written.

use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;
use zograd_hostile::{Counting, Seen, Trial, bytes, json};
use zograd_models::Storage;
use zograd_perturb::family::PerturbationSpec;
use zograd_perturb::{Arithmetic, NoiseKind, Selection, noise};
use zograd_select::{MethodSpec, Methods, SkipReason};
use zograd_trainer::trajectory::{
    FORMAT_VERSION, Header, Record, Tail, Trajectory, TrajectoryWriter, retell,
};
use zograd_trainer::{Schedule, TrainConfig};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAGIC: &[u8] = b"zogtraj\n";

fn header() -> Header {
    let mut config = TrainConfig::new(10, 1e-6);
    config.schedule = Schedule::Cosine;
    config.weight_decay = 0.1;
    (config.batch_size, config.eval_batch_size) = (2, 4);
    (config.seed, config.eval_every) = (7, 3);
    Header {
        head_fit: None,
        measured_rate: None,
        informed: None,
        adapter: None,
        format: FORMAT_VERSION,
        model: "tiny".into(),
        weights: "sha256:00".into(),
        dtype: Storage::F32,
        dimension: 1000,
        selection: Selection::Matching(vec!["*bias".into()]),
        noise: NoiseKind::Gaussian,
        perturbation: PerturbationSpec::default(),
        noise_version: noise::VERSION,
        arithmetic: Arithmetic::Exact,
        stands_still: false,
        eps: 1e-3,
        method: MethodSpec::new("gv")
            .with("pool", 4)
            .with("alpha", 0.5)
            .with("faithful-cost", false),
        config,
    }
}

/// A log of three steps: one as expected, one with everything foreign, one that was skipped.
fn log() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let mut writer = TrajectoryWriter::create(&path, header()).expect("a new log");
    for step in 1..=3u64 {
        let seed = zograd_perturb::Seed::new(step * 31);
        let record = Record {
            step,
            lr: if step == 1 { 1e-6 } else { 0.5 },
            weight_decay: 0.1,
            update: (0..3).map(|i| (seed.child(i), 0.25)).collect(),
            losses: vec![0.5, f64::NAN, 0.25, 1e300],
            skipped: (step == 3).then_some(SkipReason::NonFiniteLoss),
        };
        writer.append(&record).expect("written");
    }
    std::fs::read(&path).expect("a log")
}

/// The payloads of a log: the header and the records.
fn payloads(log: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = log.strip_prefix(MAGIC).expect("a log");
    let mut payloads = Vec::new();
    while !rest.is_empty() {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = rest[0];
            rest = &rest[1..];
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        payloads.push(rest[..length].to_vec());
        rest = &rest[length + 4..];
    }
    payloads
}

/// A log of these payloads, with the lengths and checksums that they need.
fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut log = MAGIC.to_vec();
    for payload in payloads {
        let mut length = payload.len();
        while length >= 0x80 {
            log.push(length as u8 | 0x80);
            length >>= 7;
        }
        log.push(length as u8);
        log.extend(payload);
        log.extend(crc32fast::hash(payload).to_le_bytes());
    }
    log
}

/// Reads a log and goes through what it says, as `zograd log verify` does.
fn read(bytes: &[u8]) -> Seen {
    let log = Trajectory::parse(bytes, Path::new("run/trajectory.zog")).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains("run/trajectory.zog"), "{text}");
        text
    })?;
    assert!(
        log.records
            .iter()
            .map(|r| r.step)
            .eq(1..=log.records.len() as u64)
    );
    assert_eq!(log.ends.len(), log.records.len() + 1);
    assert!(log.ends.is_sorted());
    let torn = match log.tail {
        Tail::Clean => 0,
        Tail::Torn { bytes, .. } => bytes,
    };
    assert_eq!(log.ends[log.records.len()] + torn, bytes.len() as u64);
    // neither whether the method is known nor whether the log follows from its losses is the reader's business
    if let Ok(mut strategy) = Methods::built_in().build(&log.header.method) {
        let _ = retell(strategy.as_mut(), &log.header, &log.records);
    }
    match log.tail {
        Tail::Clean => Ok(()),
        Tail::Torn { reason, .. } => Err(reason.into()),
    }
}

const fn trial(reader: &'static str, cases: u32) -> Trial {
    Trial { reader, cases }
}

#[test]
fn every_truncation_bit_and_length() {
    let log = log();
    assert_eq!(read(&log), Ok(()));
    assert_eq!(framed(&payloads(&log)), log);
    trial("log, cut", 30_000).each(bytes::truncations(&log), read);
    trial("log, flipped bits", 30_000).each(bytes::flips(&log), |bytes| {
        let seen = read(bytes);
        assert!(seen.is_err(), "a flipped bit was not noticed");
        seen
    });
    trial("log, extreme numbers", 30_000).each(bytes::numbers(&log), read);
}

#[test]
fn damaged_logs() {
    trial("log", 3000).run(bytes::damaged(log()), read);
}

#[test]
fn damaged_headers_with_good_checksums() {
    let payloads = payloads(&log());
    let headers = json::damaged(&payloads[0]);
    let logs = headers.prop_map(move |header| {
        let mut payloads = payloads.clone();
        payloads[0] = header;
        framed(&payloads)
    });
    trial("log, header", 3000).run(logs, read);
}

#[test]
fn damaged_records_with_good_checksums() {
    let payloads = payloads(&log());
    let records = prop_oneof![
        bytes::damaged(payloads[1].clone()),
        bytes::damaged(payloads[2].clone()),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    let logs = (records, any::<Index>()).prop_map(move |(record, at)| {
        let mut payloads = payloads.clone();
        let at = 1 + at.index(payloads.len() - 1);
        payloads[at] = record;
        framed(&payloads)
    });
    trial("log, records", 3000).run(logs, read);
}

/// Records that are repeated, left out or exchanged are no run.
#[test]
fn spliced_records() {
    let whole = payloads(&log());
    let order = prop::collection::vec(0..whole.len(), 0..8);
    let logs = order.prop_map(move |order| {
        let payloads: Vec<_> = order.into_iter().map(|i| whole[i].clone()).collect();
        framed(&payloads)
    });
    trial("log, spliced", 1000).run(logs, |bytes| {
        let seen = read(bytes);
        if seen.is_ok() {
            let whole = log();
            assert!(whole.starts_with(bytes), "an order that was not written");
        }
        seen
    });
}
