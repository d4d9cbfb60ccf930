use super::*;
use crate::{
    host::{Bond, Cpu, Driver, Interrupt, Iommu, Link, Lockdown, LinkHistory, Peer, Queues, Rings, XdpFeatures},
    kernel::TracePoint,
    stats::{DropReason, PortCount, Punctuality},
};

const EVERYTHING: XdpFeatures = XdpFeatures(0b111);
const WITHOUT_XMIT: XdpFeatures = XdpFeatures(0b011);
const NOTHING: XdpFeatures = XdpFeatures(0);

fn link(name: &str) -> Link {
    Link {
        name: name.into(),
        alt_names: Vec::new(),
        index: 2,
        mtu: 1500,
        up: true,
        carrier: true,
        mac: Some([2; 6]),
        speed: None,
        bus: None,
    }
}

/// A NIC of 4 queues as a driver shows it with a program attached.
fn nic(driver: &str) -> Interface {
    Interface {
        driver: Some(Driver { name: driver.into(), ..Driver::default() }),
        queues: Queues { rx: 4, tx: 4 },
        most_queues: Some(Queues { rx: 63, tx: 63 }),
        rings: Some(Rings { rx: 512, rx_max: 4096, tx: 512, tx_max: 4096 }),
        features: Some(EVERYTHING),
        xdp: vec![native("pass")],
        ..Interface::of(link("eth1"))
    }
}

fn native(name: &str) -> AttachedXdp {
    AttachedXdp { mode: AttachedMode::Native, program: 7, name: Some(name.into()), on_link: false }
}

fn veth(peer: Option<Peer>, features: Option<XdpFeatures>) -> Interface {
    Interface {
        kind: Some("veth".into()),
        driver: Some(Driver { name: "veth".into(), ..Driver::default() }),
        queues: Queues { rx: 1, tx: 1 },
        features,
        peer,
        ..Interface::of(link("eth1"))
    }
}

fn peer(up: bool, native_xdp: bool, gro: bool) -> Option<Peer> {
    Some(Peer::Here {
        name: "far".into(),
        index: 3,
        up,
        mtu: 1500,
        native_xdp,
        gro: Some(gro),
        rx_queues: 2,
        most_rx_queues: Some(4),
    })
}

fn of_kind(kind: &str) -> Interface {
    Interface { kind: Some(kind.into()), features: Some(NOTHING), ..Interface::of(link("eth1")) }
}

/// A machine without findings: 8 CPUs on two nodes.
fn machine() -> System {
    let cpu = |number| Cpu { number, numa_node: Some(number / 4), siblings: vec![number], ..Cpu::default() };
    System {
        release: "6.18.0".into(),
        version: Some((6, 18)),
        btf: true,
        jit: Some(true),
        cpus: (0..8).map(cpu).collect(),
        memory: Some(1 << 30),
        ..System::default()
    }
}

const ALLOWED: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// Redirected from CPUs 1 and 2, in batches of 64 frames of 64 bytes.
fn situation<'a>(system: &'a System, interface: Option<&'a Interface>) -> Situation<'a> {
    Situation {
        system,
        interface,
        name: "eth1",
        meanwhile: LinkHistory::default(),
        peer_meanwhile: Some(LinkHistory::default()),
        action: Action::Redirect,
        cpus: &[1, 2],
        allowed_cpus: &ALLOWED,
        batch_size: 64,
        largest: 64,
        attach: RequiredProgram::Pass(ExistingProgram::Keep),
    }
}

/// The finding has this code, and all of these parts in its cause or cure.
#[track_caller]
fn assert_says(finding: &Finding, code: &str, parts: &[&str]) {
    let text = format!("{} | {}", finding.cause, finding.cure);
    assert_eq!(finding.code, code, "{text}");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(!finding.cause.ends_with('.') && !finding.cure.ends_with('.'), "{text}");
}

#[track_caller]
fn drops(reason: DropReason, interface: Option<&Interface>, code: &str, parts: &[&str]) {
    let system = machine();
    let finding = of_drop(reason, &situation(&system, interface));
    assert_says(&finding, code, parts);
}

