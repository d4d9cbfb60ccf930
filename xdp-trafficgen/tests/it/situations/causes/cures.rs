//! Cures that are commands: each is run exactly as it is written, and then frames get through.

use std::process::Command;

use xdp_trafficgen::{
    config::{Action, WhenFull},
    diagnosis::{Situation, foresee},
    host::{AttachedMode, Bond, Driver, Interface, Link, LinkHistory, System, XdpFeatures},
    plan::{ExistingProgram, RequiredProgram},
};

use super::{assert_says, ethtool, finding, report, udp};
use crate::{
    harness::{self, Finding, Finished, Stage, ip, reached, trafficgen},
    situations::table,
};

/// The commands among the parts between back quotes.
fn commands(cure: &str) -> Vec<&str> {
    let quoted = cure.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| {
            ["ip ", "ethtool ", "sysctl "].iter().any(|program| text.starts_with(program))
        })
        .collect()
}

/// No frame gets through, and the report says so; then its cure is run, and all frames do.
#[track_caller]
fn cured(condition: &str, options: &str, code: &str) {
    let lost = report("xtg0", options, 1);
    let Finding { cause, cure, .. } = finding(&lost, code);
    let typed = commands(cure);
    assert!(!typed.is_empty(), "{condition}: no command in {cure}");
    for command in &typed {
        let status = Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(status.success(), "{condition}: {command}");
    }
    let sent = report("xtg0", options, 0);
    assert!(sent.findings.iter().all(|finding| finding.code != code), "{condition}: {sent:?}");
    assert_eq!(
        (sent.only_port().frames_dropped, sent.only_port().frames_tx),
        (0, 100),
        "{condition}: {sent:?}"
    );
    table::row(
        "14",
        &udp("xtg0", options).1,
        &format!("{cause}; cure: {cure}"),
        1,
        &format!("{condition}: typed, 100 of 100 sent"),
    );
}

/// Replaces the two interfaces by new ones.
fn again(stage: &Stage) {
    ip("link del xtg0");
    stage.raise();
}

#[test]
fn cures_work_as_they_are_written() {
    let Some(stage) = Stage::set() else { return };
    let some = "--packets 100";
    cured("peer without GRO", some, "veth_peer_without_receiver");
    ip("link set xtg1 down");
    cured("peer down", some, "veth_peer_down");
    again(&stage);
    ip("link set xtg1 down");
    cured("peer down, and without GRO", some, "veth_peer_down");
    again(&stage);
    ip("link set xtg1 down");
    ethtool("-K xtg1 gro on");
    cured("peer down, with GRO", some, "veth_peer_down");
    again(&stage);
    ip("link set xtg1 down");
    ethtool("-K xtg1 gro on");
    ip("link set xtg1 up");
    cured("GRO switched on while it was down", some, "veth_peer_unnoticed");
    again(&stage);
    ethtool("-K xtg1 gro on");
    ethtool("-L xtg0 rx 1");
    cured("fewer queues than its peer", some, "veth_peer_unnoticed");
    again(&stage);
    ethtool("-K xtg1 gro on");
    ip("link set xtg1 mtu 500");
    cured("peer's MTU", "--packets 100 --size 1000", "frame_above_peer_mtu");
}

#[test]
fn cures_work_in_a_named_namespace() {
    let Some(_stage) = Stage::set() else { return };
    let name = format!("causes-{}", std::process::id());
    struct Named(String);
    impl Drop for Named {
        fn drop(&mut self) {
            let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
        }
    }
    ip(&format!("netns add {name}"));
    let named = Named(name);
    let name = &named.0;
    ip(&format!("link set xtg1 netns {name}"));
    cured(
        "peer in a namespace with a name, down and without GRO",
        "--packets 100",
        "veth_peer_down",
    );
    ip(&format!("-n {name} link set xtg1 mtu 500"));
    cured(
        "peer's MTU in a namespace with a name",
        "--packets 100 --size 1000",
        "frame_above_peer_mtu",
    );
    ethtool("-L xtg0 rx 1");
    cured(
        "fewer queues than a peer in a namespace with a name",
        "--packets 100",
        "veth_peer_unnoticed",
    );
}

/// The cure named a header `gtpu`, whose name is `gtpv1`.
#[test]
fn cures_for_tunnels_name_existing_headers() {
    let Some(_stage) = Stage::set() else { return };
    ethtool("-K xtg1 gro on");
    for (kind, options) in [
        ("vxlan", "id 5 dev xtg0 dstport 4789"),
        ("gretap", "local 10.0.0.1 remote 10.0.0.2 dev xtg0"),
    ] {
        // Not every kernel has all kinds of tunnels.
        let made = Command::new("sh")
            .args(["-c", &format!("ip link add tun7 type {kind} {options}")])
            .status()
            .unwrap();
        if !made.success() {
            continue;
        }
        ip("link set tun7 up");
        let lost = report("tun7", "--packets 10", 1);
        let found = finding(&lost, "driver_cannot_send");
        let header = found
            .cure
            .split("header `")
            .nth(1)
            .and_then(|rest| rest.split('`').next())
            .unwrap_or_default();
        let udp = if kind == "vxlan" { "{ udp = {} }, " } else { "" };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tunnel.toml");
        let text = format!(
            "[[ports]]\nname = 'west'\ninterface = 'xtg0'\n[[flows]]\nname = 'f'\nport = 'west'\nsize = 200\n\
             packet = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ ipv4 = {{}} }}, {udp}{{ {header} = {{}} }}, \
             {{ ethernet = {{}} }}, {{ ipv4 = {{}} }}]\n"
        );
        std::fs::write(&path, text).unwrap();
        let finished = Finished::of(trafficgen(&["check", path.to_str().unwrap()]));
        assert_eq!(finished.code, Some(0), "{header}: {finished:?}");
        table::row(
            "14",
            "udp tun7",
            &format!("{}; cure: {}", found.cause, found.cure),
            1,
            &format!("{kind}, header {header}"),
        );
        ip("link del tun7");
    }
}

