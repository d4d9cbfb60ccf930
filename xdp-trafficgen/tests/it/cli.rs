//! The command line as its users meet it: what is sent and reported, how a run ends, and how bad
//! input is refused.

mod files;
mod ids;
mod kill;
mod options;
mod quick;

use std::{collections::BTreeMap, process::Command, time::Instant};

use crate::harness::{
    Finished, RECEIVER_MAC, Running, Stage, assert_arrived, cpu_lists, ip, sink, trafficgen,
};
use files::{FLOW, File, PORT};
use rustix::process::Signal;

const MS: u64 = 1_000_000;

/// `udp xtg0` to the receiver, with more options.
fn udp(more: &str) -> Command {
    let mut command = trafficgen(&["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--json"]);
    command.args(more.split_whitespace());
    command
}

#[test]
fn demo_counts_every_frame() {
    if !crate::harness::privileged() {
        return;
    }
    let finished = Finished::of(trafficgen(&["demo", "--json", "--duration", "1s"]));
    let report = finished.report(0);
    assert!(report.sink.is_some(), "{finished:?}");
    assert!(report.only_port().frames_tx > 0, "{finished:?}");
    assert_lasted(report.duration_ns, 1000);
}

/// A run ends neither early nor much too late. A busy machine cannot be asked for more precision.
#[track_caller]
fn assert_lasted(duration_ns: u64, ms: u64) {
    assert!(
        (ms * MS * 9 / 10..(ms + 2000) * MS).contains(&duration_ns),
        "{duration_ns} ns, not {ms} ms"
    );
}

#[test]
fn udp_sends_exactly_that_many_frames() {
    let Some(_stage) = Stage::set() else { return };
    for cpus in cpu_lists() {
        for packets in [1, 2, 63, 64, 65, 1_000_003] {
            let sink = sink("xtg1");
            let report = Finished::of(udp(&format!("--packets {packets} --cpus {cpus}"))).report(0);
            assert!(report.sink.is_none(), "{report:?}");
            let port = report.only_port();
            let counted =
                (port.frames_attempted, port.frames_tx, port.frames_dropped, port.bytes_tx);
            assert_eq!(
                counted,
                (packets, packets, 0, packets * 64),
                "{packets} frames on CPUs {cpus}"
            );
            assert_arrived(&sink, packets);
        }
    }
}

#[test]
fn udp_of_other_sizes_families_and_batches() {
    let Some(_stage) = Stage::set() else { return };
    for (size, batch_size, more) in [
        (1518, 1, ""),
        (1518, 256, "--dst-port 5000-5999 --src-port 1-65535"),
        (66, 64, "--dst-ip 2001:2:0:1::1"),
        (1000, 3, "--src-ip 2001:2::1 --dst-port 0-65535"),
    ] {
        let sink = sink("xtg1");
        let options = format!("--packets 4099 --size {size} --batch-size {batch_size} {more}");
        let report = Finished::of(udp(&options)).report(0);
        assert_eq!(report.only_port().bytes_tx, 4099 * size, "{options}");
        assert_arrived(&sink, 4099);
        assert_eq!(sink.count().unwrap().bytes, 4099 * size, "{options}");
    }
}

#[test]
fn a_duration_ends_the_run_and_progress_is_printed_every_second() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let finished = Finished::of(udp("--duration 2200ms"));
    let report = finished.report(0);
    assert_lasted(report.duration_ns, 2200);
    assert_arrived(&sink, report.only_port().frames_tx);
    let is_progress =
        |line: &&str| line.contains("xtg0") && line.contains("sent ") && line.contains(" Mpps");
    let lines = finished.stderr.lines().filter(is_progress).count();
    assert!((1..=4).contains(&lines), "{finished:?}");
}

#[test]
fn the_report_for_people_names_all_counts() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let finished =
        Finished::of(trafficgen(&["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", "12345"]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for part in ["attempted", "sent", "dropped", "Mpps", "12 345", "duration: "] {
        assert!(finished.stdout.contains(part), "no `{part}` in {finished:?}");
    }
}

#[test]
fn the_report_as_a_table_counts_the_same_frames_by_port_worker_and_flow() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let arguments =
        ["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", "12345", "--output", "csv"];
    let finished = Finished::of(trafficgen(&arguments));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let mut reader = csv::Reader::from_reader(finished.stdout.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    for (kind, bytes) in [("port", "790080"), ("worker", ""), ("flow", "790080")] {
        let rows: Vec<_> = rows.iter().filter(|row| row["kind"] == kind).collect();
        let counts: Vec<_> =
            rows.iter().map(|row| (row["frames_tx"].as_str(), row["bytes_tx"].as_str())).collect();
        assert_eq!(counts, [("12345", bytes)], "{kind}");
    }
    refused("probe --output csv", &["'csv'", "--output", "text, json]"]);
    refused("demo --output yaml", &["'yaml'", "text, json, csv]"]);
    refused("demo --json --output csv", &["'--json' cannot be used with '--output"]);
}

#[test]
fn signals_end_a_run_in_order() {
    let Some(_stage) = Stage::set() else { return };
    for (name, signal) in
        [("SIGINT", Signal::INT), ("SIGTERM", Signal::TERM), ("SIGHUP", Signal::HUP)]
    {
        for cpus in cpu_lists() {
            let sink = sink("xtg1");
            let mut running = Running::start(udp(&format!("--cpus {cpus}")));
            running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
            let before = Instant::now();
            running.signal(signal);
            let finished = running.end();
            println!("{name}, CPUs {cpus}: ended after {:?}", before.elapsed());
            let report = finished.report(0);
            assert_arrived(&sink, report.only_port().frames_tx);
        }
    }
}

#[test]
fn an_interface_that_goes_away_ends_the_run_with_a_report() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let mut running = Running::start(udp(""));
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    ip("link del xtg0");
    let finished = running.end();
    let report = finished.report(1);
    let said = "port xtg0 failed: the interface was removed while it was in use";
    assert!(finished.stderr.contains(said), "{finished:?}");
    // Frames that wait in the veth vanish with it: the driver accepted them, and nobody received
    // them.
    assert!(report.only_port().frames_tx >= sink.count().unwrap().frames, "{report:?}");
}

