//! Rewards that a program tells: a process that lives as long as the run, and is asked by a line an answer.

use crate::descendants::Descendants;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zograd_tasks::Question;
use zograd_tasks::rewards::{Reward, RewardError};

/// The longest line that is a number.
const LONGEST_LINE: u64 = 256;

/// Lines that a program may be ahead of who asks.
const LINES_AHEAD: usize = 1024;

/// What a program is given to end by itself, once its input has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// A program that says what answers are worth.
///
/// It is given a JSON line an answer, `{"row": {..}, "text": ".."}`, and answers each by a line with a number, in their order.
/// It is started when it is first asked, lives until this is dropped, and is then at the end of its input; if it does not
/// end within two seconds it is killed, with all that it started. One that fails is killed at once, and started anew when it is
/// asked again.
///
/// It stands in a group of processes of its own, so that Ctrl-C does not reach it: the step is finished with it.
#[derive(Debug)]
pub struct RewardProgram {
    command: String,
    limit: Duration,
    running: Mutex<Option<Running>>,
}

impl RewardProgram {
    /// This command line, as the shell understands it, which is given up when it has said nothing for so long.
    pub fn new(command: impl Into<String>, limit: Duration) -> Self {
        Self {
            command: command.into(),
            limit,
            running: Mutex::new(None),
        }
    }

    /// Kills all programs that this process has started, with all that they started, where the system tells which these are
    /// (Linux): for a process that ends without dropping what it has.
    pub fn kill_all() {
        Descendants::of_all().kill();
    }
}

impl Reward for RewardProgram {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        let told = self.rewards(&[(question, answer)])?;
        Ok(told.first().copied().unwrap_or(f64::NAN))
    }

    fn rewards(&self, answers: &[(&Question, &str)]) -> Result<Vec<f64>, RewardError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut program = match running.take() {
            Some(program) => program,
            None => Running::start(&self.command)?,
        };
        match program.ask(answers, self.limit) {
            Ok(rewards) => {
                *running = Some(program);
                Ok(rewards)
            }
            Err(error) => {
                program.kill();
                Err(error)
            }
        }
    }
}

/// The process, and the threads at its input and output: neither can hold up who asks.
#[derive(Debug)]
struct Running {
    child: Child,
    /// What is written to its input; that ends with it.
    input: Option<Sender<Vec<u8>>>,
    /// The lines of its output; they end with that.
    lines: Receiver<Vec<u8>>,
    /// How it ended, once that was asked: then its number may be another's.
    ended: bool,
    /// All that it started.
    descendants: Descendants,
}

impl Running {
    fn start(command: &str) -> Result<Self, RewardError> {
        let mut shell = in_shell(command);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let descendants = Descendants::of(&mut shell);
        let failed = |error: std::io::Error| {
            RewardError::ended(format!("the program cannot be started: {error}"))
        };
        let mut child = shell.spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(RewardError::ended("the program has no input or output"));
        };
        let (input, written) = mpsc::channel();
        let (read, lines) = mpsc::sync_channel(LINES_AHEAD);
        let writing = thread::Builder::new().spawn(move || write_all(stdin, &written));
        let reading = thread::Builder::new().spawn(move || read_lines(stdout, &read));
        let program = Self {
            child,
            input: Some(input),
            lines,
            ended: false,
            descendants,
        };
        // dropped if there is none, and the process with it
        writing.and(reading).map_err(failed)?;
        Ok(program)
    }

    /// The rewards of answers.
    fn ask(
        &mut self,
        answers: &[(&Question, &str)],
        limit: Duration,
    ) -> Result<Vec<f64>, RewardError> {
        match self.lines.try_recv() {
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(self.has_ended()),
            Ok(line) => {
                return Err(RewardError::unreadable(format!(
                    "the program said {:?} without being asked; it is to say one line an answer",
                    shown(&line)
                )));
            }
        }
        let mut asked = Vec::new();
        for (question, answer) in answers {
            asked.extend(line(question, answer));
        }
        // if it ended, so do its lines
        let _ = self.input.as_ref().map(|input| input.send(asked));
        let mut rewards = Vec::with_capacity(answers.len());
        while rewards.len() < answers.len() {
            match self.lines.recv_timeout(limit) {
                Ok(line) => rewards.push(number(&line)?),
                Err(RecvTimeoutError::Disconnected) => return Err(self.has_ended()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(RewardError::late(format!(
                        "the program said nothing for {} s (`reward-timeout`), after {} of {} answers",
                        limit.as_secs_f64(),
                        rewards.len(),
                        answers.len()
                    )));
                }
            }
        }
        Ok(rewards)
    }

    /// Its output has ended.
    fn has_ended(&mut self) -> RewardError {
        self.ended = true;
        kill_group(&mut self.child);
        self.descendants.kill();
        let how = match self.child.wait() {
            Ok(status) => in_words(status),
            Err(error) => error.to_string(),
        };
        RewardError::ended(format!(
            "the program ended or closed its output, and is to say a number a line for as long as it is asked: {how}"
        ))
    }

    /// Ends it and all that it started, at once.
    fn kill(mut self) {
        self.input = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // the end of its input, if it was not killed
        if self.input.take().is_some() {
            let until = Instant::now() + PATIENCE;
            let mut left = PATIENCE;
            // what it still says is nobody's
            while self.lines.recv_timeout(left).is_ok() {
                left = until.saturating_duration_since(Instant::now());
            }
        }
        if !self.ended {
            kill_group(&mut self.child);
            // nothing can be done about one that cannot be waited for
            let _ = self.child.wait();
            self.descendants.kill();
        }
    }
}

