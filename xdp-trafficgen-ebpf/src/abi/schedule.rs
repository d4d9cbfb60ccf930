//! The order in which a worker's flows take turns.

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
    /// The flow of the port that has each turn.
    pub turns: [u32; MAX_TURNS],
}

const _: () = assert!(size_of::<Schedule>() == 16 + 4 * MAX_TURNS);
