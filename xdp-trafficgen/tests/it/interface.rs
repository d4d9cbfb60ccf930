//! The facts of interfaces against what `ip`, `ethtool`, `bpftool` and /sys show.

mod oracle;

use std::{collections::BTreeMap, process};

use crate::harness::{TestNet, ip, wait_until};
use rustix::thread::gettid;
use serde_json::Value;
use xdp_trafficgen::{
    host::{
        AttachedMode, CounterReader, Counters, Driver, Interface, Netlink, Peer, Queues, Rings,
        queues_in_use,
    },
    kernel::{KernelError, PrivateNetns, Sink, sink::SinkAction},
};

/// The facts of an interface in the calling thread's namespace.
#[track_caller]
fn facts(name: &str) -> Interface {
    let netlink = Netlink::open().unwrap();
    let interfaces = Interface::gather(&netlink, &[name]).unwrap();
    let [interface] = <[_; 1]>::try_from(interfaces).unwrap();
    interface
}

/// Interfaces of many kinds: `a0` and `a1` are a pair with several queues, of which `a1` has a
/// native program.
fn kinds(net: &TestNet) -> Sink {
    ip(
        "link add name a0 numtxqueues 3 numrxqueues 4 type veth peer name a1 numtxqueues 2 numrxqueues 3",
    );
    net.veth("b0", "b1");
    ip("tuntap add name tap0 mode tap multi_queue");
    ip("tuntap add name tun0 mode tun");
    ip("link add name br0 type bridge");
    ip("link add name ifb0 numtxqueues 3 numrxqueues 2 type ifb");
    ip("link add name vx0 type vxlan id 3 remote 192.0.2.1 dstport 4789");
    ip("link add name mv0 link b0 type macvlan");
    let sink = Sink::attach("a1", SinkAction::Drop).unwrap();
    for interface in ["a0", "ifb0", "lo", "vx0"] {
        ip(&format!("link set {interface} up"));
    }
    ip("link set a1 mtu 1400");
    sink
}

const KINDS: [&str; 11] =
    ["a0", "a1", "b0", "b1", "tap0", "tun0", "br0", "ifb0", "vx0", "mv0", "lo"];

/// Compares everything but the features and the peer, which none of these programs show.
#[track_caller]
fn check(name: &str) {
    let facts = facts(name);
    let ip = oracle::ip(name);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    assert_eq!(Some(facts.link.name.as_str()), ip["ifname"].as_str());
    assert_eq!(Some(u64::from(facts.link.index)), ip["ifindex"].as_u64(), "{name}");
    assert_eq!(Some(u64::from(facts.link.mtu)), ip["mtu"].as_u64(), "{name}");
    let flags = ip["flags"].as_array().unwrap();
    assert_eq!(facts.link.up, flags.contains(&"UP".into()), "{name}");
    assert_eq!(facts.kind, text(&ip["linkinfo"]["info_kind"]), "{name}");

    let shown = oracle::ethtool("-i", name);
    let of = |key: &str| shown.get(key).cloned();
    let driver = of("driver").map(|driver| Driver {
        name: driver,
        version: of("version").unwrap(),
        bus_info: of("bus-info").unwrap(),
    });
    assert_eq!(facts.driver, driver, "{name}");

    // `n/a` stands for no value.
    let count =
        |values: &BTreeMap<String, String>, key: &str| values[key].parse::<u32>().unwrap_or(0);
    let channels = oracle::ethtool("-l", name);
    let queues = |section: &str| {
        let of = |kind: &str| count(&channels, &format!("{section} {kind}"));
        Queues { rx: of("RX") + of("Combined"), tx: of("TX") + of("Combined") }
    };
    let (now, most) = match channels.is_empty() {
        true => (Queues { rx: oracle::queues(name, "rx"), tx: oracle::queues(name, "tx") }, None),
        false => (queues("now"), Some(queues("most"))),
    };
    assert_eq!((facts.queues, facts.most_queues), (now, most), "{name}");

    let sizes = oracle::ethtool("-g", name);
    let rings = (!sizes.is_empty()).then(|| Rings {
        rx: count(&sizes, "now RX"),
        rx_max: count(&sizes, "most RX"),
        tx: count(&sizes, "now TX"),
        tx_max: count(&sizes, "most TX"),
    });
    assert_eq!(facts.rings, rings, "{name}");

    // Such a value may be written `off [requested on]`.
    let gro = &oracle::ethtool("-k", name)["generic-receive-offload"];
    assert_eq!(facts.gro, Some(gro.starts_with("on")), "{name}: {gro}");

    let programs: Vec<(String, u64)> =
        facts.xdp.iter().map(|xdp| (mode(xdp.mode).to_owned(), xdp.program.into())).collect();
    assert_eq!(programs, attached(&ip["xdp"]), "{name}");
    for xdp in &facts.xdp {
        assert_eq!(xdp.name, oracle::program_name(xdp.program.into()), "{name}");
        // The name that all programs of this project have.
        assert!(xdp.on_link, "{name}");
    }
}

