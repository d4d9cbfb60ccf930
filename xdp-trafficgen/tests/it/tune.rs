//! `tune` on the real kernel: its table and its JSON, what it writes, and what it says where no
//! frame can be sent.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::harness::{
    Finished, RECEIVER_MAC, Running, Stage, assert_arrived, cpu_lists, ip, sink, trafficgen,
};
use rustix::process::Signal;
use serde::Deserialize;

/// `tune xtg0` to the receiver with more options, as short as possible.
fn tune(more: &[&str]) -> Command {
    let mut command =
        trafficgen(&["tune", "xtg0", "--dst-mac", RECEIVER_MAC, "--duration", "100ms"]);
    command.args(more);
    command
}

/// The JSON report: exactly the documented keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    interface: String,
    frame_size: u32,
    setting_ns: u64,
    duration_ns: u64,
    complete: bool,
    points: Vec<Point>,
    proposal: Option<Proposal>,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    action: String,
    cpus: Vec<u32>,
    batch_size: u32,
    pps: u64,
    times_default: Option<f64>,
    deviation: Option<f64>,
    rounds: Vec<Round>,
    frames_attempted: u64,
    frames_tx: u64,
    frames_dropped: u64,
    drops: Vec<Drops>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    pps: u64,
    default_pps: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drops {
    reason: String,
    count: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposal {
    point: usize,
    action: String,
    cpus: Vec<u32>,
    batch_size: u32,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    code: String,
    severity: String,
    cause: String,
    cure: String,
    points: Vec<FoundAt>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundAt {
    point: usize,
    frames: u64,
}

impl Report {
    /// The report of a sweep with `--json` that ended with this exit code. Checks what must hold of
    /// every report.
    #[track_caller]
    fn of(finished: &Finished, code: i32) -> Self {
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert_eq!(finished.stdout.lines().count(), 1, "one object on one line: {finished:?}");
        let report: Self = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("{error}: {finished:?}"));
        let Self { interface, frame_size, setting_ns, duration_ns, .. } = &report;
        assert_eq!((&**interface, *frame_size), ("xtg0", 64));
        // These tests use 0.1 seconds, unless one leaves the default of 2.
        assert!(
            [100_000_000, 2_000_000_000].contains(setting_ns) && *duration_ns > 0,
            "{report:?}"
        );
        for point in &report.points {
            assert_eq!(point.frames_attempted, point.frames_tx + point.frames_dropped, "{point:?}");
            assert_eq!(
                point.frames_dropped,
                point.drops.iter().map(|drop| drop.count).sum::<u64>(),
                "{point:?}"
            );
            assert!(
                !point.rounds.is_empty() && point.drops.iter().all(|drop| !drop.reason.is_empty()),
                "{point:?}"
            );
            // A median lies between the smallest and the largest value.
            let rates = || point.rounds.iter().map(|round| round.pps);
            assert!(
                rates().min() <= Some(point.pps) && Some(point.pps) <= rates().max(),
                "{point:?}"
            );
            let known = point.rounds.iter().any(|round| round.default_pps > 0);
            assert_eq!(
                (point.times_default.is_some(), point.deviation.is_some()),
                (known, known),
                "{point:?}"
            );
        }
        // Every dropped frame belongs to exactly one finding.
        for (index, point) in report.points.iter().enumerate() {
            let found = report
                .findings
                .iter()
                .flat_map(|finding| &finding.points)
                .filter(|found| found.point == index);
            assert_eq!(
                found.map(|found| found.frames).sum::<u64>(),
                point.frames_dropped,
                "{report:?}"
            );
        }
        for Finding { code, severity, cause, cure, .. } in &report.findings {
            assert!(![code, severity, cause].into_iter().any(String::is_empty), "{report:?}");
            assert!(!cause.ends_with('.') && !cure.ends_with('.'), "{report:?}");
        }
        if let Some(Proposal { point, action, cpus, batch_size, reason }) = &report.proposal {
            let chosen = &report.points[*point];
            assert_eq!(
                (action, cpus, batch_size),
                (&chosen.action, &chosen.cpus, &chosen.batch_size),
                "{report:?}"
            );
            assert_eq!(reason == "default", *point == 0, "{report:?}");
            let times = chosen.times_default.unwrap_or(f64::INFINITY);
            assert!(if reason == "faster" { times > 1.0 } else { times > 0.0 }, "{report:?}");
        }
        report
    }
}

#[test]
fn the_table_has_a_row_for_each_setting_and_every_frame_is_counted() {
    let Some(_stage) = Stage::set() else { return };
    for cpus in cpu_lists() {
        let sink = sink("xtg1");
        let report = Report::of(&Finished::of(tune(&["--json", "--cpus", cpus])), 0);
        assert!(report.complete, "{report:?}");
        let default = &report.points[0];
        assert_eq!(
            (&*default.action, &default.cpus[..], default.batch_size),
            ("redirect", &[0][..], 64)
        );
        let tried = |find: &dyn Fn(&Point) -> bool| report.points.iter().any(find);
        for batch_size in [16, 32, 64, 128, 192, 240, 256] {
            assert!(tried(&|point| point.batch_size == batch_size), "{batch_size}: {report:?}");
        }
        assert!(tried(&|point| point.action == "tx"), "{report:?}");
        assert_eq!(tried(&|point| point.cpus == [0, 1]), cpus == &"0-1", "{report:?}");
        assert!(report.points.iter().all(|point| point.rounds.len() >= 5), "{report:?}");
        assert!(report.proposal.is_some(), "{report:?}");
        // The receiver counted the same number of frames, summed over all settings.
        assert_arrived(&sink, report.points.iter().map(|point| point.frames_tx).sum());
    }
}

#[test]
fn a_new_file_runs_and_a_known_one_keeps_the_rest() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.toml");
    let file = path.to_str().unwrap();
    let finished = Finished::of(tune(&["--cpus", "0", "--write", file]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for part in [
        "path",
        "CPUs",
        "batch",
        "Mpps",
        "× default",
        "dropped",
        " default",
        "best",
        "proposal: ",
        "[[ports]]",
    ] {
        assert!(finished.stdout.contains(part), "no `{part}` in {finished:?}");
    }
    let lines: Vec<&str> =
        finished.stdout.lines().skip_while(|line| *line != "[[ports]]").skip(1).take(3).collect();
    let text = fs::read_to_string(&path).unwrap();
    for line in &lines {
        assert!(
            line.contains(" = ") && text.lines().any(|stored| stored == *line),
            "{line}: {text}"
        );
    }
    let report =
        Finished::of(trafficgen(&["run", file, "--duration", "100ms", "--json"])).report(0);
    assert!(
        report.only_port().frames_tx > 0
            && report.only_port().bytes_tx == report.only_port().frames_tx * 64
    );

    // In an existing file only the three values change, even through a link.
    let known = "# mine\n[[ports]]\nname = 'p'\r\ninterface = 'xtg0'\nbatch_size = 1 # slow\ncpus = 7\naction = 'tx'\n\n\
                 [[flows]]\nname = 'f'\nport = 'p'\npacket = [{ ethernet = {} }]";
    fs::write(&path, known).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink("new.toml", &link).unwrap();
    let finished =
        Finished::of(tune(&["--json", "--cpus", "0", "--write", link.to_str().unwrap()]));
    let Proposal { action, batch_size, .. } = Report::of(&finished, 0).proposal.unwrap();
    let expected = known.replace("= 1 #", &format!("= {batch_size} #")).replace("= 7", "= \"0\"");
    let expected = if action == "tx" { expected } else { expected.replace("'tx'", "\"redirect\"") };
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert!(finished.stderr.contains("in port p"), "{finished:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(folder.path()), ["link.toml", "new.toml"], "nothing else is left behind");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_faulty_file_is_refused_before_anything_is_sent() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.toml");
    let flow = "[[flows]]\nname = 'f'\nport = 'p'\npacket = [{ ethernet = {} }]\n";
    for (text, sentence) in [
        (
            format!("[[ports]]\nname = 'p'\ninterface = 'xtg1'\n{flow}"),
            "no port of this file sends out of `xtg0`",
        ),
        (
            format!("[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncolour = 1\n{flow}"),
            "unknown key `colour`",
        ),
        ("not TOML".to_owned(), "file.toml"),
    ] {
        fs::write(&path, &text).unwrap();
        let finished = Finished::of(tune(&["--write", path.to_str().unwrap()]));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(sentence), "no `{sentence}` in {finished:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let nowhere = folder.path().join("no-such-folder/file.toml");
    for path in [nowhere.to_str().unwrap(), folder.path().to_str().unwrap()] {
        let finished = Finished::of(tune(&["--write", path]));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(
            finished.stderr.contains("cannot write") && finished.stderr.contains(path),
            "{finished:?}"
        );
    }
    assert_eq!(sink.count().unwrap().frames, 0);
}

#[test]
fn wrong_options_and_interfaces() {
    let Some(_stage) = Stage::set() else { return };
    ip("route add default dev xtg0");
    for (arguments, sentence) in [
        (vec!["tune", "xtg0"], "carries this machine's default route"),
        (vec!["tune", "xtg9"], "there is no interface `xtg9`"),
        (vec!["tune", "xtg1", "--cpus", "4095"], "there is no CPU 4095"),
        (
            vec!["tune", "xtg1", "--size", "1600", "--dst-mac", RECEIVER_MAC],
            "--size: a frame of 1600 bytes is too large",
        ),
        // The default route leads to the destination of `tune`, but out of another interface.
        (vec!["tune", "xtg1"], "`ip route add 198.19.0.1 dev xtg1`; or give --dst-mac"),
        (vec!["tune", "xtg1", "--size", "63"], "--size"),
        (vec!["tune", "xtg1", "--duration", "10ms"], "give 100ms to 10m"),
    ] {
        let finished = Finished::of(trafficgen(&arguments));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(sentence), "no `{sentence}` in {finished:?}");
        assert!(
            finished.stdout.is_empty() && !finished.stderr.contains("-->"),
            "no file was given: {finished:?}"
        );
    }
}

#[test]
fn where_nothing_arrives_it_ends_at_once_and_says_why() {
    let Some(_stage) = Stage::set() else { return };
    // Without a program or GRO at the other end, veth refuses XDP frames.
    let report = Report::of(&Finished::of(tune(&["--json", "--cpus", "0"])), 1);
    assert!(!report.complete && report.proposal.is_none(), "{report:?}");
    assert!(
        report.points.iter().all(|point| point.frames_tx == 0 && point.rounds.len() <= 5),
        "{report:?}"
    );
    assert!(
        report.points.iter().any(|point| point.frames_attempted > 0) && !report.findings.is_empty(),
        "{report:?}"
    );
    assert!(
        report.findings.iter().any(|finding| finding.cure.contains("ethtool -K xtg1 gro on")),
        "{report:?}"
    );
    let finished = Finished::of(tune(&["--cpus", "0"]));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("not one frame could be sent"), "{finished:?}");
    assert!(!finished.stdout.contains("proposal"), "{finished:?}");
}

#[test]
fn a_signal_ends_it_in_order() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.toml");
    let arguments = [
        "tune",
        "xtg0",
        "--dst-mac",
        RECEIVER_MAC,
        "--json",
        "--cpus",
        "0",
        "--write",
        path.to_str().unwrap(),
    ];
    let mut running = Running::start(trafficgen(&arguments));
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    running.signal(Signal::INT);
    let report = Report::of(&running.end(), 0);
    assert!(!report.complete && report.proposal.is_none(), "{report:?}");
    assert!(!path.exists(), "not everything was measured");
}
