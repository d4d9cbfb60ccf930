//! A table of all conditions that can be provoked in a network namespace: how the run ends, what it
//! says, and what a user can do about it. Each run that sends no frames explains why.
//!
//! Conditions that need hardware or other kernels are given to the pure functions as facts, in
//! src/diagnosis/tests/.

mod memory;

use std::{
    cell::RefCell,
    fs,
    io::Write as _,
    process::{Child, Command},
};

use crate::harness::{
    Finding, Finished, RECEIVER_MAC, Running, Stage, ethtool, ip, reached, sink, trafficgen,
};
use rustix::process::Signal;

/// `udp INTERFACE` to the receiver, with more options.
fn udp(interface: &str, more: &str) -> Command {
    let mut command = trafficgen(&["udp", interface, "--dst-mac", RECEIVER_MAC, "--json"]);
    command.args(more.split_whitespace());
    command
}

/// The rows of the table.
#[derive(Default)]
struct Table(RefCell<Vec<[String; 5]>>);

/// How a condition should end.
struct Expected {
    exit: i32,
    /// Code of the finding; none where the run is refused before there is a report.
    code: Option<&'static str>,
    /// Texts that must be in the sentence or in the cure.
    parts: &'static [&'static str],
}

const fn refused(parts: &'static [&'static str]) -> Expected {
    Expected { exit: 2, code: None, parts }
}

