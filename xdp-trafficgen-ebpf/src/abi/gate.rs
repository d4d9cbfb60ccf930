//! Gates: how a worker without a rate keeps to what its link takes.

/// A worker's gate: one entry per worker. The worker's program writes it while it sends, user space
/// between calls.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// What user space asks for.
    pub spec: GateSpec,
    /// Where it stands.
    pub state: GateState,
    /// Frames that the driver refused for want of room, with or without a gate.
    pub refused: u64,
}

/// What user space asks of a gate.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateSpec {
    /// 0: there is no gate, frames are attempted as fast as they can be made.
    pub used: u64,
    /// The time from which on it does not wait any longer, in nanoseconds of `bpf_ktime_get_ns`.
    pub deadline: u64,
}

/// Where a gate stands. Times are nanoseconds of `bpf_ktime_get_ns`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateState {
    /// When the next frames may leave.
    pub next: u64,
    /// When the queue was full the last time; 0: never.
    pub full_at: u64,
    /// Frames that the driver had taken then.
    pub full_taken: u64,
    /// Refusals with hardly a frame taken between them, less the first one.
    pub streak: u64,
    /// When the first one was.
    pub streak_at: u64,
    /// Frames that the driver had taken then.
    pub streak_taken: u64,
    /// Measurements since the last one at full speed.
    pub measured: u64,
    /// 1: what the driver refuses, it does not refuse for want of room, and the gate is open.
    pub blocked: u64,
    /// What it believes of the link.
    pub belief: GateBelief,
    /// What it believed before the streak.
    pub before: GateBelief,
}

/// What a gate believes of its link, and what it tries. Gaps are nanoseconds a frame, shifted left
/// by [`GAP_SHIFT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateBelief {
    /// The gap at which the link takes frames; 0: not known.
    pub estimate: u64,
    /// The first steps differ from the estimate by this part of it: a power of two.
    pub divisor: u64,
    /// The gap that is kept now; 0: the gate is open.
    pub gap: u64,
    /// The step at hand: 0 is slower than the estimate, all others are faster, each more so.
    pub step: u64,
    /// Frames until the next step.
    pub left: u64,
    /// 1: the worker had to wait in the step at hand.
    pub waits: u64,
}

/// The fraction bits of a gap.
pub const GAP_SHIFT: u32 = 10;

const _: () = assert!(size_of::<Gate>() == 184);
