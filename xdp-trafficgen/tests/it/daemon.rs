//! The daemon runs until it is stopped, logs what it does, and restarts a port when its interface
//! comes back.

use std::{fs, process::Command, time::Instant};

use crate::harness::{Finished, Running, Stage, assert_arrived, cpu_lists, ip, sink, trafficgen};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use xdp_trafficgen::kernel::Sink;

const PORT: &str = "[[ports]]\nname = \"west\"\ninterface = \"xtg0\"\n";
const FLOW: &str = "[[flows]]\nname = \"some\"\nport = \"west\"\n\
                    packet = [{ ethernet = { dst = \"02:00:00:00:00:02\" } }, { ipv4 = {} }, { udp = {} }]\n";

/// A daemon with this configuration that logs JSON, ten times a second.
fn daemon(config: &str) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.toml");
    fs::write(&path, config).unwrap();
    let mut command =
        trafficgen(&["daemon", "--log-format", "json", "--report-interval", "100ms", "--json"]);
    command.arg("--config").arg(path);
    (folder, command)
}

/// The log so far; each whole line is a JSON object.
#[track_caller]
fn log(stderr: &str) -> Vec<Value> {
    let whole = stderr.rfind('\n').map_or("", |end| &stderr[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The fields of all lines with this message.
fn said(log: &[Value], message: &str) -> Vec<Value> {
    let fields = log.iter().map(|line| line["fields"].clone());
    fields
        .filter(|fields| fields["message"].as_str().is_some_and(|text| text.starts_with(message)))
        .collect()
}

/// The frames sent, one number for each report in the log.
fn sent(log: &[Value]) -> Vec<u64> {
    said(log, "counts").iter().map(|counts| counts["frames_tx"].as_u64().unwrap()).collect()
}

#[test]
fn it_runs_until_it_is_stopped() {
    let Some(_stage) = Stage::set() else { return };
    for (cpus, (name, signal)) in
        cpu_lists().iter().zip([("SIGTERM", Signal::TERM), ("SIGINT", Signal::INT)])
    {
        let sink = sink("xtg1");
        let (_folder, command) = daemon(&format!("{PORT}cpus = \"{cpus}\"\n{FLOW}"));
        let mut running = Running::start(command);
        // On a busy machine, the daemon may log before it sends.
        running.wait_until("two reports, and frames", |running| {
            let sent = sent(&log(&running.stderr()));
            sent.len() > 1 && sent.last() > Some(&0)
        });
        let before = Instant::now();
        running.signal(signal);
        let finished = running.end();
        println!("{name}, CPUs {cpus}: ended after {:?}", before.elapsed());
        let report = finished.report(0);
        let port = report.only_port();
        assert!(
            port.frames_tx > 0 && report.duration_ns > 0 && report.sink.is_none(),
            "{report:?}"
        );
        assert_eq!((port.bytes_tx, port.frames_dropped), (port.frames_tx * 64, 0), "{report:?}");
        assert_arrived(&sink, port.frames_tx);

        let log = log(&finished.stderr);
        for message in ["sending", "stopping", "port ended"] {
            assert_eq!(said(&log, message).len(), 1, "`{message}`: {}", finished.stderr);
        }
        let sent = sent(&log);
        assert!(sent.is_sorted() && sent.last() > Some(&0), "{sent:?}");
        let [last] = said(&log, "final counts").try_into().unwrap();
        assert_eq!((&last["port"], &last["interface"]), (&"west".into(), &"xtg0".into()));
        let [flow] = said(&log, "final flow counts").try_into().unwrap();
        assert_eq!((&flow["port"], &flow["flow"]), (&"west".into(), &"some".into()));
        for counts in [last, flow] {
            assert_eq!(counts["frames_attempted"], port.frames_attempted);
            assert_eq!(
                (&counts["frames_tx"], &counts["bytes_tx"]),
                (&port.frames_tx.into(), &port.bytes_tx.into())
            );
        }
    }
}

/// Punctuality is logged for paced ports, and for no others.
#[test]
fn it_logs_how_rates_are_kept() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let keys =
        ["requested_pps", "achieved_pps", "frames_late", "worst_lateness_ns", "frames_unsent"];
    for (rate, requested) in [("rate = '1kpps'\n", Some(1000.0)), ("", None)] {
        let (_folder, command) = daemon(&format!("{PORT}{FLOW}packets = 100\n{rate}"));
        let mut running = Running::start(command);
        running.wait_until("the flow ends", |running| {
            !said(&log(&running.stderr()), "port ended").is_empty()
        });
        running.signal(Signal::TERM);
        let log = log(&running.end().stderr);
        for message in ["final counts", "final flow counts"] {
            let [counts] = said(&log, message).try_into().unwrap();
            assert_eq!(counts["requested_pps"].as_f64(), requested, "{counts}");
            for key in keys {
                assert_eq!(counts.get(key).is_some(), requested.is_some(), "{key}: {counts}");
            }
        }
    }
}

#[test]
fn it_logs_text_for_people() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let (folder, _) = daemon(&format!("{PORT}{FLOW}"));
    let path = folder.path().join("daemon.toml");
    let mut running = Running::start(trafficgen(&["daemon", "--config", path.to_str().unwrap()]));
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    running.signal(Signal::TERM);
    let finished = running.end();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:?}");
    for part in ["INFO", "sending", "final counts", "frames_tx="] {
        assert!(finished.stderr.contains(part), "no `{part}` in {finished:?}");
    }
    assert!(
        !finished.stderr.contains('\x1b'),
        "no colours where there is no terminal: {finished:?}"
    );
}

