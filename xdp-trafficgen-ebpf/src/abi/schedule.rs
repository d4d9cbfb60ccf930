//! The order in which a worker's flows take turns.

use super::MAX_GROUPS;

/// Turns of a schedule: a power of two.
pub const MAX_TURNS: usize = 1 << 16;

/// The order of a worker's flows: one entry per worker, filled anew when a flow ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The turn of the next frame.
    pub position: u64,
    /// Turns in use.
    pub len: u64,
    /// Each a flow of the port, with its group: see [`turn`].
    pub turns: [u32; MAX_TURNS],
}

/// A turn: the flow that has it, with its group.
#[inline(always)]
pub const fn turn(group: u32, flow: u32) -> u32 {
    group << TURN_FLOW_BITS | flow
}

/// Bits of a turn that hold the flow; the others hold the group.
pub const TURN_FLOW_BITS: u32 = 16;

const _: () = assert!(MAX_TURNS <= 1 << TURN_FLOW_BITS && MAX_GROUPS <= 1 << (32 - TURN_FLOW_BITS));

const _: () = assert!(size_of::<Schedule>() == 16 + 4 * MAX_TURNS);
