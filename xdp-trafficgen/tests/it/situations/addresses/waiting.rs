//! Commands and ports that wait until a neighbour answers.

use std::{collections::BTreeSet, fs, net::IpAddr, process::Command};

use rustix::process::Signal;

use super::{Hosts, Place, address, file, flow, headers, line};
use crate::{
    harness::{Finished, Running, Stage, ip, trafficgen},
    situations::table::row,
};

/// The interface is removed and comes back, and one of two neighbours behind it has another MAC
/// address.
#[test]
fn a_restart_asks_for_each_neighbour_again() {
    let Some(stage) = Stage::set() else { return };
    let far = Place::new();
    // From the first of these commands on, the port may start again at any time: it retries until
    // it knows both neighbours.
    let neighbours = |changing: &str| {
        far.take("xtg1", &[]);
        let mut ethtool = far.command("ethtool");
        ethtool.args(["-K", "xtg1", "gro", "on"]);
        assert_eq!(Finished::of(ethtool).code, Some(0));
        ip(&format!("neighbour replace 192.0.2.50 lladdr {changing} dev xtg0"));
        ip("neighbour replace 192.0.2.51 lladdr 02:00:00:00:00:51 dev xtg0");
        ip("address add 192.0.2.1/24 dev xtg0");
    };
    let file = file(
        "rate = '200pps'\n[[flows]]\nname = 'f'\nport = 'p'\nsize = 70\npacket = [{ ethernet = {} }, \
         { ipv4 = { dst = ['192.0.2.50', '192.0.2.51'] } }, { udp = {} }]\n",
    );
    let mut daemon = None;
    let mut seen = Vec::new();
    for changing in ["02:00:00:00:00:50", "02:00:00:00:99:50"] {
        if daemon.is_some() {
            ip("link del xtg0");
            stage.raise();
        }
        neighbours(changing);
        let listening = far.listen("udp and net 192.0.2.0/24");
        let path = file.path().to_str().unwrap();
        daemon.get_or_insert_with(|| Running::start(trafficgen(&["daemon", "--config", path])));
        let frames = listening.frames_after(10);
        let macs: BTreeSet<(IpAddr, String)> =
            frames.iter().map(|frame| headers(frame)).map(|(mac, _, to)| (to, mac)).collect();
        let expected = [("192.0.2.50", changing), ("192.0.2.51", "02:00:00:00:00:51")];
        let expected = expected.map(|(to, mac)| (address(to), mac.to_owned()));
        assert_eq!(macs, BTreeSet::from(expected), "{:?}", daemon.map(|daemon| daemon.stderr()));
        seen.push(changing);
    }
    let daemon = daemon.unwrap();
    daemon.signal(Signal::TERM);
    let finished = daemon.end();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let said = line(&finished, "port sends again");
    row(
        "6",
        "daemon, its interface exchanged, ipv4.dst = ['192.0.2.50', '192.0.2.51']",
        said,
        0,
        &format!("192.0.2.50 at {}", seen.join(", then ")),
    );
}

/// Waits until the kernel asks for this address, which no host has: asking goes on for seconds.
#[track_caller]
fn wait_until_asked(running: &mut Running, address: &str) {
    running.wait_until("the neighbour is asked for", |_| {
        let mut neighbours = Command::new("ip");
        neighbours.args(["neighbour", "show", "to", address, "dev", "xtg0"]);
        Finished::of(neighbours).stdout.contains("INCOMPLETE")
    });
}

/// Makes the kernel ask for longer than any test waits.
fn ask_for_long() {
    fs::write("/proc/sys/net/ipv4/neigh/xtg0/mcast_solicit", "1000").unwrap();
}

/// A command that is stopped while it waits for an answer does not claim that there was none.
#[test]
fn a_command_that_waits_for_an_answer_can_be_stopped() {
    let Some(_hosts) = Hosts::set() else { return };
    ask_for_long();
    let file = file(&flow("f", "{ ethernet = {} }, { ipv4 = { dst = '192.0.2.99' } }"));
    let path = file.path().to_str().unwrap();
    for (command, code) in [
        (&["udp", "xtg0", "--dst-ip", "192.0.2.99"][..], None),
        (&["icmp", "xtg0", "--dst-ip", "192.0.2.99"], None),
        (&["run", path], None),
        (&["check", path], None),
        (&["show", path], None),
        (&["daemon", "--json", "--config", path], Some(0)),
    ] {
        ip("neighbour flush all");
        let mut running = Running::start(trafficgen(command));
        wait_until_asked(&mut running, "192.0.2.99");
        running.signal(Signal::TERM);
        let finished = running.end();
        assert_eq!(finished.code, code, "{command:?}: {finished:?}");
        assert!(!finished.stderr.contains("does not answer"), "{command:?}: {finished:?}");
        if command[0] == "daemon" {
            let report = finished.report(0);
            assert!(report.ports.is_empty() && report.flows.is_empty(), "{report:?}");
            let said = line(&finished, "stopping: no port has started");
            row(
                "7",
                "daemon, SIGTERM while it waits for a next hop",
                said,
                0,
                "a report without ports",
            );
        }
    }
}

