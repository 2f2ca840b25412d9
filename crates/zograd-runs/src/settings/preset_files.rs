//! The preset files, compiled in. A new one is a file under `presets/` and its line here; a test finds a file
//! without a line.

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../presets/", $name, ".toml")))),*]
    };
}

/// (Name, text) of every preset, in the order of the paper's tables.
pub const FILES: &[(&str, &str)] = files![
    "paper/opt-1.3b/sst2/mezo",
    "paper/opt-1.3b/rte/mezo",
    "paper/opt-1.3b/cb/mezo",
    "paper/opt-1.3b/boolq/mezo",
    "paper/opt-1.3b/wsc/mezo",
    "paper/opt-1.3b/wic/mezo",
    "paper/opt-1.3b/multirc/mezo",
    "paper/opt-1.3b/copa/mezo",
    "paper/opt-1.3b/record/mezo",
    "paper/opt-1.3b/squad/mezo",
    "paper/opt-1.3b/drop/mezo",
    "paper/opt-1.3b/sst2/gv-prefix",
    "paper/opt-1.3b/rte/gv-prefix",
    "paper/opt-1.3b/cb/gv-prefix",
    "paper/opt-1.3b/boolq/gv-prefix",
    "paper/opt-1.3b/wsc/gv-prefix",
    "paper/opt-1.3b/wic/gv-prefix",
    "paper/opt-1.3b/multirc/gv-prefix",
    "paper/opt-1.3b/copa/gv-prefix",
    "paper/opt-1.3b/record/gv-prefix",
    "paper/opt-1.3b/squad/gv-prefix",
    "paper/opt-1.3b/drop/gv-prefix",
    "paper/opt-1.3b/wsc/n-spsa",
    "paper/opt-1.3b/boolq/n-spsa",
    "paper/opt-1.3b/wsc/gv",
    "paper/opt-1.3b/boolq/gv",
    "paper/opt-13b/sst2/mezo",
    "paper/opt-13b/rte/mezo",
    "paper/opt-13b/cb/mezo",
    "paper/opt-13b/boolq/mezo",
    "paper/opt-13b/wsc/mezo",
    "paper/opt-13b/wic/mezo",
    "paper/opt-13b/multirc/mezo",
    "paper/opt-13b/copa/mezo",
    "paper/opt-13b/record/mezo",
    "paper/opt-13b/squad/mezo",
    "paper/opt-13b/drop/mezo",
    "paper/opt-13b/sst2/gv",
    "paper/opt-13b/rte/gv",
    "paper/opt-13b/cb/gv",
    "paper/opt-13b/boolq/gv",
    "paper/opt-13b/wsc/gv",
    "paper/opt-13b/wic/gv",
    "paper/opt-13b/multirc/gv",
    "paper/opt-13b/copa/gv",
    "paper/opt-13b/record/gv",
    "paper/opt-13b/squad/gv",
    "paper/opt-13b/drop/gv",
    "paper/opt-13b/wic/greedy",
    "paper/opt-13b/rte/greedy",
    "paper/opt-13b/boolq/greedy",
];
