//! Findings at the end of a run, and how they change until then.

use super::*;

#[test]
fn nothing_sent_always_has_a_reason() {
    let code = |count: &PortCount| of_nothing_sent(count).map(|finding| finding.code);
    assert_eq!(code(&PortCount::default()), Some("nothing_due"));
    let missed = Punctuality { unsent: 9, ..Punctuality::default() };
    let missed = PortCount { punctuality: Some(missed), ..PortCount::default() };
    assert_eq!(code(&missed), Some("every_departure_missed"));
    assert_eq!(
        code(&PortCount { frames_attempted: 1, frames_tx: 1, ..PortCount::default() }),
        None
    );
    let drops = vec![(DropReason::Redirect(95), 5)];
    assert_eq!(code(&PortCount { frames_attempted: 5, drops, ..PortCount::default() }), None);
}

#[test]
fn missing_trace_points_are_named() {
    assert_eq!(of_lacking(&[]), None);
    let finding = of_lacking(&[TracePoint::DevmapXmit, TracePoint::RedirectErr]).unwrap();
    assert_says(
        &finding,
        "no_trace_points",
        &["`xdp_devmap_xmit` and `xdp_redirect_err`", "ip -s link"],
    );
}

/// Modes and policies of bond_xdp_check of drivers/net/bonding/bond_main.c; not every kernel has
/// the bonding module.
#[test]
fn a_bond_is_as_good_as_its_mode() {
    #[track_caller]
    fn check(mode: &str, policy: &str, slaves: &[&str], code: Option<&str>, parts: &[&str]) {
        let bond = Bond {
            mode: mode.into(),
            hash_policy: Some(policy.into()),
            slaves: slaves.iter().map(|&slave| slave.to_owned()).collect(),
        };
        let interface = Interface {
            kind: Some("bond".into()),
            features: Some(NOTHING),
            bond: Some(bond),
            xdp: Vec::new(),
            ..nic("bonding")
        };
        let system = machine();
        let findings = foresee(&situation(&system, Some(&interface)));
        assert_eq!(findings.first().map(|finding| finding.code), code, "{findings:?}");
        for finding in findings.iter().take(1) {
            assert_eq!(finding.severity, Severity::Blocks);
            assert_says(finding, code.unwrap_or_default(), parts);
            assert_eq!(
                of_drop(DropReason::Redirect(95), &situation(&system, Some(&interface))).code,
                finding.code
            );
        }
    }
    let without = Some("bond_without_xdp");
    for mode in ["balance-alb", "balance-tlb", "broadcast"] {
        let in_mode = format!("in the mode {mode}");
        check(
            mode,
            "layer2",
            &["eth2"],
            without,
            &[&in_mode, "active-backup, balance-rr, balance-xor or 802.3ad", "`eth2`"],
        );
    }
    for mode in ["balance-xor", "802.3ad"] {
        let parts = [
            "xmit_hash_policy vlan+srcmac",
            "`ip link set eth1 type bond xmit_hash_policy layer2+3`",
        ];
        check(mode, "vlan+srcmac", &["eth2"], without, &parts);
    }
    for mode in ["balance-rr", "active-backup", "balance-xor", "802.3ad"] {
        check(mode, "layer3+4", &[], Some("bond_without_slave"), &["no slave", "master eth1"]);
        check(
            mode,
            "layer3+4",
            &["eth2", "eth3"],
            Some("bond_slave_without_xdp"),
            &["one of `eth2`, `eth3` does not"],
        );
    }
}

/// A cause that held when frames were dropped, and does not hold any more.
#[test]
fn moments_that_are_over() {
    let system = machine();
    let interface = nic("ice");
    let long = Situation { largest: 1518, ..situation(&system, Some(&interface)) };
    let lowered = LinkHistory { least_mtu: Some(500), ..LinkHistory::default() };
    let parts = [
        "1518 bytes were longer",
        "`eth1`, 500, allowed for a while; it is 1500 now",
        "leave the MTU",
    ];
    assert_says(
        &of_drop(DropReason::Redirect(90), &Situation { meanwhile: lowered, ..long }),
        "frame_above_mtu",
        &parts,
    );
    // The kernel reported no change.
    let finding = of_drop(DropReason::Redirect(90), &long);
    assert_says(
        &finding,
        "frame_above_mtu",
        &["longer than the MTU of `eth1` allowed for a while; it is 1500 now"],
    );
    assert!(!finding.cure.contains("1496"), "{finding:?}");

    let pair = veth(peer(true, true, false), Some(EVERYTHING));
    let pair = Situation { largest: 1518, cpus: &[0], ..situation(&system, Some(&pair)) };
    let either = "queue_full_or_frame_above_peer_mtu";
    let parts = [
        "either frames of 1518 bytes",
        "500; it is 1500 now; or the ring of 256 entries",
        "for the other, use",
    ];
    assert_says(
        &of_drop(DropReason::QueueFull, &Situation { peer_meanwhile: Some(lowered), ..pair }),
        either,
        &parts,
    );
    assert_says(&of_drop(DropReason::QueueFull, &pair), "queue_full", &["256 entries"]);
    // The kernel could not have reported a change.
    let unheard = Situation { peer_meanwhile: None, ..pair };
    let parts = [
        "either frames of 1518 bytes were longer",
        "at some moment between",
        "it is 1500 now; or the ring",
    ];
    assert_says(&of_drop(DropReason::QueueFull, &unheard), either, &parts);
    let short = Situation { largest: 64, ..unheard };
    assert_says(&of_drop(DropReason::QueueFull, &short), "queue_full", &["256 entries"]);
    let down = LinkHistory { down: true, unplugged: true, ..LinkHistory::default() };
    let was_down = Situation { peer_meanwhile: Some(down), ..pair };
    assert_says(
        &of_drop(DropReason::Driver(6), &was_down),
        "veth_peer_changed",
        &["`far` of `eth1` was down for a while"],
    );
}