#[test]
fn a_veth_is_as_good_as_its_peer() {
    #[track_caller]
    fn check(interface: &Interface, code: &str, parts: &[&str]) {
        // As kernels report it since 6.3, and before.
        drops(DropReason::Redirect(95), Some(interface), code, parts);
        drops(DropReason::Driver(6), Some(interface), code, parts);
    }
    let without = "veth_peer_without_receiver";
    check(&veth(peer(true, false, false), None), without, &["`far` of `eth1`", "`ethtool -K far gro on`"]);
    check(&veth(peer(false, false, true), None), "veth_peer_down", &["is down", "`ip link set far up`"]);
    check(
        &veth(peer(false, false, false), None),
        "veth_peer_down",
        &["is down, and has neither", "set far up", "gro on"],
    );
    check(&veth(peer(true, true, false), None), "veth_peer_changed", &["for a while", "leave `far` up"]);
    let unnoticed = "veth_peer_unnoticed";
    check(&veth(peer(true, false, true), Some(WITHOUT_XMIT)), unnoticed, &["while it was down", "gro off", "gro on"]);
    check(&veth(peer(true, true, true), Some(NOTHING)), unnoticed, &["fewer receive queues", "`ethtool -L far tx 1`"]);
    // Queues that do not fit say nothing about a receiver, wherever the peer is.
    let there = |up| Peer::There { name: "far".into(), nsid: 0, index: 9, up, mtu: 1500, native_xdp: false, namespace: Some("lab".into()) };
    let parts = ["`eth1` has fewer receive queues than the peer `far`", "`ip netns exec lab ethtool -L far tx 1`, or give `eth1`"];
    check(&veth(Some(there(true)), Some(NOTHING)), unnoticed, &parts);
    let parts = ["namespace `lab`, is down, and `eth1` has fewer receive queues than it", "ip link set far up`, and then `ip netns"];
    check(&veth(Some(there(false)), Some(NOTHING)), "veth_peer_down", &parts);
    check(&veth(Some(Peer::Elsewhere), Some(NOTHING)), unnoticed, &["fewer receive queues", "`ethtool -L PEER tx 1`"]);
    let elsewhere = |features| veth(Some(Peer::Elsewhere), features);
    check(
        &elsewhere(Some(WITHOUT_XMIT)),
        without,
        &["in another network namespace, has neither", "in its namespace: `ethtool -K PEER gro on`"],
    );
    check(&elsewhere(None), "veth_peer_unseen", &["is down, or has neither", "`ip link set PEER up`", "gro on"]);
    let mut far_down = elsewhere(Some(EVERYTHING));
    far_down.link.carrier = false;
    check(&far_down, "veth_peer_down", &["namespace, is down", "in its namespace: `ip link set PEER up`"]);
}

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
    check(&bare("e1000e"), &["driver e1000e of `eth1` cannot send XDP frames: it has no `ndo_xdp_xmit`", "another"]);
    check(&bare("iwlwifi"), &["iwlwifi"]);
}

#[test]
fn drivers_that_need_a_program() {
    let bare = |driver, features| Interface { features, xdp: Vec::new(), ..nic(driver) };
    let check = |reason, interface: &Interface| {
        drops(reason, Some(interface), "needs_program", &["only while an XDP program is attached", "there was none"]);
    };
    check(DropReason::Redirect(95), &bare("ice", Some(WITHOUT_XMIT)));
    check(DropReason::Driver(6), &bare("virtio_net", None));
    check(DropReason::Driver(22), &bare("bnxt_en", None));
    check(DropReason::Driver(100), &bare("mlx5_core", None));
    // Whether a program would help is not known for drivers that are not in the table.
    let parts = ["the driver unheard_of of `eth1` sends no XDP frames as it is, and may do so only while an XDP program"];
    drops(DropReason::Redirect(95), Some(&bare("unheard_of", Some(WITHOUT_XMIT))), "needs_program", &parts);
    let mut generic = bare("ice", Some(WITHOUT_XMIT));
    generic.xdp = vec![AttachedXdp { mode: AttachedMode::Generic, ..native("filter") }];
    drops(
        DropReason::Redirect(95),
        Some(&generic),
        "generic_program_in_the_way",
        &["the generic XDP program 7 (`filter`)", "`ip link set dev eth1 xdpgeneric off`", "--replace-xdp"],
    );
    generic.xdp[0].on_link = true;
    drops(DropReason::Redirect(95), Some(&generic), "generic_program_in_the_way", &["`bpftool link show`"]);
}

