//! Fixtures that the tests share: interfaces, a machine, and what is sent.

mod drops;
mod foreseen;
mod outcome;
mod veth;

use super::*;
use crate::{
    config::{Action, WhenFull},
    host::{
        AttachedMode, AttachedXdp, Bond, Cpu, Driver, Interface, Interrupt, Iommu, Link,
        LinkHistory, Lockdown, Peer, Queues, Rings, System, XdpFeatures,
    },
    kernel::TracePoint,
    plan::{ExistingProgram, RequiredProgram},
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
    let cpu = |number| Cpu {
        number,
        numa_node: Some(number / 4),
        siblings: vec![number],
        ..Cpu::default()
    };
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
        when_full: WhenFull::Flood,
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
