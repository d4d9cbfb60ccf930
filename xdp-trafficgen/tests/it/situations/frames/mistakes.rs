//! Values as people write them at first: unambiguous ones are accepted, all others refused with a
//! cure.

use std::fs;

use xdp_trafficgen::kernel::{Sink, sink::SinkAction};

use crate::{
    harness::{Finished, RECEIVER_MAC, Stage, assert_arrived, trafficgen},
    situations::table,
};

/// Option and value of `udp`, and what the error must say.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "--rate",
        "100",
        "write its unit: `100pps` for frames a second, `100Mbps` for millions of bits a second",
    ),
    ("--rate", "10G", "write `10Gbps` for bits a second, or `10Gpps` for frames a second"),
    ("--rate", "fast", "write a number and its unit, such as `500kpps`"),
    ("--rate", "-5", "the rate `-5` is negative"),
    ("--rate", "10MB/s", "write bits a second, eight for each byte"),
    ("--rate", "10MBps", "write bits a second, eight for each byte: `80Mbps` for ten megabytes"),
    ("--rate", "10kBps", "write bits a second, eight for each byte"),
    ("--rate", "10kp/s", "write frames a second as `pps`, `kpps` or `Mpps`"),
    ("--rate", "1,5Mpps", "write decimals with a point: `1.5Mpps`"),
    ("--packets", "-1", "`-1` is negative; write a number of at least 1"),
    ("--packets", "0", "write a number of at least 1"),
    ("--packets", "1m", "write `1M`"),
    ("--packets", "1.5", "write a whole number: `1000000`, `1_000_000`, `1M` or `1e6`"),
    ("--packets", "many", "write a whole number: `1000000`, `1_000_000`, `1M` or `1e6`"),
    ("--duration", "10", "write its unit: `10s` for seconds, `10ms`, or `10m` for minutes"),
    ("--duration", "-1s", "`-1s` is negative"),
    ("--duration", "soon", "write a number and its unit: `10s`, `500ms`, `1m 30s`"),
    ("--delay", "5", "write its unit: `5s` for seconds"),
    ("--size", "1k", "write the number of bytes: `1000` or `1024`"),
    ("--size", "jumbo", "an MTU of 9000 carries frames of 9018"),
    ("--size", "1518B", "write the number of bytes alone: `1518`"),
    ("--size", "64-1518", "size = { random = { min = 64, max = 1518 } }"),
    ("--size", "20", "give 64 to 65535"),
    ("--size", "9000", "live frames end at"),
    ("--dst-mac", "2:0:0:0:0:2", "write `02:00:00:00:00:02`"),
    ("--dst-mac", "host", "write six pairs of hexadecimal digits"),
    ("--dst-ip", "host.example", "names are not looked up"),
    ("--dst-ip", "10.0.0.2/24", "write the address alone: `10.0.0.2`"),
    ("--dst-ip", "10.0.0.1-10.0.0.9", "in a configuration file a field goes from there"),
    ("--dst-ip", "fe80::1%xtg0", "write it without its zone"),
    ("--dst-ip", "10.0.0", "write one such as `192.0.2.1`"),
    ("--dst-port", "70000", "from 0 to 65535"),
    ("--dst-port", "1..5", "write `1-5`"),
    ("--dst-port", "http", "write its number, which `getent services http` tells"),
    ("--dst-port", "80,443", "a configuration file has lists"),
    ("--cpus", "0..3", "write `0-3`"),
    ("--cpus", "0:1", "write `0-1`"),
    ("--cpus", "0 1", "write `0,1`"),
    ("--cpus", "all", "write CPUs as numbers and ranges: `0,2-3`"),
    ("--cpus", "-1", "write CPUs as numbers and ranges: `0,2-3`"),
    ("--vlan", "5000", "`id` has 12 bits: its largest value is 4095"),
    ("--vlan", "100.7", "write two tags, outer first, as `100,7`"),
    ("--dscp", "64", "its largest value is 63"),
    ("--dscp", "gold", "write a number from 0 to 63, or a name such as `EF`"),
    ("--ttl", "256", "its largest value is 255"),
    ("--ttl", "-1", "write a number from 0 to 255"),
    ("--batch-size", "1M", "write a number from 1 to 256"),
    ("--speed", "10G", "write the bits a second that the link is named by: `10Gbps`"),
    ("--behind", "20ms", "write `catch_up`, `catch_up=20ms` or `skip`"),
    ("--payload", "foo", "give `zeros`, `increment`, `random`"),
    ("--at", "tomorrow", "`2026-11-22T14:00:00Z`"),
];

