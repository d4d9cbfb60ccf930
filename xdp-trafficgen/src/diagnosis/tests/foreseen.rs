//! Findings before a run.

use super::*;

/// Findings about an interface on a machine, by code and severity.
#[track_caller]
fn foreseen(
    system: &System,
    interface: Option<&Interface>,
    expected: &[(&str, Severity)],
) -> Vec<Finding> {
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
    check(
        Some(&Interface { features: Some(WITHOUT_XMIT), ..bare("ice") }),
        &[("needs_program", Note)],
    );
    check(Some(&Interface { features: None, ..bare("ice") }), &[("needs_program", Note)]);
    check(Some(&Interface { features: None, ..bare("vmxnet3") }), &[]);
    check(Some(&of_kind("bridge")), &[("driver_cannot_send", Blocks)]);
    check(
        Some(&Interface { features: None, ..of_kind("bridge") }),
        &[("driver_cannot_send", Blocks)],
    );
    check(Some(&veth(peer(true, true, false), Some(EVERYTHING))), &[]);
    check(
        Some(&veth(peer(true, false, false), Some(NOTHING))),
        &[("veth_peer_without_receiver", Blocks)],
    );
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
        let interface =
            Interface { features: Some(WITHOUT_XMIT), xdp: vec![generic], ..nic("ice") };
        let system = machine();
        let findings = foresee(&Situation {
            attach: RequiredProgram::Pass(existing),
            ..situation(&system, Some(&interface))
        });
        let found: Vec<_> =
            findings.iter().map(|finding| (finding.code, finding.severity)).collect();
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
    check(
        &Interface { iommu: Some(Iommu::Translating), ..bare("ice") },
        "iommu_translating",
        Slows,
        &["`iommu=pt`"],
    );
    let parts = ["CPUs 1-2 are not", "`--cpus 4-7`"];
    check(&Interface { numa_node: Some(1), ..bare("ice") }, "numa_apart", Slows, &parts);
    let interrupts = vec![
        Interrupt { number: 40, cpus: vec![2] },
        Interrupt { number: 41, cpus: vec![0, 1, 2] },
    ];
    let parts =
        ["1 interrupt of `eth1` is taken by CPU 2, which sends too", "`echo 0 > /proc/irq/40/"];
    check(&Interface { interrupts, ..bare("ice") }, "interrupts_on_worker", Note, &parts);
    let pairs = |count| Queues { rx: count, tx: count };
    let few = Interface { queues: pairs(1), most_queues: Some(pairs(4)), ..bare("virtio_net") };
    check(
        &few,
        "shared_queues",
        Slows,
        &["4 queue pairs", "wants 9 at least, 1 in use", "`queues=9`"],
    );
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
    let powersave =
        |system: &mut System| all(system, |cpu| cpu.governor = Some("powersave".into()));
    let parts = ["CPUs 1-2 is `powersave`", "`cpupower -c 1-2 frequency-set -g performance`"];
    check(powersave, "governor", Slows, &parts);
    check(|system| system.jit = Some(false), "jit_off", Slows, &["bpf_jit_enable=1"]);
    check(|system| system.real_time = true, "real_time", Slows, &["PREEMPT_RT"]);
    check(|system| system.btf = false, "no_btf", Note, &["counted all the same"]);
    check(|system| system.memory = Some(20 << 20), "low_memory", Loses, &["20 MiB", "memory.max"]);
    check(
        |system| system.lockdown = Lockdown::Confidentiality,
        "lockdown",
        Note,
        &["confidentiality"],
    );
    let retpolines =
        |system: &mut System| system.mitigations = vec![("spectre_v2".into(), "Retpolines".into())];
    check(retpolines, "mitigations", Note, &["spectre_v2 (Retpolines)", "`mitigations=off`"]);
    check(|system| all(system, |cpu| cpu.siblings = vec![1, 2]), "siblings", Note, &["CPUs 1-2"]);
    // Facts that the kernel does not tell have no findings.
    let silent = System { memory: None, jit: None, lockdown: Lockdown::Integrity, ..machine() };
    foreseen(&silent, Some(&Interface { xdp: Vec::new(), ..nic("ice") }), &[]);
}

#[test]
fn old_kernels() {
    let at = |release: &str, version| System {
        release: release.into(),
        version: Some(version),
        ..machine()
    };
    let virtio = Interface { xdp: Vec::new(), ..nic("virtio_net") };
    let old = at("6.1.0-41-cloud-amd64", (6, 1));
    let cut = foreseen(&old, Some(&virtio), &[("virtio_frames_cut", Severity::Slows)]);
    assert_says(&cut[0], "virtio_frames_cut", &["6.1.0-41-cloud-amd64", "Linux 6.3 or later"]);
    foreseen(&at("6.3.0", (6, 3)), Some(&virtio), &[]);
    let interface = Interface { xdp: Vec::new(), ..nic("ice") };
    let passing = |system: System| {
        let findings =
            foresee(&Situation { action: Action::Pass, ..situation(&system, Some(&interface)) });
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
