//! Every sample configuration does what it says, and what arrives is what `show` predicts, byte for
//! byte.

mod sample;
mod tshark;

use std::{fs, path::Path, process::Command};

use crate::harness::{
    Capture, Finished, Stage, assert_arrived, cpu_lists, frames, sink, trafficgen,
};
use sample::Sample;
use tempfile::TempDir;

#[test]
fn every_sample_can_be_checked() {
    let Some(_stage) = Stage::set() else { return };
    // A veth takes no frames without a receiver, and a port that cannot send fails its check.
    let _receivers = [sink("xtg0"), sink("xtg1")];
    for sample in Sample::all() {
        let paced = sample.is_paced();
        let Sample { path, ports, .. } = sample;
        let finished = Finished::of(trafficgen(&["check", &path]));
        assert_eq!((finished.code, only_mechanisms(&finished)), (Some(0), paced), "{finished:?}");
        let flows: Vec<_> = ports
            .iter()
            .flat_map(|(port, flows)| flows.iter().map(move |flow| (port, flow)))
            .collect();
        // Remarks on the interface and the machine follow.
        let lines: Vec<_> =
            finished.stdout.lines().filter(|line| line.contains(": flow ")).collect();
        assert_eq!(lines.len(), flows.len(), "{finished:?}");
        for (line, (port, flow)) in lines.iter().zip(&flows) {
            assert!(
                line.starts_with(&format!("port {port}: flow {} out of xtg", flow.name)),
                "{line}"
            );
            assert_eq!(line.contains("at full speed"), !paced, "{line}");
        }
    }
}

/// Whether standard error says how departures are kept. Beside that it may only say that the
/// stage's interfaces have no addresses.
#[track_caller]
fn only_mechanisms(finished: &Finished) -> bool {
    let mechanism = |line: &str| line.contains(": each worker ");
    let without_address = |line: &str| line.contains(": the kernel has no source address for ");
    let expected = |line: &str| mechanism(line) || without_address(line);
    assert!(finished.stderr.lines().all(expected), "{finished:?}");
    finished.stderr.lines().any(mechanism)
}

#[test]
fn every_sample_can_be_shown() {
    let Some(_stage) = Stage::set() else { return };
    let folder = tempfile::tempdir().unwrap();
    for Sample { path, ports, .. } in Sample::all() {
        let file = folder.path().join("shown.pcap");
        let text = show(&path, 300, &file);
        let frames = frames(&file);
        let mut frames = frames.iter();
        let shown_ports = sample::shown(&text);
        assert_eq!(shown_ports.len(), ports.len(), "{path}");
        for ((port, flows), (shown_port, shown)) in ports.iter().zip(&shown_ports) {
            assert_eq!(shown_port, port);
            let packets: u64 = flows.iter().map(|flow| flow.packets).sum();
            assert_eq!(shown.len() as u64, packets.min(300), "{path}");
            for frame in shown {
                assert!(flows.iter().any(|known| known.name == frame.flow), "{path}: {frame:?}");
                assert_eq!(
                    frames.next().unwrap().len() as u64,
                    frame.size - 4,
                    "a frame without its FCS"
                );
            }
            for flow in flows {
                let heading = format!("flow {}, port {port} (xtg", flow.name);
                assert!(
                    text.lines().any(|line| line.starts_with(&heading)),
                    "no `{heading}` in {text}"
                );
            }
        }
        assert_eq!(frames.next(), None, "{path}: more than was asked for");
    }
}

/// Each flow sends exactly what it should, and the kernel's counters of the receiving interfaces
/// agree.
#[test]
fn every_sample_can_be_run() {
    for sample in Sample::all() {
        // A new stage for each sample, so that its counters start at zero.
        let Some(_stage) = Stage::set() else { return };
        let paced = sample.is_paced();
        let Sample { path, ports, .. } = sample;
        let sinks = [("xtg0", "xtg1", sink("xtg1")), ("xtg1", "xtg0", sink("xtg0"))];
        let report = Finished::of(trafficgen(&["run", &path, "--json"])).report(0);
        assert!(report.duration_ns > 0 && report.sink.is_none(), "{report:?}");
        assert_eq!(report.ports.len(), ports.len(), "{path}");
        let flows: Vec<_> = ports
            .iter()
            .flat_map(|(port, flows)| flows.iter().map(move |flow| (port, flow)))
            .collect();
        assert_eq!(report.flows.len(), flows.len(), "{path}");
        for (reported, (port, flow)) in report.flows.iter().zip(&flows) {
            assert_eq!((&reported.port, &reported.name), (*port, &flow.name), "{path}");
            // On a busy machine, departures may have no frame; the report counts them, and nothing
            // else is missing.
            assert_eq!(reported.frames_unsent.is_some(), paced, "{path}: {reported:?}");
            let unsent = reported.frames_unsent.unwrap_or(0);
            let counted = (reported.frames_attempted + unsent, reported.frames_tx + unsent);
            assert_eq!(counted, (flow.packets, flow.packets), "{path}: {reported:?}");
            let bytes = flow.bytes();
            assert!(
                unsent > 0 || bytes.contains(&reported.bytes_tx),
                "{path}: {reported:?}, not {bytes:?}"
            );
        }
        for (sender, receiver, sink) in &sinks {
            let sent: Vec<_> =
                report.ports.iter().filter(|port| port.interface == *sender).collect();
            let frames = sent.iter().map(|port| port.frames_tx).sum();
            assert_arrived(sink, frames);
            let link: serde_json::Value =
                serde_json::from_str(&run("ip", &["-j", "-s", "link", "show", receiver])).unwrap();
            let received = &link[0]["stats64"]["rx"];
            // The interface's byte counter is without FCS.
            let bytes = sent.iter().map(|port| port.bytes_tx - 4 * port.frames_tx).sum::<u64>();
            assert_eq!(
                (&received["packets"], &received["bytes"]),
                (&frames.into(), &bytes.into()),
                "{path}"
            );
        }
    }
}

