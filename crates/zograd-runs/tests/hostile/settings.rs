//! A file of settings.

use crate::trial;
use zograd_hostile::text;
use zograd_runs::{Given, Runs};

const FILE: &str = "\
# a run
method = \"gv\"
pool = 4
alpha = 0.5
steps = 100
lr = 1e-6
eps = 1e-3
schedule = \"cosine\"
batch-size = 16
seed = 3
model = \"models/opt\"
data = 'data/sst2'
task = \"sst2\"
threads = 2
faithful-cost = true
";

#[test]
fn damaged_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.toml");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        let runs = Runs::new();
        let read = Given::read(&path, &runs.keys());
        // whatever can be read is resolved or refused
        let read = read.map(|given| drop(runs.check(given)));
        read.map_err(|error| {
            let text = error.to_string();
            assert!(text.contains("run.toml"), "{text}");
            text
        })
    };
    assert_eq!(read(FILE.as_bytes()), Ok(()));
    trial("TOML settings", 600).run(text::damaged(FILE.as_bytes()), read);
}
