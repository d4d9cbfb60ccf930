//! The counts of a whole run are compared with the kernel's: what the interface counted, with and
//! without other traffic on the same wire.

use std::{
    env,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use xdp_trafficgen::{
    engine::{Loaded, Start},
    kernel::{Sink, TracePoint, generator::Role, sink::SinkAction},
    plan::{Plan, PortPlan},
    stats::{DropReason, PortCount, Snapshot, reconcile::Mismatch},
};

use crate::harness::{
    PACKET, Port, TestNet, allowed_cpus, assert_arrived, ip, pin, raw, transmitted, wait_until,
};

/// Sends a port to its end, as a command does.
fn run(port: PortPlan, trace_points: &[TracePoint]) -> Snapshot {
    run_until(&CancellationToken::new(), port, trace_points)
}

fn run_until(stop: &CancellationToken, port: PortPlan, trace_points: &[TracePoint]) -> Snapshot {
    let plan = Plan { ports: vec![port], notes: Vec::new() };
    let loaded = Loaded::with(plan, Role::Generate, trace_points).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let session = loaded.start(Start::Now, stop).unwrap();
        session.run(Duration::from_secs(60), |_| {}).await
    });
    let (snapshot, failure) = ended.unwrap();
    assert!(failure.is_none(), "{failure:?}");
    snapshot
}

fn flow(packets: u64) -> String {
    format!("packets = {packets}\npacket = [{PACKET}]")
}

fn only(snapshot: &Snapshot) -> &PortCount {
    assert_eq!(snapshot.ports.len(), 1);
    &snapshot.ports[0]
}

/// A run's counts agree with the kernel's counts of the interface, and with the receiver's.
/// `XTG_COUNTED_FRAMES` overrides the number of frames.
#[test]
fn the_interface_confirms_the_counts() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let frames = env::var("XTG_COUNTED_FRAMES").map_or(100_003, |frames| frames.parse().unwrap());
    let before = transmitted("west");
    let snapshot = run(net.plan_flow("interface = \"west\"", &flow(frames)), &TracePoint::ALL);
    let port = only(&snapshot);
    assert_eq!((port.frames_attempted, port.frames_tx, port.frames_dropped()), (frames, frames, 0));
    assert_arrived(&sink, frames);
    let counted = port.interface_count.as_ref().unwrap();
    let seen = transmitted("west") - before;
    assert_eq!((counted.tx_packets, counted.tx_dropped), (seen.packets, seen.dropped));
    assert_eq!(seen.frames(), frames);
    assert_eq!(counted.tx_packets, frames);
    assert_eq!(port.mismatches, []);
    assert!(port.lacks.is_empty());
}

/// Losses are counted too: a veth counts what did not fit into its ring.
#[test]
fn the_interface_confirms_losses() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let _sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let snapshot = run(
        net.plan_flow("interface = \"west\"\nbatch_size = 252\nflood = true", &flow(100_000)),
        &TracePoint::ALL,
    );
    let port = only(&snapshot);
    assert_eq!(port.drops, [(DropReason::QueueFull, 100_000 - port.frames_tx)]);
    let counted = port.interface_count.as_ref().unwrap();
    assert_eq!((counted.tx_packets, counted.tx_dropped), (port.frames_tx, port.frames_dropped()));
    assert_eq!(port.flows[0].drops, port.drops);
    assert_eq!(port.workers[0].drops, port.drops);
    assert_eq!(port.mismatches, []);
}

/// A machine under test beside the generator: XDP forwards what `north` sends out of `west`, as
/// long as the returned descriptor lives.
fn forward_to_west(net: &TestNet) -> OwnedFd {
    net.veth("north", "south");
    let forwarder = raw::load_xdp(&raw::redirect(net.link("west").index));
    raw::attach(&forwarder, net.link("south").index)
}

/// Frames that another program redirects to the same interface are not counted as the generator's,
/// and the report says how many there were.
#[test]
fn frames_of_other_programs_are_counted_apart() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let _forwarder = forward_to_west(&net);
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let other = net.port("interface = \"north\"");
    let plan =
        net.plan_flow("interface = \"west\"", &format!("rate = \"20kpps\"\npacket = [{PACKET}]"));
    let stop = CancellationToken::new();
    let snapshot = thread::scope(|scope| {
        // A thread starts in the namespace of the thread that spawns it, which is the test's.
        let running = scope.spawn(|| run_until(&stop, plan, &TracePoint::ALL));
        pin(net.cpu);
        wait_until("the first frames", || sink.count().unwrap().frames > 0);
        other.send(1003);
        stop.cancel();
        running.join().unwrap()
    });
    let port = only(&snapshot);
    assert_eq!(port.frames_attempted, port.frames_tx);
    assert_arrived(&sink, port.frames_tx + 1003);
    assert!(
        matches!(port.mismatches[..], [Mismatch::Others { frames: 1003, .. }]),
        "{:?}",
        port.mismatches
    );
}

