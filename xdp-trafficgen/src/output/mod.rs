//! What people and programs read. Reports are renderings of a snapshot, of which none knows another; `check` and `show` have
//! frames, fields and words, `pace-test` has `pace`.

pub mod fields;
pub mod frames;
pub mod json;
pub mod live;
pub mod pace;
pub mod text;
pub mod words;

use xdp_trafficgen_ebpf::abi;

use crate::stats::Snapshot;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The final counts.
    pub snapshot: Snapshot,
    /// What a receiver of our own counted, where there is one.
    pub sink: Option<abi::Sink>,
}