const fn explained(exit: i32, code: &'static str, parts: &'static [&'static str]) -> Expected {
    Expected { exit, code: Some(code), parts }
}

impl Table {
    /// Runs the command and checks that it ends as expected.
    #[track_caller]
    fn check(&self, condition: &str, command: Command, expected: &Expected) {
        self.finished(condition, &Finished::of(command), expected);
    }

    /// Does the same with a command during which `happens` is run: once frames arrive, and long
    /// enough for the command to notice.
    #[track_caller]
    fn check_meanwhile(&self, condition: &str, happens: &str, expected: &Expected) {
        let sink = sink("xtg1");
        let mut running = Running::start(udp("xtg0", "--size 1000"));
        running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
        ip(happens);
        if expected.exit == 0 {
            running.wait_until("it reports the drops while they happen", |running| {
                running.stderr().contains("being dropped")
            });
            running.signal(Signal::INT);
        }
        self.finished(condition, &running.end(), expected);
    }

    #[track_caller]
    fn finished(&self, condition: &str, finished: &Finished, expected: &Expected) {
        let &Expected { exit, code, parts } = expected;
        let (sentence, cure) = match code {
            None => {
                assert_eq!(
                    (finished.code, finished.stdout.as_str()),
                    (Some(exit), ""),
                    "{condition}: {finished:?}"
                );
                refusal(&finished.stderr)
            }
            Some(code) => {
                // The report adds up: every lost frame has a cause, and so has a port that sent
                // nothing.
                let report = finished.report(exit);
                let found = report.findings.iter().find(|finding| finding.code == code);
                let Some(Finding { cause, cure, .. }) = found else {
                    panic!("{condition}: no {code} in {report:?}")
                };
                let sent: u64 = report.ports.iter().map(|port| port.frames_tx).sum();
                let attempted: u64 = report.ports.iter().map(|port| port.frames_attempted).sum();
                assert!(
                    sent > 0 || attempted == 0 || exit != 0,
                    "{condition}: nothing was sent, and all is well: {report:?}"
                );
                (cause.clone(), cure.clone())
            }
        };
        for part in parts {
            assert!(
                sentence.contains(part) || cure.contains(part),
                "{condition}: no `{part}` in `{sentence}`, `{cure}`"
            );
        }
        assert!(!sentence.is_empty() && !cure.is_empty(), "{condition}: {finished:?}");
        self.row(condition, &exit.to_string(), code.unwrap_or("–"), &sentence, &cure);
    }

    fn row(&self, condition: &str, exit: &str, code: &str, sentence: &str, cure: &str) {
        self.0.borrow_mut().push([condition, exit, code, sentence, cure].map(str::to_owned));
    }

    /// Prints the table in one piece, past the test harness's capture, because other tests write at
    /// the same time.
    fn print(&self) {
        let mut text = "\ncondition | exit | code | sentence | cure\n".to_owned();
        for row in self.0.borrow().iter() {
            text += &(row.join(" | ") + "\n");
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
}

/// Sentence and cure of a command that was refused: `error: …` and its help, or both in one
/// sentence.
fn refusal(stderr: &str) -> (String, String) {
    let line = |part: &str| {
        stderr
            .lines()
            .find_map(|line| line.split_once(part))
            .map(|(_, rest)| rest.trim().to_owned())
    };
    let sentence = line("error: ").unwrap_or_default();
    let help = line("help: ").or_else(|| line("cure: "));
    let cure = help.or_else(|| sentence.rsplit_once(": ").map(|(_, cure)| cure.to_owned()));
    (sentence, cure.unwrap_or_default())
}

#[test]
fn every_condition_is_explained() {
    let Some(stage) = Stage::set() else { return };
    let table = Table::default();
    peers_of_a_veth(&stage, &table);
    interfaces_that_send_nothing(&table);
    what_happens_meanwhile(&stage, &table);
    full_rings(&stage, &table);
    what_is_refused(&table);
    nothing_due(&table);
    memory::too_little(&table);
    table.print();
}

/// Replaces the two interfaces by new ones.
fn again(stage: &Stage) {
    // The interface may be gone already: some conditions remove it.
    let _ = Command::new("ip")
        .args(["link", "del", "xtg0"])
        .stderr(std::process::Stdio::null())
        .status();
    stage.raise();
}

fn peers_of_a_veth(stage: &Stage, table: &Table) {
    let some = || udp("xtg0", "--packets 100");
    let without = "veth_peer_without_receiver";
    let parts = &[
        "the peer `xtg1` of `xtg0` has neither a native XDP program nor GRO",
        "`ethtool -K xtg1 gro on`",
    ];
    table.check("veth, peer without receiver", some(), &explained(1, without, parts));
    ip("link set xtg1 down");
    let parts = &["the peer `xtg1` of `xtg0` is down", "`ip link set xtg1 up`"];
    table.check("veth, peer down", some(), &explained(1, "veth_peer_down", parts));
    // The kernel applies GRO only while the interface is up, so nothing gets through here.
    ethtool("-K xtg1 gro on");
    let unnoticed = &[
        "the peer `xtg1` of `xtg0` is down",
        "`ip link set xtg1 up`, and then `ethtool -K xtg1 gro off`",
    ];
    table.check("veth, peer down, with GRO", some(), &explained(1, "veth_peer_down", unnoticed));
    ip("link set xtg1 up");
    let parts = &["GRO was switched on while it was down", "gro off"];
    table.check("veth, GRO unnoticed", some(), &explained(1, "veth_peer_unnoticed", parts));
    // The cure works.
    ethtool("-K xtg1 gro off");
    ethtool("-K xtg1 gro on");
    assert_eq!(Finished::of(some()).report(0).only_port().frames_tx, 100);
    // The errno differs when the kernel knows of a receiver (veth_xdp_xmit: ENXIO).
    ip("link set xtg1 down");
    let parts = &["the peer `xtg1` of `xtg0` is down", "`ip link set xtg1 up`"];
    table.check("veth, peer down after it was up", some(), &explained(1, "veth_peer_down", parts));
    ip("link set xtg1 up");
    ip("link set xtg1 mtu 500");
    let parts = &["longer than the MTU of the peer `xtg1`", "`ip link set xtg1 mtu 978`"];
    table.check(
        "veth, peer's MTU",
        udp("xtg0", "--packets 100 --size 1000"),
        &explained(1, "frame_above_peer_mtu", parts),
    );
    ip("link set xtg1 mtu 978");
    assert_eq!(
        Finished::of(udp("xtg0", "--packets 100 --size 1000")).report(0).only_port().frames_tx,
        100
    );

    again(stage);
    ethtool("-K xtg1 gro on");
    ethtool("-L xtg0 rx 1");
    let parts = &["`xtg0` has fewer receive queues than the peer `xtg1`", "`ethtool -L xtg1 tx 1`"];
    table.check(
        "veth, fewer queues than its peer",
        some(),
        &explained(1, "veth_peer_unnoticed", parts),
    );

    again(stage);
    let elsewhere = Elsewhere::with("xtg1");
    let parts = &[
        "the peer `xtg1` of `xtg0`, in another network namespace, is down",
        "`ip link set xtg1 up`",
    ];
    table.check(
        "veth, peer down in another namespace",
        some(),
        &explained(1, "veth_peer_down", parts),
    );
    elsewhere.run(&["ip", "link", "set", "xtg1", "up"]);
    let parts = &[
        "the peer `xtg1` of `xtg0`, in another network namespace, has neither",
        "`ethtool -K xtg1 gro on`",
    ];
    table.check(
        "veth, peer without receiver in another namespace",
        some(),
        &explained(1, without, parts),
    );
    elsewhere.run(&["ethtool", "-K", "xtg1", "gro", "on"]);
    assert_eq!(Finished::of(some()).report(0).only_port().frames_tx, 100);
    drop(elsewhere);
    again(stage);
}

/// Another network namespace, which lives as long as this value.
struct Elsewhere(Child);

impl Elsewhere {
    /// Makes a namespace and moves this interface into it.
    fn with(interface: &str) -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "60"])
            .spawn()
            .expect("util-linux is installed");
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let id = child.id().to_string();
        // The test's own thread has a namespace of its own too, and the child was started in it.
        assert!(reached(
            || namespace(&id).is_some_and(|other| Some(other) != namespace("thread-self"))
        ));
        ip(&format!("link set {interface} netns {id}"));
        Self(child)
    }

    #[track_caller]
    fn run(&self, command: &[&str]) {
        let id = self.0.id().to_string();
        let status = Command::new("nsenter")
            .args(["--target", &id, "--net"])
            .args(command)
            .status()
            .unwrap();
        assert!(status.success(), "{command:?}");
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // The kernel removes the interfaces a little after the namespace.
        let _ = self.0.kill();
        let _ = self.0.wait();
        reached(|| {
            !fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default().contains("xtg0:")
        });
    }
}

