//! Findings about drops.

use super::*;

#[test]
fn drivers_without_xdp_are_named() {
    #[track_caller]
    fn check(interface: &Interface, parts: &[&str]) {
        drops(DropReason::Redirect(95), Some(interface), "driver_cannot_send", parts);
    }
    check(&of_kind("bridge"), &["`eth1` is a bridge", "`ip link show master eth1`"]);
    check(&of_kind("macvlan"), &["on top of others", "`ip -d link show eth1`"]);
    check(&of_kind("vxlan"), &["is a tunnel", "header `vxlan`"]);
    check(&of_kind("ifb"), &["a software interface", "veth pair"]);
    check(&of_kind("vlan"), &["a VLAN interface", "--vlan"]);
    let bare = |driver| Interface { features: Some(NOTHING), xdp: Vec::new(), ..nic(driver) };
    check(
        &bare("e1000e"),
        &["driver e1000e of `eth1` cannot send XDP frames: it has no `ndo_xdp_xmit`", "another"],
    );
    check(&bare("iwlwifi"), &["iwlwifi"]);
}

#[test]
fn drivers_that_need_a_program() {
    let bare = |driver, features| Interface { features, xdp: Vec::new(), ..nic(driver) };
    let check = |reason, interface: &Interface| {
        drops(
            reason,
            Some(interface),
            "needs_program",
            &["only while an XDP program is attached", "there was none"],
        );
    };
    check(DropReason::Redirect(95), &bare("ice", Some(WITHOUT_XMIT)));
    check(DropReason::Driver(6), &bare("virtio_net", None));
    check(DropReason::Driver(22), &bare("bnxt_en", None));
    check(DropReason::Driver(100), &bare("mlx5_core", None));
    // Whether a program would help is not known for drivers that are not in the table.
    let parts = [
        "the driver unheard_of of `eth1` sends no XDP frames as it is, and may do so only while an XDP program",
    ];
    drops(
        DropReason::Redirect(95),
        Some(&bare("unheard_of", Some(WITHOUT_XMIT))),
        "needs_program",
        &parts,
    );
    let mut generic = bare("ice", Some(WITHOUT_XMIT));
    generic.xdp = vec![AttachedXdp { mode: AttachedMode::Generic, ..native("filter") }];
    drops(
        DropReason::Redirect(95),
        Some(&generic),
        "generic_program_in_the_way",
        &[
            "the generic XDP program 7 (`filter`)",
            "`ip link set dev eth1 xdpgeneric off`",
            "--replace-xdp",
        ],
    );
    generic.xdp[0].on_link = true;
    drops(
        DropReason::Redirect(95),
        Some(&generic),
        "generic_program_in_the_way",
        &["`bpftool link show`"],
    );
}

#[test]
fn interfaces_that_are_down_gone_or_unplugged() {
    let down = Interface { link: Link { up: false, carrier: false, ..link("eth1") }, ..nic("ice") };
    let unplugged = Interface { link: Link { carrier: false, ..link("eth1") }, ..nic("igc") };
    for reason in [DropReason::Redirect(100), DropReason::Driver(100)] {
        drops(reason, Some(&down), "interface_down", &["`eth1` is down", "`ip link set eth1 up`"]);
    }
    drops(
        DropReason::Redirect(100),
        Some(&nic("ice")),
        "interface_down",
        &["was down", "keep it up"],
    );
    drops(
        DropReason::Driver(100),
        Some(&unplugged),
        "no_carrier",
        &["no carrier", "`ethtool eth1`"],
    );
    drops(
        DropReason::Driver(100),
        Some(&nic("ice")),
        "interface_restarted",
        &["the driver restarted"],
    );
    for reason in [DropReason::Redirect(19), DropReason::Redirect(95), DropReason::Driver(6)] {
        drops(reason, None, "interface_gone", &["`eth1` is gone"]);
    }
    let tap = |queues| Interface { queues: Queues { rx: queues, tx: queues }, ..nic("tun") };
    drops(
        DropReason::Driver(6),
        Some(&tap(0)),
        "tap_unopened",
        &["no program has the tap `eth1` open"],
    );
    drops(
        DropReason::Driver(6),
        Some(&nic("bonding")),
        "bond_without_slave",
        &["/proc/net/bonding/eth1"],
    );
}

