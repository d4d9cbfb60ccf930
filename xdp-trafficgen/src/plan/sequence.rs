//! How the values of one thing that varies follow each other.

/// The values of something that varies, from frame to frame.
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

/// How many random bits a value is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// 64.
    Narrow,
    /// 128.
    Wide,
}