/// The rows of the table: values from bug reports.
const REPORTED: [&str; 6] = [
    "--rate 100",
    "--rate 10G",
    "--packets -1",
    "--dst-ip host.example",
    "--cpus 0..3",
    "--vlan 5000",
];

#[test]
fn refused_with_a_cure() {
    let Some(_stage) = Stage::set() else { return };
    let sink = Sink::attach("xtg1", SinkAction::Drop).unwrap();
    let mut cured = 0;
    for (option, value, cure) in REFUSED {
        let mut arguments = vec!["udp", "xtg0", option, value];
        for (other, value) in [("--dst-mac", RECEIVER_MAC), ("--packets", "1")] {
            if other != *option {
                arguments.extend([other, value]);
            }
        }
        let refused = Finished::of(trafficgen(&arguments));
        assert_eq!(refused.code, Some(2), "{option} {value}: {refused:?}");
        let text = one_line(&refused.stderr);
        assert!(text.contains(cure) && text.contains(option), "{option} {value}: {text}");
        cured += 1;
        let written = format!("{option} {value}");
        if REPORTED.contains(&&*written) {
            table::row(
                "21",
                &format!("udp xtg0 {written}"),
                text.split(" For more").next().unwrap_or(&text),
                2,
                "",
            );
        }
    }
    table::row(
        "21",
        "udp, all options",
        "each mistake with its cure",
        2,
        &format!("{cured} mistakes, 0 frames sent"),
    );
    assert_arrived(&sink, 0);
    for (name, cure) in [
        ("xtg0@xtg1", "write `xtg0`"),
        ("xtg 0", "did you mean `xtg0`?"),
        ("xtg_zero", "the interfaces are"),
    ] {
        let refused =
            Finished::of(trafficgen(&["udp", name, "--dst-mac", RECEIVER_MAC, "--packets", "1"]));
        let said = one_line(&refused.stderr);
        assert!(refused.code == Some(2) && said.contains(cure), "{name}: {said}");
    }
}

#[test]
fn quick_commands_speak_of_options() {
    let Some(_stage) = Stage::set() else { return };
    let demo = Finished::of(trafficgen(&["demo", "--rate", "fast"]));
    assert!(
        demo.code == Some(2) && demo.stderr.starts_with("error: --rate: `fast` is not a rate"),
        "{demo:?}"
    );
    table::row("21", "demo --rate fast", &demo.stderr, 2, "");
    let arguments = ["--size", "20"];
    let small = Finished::of(trafficgen(&[&["pace-test", "--self"], &arguments[..]].concat()));
    let said = one_line(&small.stderr);
    assert!(
        small.code == Some(2)
            && said.contains("'20' for '--size <BYTES>'")
            && said.contains("from 64 to 65535"),
        "{said}"
    );
    assert!(!said.contains("-->"), "{said}");
    table::row(
        "21",
        "pace-test --self --size 20",
        said.split(" For more").next().unwrap_or(&said),
        2,
        "",
    );
    // This error appears only when the options have become a configuration.
    let large = Finished::of(trafficgen(&["pace-test", "--self", "--size", "9000"]));
    let said = one_line(&large.stderr);
    assert!(
        large.code == Some(2)
            && said.contains("--size: a frame of 9000 bytes")
            && !said.contains("-->"),
        "{said}"
    );
    table::row("21", "pace-test --self --size 9000", &said, 2, "");
}

