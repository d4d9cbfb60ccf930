//! The interfaces that frames leave by: their state at one moment, and how it changed before.
//!
//! Made while frames are sent: asks for no more than drops are explained by.

use super::{ObservedPort, StartState, found};
use crate::{
    diagnosis::{self, Finding, Situation},
    host::{
        AttachedMode, AttachedXdp, Interface, LinkChanges, LinkHistory, LinkKey, LinkStatus, Peer,
    },
    output::PortFinding,
    plan::RequiredProgram,
    stats::{DropReason, PortCount, reconcile::Mismatch},
};

/// The facts at one moment.
pub(super) struct Observation<'a> {
    before: &'a StartState,
    interfaces: Vec<InterfaceState>,
}

/// An interface as it is.
struct InterfaceState {
    interface: Interface,
    /// Its history since the last reading.
    lately: LinkState,
    /// What it was since frames are sent.
    in_all: LinkState,
}

/// What an interface and the other end of it were in some time.
#[derive(Clone, Copy, Default)]
struct LinkState {
    this: LinkHistory,
    /// None where the kernel does not tell.
    peer: Option<LinkHistory>,
}

/// Of which time facts are asked for that may be over.
#[derive(Clone, Copy)]
pub(super) enum Period {
    /// Since the last reading, for frames dropped since then.
    Lately,
    /// Since frames are sent, for the end.
    InAll,
}

impl<'a> Observation<'a> {
    /// Of these interfaces, as `changes`, where the kernel tells any, know them.
    pub(super) fn at(
        before: &'a StartState,
        interfaces: Vec<Interface>,
        changes: &mut Option<LinkChanges>,
    ) -> Self {
        if let Some(changes) = changes {
            changes.read_reports();
        }
        let interfaces = interfaces
            .into_iter()
            .map(|interface| InterfaceState::now(interface, changes))
            .collect();
        if let Some(changes) = changes {
            changes.next_period();
        }
        Self { before, interfaces }
    }

    /// As it is now, whatever it is called; not another of the same name.
    fn seen(&self, sending: &ObservedPort) -> Option<&InterfaceState> {
        self.interfaces.iter().find(|seen| seen.interface.link.index == sending.index)
    }

    fn interface(&self, sending: &ObservedPort) -> Option<&Interface> {
        self.seen(sending).map(|seen| &seen.interface)
    }

    fn situation<'b>(
        &'b self,
        sending: &'b ObservedPort,
        interface: Option<&'b Interface>,
        when: Period,
    ) -> Situation<'b> {
        let ObservedPort {
            interface: name,
            action,
            cpus,
            batch_size,
            when_full,
            largest,
            attach,
            ..
        } = sending;
        let LinkState { this, peer } =
            self.seen(sending).map_or_else(LinkState::default, |seen| match when {
                Period::Lately => seen.lately,
                Period::InAll => seen.in_all,
            });
        Situation {
            system: &self.before.system,
            interface,
            // What is to be typed needs the name of now.
            name: interface.map_or(name, |interface| &interface.link.name),
            meanwhile: this,
            peer_meanwhile: peer,
            action: *action,
            cpus,
            allowed_cpus: &self.before.allowed_cpus,
            batch_size: *batch_size,
            when_full: *when_full,
            largest: *largest,
            attach: *attach,
        }
    }

    fn in_all<'b>(&'b self, sending: &'b ObservedPort) -> Situation<'b> {
        self.situation(sending, self.interface(sending), Period::InAll)
    }

    pub(super) fn foresee(&self, sending: &ObservedPort) -> Vec<Finding> {
        diagnosis::foresee(&self.in_all(sending))
    }

    pub(super) fn of_mismatch(&self, sending: &ObservedPort, mismatch: &Mismatch) -> PortFinding {
        found(sending, diagnosis::of_mismatch(mismatch, &self.in_all(sending)))
    }

    pub(super) fn of_gone(&self, sending: &ObservedPort) -> Option<Finding> {
        diagnosis::of_gone(&self.in_all(sending))
    }

    pub(super) fn of_drop(
        &self,
        sending: &ObservedPort,
        reason: DropReason,
        when: Period,
    ) -> Finding {
        let mut interface = self.interface(sending).cloned();
        // What the driver said, it said with our program attached, which may be off again by now.
        if let (RequiredProgram::Pass(_), DropReason::Driver(_), Some(interface)) =
            (sending.attach, reason, &mut interface)
            && interface.xdp_in(AttachedMode::Native).is_none()
        {
            interface.xdp.push(AttachedXdp {
                mode: AttachedMode::Native,
                program: 0,
                name: None,
                on_link: true,
            });
        }
        diagnosis::of_drop(reason, &self.situation(sending, interface.as_ref(), when))
    }

    /// A cause of drops that was found while frames were sent, as it is said now.
    pub(super) fn at_the_end(
        &self,
        sending: &ObservedPort,
        then: &Finding,
        now: &Finding,
    ) -> Finding {
        diagnosis::at_the_end(then, now, &self.in_all(sending))
    }
}

impl InterfaceState {
    fn now(interface: Interface, changes: &mut Option<LinkChanges>) -> Self {
        let link = &interface.link;
        let this = (None, link.index);
        let peer: Option<(LinkKey, u32, bool)> = match interface.peer {
            Some(Peer::Here { index, mtu, up, .. }) => Some(((None, index), mtu, up)),
            Some(Peer::There { nsid, index, mtu, up, .. }) => Some(((Some(nsid), index), mtu, up)),
            Some(Peer::Elsewhere) | None => None,
        };
        let Some(changes) = changes else {
            return Self { interface, lately: LinkState::default(), in_all: LinkState::default() };
        };
        changes.record(this, LinkStatus { mtu: link.mtu, up: link.up, carrier: link.carrier });
        if let Some((peer, mtu, up)) = peer {
            // Both ends of a pair have carrier, or none has.
            changes.record(peer, LinkStatus { mtu, up, carrier: link.carrier });
        }
        let ends = |of: fn(&LinkChanges, LinkKey) -> Option<LinkHistory>| LinkState {
            this: of(changes, this).unwrap_or_default(),
            peer: peer.and_then(|(peer, ..)| of(changes, peer)),
        };
        let (lately, in_all) = (ends(LinkChanges::recently), ends(LinkChanges::in_all));
        Self { interface, lately, in_all }
    }
}

/// Each cause of a port's drops once, with all the frames it cost, as `told` of each reason.
pub(super) fn causes(
    sending: &ObservedPort,
    port: &PortCount,
    told: impl Fn(DropReason, u64) -> Vec<(u64, Finding)>,
) -> Vec<PortFinding> {
    let mut findings: Vec<PortFinding> = Vec::new();
    for (count, finding) in port.drops.iter().flat_map(|&(reason, count)| told(reason, count)) {
        match findings.iter_mut().find(|known| known.finding == finding) {
            Some(known) => known.frames = known.frames.map(|frames| frames + count),
            None => findings.push(PortFinding { frames: Some(count), ..found(sending, finding) }),
        }
    }
    findings
}
