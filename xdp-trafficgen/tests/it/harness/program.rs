//! The program under test: while it runs, and after its end.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Report, reached};

/// The binary under test.
pub(crate) fn trafficgen(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdp-trafficgen"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// A running program, which is killed when this value is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    pub(crate) fn start(command: Command) -> Self {
        Self::with(command, [None, None, None])
    }

    /// The same with streams of the caller's; those that are None are empty (input) or read here
    /// (output).
    pub(crate) fn with(mut command: Command, [input, out, err]: [Option<Stdio>; 3]) -> Self {
        // Files rather than pipes, because files never fill up and can be read at any time.
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let child = command
            .stdin(input.unwrap_or_else(Stdio::null))
            .stdout(out.unwrap_or_else(|| stdout.try_clone().unwrap().into()))
            .stderr(err.unwrap_or_else(|| stderr.try_clone().unwrap().into()))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until `condition` holds; fails if the program ends before.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let mut ended = None;
        let held = reached(|| {
            ended = self.child.try_wait().unwrap();
            condition(self) || ended.is_some()
        });
        assert!(
            held && ended.is_none(),
            "this never happened: {what}; {ended:?}, {}",
            self.stderr()
        );
    }

    /// Waits for the program's end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Finished {
        let mut status = None;
        reached(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap_or_else(|| panic!("it does not end; {}", self.stderr()));
        Finished { code: status.code(), stdout: text(&self.stdout), stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The program still runs here when a test has failed.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    #[track_caller]
    pub(crate) fn of(command: Command) -> Self {
        Running::start(command).end()
    }

    /// The report of a run with `--json`, which must have ended with this exit code.
    #[track_caller]
    pub(crate) fn report(&self, code: i32) -> Report {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout.lines().count(), 1, "one object on one line: {self:?}");
        let report: Report =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        report.assert_adds_up();
        report
    }
}

fn text(file: &File) -> String {
    // Reads at explicit offsets: the child's writes go on from this descriptor's position.
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
