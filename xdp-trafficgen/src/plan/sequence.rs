//! One slot's values as an abstract sequence, and the numbers that the kernel's program keeps of it
//! for one worker.

use xdp_trafficgen_ebpf::abi::{Counter, Follower, Param, RandomRange, Word128, kind};

/// The values of a slot, from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    /// `start`, `start ± step`, … `count` values, each for `round` frames.
    Count { start: u128, step: u128, count: u64, down: bool, round: u128 },
    /// `len` entries of the value table, each for `round` frames.
    List { first_entry: u32, len: u64, round: u128 },
    /// `base + r` with r evenly among `values` numbers (0: 2¹²⁸).
    Random { base: u128, values: u128, seed: u64 },
    /// `base + index · step` (wrapping) of the last lead.
    Follow { base: u128, step: u128 },
    /// The entry that the last lead's index picks.
    FollowList { first_entry: u32 },
}

/// How many registers the program computes a slot's values in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// One, of 64 bits.
    Narrow,
    /// Two.
    Wide,
}

impl Sequence {
    /// After how many frames the sequence starts again; none: never, or with the lead that it
    /// follows.
    pub(super) fn period(&self) -> Option<u128> {
        match *self {
            Self::Count { count, round, .. } | Self::List { len: count, round, .. } => {
                round.checked_mul(u128::from(count))
            }
            Self::Random { .. } | Self::Follow { .. } | Self::FollowList { .. } => None,
        }
    }

    /// Frames from one value to the next.
    pub(super) const fn round(&self) -> u128 {
        match *self {
            Self::Count { round, .. } | Self::List { round, .. } => round,
            Self::Random { .. } | Self::Follow { .. } | Self::FollowList { .. } => 1,
        }
    }

    /// The sequence's constant of [`kind`].
    pub(super) fn kind(&self, width: Width) -> u32 {
        let kind = match *self {
            Self::Count { down: false, .. } => kind::UP,
            Self::Count { down: true, .. } => kind::DOWN,
            Self::List { .. } => kind::LIST,
            Self::Random { values, .. } if values.count_ones() <= 1 => kind::RANDOM_MASK,
            Self::Random { values, .. }
                if width == Width::Narrow && values <= u128::from(u32::MAX) =>
            {
                kind::RANDOM_SCALE_32
            }
            Self::Random { .. } => kind::RANDOM_SCALE,
            Self::Follow { .. } => kind::FOLLOW,
            Self::FollowList { .. } => kind::FOLLOW_LIST,
        };
        match width {
            Width::Narrow => kind,
            Width::Wide => kind | kind::WIDE,
        }
    }

    /// The numbers for the worker that sends frames `first`, `first + stride`, … of the flow.
    pub(super) fn param(&self, first: u64, stride: u64) -> Param {
        match *self {
            Self::Count { start, step, count, down, round } => {
                let at = |index: u64| {
                    let distance = step.wrapping_mul(u128::from(index));
                    if down { start.wrapping_sub(distance) } else { start.wrapping_add(distance) }
                };
                let (index, advance) = indices(first, stride, round, count);
                Param::of_counter(Counter {
                    current: Word128::new(at(index)),
                    advance: Word128::new(step.wrapping_mul(u128::from(advance))),
                    limit: Word128::new(at(count - 1)),
                    // A full circle may be 2¹²⁸, which is 0 here and right in wrapping arithmetic.
                    span: Word128::new(step.wrapping_mul(u128::from(count))),
                    round_step: Word128::new(step),
                })
            }
            Self::List { first_entry, len, round } => {
                let (index, advance) = indices(first, stride, round, len);
                let index = Counter {
                    current: word(index),
                    advance: word(advance),
                    limit: word(len - 1),
                    span: word(len),
                    round_step: word(1),
                };
                Param::of_list(first_entry, index)
            }
            Self::Random { base, values, seed } => {
                let span = if values.count_ones() <= 1 { values.wrapping_sub(1) } else { values };
                Param::of_random_range(RandomRange {
                    base: Word128::new(base),
                    span: Word128::new(span),
                    seed,
                })
            }
            Self::Follow { base, step } => {
                Param::of_follower(Follower { base: Word128::new(base), step: Word128::new(step) })
            }
            Self::FollowList { first_entry } => Param::of_follower_list(first_entry),
        }
    }
}

/// The index of the worker's first frame, and how far the index moves with each of its frames. The
/// end of a leader's round adds to that.
fn indices(first: u64, stride: u64, round: u128, count: u64) -> (u64, u64) {
    // A round of more frames than 64 bits count does not end.
    let at = |frames: u64| u64::try_from(round).map_or(0, |round| frames / round % count);
    (at(first), at(stride))
}

const fn word(value: u64) -> Word128 {
    Word128 { hi: 0, lo: value }
}