/// The numbers that iproute2 shows for the kernel's `XDP_ATTACHED_*`.
fn attached(xdp: &Value) -> Vec<(String, u64)> {
    let one = |xdp: &Value| {
        let mode = match xdp["mode"].as_u64()? {
            1 => "native",
            2 => "generic",
            3 => "offloaded",
            _ => return None,
        };
        Some((mode.to_owned(), xdp["prog"]["id"].as_u64()?))
    };
    match xdp["attached"].as_array() {
        Some(several) => several.iter().filter_map(one).collect(),
        None => one(xdp).into_iter().collect(),
    }
}

const fn mode(mode: AttachedMode) -> &'static str {
    match mode {
        AttachedMode::Native => "native",
        AttachedMode::Generic => "generic",
        AttachedMode::Offloaded => "offloaded",
    }
}

#[test]
fn facts_are_those_that_other_programs_show() {
    let Some(net) = TestNet::enter() else { return };
    let _sink = kinds(&net);
    let id = facts("a1").xdp_in(AttachedMode::Native).expect("just attached").program;
    oracle::run("bpftool", &format!("net attach xdpgeneric id {id} dev b1"));
    for name in KINDS {
        check(name);
    }
    assert!(facts("b1").xdp_in(AttachedMode::Generic).is_some_and(|xdp| xdp.program == id));
    oracle::run("ethtool", "-K b0 gro on");
    oracle::run("ethtool", "-L a0 rx 2 tx 1");
    for name in ["a0", "b0"] {
        check(name);
    }
    let netlink = Netlink::open().unwrap();
    assert_eq!(Interface::gather(&netlink, &["nobody"]).unwrap(), []);
    // A veth has no bus, whatever buses the machine's own namespace has.
    assert!(
        KINDS
            .iter()
            .all(|name| facts(name).numa_node.is_none() && facts(name).interrupts.is_empty())
    );
}

/// Interfaces of this machine's own namespace, which the test only reads: rings and buses exist
/// only on hardware.
#[test]
fn facts_of_this_machines_own_interfaces() {
    for link in Netlink::open().unwrap().links().unwrap() {
        // Virtual interfaces come and go, and other tests check them.
        let Some(bus) = link.bus else { continue };
        check(&link.name);
        let facts = facts(&link.name);
        // An interrupt of the device is one of those that /proc/interrupts counts, and has a CPU.
        let counted = std::fs::read_to_string("/proc/interrupts").unwrap();
        let counted = |number: u32| {
            counted.lines().any(|line| line.trim().starts_with(&format!("{number}:")))
        };
        for interrupt in &facts.interrupts {
            assert!(
                counted(interrupt.number) && !interrupt.cpus.is_empty(),
                "{}: {interrupt:?}",
                link.name
            );
        }
        assert!(facts.iommu.is_some() || bus != "virtio", "{facts:?}");
    }
}

