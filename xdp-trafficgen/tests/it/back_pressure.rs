//! Receivers that are slower than the sender: a port without a rate sends as fast as they take
//! frames, and N frames are N frames at the receiver. The kernel counts them there.

use std::{fs, os::fd::OwnedFd, process::Command};

use tempfile::TempDir;

use crate::harness::{
    Finished, PACKET, RECEIVER_MAC, Report, Stage, Transmitted, cpu_lists, ethtool, ip, raw,
    trafficgen, transmitted, wait_until,
};

/// A receiver on `xtg1` that takes about a microsecond for a frame: it asks for the time 40 times.
/// It drops the frame then.
fn slow_receiver(stage: &Stage) -> OwnedFd {
    const KTIME_GET_NS: i32 = 5;
    const XDP_DROP: i32 = 1;
    let mut program = vec![raw::call(KTIME_GET_NS); 40];
    program.extend([raw::mov_imm(0, XDP_DROP), raw::EXIT]);
    raw::attach(&raw::load_xdp(&program), stage.link("xtg1").index)
}

/// Polls `xtg1` in a thread of its own (Linux 5.12, commit 5fdd2f0e5c64): otherwise the receiver
/// runs on the sender's CPU, between its batches, and slows the sender down by that alone.
#[track_caller]
fn poll_in_a_thread() {
    // A file of the namespace's own sysfs, mounted where nobody else sees it.
    let script = "mount -t sysfs none /sys && echo 1 > /sys/class/net/xtg1/threaded";
    let status = Command::new("unshare").args(["--mount", "sh", "-c", script]).status();
    assert!(status.is_ok_and(|status| status.success()), "no threaded NAPI");
}

/// A stage with one queue, and a slow receiver that polls it from another CPU.
fn stage() -> Option<(Stage, OwnedFd)> {
    let stage = Stage::set()?;
    // A veth with a receiver takes no more queues than its peer sends by.
    ethtool("-L xtg0 tx 1");
    ethtool("-L xtg1 rx 1");
    let receiver = slow_receiver(&stage);
    poll_in_a_thread();
    Some((stage, receiver))
}

/// Sends the flows of these lines from `xtg0`. `port` has further settings of the port.
#[track_caller]
fn send(cpus: &str, port: &str, flows: &[&str]) -> (Report, Transmitted) {
    send_until(0, cpus, port, flows)
}

