//! What people and programs read. Reports are renderings of a snapshot, of which none knows another; `check` and `show` have
//! frames, fields and words, `pace-test` has `pace`, `probe` and `tune` their own. All of it leaves by [`streams`].

pub mod fields;
pub mod format;
pub mod frames;
pub mod json;
pub mod live;
pub mod pace_test;
pub mod probe;
pub mod streams;
pub mod terminal;
pub mod text;
pub mod together;
pub mod tune;
pub mod words;

pub use format::{Format, Formats};
use xdp_trafficgen_ebpf::abi;

use crate::{diagnosis::Finding, stats::Snapshot};

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
    const FORMATS: &'static [Format<Self>] = &[text::FORMAT, json::FORMAT];
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
