//! The daemon's log with `--log-format json`: one object a line, whose strings are single lines
//! without escape codes.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use super::{commands, file, log::CONFIG};
use crate::{
    harness::{Finished, Running, Stage, ip, sink, trafficgen},
    situations::table::row,
};

/// All lines of the log, each an object, in which no string has a second line or an escape code.
#[track_caller]
fn objects(stderr: &str) -> Vec<Value> {
    assert!(stderr.is_empty() || stderr.ends_with('\n'), "{stderr}");
    assert!(!stderr.contains('\x1b'), "{stderr:?}");
    let objects: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for fields in objects.iter().map(|object| object["fields"].as_object().unwrap()) {
        let strings = fields.values().filter_map(Value::as_str);
        strings.for_each(|text| assert!(!text.chars().any(char::is_control), "{fields:?}"));
    }
    objects
}

/// The fields of lines whose message begins with this.
fn said<'a>(objects: &'a [Value], message: &str) -> Vec<&'a Value> {
    let fields = objects.iter().map(|object| &object["fields"]);
    fields
        .filter(|fields| fields["message"].as_str().is_some_and(|text| text.starts_with(message)))
        .collect()
}

/// A daemon that logs JSON, and is told by its environment to use colours.
fn daemon(
    config: &str,
    rust_log: Option<&str>,
) -> (tempfile::NamedTempFile, std::process::Command) {
    let config = file(config);
    let mut command =
        trafficgen(&["daemon", "--log-format", "json", "--report-interval", "50ms", "--json"]);
    command.arg("--config").arg(config.path()).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
    rust_log.map(|directives| command.env("RUST_LOG", directives));
    (config, command)
}

/// Each error in the file is a line with its place and its cure, even where the user wants no log.
#[test]
fn a_wrong_file_in_json() {
    let Some(_stage) = Stage::set() else { return };
    let wrong = CONFIG
        .replace("'10kpps'", "'10\u{1b}[31mkpps'")
        .replace("\"10kpps\"", "\"10\\u001b[31mkpps\"")
        + "colour = 3\n";
    for rust_log in [None, Some("off"), Some("aya=debug")] {
        let (path, command) = daemon(&wrong, rust_log);
        let finished = Finished::of(command);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        let log = objects(&finished.stderr);
        let lines = said(&log, "the daemon ends");
        assert_eq!((lines.len(), log.len()), (2, 2), "{finished:?}");
        for (line, (place, part)) in lines.iter().zip([("4:8", "kpps"), ("9:1", "colour")]) {
            assert!(line["error"].as_str().unwrap().contains(part), "{line}");
            assert_eq!(line["place"], format!("{}:{place}", path.path().display()), "{line}");
            assert_eq!(line["exit_status"], 2, "{line}");
        }
        if rust_log.is_none() {
            let sees = lines[1].to_string().replace(path.path().to_str().unwrap(), "FILE");
            row(
                "19",
                "CLICOLOR_FORCE=1 daemon --config FILE --log-format json",
                &sees,
                2,
                "2 lines, all JSON",
            );
        }
    }
}

