//! Why something does not work or is slow, and what to do: a pure function of what happened and of the host's facts.
//!
//! The only place where causes and cures are written. Commands gather the facts, [`output`](crate::output) shows the findings.

mod attachment;
mod bond;
mod contention;
mod drops;
mod errors;
mod interface;
mod machine;
mod mismatch;
mod moved;
mod outages;
mod outcome;
mod path;
mod queues;
mod since;
mod survey;
mod verdict;
mod veth;
mod words;

use std::cmp::Reverse;

pub use attachment::{of_kernel_error, of_refused_program, without_refused};
pub use contention::{Rivals, SendMode, of_quota, of_shared_cpus, of_throttling};
pub use drops::of_drop;
pub use errors::of_error;
pub use interface::of_capture;
pub use machine::{of_descriptors, of_memory};
pub use mismatch::of_parting;
pub use moved::of_moved;
pub use outages::{of_outage, of_stillness, of_unsent};
pub use outcome::{of_gone, of_lacking, of_nothing_sent, of_renamed};
pub use since::retold;
pub use survey::{in_full, of_survey};
pub use verdict::Verdict;

use crate::{
    config::Action,
    host::{AttachedMode, AttachedXdp, Interface, LinkHistory, System},
    plan::{ExistingProgram, RequiredProgram},
};

/// What was found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A name that stays the same, for programs, such as `veth_peer_without_receiver`.
    pub code: &'static str,
    /// What it does to a run.
    pub severity: Severity,
    /// What is the matter: a sentence without a full stop.
    pub cause: String,
    /// What to do: a sentence without a full stop, with the command to type where there is one. Empty when nothing can be done.
    pub cure: String,
}

/// What a finding does to a run; the worst one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Frames leave slower, or less evenly, than they could.
    Slows,
    /// Some frames are lost, or the numbers cannot be trusted.
    Loses,
    /// Not one frame leaves.
    Blocks,
}

impl Severity {
    /// A name that stays the same, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Slows => "slows",
            Self::Loses => "loses",
            Self::Blocks => "blocks",
        }
    }
}

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
    fn driver(&self) -> &'a str {
        self.interface.map_or("", Interface::driver_name)
    }

    /// rtnetlink's kind of the interface; empty for hardware and `lo`.
    fn kind(&self) -> &'a str {
        self.interface.and_then(|interface| interface.kind.as_deref()).unwrap_or("")
    }

    fn program(&self, mode: AttachedMode) -> Option<&'a AttachedXdp> {
        self.interface.and_then(|interface| interface.xdp_in(mode))
    }

    /// Whether a program in the way makes way until the end.
    fn replaces(&self) -> bool {
        self.attach == RequiredProgram::Pass(ExistingProgram::Replace)
    }

    /// Whether the kernel is known to be older.
    fn kernel_before(&self, version: (u32, u32)) -> bool {
        self.system.version.is_some_and(|this| this < version)
    }

    /// Whether frames go out of the interface at all.
    fn sends(&self) -> bool {
        matches!(self.action, Action::Redirect | Action::Tx)
    }
}

impl Finding {
    fn new(code: &'static str, severity: Severity, cause: String, cure: impl Into<String>) -> Self {
        Self { code, severity, cause, cure: cure.into() }
    }
}

/// What will or may go wrong, or be slow, with what is planned; the worst first.
pub fn foresee(situation: &Situation<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if situation.sends() {
        findings.extend(path::foreseen(situation));
        findings.extend(interface::foreseen(situation));
    }
    findings.extend(machine::foreseen(situation));
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}