#[test]
fn a_peer_that_takes_no_frames_fails_the_run() {
    let Some(_stage) = Stage::set() else { return };
    let finished = Finished::of(udp("--packets 100"));
    let report = finished.report(1);
    let port = report.only_port();
    assert_eq!(
        (port.frames_attempted, port.frames_tx, port.frames_dropped),
        (100, 0, 100),
        "{report:?}"
    );
    assert!(finished.stderr.contains("not one frame could be sent"), "{finished:?}");

    let finished =
        Finished::of(trafficgen(&["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", "100"]));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let reason = "port xtg0: 100 frames dropped: the peer `xtg1` of `xtg0` has neither a native XDP program nor GRO";
    assert!(
        finished.stdout.contains(reason)
            && finished.stdout.contains("  cure: `ethtool -K xtg1 gro on`"),
        "{finished:?}"
    );
}

/// The arguments are refused before a run, with an error that has all of these parts.
#[track_caller]
fn refused(arguments: &str, parts: &[&str]) {
    refused_command(trafficgen(&arguments.split_whitespace().collect::<Vec<_>>()), parts);
}

#[track_caller]
fn refused_command(command: Command, parts: &[&str]) {
    let finished = Finished::of(command);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout, "", "{finished:?}");
    for part in parts {
        assert!(finished.stderr.contains(part), "no `{part}` in\n{}", finished.stderr);
    }
}

#[test]
fn the_kernel_s_largest_frame_is_sent() {
    let Some(stage) = Stage::set() else { return };
    for interface in ["xtg0", "xtg1"] {
        ip(&format!("link set {interface} mtu 3300"));
    }
    let sink = sink("xtg1");
    // The largest frame depends on the kernel: it is what this MTU and the receiving veth take.
    let size =
        stage.netlink.links().unwrap().iter().find(|link| link.name == "xtg1").unwrap().mtu + 18;
    let report = Finished::of(udp(&format!("--packets 1000 --size {size}"))).report(0);
    assert_eq!(report.only_port().frames_tx, 1000);
    assert_arrived(&sink, 1000);
}

#[test]
fn the_neighbour_table_gives_the_destination() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    ip("addr add 192.0.2.1/24 dev xtg0");
    ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev xtg0");
    ip("neigh add 192.0.2.254 lladdr 02:00:00:00:00:fe dev xtg0");
    ip("route add 198.51.100.0/24 via 192.0.2.254");
    for (destination, said) in [
        (
            "192.0.2.2",
            "destination MAC 02:00:00:00:00:02 is that of 192.0.2.2 in the neighbour table",
        ),
        (
            "198.51.100.7",
            "destination MAC 02:00:00:00:00:fe is that of 192.0.2.254 in the neighbour table",
        ),
    ] {
        let before = sink.count().unwrap().frames;
        let command =
            trafficgen(&["udp", "xtg0", "--dst-ip", destination, "--packets", "100", "--json"]);
        let finished = Finished::of(command);
        assert_eq!(finished.report(0).only_port().frames_tx, 100, "{finished:?}");
        assert!(finished.stderr.contains(said), "{finished:?}");
        assert_arrived(&sink, before + 100);
    }
}

#[test]
fn the_default_route_is_left_alone_unless_asked() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    ip("route add default dev xtg0");
    let to = "--dst-mac 02:00:00:00:00:02 --packets 100";
    refused(
        &format!("udp xtg0 {to}"),
        &["`xtg0` carries this machine's default route", "`--allow-default-route`"],
    );
    let file = File::of(&format!("{PORT}{FLOW}"));
    refused_command(
        file.command("run"),
        &[&file.at(3, 13), "`xtg0` carries this machine's default route"],
    );
    refused_command(file.command("check"), &["`xtg0` carries this machine's default route"]);
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
    let report = Finished::of(udp("--packets 100 --allow-default-route")).report(0);
    assert_eq!(report.only_port().frames_tx, 100);
    assert_arrived(&sink, 100);
}