#[test]
fn what_is_meant_is_taken() {
    let Some(_stage) = Stage::set() else { return };
    let sink = Sink::attach("xtg1", SinkAction::Drop).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.toml");
    let path = path.to_str().unwrap();
    let mut sent = 0;
    let mut check = |arguments: &[&str], frames: u64| {
        let run = Finished::of(trafficgen(&[arguments, &["--json"]].concat()));
        assert_eq!(run.report(0).only_port().frames_tx, frames, "{arguments:?}");
        sent += frames;
        table::row(
            "21",
            &arguments.join(" ").replace(RECEIVER_MAC, "MAC").replace(path, "counts.toml"),
            "sent",
            0,
            &format!("{frames} frames"),
        );
    };
    for (packets, frames) in [("1e3", 1000), ("1M", 1_000_000), ("10_000", 10_000), ("1.5k", 1500)]
    {
        check(&["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", packets], frames);
    }
    // A busy machine sends them late, but sends them all.
    let more =
        ["--dscp", "0x2e", "--rate", "100kbit", "--duration", "1 min", "--behind", "catch_up=60s"];
    for mac in ["02-00-00-00-00-02", "0200.0000.0002"] {
        check(&[&["udp", "xtg0", "--dst-mac", mac, "--packets", "1_0"], &more[..]].concat(), 10);
    }
    let text = format!(
        "[[ports]]\nname = 'p'\ninterface = 'xtg0'\n[[flows]]\nname = 'f'\nport = 'p'\npackets = '1k'\nrate = '1e6pps'\n\
         packet = [{{ ethernet.dst = '{RECEIVER_MAC}' }}, {{ ipv4.dscp = 'AF41' }}, {{ udp = {{}} }}]\n"
    );
    fs::write(path, &text).unwrap();
    check_and_show_use_the_rate_of_the_command_line(path);
    check(&["run", path], 1000);
    check(&["run", path, "--set", "flows.f.packets=2e3", "--set", "flows.f.rate=1_000kpps"], 2000);
    assert_arrived(&sink, sent);
    for (wrong, cure) in [
        ("rate = '10G'", "write `10Gbps`"),
        ("packets = '-1'", "is negative"),
        ("size = '1k'", "`1000` or `1024`"),
    ] {
        let (key, _) = wrong.split_once(' ').unwrap();
        let lines =
            text.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
        fs::write(path, lines.replace("port = 'p'", &format!("port = 'p'\n{wrong}"))).unwrap();
        let refused = Finished::of(trafficgen(&["check", path]));
        let said = one_line(&refused.stderr);
        assert!(
            refused.code == Some(2) && said.contains(cure) && said.contains("counts.toml:7:"),
            "{said}"
        );
        table::row(
            "21",
            &format!("check: {wrong}"),
            refused.stderr.lines().next().unwrap_or_default(),
            2,
            "",
        );
    }
}

/// `check` and `show` report the rate that `run` would send at: in words, and in the times of
/// frames.
fn check_and_show_use_the_rate_of_the_command_line(path: &str) {
    for (option, value, rate, second) in [
        ("--rate", "2kpps", "2 kpps", "0.000500"),
        ("--rate", "\"500pps\"", "500 pps", "0.002000"),
        ("--scale", "0.001x", "1 kpps", "0.001000"),
    ] {
        let checked = Finished::of(trafficgen(&["check", path, option, value]));
        assert!(
            checked.code == Some(0) && checked.stdout.contains(&format!(", {rate}")),
            "{option} {value}: {checked:?}"
        );
        let shown = Finished::of(trafficgen(&["show", path, option, value, "--packets", "2"]));
        assert!(
            shown.code == Some(0) && shown.stdout.contains(&format!("  at {second}")),
            "{option} {value}: {shown:?}"
        );
    }
    let refused = Finished::of(trafficgen(&["check", path, "--rate", "80MBps"]));
    let said = one_line(&refused.stderr);
    assert!(refused.code == Some(2) && said.contains("unknown unit `MBps` of a rate"), "{said}");
    for command in ["udp", "tcp-syn", "icmp"] {
        let help = Finished::of(trafficgen(&[command, "--help"])).stdout;
        assert!(
            help.contains("--rate") && !one_line(&help).contains("as the file says"),
            "{command}: {help}"
        );
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
