//! The daemon's log when it cannot be written.

use std::{
    fs::{self, File},
    io::Read as _,
    path::PathBuf,
    process::Command,
};

use rustix::process::Signal;

use crate::{
    harness::{Running, Stage, assert_arrived, sink},
    situations::table::row,
};

pub(super) const CONFIG: &str = "[[ports]]\nname = \"west\"\ninterface = \"xtg0\"\nrate = \"10kpps\"\n\
                      [[flows]]\nname = \"some\"\nport = \"west\"\n\
                      packet = [{ ethernet = { dst = \"02:00:00:00:00:02\" } }, { ipv4 = {} }, { udp = {} }]\n";

/// The log is on a disk of two pages in the daemon's own mount namespace. One page is taken at
/// first, and freed later.
#[test]
fn a_log_on_a_full_disk() {
    let Some(_stage) = Stage::set() else { return };
    let (config, folder) = (super::file(CONFIG), tempfile::tempdir().unwrap());
    let script = "mount -t tmpfs -o size=8k none \"$1\" && head -c 4096 /dev/zero >\"$1/other\" && \
                  exec \"$0\" daemon --config \"$2\" --log-format json --report-interval 20ms --json 2>>\"$1/log\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_xdp-trafficgen")]);
    command.arg(folder.path()).arg(config.path()).env_remove("RUST_LOG");
    let sink = sink("xtg1");
    let mut running = Running::start(command);
    let inside = PathBuf::from(format!("/proc/{}/root", running.pid().as_raw_nonzero()));
    let disk = inside.join(folder.path().strip_prefix("/").unwrap());
    let log = || fs::read_to_string(disk.join("log")).unwrap_or_default();
    running.wait_until("the disk is full", |_| log().len() == 4096);
    let frames = sink.count().unwrap().frames;
    running.wait_until("it goes on sending", |_| sink.count().unwrap().frames > frames + 1000);
    fs::remove_file(disk.join("other")).unwrap();
    running.wait_until("the loss is logged", |_| lost(&log()).is_some());
    // The disk is unmounted when the daemon ends, so the test opens the log before.
    let mut file = File::open(disk.join("log")).unwrap();
    running.signal(Signal::TERM);
    let finished = running.end();
    let report = finished.report(0);
    assert_arrived(&sink, report.only_port().frames_tx);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_whole_lines(&text);
    let reported = lost(&text).unwrap();
    assert_eq!(
        text.matches(&format!("\"log_lines_lost\":{reported}")).count(),
        1,
        "reported once: {text}"
    );
    assert!(reported > 0, "{text}");
    let message = "the log could not be written; so many lines since the start are missing";
    assert!(text.contains(message), "{text}");
    row(
        "1",
        "daemon … --log-format json 2>>full/log, then made room",
        message,
        0,
        &format!("log_lines_lost {reported}"),
    );
}

/// All lines are whole except the one that was torn; the log goes on in a line of its own behind
/// it.
#[track_caller]
fn assert_whole_lines(text: &str) {
    let lines = text.lines().collect::<Vec<_>>();
    let broken = lines
        .iter()
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err())
        .count();
    assert!(broken <= 1, "{broken} lines are no JSON: {text}");
    assert!(lines.len() > 3, "{text}");
}

/// The number of lost lines that the log reports.
fn lost(text: &str) -> Option<u64> {
    let entries =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    entries.filter_map(|entry| entry["fields"]["log_lines_lost"].as_u64()).next_back()
}
