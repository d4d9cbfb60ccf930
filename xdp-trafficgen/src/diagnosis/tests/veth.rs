//! Findings about veth pairs.

use super::*;

#[test]
fn a_veth_is_as_good_as_its_peer() {
    #[track_caller]
    fn check(interface: &Interface, code: &str, parts: &[&str]) {
        // As kernels report it since 6.3, and before.
        drops(DropReason::Redirect(95), Some(interface), code, parts);
        drops(DropReason::Driver(6), Some(interface), code, parts);
    }
    let without = "veth_peer_without_receiver";
    check(
        &veth(peer(true, false, false), None),
        without,
        &["`far` of `eth1`", "`ethtool -K far gro on`"],
    );
    check(
        &veth(peer(false, false, true), None),
        "veth_peer_down",
        &["is down", "`ip link set far up`"],
    );
    check(
        &veth(peer(false, false, false), None),
        "veth_peer_down",
        &["is down, and has neither", "set far up", "gro on"],
    );
    check(
        &veth(peer(true, true, false), None),
        "veth_peer_changed",
        &["for a while", "leave it up"],
    );
    let unnoticed = "veth_peer_unnoticed";
    check(
        &veth(peer(true, false, true), Some(WITHOUT_XMIT)),
        unnoticed,
        &["while it was down", "gro off", "gro on"],
    );
    check(
        &veth(peer(true, true, true), Some(NOTHING)),
        unnoticed,
        &["fewer receive queues", "`ethtool -L far tx 1`"],
    );
    // Queues that do not fit say nothing about a receiver, wherever the peer is.
    let there = |up| Peer::There {
        name: "far".into(),
        nsid: 0,
        index: 9,
        up,
        mtu: 1500,
        native_xdp: false,
        namespace: Some("lab".into()),
    };
    let parts = [
        "`eth1` has fewer receive queues than the peer `far`",
        "`ip netns exec lab ethtool -L far tx 1`, or give `eth1`",
    ];
    check(&veth(Some(there(true)), Some(NOTHING)), unnoticed, &parts);
    let parts = [
        "namespace `lab`, is down, and `eth1` has fewer receive queues than it",
        "ip link set far up`, and then `ip netns",
    ];
    check(&veth(Some(there(false)), Some(NOTHING)), "veth_peer_down", &parts);
    check(
        &veth(Some(Peer::Elsewhere), Some(NOTHING)),
        unnoticed,
        &["fewer receive queues", "`ethtool -L PEER tx 1`"],
    );
    let elsewhere = |features| veth(Some(Peer::Elsewhere), features);
    check(
        &elsewhere(Some(WITHOUT_XMIT)),
        without,
        &[
            "in another network namespace, has neither",
            "in its namespace: `ethtool -K PEER gro off`, `ethtool -K PEER gro on`",
        ],
    );
    check(
        &elsewhere(None),
        "veth_peer_unseen",
        &["is down, or it has neither", "`ip link set PEER up`", "gro on"],
    );
    let mut far_down = elsewhere(Some(EVERYTHING));
    far_down.link.carrier = false;
    check(
        &far_down,
        "veth_peer_down",
        &["namespace, is down", "in its namespace: `ip link set PEER up`"],
    );
}

/// A peer in another namespace: what can be seen of it, and what can only be guessed.
#[test]
fn peers_elsewhere() {
    let system = machine();
    let there = |mtu, namespace: Option<&str>| Peer::There {
        name: "far".into(),
        nsid: 0,
        index: 9,
        up: true,
        mtu,
        native_xdp: true,
        namespace: namespace.map(str::to_owned),
    };
    #[track_caller]
    fn check(system: &System, peer: Peer, code: &str, parts: &[&str]) {
        let interface = veth(Some(peer), Some(EVERYTHING));
        let situation = Situation { largest: 1000, ..situation(system, Some(&interface)) };
        assert_says(&of_drop(DropReason::QueueFull, &situation), code, parts);
    }
    let parts = ["1000 bytes", "peer `far` of `eth1`, in the network namespace `lab`, allows, 500"];
    check(&system, there(500, Some("lab")), "frame_above_peer_mtu", &parts);
    let cure = ["522 bytes at most", "`ip netns exec lab ip link set far mtu 978`"];
    check(&system, there(500, Some("lab")), "frame_above_peer_mtu", &cure);
    check(
        &system,
        there(500, None),
        "frame_above_peer_mtu",
        &["in its namespace: `ip link set far mtu 978`"],
    );
    check(&system, there(1500, None), "queue_full", &["256 entries"]);
    let either =
        ["either frames of 1000 bytes", "cannot be seen from here; or the ring of 256 entries"];
    check(&system, Peer::Elsewhere, "queue_full_or_frame_above_peer_mtu", &either);
    let small = veth(Some(Peer::Elsewhere), Some(EVERYTHING));
    let small = situation(&system, Some(&small));
    // 64 bytes fit any MTU.
    assert_says(&of_drop(DropReason::QueueFull, &small), "queue_full", &["256 entries"]);
    // Its features say that it takes frames now.
    assert_says(
        &of_drop(DropReason::Driver(6), &small),
        "veth_peer_changed",
        &["for a while", "now it takes frames"],
    );
}

/// A cure that changes nothing is left out.
#[test]
fn a_veth_that_has_its_queues_is_given_no_more() {
    let system = machine();
    let of = |cpus: &[u32], rx_queues, most| {
        let peer = Peer::Here {
            name: "far".into(),
            index: 3,
            up: true,
            mtu: 1500,
            native_xdp: true,
            gro: None,
            rx_queues,
            most_rx_queues: Some(most),
        };
        let interface = veth(Some(peer), Some(EVERYTHING));
        of_drop(DropReason::QueueFull, &Situation { cpus, ..situation(&system, Some(&interface)) })
            .cure
    };
    assert!(!of(&[0], 1, 4).contains("ethtool"), "{}", of(&[0], 1, 4));
    assert!(!of(&[3], 1, 4).contains("ethtool"), "one CPU shares with nobody");
    assert!(of(&[0, 1], 1, 4).contains("`ethtool -L far rx 2`"));
    assert!(!of(&[0, 1], 1, 1).contains("ethtool"), "there are no more");
    assert!(!of(&[0, 1], 2, 4).contains("ethtool"));
}