/// Where trace points are missing, the report says which, and invents no drops.
#[test]
fn without_trace_points_the_count_says_what_it_lacks() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    for there in [&[][..], &[TracePoint::DevmapXmit], &[TracePoint::RedirectErr]] {
        let before = sink.count().unwrap().frames;
        let snapshot = run(net.plan_flow("interface = \"west\"", &flow(1003)), there);
        let port = only(&snapshot);
        assert_eq!(
            (port.frames_attempted, port.frames_tx, port.frames_dropped()),
            (1003, 1003, 0),
            "{there:?}"
        );
        let missing = [TracePoint::DevmapXmit, TracePoint::RedirectErr];
        let missing: Vec<_> =
            missing.into_iter().filter(|trace_point| !there.contains(trace_point)).collect();
        assert_eq!(port.lacks, missing);
        assert_eq!(port.mismatches, []);
        assert_arrived(&sink, before + 1003);
    }
}

/// Frames that are counted while other traffic runs through the same interfaces, on the same CPUs.
/// `XTG_COUNTED_FRAMES` overrides the number.
const FRAMES: u64 = 2_000_000;

/// Attempted is accepted plus dropped, and accepted is received, to the last frame, while a machine
/// under test forwards other frames by XDP out of the same interface, on the sending CPU and on
/// another one.
#[test]
fn not_one_frame_is_miscounted_beside_foreign_traffic() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let _forwarder = forward_to_west(&net);
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let frames = env::var("XTG_COUNTED_FRAMES").map_or(FRAMES, |frames| frames.parse().unwrap());
    let ours = net.port("interface = \"west\"");
    let cpus = allowed_cpus_of(&net);
    let longer = format!("size = 128\npacket = [{PACKET}]");
    let other =
        |cpu| Port::load(net.plan_flow(&format!("interface = \"north\"\ncpus = [{cpu}]"), &longer));
    let others: Vec<Port> = cpus.iter().map(other).collect();
    let started = Instant::now();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(net.cpu);
            let mut left = frames;
            while left > 0 {
                let call = u32::try_from(left.min(100_003)).unwrap();
                ours.send(call);
                left -= u64::from(call);
            }
            done.store(true, Ordering::Relaxed);
        });
        for (cpu, other) in cpus.iter().zip(&others) {
            let done = &done;
            scope.spawn(move || {
                pin(*cpu);
                while !done.load(Ordering::Relaxed) {
                    other.send(1003);
                    thread::sleep(Duration::from_micros(300));
                }
            });
        }
    });
    let ours = ours.redirected();
    let foreign: u64 = others.iter().map(|other| other.redirected().transmitted).sum();
    assert_eq!(ours.attempted, frames);
    assert!(foreign > 0);
    // The receiver tells them apart by their lengths. (A veth's own counts of what it dropped are
    // not exact when two CPUs send: they add to the same number without a lock, and one in some
    // millions is lost.)
    let received = || {
        let all = sink.count().unwrap();
        let long = (all.bytes - 64 * all.frames) / (128 - 64);
        (all.frames - long, long)
    };
    wait_until("all frames arrived", || received().0 >= ours.transmitted);
    assert_eq!(received().0, ours.transmitted);
    assert!((1..=foreign).contains(&received().1), "{:?} of {foreign}", received());
    eprintln!(
        "{frames} frames in {:?}: {} accepted, {} dropped; {foreign} of others",
        started.elapsed(),
        ours.transmitted,
        ours.dropped
    );
}

/// The CPU that sends, and one more if there is one.
fn allowed_cpus_of(net: &TestNet) -> Vec<u32> {
    // The test's thread is bound to one of these CPUs.
    let all = thread::scope(|scope| {
        let free = scope.spawn(|| {
            let online = xdp_trafficgen::host::online_cpus().unwrap();
            online
                .into_iter()
                .filter(|&cpu| {
                    pin(cpu);
                    allowed_cpus() == [cpu]
                })
                .collect::<Vec<_>>()
        });
        free.join().unwrap()
    });
    let other = all.into_iter().find(|&cpu| cpu != net.cpu);
    [Some(net.cpu), other].into_iter().flatten().collect()
}

/// A port that goes down while frames wait in its peer's ring loses them behind the driver.
/// Whatever happens, the run's numbers cover all of its frames, and the report explains each
/// difference.
#[test]
fn a_peer_that_goes_down_in_mid_run_is_accounted_for() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let plan = net.plan_flow("interface = \"west\"", &format!("packet = [{PACKET}]"));
    let stop = CancellationToken::new();
    let snapshot = thread::scope(|scope| {
        let running = scope.spawn(|| run_until(&stop, plan, &TracePoint::ALL));
        let mut seen = 0;
        for _ in 0..3 {
            wait_until("more frames", || sink.count().unwrap().frames > seen);
            ip("link set east down");
            ip("link set east up");
            seen = sink.count().unwrap().frames;
        }
        stop.cancel();
        running.join().unwrap()
    });
    let port = only(&snapshot);
    assert_eq!(port.frames_attempted, port.frames_tx + port.frames_dropped());
    assert!(
        port.drops
            .iter()
            .all(|(reason, _)| *reason == DropReason::Driver(libc::ENXIO.cast_unsigned())),
        "{port:?}"
    );
    let received = sink.count().unwrap().frames;
    if received == port.frames_tx {
        assert_eq!(port.mismatches, []);
    } else {
        let expected =
            Mismatch::SentLess { frames_tx: port.frames_tx, sent: received, lost: Vec::new() };
        assert_eq!(port.mismatches, [expected]);
    }
}