/// An invalid `RUST_LOG` is refused before anything is sent, with the wrong directive; other
/// commands do not read it.
#[test]
fn an_invalid_filter_is_refused() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    for (filter, place, error) in [
        ("info,xdp_trafficgen=loud", "RUST_LOG:1:6", "`xdp_trafficgen=loud` is no directive: "),
        ("debgu", "RUST_LOG:1:1", "`debgu` is no level"),
    ] {
        let (path, command) = daemon(CONFIG, Some(filter));
        let finished = Finished::of(command);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        let log = objects(&finished.stderr);
        let [line] =
            said(&log, "the daemon ends").try_into().unwrap_or_else(|_| panic!("{finished:?}"));
        assert!(line["error"].as_str().unwrap().starts_with(error), "{line}");
        assert!(line["cure"].as_str().unwrap().contains("`TARGET=LEVEL`"), "{line}");
        assert_eq!(line["place"], place, "{line}");
        row(
            "19",
            &format!("RUST_LOG={filter} daemon … --log-format json"),
            &line.to_string(),
            2,
            "",
        );

        let mut command = trafficgen(&["daemon", "--config", path.path().to_str().unwrap()]);
        command.env("RUST_LOG", filter).env("NO_COLOR", "1");
        let finished = Finished::of(command);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        for part in
            [&format!("error: {error}"), &format!(" {place}\n"), &"`TARGET=LEVEL`".to_owned()]
        {
            assert!(finished.stderr.contains(part.as_str()), "no `{part}` in {finished:?}");
        }
    }
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
    let mut command =
        trafficgen(&["udp", "xtg0", "--dst-mac", "02:00:00:00:00:02", "--packets", "1"]);
    let finished = Finished::of({
        command.env("RUST_LOG", "debgu");
        command
    });
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// The interface is removed: first it is missing at a restart, which makes the file wrong by then;
/// later it is there.
#[test]
fn a_failure_and_a_restart_in_json() {
    let Some(stage) = Stage::set() else { return };
    let _first = sink("xtg1");
    let (path, command) = daemon(CONFIG, None);
    let mut running = Running::start(command);
    let whole = |running: &Running| {
        let text = running.stderr();
        objects(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
    };
    running.wait_until("frames are counted", |running| {
        said(&whole(running), "counts").iter().any(|counts| counts["frames_tx"].as_u64() > Some(0))
    });
    ip("link del xtg0");
    running.wait_until("it fails twice", |running| said(&whole(running), "port failed").len() > 1);
    stage.raise();
    let _second = sink("xtg1");
    running.wait_until("it sends again", |running| {
        !said(&whole(running), "port sends again").is_empty()
    });
    running.signal(Signal::TERM);
    let finished = running.end();
    finished.report(0);
    let log = objects(&finished.stderr);
    let failures = said(&log, "port failed");
    assert!(
        failures[0]["error"].as_str().unwrap().contains("the interface was removed"),
        "{failures:?}"
    );
    assert_eq!(failures[0].get("place"), None, "{failures:?}");
    assert_eq!(failures[1]["error"], "there is no interface `xtg0`", "{failures:?}");
    assert_eq!(failures[1]["place"], format!("{}:3:13", path.path().display()), "{failures:?}");
    for message in [
        "counts since the start",
        "final counts since the start",
        "final flow counts since the start",
    ] {
        assert!(!said(&log, message).is_empty(), "no `{message}` in {}", finished.stderr);
    }
    let sees = failures[1].to_string().replace(path.path().to_str().unwrap(), "FILE");
    row(
        "19",
        "daemon … --log-format json, ip link del, add",
        &sees,
        0,
        &format!("{} lines, all JSON", log.len()),
    );
}

/// Where the report cannot be written, the log has a line for that, and one for the daemon's
/// failure.
#[test]
fn a_lost_report_in_json() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let (_path, command) = daemon(&(CONFIG.to_owned() + "packets = 3\n"), None);
    let mut running = Running::with(command, [None, Some(Stdio::from(commands::full())), None]);
    running.wait_until("the flow ends", |running| running.stderr().contains("port ended"));
    running.signal(Signal::TERM);
    let finished = running.end();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let log = objects(&finished.stderr);
    let prefix = "standard output takes no more; this is the result: ";
    let [result] = said(&log, prefix).try_into().unwrap_or_else(|_| panic!("{finished:?}"));
    let report: Value =
        serde_json::from_str(result["message"].as_str().unwrap().strip_prefix(prefix).unwrap())
            .unwrap();
    assert_eq!(report["ports"][0]["frames_tx"], 3, "{report}");
    let [end] = said(&log, "the daemon ends").try_into().unwrap_or_else(|_| panic!("{finished:?}"));
    let why = "cannot write to standard output: No space left on device (os error 28)";
    assert_eq!((&end["error"], &end["exit_status"]), (&why.into(), &1.into()), "{end}");
    row(
        "19",
        "daemon … --log-format json --json >/dev/full",
        &end.to_string(),
        1,
        "frames_tx 3 in the log",
    );
}
