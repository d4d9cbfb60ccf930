//! What varies in a flow, and the checksums that follow it: slots of a group, and their numbers in
//! each flow.

use super::{MAX_CHECKSUMS, Word128};

/// How a value moves on from frame to frame, and with it what its [`Param`] holds.
pub mod kind {
    /// A [`super::Counter`] that grows by `advance`; above `limit` it falls back by `span`.
    pub const UP: u32 = 0;
    /// A [`super::Counter`] that shrinks by `advance`; below `limit` it rises by `span`.
    pub const DOWN: u32 = 1;
    /// Entry `first_entry + index` of the value table; the index is a [`super::Counter`] that moves
    /// as in `UP`.
    pub const LIST: u32 = 2;
    /// A [`super::RandomRange`]: `base + (random & span)`, where the number of values is a power of
    /// two.
    pub const RANDOM_MASK: u32 = 3;
    /// A [`super::RandomRange`]: `base + (high half of random · span) / 2³²`, where there are fewer
    /// than 2³² values.
    pub const RANDOM_SCALE_32: u32 = 4;
    /// A [`super::RandomRange`]: `base + random · span / 2⁶⁴`, or `/ 2¹²⁸` for a wide field.
    pub const RANDOM_SCALE: u32 = 5;
    /// A [`super::Follower`]: `base + index · step`, where the index is that of the last
    /// [`super::op::LEAD`].
    pub const FOLLOW: u32 = 6;
    /// Entry `first_entry + index` of the value table, where the index is that of the last
    /// [`super::op::LEAD`].
    pub const FOLLOW_LIST: u32 = 7;
    /// Added to one of the above: value or step need more than [`super::NARROW_BITS`] bits.
    pub const WIDE: u32 = 8;
}

/// When a value that counts (`UP`, `DOWN`, `LIST`) moves on.
pub mod advance {
    /// In every frame.
    pub const FREE: u32 = 0;
    /// In every frame, and others move on when it starts again.
    pub const LEADER: u32 = 1;
    /// By `advance` in every frame, and by `round_step` more when the slot `leader` starts again.
    pub const ROUND: u32 = 2;
    /// As `ROUND`, and others move on when it starts again itself.
    pub const ROUND_LEADER: u32 = 3;
}

/// Values of up to this many bits are calculated in 64-bit registers, with room for a sign and a
/// carry.
pub const NARROW_BITS: u32 = 62;

/// What a slot does. The common cases have a number each, which spares them every other decision,
/// and with it the reads decisions are made from.
pub mod op {
    /// This slot and all behind it are unused.
    pub const END: u32 = 0;
    /// A narrow value that counts up ([`super::kind::UP`], [`super::advance::FREE`]), written as
    /// two whole bytes.
    pub const UP_2: u32 = 1;
    /// The same with four whole bytes.
    pub const UP_4: u32 = 2;
    /// Any kind, written as one whole byte.
    pub const ANY_1: u32 = 3;
    /// The same with two whole bytes.
    pub const ANY_2: u32 = 4;
    /// The same with four whole bytes.
    pub const ANY_4: u32 = 5;
    /// Anything: `(value << shift) | fixed` in `width` bytes.
    pub const GENERAL: u32 = 6;
    /// As `GENERAL`, but the bytes are shared with the next field, which stores both.
    pub const JOIN_NEXT: u32 = 7;
    /// Not written: the value is the index that the next slots follow.
    pub const LEAD: u32 = 8;
    /// Not written: the value is the frame's length, FCS not counted.
    pub const SIZE: u32 = 9;
    /// Not written: the value only counts in checksums (the part of a payload that a size leaves).
    pub const ADDEND: u32 = 10;
}

/// Checksums a value can count in.
pub const MAX_SUMS: usize = 4;

/// Instead of a checksum's number: the value counts in no more checksums.
pub const NO_SUM: u32 = MAX_CHECKSUMS as u32;

/// How a checksum is finished.
pub mod finish {
    /// A zero result is sent as it is.
    pub const PLAIN: u32 = 0;
    /// A zero result is sent as 0xffff (RFC 768, RFC 8200 section 8.1).
    pub const ZERO_IS_ONES: u32 = 1;
    /// Added to one of the above: the result is spoiled.
    pub const BAD: u32 = 2;
    /// Added to one of the above: what is covered starts on an odd byte of the frame, where values
    /// count the other way round (RFC 1071 section 2, B).
    pub const SWAPPED: u32 = 4;
}

/// One thing that varies: where its bytes are, and what it is. Its numbers are in the flow's
/// [`Param`] of the same slot.
///
/// The program writes an absolute value, never one derived from the page, which may hold the frame
/// of any earlier repetition.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// One of [`op`].
    pub op: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// One of [`advance`].
    pub advance: u32,
    /// The slot whose rounds it counts.
    pub leader: u32,
    /// First byte written, from the frame's start.
    pub offset: u32,
    /// Bytes written, 1 to 16.
    pub width: u32,
    /// Bits the value is moved up by within the written bytes.
    pub shift: u32,
    /// 1: the written bytes end on an odd byte of the frame, and count 256-fold in sums. Read for
    /// [`op::ANY_1`] and [`op::GENERAL`]; the other forms end on an even byte.
    pub odd: u32,
    /// The checksums it counts in, or [`NO_SUM`].
    pub sums: [u32; MAX_SUMS],
}

impl Field {
    /// An unused slot.
    pub const NONE: Self = Self {
        op: op::END,
        kind: 0,
        advance: 0,
        leader: 0,
        offset: 0,
        width: 0,
        shift: 0,
        odd: 0,
        sums: [NO_SUM; MAX_SUMS],
    };
}