/// The queues that the `netdev` family lists for interfaces that were made for more queues than
/// they use, and for others. /sys shows the same queues.
#[test]
fn queues_that_are_listed_are_those_in_use() {
    let Some(_net) = TestNet::enter() else { return };
    let release = oracle::output("uname", "-r").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(8)) {
        crate::harness::skipped("a kernel before 6.8 lists no queues");
        return;
    }
    #[track_caller]
    fn check(name: &str, expected: Queues) {
        let shown = Queues { rx: oracle::queues(name, "rx"), tx: oracle::queues(name, "tx") };
        assert_eq!(shown, expected, "{name}");
        assert_eq!(queues_in_use(facts(name).link.index), Some(expected), "{name}");
    }
    ip(
        "link add name a0 numtxqueues 4 numrxqueues 4 type veth peer name a1 numtxqueues 4 numrxqueues 4",
    );
    // More queues than fit into one answer.
    ip("link add name ifb0 numtxqueues 600 numrxqueues 500 type ifb");
    let index = facts("a0").link.index;
    // The kernel lists no queues of an interface that is down.
    assert_eq!(queues_in_use(index), None);
    oracle::run("ethtool", "-L a0 tx 1 rx 1");
    oracle::run("ethtool", "-L a1 tx 2 rx 3");
    for name in ["a0", "a1", "ifb0", "lo"] {
        ip(&format!("link set {name} up"));
    }
    let made_for = oracle::ip("a0");
    assert_eq!(
        (made_for["num_tx_queues"].as_u64(), made_for["num_rx_queues"].as_u64()),
        (Some(4), Some(4))
    );
    check("a0", Queues { rx: 1, tx: 1 });
    check("a1", Queues { rx: 3, tx: 2 });
    check("ifb0", Queues { rx: 500, tx: 600 });
    check("lo", Queues { rx: 1, tx: 1 });
}

#[test]
fn a_veth_knows_its_other_end() {
    let Some(net) = TestNet::enter() else { return };
    ip(
        "link add name a0 numrxqueues 4 numtxqueues 3 type veth peer name a1 numrxqueues 3 numtxqueues 1",
    );
    let index = facts("a1").link.index;
    let peer = |up, mtu, native_xdp, gro| Peer::Here {
        name: "a1".to_owned(),
        index,
        up,
        mtu,
        native_xdp,
        gro: Some(gro),
        rx_queues: 3,
        most_rx_queues: Some(3),
    };
    #[track_caller]
    fn check(name: &str, expected: Option<Peer>) {
        assert_eq!(facts(name).peer, expected, "{name}");
    }
    check("a0", Some(peer(false, 1500, false, false)));
    ip("link set a1 up mtu 1400");
    check("a0", Some(peer(true, 1400, false, false)));
    oracle::run("ethtool", "-K a1 gro on");
    check("a0", Some(peer(true, 1400, false, true)));
    let sink = Sink::attach("a1", SinkAction::Drop).unwrap();
    check("a0", Some(peer(true, 1400, true, true)));
    // A program in generic mode does not help a sender of XDP frames.
    let id = facts("a1").xdp_in(AttachedMode::Native).expect("attached").program;
    net.veth("b0", "b1");
    oracle::run("bpftool", &format!("net attach xdpgeneric id {id} dev b1"));
    let generic = Peer::Here {
        name: "b1".to_owned(),
        index: facts("b1").link.index,
        up: true,
        mtu: 1500,
        native_xdp: false,
        gro: Some(false),
        rx_queues: 1,
        most_rx_queues: Some(1),
    };
    check("b0", Some(generic));
    drop(sink);

    // The other namespace has an interface of the same index, which must not be taken for the peer.
    let here = format!("/proc/{}/task/{}/ns/net", process::id(), gettid().as_raw_nonzero());
    let elsewhere = PrivateNetns::create().unwrap();
    elsewhere
        .run(|| {
            ip(&format!("link add name c0 netns {here} type veth peer name c1"));
            Ok::<_, KernelError>(())
        })
        .unwrap();
    // The peer's index, which `ip` shows behind the `@` of the interface's name.
    let index =
        u32::try_from(oracle::ip("c0")["link_index"].as_u64().expect("an end of a pair")).unwrap();
    let nsid =
        i32::try_from(oracle::ip("c0")["link_netnsid"].as_i64().expect("in another namespace"))
            .unwrap();
    let there = |up, mtu| Peer::There {
        name: "c1".to_owned(),
        nsid,
        index,
        up,
        mtu,
        native_xdp: false,
        namespace: None,
    };
    check("c0", Some(there(false, 1500)));
    elsewhere
        .run(|| {
            ip("link set c1 up mtu 1300");
            Ok::<_, KernelError>(())
        })
        .unwrap();
    check("c0", Some(there(true, 1300)));
    ip("link add name br0 type bridge");
    ip("link add name mv0 link a0 type macvlan");
    for name in ["br0", "mv0", "lo"] {
        check(name, None);
    }
}

