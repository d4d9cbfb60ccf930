//! A port that is loaded: its plan, its generator, and what its workers count together.

use std::sync::{Mutex, atomic::AtomicU64};

use crate::{engine::standstill::Standstill, kernel::Generator, plan::PortPlan};

/// A port of a session; its workers and the readers of its counts share it.
pub(super) struct Port {
    pub(super) plan: PortPlan,
    pub(super) generator: Generator,
    /// Departures of each flow that were due on the workers that have ended.
    pub(super) due: Mutex<Vec<u64>>,
    pub(super) still: Standstill,
    /// Frames that were refused for want of room and are made up for.
    pub(super) made_up: AtomicU64,
}
