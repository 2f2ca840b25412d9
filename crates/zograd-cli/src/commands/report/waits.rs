//! The time that ranks waited for one another, by run.

use zograd_runs::folder::RunRecord;

/// A row of heads and one a run that ranks shared; empty if none did.
pub fn rows(runs: &[RunRecord]) -> Vec<Vec<String>> {
    let shared = runs.iter().filter_map(|run| {
        let summary = run.summary.as_ref().filter(|s| !s.waited.is_empty())?;
        let waited = summary.waited.iter().map(|seconds| format!("{seconds:.1}"));
        Some(vec![
            run.folder.display().to_string(),
            summary.waited.len().to_string(),
            format!("{:.1}", summary.seconds),
            waited.collect::<Vec<_>>().join(", "),
        ])
    });
    let mut rows: Vec<Vec<String>> = shared.collect();
    if !rows.is_empty() {
        let heads = [
            "run",
            "ranks",
            "seconds of training",
            "seconds of waiting, by rank",
        ];
        rows.insert(0, heads.map(String::from).to_vec());
    }
    rows
}
