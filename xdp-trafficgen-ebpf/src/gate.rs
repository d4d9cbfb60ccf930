//! Back-pressure: how a worker without a rate sends as fast as its link takes frames, and loses next
//! to none to a full queue.
//!
//! A driver says nothing of the room in its queue; it refuses what does not fit. At two refusals the
//! queue was full both times, so the frames taken in between are the frames that the link took: an
//! exact measurement of its rate, if the queue never ran empty. After each one the gate first lets a
//! part of the queue drain, then sends a little slower than the link for a while and a little
//! faster thereafter, until the queue is full again. With steps of 1/128 that costs one
//! bulk in some 20 000 frames, and the queue never runs empty.
//!
//! Steps follow the precision of what was measured: short measurements are coarse, so their steps
//! are large and soon over. A gate that meets no refusal goes on to larger and larger steps, and
//! opens in the end: a link that outruns its worker costs nothing.

use crate::abi::{GAP_SHIFT, Gate, GateBelief, GateSpec, GateState};

/// Links take frames in lumps, a veth 64 of them.
const LUMP: u64 = 64;
/// Measurements of fewer frames than this say nothing.
const FEW: u64 = 2 * LUMP;
/// Frames that leave the queue before the first ones after a refusal: a part of the smallest common
/// queue, 256.
const ROOM: u64 = 128;
/// Further frames that leave the queue in the slow step: 64 are left in it then.
const DRAIN: u64 = 64;
/// Frames that a worker which comes late may send at once: about as many as a small queue had left
/// when the worker stopped.
const CREDIT: u64 = 192;
/// A gap to begin with when a queue is full and nothing is known of its link: 0.5 µs.
const UNKNOWN: u64 = 500 << GAP_SHIFT;
/// No worker makes frames with smaller gaps: the gate is open.
const SMALLEST: u64 = 16 << GAP_SHIFT;
/// The largest gap, 4 ms: no link is slower than 250 frames a second. A driver that takes fewer does
/// not refuse frames for want of room: a veth refuses frames above its peer's MTU in the same way.
const LARGEST: u64 = 4_000_000 << GAP_SHIFT;
/// The smallest and the largest divisor.
const COARSE: u64 = 8;
const FINE: u64 = 128;
/// Measurements of more frames than this have few refusals.
const LONG: u64 = 2048;
/// After so many measurements, a short one at full speed tells what the link takes at its best.
const PROBE: u64 = 16;
/// Refusals in a row from which on the link is believed to have become slower at once.
const LONG_STREAK: u64 = 16;
/// Refusals in a row never double the wait more often, nor beyond this, in nanoseconds, if a link is
/// known, or else beyond that. A receiver whose CPU is busy with other work has its frames in slices of
/// a few milliseconds, none of which is to be missed.
const MOST_DOUBLINGS: u64 = 12;
const LONGEST_WAIT: u64 = 400_000;
const LONGEST_FIRST_WAIT: u64 = 8_000_000;
/// Frames of the shortest step.
const SHORT_STEP: u64 = 256;
/// The last step: faster than its worker, and long, because a link that is only a little slower than
/// the worker fills its queue slowly.
const LAST: u64 = 64;
const LAST_STEP: u64 = 16_384;

impl Gate {
    /// A gate for a link of which only its nominal gap is known, if anything.
    pub fn new(nominal: Option<u64>, now: u64) -> Self {
        let estimate = nominal.unwrap_or(0);
        let belief = GateBelief {
            estimate,
            divisor: FINE,
            gap: estimate,
            step: 1,
            left: (ROOM + DRAIN) * FINE,
            waits: 0,
        };
        Self {
            spec: GateSpec { used: 1, deadline: 0 },
            state: GateState { next: now, belief, before: belief, ..GateState::default() },
            ..Self::default()
        }
    }
}

/// Learns that the driver refused frames of a bulk at `now`, for want of room, when it had taken
/// `taken` in all.
#[inline(always)]
pub fn refused(state: &mut GateState, taken: u64, now: u64) {
    if state.blocked != 0 {
        return;
    }
    let frames = taken.wrapping_sub(state.full_taken);
    if state.full_at == 0 {
        // How long it took to fill the queue says little: it may be deep.
        if state.belief.estimate != 0 {
            slower(&mut state.belief);
        }
        state.before = state.belief;
        begin_streak(state, taken, now);
    } else if frames >= FEW {
        state.before = state.belief;
        measure(state, frames, now - state.full_at);
        begin_streak(state, taken, now);
    } else {
        state.streak += 1;
        if state.streak == 1 {
            // Hardly any frame was taken since the last refusal: the receiver stands still for a
            // moment, and is as fast as before when it goes on.
            state.belief = state.before;
        }
        let frames = taken.wrapping_sub(state.streak_taken);
        if frames >= FEW {
            // It did not stand still, it is slow.
            measure(state, frames, now - state.streak_at);
            state.before = state.belief;
            begin_streak(state, taken, now);
        }
    }
    (state.full_at, state.full_taken) = (now, taken);
    if state.blocked != 0 {
        state.next = now;
        return;
    }
    let gap = if state.belief.estimate == 0 { UNKNOWN } else { state.belief.estimate };
    let room = (ROOM * gap) >> GAP_SHIFT;
    let doubled = if state.streak < MOST_DOUBLINGS { state.streak } else { MOST_DOUBLINGS };
    let wait = room << doubled;
    let longest = match state.belief.estimate {
        0 => LONGEST_FIRST_WAIT,
        _ if room > LONGEST_WAIT => room,
        // A receiver that is away for longer than a slice may be away for long.
        _ if state.streak >= LONG_STREAK => 4 * LONGEST_WAIT,
        _ => LONGEST_WAIT,
    };
    state.next = now + if wait < longest { wait } else { longest };
}