/// As [`send`], for a run that ends with this exit code.
#[track_caller]
fn send_until(code: i32, cpus: &str, port: &str, flows: &[&str]) -> (Report, Transmitted) {
    let mut text = format!("[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncpus = '{cpus}'\n{port}\n");
    for (number, flow) in flows.iter().enumerate() {
        text += &format!("[[flows]]\nname = '{number}'\nport = 'p'\npacket = [{PACKET}]\n{flow}\n");
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flows.toml");
    fs::write(&path, text).unwrap();
    let before = transmitted("xtg0");
    let report = Finished::of(trafficgen(&["run", path.to_str().unwrap(), "--json"])).report(code);
    let sent = report.ports[0].frames_tx;
    wait_until("all frames arrived", || (transmitted("xtg0") - before).packets >= sent);
    (report, transmitted("xtg0") - before)
}

/// Sends flows of `packets` frames; exactly so many of each must be taken and arrive, although some
/// were refused; with a rate, less those departures that a busy machine left without a frame.
#[track_caller]
fn check(cpus: &str, port: &str, flows: &[(&str, u64)]) -> Report {
    let lines: Vec<String> =
        flows.iter().map(|(flow, packets)| format!("{flow}\npackets = {packets}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (report, arrived) = send(cpus, port, &lines);
    let taken: Vec<u64> = report.flows.iter().map(|flow| flow.frames_tx).collect();
    let wanted = flows.iter().zip(&report.flows);
    let wanted: Vec<u64> =
        wanted.map(|((_, packets), flow)| packets - flow.frames_unsent.unwrap_or(0)).collect();
    assert_eq!(taken, wanted, "CPUs {cpus}: {report:?}");
    assert_eq!(arrived.packets, wanted.iter().sum::<u64>(), "CPUs {cpus}");
    let of_port = &report.ports[0];
    assert_eq!(of_port.frames_attempted, of_port.frames_tx + of_port.frames_dropped);
    report
}

#[test]
fn a_slow_receiver_gets_as_many_frames_as_were_asked_for() {
    let Some((_stage, _receiver)) = stage() else { return };
    for cpus in cpu_lists() {
        let report = check(cpus, "", &[("", 300_007)]);
        // A flood loses nine of ten.
        let port = &report.ports[0];
        assert!(port.frames_dropped < port.frames_attempted / 4, "CPUs {cpus}: {port:?}");
        assert!(report.findings.iter().all(|found| found.code != "queue_full"), "{report:?}");
    }
}

#[test]
fn each_flow_gets_its_number_of_frames() {
    let Some((_stage, _receiver)) = stage() else { return };
    for cpus in cpu_lists() {
        let flows =
            [("weight = 3", 50_003), ("size = { genome = 'aab' }", 20_001), ("weight = 2", 7)];
        check(cpus, "", &flows);
    }
}

/// Departures are kept, so the driver refuses some; others are added at the end.
#[test]
fn rates_above_the_receivers_are_kept_and_made_up_for() {
    let Some((_stage, _receiver)) = stage() else { return };
    for cpus in cpu_lists() {
        for (port, flows) in [
            ("rate = '2Mpps'\nbehind = { catch_up = '60s' }", vec![("", 100_003)]),
            (
                "rate = '2Mpps'\nbehind = { catch_up = '60s' }",
                vec![("", 50_003), ("weight = 2", 20_001)],
            ),
            (
                "",
                vec![
                    ("rate = '1Mpps'", 50_003),
                    ("rate = '1Mpps'", 20_001),
                    ("rate = '10kpps'", 100),
                ],
            ),
        ] {
            let report = check(cpus, port, &flows);
            assert!(report.ports[0].frames_dropped > 0, "{report:?}");
        }
    }
}

#[test]
fn a_flood_counts_attempts() {
    let Some((_stage, _receiver)) = stage() else { return };
    let (report, arrived) = send("0", "flood = true", &["packets = 200_000"]);
    let port = &report.ports[0];
    assert_eq!(port.frames_attempted, 200_000);
    assert_eq!((arrived.packets, arrived.dropped), (port.frames_tx, port.frames_dropped));
    assert!(port.frames_dropped > 0);
    assert!(report.findings.iter().any(|found| found.code == "queue_full"), "{report:?}");
}

/// A veth refuses frames above its peer's MTU as if its ring were full. Waiting does not help, so
/// the run ends, whether they have a rate or not.
#[test]
fn frames_that_never_fit_are_not_waited_for() {
    let Some(stage) = Stage::set() else { return };
    let _receiver = slow_receiver(&stage);
    ip("link set xtg1 mtu 100");
    for (settings, packets) in
        [("", 20_000), ("", 100), ("rate = '1Mpps'", 20_000), ("rate = '1kpps'", 10)]
    {
        let flow = format!("size = 128\npackets = {packets}");
        let (report, arrived) = send_until(1, "0", settings, &[&flow]);
        let port = &report.ports[0];
        assert_eq!((port.frames_tx, arrived.packets), (0, 0), "{settings}: {port:?}");
        // A busy machine leaves departures without a frame.
        let over = port.frames_dropped + port.frames_unsent.unwrap_or(0);
        assert!(over >= packets, "{settings}: {port:?}");
        assert!(report.findings.iter().any(|found| found.code == "frame_above_peer_mtu"));
    }
    // Of each bulk, the driver takes what is before the first frame that is too long.
    let (report, arrived) =
        send("0", "", &["size = 64\npackets = 20_000", "size = 128\npackets = 20_000"]);
    let taken: Vec<u64> = report.flows.iter().map(|flow| flow.frames_tx).collect();
    assert_eq!(taken, [arrived.packets, 0], "{report:?}");
    assert!((1..=20_000).contains(&arrived.packets), "{report:?}");
}

/// Behind a router, a shaped link (tbf) drops what it has no room for: those frames were taken, and
/// the router's counters have all of them.
#[test]
fn what_a_router_drops_was_taken() {
    let Some(stage) = Stage::set() else { return };
    stage.pair("out", "far", 1);
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    ethtool("-K xtg1 gro on");
    ip("address add 198.18.0.1/24 dev xtg1");
    ip("address add 198.19.0.1/24 dev out");
    ip("neighbour add 198.19.0.2 lladdr 02:00:00:00:00:09 dev out nud permanent");
    let tc = |arguments: &str| {
        let output = Command::new("tc").args(arguments.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "tc {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    tc("qdisc add dev out root tbf rate 20mbit burst 10k limit 20k");
    let frames = 100_000;
    let before = transmitted("xtg0");
    let packets = frames.to_string();
    let options = ["--src-ip", "198.18.0.2", "--dst-ip", "198.19.0.2", "--packets", &packets];
    let mut arguments = vec!["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--json"];
    arguments.extend(options);
    let report = Finished::of(trafficgen(&arguments)).report(0);
    assert_eq!(report.ports[0].frames_tx, frames);
    wait_until("all frames arrived", || (transmitted("xtg0") - before).packets >= frames);
    // `Sent 123 bytes 4 pkt (dropped 5, overlimits 6 requeues 7)`, and what is in the queue.
    let count = |after: &str| {
        let shown = tc("-s qdisc show dev out");
        let behind = shown.split_once(after).unwrap_or_else(|| panic!("{shown}")).1;
        let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or_else(|_| panic!("{shown}"))
    };
    let sent = || {
        let shown = tc("-s qdisc show dev out");
        let words: Vec<&str> = shown.split_whitespace().collect();
        let place = words.iter().position(|word| *word == "pkt").unwrap();
        words[place - 1].parse::<u64>().unwrap()
    };
    wait_until("the shaper has seen all", || sent() + count("dropped ") >= frames);
    assert_eq!(sent() + count("dropped "), frames);
    assert!(count("dropped ") > 0);
}