/// The cure was "`ethtool -L xtg1 rx 1`" where there was 1 queue already, or more than the driver
/// allows.
#[test]
fn a_single_queue_is_given_no_second_one() {
    let Some(_stage) = Stage::set() else { return };
    if !harness::cpu_lists().contains(&"0-1") {
        // One worker alone hardly fills a ring.
        return;
    }
    ip("link del xtg0");
    ip(
        "link add xtg0 numrxqueues 1 numtxqueues 2 address 02:00:00:00:00:01 type veth peer name xtg1 numrxqueues 1 numtxqueues 1",
    );
    ip("link set xtg1 address 02:00:00:00:00:02 up");
    ip("link set xtg0 up");
    ethtool("-K xtg1 gro on");
    let options = "--flood --packets 1000000 --cpus 0-1 --batch-size 192";
    let mut lossy = None;
    // How many frames are lost is chance.
    let lost = reached(|| lossy.insert(report("xtg0", options, 0)).only_port().frames_dropped > 0);
    assert!(lost, "no frame was lost");
    let lossy = lossy.unwrap();
    let found = finding(&lossy, "queue_full");
    assert_says(
        found,
        &[
            "the ring of 256 entries of the veth `xtg0` was full (queue 0 of 1",
            "a lower rate (`--rate`)",
        ],
    );
    assert!(!found.cure.contains("ethtool -L"), "{found:?}");
    let figures = format!("{} of 1000000 dropped", lossy.only_port().frames_dropped);
    table::row(
        "14",
        &udp("xtg0", options).1,
        &format!("{}; cure: {}", found.cause, found.cure),
        0,
        &figures,
    );
}

/// The cause was: "no `ndo_xdp_xmit`; newer kernels have more drivers". Tested with a real bond
/// where the kernel has bonding, and otherwise with a bond's facts as rtnetlink and the driver give
/// them (bond_xdp_check and bond_xdp_set_features of drivers/net/bonding/bond_main.c).
#[test]
fn bonds_that_carry_no_xdp() {
    let Some(_stage) = Stage::set() else { return };
    for (mode, policy) in [
        ("balance-alb", None),
        ("balance-tlb", None),
        ("broadcast", None),
        ("balance-xor", Some("vlan+srcmac")),
        ("802.3ad", Some("vlan+srcmac")),
    ] {
        let hash = policy.map_or_else(String::new, |policy| format!(" xmit_hash_policy {policy}"));
        let make = format!("ip link add bond7 type bond mode {mode}{hash} 2>/dev/null");
        let real = Command::new("sh").args(["-c", &make]).status().unwrap().success();
        let (cause, cure, exit) = if real {
            ip("link set bond7 up");
            let lost = report("bond7", "--packets 10", 1);
            let Finding { cause, cure, .. } = finding(&lost, "bond_without_xdp");
            let said = (cause.clone(), cure.clone(), "1");
            ip("link del bond7");
            said
        } else {
            let said = foreseen(mode, policy);
            (said.0, said.1, "–")
        };
        let named = policy.map_or_else(
            || format!("in the mode {mode}"),
            |policy| format!("xmit_hash_policy {policy}"),
        );
        assert!(
            cause.contains("the bond `bond7` sends no XDP frames") && cause.contains(&named),
            "{cause}"
        );
        assert!(cure.contains("send out of a slave by itself"), "{cure}");
        assert!(
            policy.is_some() || cure.contains("active-backup, balance-rr, balance-xor or 802.3ad"),
            "{cure}"
        );
        let figures = if real { "" } else { "recorded facts: this kernel has no bonding" };
        table::row(
            "13",
            &format!("udp bond7 (mode {mode}{hash})"),
            &format!("{cause}; cure: {cure}"),
            exit,
            figures,
        );
    }
}

/// Code and text of the finding for such a bond.
fn foreseen(mode: &str, policy: Option<&str>) -> (String, String) {
    let link = Link {
        name: "bond7".to_owned(),
        alt_names: Vec::new(),
        index: 7,
        mtu: 1500,
        up: true,
        carrier: true,
        mac: Some([2; 6]),
        speed: None,
        bus: None,
    };
    let interface = Interface {
        kind: Some("bond".to_owned()),
        driver: Some(Driver { name: "bonding".to_owned(), ..Driver::default() }),
        features: Some(XdpFeatures(0)),
        bond: Some(Bond {
            mode: mode.to_owned(),
            hash_policy: Some(policy.unwrap_or("layer2").to_owned()),
            slaves: vec!["eth2".to_owned()],
        }),
        ..Interface::of(link)
    };
    assert!(interface.xdp_in(AttachedMode::Native).is_none());
    let system = System { btf: true, jit: Some(true), ..System::default() };
    let findings = foresee(&Situation {
        system: &system,
        interface: Some(&interface),
        name: "bond7",
        meanwhile: LinkHistory::default(),
        peer_meanwhile: None,
        action: Action::Redirect,
        cpus: &[0],
        allowed_cpus: &[0],
        batch_size: 64,
        when_full: WhenFull::Flood,
        largest: 64,
        attach: RequiredProgram::Pass(ExistingProgram::Keep),
    });
    let finding = findings.into_iter().next().expect("a bond of this kind sends nothing");
    assert_eq!(finding.code, "bond_without_xdp");
    (finding.cause, finding.cure)
}