/// No program shows the features; the drivers define them: `veth_set_xdp_features` of
/// drivers/net/veth.c, `tun_net_init` of drivers/net/tun.c, and none in the others.
#[test]
fn xdp_features_are_the_drivers_current_ones() {
    let Some(net) = TestNet::enter() else { return };
    let Some(_) = facts("lo").features else {
        crate::harness::skipped("a kernel before 6.3 does not report features");
        return;
    };
    #[track_caller]
    fn check(name: &str, expected: &str) {
        let names: Vec<&str> =
            facts(name).features.expect("the kernel reports features").names().collect();
        assert_eq!(names.join(" "), expected, "{name}");
    }
    const RECEIVING: &str = "basic redirect rx-sg";
    const SENDING: &str = "basic redirect ndo-xmit rx-sg ndo-xmit-sg";
    net.veth("a0", "a1");
    check("a0", RECEIVING);
    oracle::run("ethtool", "-K a1 gro on");
    check("a0", SENDING);
    check("a1", RECEIVING);
    oracle::run("ethtool", "-K a1 gro off");
    check("a0", RECEIVING);
    let sink = Sink::attach("a1", SinkAction::Drop).unwrap();
    check("a0", SENDING);
    drop(sink);
    // A process that another thread has just forked holds the program a moment longer.
    wait_until("the program is gone", || facts("a1").xdp.is_empty());
    check("a0", RECEIVING);
    // This end has more transmit queues than the other end has receive queues.
    ip(
        "link add name b0 numtxqueues 2 numrxqueues 1 type veth peer name b1 numtxqueues 2 numrxqueues 1",
    );
    oracle::run("ethtool", "-L b0 tx 2");
    check("b1", "");
    ip("tuntap add name tap0 mode tap");
    check("tap0", "basic redirect ndo-xmit");
    ip("tuntap add name tun0 mode tun");
    ip("link add name br0 type bridge");
    ip("link add name mv0 link a0 type macvlan");
    for name in ["tun0", "br0", "mv0", "lo"] {
        check(name, "");
    }
}

/// The counters count frames that arrive, and frames that the other end refuses.
#[test]
fn counters_are_those_that_other_programs_show() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("a0", "a1");
    let reader = CounterReader::open().unwrap();
    #[track_caller]
    fn check(reader: &CounterReader, interface: &str, index: u32) -> Counters {
        let shown = &oracle::ip(interface)["stats64"]["tx"];
        let of = |key: &str| shown[key].as_u64().unwrap();
        let nic = oracle::ethtool("-S", interface);
        // The first line of `ethtool -S` is a title.
        let nic =
            nic.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect();
        let expected = Counters {
            tx_packets: of("packets"),
            tx_bytes: of("bytes"),
            tx_dropped: of("dropped"),
            tx_errors: of("errors"),
            nic,
            // This namespace's own stack has answered nothing.
            ..Counters::default()
        };
        assert_eq!(reader.read(index).unwrap(), expected, "{interface}");
        assert_eq!(Counters::read(index).unwrap(), expected, "{interface}");
        expected
    }
    let index = net.link("a0").index;
    let before = check(&reader, "a0", index);
    assert!(before.nic.contains_key("tx_queue_0_xdp_xmit"), "{before:?}");
    let port = net.port("interface = \"a0\"");
    let sink = Sink::attach("a1", SinkAction::Drop).unwrap();
    port.send(1000);
    wait_until("frames arrived", || sink.count().unwrap().frames == 1000);
    let sent = check(&reader, "a0", index).since(&before);
    assert_eq!((sent.tx_packets, sent.tx_dropped), (1000, 0), "{sent:?}");
    assert_eq!(check(&reader, "a1", net.link("a1").index).nic["rx_queue_0_xdp_packets"], 1000);
    // A bridge has no counters in `ethtool -S`, and neither has `lo`.
    ip("link add name br0 type bridge");
    for name in ["br0", "lo"] {
        assert!(check(&reader, name, net.link(name).index).nic.is_empty(), "{name}");
    }

    ip("link set a0 down");
    ip("link set a0 name renamed");
    check(&reader, "renamed", index);
    // Within this runtime, another one cannot be made.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let within = runtime.block_on(async { Counters::read(index) }).unwrap();
    assert_eq!(within, reader.read(index).unwrap());
    ip("link del renamed");
    let gone = reader.read(index).unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(rustix::io::Errno::NODEV.raw_os_error()), "{gone}");
    // The reader still works.
    check(&reader, "lo", 1);
}
