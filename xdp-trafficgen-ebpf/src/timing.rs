//! Departure times, one after the other: pure arithmetic in whole nanoseconds and exact fractions of them, so that nothing
//! drifts, and the calendar in which the streams of several flows take turns.

use crate::{
    abi::timing::{
        BUCKET_BITS, BUCKETS, Calendar, Departures, EXPONENTIAL_BITS, EXPONENTIALS, Segment, departures as kinds,
    },
    field::split_mix_64,
};

/// Where segments and random numbers come from.
pub trait Tables {
    /// An entry of the table of segments; one that does not exist is a mistake, and ends the stream.
    fn segment(&self, index: u32) -> Option<Segment>;
    /// An entry, below [`EXPONENTIALS`], of the table of exponentially distributed numbers.
    fn exponential(&self, index: u32) -> u32;
    /// Whether any stream is of this kind: what is known to be absent costs nothing.
    fn uses(&self, kind: u32) -> bool;
}

/// Whether nothing departs from a stream any more.
#[inline(always)]
pub const fn is_over(stream: &Departures) -> bool {
    stream.left == 0 || stream.due >= stream.end
}

/// Moves a stream on from one departure to the next.
#[inline(always)]
pub fn advance(stream: &mut Departures, tables: &impl Tables) {
    stream.left = stream.left.wrapping_sub((stream.left != u64::MAX) as u64);
    if tables.uses(kinds::POISSON) && stream.kind == kinds::POISSON {
        let units = stream.gap.ns.wrapping_mul(exponential(stream, tables));
        let rest = stream.rest + (units & (stream.gap.whole - 1));
        stream.due += (units >> (stream.gap.rest & 63)) + (rest >> (stream.gap.rest & 63));
        stream.rest = rest & (stream.gap.whole - 1);
        return;
    }
    if tables.uses(kinds::SEGMENTS) && stream.kind == kinds::SEGMENTS {
        stream.run = stream.run.wrapping_sub((stream.run != u64::MAX) as u64);
        if stream.run == 0 {
            next_segment(stream, tables);
            return;
        }
    }
    (stream.due, stream.rest) = later(stream.due, stream.rest, stream.gap.ns, stream.gap.rest, stream.gap.whole);
}

/// Moves a stream on by up to `most` departures, which are all due at `until` or before and before the stream's end, as far as
/// they are at equal distances; by one at least. Gives their number.
#[inline(always)]
pub fn take(stream: &mut Departures, most: u64, until: u64, tables: &impl Tables) -> u64 {
    // Spares a single one the divisions.
    let before = if most > 1 { jump(stream, most - 1, until, tables) } else { 0 };
    advance(stream, tables);
    before + 1
}

/// Gives up departures that are due before `oldest`: many of those at equal distances at once, others one by one. Whether there
/// may be more.
#[inline(always)]
pub fn skip(stream: &mut Departures, oldest: u64, tables: &impl Tables) -> bool {
    let until = if oldest < stream.end { oldest } else { stream.end };
    if stream.left == 0 || stream.due >= until {
        return false;
    }
    let many = jump(stream, u64::MAX, until - 1, tables);
    stream.skipped += many + 1;
    advance(stream, tables);
    true
}

/// Moves a stream on by as many departures as are certain to leave it at one that is due at `until` or before, and before the
/// stream's end; `most` at most. One is always left in a segment for [`advance`], which knows what follows.
#[inline(always)]
fn jump(stream: &mut Departures, most: u64, until: u64, tables: &impl Tables) -> u64 {
    if tables.uses(kinds::POISSON) && stream.kind == kinds::POISSON {
        return 0;
    }
    let run = if tables.uses(kinds::SEGMENTS) && stream.kind == kinds::SEGMENTS { stream.run } else { u64::MAX };
    let last = if until < stream.end { until } else { stream.end.wrapping_sub(1) };
    // None is further than this from the one before it.
    let gap = stream.gap.ns + 1;
    let mut many = last.saturating_sub(stream.due).checked_div(gap).unwrap_or(0);
    let room = (u64::MAX / 2).checked_div(stream.gap.whole).unwrap_or(0);
    for most in [most, run.wrapping_sub(1), stream.left.wrapping_sub(1), room] {
        many = if many < most { many } else { most };
    }
    let parts = stream.rest.wrapping_add(many.wrapping_mul(stream.gap.rest));
    let carry = parts.checked_div(stream.gap.whole).unwrap_or(0);
    stream.due += many.wrapping_mul(stream.gap.ns).wrapping_add(carry);
    stream.rest = parts.wrapping_sub(carry.wrapping_mul(stream.gap.whole));
    stream.run = if run == u64::MAX { stream.run } else { run.wrapping_sub(many) };
    stream.left = if stream.left == u64::MAX { u64::MAX } else { stream.left.wrapping_sub(many) };
    many
}

/// A time and its rest, moved on by a gap.
#[inline(always)]
const fn later(time: u64, rest: u64, ns: u64, gap_rest: u64, whole: u64) -> (u64, u64) {
    let rest = rest + gap_rest;
    let carry = rest >= whole;
    (time + ns + carry as u64, if carry { rest - whole } else { rest })
}

