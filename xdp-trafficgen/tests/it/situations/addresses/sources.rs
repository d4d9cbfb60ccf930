//! The source address of frames is the one that the kernel would use.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Hosts, address, file, flow, headers, line};
use crate::{
    harness::{Finished, RECEIVER_MAC, ip, trafficgen},
    situations::table::row,
};

#[test]
fn the_source_is_the_kernels_with_a_given_mac_too() {
    let Some(hosts) = Hosts::set() else { return };
    // A second address of the same interface, which only this route prefers.
    ip("address add 203.0.113.1/24 dev xtg0");
    ip("route add 198.51.100.0/24 via 192.0.2.2 src 203.0.113.1");
    for (destination, source) in [
        ("192.0.2.2", "192.0.2.1"),
        ("198.51.100.7", "203.0.113.1"),
        ("2001:db8::2", "2001:db8::1"),
    ] {
        // The filter excludes the sender's own answers to what comes back.
        for (quick, frames) in [
            ("udp", "udp"),
            ("tcp-syn", "(tcp[13] == 2 or (ip6[6] == 6 and ip6[53] == 2))"),
            ("icmp", "(icmp[0] == 8 or (ip6[6] == 58 and ip6[40] == 128))"),
        ] {
            let listening = hosts.far.listen(&format!("dst host {destination} and {frames}"));
            let arguments = [
                quick,
                "xtg0",
                "--dst-ip",
                destination,
                "--dst-mac",
                RECEIVER_MAC,
                "--packets",
                "5",
            ];
            let finished = Finished::of(trafficgen(&arguments));
            assert_eq!(finished.code, Some(0), "{finished:?}");
            let frames = listening.frames(5);
            for frame in &frames {
                let expected = (RECEIVER_MAC.to_owned(), address(source), address(destination));
                assert_eq!(headers(frame), expected, "{quick}");
            }
            assert!(!finished.stderr.contains("frames come from"), "{finished:?}");
            if quick == "udp" {
                let (_, source, destination) = headers(&frames[0]);
                let figures = format!("{} frames from {source} to {destination}", frames.len());
                let said = finished
                    .stdout
                    .lines()
                    .find(|line| line.contains("its interface counted"))
                    .unwrap();
                row("6", &arguments.join(" "), said, 0, &figures);
            }
        }
        let listening = hosts.far.listen(&format!("dst host {destination} and udp"));
        let kind = if destination.contains(':') { "ipv6" } else { "ipv4" };
        let packet = format!(
            "{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, {{ {kind} = {{ dst = '{destination}' }} }}"
        );
        let file = file(&(flow("f", &packet) + "size = 70\n"));
        let finished = Finished::of(trafficgen(&["run", file.path().to_str().unwrap()]));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        for frame in listening.frames(12) {
            assert_eq!(
                headers(&frame),
                (RECEIVER_MAC.to_owned(), address(source), address(destination))
            );
        }
    }
    // Where the kernel has no source address, the default that is used instead is named.
    ip("address flush dev xtg0");
    for (destination, made_up) in [("192.0.2.2", "198.18.0.1"), ("2001:db8::2", "2001:2::1")] {
        let listening = hosts.far.listen(&format!("dst host {destination} and udp"));
        let arguments =
            ["udp", "xtg0", "--dst-ip", destination, "--dst-mac", RECEIVER_MAC, "--packets", "5"];
        let finished = Finished::of(trafficgen(&arguments));
        let said = line(&finished, "the kernel has no source address for");
        assert!(
            said.contains(made_up) && said.contains(destination) && finished.code == Some(0),
            "{finished:?}"
        );
        for frame in listening.frames(5) {
            assert_eq!(headers(&frame).1, address(made_up));
        }
        row("6", &arguments.join(" "), said, 0, "without an address on the interface");
    }
}

/// Two networks on a link, with an address of this host in each.
#[test]
fn each_destination_has_its_own_source() {
    let Some(hosts) = Hosts::set() else { return };
    ip("address add 203.0.113.1/24 dev xtg0");
    ip("address add 2001:db8:1::1/64 dev xtg0 nodad");
    hosts.far.ip("address add 203.0.113.2/24 dev xtg1");
    hosts.far.ip("address add 2001:db8:1::2/64 dev xtg1 nodad");
    let file = |ethernet: &str, kind: &str, pattern: &str| {
        file(&format!(
            "[[flows]]\nname = 'f'\nport = 'p'\npackets = 60\nsize = 80\npacket = [{{ ethernet = {{ {ethernet} }} }}, \
             {{ {kind} = {{ dst = {pattern} }} }}, {{ udp = {{}} }}]\n"
        ))
    };
    let written = format!("dst = '{RECEIVER_MAC}'");
    for ethernet in ["", &written] {
        for (kind, pattern, sources) in [
            (
                "ipv4",
                "['192.0.2.2', '203.0.113.2']",
                [("192.0.2.2", "192.0.2.1"), ("203.0.113.2", "203.0.113.1")],
            ),
            (
                "ipv6",
                "['2001:db8:1::2', '2001:db8::2']",
                [("2001:db8:1::2", "2001:db8:1::1"), ("2001:db8::2", "2001:db8::1")],
            ),
        ] {
            let listening = hosts.far.listen("udp");
            let finished = Finished::of(trafficgen(&[
                "run",
                file(ethernet, kind, pattern).path().to_str().unwrap(),
            ]));
            assert_eq!(finished.code, Some(0), "{finished:?}");
            let mut seen: BTreeMap<(IpAddr, IpAddr), u32> = BTreeMap::new();
            for frame in listening.frames(60) {
                let (mac, source, destination) = headers(&frame);
                assert_eq!(mac, RECEIVER_MAC);
                *seen.entry((destination, source)).or_default() += 1;
            }
            let expected = sources.map(|(to, from)| ((address(to), address(from)), 30));
            assert_eq!(seen, BTreeMap::from(expected));
            let said = line(&finished, &format!("`{kind}.src` goes along with `{kind}.dst`"));
            let figures: Vec<_> = seen
                .iter()
                .map(|((to, from), count)| format!("{count} from {from} to {to}"))
                .collect();
            row(
                "6",
                &format!("run, {ethernet} {kind}.dst = {pattern}"),
                said,
                0,
                &figures.join(", "),
            );
        }
    }
    // Far too many destinations for a source address of their own each.
    let pattern = "{ random = { min = '192.0.2.2', max = '203.0.113.2', seed = 1 } }";
    let finished = Finished::of(trafficgen(&[
        "check",
        file(&written, "ipv4", pattern).path().to_str().unwrap(),
    ]));
    let said = line(
        &finished,
        "all frames come from 192.0.2.1, though the kernel's source address for 203.0.113.",
    );
    assert!(finished.code == Some(0) && said.contains(" is 203.0.113.1: "), "{finished:?}");
    row("6", &format!("check, {written} ipv4.dst = {pattern}"), said, 0, "");
}