#[test]
fn full_rings_are_named_with_their_queues() {
    #[track_caller]
    fn check(interface: &Interface, code: &str, parts: &[&str]) {
        drops(DropReason::QueueFull, Some(interface), code, parts);
    }
    check(
        &nic("ice"),
        "queue_full",
        &[
            "of 512 entries of `eth1`",
            "was full (the XDP queues of CPUs 1-2): the link",
            "`ethtool -G eth1 tx 4096`",
            "smaller batch",
        ],
    );
    let fast =
        Interface { link: Link { speed: Some(10_000_000_000), ..link("eth1") }, ..nic("ice") };
    check(&fast, "queue_full", &["`--rate 95%`"]);
    // There is no share of an unknown speed.
    let cure = of_drop(DropReason::QueueFull, &situation(&machine(), Some(&nic("ice")))).cure;
    assert!(cure.contains("(`--rate`)"), "{cure}");
    check(&nic("igc"), "queue_full", &["queues 1, 2 of 4, those of CPUs 1-2"]);
    check(&nic("virtio_net"), "queue_full", &["(the XDP queues of CPUs 1-2)"]);
    check(&nic("unheard_of"), "queue_full", &["ring of 512 entries of `eth1` was full: the link"]);
    check(
        &veth(peer(true, true, false), Some(EVERYTHING)),
        "queue_full",
        &["ring of 256 entries of the veth `eth1`", "queues 0, 1 of 2"],
    );
    let mut single = peer(true, true, false);
    if let Some(Peer::Here { rx_queues, .. }) = &mut single {
        *rx_queues = 1;
    }
    check(
        &veth(single, Some(EVERYTHING)),
        "queue_full",
        &["queue 0 of 1", "`ethtool -L far rx 3`"],
    );
    check(&nic("tun"), "queue_full", &["reads slower", "txqueuelen"]);
    let narrow = Peer::Here {
        name: "far".into(),
        index: 3,
        up: true,
        mtu: 40,
        native_xdp: true,
        gro: None,
        rx_queues: 1,
        most_rx_queues: None,
    };
    let parts = ["the peer `far` of `eth1` allows, 40", "ip link set far mtu 42"];
    check(&veth(Some(narrow), Some(EVERYTHING)), "frame_above_peer_mtu", &parts);
    let (system, interface) = (machine(), veth(peer(true, true, false), Some(EVERYTHING)));
    let large = Situation { batch_size: 252, ..situation(&system, Some(&interface)) };
    let parts = ["252", "256 entries", "batch size of 64"];
    assert_says(&of_drop(DropReason::QueueFull, &large), "batch_above_ring", &parts);
}

