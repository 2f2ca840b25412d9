use serde_json::Value;
use std::path::PathBuf;

/// A path in the folder of reference numbers next to the workspace. Where that folder is not, the
/// caller has nothing to compare with and returns, unless this is a CI run, which must have it.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !folder.is_dir() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "../shared is not here"
        );
        eprintln!("skipped: ../shared is not here");
        return None;
    }
    Some(folder.join(path))
}

/// A JSON file in that folder.
pub fn golden(path: &str) -> Option<Value> {
    let text = std::fs::read_to_string(shared(path)?).expect("a golden file");
    Some(serde_json::from_str(&text).expect("JSON"))
}
