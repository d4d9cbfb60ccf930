//! Which stream of a worker is due when: a hierarchical timing wheel (G. Varghese and T. Lauck,
//! SOSP 1987).
//!
//! Near departures are in buckets of 64 ns, later ones in buckets of 2.1 ms, and the last ones in
//! buckets of 8.6 s. A bucket of one level is half of the level below, so each level holds the half
//! that time goes through and the next one: while time goes through a half, the streams of the
//! bucket after the next half come down, one at each step, and none has to wait for all of them. A
//! stream comes down once a level, whatever its rate. Time without streams is stepped over, by
//! buckets of the last level where there are no others, so that a worker that lags is soon where
//! the streams are: after a day, in 10 000 steps.

use crate::abi::timing::{Calendar, FAR_BITS, MIDDLE_BITS, NEAR_BITS, NEAR_BUCKETS, Stream};

/// A worker's streams, by their number.
pub trait StreamTable {
    /// The stream with this number.
    fn stream(&mut self, number: u32) -> Option<&mut Stream>;
}

/// What a step through the calendar found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStream {
    /// This stream is next; it is taken out.
    Stream(u32),
    /// No stream yet: another step is needed.
    Nothing,
}

/// From buckets of the nearest level to those of the one behind it, and from those to the last
/// level's: shifts.
const TO_MIDDLE: u32 = MIDDLE_BITS - NEAR_BITS;
const TO_FAR: u32 = FAR_BITS - MIDDLE_BITS;

/// Puts a stream into the calendar, at the earliest time its next frame may leave; an overdue
/// stream, where it is found next.
#[inline(always)]
pub fn insert(calendar: &mut Calendar, number: u32, stream: &mut Stream) {
    let near = stream.state.earliest >> NEAR_BITS;
    let near = if near < calendar.cursor { calendar.cursor } else { near };
    let (middle, now) = (near >> TO_MIDDLE, calendar.cursor >> TO_MIDDLE);
    stream.state.next_in_bucket = if middle <= now + 1 {
        let before = exchange(&mut calendar.near, near, number + 1);
        mark(calendar, near);
        before
    } else if middle >> TO_FAR <= (now >> TO_FAR) + 1 {
        calendar.in_middle += 1;
        exchange(&mut calendar.middle, middle, number + 1)
    } else {
        exchange(&mut calendar.far, middle >> TO_FAR, number + 1)
    };
}

/// Takes one step through the calendar: to the next bucket with streams or over the rest of a
/// half, or to the next stream of a bucket. A step brings down a stream of a later level, too.
#[inline(always)]
pub fn look(calendar: &mut Calendar, streams: &mut impl StreamTable) -> NextStream {
    come_down(calendar, streams);
    let cursor = calendar.cursor;
    // The heads of this bucket and those behind it in its word.
    let heads = calendar.near[word_of(cursor)] >> (cursor % 4 * 16);
    if heads == 0 {
        move_on(calendar);
        return NextStream::Nothing;
    }
    let cursor = cursor + u64::from(lowest_bit(heads) / 16);
    calendar.cursor = cursor;
    let number = u32::from(head(&calendar.near, cursor)).wrapping_sub(1);
    let Some(stream) = streams.stream(number) else {
        // A mistake; the streams behind this one are lost with it.
        exchange(&mut calendar.near, cursor, 0);
        return NextStream::Nothing;
    };
    exchange(&mut calendar.near, cursor, stream.state.next_in_bucket);
    stream.state.next_in_bucket = 0;
    if calendar.near[word_of(cursor)] == 0 {
        unmark(calendar, cursor);
    }
    NextStream::Stream(number)
}

/// Moves the cursor to the next word with streams, or to the end of the half, as soon as what is
/// behind it has come down.
#[inline(always)]
fn move_on(calendar: &mut Calendar) {
    let word = calendar.cursor / 4;
    let end = ((calendar.cursor >> TO_MIDDLE) + 1) << TO_MIDDLE;
    let marks = *marks_at(calendar, word) >> (word % 64) & !1;
    if marks != 0 {
        calendar.cursor = (word + u64::from(lowest_bit(marks))) * 4;
        return;
    }
    let block = word / 64;
    let blocks = *blocks_at(calendar, block) >> (block % 64) & !1;
    let next =
        if blocks != 0 { block + u64::from(lowest_bit(blocks)) } else { (block / 64 + 1) * 64 };
    if next * 256 < end {
        calendar.cursor = next * 256;
        return;
    }
    let is_empty = calendar.in_middle | calendar.to_middle | any(&calendar.blocks) == 0;
    let middle = if is_empty {
        // Nothing is due before the second of the next buckets of the last level.
        ((calendar.cursor >> TO_MIDDLE >> TO_FAR) + 1) << TO_FAR
    } else {
        end >> TO_MIDDLE
    };
    let enters_far = middle & ((1 << TO_FAR) - 1) == 0;
    if calendar.to_near != 0 || enters_far && calendar.to_middle != 0 {
        return;
    }
    calendar.cursor = middle << TO_MIDDLE;
    calendar.to_near = u64::from(exchange(&mut calendar.middle, middle + 1, 0));
    if enters_far {
        calendar.to_middle = u64::from(exchange(&mut calendar.far, (middle >> TO_FAR) + 1, 0));
    }
}