#[inline(always)]
fn next_segment(stream: &mut Departures, tables: &impl Tables) {
    stream.segment += 1;
    if stream.segment >= stream.segment_end {
        if stream.period.ns == 0 {
            stream.left = 0;
            return;
        }
        stream.segment = stream.first_segment;
        let period = stream.period;
        (stream.period_start, stream.period_rest) =
            later(stream.period_start, stream.period_rest, period.ns, period.rest, period.whole);
    }
    match tables.segment(stream.segment) {
        Some(segment) => {
            let start = stream.period_start + segment.start;
            (stream.due, stream.rest) = later(start, segment.rest, 0, stream.period_rest, segment.gap.whole);
            stream.gap = segment.gap;
            stream.run = segment.frames;
        }
        None => stream.left = 0,
    }
}

/// The next exponentially distributed number, of mean 1, with [`EXPONENTIAL_BITS`] fractional bits: its logarithm's table is
/// looked up by the upper bits of a random number, and the lower ones choose a point between two entries. Below the first
/// entry the distribution starts again, for it has no memory.
#[inline(always)]
fn exponential(stream: &mut Departures, tables: &impl Tables) -> u64 {
    const BITS: u32 = EXPONENTIALS.trailing_zeros();
    let mut sum = 0;
    // Another round comes once in 4096 times; the fifth, in about 10^18.
    for _ in 0..4 {
        let random = split_mix_64(stream.seed, stream.drawn);
        stream.drawn += 1;
        let index = (random >> (64 - BITS)) as u32;
        let fraction = (random >> (64 - BITS - 32)) & 0xffff_ffff;
        // The entry of index 1: where the table begins.
        if index == 0 {
            sum += u64::from(tables.exponential(1));
            continue;
        }
        let upper = u64::from(tables.exponential(index));
        let lower = if index as usize + 1 == EXPONENTIALS { 0 } else { u64::from(tables.exponential(index + 1)) };
        return sum + lower + ((upper.wrapping_sub(lower)).wrapping_mul(fraction) >> 32);
    }
    sum
}

const _: () = assert!(EXPONENTIAL_BITS <= 28, "a number of 30 or so must fit 2^30 units with room for its gap");

/// A worker's streams, by their number.
pub trait Streams {
    /// The stream with this number.
    fn stream(&mut self, number: u32) -> Option<&mut Departures>;
}

/// What a look into the calendar found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStream {
    /// This stream is next; it is taken out.
    Stream(u32),
    /// Not yet: look again.
    Nothing,
}

/// The bucket of a time, counted from the start of the session.
#[inline(always)]
const fn bucket(time: u64) -> u64 {
    time >> BUCKET_BITS
}

/// Puts a stream into the calendar, at the time it may leave at; one that is overdue, where it is found next.
#[inline(always)]
pub fn insert(calendar: &mut Calendar, number: u32, stream: &mut Departures) {
    // It may come to stand before what was looked at already.
    calendar.at = 0;
    let at = bucket(stream.at);
    let at = if at < calendar.cursor { calendar.cursor } else { at };
    stream.link = head(calendar, at);
    set_head(calendar, at, number + 1);
}

/// Takes one step through the calendar: over up to 256 empty buckets, or to the next stream of a bucket.
#[inline(always)]
pub fn look(calendar: &mut Calendar, streams: &mut impl Streams) -> NextStream {
    let cursor = calendar.cursor;
    if calendar.at == 0 {
        if *used(calendar, cursor) == 0 {
            calendar.cursor = (cursor | 0xff) + 1;
            return NextStream::Nothing;
        }
        if *word(calendar, cursor) == 0 {
            calendar.cursor = (cursor | 3) + 1;
            return NextStream::Nothing;
        }
        calendar.before = 0;
        calendar.at = head(calendar, cursor);
        if calendar.at == 0 {
            calendar.cursor += 1;
            return NextStream::Nothing;
        }
    }
    let number = calendar.at.wrapping_sub(1);
    let Some(stream) = streams.stream(number) else {
        calendar.at = 0;
        calendar.cursor += 1;
        return NextStream::Nothing;
    };
    let link = stream.link;
    if bucket(stream.at) > calendar.cursor {
        // In a later round.
        calendar.before = calendar.at;
        calendar.at = link;
        if link == 0 {
            calendar.cursor += 1;
        }
        return NextStream::Nothing;
    }
    stream.link = 0;
    match calendar.before.checked_sub(1) {
        None => set_head(calendar, cursor, link),
        Some(before) => {
            if let Some(before) = streams.stream(before) {
                before.link = link;
            }
        }
    }
    // Begin with this bucket anew: it may get another stream.
    calendar.at = 0;
    NextStream::Stream(number)
}

/// The word with the head of a bucket.
#[inline(always)]
const fn word(calendar: &mut Calendar, bucket: u64) -> &mut u64 {
    &mut calendar.heads[(bucket / 4) as usize % (BUCKETS / 4)]
}

/// The first stream of a bucket, plus one; 0: none.
#[inline(always)]
const fn head(calendar: &mut Calendar, bucket: u64) -> u32 {
    (*word(calendar, bucket) >> (bucket % 4 * 16)) as u16 as u32
}

#[inline(always)]
const fn set_head(calendar: &mut Calendar, bucket: u64, head: u32) {
    let shift = bucket % 4 * 16;
    let word = word(calendar, bucket);
    *word = *word & !(0xffff << shift) | (head as u16 as u64) << shift;
    let empty = *word == 0;
    let bit = 1 << (bucket / 4 % 64);
    let used = used(calendar, bucket);
    *used = if empty { *used & !bit } else { *used | bit };
}

/// Which of the 64 words around a bucket's have streams.
#[inline(always)]
const fn used(calendar: &mut Calendar, bucket: u64) -> &mut u64 {
    &mut calendar.used[(bucket / 256) as usize % (BUCKETS / 256)]
}