#[test]
fn interfaces_that_are_down_gone_or_unplugged() {
    let down = Interface { link: Link { up: false, carrier: false, ..link("eth1") }, ..nic("ice") };
    let unplugged = Interface { link: Link { carrier: false, ..link("eth1") }, ..nic("igc") };
    for reason in [DropReason::Redirect(100), DropReason::Driver(100)] {
        drops(reason, Some(&down), "interface_down", &["`eth1` is down", "`ip link set eth1 up`"]);
    }
    drops(DropReason::Redirect(100), Some(&nic("ice")), "interface_down", &["was down", "keep it up"]);
    drops(DropReason::Driver(100), Some(&unplugged), "no_carrier", &["no carrier", "`ethtool eth1`"]);
    drops(DropReason::Driver(100), Some(&nic("ice")), "interface_restarted", &["the driver restarted"]);
    for reason in [DropReason::Redirect(19), DropReason::Redirect(95), DropReason::Driver(6)] {
        drops(reason, None, "interface_gone", &["`eth1` is gone"]);
    }
    let tap = |queues| Interface { queues: Queues { rx: queues, tx: queues }, ..nic("tun") };
    drops(DropReason::Driver(6), Some(&tap(0)), "tap_unopened", &["no program has the tap `eth1` open"]);
    drops(DropReason::Driver(6), Some(&nic("bonding")), "bond_without_slave", &["/proc/net/bonding/eth1"]);
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
    let fast = Interface { link: Link { speed: Some(10_000_000_000), ..link("eth1") }, ..nic("ice") };
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
        &["ring of 256 entries of the veth `eth1`", "queues 0, 1 of 2", "`ethtool -L far rx 3`"],
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
    let parts = ["the peer of `eth1`, allows, 40", "ip link set far mtu 42"];
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
    let parts = ["4 queues for XDP", "none for CPUs 4-5 (ENXIO)", "`--cpus 0-3`", "`ethtool -L eth1 combined 6`"];
    check("mlx5_core", &[4, 5], Some(Severity::Blocks), &parts);
    check("i40e", &[3, 4, 5], Some(Severity::Loses), &parts);
    check("sfc", &[7], Some(Severity::Blocks), &["none for CPU 7 (EINVAL)"]);
    check("rvu-nicpf", &[5], Some(Severity::Blocks), &["none for CPU 5", "may crash the machine", "`--cpus 0-3`"]);
    let unordered = ["none for CPUs 4-6 (ENXIO)", "`ethtool -L eth1 combined 7`"];
    check("mlx5_core", &[6, 4, 5], Some(Severity::Blocks), &unordered);
    check("i40e", &[5, 1, 6, 4], Some(Severity::Loses), &unordered);
    check("mlx5_core", &[0, 3], None, &[]);
    check("ice", &[7], None, &[]);
    let (system, mlx5) = (machine(), nic("mlx5_core"));
    let above = Situation { cpus: &[1, 6], ..situation(&system, Some(&mlx5)) };
    assert_says(&of_drop(DropReason::Driver(6), &above), "cpu_above_queues", &["none for CPU 6"]);
    let full = Interface { most_queues: Some(Queues { rx: 4, tx: 4 }), ..nic("mlx5_core") };
    let kept_off = Situation { cpus: &[6], allowed_cpus: &[6, 7], ..situation(&system, Some(&full)) };
    let parts = ["let this process run on CPUs below 4", "taskset"];
    assert_says(&of_drop(DropReason::Driver(6), &kept_off), "cpu_above_queues", &parts);
}

