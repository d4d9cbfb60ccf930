//! Every sample configuration does what it says, and what arrives is what `show` predicts, byte for byte.

mod common;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::{DataLink, pcap::PcapReader};
use stage::{Finished, Running, Stage, assert_arrived, cpu_lists, sink, trafficgen};
use tempfile::TempDir;

/// What a sample's text says, read without the code under test.
struct Sample {
    path: String,
    /// Port, size and packets of each flow.
    flows: Vec<(String, usize, u64)>,
}

impl Sample {
    /// All there are, also those that nobody has told this test of.
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut samples: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
        samples.sort();
        assert!(!samples.is_empty(), "no samples");
        samples.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let number = |value: &toml::Value| u64::try_from(value.as_integer().unwrap()).unwrap();
        let flow = |flow: &toml::Value| {
            let packets = flow.get("packets").unwrap_or_else(|| panic!("{}: a flow without end", path.display()));
            let size = flow.get("size").map_or(64, number);
            let port = flow["port"].as_str().unwrap().to_owned();
            (port, usize::try_from(size).unwrap(), number(packets))
        };
        Self {
            path: path.to_str().unwrap().to_owned(),
            flows: table["flows"].as_array().unwrap().iter().map(flow).collect(),
        }
    }
}

#[test]
fn every_sample_can_be_checked() {
    let Some(_stage) = Stage::set() else { return };
    for Sample { path, flows } in Sample::all() {
        let finished = Finished::of(trafficgen(&["check", &path]));
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        assert_eq!(finished.stdout.lines().count(), flows.len(), "{finished:?}");
        for (line, (port, size, _)) in finished.stdout.lines().zip(&flows) {
            assert!(line.starts_with(&format!("port {port}: flow ")), "{line}");
            assert!(line.contains(&format!(" {size} bytes a frame")), "{line}");
        }
    }
}

#[test]
fn every_sample_can_be_shown() {
    let Some(_stage) = Stage::set() else { return };
    for Sample { path, flows } in Sample::all() {
        let (frames, text) = show(&path, 300);
        let mut frames = frames.iter();
        let mut lines = text.lines();
        for (port, size, packets) in flows {
            let heading = lines.find(|line| !line.is_empty()).unwrap();
            assert!(heading.starts_with("flow ") && heading.contains(&format!(", port {port} (xtg")), "{heading}");
            // The table of its fields.
            let heading = lines.find(|line| line.starts_with("frames of port ")).unwrap();
            assert!(heading.starts_with(&format!("frames of port {port} (xtg")), "{heading}");
            for number in 1..=packets.min(300) {
                let line = lines.next().unwrap();
                assert!(line.trim_start().starts_with(&format!("{number} ")), "frame {number}: {line}");
                assert!(line.contains(&format!("  {size:>4}  ")), "frame {number}: {line}");
                let frame = frames.next().unwrap();
                assert_eq!(frame.len(), size - 4, "a frame without its FCS");
                assert_sound(frame, line);
            }
        }
        assert_eq!((frames.next(), lines.next()), (None, None), "{path}: more than was asked for");
    }
}

/// etherparse finds the frame's lengths and checksums right, and the ports in the line that shows it.
#[track_caller]
fn assert_sound(frame: &[u8], line: &str) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap_or_else(|error| panic!("{error}: {frame:02x?}"));
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("no UDP: {frame:02x?}") };
    let (header, payload) = (udp.to_header(), udp.payload());
    let checksum = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let ip = ip.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "{frame:02x?}");
            header.calc_checksum_ipv4(&ip, payload).unwrap()
        }
        Some(NetSlice::Ipv6(ip)) => header.calc_checksum_ipv6(&ip.header().to_header(), payload).unwrap(),
        net => panic!("no IP but {net:?}: {frame:02x?}"),
    };
    assert_eq!(header.checksum, checksum, "{frame:02x?}");
    let ports = format!("udp {} > {}", header.source_port, header.destination_port);
    assert!(line.contains(&ports), "no `{ports}` in {line}");
}

