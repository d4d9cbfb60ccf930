//! Standard output and standard error that are closed, full, or read only in part.

mod commands;
mod fields;
mod log;
mod pipes;
mod terminal;

use std::{
    io::{BufRead as _, BufReader, Write as _, pipe},
    process::Stdio,
};

use tempfile::{NamedTempFile, tempdir};

use crate::{
    harness::{Finished, RECEIVER_MAC, Running, Stage, assert_arrived, sink, trafficgen},
    situations::table::row,
};

/// A configuration file.
fn file(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// As `udp … 2>&1 | head -2`, with the report written to a file, so that the test can read it.
#[test]
fn a_reader_that_stops_early() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let arguments = [
        "udp",
        "xtg0",
        "--dst-mac",
        RECEIVER_MAC,
        "--rate",
        "10kpps",
        "--duration",
        "3s",
        "--json",
    ];
    let (reader, writer) = pipe().unwrap();
    let child = trafficgen(&arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(reader).lines();
    let line = lines.find(|line| line.as_ref().unwrap().contains("sent")).unwrap().unwrap();
    drop(lines);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let finished =
        Finished { code: output.status.code(), stdout: text(output.stdout), stderr: line };
    let report = finished.report(0);
    let port = report.only_port();
    assert_eq!(port.frames_attempted + port.frames_unsent.unwrap(), 30_000, "{report:?}");
    assert_arrived(&sink, port.frames_tx);
    let figures = format!("{} arrived of 30 000 due", port.frames_tx);
    row("1", "udp … --rate 10kpps --duration 3s 2>&1 | head -2", &finished.stderr, 0, &figures);
}

/// `--strict` exits with 3 when less was sent than was asked for, even when the report is lost.
#[test]
fn strict_stays_strict() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    // More than a virtual link or any CPU can send, for so long that even a busy machine sends some
    // of it.
    let more = ["--rate", "50Mpps", "--behind", "skip", "--packets", "10000000", "--strict"];
    let arguments = [&["udp", "xtg0", "--dst-mac", RECEIVER_MAC][..], &more].concat();
    let (_, gone) = pipe().unwrap();
    for (name, stdout) in [("| true", Stdio::from(gone)), (">/dev/full", commands::full().into())] {
        let before = sink.count().unwrap().frames;
        let finished = Running::with(trafficgen(&arguments), [None, Some(stdout), None]).end();
        assert_eq!(finished.code, Some(3), "{name}: {finished:?}");
        let sentence = finished.stderr.lines().last().unwrap();
        assert!(
            sentence.starts_with("error: less than was asked for (--strict): port xtg0 left"),
            "{finished:?}"
        );
        let lost =
            "error: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!(finished.stderr.contains(lost), name == ">/dev/full", "{finished:?}");
        let sent = sink.count().unwrap().frames - before;
        assert!(sent > 0, "{finished:?}");
        row("1", &format!("udp … --strict {name}"), sentence, 3, &format!("{sent} arrived"));
    }
}

#[test]
fn files_are_opened_first() {
    let Some(stage) = Stage::set() else { return };
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let sink = sink("xtg1");
    let pace_test = |svg: &str, more: &[&str]| {
        let mut command = trafficgen(&[
            "pace-test",
            "xtg0",
            "--receiver",
            "xtg1",
            "--rate",
            "10kpps",
            "--svg",
            svg,
        ]);
        command.args(more);
        Finished::of(command)
    };
    let missing = path("missing/gaps.svg");
    let refused = pace_test(&missing, &["--duration", "30m"]);
    let sentence =
        format!("error: cannot write {missing}: No such file or directory (os error 2)\n");
    assert_eq!((refused.code, refused.stdout.as_str(), &refused.stderr), (Some(2), "", &sentence));
    assert_eq!(sink.count().unwrap().frames, 0, "sent before it was refused");
    row(
        "1",
        "pace-test … --duration 30m --svg missing/gaps.svg",
        &sentence.replace(&missing, "missing/gaps.svg"),
        2,
        "0 frames sent",
    );
    drop((sink, stage));

    // A run that fails leaves the old content, and adds nothing.
    let (old, new) = (path("old.svg"), path("new.svg"));
    std::fs::write(&old, "the gaps of yesterday").unwrap();
    for svg in [&old, &new] {
        let failed = Finished::of(trafficgen(&[
            "pace-test",
            "nowhere",
            "--receiver",
            "lo",
            "--rate",
            "1kpps",
            "--svg",
            svg,
        ]));
        assert_ne!(failed.code, Some(0), "{failed:?}");
    }
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "the gaps of yesterday");
    assert!(!std::fs::exists(&new).unwrap(), "an empty file is left behind");

    // On a device that is always full, the report is still printed, and the error names the file.
    let full = Finished::of(trafficgen(&[
        "pace-test",
        "--self",
        "--rate",
        "10kpps",
        "--duration",
        "500ms",
        "--svg",
        "/dev/full",
    ]));
    let sentence = "error: cannot write /dev/full, which is not complete: No space left on device (os error 28)";
    assert_eq!((full.code, full.stderr.lines().last()), (Some(1), Some(sentence)), "{full:?}");
    assert!(full.stdout.contains("gaps"), "{full:?}");
    row("1", "pace-test --self … --svg /dev/full", sentence, 1, "the report is on standard output");
}