#[test]
fn errnos_nobody_knows_are_told_by_name() {
    #[track_caller]
    fn check(reason: DropReason, code: &str, parts: &[&str]) {
        drops(reason, Some(&nic("ice")), code, parts);
    }
    check(DropReason::Driver(16), "driver_refused", &["the driver ice of `eth1`", "EBUSY", "ethtool -S eth1"]);
    check(DropReason::Driver(71), "driver_refused", &["errno_71"]);
    check(DropReason::Redirect(77), "redirect_refused", &["errno_77"]);
    check(DropReason::Driver(12), "no_memory", &["memory.max"]);
    check(DropReason::Aborted, "program_aborted", &["please report it"]);
    check(DropReason::Exception, "exception", &["xdp_exception", "please report it"]);
    check(DropReason::Unaccounted, "unaccounted", &["without a trace"]);
    check(DropReason::Action, "action_drop", &["as asked"]);
}

#[test]
fn an_mtu_that_was_lowered() {
    let (system, interface) = (machine(), Interface { link: Link { mtu: 1000, ..link("eth1") }, ..nic("ice") });
    let situation = Situation { largest: 1518, ..situation(&system, Some(&interface)) };
    let parts = ["frames of 1518 bytes", "MTU of `eth1`, 1000", "1022 bytes at most", "`ip link set eth1 mtu 1496`"];
    assert_says(&of_drop(DropReason::Redirect(90), &situation), "frame_above_mtu", &parts);
    assert_says(&foresee(&situation)[0], "frame_above_mtu", &parts);
}

/// Findings about an interface on a machine, by code and severity.
#[track_caller]
fn foreseen(system: &System, interface: Option<&Interface>, expected: &[(&str, Severity)]) -> Vec<Finding> {
    let findings = foresee(&situation(system, interface));
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.severity)).collect();
    assert_eq!(found, expected, "{findings:?}");
    findings
}

#[test]
fn what_stands_in_the_way_is_foreseen() {
    use Severity::{Blocks, Loses, Note};
    #[track_caller]
    fn check(interface: Option<&Interface>, expected: &[(&str, Severity)]) {
        foreseen(&machine(), interface, expected);
    }
    let bare = |driver| Interface { xdp: Vec::new(), ..nic(driver) };
    check(Some(&bare("ice")), &[]);
    check(Some(&nic("ice")), &[("other_program", Note)]);
    check(None, &[("interface_gone", Blocks)]);
    check(Some(&Interface { features: Some(WITHOUT_XMIT), ..bare("ice") }), &[("needs_program", Note)]);
    check(Some(&Interface { features: None, ..bare("ice") }), &[("needs_program", Note)]);
    check(Some(&Interface { features: None, ..bare("vmxnet3") }), &[]);
    check(Some(&of_kind("bridge")), &[("driver_cannot_send", Blocks)]);
    check(Some(&Interface { features: None, ..of_kind("bridge") }), &[("driver_cannot_send", Blocks)]);
    check(Some(&veth(peer(true, true, false), Some(EVERYTHING))), &[]);
    check(Some(&veth(peer(true, false, false), Some(NOTHING))), &[("veth_peer_without_receiver", Blocks)]);
    check(Some(&veth(Some(Peer::Elsewhere), None)), &[]);
    let unplugged = || Link { carrier: false, ..link("eth1") };
    check(Some(&Interface { link: unplugged(), ..bare("ice") }), &[("no_carrier", Loses)]);
    let closed = Interface { link: unplugged(), queues: Queues::default(), ..bare("tun") };
    check(Some(&closed), &[("tap_unopened", Blocks)]);
}