/// The numbers of a slot that counts: [`kind::UP`], [`kind::DOWN`], and the index of
/// [`kind::LIST`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// The value, or the list's index, in the next frame.
    pub current: Word128,
    /// How much it moves from one of the worker's frames to the next.
    pub advance: Word128,
    /// The last value ([`kind::UP`]), the lowest one ([`kind::DOWN`]), or the last index
    /// ([`kind::LIST`]).
    pub limit: Word128,
    /// What a move past `limit` is set back by.
    pub span: Word128,
    /// How much it moves besides when its leader starts again ([`advance::ROUND`]).
    pub round_step: Word128,
}

/// The numbers of a slot that draws at random: [`kind::RANDOM_MASK`] and its like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RandomRange {
    /// The smallest value.
    pub base: Word128,
    /// How many values there are; for [`kind::RANDOM_MASK`] one less, which is the mask.
    pub span: Word128,
    /// Seed of the random sequence.
    pub seed: u64,
}

/// The numbers of a slot whose value goes with the index of a leader: [`kind::FOLLOW`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// The value at index 0.
    pub base: Word128,
    /// What the value grows by from one index to the next.
    pub step: Word128,
}

/// The numbers of one slot in one flow, and where it stands.
///
/// Made in the form that the slot's kind wants, and read in no other: a counter's numbers, a random
/// range or a follower's line are kept in the same place, since no slot has two of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Param {
    /// The counter. A random range has its numbers in `round_step` and `span`, a follower in
    /// `round_step` and `advance`. First, so that the four numbers that counting reads are in
    /// one cache line.
    numbers: Counter,
    /// The constant bits that share the written bytes (a VLAN tag's priority, say).
    pub fixed: Word128,
    /// A random range's seed.
    seed: u64,
    /// First entry in the value table ([`kind::LIST`], [`kind::FOLLOW_LIST`]).
    first_entry: u32,
    /// Keeps the size a multiple of eight.
    reserved: u32,
    /// Keeps each slot's numbers at the start of a cache line.
    padding: [u64; 2],
}

impl Param {
    /// All zero.
    pub const NONE: Self = Self {
        numbers: Counter {
            current: Word128 { hi: 0, lo: 0 },
            advance: Word128 { hi: 0, lo: 0 },
            limit: Word128 { hi: 0, lo: 0 },
            span: Word128 { hi: 0, lo: 0 },
            round_step: Word128 { hi: 0, lo: 0 },
        },
        fixed: Word128 { hi: 0, lo: 0 },
        seed: 0,
        first_entry: 0,
        reserved: 0,
        padding: [0; 2],
    };

    /// Of a slot that counts.
    pub const fn of_counter(counter: Counter) -> Self {
        Self { numbers: counter, ..Self::NONE }
    }

    /// Of a slot that goes through the entries of the value table from `first_entry` on.
    pub const fn of_list(first_entry: u32, index: Counter) -> Self {
        Self { numbers: index, first_entry, ..Self::NONE }
    }

    /// Of a slot that draws at random.
    pub const fn of_random_range(RandomRange { base, span, seed }: RandomRange) -> Self {
        Self {
            numbers: Counter { round_step: base, span, ..Self::NONE.numbers },
            seed,
            ..Self::NONE
        }
    }

    /// Of a slot that follows an index.
    pub const fn of_follower(Follower { base, step }: Follower) -> Self {
        Self {
            numbers: Counter { round_step: base, advance: step, ..Self::NONE.numbers },
            ..Self::NONE
        }
    }

    /// Of a slot whose value is the entry of the value table that an index picks, from
    /// `first_entry` on.
    pub const fn of_follower_list(first_entry: u32) -> Self {
        Self { first_entry, ..Self::NONE }
    }

    /// With constant bits that share the written bytes.
    #[must_use]
    pub const fn with_fixed(self, fixed: Word128) -> Self {
        Self { fixed, ..self }
    }

    /// What [`Self::of_counter`] and [`Self::of_list`] were given.
    #[inline(always)]
    pub const fn counter(&self) -> &Counter {
        &self.numbers
    }

    /// The same, to be moved on.
    #[inline(always)]
    pub const fn counter_mut(&mut self) -> &mut Counter {
        &mut self.numbers
    }

    /// What [`Self::of_random_range`] was given.
    #[inline(always)]
    pub const fn random_range(&self) -> RandomRange {
        RandomRange { base: self.numbers.round_step, span: self.numbers.span, seed: self.seed }
    }

    /// What [`Self::of_follower`] was given.
    #[inline(always)]
    pub const fn follower(&self) -> Follower {
        Follower { base: self.numbers.round_step, step: self.numbers.advance }
    }

    /// What [`Self::of_list`] and [`Self::of_follower_list`] were given.
    #[inline(always)]
    pub const fn first_entry(&self) -> u32 {
        self.first_entry
    }
}

/// One checksum that has to follow what varies.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum {
    /// Where its two bytes are, from the frame's start.
    pub offset: u32,
    /// A combination of [`finish`].
    pub finish: u32,
    /// The checksums, behind this one, that cover its bytes, or [`NO_SUM`].
    pub sums: [u32; MAX_SUMS],
    /// As [`Field::odd`].
    pub odd: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

impl Checksum {
    /// An unused slot.
    pub const NONE: Self =
        Self { offset: 0, finish: 0, sums: [NO_SUM; MAX_SUMS], odd: 0, reserved: 0 };
}
