//! Destinations that cannot be reached, each refused with its reason.

use std::process::Command;

use super::{ARP_REQUEST, Hosts, SOLICITATION, file, flow, line};
use crate::{
    harness::{Finished, ip, trafficgen},
    situations::table::row,
};

#[test]
fn what_cannot_be_reached_is_named() {
    let Some(hosts) = Hosts::set() else { return };
    hosts.stage.pair("west0", "west1", 1);
    ip("address add 10.20.0.1/24 dev west0");
    ip("route add blackhole 10.8.0.0/16");
    ip("route add unreachable 10.7.0.0/16");
    ip("route add prohibit 10.6.0.0/16");
    ip("route add 10.5.0.0/16 via 192.0.2.77");
    ip("route add blackhole 2001:db8:8::/48");
    for (interface, destination, expected, cure) in [
        (
            "xtg0",
            "10.9.0.1",
            "no route to 10.9.0.1 leads out of `xtg0`",
            "`ip route add 10.9.0.1 dev xtg0`",
        ),
        (
            "west1",
            "10.9.0.1",
            "no route to 10.9.0.1 leads out of `west1`, which has no IPv4 address",
            "`ip address add ",
        ),
        (
            "xtg0",
            "2001:db8:9::1",
            "no route to 2001:db8:9::1 leads out of `xtg0`",
            "`ip route add 2001:db8:9::1 dev xtg0`",
        ),
        (
            "xtg0",
            "10.20.0.9",
            "the kernel's route to 10.20.0.9 leads out of `west0`, not of `xtg0`",
            "send out of `west0`",
        ),
        (
            "xtg0",
            "192.0.2.1",
            "192.0.2.1 is an address of this machine",
            "the address of another one",
        ),
        (
            "xtg0",
            "2001:db8::1",
            "2001:db8::1 is an address of this machine",
            "the address of another one",
        ),
        (
            "xtg0",
            "10.20.0.1",
            "10.20.0.1 is an address of this machine",
            "the address of another one",
        ),
        (
            "xtg0",
            "10.8.0.1",
            "a route of type blackhole refuses 10.8.0.1",
            "`ip route show table all type blackhole`",
        ),
        ("xtg0", "10.7.0.1", "a route of type unreachable refuses 10.7.0.1", "type unreachable`"),
        ("xtg0", "10.6.0.1", "a route of type prohibit refuses 10.6.0.1", "type prohibit`"),
        (
            "xtg0",
            "2001:db8:8::1",
            "a route of type blackhole refuses 2001:db8:8::1",
            "type blackhole`",
        ),
    ] {
        let arguments = ["udp", interface, "--dst-ip", destination, "--packets", "5"];
        let finished = Finished::of(trafficgen(&arguments));
        let said = line(&finished, expected);
        let help = line(&finished, cure);
        assert!(finished.code == Some(2) && help.contains("give --dst-mac"), "{finished:?}");
        row("7", &arguments.join(" "), &format!("{said} {help}"), 2, "");
    }
    // A next hop that does not answer has been asked as often as the message says.
    for (destination, silent, question, filter) in [
        ("192.0.2.99", "192.0.2.99 does not answer: ", "ARP request", ARP_REQUEST),
        (
            "10.5.0.1",
            "192.0.2.77, the gateway to 10.5.0.1, does not answer: ",
            "ARP request",
            ARP_REQUEST,
        ),
        ("2001:db8::99", "2001:db8::99 does not answer: ", "neighbour solicitation", SOLICITATION),
    ] {
        let asked = hosts.far.listen(filter);
        let arguments = ["udp", "xtg0", "--dst-ip", destination, "--packets", "5"];
        let finished = Finished::of(trafficgen(&arguments));
        let said = line(&finished, silent);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let requests: usize = said
            .split(silent)
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .and_then(|count| count.parse().ok())
            .unwrap();
        assert!(said.contains(question) && said.contains("out of `xtg0` in "), "{finished:?}");
        // tcpdump may miss a request that was sent while it did not listen.
        let seen = asked.frames_at_least(requests);
        assert!((1..=3).contains(&requests) && seen <= 3, "{requests} said, {seen} seen");
        row("7", &arguments.join(" "), said, 2, &format!("{seen} requests seen at the other end"));
    }
    ip("address del fe80::1/64 dev xtg0");
    let arguments = ["udp", "xtg0", "--dst-ip", "2001:db8::98", "--packets", "5"];
    let finished = Finished::of(trafficgen(&arguments));
    let said = line(
        &finished,
        "2001:db8::98 cannot be asked for its MAC address: `xtg0` has no link-local address",
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    row("7", &arguments.join(" "), said, 2, "");
    // The same for a file with `check`, `run`, `show` and `daemon`; without capabilities the kernel
    // refuses to ask.
    let file = file(&flow("f", "{ ethernet = {} }, { ipv4 = { dst = '10.9.0.1' } }"));
    let path = file.path().to_str().unwrap();
    for command in [vec!["check"], vec!["run"], vec!["show"], vec!["daemon", "--config"]] {
        let finished = Finished::of(trafficgen(&[&command[..], &[path]].concat()));
        let command = command[0];
        let said = line(&finished, "no route to 10.9.0.1 leads out of `xtg0`");
        let help = line(&finished, "write `dst` in the ethernet header");
        assert_eq!(finished.code, Some(2), "{finished:?}");
        row("7", &format!("{command} FILE, ipv4.dst = 10.9.0.1"), &format!("{said} {help}"), 2, "");
    }
    ip("neighbour flush all");
    let file = self::file(&flow("f", "{ ethernet = {} }, { ipv4 = { dst = '192.0.2.2' } }"));
    let mut setpriv = Command::new("setpriv");
    let check = trafficgen(&["check", file.path().to_str().unwrap()]);
    setpriv
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(check.get_program())
        .args(check.get_args());
    let finished = Finished::of(setpriv);
    let said = line(&finished, "the kernel refuses to ask for it");
    assert!(
        finished.code == Some(2) && line(&finished, "run this as root").contains("ping"),
        "{finished:?}"
    );
    row("7", "check FILE, without capabilities", said, 2, "");
}
