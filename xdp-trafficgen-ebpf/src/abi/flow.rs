//! Flows as a worker has them: what it counts of each, and where each stands.

/// What a worker knows of a flow and has counted for it: one entry per worker and flow, written by
/// that worker only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// What became of its frames.
    pub counts: FlowCounts,
    /// The row of its next frame.
    pub rows: RowCursor,
    /// Its entry in the table of pick sets.
    pub picks: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
    /// Keeps the flows of two workers apart, and each within a cache line.
    pub padding: u64,
}

/// What became of a flow's frames on one worker.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Frames made. Not counted for the single flow of a port: there the worker's counts say it.
    pub frames: u64,
    /// Their bytes, FCS not counted. Only counted where frames have sizes of their own.
    pub bytes: u64,
    /// Frames that failed between the program and the wire.
    pub dropped_frames: u64,
    /// Their bytes, as above.
    pub dropped_bytes: u64,
}

/// Which of its rows a flow's next frame has: they take turns.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCursor {
    /// The next frame's row, an entry of the table of rows.
    pub next: u32,
    /// The flow's last row.
    pub last: u32,
    /// How many rows it has.
    pub count: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

impl Flow {
    /// All zero.
    pub const NONE: Self = Self {
        counts: FlowCounts { frames: 0, bytes: 0, dropped_frames: 0, dropped_bytes: 0 },
        rows: RowCursor::NONE,
        picks: 0,
        reserved: 0,
        padding: 0,
    };
}

impl RowCursor {
    /// All zero.
    pub const NONE: Self = Self { next: 0, last: 0, count: 0, reserved: 0 };
}

const _: () = assert!(size_of::<Flow>() == 64);
