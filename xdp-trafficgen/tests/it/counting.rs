//! The counters against what really arrives: every attempted frame is transmitted or dropped for a
//! reason, every transmitted one arrives, and other programs' frames are not counted.

use std::{collections::BTreeMap, thread};

use xdp_trafficgen::{
    host::online_cpus,
    kernel::{Generator, Listener, Sink, TracePoint, generator::Role, sink::SinkAction},
};
use xdp_trafficgen_ebpf::abi::{DropLayer, Worker};

use crate::harness::{
    Counts, PACKET, Port, TestNet, Transmitted, assert_arrived, ethtool, ip, pin, raw, transmitted,
    wait_until,
};

/// A veth transmits only to a peer that runs NAPI, and a peer with neither an XDP program nor GRO
/// runs none.
#[test]
fn a_veth_without_a_receiver_drops_everything() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let port = net.port("interface = \"west\"");
    port.send(1000);
    let counts = port.redirected();
    assert_eq!((counts.attempted, counts.transmitted), (1000, 0));
    // Since Linux 6.3 (commit fccca038f300) the kernel asks for the feature before it asks the
    // driver.
    let by_kernel =
        BTreeMap::from([((DropLayer::Redirect, libc::EOPNOTSUPP.cast_unsigned()), 1000)]);
    let by_driver = BTreeMap::from([((DropLayer::Driver, libc::ENXIO.cast_unsigned()), 1000)]);
    assert!(counts.drops == by_kernel || counts.drops == by_driver, "{counts:?}");
}

/// The driver refuses whole bulks when the receiver is down.
#[test]
fn a_driver_that_refuses_is_named() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let port = net.port("interface = \"west\"");
    port.send(1000);
    assert_arrived(&sink, 1000);
    ip("link set east down");
    port.send(1000);
    let counts = port.redirected();
    assert_eq!(counts.transmitted, 1000);
    assert_eq!(
        counts.drops,
        BTreeMap::from([((DropLayer::Driver, libc::ENXIO.cast_unsigned()), 1000)])
    );
    assert_arrived(&sink, 1000);
}

/// A driver that takes only a part of a bulk gives no errno. A veth stops at a frame above its
/// peer's MTU.
#[test]
fn drops_without_an_errno_are_counted_too() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    ip("link set east mtu 500");
    let port = Port::load(
        net.plan_flow("interface = \"west\"", &format!("size = 1000\npacket = [{PACKET}]")),
    );
    port.send(1000);
    let counts = port.redirected();
    assert_eq!(counts.drops, BTreeMap::from([((DropLayer::Driver, 0), 1000)]));
    assert_arrived(&sink, 0);
}

/// A veth's ring has 256 entries, of which up to 15 stay taken after their frames were received
/// (`ptr_ring` frees them 16 at a time): batches above 240 frames lose some, however fast the
/// receiver is.
#[test]
fn a_full_ring_is_counted() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let port = net.port("interface = \"west\"\nbatch_size = 252");
    let before = transmitted("west");
    port.send(100_000);
    let counts = port.redirected();
    assert!(counts.dropped > 0, "{counts:?}");
    assert_eq!(counts.drops, BTreeMap::from([((DropLayer::Driver, 0), counts.dropped)]));
    assert_arrived(&sink, counts.transmitted);
    let seen = Transmitted { packets: counts.transmitted, dropped: counts.dropped };
    assert_eq!(transmitted("west") - before, seen);
}

/// The generator's counts against the interface's own. The receiver has GRO and no program of the
/// test's.
#[test]
fn the_interface_counts_the_same() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    ethtool("-K east gro on");
    let port = net.port("interface = \"west\"");
    let before = transmitted("west");
    port.send(10_007);
    wait_until("the fate of all frames", || (transmitted("west") - before).frames() >= 10_007);
    let counts = port.redirected();
    let seen = Transmitted { packets: counts.transmitted, dropped: counts.dropped };
    assert_eq!(transmitted("west") - before, seen);
}

