//! The facts that findings follow from.

use crate::{
    config::Action,
    host::{AttachedMode, AttachedXdp, Interface, LinkHistory, System},
    plan::{ExistingProgram, RequiredProgram},
};

/// What is sent, and on what: the facts that findings follow from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The machine.
    pub system: &'a System,
    /// The interface that frames leave by; none when it is gone.
    pub interface: Option<&'a Interface>,
    /// Its name, also when it is gone.
    pub name: &'a str,
    /// What it was since frames are sent, if only for a moment.
    pub meanwhile: LinkHistory,
    /// The same of the other end of a veth pair; none where the kernel does not tell.
    pub peer_meanwhile: Option<LinkHistory>,
    /// What happens to a frame.
    pub action: Action,
    /// CPUs with a worker; empty when none have been chosen.
    pub cpus: &'a [u32],
    /// CPUs that could have one.
    pub allowed_cpus: &'a [u32],
    /// Frames the kernel sends together at most.
    pub batch_size: u32,
    /// Bytes of the largest frame on the wire, FCS included.
    pub largest: u32,
    /// What is attached for it, and whether what is there makes way.
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

    /// Whether a program in the way makes way until the end.
    pub(super) fn replaces(&self) -> bool {
        self.attach == RequiredProgram::Pass(ExistingProgram::Replace)
    }

    /// Whether the kernel is known to be older.
    pub(super) fn kernel_before(&self, version: (u32, u32)) -> bool {
        self.system.version.is_some_and(|this| this < version)
    }

    /// Whether frames go out of the interface at all.
    pub(super) fn sends(&self) -> bool {
        matches!(self.action, Action::Redirect | Action::Tx)
    }
}
