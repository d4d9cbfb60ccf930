//! The destination MAC address of frames is that of the next hop, which the kernel asks for.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use super::{ARP_REQUEST, Hosts, Place, SOLICITATION, address, file, flow, headers, line};
use crate::{
    harness::{Finished, RECEIVER_MAC, ip, trafficgen},
    situations::table::row,
};

#[test]
fn the_kernel_asks_for_the_next_hop() {
    let Some(hosts) = Hosts::set() else { return };
    ip("route add 198.51.100.0/24 via 192.0.2.2");
    ip("route add 203.0.113.0/24 via inet6 2001:db8::2");
    ip("route add 2001:db8:1::/48 via 2001:db8::2");
    for (destination, next_hop) in [
        ("192.0.2.2", "192.0.2.2"),
        ("198.51.100.7", "192.0.2.2"),
        ("203.0.113.7", "2001:db8::2"),
        ("2001:db8::2", "2001:db8::2"),
        ("2001:db8:1::7", "2001:db8::2"),
    ] {
        for quick in ["udp", "tcp-syn", "icmp"] {
            ip("neighbour flush all");
            let question = if next_hop.contains(':') { SOLICITATION } else { ARP_REQUEST };
            let asked = hosts.far.listen(question);
            let arguments = [quick, "xtg0", "--dst-ip", destination, "--packets", "5"];
            let finished = Finished::of(trafficgen(&arguments));
            assert_eq!(finished.code, Some(0), "{finished:?}");
            let said = line(&finished, "destination MAC");
            assert!(
                said.contains(&format!(
                    "{RECEIVER_MAC} is that of {next_hop} in the neighbour table"
                )),
                "{finished:?}"
            );
            // The kernel itself asked, and the first answer was enough.
            assert_eq!(asked.frames(1).len(), 1);
            if quick == "udp" {
                row("7", &arguments.join(" "), said, 0, "1 request seen at the other end");
            }
        }
    }
    // The kernel does not ask for known neighbours: no host has this entry's address.
    ip("neighbour replace 192.0.2.50 lladdr 02:00:00:00:00:50 dev xtg0");
    let file = file(&flow("f", "{ ethernet = {} }, { ipv4 = { dst = '192.0.2.50' } }"));
    let path = file.path().to_str().unwrap();
    for command in [vec!["check", path], vec!["show", path], vec!["run", path]] {
        let finished = Finished::of(trafficgen(&command));
        let said =
            line(&finished, "02:00:00:00:00:50 is that of 192.0.2.50 in the neighbour table");
        assert!(finished.code == Some(0) && !said.is_empty(), "{finished:?}");
    }
    // A link-local destination: the command line names the interface.
    let listening = hosts.far.listen("udp and dst host fe80::2");
    let finished =
        Finished::of(trafficgen(&["udp", "xtg0", "--dst-ip", "fe80::2", "--packets", "5"]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for frame in listening.frames(5) {
        assert_eq!(
            headers(&frame),
            (RECEIVER_MAC.to_owned(), address("fe80::1"), address("fe80::2"))
        );
    }
    row(
        "7",
        "udp xtg0 --dst-ip fe80::2 --packets 5",
        line(&finished, "destination MAC"),
        0,
        "source fe80::1",
    );
}

/// Hosts on the same link, each in a namespace of its own and with its own MAC address, and one
/// behind a gateway.
#[test]
fn each_destination_has_its_own_neighbour() {
    let Some(hosts) = Hosts::set() else { return };
    let mut macs = BTreeMap::from([(address("192.0.2.2"), RECEIVER_MAC.to_owned())]);
    macs.insert(address("2001:db8::2"), RECEIVER_MAC.to_owned());
    let others: Vec<Place> = (3..=4)
        .map(|number| {
            let place = Place::new();
            let mac = format!("02:00:00:00:00:0{number}");
            hosts.far.ip(&format!(
                "link add link xtg1 name host{number} address {mac} type macvlan mode private"
            ));
            hosts
                .far
                .ip(&format!("link set host{number} netns {}", place.0.pid().as_raw_nonzero()));
            place.ip(&format!("link set host{number} addrgenmode none"));
            place.ip(&format!("link set host{number} up"));
            for (host, length, nodad) in [
                (format!("192.0.2.{number}"), 24, ""),
                (format!("2001:db8::{number}"), 64, " nodad"),
            ] {
                place.ip(&format!("address add {host}/{length} dev host{number}{nodad}"));
                macs.insert(address(&host), mac.clone());
            }
            place
        })
        .collect();
    assert_eq!(others.len(), 2);
    // This one is behind a gateway.
    ip("route add 198.51.100.0/24 via 192.0.2.3");
    macs.insert(address("198.51.100.7"), macs[&address("192.0.2.3")].clone());
    for (kind, pattern, destinations) in [
        ("ipv4", "{ increment = { start = '192.0.2.2', count = 3 } }", 3),
        ("ipv4", "{ decrement = { start = '192.0.2.4', count = 3 } }", 3),
        ("ipv4", "['192.0.2.4', '198.51.100.7', '192.0.2.2']", 3),
        ("ipv4", "{ random = { min = '192.0.2.2', max = '192.0.2.4', seed = 3 } }", 3),
        ("ipv6", "{ increment = { start = '2001:db8::2', count = 3 } }", 3),
        ("ipv6", "{ random = { min = '2001:db8::2', max = '2001:db8::4', seed = 3 } }", 3),
        // Destinations vary in rounds: all sources first, then the next destination.
        (
            "ipv4",
            "{ increment = { start = '192.0.2.2', count = 3 }, follow = { field = 'udp.src_port', pace = 'round' } }",
            3,
        ),
    ] {
        let listening = hosts.far.listen("udp");
        let ports =
            if pattern.contains("round") { "udp = { src_port = [5, 6] }" } else { "udp = {}" };
        let text = format!(
            "[[flows]]\nname = 'f'\nport = 'p'\npackets = 60\nsize = 70\npacket = [{{ ethernet = {{}} }}, \
             {{ {kind} = {{ dst = {pattern} }} }}, {{ {ports} }}]\n"
        );
        let file = file(&text);
        let finished = Finished::of(trafficgen(&["run", file.path().to_str().unwrap()]));
        assert_eq!(finished.code, Some(0), "{pattern}: {finished:?}");
        let mut seen: BTreeMap<IpAddr, u32> = BTreeMap::new();
        for frame in listening.frames(60) {
            let (mac, _, destination) = headers(&frame);
            assert_eq!(mac, macs[&destination], "{pattern}: {destination}");
            *seen.entry(destination).or_default() += 1;
        }
        assert_eq!(seen.len(), destinations, "{pattern}: {seen:?}");
        let said = line(&finished, "have MAC addresses of their own");
        let figures: Vec<_> =
            seen.iter().map(|(to, count)| format!("{count} to {to} at {}", macs[to])).collect();
        row("6", &format!("run, {kind}.dst = {pattern}"), said, 0, &figures.join(", "));
        let shown =
            Finished::of(trafficgen(&["show", file.path().to_str().unwrap(), "--packets", "3"]));
        assert!(
            shown.code == Some(0) && shown.stdout.contains(&format!("with {kind}.dst")),
            "{shown:?}"
        );
    }
    // One of the hosts does not exist.
    let file = file(&flow(
        "f",
        "{ ethernet = {} }, { ipv4 = { dst = ['192.0.2.2', '192.0.2.99', '192.0.2.98'] } }",
    ));
    let finished = Finished::of(trafficgen(&["run", file.path().to_str().unwrap()]));
    let said = line(&finished, "192.0.2.99 does not answer");
    assert!(
        finished.code == Some(2) && said.contains("1 destination more likewise"),
        "{finished:?}"
    );
    row("6", "run, ipv4.dst = ['192.0.2.2', '192.0.2.99', '192.0.2.98']", said, 2, "");
}

#[test]
fn groups_and_broadcasts_need_no_neighbour() {
    let Some(hosts) = Hosts::set() else { return };
    // RFC 1112 section 6.4 and RFC 2464 section 7 map groups; the kernel knows the network's
    // broadcast address.
    for (destination, mac) in [
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("ff02::1:ff28:9c5a", "33:33:ff:28:9c:5a"),
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("192.0.2.255", "ff:ff:ff:ff:ff:ff"),
    ] {
        let listening = hosts.far.listen(&format!("dst host {destination} and udp"));
        let arguments = ["udp", "xtg0", "--dst-ip", destination, "--packets", "5"];
        let finished = Finished::of(trafficgen(&arguments));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        for frame in listening.frames(5) {
            // A group of link-local scope gets a link-local source address (RFC 6724 section 5,
            // rule 2).
            let source = if destination.contains(':') { "fe80::1" } else { "192.0.2.1" };
            assert_eq!(headers(&frame), (mac.to_owned(), address(source), address(destination)));
        }
        row("6", &arguments.join(" "), line(&finished, "destination MAC"), 0, "");
    }
    let listening = hosts.far.listen("udp");
    let packet = "{ ethernet = {} }, { ipv4 = { dst = { increment = { start = '239.0.0.254', count = 4 } } } }";
    let file = file(&flow("f", packet));
    let finished = Finished::of(trafficgen(&["run", file.path().to_str().unwrap()]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let seen: Vec<(String, IpAddr)> = listening
        .frames(12)
        .iter()
        .map(|frame| headers(frame))
        .map(|(mac, _, to)| (mac, to))
        .collect();
    let expected = [
        ("01:00:5e:00:00:fe", "239.0.0.254"),
        ("01:00:5e:00:00:ff", "239.0.0.255"),
        ("01:00:5e:00:01:00", "239.0.1.0"),
        ("01:00:5e:00:01:01", "239.0.1.1"),
    ];
    let expected = expected.map(|(mac, to)| (mac.to_owned(), address(to)));
    assert!(seen.iter().eq(expected.iter().cycle().take(12)), "{seen:?}");
    row(
        "6",
        "run, ipv4.dst = 239.0.0.254 to 239.0.1.1",
        line(&finished, "of their own"),
        0,
        "MACs end in :00:00:fe to :00:01:01",
    );
}

/// On a kernel without VLAN interfaces (`CONFIG_VLAN_8021Q`) the half of this test that needs one
/// is left out, and the table says so.
#[test]
fn a_vlan_has_its_own_neighbours() {
    let Some(hosts) = Hosts::set() else { return };
    let arguments = ["udp", "xtg0", "--vlan", "1218", "--dst-ip", "198.51.100.2", "--packets", "5"];
    let finished = Finished::of(trafficgen(&arguments));
    let said = line(&finished, "who has 198.51.100.2 in VLAN 1218 is not known");
    let help = line(
        &finished,
        "give --dst-mac, or make the interface: `ip link add link xtg0 name xtg0.1218 type vlan id 1218`",
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    row("7", &arguments.join(" "), &format!("{said} {help}"), 2, "");
    if hosts
        .far
        .try_ip("link add link xtg1 name far1218 address 02:00:00:00:12:18 type vlan id 1218")
        .code
        != Some(0)
    {
        row(
            "7",
            &format!("{}, with a VLAN interface", arguments.join(" ")),
            "not tried: this kernel has none",
            "-",
            "",
        );
        return;
    }
    hosts.far.ip("link set far1218 up");
    hosts.far.ip("address add 198.51.100.2/24 dev far1218");
    ip("link add link xtg0 name near1218 type vlan id 1218");
    let finished = Finished::of(trafficgen(&arguments));
    let down = line(&finished, "`near1218`, the interface of its VLAN, is down");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    row("7", &arguments.join(" "), down, 2, "");
    ip("link set near1218 up");
    ip("address add 198.51.100.1/24 dev near1218");
    let listening = hosts.far.listen("vlan 1218 and udp");
    let finished = Finished::of(trafficgen(&arguments));
    let said = line(
        &finished,
        "02:00:00:00:12:18 is that of 198.51.100.2 in the neighbour table of near1218",
    );
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for frame in listening.frames(5) {
        let expected =
            ("02:00:00:00:12:18".to_owned(), address("198.51.100.1"), address("198.51.100.2"));
        assert_eq!(headers(&frame), expected);
    }
    row("7", &arguments.join(" "), said, 0, "source 198.51.100.1");
}

#[test]
fn thousands_of_destinations() {
    let Some(hosts) = Hosts::set() else { return };
    // 60 000 flows behind one gateway need one request.
    ip("route add 10.64.0.0/10 via 192.0.2.2");
    let mut flows = String::new();
    for number in 0..60_000_u32 {
        let destination = std::net::Ipv4Addr::from(0x0a40_0000 + number);
        let packet = format!("{{ ethernet = {{}} }}, {{ ipv4 = {{ dst = '{destination}' }} }}");
        let _ = write!(flows, "{}", flow(&format!("f{number}"), &packet));
    }
    let file = file(&flows);
    let asked = hosts.far.listen(ARP_REQUEST);
    let finished = Finished::of(trafficgen(&["check", file.path().to_str().unwrap()]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let said = line(&finished, "is that of 192.0.2.2 in the neighbour table");
    assert_eq!(
        finished.stderr.matches("destination MAC").count(),
        1,
        "one line for all flows: {finished:?}"
    );
    assert_eq!(asked.frames(1).len(), 1);
    row(
        "7",
        "check, 60000 flows to as many destinations behind a gateway",
        said,
        0,
        "1 ARP request seen",
    );
    // More neighbours on the link than the kernel's table holds (1024): the kernel asks for each,
    // and one host answers for all.
    ip("route add 10.32.0.0/16 dev xtg0");
    hosts.far.ip("route add local 10.32.0.0/16 dev lo");
    let packet = "{ ethernet = {} }, { ipv4 = { dst = { increment = { start = '10.32.0.1', count = 3000 } } } }";
    let file = self::file(&flow("f", packet));
    let asked = hosts.far.listen(&format!("{ARP_REQUEST} and arp[24:2] == 0x0a20"));
    let finished = Finished::of(trafficgen(&["check", file.path().to_str().unwrap()]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(asked.frames_at_least(3000) >= 3000);
    row(
        "7",
        "check, ipv4.dst = 10.32.0.1 to 10.32.11.184 on the link",
        line(&finished, "destination MAC"),
        0,
        "3000 ARP requests seen",
    );
    // Millions of destinations behind the gateway take one look-up; where their next hops differ,
    // the routing table shows it.
    let random = |min: &str, max: &str| {
        let dst = format!("{{ random = {{ min = '{min}', max = '{max}', seed = 1 }} }}");
        flow("f", &format!("{{ ethernet = {{}} }}, {{ ipv4 = {{ dst = {dst} }} }}"))
    };
    let millions = self::file(&random("10.64.0.0", "10.127.255.255"));
    let listening = hosts.far.listen("udp");
    let finished = Finished::of(trafficgen(&["run", millions.path().to_str().unwrap()]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for frame in listening.frames(12) {
        assert_eq!(headers(&frame).0, RECEIVER_MAC);
    }
    let command = "run, ipv4.dst = random from 10.64.0.0 to 10.127.255.255";
    row("6", command, line(&finished, "is that of 192.0.2.2"), 0, "4194304 destinations");
    ip("route add 10.100.0.0/16 via 192.0.2.50");
    ip("neighbour replace 192.0.2.50 lladdr 02:00:00:00:00:50 dev xtg0");
    let finished = Finished::of(trafficgen(&["run", millions.path().to_str().unwrap()]));
    let said = line(&finished, "some are behind 192.0.2.2, others behind 192.0.2.50");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    row("6", &format!("{command}, 10.100.0.0/16 by another gateway"), said, 2, "");
    for (min, max, first) in [
        ("10.16.0.0", "10.47.255.255", "no route to 10.16.0.0"),
        ("10.32.0.0", "10.33.255.255", "those from 10.32.0.0 on have MAC addresses of their own"),
        ("223.0.0.0", "224.255.255.255", "no route to 223.0.0.0"),
    ] {
        let finished = Finished::of(trafficgen(&[
            "check",
            self::file(&random(min, max)).path().to_str().unwrap(),
        ]));
        let said = line(&finished, first);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        row("6", &format!("check, ipv4.dst = random from {min} to {max}"), said, 2, "");
    }
    ip("route add 223.0.0.0/8 via 192.0.2.2");
    let file_of_groups = self::file(&random("223.0.0.0", "224.255.255.255"));
    let finished = Finished::of(trafficgen(&["check", file_of_groups.path().to_str().unwrap()]));
    line(&finished, "those from 224.0.0.0 on have MAC addresses of their own");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    // None of them exists: the first ones that were asked for suffice to tell.
    hosts.far.ip("route del local 10.32.0.0/16 dev lo");
    ip("neighbour flush all");
    let finished = Finished::of(trafficgen(&["check", file.path().to_str().unwrap()]));
    let said = line(&finished, "10.32.0.1 does not answer: ");
    assert!(finished.code == Some(2) && said.contains("more likewise"), "{finished:?}");
    row("7", "check, the same without the neighbours", said, 2, "");
}
