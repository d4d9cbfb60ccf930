//! Workers: who each is, what it counts, and the frames it remembers.

use super::{Flow, RowCursor};

/// How many of its last frames a worker remembers, a power of two: at least those whose fate is
/// open. The kernel hands frames to a driver 16 at a time (`DEV_MAP_BULK_SIZE`).
pub const RECENT: usize = 32;

/// What a worker keeps between repetitions: one entry per CPU, written by that CPU only.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// What became of its repetitions and their frames.
    pub counts: WorkerCounts,
    /// Which worker it is: written by user space before the first call.
    pub spec: WorkerSpec,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
    /// The single flow of a port.
    pub only: Flow,
    /// The last frames that were queued, frame n at n modulo [`RECENT`]: see [`recent`].
    pub recent: [u64; RECENT],
    /// 1: each of its bulks goes through its gate; 0: only those with refused frames do.
    pub gated: u64,
}

/// What became of a worker's repetitions and their frames.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounts {
    /// Frames made: repetitions that returned the configured action, but for those in `refused`.
    pub queued: u64,
    /// Frames the kernel refused to redirect (`xdp_redirect_err`).
    pub refused: u64,
    /// Frames the driver accepted or refused (`xdp_devmap_xmit`): those whose fate is known.
    pub settled: u64,
    /// Frames the driver refused.
    pub dropped: u64,
    /// Repetitions in which the program itself gave up: a frame shorter than configured. On a CPU
    /// without a worker, all of them: see [`Worker::ABSENT`].
    pub aborted: u64,
    /// Events of `xdp_exception` while frames were in flight: they explain frames whose fate is
    /// not known otherwise.
    pub exceptions: u64,
}

/// Which worker it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerSpec {
    /// Which of the port's workers this is.
    pub index: u32,
    /// Its first entry in the tables of flows.
    pub first_flow: u32,
    /// The entry of the devmap that frames are redirected to: 0, the egress interface.
    pub egress: u32,
}

impl Worker {
    /// A worker that has sent nothing.
    pub const NEW: Self = Self {
        counts: WorkerCounts {
            queued: 0,
            refused: 0,
            settled: 0,
            dropped: 0,
            aborted: 0,
            exceptions: 0,
        },
        spec: WorkerSpec { index: 0, first_flow: 0, egress: 0 },
        reserved: 0,
        only: Flow::NONE,
        recent: [0; RECENT],
        gated: 1,
    };

    /// The entry of a CPU without a worker, where a worker's thread may find itself when somebody
    /// moves it. Each of its numbers is beyond the table it is for, so that a look-up which
    /// every frame needs anyway fails, and the repetition only counts in `aborted`: a
    /// comparison of its own would cost all frames of workers that stay where they are.
    pub const ABSENT: Self = Self {
        spec: WorkerSpec { index: u32::MAX, first_flow: u32::MAX, egress: 1 },
        only: Flow { rows: RowCursor { next: u32::MAX, ..RowCursor::NONE }, ..Flow::NONE },
        ..Self::NEW
    };

    /// Repetitions that made a frame.
    pub const fn frames_attempted(&self) -> u64 {
        self.counts.queued.wrapping_add(self.counts.refused)
    }

    /// Frames handed to redirect whose fate is not known yet. Above zero only while this worker's
    /// batch is in the kernel, with softirqs held off: so a trace point that fires meanwhile on
    /// this CPU speaks of our frames.
    #[inline(always)]
    pub const fn in_flight(&self) -> u64 {
        self.counts.queued.wrapping_sub(self.counts.settled)
    }

    /// Frames the driver accepted.
    pub const fn frames_tx(&self) -> u64 {
        self.counts.settled.wrapping_sub(self.counts.dropped)
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::NEW
    }
}

/// What a worker remembers of a frame: its flow, and its length without FCS.
#[inline(always)]
pub const fn recent(flow: u32, len: u32) -> u64 {
    (len as u64) << 32 | flow as u64
}

/// Flow and length of what [`recent`] made.
#[inline(always)]
pub const fn parts_of_recent(entry: u64) -> (u32, u32) {
    (entry as u32, (entry >> 32) as u32)
}

const _: () = assert!(size_of::<Worker>() == 136 + 8 * RECENT);
