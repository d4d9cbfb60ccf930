//! The report of a run, and the formats it can be written in.

pub mod csv;
pub mod json;
pub mod text;

use xdp_trafficgen_ebpf::abi;

use crate::{
    diagnosis::Finding,
    output::{Format, Formats},
    stats::{DropReason, Snapshot},
};

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The final counts.
    pub snapshot: Snapshot,
    /// What a receiver of our own counted, where there is one.
    pub sink: Option<abi::Sink>,
    /// What explains it, and what to do.
    pub findings: Vec<PortFinding>,
}

impl Formats for Report {
    const FORMATS: &'static [Format<Self>] = &[text::FORMAT, json::FORMAT, csv::FORMAT];
}

/// What was found of one port.
#[derive(Clone, Debug, PartialEq)]
pub struct PortFinding {
    /// The port's name.
    pub port: String,
    /// How many frames it cost, where they were counted.
    pub frames: Option<u64>,
    /// What it is.
    pub finding: Finding,
}

/// Drops that were explained just now.
#[derive(Clone, Debug)]
pub struct NewDrops {
    /// The port's place in the plan.
    pub index: usize,
    /// The reason.
    pub reason: DropReason,
    /// Frames.
    pub frames: u64,
    /// Why; none when the facts cannot be read.
    pub finding: Option<Finding>,
}
