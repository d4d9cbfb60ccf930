//! Why something does not work or is slow, and what to do: a pure function of what happened and of the host's facts.
//!
//! The only place where causes and cures are written. Commands gather the facts, [`output`](crate::output) shows the findings.

pub mod drivers;

use crate::{
    config::Action,
    host::{Interface, System},
    stats::DropReason,
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
}

/// Why frames were dropped for this reason.
pub fn of_drop(reason: DropReason, situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    Finding {
        code: "dropped",
        severity: Severity::Loses,
        cause: format!("{name}: frames were dropped ({})", reason.code()),
        cure: String::new(),
    }
}

/// What will or may go wrong, or be slow, with what is planned; the worst first.
pub fn foresee(_situation: &Situation<'_>) -> Vec<Finding> {
    Vec::new()
}