/// The interface comes back, and the next hop does not.
#[test]
fn a_port_that_waits_for_an_answer_is_down() {
    let Some(stage) = Stage::set() else { return };
    let far = Place::new();
    far.take("xtg1", &["192.0.2.2/24"]);
    ip("address add 192.0.2.1/24 dev xtg0");
    let file = file(
        "rate = '200pps'\n[[flows]]\nname = 'f'\nport = 'p'\nsize = 70\n\
         packet = [{ ethernet = {} }, { ipv4 = { dst = '192.0.2.2' } }, { udp = {} }]\n",
    );
    let path = file.path().to_str().unwrap();
    let options = [
        "daemon",
        "--log-format",
        "json",
        "--json",
        "--report-interval",
        "100ms",
        "--config",
        path,
    ];
    let mut daemon = Running::start(trafficgen(&options));
    let said = |log: &str, message: &str| -> Vec<serde_json::Value> {
        let fields = |line: &str| {
            Some(serde_json::from_str::<serde_json::Value>(line).ok()?["fields"].clone())
        };
        log.lines()
            .filter_map(fields)
            .filter(|fields| {
                fields["message"].as_str().is_some_and(|text| text.starts_with(message))
            })
            .collect()
    };
    daemon.wait_until("it sends", |daemon| {
        said(&daemon.stderr(), "counts")
            .iter()
            .any(|counts| counts["frames_attempted"].as_u64() > Some(20))
    });
    ip("link del xtg0");
    stage.raise();
    ask_for_long();
    ip("address add 192.0.2.1/24 dev xtg0");
    wait_until_asked(&mut daemon, "192.0.2.2");
    let before = said(&daemon.stderr(), "counts").len();
    // One wait for an answer takes as long as 40 reports.
    daemon.wait_until("it reports", |daemon| said(&daemon.stderr(), "counts").len() > before + 20);
    wait_until_asked(&mut daemon, "192.0.2.2");
    daemon.signal(Signal::TERM);
    let finished = daemon.end();
    let report = finished.report(0);
    let counts = said(&finished.stderr, "counts");
    let down: Vec<u64> = counts[before..before + 20]
        .iter()
        .map(|counts| counts["down_ns"].as_u64().unwrap())
        .collect();
    // Two reports may have the same value on a busy machine.
    let standing = down.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(standing < 10 && down.is_sorted(), "{down:?}");
    let stopping = finished.stderr.find("stopping").unwrap();
    assert!(!finished.stderr[stopping..].contains("does not answer"), "{finished:?}");
    let port = report.only_port();
    assert!(port.down_ns >= *down.last().unwrap() && port.restarts == 0, "{port:?}");
    let cause =
        &report.findings.iter().find(|finding| finding.code == "port_was_down").unwrap().cause;
    let figures =
        format!("down_ns {} to {} in 20 reports, {standing} as the one before", down[0], down[19]);
    row(
        "7",
        "daemon, SIGTERM while a port that starts again waits for its next hop",
        cause,
        0,
        &figures,
    );
}

#[test]
fn an_interface_may_go_during_neighbour_discovery() {
    let Some(hosts) = Hosts::set() else { return };
    ask_for_long();
    let arguments = ["udp", "xtg0", "--dst-ip", "192.0.2.99", "--packets", "5"];
    let mut running = Running::start(trafficgen(&arguments));
    wait_until_asked(&mut running, "192.0.2.99");
    ip("link del xtg0");
    let finished = running.end();
    let said = line(
        &finished,
        "192.0.2.99 cannot be asked for its MAC address: `xtg0` was removed meanwhile",
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    row("7", &format!("{}, and xtg0 goes", arguments.join(" ")), said, 2, "");
    drop(hosts);
}
