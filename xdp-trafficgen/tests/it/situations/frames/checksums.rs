//! Checksums of frames with explicit lengths: each as `show` prints it, as tshark judges it, and as
//! Linux counts it on arrival.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use xdp_trafficgen::kernel::{Sink, sink::SinkAction};

use crate::{
    harness::{Finished, RECEIVER_MAC, Stage, assert_arrived, ip, reached, skipped, trafficgen},
    situations::table,
};

const HEAD: &str = "[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncpus = '0'\n";
/// The two packets of the bug report, in full.
const UDP: &str = "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1', identification = 1, total_length = 38 } }, \
                   { udp = { src_port = 1025, dst_port = 12, length = 18 } }";
const SYN: &str = "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1', total_length = 40 } }, \
                   { tcp = { src_port = 20, dst_port = 80, ctl_syn = 1, window = 8192 } }";

/// Frames of each flow.
const FRAMES: u64 = 120;

/// Flows whose datagrams Linux accepts one by one. Each frame has bytes behind the datagram's end,
/// which no checksum covers.
const DATAGRAMS: [(&str, &str, &str); 6] = [
    ("udp-set", "64", UDP),
    (
        "udp-auto",
        "100",
        "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1' } }, { udp = { dst_port = 12 } }",
    ),
    // Each length by itself, odd ones too; such frames are recorded.
    (
        "udp-shorter-than-ip",
        "100",
        "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1', total_length = 61 } }, { udp = { dst_port = 12, length = [8, 9, 26, 41] } }",
    ),
    // Both lengths vary in step, and the port has so many values that frames are computed, not
    // recorded.
    (
        "udp-lengths-vary",
        "128",
        "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1', total_length = { increment = { start = 28, step = 1, count = 80 } } } }, \
         { udp = { src_port = { increment = { start = 1, count = 60001 } }, dst_port = 12, \
         length = { increment = { start = 8, step = 1, count = 80 }, follow = 'ipv4.total_length' } } }",
    ),
    // Both are random.
    (
        "udp-length-random",
        "128",
        "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1' } }, { udp = { dst_port = 12, length = { random = { min = 8, max = 90 } } } }",
    ),
    // Some sizes end before the longest length does, so the frames are all longer.
    (
        "udp-sizes-vary",
        "{ increment = { start = 80, end = 99 } }",
        "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1', total_length = 47 } }, { udp = { dst_port = 12, length = 27 } }",
    ),
];

const SEGMENTS: [(&str, &str, &str); 2] = [
    ("syn-set", "64", SYN),
    (
        "syn-length-varies",
        "120",
        "{ ipv4 = { src = '16.0.0.1', dst = '48.0.0.1', total_length = { increment = { start = 40, count = 31 } } } }, \
         { tcp = { src_port = { random = {} }, dst_port = 80, ctl_syn = 1 } }",
    ),
];

/// For tshark alone: these tunnels and IPv6 do not exist in this namespace.
const TUNNELS: [(&str, &str, &str); 4] = [
    (
        "v6",
        "130",
        "{ ipv6 = { payload_length = { increment = { start = 20, count = 30 } } } }, { udp = { length = { values = [8, 11, 19] } } }",
    ),
    (
        "icmp",
        "131",
        "{ ipv4 = { total_length = [28, 29, 60, 99] } }, { icmp = { sequence_number = { increment = { start = 1, count = 9999 } } } }",
    ),
    (
        "vxlan",
        "200",
        "{ ipv4 = { total_length = 150 } }, { udp = { length = [129, 130] } }, { vxlan = {} }, { ethernet = {} }, \
         { ipv4 = { total_length = [60, 61, 99] } }, { tcp = { seq_num = { random = {} } } }",
    ),
    (
        "gre",
        "180",
        "{ ipv4 = { total_length = [140, 141, 150] } }, { gre = { checksum_present = 1 } }, { ipv6 = { payload_length = 40 } }, \
         { icmpv6 = { sequence_number = { increment = { start = 1, count = 7 } } } }",
    ),
];

fn toml(flows: &[(&str, &str, &str)]) -> String {
    let flow = |(name, size, packet): &(&str, &str, &str)| {
        let payload = match *name {
            "udp-set" => "{ text = 'xxxxxxxxxx' }",
            "syn-set" => "'zeros'",
            _ => "{ increment = { start = 7 } }",
        };
        format!(
            "[[flows]]\nname = '{name}'\nport = 'p'\nsize = {size}\npackets = {FRAMES}\npayload = {payload}\n\
             packet = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, {packet}]\n"
        )
    };
    HEAD.to_owned() + &flows.iter().map(flow).collect::<String>()
}

