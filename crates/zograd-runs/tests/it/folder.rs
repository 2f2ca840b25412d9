//! Run folders that are not as they were written.

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_file_holds_nobody_up() {
    use std::fs;
    use zograd_runs::folder::{CONFIG, METRICS, RunRecord, SUMMARY};

    for name in [CONFIG, METRICS, SUMMARY] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(CONFIG), "").expect("written");
        assert!(RunRecord::read(folder.path()).is_ok());
        let pipe = folder.path().join(name);
        let _ = fs::remove_file(&pipe);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        // nobody writes into it: whoever opens it waits for ever
        let error = RunRecord::read(folder.path()).expect_err("a pipe");
        let said = format!("{}: it is a pipe", pipe.display());
        assert!(error.to_string().starts_with(&said), "{error}");
    }
}
