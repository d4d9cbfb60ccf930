//! The effects of the host's own network stack: it answers what comes back, and sees nothing of
//! what is sent.

use std::{
    fs::{self, File},
    net::{TcpListener, UdpSocket},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    process::Signal,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{Elsewhere, assert_says, ethtool, finding, report, udp};
use crate::{
    harness::{Finished, Running, Stage, ip, reached, sink, trafficgen},
    situations::table,
};

/// The cause was: "others send too".
#[test]
fn resets_of_our_own_stack() {
    let Some(_stage) = Stage::set() else { return };
    ip("address add 10.0.0.1/24 dev xtg0");
    let elsewhere = Elsewhere::with("xtg1");
    for command in
        ["ip address add 10.0.0.2/24 dev xtg1", "ip link set xtg1 up", "ethtool -K xtg1 gro on"]
    {
        elsewhere.run(command);
    }
    let _listener = listen(&elsewhere);
    let typed = "tcp-syn xtg0 --src-ip 10.0.0.1 --dst-ip 10.0.0.2 --dst-mac 02:00:00:00:00:02 --dst-port 80 --rate 1kpps --packets 1000";
    let syns = || {
        let mut command = trafficgen(&typed.split(' ').collect::<Vec<_>>());
        command.arg("--json");
        Finished::of(command).report(0)
    };
    let flooded = syns();
    let found = finding(&flooded, "own_stack_answers");
    assert_says(
        found,
        &[
            "this host's own network stack answered",
            "TCP resets (RST)",
            "does not own (`--src-ip`)",
        ],
    );
    assert!(flooded.findings.iter().all(|finding| finding.code != "other_traffic"), "{flooded:?}");
    let counted =
        flooded.only_port().interface_counters.as_ref().map_or(0, |counters| counters.tx_packets);
    let figures = format!("{} SYNs sent, {counted} frames counted", flooded.only_port().frames_tx);
    table::row("17", typed, &format!("{}; cure: {}", found.cause, found.cure), 0, &figures);

    // The kernel counts its resets itself; the rule of the cure blocks them.
    let resets = || {
        let snmp = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let values = snmp.lines().filter(|line| line.starts_with("Tcp:")).nth(1).unwrap();
        values.split(' ').nth(14).unwrap().parse::<u64>().unwrap()
    };
    assert!(resets() > 0);
    let rule = found.cure.split('`').find(|part| part.starts_with("nft 'add")).unwrap();
    let typed = Command::new("sh").args(["-c", rule]).status().unwrap();
    assert!(typed.success(), "{rule}");
    let before = resets();
    let kept_in = syns();
    assert!(resets() > before, "SYN-ACKs come back as before");
    assert!(
        kept_in.findings.iter().all(|finding| finding.code != "own_stack_answers"),
        "{kept_in:?}"
    );
    let counters = kept_in.only_port().interface_counters.as_ref().unwrap();
    // The stack may answer an ARP request now and then.
    assert!(counters.tx_packets < kept_in.only_port().frames_tx + 10, "{kept_in:?}");
}

/// The cure disabled neighbour discovery of IPv6.
#[test]
fn unreachables_of_our_own_stack() {
    let Some(_stage) = Stage::set() else { return };
    let elsewhere = Elsewhere::with("xtg1");
    for (interface, host) in [("xtg0", 1), ("xtg1", 2)] {
        let typed = [
            // The kernel limits the rate of these messages by default.
            "sysctl -qw net.ipv4.icmp_ratelimit=0".to_owned(),
            format!("sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=0"),
            format!("ip link set {interface} up"),
            format!("ip address add 10.0.0.{host}/24 dev {interface}"),
            format!("ip address add fd00::{host}/64 dev {interface} nodad"),
            format!(
                "ip neigh add 10.0.0.{} dev {interface} lladdr 02:00:00:00:00:0{}",
                3 - host,
                3 - host
            ),
        ];
        for command in &typed {
            match interface {
                "xtg1" => elsewhere.run(command),
                _ => run(command),
            }
        }
    }
    elsewhere.run("ethtool -K xtg1 gro on");
    echo(&elsewhere);
    let typed = "udp xtg0 --src-ip 10.0.0.1 --dst-ip 10.0.0.2 --dst-mac 02:00:00:00:00:02 --dst-port 7 --rate 100pps --packets 200";
    let datagrams = || {
        let mut command = trafficgen(&typed.split(' ').collect::<Vec<_>>());
        command.arg("--json");
        Finished::of(command).report(0)
    };
    let answered = datagrams();
    let found = finding(&answered, "own_stack_answers");
    assert_says(
        found,
        &["this host's own network stack answered", "ICMP \"destination unreachable\""],
    );
    let counted =
        answered.only_port().interface_counters.as_ref().map_or(0, |counters| counters.tx_packets);
    table::row(
        "17",
        typed,
        &format!("{}; cure: {}", found.cause, found.cure),
        0,
        &format!("{counted} frames counted"),
    );

    let rule = found.cure.split('`').find(|part| part.starts_with("nft 'add")).unwrap();
    let status = Command::new("sh").args(["-c", rule]).status().unwrap();
    assert!(status.success(), "{rule}");
    let kept_in = datagrams();
    assert!(
        kept_in.findings.iter().all(|finding| finding.code != "own_stack_answers"),
        "{kept_in:?}"
    );
    // The kernel may send some frames by itself, such as router solicitations.
    let counters = kept_in.only_port().interface_counters.as_ref().unwrap();
    assert!(counters.tx_packets < kept_in.only_port().frames_tx + 20, "{kept_in:?}");
    // Neighbour discovery still works.
    let socket = UdpSocket::bind("[fd00::1]:0").unwrap();
    let is_found = || {
        socket.send_to(b"who", "[fd00::2]:9").is_ok() && {
            let known = Command::new("ip")
                .args("-6 neigh show fd00::2 dev xtg0".split(' '))
                .output()
                .unwrap();
            String::from_utf8_lossy(&known.stdout).contains("lladdr 02:00:00:00:00:02")
        }
    };
    run("ip -6 neigh flush dev xtg0");
    assert!(reached(is_found), "its MAC address is not found");
}

/// Runs a command in the test's namespace.
#[track_caller]
fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Starts a thread in that namespace which sends datagrams back, until none has come for a minute.
fn echo(elsewhere: &Elsewhere) {
    let namespace = File::open(format!("/proc/{}/ns/net", elsewhere.0.id())).unwrap();
    let there = thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        UdpSocket::bind("10.0.0.2:7").unwrap()
    });
    let socket = there.join().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(&datagram[..length], from);
        }
    });
}