/// The counts add up whatever happens to the wire meanwhile.
#[test]
fn counts_add_up_while_the_egress_interface_goes_down_and_up() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let port = net.port("interface = \"west\"\ningress = \"north\"");
    thread::scope(|scope| {
        let breaker = scope.spawn(|| {
            let grows = |counter: fn(&Worker) -> u64| {
                let before = port.total(counter);
                wait_until("frames in this state", || port.total(counter) > before);
            };
            for _ in 0..5 {
                grows(|worker| worker.frames_tx());
                ip("link set west down");
                grows(|worker| worker.counts.dropped + worker.counts.refused);
                ip("link set west up");
            }
        });
        while !breaker.is_finished() {
            port.send(6400);
        }
    });
    let counts = port.redirected();
    let down = (DropLayer::Redirect, libc::ENETDOWN.cast_unsigned());
    assert_eq!(counts.drops, BTreeMap::from([(down, counts.dropped)]));
    assert_arrived(&sink, counts.transmitted);
}

/// Two workers of one port share its sequence and nothing else.
#[test]
fn workers_on_two_cpus_count_together() {
    let Some(net) = TestNet::enter() else { return };
    let Some(cpus) = two_cpus() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let port = net.port(&format!("interface = \"west\"\ncpus = {cpus:?}"));
    on_each(cpus, |_| send_in_parts(&port));
    let counts = port.redirected();
    assert_eq!(counts.attempted, 2 * IN_PARTS);
    assert_arrived(&sink, counts.transmitted);
}

/// Two generators take turns on one CPU, batch by batch.
#[test]
fn generators_on_one_cpu_count_their_own() {
    let Some(net) = TestNet::enter() else { return };
    check_neighbours(&net, [net.cpu, net.cpu]);
}

/// Two generators side by side.
#[test]
fn generators_on_two_cpus_count_their_own() {
    let Some(net) = TestNet::enter() else { return };
    let Some(cpus) = two_cpus() else { return };
    check_neighbours(&net, cpus);
}

#[track_caller]
fn check_neighbours(net: &TestNet, cpus: [u32; 2]) {
    net.veth("west", "east");
    net.veth("north", "south");
    let sinks = ["east", "south"].map(|peer| Sink::attach(peer, SinkAction::Drop).unwrap());
    let mut arrived = [0, 0];
    let plans = || {
        [("west", cpus[0]), ("north", cpus[1])].map(|(interface, cpu)| {
            net.plan(&format!("interface = \"{interface}\"\ncpus = [{cpu}]"))
        })
    };
    // Each port has a listener of its own, as ports of two processes have; then both share one.
    let both = Listener::new(2, &TracePoint::ALL).unwrap();
    for ports in [plans().map(Port::load), plans().map(|plan| Port::load_beside(plan, Some(&both)))]
    {
        on_each(cpus, |worker| send_in_parts(&ports[worker]));
        for ((port, sink), arrived) in ports.iter().zip(&sinks).zip(&mut arrived) {
            let counts = port.redirected();
            assert_eq!(counts.attempted, IN_PARTS);
            *arrived += counts.transmitted;
            assert_arrived(sink, *arrived);
        }
    }
}