/// Interfaces that are made with `ip link add`, set up, and used.
fn interfaces_that_send_nothing(table: &Table) {
    for (name, kind, parts) in [
        ("br0", "type bridge", &["`br0` is a bridge", "`ip link show master br0`"]),
        (
            "mv0",
            "link xtg0 type macvlan",
            &["`mv0` is an interface on top of others", "`ip -d link show mv0`"],
        ),
        ("vx0", "type vxlan id 5 dev xtg0 dstport 4789", &["`vx0` is a tunnel", "header `vxlan`"]),
        ("if0", "type ifb", &["`if0` is a software interface", "veth pair"]),
    ] {
        // `ip link add link xtg0 name mv0 type macvlan`.
        let (beneath, kind) = kind.split_once("type ").unwrap_or(("", kind));
        ip(&format!("link add {beneath}name {name} type {kind}"));
        ip(&format!("link set {name} up"));
        let expected = Expected { exit: 1, code: Some("driver_cannot_send"), parts };
        table.check(kind.split(' ').next().unwrap_or(kind), udp(name, "--packets 100"), &expected);
        ip(&format!("link del {name}"));
    }
    ip("link set lo up");
    let parts = &["`lo` is the loopback interface", "veth pair"];
    table.check("lo", udp("lo", "--packets 100"), &explained(1, "driver_cannot_send", parts));
    ip("tuntap add tap0 mode tap");
    ip("link set tap0 up");
    let parts = &["no program has the tap `tap0` open", "start the program"];
    table.check(
        "tap without a reader, no carrier",
        udp("tap0", "--packets 100"),
        &explained(1, "tap_unopened", parts),
    );
    ip("link del tap0");
}

