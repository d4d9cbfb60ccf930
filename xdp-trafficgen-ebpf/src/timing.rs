//! Departure times, one after the other: pure arithmetic in whole nanoseconds and exact fractions
//! of them, so that nothing drifts.

use crate::{
    abi::timing::{
        EXPONENTIAL_BITS, EXPONENTIALS, Gap, Segment, Stream, StreamSpec, StreamState, stream_kind,
    },
    random::split_mix_64,
};

/// Where segments and random numbers come from.
pub trait Tables {
    /// An entry of the table of segments; one that does not exist is a mistake, and ends the
    /// stream.
    fn segment(&self, index: u32) -> Option<Segment>;
    /// An entry, below [`EXPONENTIALS`], of the table of exponentially distributed numbers.
    fn exponential(&self, index: u32) -> u32;
    /// Whether any stream is of this kind: what is known to be absent costs nothing.
    fn uses(&self, kind: u32) -> bool;
}

/// Whether nothing departs from a stream any more.
#[inline(always)]
pub const fn is_over(stream: &Stream) -> bool {
    stream.state.left == 0 || stream.state.due >= stream.spec.end
}

/// Moves a stream on from one departure to the next.
#[inline(always)]
pub fn advance(stream: &mut Stream, tables: &impl Tables) {
    let Stream { state, spec, .. } = stream;
    state.left = state.left.wrapping_sub((state.left != u64::MAX) as u64);
    if tables.uses(stream_kind::POISSON) && spec.kind == stream_kind::POISSON {
        let units = spec.mean.units.wrapping_mul(exponential(spec.seed, &mut state.drawn, tables));
        let rest = state.due_rest + (units & spec.mean.mask);
        state.due += (units >> (spec.mean.bits & 63)) + (rest >> (spec.mean.bits & 63));
        state.due_rest = rest & spec.mean.mask;
        return;
    }
    if tables.uses(stream_kind::SEGMENTS) && spec.kind == stream_kind::SEGMENTS {
        state.segment_left =
            state.segment_left.wrapping_sub((state.segment_left != u64::MAX) as u64);
        if state.segment_left == 0 {
            next_segment(spec, state, tables);
            return;
        }
    }
    (state.due, state.due_rest) = later((state.due, state.due_rest), &state.gap);
}

/// Moves a stream on by one to `most` departures, and gives their number. All but the first one are
/// due at `until` or before, and before the stream's end; only departures at equal distances are
/// taken together.
#[inline(always)]
pub fn take(stream: &mut Stream, most: u64, until: u64, tables: &impl Tables) -> u64 {
    // A single departure needs no division.
    let before = if most > 1 { jump(stream, most - 1, until, tables) } else { 0 };
    advance(stream, tables);
    before + 1
}

/// Counts departures that are due before `oldest` as unsent: many at once where they are at equal
/// distances, else one. Gives whether there may be more.
#[inline(always)]
pub fn skip(stream: &mut Stream, oldest: u64, tables: &impl Tables) -> bool {
    let until = if oldest < stream.spec.end { oldest } else { stream.spec.end };
    if stream.state.left == 0 || stream.state.due >= until {
        return false;
    }
    let many = jump(stream, u64::MAX, until - 1, tables);
    stream.counts.unsent += many + 1;
    advance(stream, tables);
    true
}

/// Moves a stream on by up to `most` departures, to one that is due at `until` or before, and
/// before the stream's end. Leaves at least one departure in a segment for [`advance`], which knows
/// what follows.
#[inline(always)]
fn jump(stream: &mut Stream, most: u64, until: u64, tables: &impl Tables) -> u64 {
    let Stream { state, spec, .. } = stream;
    if tables.uses(stream_kind::POISSON) && spec.kind == stream_kind::POISSON {
        return 0;
    }
    let has_segments = tables.uses(stream_kind::SEGMENTS) && spec.kind == stream_kind::SEGMENTS;
    let segment_left = if has_segments { state.segment_left } else { u64::MAX };
    let last = if until < spec.end { until } else { spec.end.wrapping_sub(1) };
    // No departure is further than this from the one before it.
    let gap = state.gap.ns + 1;
    let mut many = last.saturating_sub(state.due).checked_div(gap).unwrap_or(0);
    let room = (u64::MAX / 2).checked_div(state.gap.whole).unwrap_or(0);
    for most in [most, segment_left.wrapping_sub(1), state.left.wrapping_sub(1), room] {
        many = if many < most { many } else { most };
    }
    let parts = state.due_rest.wrapping_add(many.wrapping_mul(state.gap.rest));
    let carry = parts.checked_div(state.gap.whole).unwrap_or(0);
    state.due += many.wrapping_mul(state.gap.ns).wrapping_add(carry);
    state.due_rest = parts.wrapping_sub(carry.wrapping_mul(state.gap.whole));
    state.segment_left =
        if segment_left == u64::MAX { state.segment_left } else { segment_left.wrapping_sub(many) };
    state.left = if state.left == u64::MAX { u64::MAX } else { state.left.wrapping_sub(many) };
    many
}

/// A time and its rest, moved on by a gap.
#[inline(always)]
const fn later((time, rest): (u64, u64), gap: &Gap) -> (u64, u64) {
    let rest = rest + gap.rest;
    let carry = rest >= gap.whole;
    (time + gap.ns + carry as u64, if carry { rest - gap.whole } else { rest })
}

#[inline(always)]
fn next_segment(spec: &StreamSpec, state: &mut StreamState, tables: &impl Tables) {
    state.segment += 1;
    if state.segment >= spec.segment_end {
        if spec.period.ns == 0 {
            state.left = 0;
            return;
        }
        state.segment = spec.first_segment;
        (state.period_start, state.period_start_rest) =
            later((state.period_start, state.period_start_rest), &spec.period);
    }
    match tables.segment(state.segment) {
        Some(segment) => {
            let start = state.period_start + segment.start;
            let period_rest =
                Gap { ns: 0, rest: state.period_start_rest, whole: segment.gap.whole };
            (state.due, state.due_rest) = later((start, segment.rest), &period_rest);
            state.gap = segment.gap;
            state.segment_left = segment.frames;
        }
        None => state.left = 0,
    }
}

/// The next exponentially distributed number, of mean 1, with [`EXPONENTIAL_BITS`] fractional bits:
/// its logarithm's table is looked up by the upper bits of a random number, and the lower ones
/// choose a point between two entries. Below the first entry the distribution starts again, for it
/// has no memory.
#[inline(always)]
fn exponential(seed: u64, drawn: &mut u64, tables: &impl Tables) -> u64 {
    const BITS: u32 = EXPONENTIALS.trailing_zeros();
    let mut sum = 0;
    // Another round comes once in 4096 times; the fifth, in about 10^18.
    for _ in 0..4 {
        let random = split_mix_64(seed, *drawn);
        *drawn += 1;
        let index = (random >> (64 - BITS)) as u32;
        let fraction = (random >> (64 - BITS - 32)) & 0xffff_ffff;
        // The entry of index 1: where the table begins.
        if index == 0 {
            sum += u64::from(tables.exponential(1));
            continue;
        }
        let upper = u64::from(tables.exponential(index));
        let lower = if index as usize + 1 == EXPONENTIALS {
            0
        } else {
            u64::from(tables.exponential(index + 1))
        };
        return sum + lower + ((upper.wrapping_sub(lower)).wrapping_mul(fraction) >> 32);
    }
    sum
}

const _: () = assert!(
    EXPONENTIAL_BITS <= 28,
    "a number of 30 or so must fit 2^30 units with room for its gap"
);
