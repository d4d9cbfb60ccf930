//! Addresses that a user leaves to the host: the kernel's source address, and the MAC address of
//! the next hop. Neighbours are real, in namespaces of their own, where tcpdump shows which
//! requests and frames arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    fs::File,
    net::IpAddr,
    path::PathBuf,
    process::Command,
};

use etherparse::{NetHeaders, PacketHeaders};
use pcap_file::pcap::PcapReader;
use rustix::process::Signal;

use crate::{
    harness::{Finished, RECEIVER_MAC, Running, Stage, ip, reached, trafficgen},
    situations::table::row,
};

/// Requests to everybody, not probes of a neighbour that is known already.
const ARP_REQUEST: &str = "arp[6:2] == 1 and ether broadcast";
const SOLICITATION: &str = "ip6[6] == 58 and ip6[40] == 135 and ether multicast";

/// A network namespace that lasts as long as a process in it.
struct Place(Running);

impl Place {
    fn new() -> Self {
        let mut sleep = Command::new("unshare");
        sleep.args(["--net", "sleep", "infinity"]);
        let place = Self(Running::start(sleep));
        let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let moved = || fs::read_link(place.netns()).is_ok_and(|there| there != here);
        assert!(reached(moved), "no namespace: {}", place.0.stderr());
        place
    }

    fn netns(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.pid().as_raw_nonzero()).into()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.netns().display())).arg(program);
        command
    }

    #[track_caller]
    fn ip(&self, arguments: &str) {
        let finished = self.try_ip(arguments);
        assert_eq!(finished.code, Some(0), "ip {arguments}: {finished:?}");
    }

    #[track_caller]
    fn try_ip(&self, arguments: &str) -> Finished {
        let mut command = self.command("ip");
        command.args(arguments.split(' '));
        Finished::of(command)
    }

    /// Moves `interface` from the test's namespace to this one, sets it up and gives it these
    /// addresses.
    #[track_caller]
    fn take(&self, interface: &str, addresses: &[&str]) {
        ip(&format!("link set {interface} netns {}", self.0.pid().as_raw_nonzero()));
        // Without duplicate address detection, which would take time.
        self.ip(&format!("link set {interface} addrgenmode none"));
        self.ip("link set lo up");
        self.ip(&format!("link set {interface} up"));
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            self.ip(&format!("address add {address} dev {interface}{nodad}"));
        }
    }

    /// Starts tcpdump on the far end, and waits until it listens.
    #[track_caller]
    fn listen(&self, filter: &str) -> Listening {
        let folder = tempfile::tempdir().unwrap();
        let mut tcpdump = self.command("tcpdump");
        tcpdump.args(["-i", "xtg1", "-Q", "in", "-Z", "root", "-B", "16384", "-U", "-w"]);
        tcpdump.arg(folder.path().join("arrived.pcap")).args(filter.split(' '));
        let mut tcpdump = Running::start(tcpdump);
        tcpdump.wait_until("tcpdump listens", |tcpdump| tcpdump.stderr().contains("listening on"));
        Listening { tcpdump, folder }
    }
}

struct Listening {
    tcpdump: Running,
    folder: tempfile::TempDir,
}

impl Listening {
    /// The frames that arrived, as soon as there are `count`; more are a failure.
    #[track_caller]
    fn frames(self, count: usize) -> Vec<Vec<u8>> {
        let frames = self.frames_after(count);
        assert_eq!(frames.len(), count, "frames that arrived, and frames that should have");
        frames
    }

    /// The number of frames that arrived, as soon as there are at least `count`.
    #[track_caller]
    fn frames_at_least(self, count: usize) -> usize {
        let frames = self.frames_after(count).len();
        assert!(frames >= count, "{frames} frames arrived, at least {count} should have");
        frames
    }

    fn frames_after(self, count: usize) -> Vec<Vec<u8>> {
        let Self { tcpdump, folder } = self;
        let path = folder.path().join("arrived.pcap");
        let read = || {
            let mut frames = Vec::new();
            let Ok(mut reader) = PcapReader::new(File::open(&path).unwrap()) else { return frames };
            // The last frame may be half written.
            while let Some(Ok(packet)) = reader.next_packet() {
                frames.push(packet.data.into_owned());
            }
            frames
        };
        reached(|| read().len() >= count);
        tcpdump.signal(Signal::INT);
        assert_eq!(tcpdump.end().code, Some(0));
        read()
    }
}

/// Two hosts with addresses of both families: `xtg0` in the test's namespace, `xtg1` in another
/// one. Frames reach `xtg1`.
struct Hosts {
    far: Place,
    stage: Stage,
}

impl Hosts {
    fn set() -> Option<Self> {
        let stage = Stage::set()?;
        let far = Place::new();
        far.take("xtg1", &["192.0.2.2/24", "2001:db8::2/64", "fe80::2/64"]);
        let mut ethtool = far.command("ethtool");
        ethtool.args(["-K", "xtg1", "gro", "on"]);
        assert_eq!(Finished::of(ethtool).code, Some(0));
        // The stage disables IPv6 on all interfaces that it makes.
        ip("link set xtg0 addrgenmode none");
        fs::write("/proc/sys/net/ipv6/conf/xtg0/disable_ipv6", "0").unwrap();
        ip("address add 192.0.2.1/24 dev xtg0");
        ip("address add 2001:db8::1/64 dev xtg0 nodad");
        ip("address add fe80::1/64 dev xtg0 nodad");
        Some(Self { far, stage })
    }
}

/// A file with one port on `xtg0` and these flows.
fn file(flows: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, format!("[[ports]]\nname = 'p'\ninterface = 'xtg0'\n{flows}")).unwrap();
    file
}

fn flow(name: &str, packet: &str) -> String {
    format!(
        "[[flows]]\nname = '{name}'\nport = 'p'\npackets = 12\npacket = [{packet}, {{ udp = {{}} }}]\n"
    )
}

#[track_caller]
fn headers(frame: &[u8]) -> (String, IpAddr, IpAddr) {
    let headers = PacketHeaders::from_ethernet_slice(frame)
        .unwrap_or_else(|error| panic!("{error}: {frame:02x?}"));
    let mac = headers.link.unwrap().ethernet2().unwrap().destination;
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    match headers.net.unwrap() {
        NetHeaders::Ipv4(ip, _) => {
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            (mac, IpAddr::V4(ip.source.into()), IpAddr::V4(ip.destination.into()))
        }
        NetHeaders::Ipv6(ip, _) => {
            (mac, IpAddr::V6(ip.source.into()), IpAddr::V6(ip.destination.into()))
        }
        other => panic!("{other:?}"),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The line of standard error that contains these words.
#[track_caller]
fn line<'a>(finished: &'a Finished, words: &str) -> &'a str {
    let found = finished.stderr.lines().find(|line| line.contains(words));
    found.unwrap_or_else(|| panic!("no line with {words:?}: {finished:?}"))
}

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
