//! Recorded facts, or facts of drivers' sources, and the programs that they require.

use super::*;
use crate::{
    config::Action,
    host::{Driver, Facts, Link},
    plan::{
        Consent, DefaultRoute, Plan,
        tests::{UDP, facts, planned},
    },
};

/// Bits of include/uapi/linux/netdev.h: basic and redirect; the same and ndo-xmit.
const RECEIVES: Option<u64> = Some(3);
pub(in crate::plan) const SENDS: Option<u64> = Some(7);

/// A machine whose `veth0` has this driver.
pub(in crate::plan) fn machine(
    driver: &str,
    features: Option<u64>,
    xdp: &[(AttachedMode, u32)],
) -> Facts {
    let facts = facts();
    let mut interface = Interface::of(facts.link("veth0").cloned().unwrap());
    interface.driver =
        (!driver.is_empty()).then(|| Driver { name: driver.to_owned(), ..Driver::default() });
    interface.features = features.map(XdpFeatures);
    interface.xdp = xdp
        .iter()
        .map(|&(mode, program)| AttachedXdp {
            mode,
            program,
            name: Some("theirs".to_owned()),
            on_link: false,
        })
        .collect();
    Facts { interfaces: vec![interface], ..facts }
}

fn consent(existing: ExistingProgram) -> Consent {
    Consent { existing, ..Consent::from(DefaultRoute::Refuse) }
}

#[track_caller]
pub(in crate::plan) fn plan(facts: &Facts, port: &str) -> Plan {
    planned(port, UDP, facts, consent(ExistingProgram::Keep))
        .unwrap_or_else(|wrong| panic!("{wrong}"))
}

const PASS: RequiredProgram = RequiredProgram::Pass(ExistingProgram::Keep);
pub(in crate::plan) const NATIVE: &[(AttachedMode, u32)] = &[(AttachedMode::Native, 12)];

#[test]
fn drivers_that_send_only_with_a_program_get_one() {
    #[track_caller]
    fn check(
        driver: &str,
        features: Option<u64>,
        xdp: &[(AttachedMode, u32)],
        expected: RequiredProgram,
        note: &str,
    ) {
        let plan = plan(&machine(driver, features, xdp), "interface = 'veth0'");
        assert_eq!(plan.ports[0].attach, expected, "{driver} {features:?} {xdp:?}");
        let about: Vec<_> = plan
            .notes
            .iter()
            .filter(|note| note.text.contains("attached while frames are sent"))
            .collect();
        // A program that is attached already needs no note.
        let said = expected != RequiredProgram::Nothing && xdp != NATIVE;
        assert_eq!(about.len(), usize::from(said), "{:?}", plan.notes);
        assert!(
            about.iter().all(|said| said.text.starts_with("veth0: ") && said.text.ends_with(note)),
            "{about:?}"
        );
    }
    // ice_xdp_setup_prog sets ndo-xmit with the first program.
    check("ice", RECEIVES, &[], PASS, "for ice sends XDP frames only then");
    // The attached program may be another port's, and be detached with it.
    check("ice", SENDS, NATIVE, PASS, "");
    check("virtio_net", RECEIVES, &[], PASS, "for virtio_net sends XDP frames only then");
    // Before Linux 6.3 the kernel reports no features.
    check("virtio_net", None, &[], PASS, "for virtio_net sends XDP frames only then");
    check("virtio_net", None, NATIVE, PASS, "");
    check("e1000e", None, &[], RequiredProgram::Nothing, "");
    check("", None, &[], RequiredProgram::Nothing, "");
    // mlx5e before Linux 6.19 says that it sends, and does.
    check("mlx5_core", SENDS, &[], PASS, "for mlx5_core sends XDP frames only then");
    // Whether a veth sends depends on its peer; bridges and the like take no program.
    check("veth", RECEIVES, &[], RequiredProgram::Nothing, "");
    check("veth", SENDS, &[], RequiredProgram::Nothing, "");
    check("veth", SENDS, NATIVE, RequiredProgram::Nothing, "");
    check("bridge", Some(0), &[], RequiredProgram::Nothing, "");
    check("bonding", Some(0), &[], RequiredProgram::Nothing, "");
    // vmxnet3 and tun send as they are.
    check("vmxnet3", SENDS, &[], RequiredProgram::Nothing, "");
    check("tun", SENDS, &[], RequiredProgram::Nothing, "");
    check("vmxnet3", SENDS, NATIVE, RequiredProgram::Nothing, "");
    check("tun", SENDS, NATIVE, RequiredProgram::Nothing, "");
    // The driver is unknown.
    check(
        "newnic",
        RECEIVES,
        &[],
        PASS,
        "for newnic does not send XDP frames as it is, and may then",
    );
    check("newnic", SENDS, &[], RequiredProgram::Nothing, "");
    check("newnic", SENDS, NATIVE, PASS, "");
    check("newnic", None, NATIVE, RequiredProgram::Nothing, "");
    check(
        "",
        RECEIVES,
        &[],
        PASS,
        "for its driver does not send XDP frames as it is, and may then",
    );
    // A program on the NIC leaves the driver's place free.
    check(
        "ice",
        RECEIVES,
        &[(AttachedMode::Offloaded, 3)],
        PASS,
        "for ice sends XDP frames only then",
    );
}

