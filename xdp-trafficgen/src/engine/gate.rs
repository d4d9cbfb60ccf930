//! What a worker without a rate asks of its gate: how long it waits in a call and between calls, and
//! how large batches are. Pure: times are arguments.

use xdp_trafficgen_ebpf::abi::{GAP_SHIFT, Gate};

use crate::{
    plan::PortPlan,
    units::{FrameLen, Nanos},
};

/// A gate waits in a call until this long after the call began, at most. A call is meant to take
/// 5 ms; only a link that stops in mid-call makes it as long as this, and a stop waits for it.
const PATIENCE: u64 = 100_000_000;

/// How far a flow's end by time may be exceeded.
const GRACE: u64 = 5_000_000;

/// Softirqs are held off while a batch is under way, in nanoseconds: a receiver on the same CPU waits
/// as long, and a driver whose interrupts come there frees no entry of its ring.
const LONGEST_BATCH: u64 = 100_000;

/// The largest batch behind a full queue: a ring of 256 entries, a veth's, holds four.
const LARGEST_BATCH: u32 = 64;

/// Frames of a call to a link so slow that the worker sleeps between calls, and how long such a call's
/// frames keep the link busy at least.
const SLOW_CALL: u32 = 16;
const SLOW_CALL_NS: u64 = 1_250_000;

/// Frames that may leave later than in this time are waited for by sleeping.
const FAR: u64 = 200_000;

/// A driver that takes no frame for so long does not refuse them for want of room.
const GIVE_UP: u64 = 1_000_000_000;

/// How a worker makes its next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Frames of a batch.
    pub(super) batch: u32,
    /// Repetitions at most.
    pub(super) most: u32,
    /// The time from which on the gate does not wait any longer.
    pub(super) deadline: u64,
}

/// The first gap that a gate keeps, of a port whose link has a known speed: that of its smallest
/// frames, with which a worker has its share of the link. In the unit of gates.
pub(super) fn nominal_gap(port: &PortPlan) -> Option<u64> {
    let smallest = port.flows.iter().map(|flow| flow.smallest).min()?;
    let rate = FrameLen::new(smallest).on_wire().line_rate(port.line_rate?);
    let gap = rate.gap_ns().to_f64() * port.cpus.len() as f64 * f64::from(1u32 << GAP_SHIFT);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest that there is"
    )]
    let gap = gap as u64;
    Some(gap)
}

/// Until when to sleep before the next call; none when frames may leave soon.
pub(super) fn sleep(gate: &Gate, now: u64) -> Option<u64> {
    Some(gate.state.next).filter(|&next| gate.spec.used != 0 && next > now.saturating_add(FAR))
}

/// The next call at `now`, of a worker with batches of `batch_size` and flows that end at `end`.
pub(super) fn call(gate: &Gate, batch_size: u32, now: u64, end: Option<Nanos>) -> Call {
    let gap = gate.state.belief.gap;
    let end = end.map_or(u64::MAX, |end| end.get().saturating_add(GRACE));
    let deadline = now.saturating_add(PATIENCE).min(end);
    if gate.spec.used == 0 || gate.refused == 0 && gap == 0 {
        return Call { batch: batch_size, most: u32::MAX, deadline };
    }
    let most = batch_size.min(LARGEST_BATCH);
    let gap_ns = gap >> GAP_SHIFT;
    if u64::from(SLOW_CALL) * gap_ns >= SLOW_CALL_NS {
        return Call { batch: most.min(SLOW_CALL), most: SLOW_CALL, deadline: now };
    }
    let frames = LONGEST_BATCH.checked_div(gap_ns).unwrap_or(u64::MAX);
    let fits = u32::try_from(frames).unwrap_or(u32::MAX).max(1);
    Call { batch: (1 << fits.ilog2()).min(most), most: u32::MAX, deadline }
}

/// Learns whether a link takes frames at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// When the driver last took a frame.
    last: u64,
}

impl Progress {
    pub(super) const fn begin(now: u64) -> Self {
        Self { last: now }
    }

    /// Learns from a call that ended at `now`: whether the driver took a frame of it.
    pub(super) const fn learn(&mut self, now: u64, took_any: bool) {
        if took_any {
            self.last = now;
        }
    }

    /// Whether the driver has refused every frame for so long that waiting for room is in vain.
    pub(super) const fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.last) > GIVE_UP
    }
}