#[test]
fn every_sample_can_be_run() {
    let Some(_stage) = Stage::set() else { return };
    for Sample { path, flows } in Sample::all() {
        let sinks = [("xtg1", sink("xtg0")), ("xtg0", sink("xtg1"))];
        let report = Finished::of(trafficgen(&["run", &path, "--json"])).report(0);
        assert!(report.duration_ns > 0 && report.sink.is_none(), "{report:?}");
        assert_eq!(report.ports.len(), flows.len(), "{path}");
        for (port, (_, size, packets)) in report.ports.iter().zip(flows) {
            assert_eq!((port.frames_attempted, port.frames_tx), (packets, packets), "{path}: {report:?}");
            assert_eq!((port.frames_dropped, port.bytes_tx), (0, packets * size as u64), "{path}: {report:?}");
        }
        for (sender, sink) in &sinks {
            let sent = report.ports.iter().filter(|port| port.interface == *sender).map(|port| port.frames_tx).sum();
            assert_arrived(sink, sent);
        }
    }
}

#[test]
fn options_override_a_file() {
    let Some(_stage) = Stage::set() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/udp-port-range.toml");
    let sink = sink("xtg1");
    let report = Finished::of(trafficgen(&["run", path.to_str().unwrap(), "--packets", "77", "--json"])).report(0);
    assert_eq!(report.only_port().frames_tx, 77);
    assert_arrived(&sink, 77);
}

#[test]
fn what_arrives_is_what_show_predicts() {
    assert_arrives_as_shown(&FLOW.replace("VLAN", ""));
}

/// Behind a veth the pages of live frames are the receiver's to write to, and come back: the kernel's network stack takes
/// a VLAN tag out in place, a router rewrites addresses and the time to live. The frames to come must not show it.
#[test]
fn what_a_receiver_writes_is_not_sent_again() {
    assert_arrives_as_shown(&FLOW.replace("VLAN", "{ vlan = { id = 7 } },"));
}

#[track_caller]
fn assert_arrives_as_shown(flow: &str) {
    let Some(_stage) = Stage::set() else { return };
    // No program of ours at the far end: with GRO the frames go on to whoever listens.
    run("ethtool", &["-K", "xtg1", "gro", "on"]);
    let mut arrived_before = 0;
    for cpus in cpu_lists() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("flow.toml");
        fs::write(&config, flow.replace("CPUS", cpus)).unwrap();
        let config = config.to_str().unwrap();
        let (mut predicted, _) = show(config, PACKETS);
        let mut arrived = capture(&folder, || {
            let report = Finished::of(trafficgen(&["run", config, "--json"])).report(0);
            assert_eq!(report.only_port().frames_tx, PACKETS);
        });
        assert_eq!((predicted.len() as u64, arrived.len() as u64), (PACKETS, PACKETS));
        if *cpus != "0" {
            // Each worker's frames are in order, but nobody orders the workers.
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
        let link: serde_json::Value = serde_json::from_str(&run("ip", &["-j", "-s", "link", "show", "xtg1"])).unwrap();
        assert_eq!(link[0]["stats64"]["rx"]["packets"], arrived_before, "as the interface counts what arrived");
    }
}

const PACKETS: u64 = 5003;

/// A field of every width, several patterns, and lengths of which none is a divisor of another.
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

/// The first frames of each flow as `show` predicts them, and its text.
#[track_caller]
fn show(config: &str, packets: u64) -> (Vec<Vec<u8>>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.pcap");
    let packets = packets.to_string();
    let finished = Finished::of(trafficgen(&["show", config, "--packets", &packets, "--pcap", file.to_str().unwrap()]));
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    (frames(&file), finished.stdout)
}

/// [`PACKETS`] frames as tcpdump sees them arrive at `xtg1` while `send` runs.
#[track_caller]
fn capture(folder: &TempDir, send: impl FnOnce()) -> Vec<Vec<u8>> {
    let file = folder.path().join("arrived.pcap");
    let mut command = Command::new("tcpdump");
    // A buffer of 16 MiB has room for all frames, however long tcpdump waits for its turn.
    command.args(["-i", "xtg1", "-Q", "in", "-Z", "root", "-B", "16384", "-c", &PACKETS.to_string(), "-w"]).arg(&file);
    let mut tcpdump = Running::start(command);
    tcpdump.wait_until("tcpdump listens", |tcpdump| tcpdump.stderr().contains("listening on"));
    send();
    let finished = tcpdump.end();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    frames(&file)
}

#[track_caller]
fn frames(file: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(fs::File::open(file).unwrap()).unwrap();
    assert_eq!(reader.header().datalink, DataLink::ETHERNET);
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        assert_eq!(packet.data.len(), usize::try_from(packet.orig_len).unwrap(), "a whole frame");
        frames.push(packet.data.into_owned());
    }
    frames
}

/// What a program that must succeed writes.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let finished = Finished::of(command);
    assert_eq!(finished.code, Some(0), "{program}: {finished:?}");
    finished.stdout
}