#[test]
fn options_override_a_file() {
    let Some(_stage) = Stage::set() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/udp-port-range.toml");
    let sink = sink("xtg1");
    let report =
        Finished::of(trafficgen(&["run", path.to_str().unwrap(), "--packets", "77", "--json"]))
            .report(0);
    assert_eq!(report.only_port().frames_tx, 77);
    assert_arrived(&sink, 77);
}

#[test]
fn what_arrives_is_what_show_predicts() {
    assert_arrives_as_shown(&FLOW.replace("VLAN", ""));
}

/// Behind a veth the receiver may write to the pages of live frames, which come back: the kernel's
/// network stack removes a VLAN tag in place, a router rewrites addresses and the time to live.
/// Later frames must be right nevertheless.
#[test]
fn what_a_receiver_writes_is_not_sent_again() {
    assert_arrives_as_shown(&FLOW.replace("VLAN", "{ vlan = { id = 7 } },"));
}

#[track_caller]
fn assert_arrives_as_shown(flow: &str) {
    let Some(_stage) = Stage::set() else { return };
    // The far end has no program of the test's: with GRO, veth passes the frames on to whoever
    // listens.
    run("ethtool", &["-K", "xtg1", "gro", "on"]);
    let mut arrived_before = 0;
    for cpus in cpu_lists() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("flow.toml");
        fs::write(&config, flow.replace("CPUS", cpus)).unwrap();
        let config = config.to_str().unwrap();
        let shown = folder.path().join("shown.pcap");
        show(config, PACKETS, &shown);
        let mut predicted = frames(&shown);
        let mut arrived = capture(&folder, || {
            let report = Finished::of(trafficgen(&["run", config, "--json"])).report(0);
            assert_eq!(report.only_port().frames_tx, PACKETS);
        });
        assert_eq!((predicted.len() as u64, arrived.len() as u64), (PACKETS, PACKETS));
        if *cpus != "0" {
            // Each worker's frames are in order, but workers have no order among each other.
            predicted.sort();
            arrived.sort();
        }
        for (number, (predicted, arrived)) in predicted.iter().zip(&arrived).enumerate() {
            assert_eq!(predicted, arrived, "CPUs {cpus}: frame {number}: predicted and arrived");
        }
        arrived_before += PACKETS;
        let ethtool: u64 = run("ethtool", &["-S", "xtg1"])
            .lines()
            .filter_map(|line| line.trim().strip_prefix("rx_queue_")?.split_once("_xdp_packets: "))
            .map(|(_, count)| count.parse::<u64>().unwrap())
            .sum();
        assert_eq!(ethtool, arrived_before, "as ethtool counts what arrived");
        let link: serde_json::Value =
            serde_json::from_str(&run("ip", &["-j", "-s", "link", "show", "xtg1"])).unwrap();
        assert_eq!(
            link[0]["stats64"]["rx"]["packets"], arrived_before,
            "as the interface counts what arrived"
        );
    }
}

const PACKETS: u64 = 5003;

/// Fields of every width and several patterns whose lengths do not divide each other.
const FLOW: &str = r#"
[[ports]]
name = "west"
interface = "xtg0"
cpus = "CPUS"

[[flows]]
name = "mixed"
port = "west"
size = 139
packets = 5003
payload = { pattern = "c0 ff ee" }
packet = [
  { ethernet = { src = { increment = { start = "02:00:00:00:01:00", count = 251 } }, dst = "02:00:00:00:00:02" } },
  VLAN
  { ipv6 = {
    src = { increment = { start = "2001:2:0:100::1", step = "0:0:0:1::", count = 239 } },
    dst = { random = { min = "2001:2:0:1::", max = "2001:2:0:1:ffff:ffff:ffff:ffff", seed = 3 } },
  } },
  { udp = { src_port = { random = { min = 1, max = 65535, seed = 9 } }, dst_port = [53, 123, 443, 4789] } },
]
"#;

/// What `show` prints about the first frames of each port, which it writes to `file`.
#[track_caller]
fn show(config: &str, packets: u64, file: &Path) -> String {
    let packets = packets.to_string();
    let finished = Finished::of(trafficgen(&[
        "show",
        config,
        "--packets",
        &packets,
        "--pcap",
        file.to_str().unwrap(),
    ]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    only_mechanisms(&finished);
    finished.stdout
}

/// [`PACKETS`] frames as tcpdump sees them arrive at `xtg1` while `send` runs.
#[track_caller]
fn capture(folder: &TempDir, send: impl FnOnce()) -> Vec<Vec<u8>> {
    let capture = Capture::start(folder, PACKETS, "");
    send();
    capture.end()
}

/// The output of a program that must succeed.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let finished = Finished::of(command);
    assert_eq!(finished.code, Some(0), "{program}: {finished:?}");
    finished.stdout
}