#[test]
fn a_generic_program_that_makes_way_is_in_nobodys_way() {
    #[track_caller]
    fn check(existing: ExistingProgram, on_link: bool, expected: (&str, Severity)) {
        let generic = AttachedXdp { mode: AttachedMode::Generic, on_link, ..native("filter") };
        let interface = Interface { features: Some(WITHOUT_XMIT), xdp: vec![generic], ..nic("ice") };
        let system = machine();
        let findings = foresee(&Situation { attach: RequiredProgram::Pass(existing), ..situation(&system, Some(&interface)) });
        let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.severity)).collect();
        assert_eq!(found, [expected], "{existing:?}");
    }
    check(ExistingProgram::Keep, false, ("generic_program_in_the_way", Severity::Blocks));
    check(ExistingProgram::Replace, false, ("needs_program", Severity::Note));
    check(ExistingProgram::Replace, true, ("generic_program_in_the_way", Severity::Blocks));
}

#[test]
fn what_slows_is_foreseen() {
    use Severity::{Note, Slows};
    #[track_caller]
    fn check(interface: &Interface, code: &str, severity: Severity, parts: &[&str]) {
        let finding = foreseen(&machine(), Some(interface), &[(code, severity)]).remove(0);
        assert_says(&finding, code, parts);
    }
    let bare = |driver| Interface { xdp: Vec::new(), ..nic(driver) };
    check(&Interface { iommu: Some(Iommu::Translating), ..bare("ice") }, "iommu_translating", Slows, &["`iommu=pt`"]);
    let parts = ["CPUs 1-2 are not", "`--cpus 4-7`"];
    check(&Interface { numa_node: Some(1), ..bare("ice") }, "numa_apart", Slows, &parts);
    let interrupts = vec![Interrupt { number: 40, cpus: vec![2] }, Interrupt { number: 41, cpus: vec![0, 1, 2] }];
    let parts = ["1 interrupt of `eth1` is taken by CPU 2, which sends too", "`echo 0 > /proc/irq/40/"];
    check(&Interface { interrupts, ..bare("ice") }, "interrupts_on_worker", Note, &parts);
    let pairs = |count| Queues { rx: count, tx: count };
    let few = Interface { queues: pairs(1), most_queues: Some(pairs(4)), ..bare("virtio_net") };
    check(&few, "shared_queues", Slows, &["4 queue pairs", "wants 9 at least, 1 in use", "`queues=9`"]);
    let many = Interface { queues: pairs(4), most_queues: Some(pairs(10)), ..bare("virtio_net") };
    check(&many, "shared_queues", Slows, &["wants 12 at least", "`ethtool -L eth1 combined 2`"]);
}

#[test]
fn the_machine_is_looked_at_too() {
    use Severity::{Loses, Note, Slows};
    #[track_caller]
    fn check(change: impl FnOnce(&mut System), code: &str, severity: Severity, parts: &[&str]) {
        let mut system = machine();
        change(&mut system);
        let interface = Interface { xdp: Vec::new(), ..nic("ice") };
        let finding = foreseen(&system, Some(&interface), &[(code, severity)]).remove(0);
        assert_says(&finding, code, parts);
    }
    let all = |system: &mut System, change: fn(&mut Cpu)| system.cpus.iter_mut().for_each(change);
    let powersave = |system: &mut System| all(system, |cpu| cpu.governor = Some("powersave".into()));
    let parts = ["CPUs 1-2 is `powersave`", "`cpupower -c 1-2 frequency-set -g performance`"];
    check(powersave, "governor", Slows, &parts);
    check(|system| system.jit = Some(false), "jit_off", Slows, &["bpf_jit_enable=1"]);
    check(|system| system.real_time = true, "real_time", Slows, &["PREEMPT_RT"]);
    check(|system| system.btf = false, "no_btf", Note, &["counted all the same"]);
    check(|system| system.memory = Some(20 << 20), "low_memory", Loses, &["20 MiB", "memory.max"]);
    check(|system| system.lockdown = Lockdown::Confidentiality, "lockdown", Note, &["confidentiality"]);
    let retpolines = |system: &mut System| system.mitigations = vec![("spectre_v2".into(), "Retpolines".into())];
    check(retpolines, "mitigations", Note, &["spectre_v2 (Retpolines)", "`mitigations=off`"]);
    check(|system| all(system, |cpu| cpu.siblings = vec![1, 2]), "siblings", Note, &["CPUs 1-2"]);
    // Facts that the kernel does not tell have no findings.
    let silent = System { memory: None, jit: None, lockdown: Lockdown::Integrity, ..machine() };
    foreseen(&silent, Some(&Interface { xdp: Vec::new(), ..nic("ice") }), &[]);
}