/// Starts a listener in that namespace, which accepts connections.
fn listen(elsewhere: &Elsewhere) -> TcpListener {
    let namespace = File::open(format!("/proc/{}/ns/net", elsewhere.0.id())).unwrap();
    let there = thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        TcpListener::bind("10.0.0.2:80").unwrap()
    });
    there.join().unwrap()
}

/// A program that is killed when this value is dropped.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The run said nothing of the capture, in which tcpdump shows nothing.
#[test]
fn a_capture_at_the_sender() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let (command, typed) = udp("xtg0", "--rate 1kpps");
    let mut running = Running::start(command);
    running.wait_until("it sends", |running| running.stderr().contains("sent "));
    assert!(!running.stderr().contains("captures"), "{}", running.stderr());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.pcap");
    let mut tcpdump = Command::new("tcpdump");
    tcpdump
        .args(["-Z", "root", "-i", "xtg0", "-U", "-w", file.to_str().unwrap()])
        .stdin(Stdio::null());
    let tcpdump = Other(tcpdump.stderr(Stdio::null()).spawn().expect("tcpdump is installed"));
    running.wait_until("it reports the capture", |running| {
        running.stderr().contains("a process captures at `xtg0`, as tcpdump")
    });
    // tcpdump's file has a header of 24 bytes, followed by captured frames.
    assert!(reached(|| fs::metadata(&file).is_ok_and(|file| file.len() >= 24)));
    running.signal(Signal::INT);
    let report = running.end().report(0);
    let seen = fs::metadata(&file).unwrap().len();
    drop(tcpdump);
    let found = finding(&report, "capture_sees_nothing");
    assert_says(found, &["does not see the frames that are sent", "capture where they arrive"]);
    assert_eq!((found.severity.as_str(), seen), ("note", 24), "a pcap file of its header alone");
    let figures = format!("{} sent, tcpdump saw none", report.only_port().frames_tx);
    table::row(
        "17",
        &format!("{typed}, tcpdump -i xtg0"),
        &format!("{}; cure: {}", found.cause, found.cure),
        0,
        &figures,
    );

    let probed = Finished::of(trafficgen(&["probe", "xtg0"]));
    let text = probed.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let said =
        "frames sent bypass packet taps (tcpdump here shows none), the qdisc noqueue, and nftables";
    assert!(text.contains(said), "{probed:?}");
    table::row("17", "probe xtg0", said, probed.code.unwrap_or(-1), "");
}

