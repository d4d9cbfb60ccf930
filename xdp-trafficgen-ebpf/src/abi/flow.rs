//! Flows as a worker has them: what it counts of each, and where each stands.

/// What a worker knows of a flow and has counted for it: one entry per worker and flow, written by
/// that worker only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// What became of its frames.
    pub counts: FlowCounts,
    /// Where it stands in the row table. A flow whose headers are worked out has none there: it
    /// has its entry in the table of header states in `next`.
    rows: RowCursor,
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

/// Where a recorded flow stands in the row table, and how it moves on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCursor {
    /// First line of the next frame's row.
    pub next: u64,
    /// Where the last row of the flow starts.
    pub limit: u64,
    /// Lines that a move past `limit` is set back by.
    pub span: u64,
    /// Lines from a frame's row to that of the worker's next frame.
    pub advance: u64,
}

impl Flow {
    /// A flow that has sent nothing, with its headers in the row table.
    pub const fn of_rows(rows: RowCursor) -> Self {
        Self {
            counts: FlowCounts { frames: 0, bytes: 0, dropped_frames: 0, dropped_bytes: 0 },
            rows,
        }
    }

    /// A flow that has sent nothing, whose headers are worked out from this entry of the table of
    /// header states.
    pub const fn of_header_state(entry: u64) -> Self {
        Self::of_rows(RowCursor { next: entry, limit: 0, span: 0, advance: 0 })
    }

    /// What [`Self::of_rows`] was given, to be moved on.
    #[inline(always)]
    pub const fn rows_mut(&mut self) -> &mut RowCursor {
        &mut self.rows
    }

    /// What [`Self::of_header_state`] was given.
    #[inline(always)]
    pub const fn header_state(&self) -> u32 {
        self.rows.next as u32
    }
}

const _: () = assert!(size_of::<Flow>() == 64);