#[test]
fn old_kernels() {
    let at = |release: &str, version| System { release: release.into(), version: Some(version), ..machine() };
    let virtio = Interface { xdp: Vec::new(), ..nic("virtio_net") };
    let old = at("6.1.0-41-cloud-amd64", (6, 1));
    let cut = foreseen(&old, Some(&virtio), &[("virtio_frames_cut", Severity::Slows)]);
    assert_says(&cut[0], "virtio_frames_cut", &["6.1.0-41-cloud-amd64", "Linux 6.3 or later"]);
    foreseen(&at("6.3.0", (6, 3)), Some(&virtio), &[]);
    let interface = Interface { xdp: Vec::new(), ..nic("ice") };
    let passing = |system: System| {
        let findings = foresee(&Situation { action: Action::Pass, ..situation(&system, Some(&interface)) });
        findings.into_iter().map(|finding| (finding.code, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(passing(old), [("passed_frames", Severity::Loses)]);
    assert_eq!(passing(at("6.6.0", (6, 6))), [("passed_frames", Severity::Note)]);
    assert_eq!(passing(machine()), []);
}

#[test]
fn the_worst_comes_first() {
    let system = System { btf: false, jit: Some(false), ..machine() };
    let interface = veth(peer(true, false, false), Some(NOTHING));
    let findings = foresee(&Situation { batch_size: 256, ..situation(&system, Some(&interface)) });
    let severities: Vec<_> = findings.iter().map(|finding| finding.severity.code()).collect();
    assert_eq!(severities, ["blocks", "loses", "slows", "note"]);
}

#[test]
fn nothing_sent_always_has_a_reason() {
    let code = |count: &PortCount| of_nothing_sent(count).map(|finding| finding.code);
    assert_eq!(code(&PortCount::default()), Some("nothing_due"));
    let missed = Punctuality { unsent: 9, ..Punctuality::default() };
    let missed = PortCount { punctuality: Some(missed), ..PortCount::default() };
    assert_eq!(code(&missed), Some("every_departure_missed"));
    assert_eq!(code(&PortCount { attempted: 1, transmitted: 1, ..PortCount::default() }), None);
    let drops = vec![(DropReason::Redirect(95), 5)];
    assert_eq!(code(&PortCount { attempted: 5, drops, ..PortCount::default() }), None);
}

#[test]
fn missing_trace_points_are_named() {
    assert_eq!(of_lacking(&[]), None);
    let finding = of_lacking(&[TracePoint::DevmapXmit, TracePoint::RedirectErr]).unwrap();
    assert_says(&finding, "no_trace_points", &["`xdp_devmap_xmit` and `xdp_redirect_err`", "ip -s link"]);
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
            assert_eq!(of_drop(DropReason::Redirect(95), &situation(&system, Some(&interface))).code, finding.code);
        }
    }
    let without = Some("bond_without_xdp");
    for mode in ["balance-alb", "balance-tlb", "broadcast"] {
        let in_mode = format!("in the mode {mode}");
        check(mode, "layer2", &["eth2"], without, &[&in_mode, "active-backup, balance-rr, balance-xor or 802.3ad", "`eth2`"]);
    }
    for mode in ["balance-xor", "802.3ad"] {
        let parts = ["xmit_hash_policy vlan+srcmac", "`ip link set eth1 type bond xmit_hash_policy layer2+3`"];
        check(mode, "vlan+srcmac", &["eth2"], without, &parts);
    }
    for mode in ["balance-rr", "active-backup", "balance-xor", "802.3ad"] {
        check(mode, "layer3+4", &[], Some("bond_without_slave"), &["no slave", "master eth1"]);
        check(mode, "layer3+4", &["eth2", "eth3"], Some("bond_slave_without_xdp"), &["one of `eth2`, `eth3` does not"]);
    }
}

/// A cause that held when frames were dropped, and does not hold any more.
#[test]
fn moments_that_are_over() {
    let system = machine();
    let interface = nic("ice");
    let long = Situation { largest: 1518, ..situation(&system, Some(&interface)) };
    let lowered = LinkHistory { least_mtu: Some(500), ..LinkHistory::default() };
    let parts = ["1518 bytes were longer", "`eth1`, 500, allowed for a while; it is 1500 now", "leave the MTU"];
    assert_says(&of_drop(DropReason::Redirect(90), &Situation { meanwhile: lowered, ..long }), "frame_above_mtu", &parts);
    // The kernel reported no change.
    let finding = of_drop(DropReason::Redirect(90), &long);
    assert_says(&finding, "frame_above_mtu", &["longer than the MTU of `eth1` allowed for a while; it is 1500 now"]);
    assert!(!finding.cure.contains("1496"), "{finding:?}");

    let pair = veth(peer(true, true, false), Some(EVERYTHING));
    let pair = Situation { largest: 1518, cpus: &[0], ..situation(&system, Some(&pair)) };
    let either = "queue_full_or_frame_above_peer_mtu";
    let parts = ["either frames of 1518 bytes", "500; it is 1500 now; or the ring of 256 entries", "for the other, use"];
    assert_says(&of_drop(DropReason::QueueFull, &Situation { peer_meanwhile: Some(lowered), ..pair }), either, &parts);
    assert_says(&of_drop(DropReason::QueueFull, &pair), "queue_full", &["256 entries"]);
    // The kernel could not have reported a change.
    let unheard = Situation { peer_meanwhile: None, ..pair };
    let parts = ["either frames of 1518 bytes were longer", "at some moment between", "it is 1500 now; or the ring"];
    assert_says(&of_drop(DropReason::QueueFull, &unheard), either, &parts);
    let short = Situation { largest: 64, ..unheard };
    assert_says(&of_drop(DropReason::QueueFull, &short), "queue_full", &["256 entries"]);
    let down = LinkHistory { down: true, unplugged: true, ..LinkHistory::default() };
    let was_down = Situation { peer_meanwhile: Some(down), ..pair };
    assert_says(&of_drop(DropReason::Driver(6), &was_down), "veth_peer_changed", &["`far` of `eth1` was down for a while"]);
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
    check(&system, there(500, None), "frame_above_peer_mtu", &["in its namespace: `ip link set far mtu 978`"]);
    check(&system, there(1500, None), "queue_full", &["256 entries"]);
    let either = ["either frames of 1000 bytes", "cannot be seen from here; or the ring of 256 entries"];
    check(&system, Peer::Elsewhere, "queue_full_or_frame_above_peer_mtu", &either);
    let small = veth(Some(Peer::Elsewhere), Some(EVERYTHING));
    let small = situation(&system, Some(&small));
    // 64 bytes fit any MTU.
    assert_says(&of_drop(DropReason::QueueFull, &small), "queue_full", &["256 entries"]);
    // Its features say that it takes frames now.
    assert_says(&of_drop(DropReason::Driver(6), &small), "veth_peer_changed", &["for a while", "now it takes frames"]);
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
        of_drop(DropReason::QueueFull, &Situation { cpus, ..situation(&system, Some(&interface)) }).cure
    };
    assert!(!of(&[0], 1, 4).contains("ethtool"), "{}", of(&[0], 1, 4));
    assert!(!of(&[3], 1, 4).contains("ethtool"), "one CPU shares with nobody");
    assert!(of(&[0, 1], 1, 4).contains("`ethtool -L far rx 2`"));
    assert!(!of(&[0, 1], 1, 1).contains("ethtool"), "there are no more");
    assert!(!of(&[0, 1], 2, 4).contains("ethtool"));
}