/// A command line, in a group of processes of its own.
#[cfg(unix)]
fn in_shell(command: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).process_group(0);
    shell
}

#[cfg(not(unix))]
fn in_shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

/// Kills a process that was not waited for, so that its number is no other's yet, and those that it started. Of one that
/// has ended already the outcome stays.
#[cfg(unix)]
fn kill_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // there may be nobody left
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

#[cfg(not(unix))]
fn kill_group(child: &mut Child) {
    // it may have ended
    let _ = child.kill();
}

/// How a shell ended, for people.
fn in_words(status: ExitStatus) -> String {
    match status.code() {
        Some(126) => format!("{status}, which a shell says of what it cannot run"),
        Some(127) => format!("{status}, which a shell says of what it does not find"),
        _ => status.to_string(),
    }
}

/// Writes what comes to the input of a process until nothing comes any more, or it does not read any more.
fn write_all(mut stdin: ChildStdin, written: &Receiver<Vec<u8>>) {
    for bytes in written {
        if stdin
            .write_all(&bytes)
            .and_then(|()| stdin.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Reads lines until there are none, or nobody wants them. One that is too long is cut: it is no number.
fn read_lines(stdout: ChildStdout, read: &SyncSender<Vec<u8>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let found = stdout
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line);
        if found.is_err() || line.is_empty() || read.send(line).is_err() {
            return;
        }
    }
}

/// How an answer is told.
fn line(question: &Question, answer: &str) -> Vec<u8> {
    let row = question.fields.clone().unwrap_or_default();
    let line: Value = json!({"row": row, "text": answer});
    format!("{line}\n").into_bytes()
}

/// The number of a line.
fn number(line: &[u8]) -> Result<f64, RewardError> {
    let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LONGEST_LINE;
    let text = std::str::from_utf8(line).ok().filter(|_| is_whole);
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| {
        RewardError::unreadable(format!(
            "the program said {:?}, which is no number",
            shown(line)
        ))
    })
}