/// Ports that lose frames for different reasons, and ports that lose none, take turns on one CPU
/// before one listener. Then other ports take the slots of some.
#[test]
fn one_listener_counts_for_many_ports() {
    let Some(net) = TestNet::enter() else { return };
    let names = [("a0", "a1"), ("b0", "b1"), ("c0", "c1"), ("d0", "d1"), ("e0", "e1")];
    names.iter().for_each(|(name, peer)| net.veth(name, peer));
    let listener = Listener::new(names.len(), &TracePoint::ALL).unwrap();
    let load = |name: &str| {
        Port::load_beside(net.plan(&format!("interface = \"{name}\"")), Some(&listener))
    };
    let sinks: Vec<Sink> = ["a1", "b1", "c1", "d1"]
        .iter()
        .map(|peer| Sink::attach(peer, SinkAction::Drop).unwrap())
        .collect();
    // The driver refuses what b sends, the kernel what d and e send; a and c lose nothing.
    ip("link set b1 down");
    for round in 0..2 {
        // In the second round all slots are free again, and counting starts from zero.
        let ports: Vec<Port> = names.iter().map(|(name, _)| load(name)).collect();
        assert!(load_fails(&net, &listener), "all slots are taken");
        ip("link set d0 down");
        for _ in 0..20 {
            ports.iter().for_each(|port| port.send(1003));
        }
        for (index, port) in ports.iter().enumerate() {
            let Counts { attempted, transmitted, dropped, drops } = port.redirected();
            assert_eq!(attempted, 20_060, "{index}");
            let (lost, reason) = match index {
                1 => (20_060, Some((DropLayer::Driver, libc::ENXIO))),
                3 => (20_060, Some((DropLayer::Redirect, libc::ENETDOWN))),
                4 => (20_060, Some((DropLayer::Redirect, libc::EOPNOTSUPP))),
                _ => (0, None),
            };
            assert_eq!((transmitted, dropped), (20_060 - lost, lost), "{index}");
            let reason = reason.map(|(layer, errno)| ((layer, errno.cast_unsigned()), lost));
            assert_eq!(drops, reason.into_iter().collect(), "{index}");
        }
        assert_arrived(&sinks[0], 20_060 * (round + 1));
        assert_arrived(&sinks[2], 20_060 * (round + 1));
        ip("link set d0 up");
    }
}

fn load_fails(net: &TestNet, listener: &Listener) -> bool {
    let plan = net.plan("interface = \"a0\"");
    Generator::load(&plan.program, None, plan.egress, Role::Generate, Some(listener)).is_err()
}

/// A machine under test beside the generator forwards by XDP what it receives, in the softirqs of
/// the very CPU that sends. Neither its transmissions nor its failures are counted as the
/// generator's.
#[test]
fn forwarded_frames_are_not_counted_again() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    let forwarder = raw::load_xdp(&raw::redirect(net.link("north").index));
    let _attached = raw::attach(&forwarder, net.link("east").index);
    let sink = Sink::attach("south", SinkAction::Drop).unwrap();
    let port = net.port("interface = \"west\"");
    port.send(10_000);
    assert_arrived(&sink, 10_000);
    ip("link set north down");
    port.send(10_000);
    wait_until("all frames received", || transmitted("west").packets == 20_000);
    let counts = port.redirected();
    assert_eq!((counts.attempted, counts.transmitted), (20_000, 20_000));
    assert_arrived(&sink, 10_000);
}

/// A generator that drops its frames or passes them on transmits none, whatever else leaves from
/// its CPU.
#[test]
fn what_is_not_redirected_is_not_transmitted() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    let sink = Sink::attach("south", SinkAction::Drop).unwrap();
    let neighbour = net.port("interface = \"north\"");
    for (action, neighbours) in [("drop", 1000), ("pass", 2000)] {
        let port = net.port(&format!("interface = \"west\"\naction = \"{action}\""));
        port.send(1000);
        neighbour.send(1000);
        ip("link set north down");
        neighbour.send(1000);
        ip("link set north up");
        let counts = port.counts();
        assert_eq!(
            (counts.attempted, counts.transmitted, counts.dropped),
            (1000, 0, 0),
            "{action}"
        );
        assert_arrived(&sink, neighbours);
    }
}

/// Frames of one worker in these tests: not a multiple of a batch or a bulk, in several calls.
const IN_PARTS: u64 = 50 * 1003;

fn send_in_parts(port: &Port) {
    for _ in 0..50 {
        port.send(1003);
    }
}

/// Runs `work` with 0 and 1 at once, in this namespace, each on its CPU.
fn on_each(cpus: [u32; 2], work: impl Fn(usize) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for (worker, cpu) in cpus.into_iter().enumerate() {
            scope.spawn(move || {
                pin(cpu);
                work(worker);
            });
        }
    });
}

/// None on a machine with one CPU, which skips the test with a message.
fn two_cpus() -> Option<[u32; 2]> {
    let cpus = online_cpus().unwrap();
    let two = cpus.first_chunk().copied();
    if two.is_none() {
        crate::harness::skipped("this takes two CPUs");
    }
    two
}