/// The interface that frames leave by counts.
#[test]
fn only_the_interface_that_frames_leave_by_gets_one() {
    #[track_caller]
    fn check(settings: &str, expected: RequiredProgram) {
        let mut facts = machine("ice", RECEIVES, &[]);
        let other = Link { name: "eth9".to_owned(), index: 9, ..facts.links[1].clone() };
        facts.links.push(other.clone());
        facts.interfaces.push(Interface::of(other));
        let ports = plan(&facts, settings).ports;
        assert_eq!(
            (ports[0].attach, ports[0].leaves_by().is_some()),
            (expected, ports[0].action != Action::Drop)
        );
    }
    check("interface = 'veth0'\ningress = 'eth9'", PASS);
    check("interface = 'veth0'\ningress = 'eth9'\naction = 'tx'", RequiredProgram::Nothing);
    check("interface = 'eth9'\ningress = 'veth0'", RequiredProgram::Nothing);
    check("interface = 'eth9'\ningress = 'veth0'\naction = 'tx'", PASS);
    check("interface = 'veth0'\naction = 'drop'", RequiredProgram::Nothing);
}

#[test]
fn a_generic_program_is_an_error_unless_it_may_be_replaced() {
    let generic = &[(AttachedMode::Generic, 12)];
    let facts = machine("ice", RECEIVES, generic);
    let refused = planned("interface = 'veth0'", UDP, &facts, consent(ExistingProgram::Keep))
        .unwrap_err()
        .to_string();
    for part in [
        "the generic XDP program 12 (`theirs`)",
        "`ip link set dev veth0 xdpgeneric off`",
        "--replace-xdp",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let plan =
        planned("interface = 'veth0'", UDP, &facts, consent(ExistingProgram::Replace)).unwrap();
    assert_eq!(plan.ports[0].attach, RequiredProgram::Pass(ExistingProgram::Replace));
    assert!(
        plan.notes[0]
            .text
            .ends_with("the generic XDP program 12 (`theirs`) makes way for it until the end"),
        "{:?}",
        plan.notes
    );
    let mut held = facts.clone();
    held.interfaces[0].xdp[0].on_link = true;
    let refused = planned("interface = 'veth0'", UDP, &held, consent(ExistingProgram::Replace))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("`bpftool link show`"), "{refused}");
    // A generic program does not matter where none has to be attached.
    assert!(
        planned(
            "interface = 'veth0'",
            UDP,
            &machine("tun", SENDS, generic),
            consent(ExistingProgram::Keep)
        )
        .is_ok()
    );
}
