//! One port that is sent out of, as findings see it.

use super::aside;
use crate::{
    config::{Action, WhenFull},
    diagnosis::{self, Finding, SendMode},
    host::{Netlink, name_of},
    plan::{Needs, PortPlan, RequiredProgram},
};

/// One port of it.
#[derive(Clone, Debug)]
pub(super) struct ObservedPort {
    pub(super) port: String,
    /// The interface that frames leave by, or would.
    pub(super) interface: String,
    pub(super) index: u32,
    pub(super) action: Action,
    pub(super) cpus: Vec<u32>,
    pub(super) batch_size: u32,
    /// Paced workers keep their departures, whether there is room or not.
    pub(super) when_full: WhenFull,
    pub(super) largest: u32,
    pub(super) attach: RequiredProgram,
    pub(super) needs: Needs,
    pub(super) mode: SendMode,
    /// Whether its workers are at work all the time, and do not sleep between frames.
    pub(super) busy: bool,
}

impl ObservedPort {
    pub(super) fn of(plan: &PortPlan) -> Self {
        let index = plan.leaves_by().unwrap_or(plan.egress);
        let other = || {
            let links =
                aside(|| Netlink::open().and_then(|netlink| netlink.links()))?.unwrap_or_default();
            links.into_iter().find(|link| link.index == index).map(|link| link.name)
        };
        let interface =
            (index != plan.egress).then(other).flatten().unwrap_or_else(|| plan.interface.clone());
        Self {
            port: plan.name.clone(),
            interface,
            index,
            action: plan.action,
            cpus: plan.cpus.clone(),
            batch_size: plan.batch_size,
            when_full: if plan.pacing.is_none() { plan.when_full } else { WhenFull::Flood },
            largest: plan.flows.iter().map(|flow| flow.largest).max().unwrap_or(0),
            attach: plan.attach,
            needs: plan.needs,
            mode: if plan.pacing.is_none() { SendMode::FullSpeed } else { SendMode::Paced },
            busy: plan.pacing.as_ref().is_none_or(|pacing| pacing.keeps_busy()),
        }
    }

    /// Whether frames leave at all.
    pub(super) const fn leaves(&self) -> bool {
        matches!(self.action, Action::Redirect | Action::Tx)
    }

    /// The finding that a capture runs there.
    pub(super) fn capture(&self) -> Finding {
        diagnosis::of_capture(&name_of(self.index).unwrap_or_else(|| self.interface.clone()))
    }

    /// That the interface is called otherwise by now. It goes on sending: the kernel knows it by
    /// its index.
    pub(super) fn renamed(&self) -> Option<Finding> {
        let now = name_of(self.index).filter(|now| *now != self.interface)?;
        Some(diagnosis::of_renamed(&self.interface, &now))
    }
}