#[test]
fn cpus_without_a_queue_are_told_apart() {
    #[track_caller]
    fn check(driver: &str, cpus: &[u32], severity: Option<Severity>, parts: &[&str]) {
        let (system, interface) = (machine(), nic(driver));
        let foreseen = foresee(&Situation { cpus, ..situation(&system, Some(&interface)) });
        let finding = foreseen.iter().find(|finding| finding.code == "cpu_above_queues");
        assert_eq!(finding.map(|finding| finding.severity), severity, "{foreseen:?}");
        if let Some(finding) = finding {
            assert_says(finding, "cpu_above_queues", parts);
        }
    }
    let parts = [
        "4 queues for XDP",
        "none for CPUs 4-5 (ENXIO)",
        "`--cpus 0-3`",
        "`ethtool -L eth1 combined 6`",
    ];
    check("mlx5_core", &[4, 5], Some(Severity::Blocks), &parts);
    check("i40e", &[3, 4, 5], Some(Severity::Loses), &parts);
    check("sfc", &[7], Some(Severity::Blocks), &["none for CPU 7 (EINVAL)"]);
    check(
        "rvu-nicpf",
        &[5],
        Some(Severity::Blocks),
        &["none for CPU 5", "may crash the machine", "`--cpus 0-3`"],
    );
    let unordered = ["none for CPUs 4-6 (ENXIO)", "`ethtool -L eth1 combined 7`"];
    check("mlx5_core", &[6, 4, 5], Some(Severity::Blocks), &unordered);
    check("i40e", &[5, 1, 6, 4], Some(Severity::Loses), &unordered);
    check("mlx5_core", &[0, 3], None, &[]);
    check("ice", &[7], None, &[]);
    let (system, mlx5) = (machine(), nic("mlx5_core"));
    let above = Situation { cpus: &[1, 6], ..situation(&system, Some(&mlx5)) };
    assert_says(&of_drop(DropReason::Driver(6), &above), "cpu_above_queues", &["none for CPU 6"]);
    let full = Interface { most_queues: Some(Queues { rx: 4, tx: 4 }), ..nic("mlx5_core") };
    let kept_off =
        Situation { cpus: &[6], allowed_cpus: &[6, 7], ..situation(&system, Some(&full)) };
    let parts = ["let this process run on CPUs below 4", "taskset"];
    assert_says(&of_drop(DropReason::Driver(6), &kept_off), "cpu_above_queues", &parts);
}

#[test]
fn errnos_nobody_knows_are_told_by_name() {
    #[track_caller]
    fn check(reason: DropReason, code: &str, parts: &[&str]) {
        drops(reason, Some(&nic("ice")), code, parts);
    }
    check(
        DropReason::Driver(16),
        "driver_refused",
        &["the driver ice of `eth1`", "EBUSY", "ethtool -S eth1"],
    );
    check(DropReason::Driver(71), "driver_refused", &["EPROTO"]);
    check(DropReason::Redirect(77), "redirect_refused", &["EBADFD"]);
    check(DropReason::Driver(12), "no_memory", &["memory.max"]);
    check(DropReason::Aborted, "program_aborted", &["please report it"]);
    check(DropReason::Exception, "exception", &["xdp_exception", "please report it"]);
    check(DropReason::Unaccounted, "unaccounted", &["without a trace"]);
    check(DropReason::Action, "action_drop", &["as asked"]);
}

#[test]
fn an_mtu_that_was_lowered() {
    let (system, interface) =
        (machine(), Interface { link: Link { mtu: 1000, ..link("eth1") }, ..nic("ice") });
    let situation = Situation { largest: 1518, ..situation(&system, Some(&interface)) };
    let parts = [
        "frames of 1518 bytes",
        "MTU of `eth1`, 1000",
        "1022 bytes at most",
        "`ip link set eth1 mtu 1496`",
    ];
    assert_says(&of_drop(DropReason::Redirect(90), &situation), "frame_above_mtu", &parts);
    assert_says(&foresee(&situation)[0], "frame_above_mtu", &parts);
}

/// A port that waits for room loses nothing to a full queue.
#[test]
fn full_queues_of_a_port_that_waits_are_no_loss() {
    let system = machine();
    let interface = veth(peer(true, true, false), Some(EVERYTHING));
    for batch_size in [64, 252] {
        let waiting = Situation {
            when_full: WhenFull::Wait,
            batch_size,
            ..situation(&system, Some(&interface))
        };
        let found = of_drop(DropReason::QueueFull, &waiting);
        assert_says(&found, "link_full", &["`eth1` had no room", "sent others in their place"]);
        assert_eq!((found.severity, found.cure.as_str()), (Severity::Note, ""));
    }
}