fn what_happens_meanwhile(stage: &Stage, table: &Table) {
    let parts = &["the interface `xtg0` is down", "`ip link set xtg0 up`"];
    table.check_meanwhile(
        "set down in mid-run",
        "link set xtg0 down",
        &explained(0, "interface_down", parts),
    );
    again(stage);
    let parts = &[
        "frames of 1000 bytes are longer than the MTU of `xtg0`, 500",
        "`ip link set xtg0 mtu 978`",
    ];
    table.check_meanwhile(
        "MTU lowered in mid-run",
        "link set xtg0 mtu 500",
        &explained(0, "frame_above_mtu", parts),
    );
    again(stage);
    let parts = &["the interface `xtg0` is gone", "start again"];
    table.check_meanwhile(
        "removed in mid-run",
        "link del xtg0",
        &explained(1, "interface_gone", parts),
    );
    again(stage);
    let parts = &["the peer `xtg1` of `xtg0` is down", "`ip link set xtg1 up`"];
    table.check_meanwhile(
        "peer set down in mid-run",
        "link set xtg1 down",
        &explained(0, "veth_peer_down", parts),
    );
    again(stage);
}

/// The receiver is the network stack, which is slower than the sender. How much is lost is chance,
/// so the test tries again.
fn full_rings(stage: &Stage, table: &Table) {
    ethtool("-L xtg1 rx 1");
    ethtool("-K xtg1 gro on");
    let lossy = |condition: &str, options: &str, expected: &Expected| {
        let mut finished = None;
        let lost = reached(|| {
            let command = udp("xtg0", &format!("--flood --packets 3000000 {options}"));
            let report = finished.insert(Finished::of(command)).report(0);
            report.only_port().frames_dropped > 0
        });
        assert!(lost, "{condition}: no frame was lost");
        table.finished(condition, &finished.unwrap(), expected);
    };
    let parts =
        &["batches of 252 frames hardly fit into the ring", "256 entries", "batch size of 64"];
    lossy("full ring, large batch", "--batch-size 252", &explained(0, "batch_above_ring", parts));
    if crate::harness::cpu_lists().contains(&"0-1") {
        let parts = &[
            "the ring of 256 entries of the veth `xtg0` was full (queue 0 of 1",
            "`ethtool -L xtg1 rx 2`",
        ];
        lossy(
            "full ring, two workers on one queue",
            "--cpus 0-1",
            &explained(0, "queue_full", parts),
        );
    }
    again(stage);
}

fn what_is_refused(table: &Table) {
    let udp = |more: &str| udp("xtg0", &format!("--packets 1 {more}"));
    let longer = &["1600 bytes is too large for the MTU of `xtg0`, 1500", "mtu 1582"];
    table.check("longer than the MTU", udp("--size 1600"), &refused(longer));
    table.check(
        "CPU that is not there",
        udp("--cpus 4095"),
        &refused(&["there is no CPU 4095", "online are 0"]),
    );
    table.check(
        "batch above the kernel's limit",
        udp("--batch-size 257"),
        &refused(&["257 frames", "give 1 to 256"]),
    );
    let missing = trafficgen(&["udp", "xtg9", "--dst-mac", RECEIVER_MAC]);
    table.check(
        "no such interface",
        missing,
        &refused(&["there is no interface `xtg9`", "did you mean"]),
    );
    ip("link set xtg0 down");
    table.check(
        "interface down",
        udp(""),
        &refused(&["the interface `xtg0` is down", "`ip link set xtg0 up`"]),
    );
    ip("link set xtg0 up");

    let command = udp("");
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(command.get_program())
        .args(command.get_args());
    table.check(
        "missing capabilities",
        unprivileged,
        &refused(&["CAP_NET_ADMIN, CAP_SYS_ADMIN", "sudo"]),
    );
    // The child has all capabilities, but in a user namespace: the machine's own are missing.
    let mut rootless = Command::new("unshare");
    rootless
        .args(["--user", "--map-root-user"])
        .arg(command.get_program())
        .args(command.get_args());
    let finished = Finished::of(rootless);
    assert_eq!(finished.stdout, "", "{finished:?}");
    let (sentence, cure) = refusal(&finished.stderr);
    assert!(cure.contains("as root of the machine itself"), "{finished:?}");
    assert!(finished.stderr.contains("those of a user namespace only"), "{finished:?}");
    let exit = finished.code.map_or_else(|| "–".to_owned(), |code| code.to_string());
    assert!(finished.code.is_some_and(|code| code != 0), "{finished:?}");
    table.row("root of a user namespace", &exit, "–", &sentence, &cure);

    let sink = sink("xtg1");
    let pace_test = trafficgen(&[
        "pace-test",
        "xtg0",
        "--receiver",
        "xtg1",
        "--rate",
        "10kpps",
        "--duration",
        "100ms",
    ]);
    table.check(
        "another XDP program at the receiver",
        pace_test,
        &refused(&["(`sink`) is attached to `xtg1` already", "stop the program"]),
    );
    drop(sink);
    ip("link add mv0 link xtg0 type macvlan");
    ip("link set mv0 up");
    let pace_test = trafficgen(&[
        "pace-test",
        "xtg0",
        "--receiver",
        "mv0",
        "--rate",
        "10kpps",
        "--duration",
        "100ms",
    ]);
    let parts = &["`mv0` takes no XDP program", "use an interface whose driver does"];
    table.check("receiver without XDP", pace_test, &refused(parts));
    ip("link del mv0");
}