/// Once `first` has received more than `frames`, removes the pair and makes one with the same
/// names. Returns the new pair's receiver, once that has received as many.
#[track_caller]
fn exchange_interfaces(stage: &Stage, running: &mut Running, first: &Sink, frames: u64) -> Sink {
    running.wait_until("frames arrive", |_| first.count().unwrap().frames > frames);
    ip("link del xtg0");
    running.wait_until("the failure is logged", |running| {
        !said(&log(&running.stderr()), "port failed").is_empty()
    });
    stage.raise();
    let second = sink("xtg1");
    running.wait_until("frames arrive again", |_| second.count().unwrap().frames > frames);
    second
}

#[test]
fn a_port_starts_again_when_its_interface_comes_back() {
    let Some(stage) = Stage::set() else { return };
    let first = sink("xtg1");
    let (_folder, command) = daemon(&format!("{PORT}{FLOW}"));
    let mut running = Running::start(command);
    let second = exchange_interfaces(&stage, &mut running, &first, 0);
    let failures = said(&log(&running.stderr()), "port failed");
    assert!(
        failures[0]["error"].as_str().unwrap().contains("the interface was removed"),
        "{failures:?}"
    );
    running.signal(Signal::TERM);
    let report = running.end().report(0);
    // Frames that wait in a veth vanish with it: the driver accepted them, and nobody received
    // them.
    let arrived = first.count().unwrap().frames + second.count().unwrap().frames;
    assert!(report.only_port().frames_tx >= arrived, "{arrived} arrived: {report:?}");
}

/// The daemon diagnoses the interface that is there now, not the one that was there at the start.
#[test]
fn drops_are_explained_when_the_interface_has_come_back() {
    let Some(stage) = Stage::set() else { return };
    let first = sink("xtg1");
    let (_folder, command) = daemon(&format!("{PORT}{FLOW}"));
    let mut running = Running::start(command);
    let second = exchange_interfaces(&stage, &mut running, &first, 0);
    let before = log(&running.stderr()).len();
    // The peer takes no frames any longer.
    drop(second);
    let without = "veth_peer_without_receiver";
    running.wait_until("the drops are explained", |running| {
        let log = log(&running.stderr());
        let drops = said(&log[before..], "frames dropped");
        // Drops of the moment in which the interface went away are excepted.
        let gone = drops
            .iter()
            .find(|drop| drop["code"] == "interface_gone" && drop["reason"] != "redirect_enodev");
        assert!(gone.is_none(), "the interface is there: {gone:?}");
        drops.iter().any(|drop| drop["code"] == without)
    });
    running.signal(Signal::TERM);
    let report = running.end().report(0);
    assert!(report.findings.iter().any(|finding| finding.code == without), "{report:?}");
    let gone: Vec<_> =
        report.findings.iter().filter(|finding| finding.code == "interface_gone").collect();
    // Findings about that moment say that it has passed.
    let over = |cause: &str| {
        cause.contains("was gone for a while") || cause.contains("it is not so any more")
    };
    assert!(gone.iter().all(|finding| over(&finding.cause)), "{report:?}");
}

