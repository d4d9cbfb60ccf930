//! The facts that findings follow from.

use crate::{
    config::{Action, WhenFull},
    host::{AttachedMode, AttachedXdp, Interface, LinkHistory, System},
    plan::{ExistingProgram, RequiredProgram},
};

/// What is sent, and on what.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The machine.
    pub system: &'a System,
    /// The interface that frames leave by; none when it is gone.
    pub interface: Option<&'a Interface>,
    /// Its name, also when it is gone.
    pub name: &'a str,
    /// The states of the interface since the first frame, however short.
    pub meanwhile: LinkHistory,
    /// The same for the peer of a veth; none where the kernel does not tell.
    pub peer_meanwhile: Option<LinkHistory>,
    /// What is done with a frame.
    pub action: Action,
    /// CPUs with a worker; empty before CPUs are chosen.
    pub cpus: &'a [u32],
    /// CPUs that could have one.
    pub allowed_cpus: &'a [u32],
    /// The largest batch.
    pub batch_size: u32,
    /// Whether workers wait when the driver's queue is full: without a rate, unless they flood.
    pub when_full: WhenFull,
    /// Bytes of the largest frame on the wire, FCS included.
    pub largest: u32,
    /// The program that is attached for it, and what is done with a program that is attached
    /// already.
    pub attach: RequiredProgram,
}

impl<'a> Situation<'a> {
    /// The driver's name; empty when it is not known.
    pub(super) fn driver(&self) -> &'a str {
        self.interface.map_or("", Interface::driver_name)
    }

    /// rtnetlink's kind of the interface; empty for hardware and `lo`.
    pub(super) fn kind(&self) -> &'a str {
        self.interface.and_then(|interface| interface.kind.as_deref()).unwrap_or("")
    }

    pub(super) fn program(&self, mode: AttachedMode) -> Option<&'a AttachedXdp> {
        self.interface.and_then(|interface| interface.xdp_in(mode))
    }

    /// Whether a program in the way is detached for the run.
    pub(super) fn replaces(&self) -> bool {
        self.attach == RequiredProgram::Pass(ExistingProgram::Replace)
    }

    /// Whether the kernel is older than this version; false when its version is not known.
    pub(super) fn kernel_before(&self, version: (u32, u32)) -> bool {
        self.system.version.is_some_and(|this| this < version)
    }

    /// Whether frames leave the interface at all.
    pub(super) fn sends(&self) -> bool {
        matches!(self.action, Action::Redirect | Action::Tx)
    }
}
