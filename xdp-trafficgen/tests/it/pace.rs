//! The stamping receiver in a real kernel: it stamps every matching frame, in order and with its
//! tag, passes other frames on, and counts those that do not fit. `cargo xtask bench` measures how
//! precise departures are.

use std::{num::NonZero, os::fd::OwnedFd, thread};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};
use xdp_trafficgen::kernel::{
    Arrivals,
    arrivals::{Match, Seen},
};
use xdp_trafficgen_ebpf::abi::arrivals::BLOCK_STAMPS;

use crate::harness::{PACKET, Port, TestNet, wait_until};

/// Offsets in a UDP frame without VLAN tags: the IPv4 source address, and the destination port.
const SOURCE: u32 = 26;
const DESTINATION_PORT: u32 = 36;

/// The source address of frames of [`PACKET`].
const OURS: [u8; 4] = [192, 0, 2, 2];

/// Waits until the receiver has seen so many frames: stamped, missed or passed on.
#[track_caller]
fn wait_for(arrivals: &Arrivals, frames: u64) -> Seen {
    let seen = || arrivals.seen().unwrap();
    wait_until("all frames seen", || seen().stamped + seen().missed + seen().passed >= frames);
    seen()
}

#[test]
fn every_frame_is_stamped_in_order() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let matching = Match { mark: Some((SOURCE, OURS)), tag: Some(DESTINATION_PORT) };
    // Several blocks, and a part of one.
    let frames = 3 * BLOCK_STAMPS + 77;
    let arrivals = Arrivals::attach("east", matching, frames as u64).unwrap();
    let port = net.port("interface = \"west\"");
    port.send(u32::try_from(frames).unwrap());
    assert_eq!(
        wait_for(&arrivals, frames as u64),
        Seen { stamped: frames as u64, missed: 0, passed: 0 }
    );
    let arrived = arrivals.take().unwrap();
    assert_eq!((arrived.missed, arrived.passed), (0, 0));
    let tags: Vec<usize> = arrived.stamps.iter().map(|stamp| stamp.tag.into()).collect();
    assert_eq!(
        tags,
        (2000..2000 + frames).collect::<Vec<_>>(),
        "ports count up from frame to frame"
    );
    assert!(
        arrived.stamps.is_sorted_by(|a, b| a.ns < b.ns),
        "the clock goes on from frame to frame"
    );
    assert!(arrived.stamps[0].ns > 0);
}

/// Without a mark the mask is zero, which must match every frame too.
#[test]
fn without_a_mark_every_frame_is_stamped_and_without_a_tag_it_is_zero() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let arrivals = Arrivals::attach("east", Match::default(), 100).unwrap();
    let port = net.port("interface = \"west\"");
    port.send(100);
    wait_for(&arrivals, 100);
    let arrived = arrivals.take().unwrap();
    assert_eq!((arrived.stamps.len(), arrived.missed, arrived.passed), (100, 0, 0));
    assert!(arrived.stamps.iter().all(|stamp| stamp.tag == 0));
}

/// The mark excludes another sender's frames; a mark beyond the end of every frame excludes all.
#[test]
fn what_does_not_match_goes_on_to_the_stack() {
    let Some(net) = TestNet::enter() else { return };
    check_passes(&net, Match { mark: Some((SOURCE, OURS)), tag: None }, 10);
    check_passes(&net, Match { mark: Some((1400, OURS)), tag: None }, 0);
}

/// 10 of our frames and 15 of another's, of which so many are stamped.
#[track_caller]
fn check_passes(net: &TestNet, matching: Match, stamped: u64) {
    net.veth("west", "east");
    let listener = Listener::new();
    let arrivals = Arrivals::attach("east", matching, 100).unwrap();
    net.port("interface = \"west\"").send(10);
    let other = PACKET.replace("192.0.2.2", "192.0.2.3");
    Port::load(net.plan_flow("interface = \"west\"", &format!("packet = [{other}]"))).send(15);
    assert_eq!(wait_for(&arrivals, 25), Seen { stamped, missed: 0, passed: 25 - stamped });
    let mut heard = 0;
    wait_until("the passed frames are received", || {
        heard += listener.frames();
        heard >= 25 - stamped
    });
    assert_eq!(heard, 25 - stamped);
    assert_eq!(arrivals.take().unwrap().stamps.len() as u64, stamped);
    crate::harness::ip("link delete west");
}

/// Receives every IPv4 packet that reaches the namespace's network stack. Its buffer holds few
/// packets, because each takes a page.
struct Listener(OwnedFd);

impl Listener {
    fn new() -> Self {
        // ETH_P_IP, in network order.
        let ipv4 = Protocol::from_raw(NonZero::new(u32::from(0x0800_u16.to_be())).unwrap());
        let socket =
            socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::NONBLOCK, Some(ipv4))
                .unwrap();
        Self(socket)
    }

    /// The number of packets that came since the last call.
    fn frames(&self) -> u64 {
        let mut buffer = [0; 64];
        (0..).take_while(|_| recv(&self.0, &mut buffer, RecvFlags::empty()).is_ok()).count() as u64
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    // The receiver has one block for these stamps and one more for each CPU; the receiving CPU
    // takes them all.
    let capacity = BLOCK_STAMPS as u64;
    let arrivals =
        Arrivals::attach("east", Match { mark: None, tag: Some(DESTINATION_PORT) }, capacity)
            .unwrap();
    let port = net.port("interface = \"west\"");
    // More frames than fit, even with a spare block for each CPU that the kernel may ever have
    // here.
    let frames =
        u32::try_from(BLOCK_STAMPS * (2 + thread::available_parallelism().unwrap().get() + 1024))
            .unwrap();
    port.send(frames);
    let seen = wait_for(&arrivals, frames.into());
    assert_eq!((seen.stamped + seen.missed, seen.passed), (frames.into(), 0));
    assert!(seen.missed > 0 && seen.stamped >= capacity, "{seen:?}");
    assert_eq!(seen.stamped % BLOCK_STAMPS as u64, 0, "whole blocks: {seen:?}");
    let arrived = arrivals.take().unwrap();
    assert_eq!((arrived.stamps.len() as u64, arrived.missed), (seen.stamped, seen.missed));
    // The receiver keeps the first stamps, not the last.
    let first: Vec<u16> = arrived.stamps.iter().take(100).map(|stamp| stamp.tag).collect();
    assert_eq!(first, (2000..2100).collect::<Vec<_>>());
}