#[test]
fn one_port_goes_on_while_the_other_waits() {
    let Some(stage) = Stage::set() else { return };
    stage.pair("xtg2", "xtg3", 2);
    let (west, _east) = (sink("xtg1"), sink("xtg3"));
    let second = format!("{PORT}{FLOW}")
        .replace("west", "east")
        .replace("xtg0", "xtg2")
        .replace("some", "more");
    let (_folder, command) = daemon(&format!("{PORT}{FLOW}{second}"));
    let mut running = Running::start(command);
    running.wait_until("frames arrive", |_| west.count().unwrap().frames > 0);
    ip("link del xtg2");
    running.wait_until("the failure is logged", |running| {
        !said(&log(&running.stderr()), "port failed").is_empty()
    });
    let before = west.count().unwrap().frames;
    running.wait_until("the other goes on", |_| west.count().unwrap().frames > before);
    running.signal(Signal::TERM);
    let report = running.end().report(0);
    let port = report.ports.iter().find(|port| port.interface == "xtg0").unwrap();
    assert_arrived(&west, port.frames_tx);
}

/// The rate of the port's flows together, or of each flow; with sleeping and with spinning workers.
#[test]
fn it_keeps_to_a_rate() {
    let Some(_stage) = Stage::set() else { return };
    let rates = [("rate = \"500pps\"\n", "", 500), ("", "rate = \"20kpps\"\n", 20_000)];
    for (cpus, (of_port, of_flow, rate)) in cpu_lists().iter().zip(rates) {
        let sink = sink("xtg1");
        let (_folder, command) =
            daemon(&format!("{PORT}cpus = \"{cpus}\"\n{of_port}{FLOW}{of_flow}"));
        let mut running = Running::start(command);
        running.wait_until("frames arrive", |_| sink.count().unwrap().frames > rate);
        running.signal(Signal::TERM);
        let report = running.end().report(0);
        let port = report.only_port();
        assert_eq!(port.requested_pps, Some(rate as f64), "{report:?}");
        assert_eq!(port.frames_dropped, 0, "{report:?}");
        assert_arrived(&sink, port.frames_tx);
        // One frame is sent at the start, then as many as were due until the daemon was stopped;
        // the end may come a moment after that.
        let due = port.frames_attempted + port.frames_unsent.unwrap();
        let seconds = report.duration_ns as f64 / 1e9;
        assert!(due as f64 <= rate as f64 * seconds + 1.0, "{report:?}");
        // The duration is the time in which the port sent; the daemon's is longer by the time that
        // loading takes.
        let seconds = port.frames_tx as f64 / port.pps as f64;
        assert!(due as f64 >= rate as f64 * (seconds * 0.8 - 0.3), "{report:?}");
    }
}

/// The rate starts anew, and the counts go on.
#[test]
fn a_paced_port_starts_again_and_keeps_its_counts() {
    let Some(stage) = Stage::set() else { return };
    let first = sink("xtg1");
    let (_folder, command) = daemon(&format!("{PORT}rate = \"2kpps\"\n{FLOW}"));
    let mut running = Running::start(command);
    let _second = exchange_interfaces(&stage, &mut running, &first, 100);
    running.signal(Signal::TERM);
    let report = running.end().report(0);
    let port = report.only_port();
    assert!(port.frames_tx > 200, "{report:?}");
    assert_eq!(port.requested_pps, Some(2000.0), "{report:?}");
}

#[test]
fn flows_with_an_end_are_not_sent_twice() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let (_folder, command) = daemon(&format!("{PORT}{FLOW}packets = 10007\n"));
    let mut running = Running::start(command);
    running.wait_until("the flow ends", |running| {
        !said(&log(&running.stderr()), "port ended").is_empty()
    });
    running.signal(Signal::TERM);
    assert_eq!(running.end().report(0).only_port().frames_tx, 10007);
    assert_arrived(&sink, 10007);
}

#[test]
fn a_wrong_file_ends_it_before_anything_is_sent() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let unknown = format!("{PORT}{FLOW}")
        .replace("west", "east")
        .replace("xtg0", "xtg11")
        .replace("some", "more");
    for (config, parts) in [
        (
            format!("{PORT}{PORT}{FLOW}"),
            ["two ports are named `west`", "daemon.toml:5:8\"", "already used"],
        ),
        (
            format!("{PORT}{FLOW}{unknown}"),
            ["no interface `xtg11`", "daemon.toml:10:13\"", "did you mean `xtg1`?"],
        ),
    ] {
        let (_folder, command) = daemon(&config);
        let finished = Finished::of(command);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        for part in parts {
            assert!(finished.stderr.contains(part), "no `{part}` in\n{}", finished.stderr);
        }
    }
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
}