/// A run that rightly sends no frame says that too.
fn nothing_due(table: &Table) {
    let mut running = Running::start(udp("xtg0", "--packets 10 --delay 60s"));
    running.wait_until("its worker is there", |running| {
        let threads = fs::read_dir(format!("/proc/{}/task", running.pid()));
        let is_worker = |thread: fs::DirEntry| {
            fs::read_to_string(thread.path().join("comm"))
                .is_ok_and(|name| name.starts_with("worker-"))
        };
        threads.is_ok_and(|threads| threads.flatten().any(is_worker))
    });
    running.signal(Signal::INT);
    let parts = &["no frame was due before the end", "let it run for longer"];
    table.finished(
        "stopped before the first departure",
        &running.end(),
        &explained(0, "nothing_due", parts),
    );
}

/// The daemon's log has cause and cure as fields, as soon as the condition arises.
#[test]
fn the_daemon_logs_cause_and_cure() {
    let Some(_stage) = Stage::set() else { return };
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    let text = format!(
        "[[ports]]\nname = 'west'\ninterface = 'xtg0'\n[[flows]]\nname = 'f'\nport = 'west'\nrate = '100pps'\n\
         packet = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{}} }}]\n"
    );
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let mut running = Running::start(trafficgen(&[
        "daemon",
        "--config",
        path,
        "--log-format",
        "json",
        "--report-interval",
        "100ms",
        "--json",
    ]));
    let warned = |running: &Running, message: &str| {
        let stderr = running.stderr();
        let lines =
            stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut fields = lines.map(|line| line["fields"].clone()).filter(|fields| {
            fields["message"].as_str().is_some_and(|text| text.starts_with(message))
        });
        fields.next()
    };
    running.wait_until("frames are dropped", |running| warned(running, "frames dropped").is_some());
    for message in ["expect losses", "frames dropped"] {
        let fields = warned(&running, message).unwrap();
        assert_eq!(
            (&fields["port"], &fields["code"]),
            (&"west".into(), &"veth_peer_without_receiver".into()),
            "{fields}"
        );
        assert!(
            fields["cause"]
                .as_str()
                .is_some_and(|cause| cause.contains("the peer `xtg1` of `xtg0`")),
            "{fields}"
        );
        assert!(
            fields["cure"].as_str().is_some_and(|cure| cure.contains("`ethtool -K xtg1 gro on`")),
            "{fields}"
        );
    }
    running.signal(Signal::TERM);
    let report = running.end().report(0);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(found, ["veth_peer_without_receiver"], "{report:?}");
}
