//! What `probe` found, as text and as one JSON object.

pub mod json;
pub mod text;

use crate::{
    diagnosis::{Finding, Verdict},
    host::{Counters, Interface, System, XdpFeatures},
    kernel::Survey,
    output::{Format, Formats},
    stats::DropReason,
    units::FrameLen,
};

/// What this machine can do.
#[derive(Debug)]
pub struct ProbeReport {
    /// What the kernel answered.
    pub survey: Survey,
    /// The machine.
    pub system: System,
    /// CPUs that are switched on, in order.
    pub cpus: Vec<u32>,
    /// CPUs this process may run on, in order.
    pub allowed_cpus: Vec<u32>,
    /// What was asked about.
    pub subject: Subject,
    /// Whether it can send.
    pub verdict: Verdict,
    /// Why not, or what to know of it; the worst first.
    pub findings: Vec<Finding>,
}

impl Formats for ProbeReport {
    const FORMATS: &'static [Format<Self>] = &[text::FORMAT, json::FORMAT];
}

/// What was asked about.
#[derive(Debug)]
pub enum Subject {
    /// The machine, with a remark on each interface.
    Machine(Vec<InterfaceRemark>),
    /// An interface.
    Interface(Box<Probed>),
}

/// A remark on an interface, which was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceRemark {
    /// Its name.
    pub name: String,
    /// Its driver, as `ethtool -i` shows it, or its kind; empty when neither is known.
    pub driver: String,
    /// Whether it can send, as far as can be seen without attaching anything.
    pub verdict: Verdict,
    /// What decides that.
    pub finding: Option<Finding>,
}

/// An interface and what was tried on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// As it was before.
    pub interface: Interface,
    /// Whether it carries a default route of this machine.
    pub default_route: bool,
    /// Bytes of the largest frame that its MTU and the kernel let pass, FCS included.
    pub largest_frame: FrameLen,
    /// Whether a program was attached to it, as in a run.
    pub attachment: Attachment,
    /// What became of frames; none when none were to be sent.
    pub trial: Option<Trial>,
}

/// Whether the program that lets everything pass was attached, which some drivers need to send XDP
/// frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A run would not attach it either.
    NotNeeded,
    /// It was, and has been detached again.
    Attached {
        /// What the driver could do then.
        features: Option<XdpFeatures>,
    },
    /// The kernel or the driver refused it; a sentence without a full stop.
    Refused(String),
    /// It was left alone; a sentence without a full stop.
    NotTried(String),
}

impl Attachment {
    /// What the driver could do with it; none when it was not attached, or the driver does not
    /// tell.
    pub const fn features(&self) -> Option<XdpFeatures> {
        match self {
            Self::Attached { features } => *features,
            Self::NotNeeded | Self::Refused(_) | Self::NotTried(_) => None,
        }
    }
}

/// Frames that were really sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    /// It could not be made; a sentence without a full stop.
    NotMade(String),
    /// It was.
    Made {
        /// Repetitions of the program.
        frames_attempted: u64,
        /// Frames the driver accepted.
        frames_tx: u64,
        /// Frames that went nowhere, by reason.
        drops: Vec<(DropReason, u64)>,
        /// What the interface counted during the trial, frames of other senders included.
        counted: Option<Counters>,
    },
}

#[cfg(test)]
mod tests;