/// All bits that are set in any of the words.
#[inline(always)]
const fn any(words: &[u64; NEAR_BUCKETS / 256 / 64]) -> u64 {
    words[0] | words[1] | words[2] | words[3]
}

/// Brings a stream down by a level, if one is on its way.
#[inline(always)]
fn come_down(calendar: &mut Calendar, streams: &mut impl StreamTable) {
    let from_middle = calendar.to_near != 0;
    let way = if from_middle { &mut calendar.to_near } else { &mut calendar.to_middle };
    let number = (*way as u32).wrapping_sub(1);
    if *way == 0 {
        return;
    }
    let Some(stream) = streams.stream(number) else {
        *way = 0;
        return;
    };
    *way = u64::from(stream.state.next_in_bucket);
    calendar.in_middle -= u64::from(from_middle);
    insert(calendar, number, stream);
}

/// The word with the head of a nearest bucket.
#[inline(always)]
const fn word_of(bucket: u64) -> usize {
    (bucket / 4) as usize % (NEAR_BUCKETS / 4)
}

/// The first stream of a bucket, plus one; 0: none.
#[inline(always)]
const fn head<const WORDS: usize>(heads: &[u64; WORDS], bucket: u64) -> u16 {
    (heads[(bucket / 4) as usize % WORDS] >> (bucket % 4 * 16)) as u16
}

/// Sets the first stream of a bucket, plus one, and gives the one before.
#[inline(always)]
const fn exchange<const WORDS: usize>(heads: &mut [u64; WORDS], bucket: u64, to: u32) -> u32 {
    let before = head(heads, bucket);
    let shift = bucket % 4 * 16;
    let word = &mut heads[(bucket / 4) as usize % WORDS];
    *word = *word & !(0xffff << shift) | (to as u16 as u64) << shift;
    before as u32
}

/// Marks the word of a nearest bucket as one that has streams.
#[inline(always)]
const fn mark(calendar: &mut Calendar, bucket: u64) {
    let word = bucket / 4;
    *marks_at(calendar, word) |= 1 << (word % 64);
    let block = word / 64;
    *blocks_at(calendar, block) |= 1 << (block % 64);
}

/// Takes the mark back.
#[inline(always)]
const fn unmark(calendar: &mut Calendar, bucket: u64) {
    let word = bucket / 4;
    let marks = marks_at(calendar, word);
    *marks &= !(1 << (word % 64));
    if *marks == 0 {
        let block = word / 64;
        *blocks_at(calendar, block) &= !(1 << (block % 64));
    }
}

/// The marks of the 64 words around this one.
#[inline(always)]
const fn marks_at(calendar: &mut Calendar, word: u64) -> &mut u64 {
    &mut calendar.used[(word / 64) as usize % (NEAR_BUCKETS / 256)]
}

/// The marks of the 64 blocks around this one: a block is 64 words.
#[inline(always)]
const fn blocks_at(calendar: &mut Calendar, block: u64) -> &mut u64 {
    &mut calendar.blocks[(block / 64) as usize % (NEAR_BUCKETS / 256 / 64)]
}

/// The number of the lowest bit that is set, of a word that is not zero: the bits below it,
/// counted in parallel, because eBPF has no instruction for it.
#[inline(always)]
const fn lowest_bit(word: u64) -> u32 {
    let below = (word & word.wrapping_neg()).wrapping_sub(1);
    let pairs = below - (below >> 1 & 0x5555_5555_5555_5555);
    let fours = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let bytes = (fours + (fours >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    (bytes.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32
}

#[cfg(test)]
mod tests {
    use super::lowest_bit;

    #[test]
    fn the_lowest_bit_is_the_trailing_zeros() {
        for bit in 0..64 {
            for above in [0, 0x8000_0000_0000_0000, u64::MAX, 0x1234_5678_9abc_def0] {
                let word = (above | 1) << bit;
                assert_eq!(lowest_bit(word), word.trailing_zeros(), "{word:x}");
            }
        }
    }
}
