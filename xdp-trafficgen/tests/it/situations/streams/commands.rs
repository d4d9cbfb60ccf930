//! Each command, with one or both output streams that nothing reads.

use std::{
    fs::{File, OpenOptions},
    io::pipe,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::{
    harness::{Finished, RECEIVER_MAC, Running, Stage, sink},
    situations::table::row,
};

/// A device that takes nothing: ENOSPC.
pub(super) fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// What an output stream of a command is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A file.
    Read,
    /// A pipe whose reader has gone: EPIPE.
    Gone,
    /// A device without room.
    Full,
    /// No descriptor at all when the program starts.
    Closed,
}

/// Standard output and standard error.
const ENDS: [(End, End); 5] = [
    (End::Gone, End::Gone),
    (End::Closed, End::Closed),
    (End::Full, End::Read),
    (End::Read, End::Full),
    (End::Full, End::Full),
];

fn stdio(end: End) -> Option<Stdio> {
    match end {
        End::Read | End::Closed => None,
        End::Gone => Some(pipe().unwrap().1.into()),
        End::Full => Some(full().into()),
    }
}

/// The program, started by a shell that closes the streams to be closed.
fn command(arguments: &[&str], (out, err): (End, End)) -> Command {
    let close = |end, redirection| if end == End::Closed { redirection } else { "" };
    let script = format!("exec \"$0\" \"$@\" {} {}", close(out, ">&-"), close(err, "2>&-"));
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_xdp-trafficgen")])
        .args(arguments)
        .env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str], ends: (End, End)) -> Finished {
    let receiver = sink("xtg1");
    let mut running = Running::with(command(arguments, ends), [None, stdio(ends.0), stdio(ends.1)]);
    if arguments[0] == "daemon" {
        running.wait_until("frames arrive", |_| receiver.count().unwrap().frames > 0);
        running.signal(Signal::TERM);
    }
    running.end()
}

/// A broken stream changes neither what a command does nor its exit status, unless a result was
/// lost.
#[test]
fn every_command_without_readers() {
    let Some(_stage) = Stage::set() else { return };
    let config = super::file(
        "[[ports]]\nname = \"west\"\ninterface = \"xtg0\"\n[[flows]]\nname = \"some\"\nport = \"west\"\npackets = 1000\n\
         packet = [{ ethernet = { dst = \"02:00:00:00:00:02\" } }, { ipv4 = {} }, { udp = {} }]\n",
    );
    let config = config.path().to_str().unwrap();
    let quick = |command| vec![command, "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", "1000"];
    let commands = [
        vec!["demo", "--duration", "50ms"],
        quick("udp"),
        [quick("udp"), vec!["--json"]].concat(),
        quick("tcp-syn"),
        quick("icmp"),
        vec!["run", config],
        vec!["run", config, "--json"],
        vec!["check", config],
        vec!["show", config],
        vec!["probe"],
        vec!["probe", "xtg0", "--json"],
        vec!["daemon", "--config", config, "--json", "--report-interval", "50ms"],
        vec!["pace-test", "--self", "--rate", "10kpps", "--duration", "300ms"],
        vec!["help"],
        vec!["--version"],
        vec!["udp", "--help"],
        vec!["udp", "xtg0", "--packets", "many"],
        vec!["run", "/nonexistent.toml"],
        vec!["udp", "nowhere"],
    ];
    let mut tried = 0;
    for arguments in &commands {
        let normal = run(arguments, (End::Read, End::Read));
        let wrong =
            ["many", "nowhere", "/nonexistent.toml"].iter().any(|word| arguments.contains(word));
        assert_eq!(normal.code, Some(if wrong { 2 } else { 0 }), "{arguments:?}: {normal:?}");
        for ends in ENDS {
            check(arguments, ends, &normal, &run(arguments, ends));
            tried += 1;
        }
    }
    // A sweep takes long, so it runs only once.
    let tune = ["tune", "xtg0", "--dst-mac", RECEIVER_MAC, "--cpus", "0", "--duration", "100ms"];
    assert_eq!(run(&tune, (End::Gone, End::Full)).code, Some(0), "tune");
    tried += 1;
    let figures =
        format!("{} commands, {tried} runs, streams gone, full and closed", commands.len() + 1);
    row(
        "1",
        "COMMAND | true, 2>/dev/full, >&- 2>&- …",
        "what it says without them",
        "the same",
        &figures,
    );
}

#[track_caller]
fn check(arguments: &[&str], ends: (End, End), normal: &Finished, finished: &Finished) {
    let (out, err) = ends;
    let gives = !normal.stdout.is_empty();
    let lost = gives && out == End::Full;
    let code = if lost && normal.code == Some(0) { Some(1) } else { normal.code };
    assert_eq!(finished.code, code, "{arguments:?} with {ends:?}: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{arguments:?} with {ends:?}: {finished:?}");
    if out == End::Read {
        assert_eq!(finished.stdout.is_empty(), !gives, "{arguments:?} with {ends:?}: {finished:?}");
    }
    if err == End::Read {
        let said = finished.stderr.contains("cannot write to standard output");
        assert_eq!(said, lost, "{arguments:?} with {ends:?}: {finished:?}");
    }
}