#[test]
fn a_queueing_discipline_is_bypassed() {
    let Some(_stage) = Stage::set() else { return };
    ethtool("-K xtg1 gro on");
    let made = Command::new("tc")
        .args("qdisc add dev xtg0 root tbf rate 1mbit burst 2kb latency 1ms".split(' '))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        crate::harness::skipped("this kernel has no tbf");
        return;
    }
    let probed = Finished::of(trafficgen(&["probe", "xtg0", "--json"]));
    let object: serde_json::Value =
        serde_json::from_str(&probed.stdout).unwrap_or_else(|_| panic!("{probed:?}"));
    assert_eq!(object["interface"]["qdisc"], "tbf", "{object}");
    let findings = object["findings"].as_array().unwrap();
    let found = findings
        .iter()
        .find(|finding| finding["code"] == "qdisc_bypassed")
        .unwrap_or_else(|| panic!("{object}"));
    let said =
        format!("{}; cure: {}", found["cause"].as_str().unwrap(), found["cure"].as_str().unwrap());
    assert!(
        said.contains(
            "the queueing discipline tbf of `xtg0` does nothing to the frames that are sent"
        ),
        "{said}"
    );
    // Frames do bypass it: at its rate, 100 000 frames of 64 bytes would take a minute.
    let sent = report("xtg0", "--packets 100000", 0);
    let shown = Command::new("tc").args(["-s", "qdisc", "show", "dev", "xtg0"]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Sent 0 bytes 0 pkt"), "{shown}");
    let figures =
        format!("{} sent, {} of them through the qdisc", sent.only_port().frames_attempted, 0);
    table::row("17", "probe xtg0 (qdisc tbf)", &said, probed.code.unwrap_or(-1), &figures);
}

/// Each of the two ports reported the other's frames as other traffic.
#[test]
fn ports_of_a_daemon_know_each_others_frames() {
    let Some(stage) = Stage::set() else { return };
    stage.pair("xtg2", "xtg3", 1);
    let sink = sink("xtg1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.toml");
    let port = |name: &str, interface: &str| {
        format!(
            "[[ports]]\nname = '{name}'\n{interface}\n[[flows]]\nname = 'flow-{name}'\nport = '{name}'\nrate = '1kpps'\n\
             packet = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{}} }}]\n"
        )
    };
    // The second port's ingress is the interface that the first one leaves by, and its frames go
    // back there.
    let east = port("east", "interface = 'xtg2'\ningress = 'xtg0'\naction = 'tx'");
    fs::write(&path, port("west", "interface = 'xtg0'") + &east).unwrap();
    let mut running = Running::start(trafficgen(&[
        "daemon",
        "--config",
        path.to_str().unwrap(),
        "--report-interval",
        "100ms",
        "--json",
    ]));
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 1000);
    running.signal(Signal::TERM);
    let report = running.end().report(0);
    let sent: Vec<u64> = report.ports.iter().map(|port| port.frames_tx).collect();
    assert!(sent.len() == 2 && sent.iter().all(|&sent| sent > 0), "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.code != "other_traffic"), "{report:?}");
    table::row(
        "17",
        "daemon, two ports that leave by one interface",
        "no finding about other traffic",
        0,
        &format!("{sent:?} frames sent"),
    );
}