#[inline(always)]
fn begin_streak(state: &mut GateState, taken: u64, now: u64) {
    (state.streak_at, state.streak_taken, state.streak) = (now, taken, 0);
}

/// The link took so many frames, at least [`FEW`], in so many nanoseconds, from one full queue to
/// the next.
#[inline(always)]
fn measure(state: &mut GateState, frames: u64, took: u64) {
    let belief = &mut state.belief;
    let mut estimate = part_of(took << GAP_SHIFT, frames);
    let passed = passed_gap(belief);
    if estimate > passed {
        estimate = passed;
    }
    // Steps are as fine as the measurement, and as what it took to fill the queue.
    let finest = if belief.step > 2 && belief.step != LAST {
        belief.divisor >> (belief.step - 2)
    } else {
        FINE
    };
    let mut divisor = COARSE;
    for finer in [2 * COARSE, 4 * COARSE, 8 * COARSE, FINE] {
        if finer <= finest && finer * DRAIN <= frames {
            divisor = finer;
        }
    }
    // A mean has the moments in which the receiver stood still, and is never above what was sent: so
    // an estimate becomes slower in small parts, unless refusals follow each other closely.
    let part = if frames >= LONG { FINE } else { divisor / 2 };
    let most = belief.estimate + part_of(belief.estimate, part);
    if belief.estimate != 0 && state.streak < LONG_STREAK && estimate > most {
        estimate = most;
    }
    if belief.step == LAST && belief.estimate != 0 {
        // A short measurement is coarse: the link is as fast as this at least.
        estimate += part_of(estimate * LUMP, frames);
        if estimate > belief.estimate {
            estimate = belief.estimate;
        }
    }
    state.measured += 1;
    if estimate > LARGEST {
        (state.blocked, state.streak) = (1, 0);
        *belief = GateBelief::default();
        return;
    }
    belief.estimate = if estimate < SMALLEST { SMALLEST } else { estimate };
    if belief.step != LAST {
        belief.divisor = divisor;
    }
    slower(belief);
    if state.measured >= PROBE {
        state.measured = 0;
        // As fast as the worker can until the queue is full: what the link takes at its best.
        state.before = *belief;
        (belief.step, belief.left, belief.gap) = (LAST, LAST_STEP, SMALLEST);
    }
}

/// A quotient by a number that is not zero. A program cannot panic, as `/` might.
#[inline(always)]
fn part_of(whole: u64, divisor: u64) -> u64 {
    whole.checked_div(divisor).unwrap_or(0)
}

/// Begins with the slow step.
#[inline(always)]
fn slower(belief: &mut GateBelief) {
    let GateBelief { estimate, divisor, .. } = *belief;
    belief.step = 0;
    belief.gap = estimate + part_of(estimate, divisor);
    belief.left = DRAIN * divisor;
    belief.waits = 0;
}

/// A gap at which frames have left without filling the queue; without bound where none is known.
/// What the step before this one added may still have been in the queue, so it is the one before.
#[inline(always)]
fn passed_gap(belief: &GateBelief) -> u64 {
    if belief.estimate == 0 || belief.step < 3 || belief.step == LAST {
        u64::MAX
    } else {
        gap_of(belief, belief.step - 2)
    }
}

/// The gap of a step from 1 on.
#[inline(always)]
fn gap_of(belief: &GateBelief, step: u64) -> u64 {
    let part = belief.divisor >> (step - 1);
    if part > 1 {
        belief.estimate - part_of(belief.estimate, part)
    } else {
        // Half of the estimate, a quarter, …
        let halvings = step - belief.divisor.trailing_zeros() as u64;
        belief.estimate >> if halvings < 63 { halvings } else { 63 }
    }
}

/// Learns that the driver took all `sent` frames of a bulk at `now`.
#[inline(always)]
pub fn passed(state: &mut GateState, sent: u64, now: u64) {
    let belief = &mut state.belief;
    if belief.gap == 0 {
        return;
    }
    state.next += (sent * belief.gap) >> GAP_SHIFT;
    let credit = (CREDIT * belief.gap) >> GAP_SHIFT;
    if state.next + credit < now {
        state.next = now - credit;
    }
    if state.next > now {
        belief.waits = 1;
    }
    if belief.left > sent {
        belief.left -= sent;
        return;
    }
    if belief.step == LAST {
        // The link is faster than the worker. The next refusal begins with what the worker can do.
        (belief.estimate, belief.divisor, state.full_at) = (belief.gap, FINE, 0);
        belief.gap = 0;
        return;
    }
    if belief.step > 0 && belief.waits == 0 || belief.gap < SMALLEST {
        (belief.step, belief.left) = (LAST, LAST_STEP);
        return;
    }
    next_step(belief);
}

/// Begins the next step, which is faster.
#[inline(always)]
fn next_step(belief: &mut GateBelief) {
    belief.step += 1;
    belief.waits = 0;
    belief.gap = gap_of(belief, belief.step);
    let part = belief.divisor >> (belief.step - 1);
    belief.left = match belief.step {
        1 => 2 * ROOM * part,
        _ if part * DRAIN > SHORT_STEP => part * DRAIN,
        _ => SHORT_STEP,
    };
}

#[cfg(test)]
mod tests;