/// A line as people can read it.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    match text.chars().count() {
        0..=60 => text.to_owned(),
        _ => text.chars().take(57).chain("...".chars()).collect(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::path::Path;
    use zograd_tasks::rewards::RewardFailure;

    /// Long enough for a shell on a machine with other work.
    const LONG: Duration = Duration::from_secs(120);

    fn question(fields: Value) -> Question {
        Question {
            fields: fields.as_object().cloned(),
            ..Question::default()
        }
    }

    fn asked(program: &RewardProgram, answers: &[&str]) -> Result<Vec<f64>, RewardError> {
        let question = question(json!({"id": 7}));
        let answers: Vec<(&Question, &str)> = answers.iter().map(|a| (&question, *a)).collect();
        program.rewards(&answers)
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_program_lives_on_and_is_told_rows_and_answers() {
        let dir = tempfile::tempdir().expect("a folder");
        let (seen, end) = (dir.path().join("seen"), dir.path().join("end"));
        let command = format!(
            "n=0; while read -r line; do printf '%s\\n' \"$line\" >> {}; n=$((n+1)); echo $n.5; done; echo x > {}",
            seen.display(),
            end.display()
        );
        let program = RewardProgram::new(command, LONG);
        let tricky = "line\nbreak \"and\" \u{e9}";
        assert_eq!(asked(&program, &["a", tricky]), Ok(vec![1.5, 2.5]));
        assert_eq!(asked(&program, &[]), Ok(vec![]));
        assert_eq!(program.reward(&question(Value::Null), "b"), Ok(3.5));
        let lines: Vec<Value> = text(&seen)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let expected = [
            json!({"row": {"id": 7}, "text": "a"}),
            json!({"row": {"id": 7}, "text": tricky}),
            json!({"row": {}, "text": "b"}),
        ];
        assert_eq!(lines, expected);
        // at the end of its input it ends by itself
        drop(program);
        assert_eq!(text(&end), "x\n");
    }

    #[test]
    fn every_way_to_fail_has_its_name() {
        use RewardFailure::{Ended, Late, Unreadable};
        let silent = "exec tail -f /dev/null";
        let long = "head -c 300 /dev/zero | tr '\\0' 1; cat > /dev/null";
        for (command, limit, failure, says) in [
            ("exit 3", LONG, Ended, "exit status: 3"),
            ("no-such-program 2> /dev/null", LONG, Ended, "does not find"),
            ("/etc/passwd 2> /dev/null", LONG, Ended, "cannot run"),
            ("kill -9 $$", LONG, Ended, "signal: 9"),
            ("read -r line; echo 1", LONG, Ended, "exit status: 0"),
            ("echo good; cat > /dev/null", LONG, Unreadable, "\"good\""),
            ("echo; cat > /dev/null", LONG, Unreadable, "\"\""),
            (
                "read -r line; printf '\\377\\n'; cat > /dev/null",
                LONG,
                Unreadable,
                "no number",
            ),
            (long, LONG, Unreadable, "111..."),
            (
                silent,
                Duration::from_millis(50),
                Late,
                "0.05 s (`reward-timeout`), after 0 of 2",
            ),
        ] {
            let program = RewardProgram::new(command, limit);
            // also where it reads nothing of what is more than a pipe holds
            let error = asked(&program, &["a", &"b".repeat(1 << 20)]).expect_err(command);
            assert_eq!(error.failure, failure, "{command}: {error}");
            assert!(error.words.contains(says), "{command}: {error}");
            assert!(!error.words.contains('\n'), "{error}");
        }
        // whether it is a number is for others to say; what is said before it is asked would be unasked
        let command = "read -r line; echo nan; echo -inf; cat > /dev/null";
        let program = RewardProgram::new(command, LONG);
        let found = asked(&program, &["a", "b"]).expect("numbers");
        assert!(found[0].is_nan() && found[1] == f64::NEG_INFINITY);
    }

    #[test]
    fn more_lines_than_answers_are_found_out() {
        let twice = "while read -r line; do printf '1\\n2\\n'; done";
        let program = RewardProgram::new(twice, LONG);
        // the first line too many may still be on its way
        let error = (0..1000).find_map(|_| asked(&program, &["a"]).err());
        let error = error.expect("it is noticed");
        assert_eq!(error.failure, RewardFailure::Unreadable);
        assert!(error.words.contains("without being asked"), "{error}");
    }

    /// One that is in a session of its own, started by a process that has ended, and so in nobody's group.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_gone_elsewhere_is_killed_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let pid = dir.path().join("pid");
        let command = format!(
            "(setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec tail -f /dev/null' > /dev/null 2>&1 &); \
             until [ -e {0} ]; do :; done; while read -r line; do echo 1; done",
            pid.display()
        );
        let program = RewardProgram::new(command, LONG);
        assert_eq!(asked(&program, &["a"]), Ok(vec![1.0]));
        let pid: i32 = text(&pid).trim().parse().expect("a number");
        let pid = rustix::process::Pid::from_raw(pid).expect("above 0");
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        assert!(state().is_ok(), "it lives");
        drop(program);
        // whoever is to wait for it may not have come to it yet
        let is_gone = || state().is_err() || state().is_ok_and(|stat| stat.contains(") Z "));
        let until = Instant::now() + LONG;
        while !is_gone() {
            assert!(Instant::now() < until, "it lives");
            thread::yield_now();
        }
    }

    #[test]
    fn one_that_failed_is_killed_and_started_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let pid = dir.path().join("pid");
        let command = format!(
            "if [ -e {0} ]; then while read -r line; do echo 4; done; fi; echo $$ > {0}; read -r line; echo bad; \
             exec tail -f /dev/null",
            pid.display()
        );
        let program = RewardProgram::new(command, LONG);
        let error = asked(&program, &["a"]).expect_err("no number");
        assert_eq!(error.failure, RewardFailure::Unreadable);
        let pid: i32 = text(&pid).trim().parse().expect("a number");
        let pid = rustix::process::Pid::from_raw(pid).expect("above 0");
        assert!(rustix::process::test_kill_process(pid).is_err(), "it lives");
        assert_eq!(asked(&program, &["a"]), Ok(vec![4.0]));
    }
}