#[test]
fn as_linux_and_tshark_count() {
    let Some(_stage) = Stage::set() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let file = |name: &str, flows: &[(&str, &str, &str)]| {
        fs::write(path(name), toml(flows)).unwrap();
        path(name)
    };

    // The right values of the bug report's checksums.
    let pair = file("pair.toml", &[DATAGRAMS[0], SEGMENTS[0]]);
    let shown = Finished::of(trafficgen(&["show", &pair, "--packets", "2"]));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let line = |words: &str| {
        shown
            .stdout
            .lines()
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("{shown:?}"))
    };
    let (udp, syn) = (line("  udp 1025 > 12, checksum 6161"), line("  tcp 20 > 80, SYN"));
    assert!(syn.ends_with("window 8192, checksum 4f7d"), "{syn}");
    table::row(
        "8a",
        "show --packets 2 (lengths set)",
        &format!("{udp}; {syn}"),
        0,
        "right: 6161, 4f7d",
    );

    let all = [&DATAGRAMS[..], &SEGMENTS].concat();
    let everything = file("everything.toml", &[&all[..], &TUNNELS].concat());
    let frames = FRAMES * (all.len() + TUNNELS.len()) as u64;
    let pcap = path("frames.pcap");
    let written = Finished::of(trafficgen(&[
        "show",
        &everything,
        "--packets",
        &frames.to_string(),
        "--pcap",
        &pcap,
    ]));
    assert_eq!(written.code, Some(0), "{written:?}");
    if let Some(statuses) = tshark(Path::new(&pcap)) {
        assert_eq!(statuses.get("0"), None, "bad checksums: {statuses:?}");
        // Frames of the first eight flows have two checksums; then v6 has one, icmp two, vxlan four
        // and gre three.
        assert_eq!(statuses["1"], FRAMES * (2 * 8 + 1 + 2 + 4 + 3), "{statuses:?}");
        let figures =
            format!("{} checksums right, {} wrong", statuses["1"], statuses.get("0").unwrap_or(&0));
        table::row(
            "8a",
            "show --pcap, read by tshark",
            "lengths set, varying, in tunnels",
            0,
            &figures,
        );
    }

    ip("address add 48.0.0.1/8 dev xtg1");
    ip("route add 16.0.0.0/8 dev xtg1");
    let sink = Sink::attach("xtg1", SinkAction::Pass).unwrap();
    let before = [snmp("Udp"), snmp("Tcp")];
    let sent = Finished::of(trafficgen(&["run", &file("linux.toml", &all), "--json"]));
    let datagrams = FRAMES * DATAGRAMS.len() as u64;
    let segments = FRAMES * SEGMENTS.len() as u64;
    assert_eq!(sent.report(0).only_port().frames_tx, datagrams + segments);
    assert_arrived(&sink, datagrams + segments);
    let more =
        |protocol: usize, name: &str| snmp(["Udp", "Tcp"][protocol])[name] - before[protocol][name];
    // A right datagram finds no listener.
    reached(|| {
        more(0, "NoPorts") + more(0, "InErrors") == datagrams && more(1, "InSegs") == segments
    });
    let counted =
        [more(0, "NoPorts"), more(0, "InCsumErrors"), more(1, "InSegs"), more(1, "InCsumErrors")];
    assert_eq!(
        counted,
        [datagrams, 0, segments, 0],
        "UDP NoPorts, InCsumErrors, TCP InSegs, InCsumErrors"
    );
    let figures = format!(
        "InCsumErrors {} of {datagrams} datagrams, {} of {segments} segments",
        counted[1], counted[3]
    );
    table::row("8a", "run, received by Linux", "all accepted", 0, &figures);
}

#[test]
fn refused_where_a_checksum_cannot_follow_the_lengths() {
    let Some(_stage) = Stage::set() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apart.toml");
    let apart = "{ ipv4 = { total_length = { increment = { start = 28, count = 30 } } } }, { udp = { length = [8, 20, 30] } }";
    fs::write(&path, toml(&[("apart", "100", apart)])).unwrap();
    let refused = Finished::of(trafficgen(&["check", path.to_str().unwrap()]));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let message = "vary apart, and both say what the checksum of `udp` covers";
    let line = refused
        .stderr
        .lines()
        .find(|line| line.contains(message))
        .unwrap_or_else(|| panic!("{refused:?}"));
    assert!(refused.stderr.contains("let them have as many values as each other"), "{refused:?}");
    table::row("8a", "check (two lengths vary apart)", line, 2, "");
}

/// How many checksums have which status: 0 is bad, 1 is good. None, with a message, where tshark is
/// missing.
fn tshark(pcap: &Path) -> Option<BTreeMap<String, u64>> {
    let mut command = Command::new("tshark");
    command.arg("-nr").arg(pcap).args([
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-E",
        "separator=|",
        "-E",
        "aggregator=|",
    ]);
    for protocol in ["ip", "udp", "tcp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    for protocol in ["ip", "udp", "tcp", "icmp", "icmpv6", "gre"] {
        command.args(["-e", &format!("{protocol}.checksum.status")]);
    }
    let Ok(output) = command.output() else {
        skipped("tshark is not installed (`apt-get install tshark`)");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut statuses = BTreeMap::new();
    let text = String::from_utf8(output.stdout).unwrap();
    for status in text.split(['|', '\n', '\t']).filter(|status| !status.is_empty()) {
        *statuses.entry(status.to_owned()).or_insert(0) += 1;
    }
    Some(statuses)
}

/// The kernel's counters of a protocol in the namespace of this thread.
fn snmp(protocol: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    // Some counters are negative; this test uses none of those.
    names
        .split(' ')
        .map(str::to_owned)
        .zip(values.split(' ').map(|value| value.parse().unwrap_or(0)))
        .collect()
}
