//! When frames arrive: the stamping receiver's settings, and its log.

/// Stamps of a [`Block`], a power of two: user space reads so many in one look-up.
pub const BLOCK_STAMPS: usize = 4096;

/// A block of the log: a CPU fills it before it takes the next free one. Unused places are zero,
/// which no stamp is: see [`stamp`].
pub type Block = [u64; BLOCK_STAMPS];

/// Bits of a stamp below the time: the tag.
pub const TAG_BITS: u32 = 16;

/// The entry of the log: nanoseconds since [`Receiver::epoch`], never zero, and the frame's tag.
/// Stamps are in the order of their times. The time has 48 bits, which last for three days.
#[inline(always)]
pub const fn stamp(ns: u64, tag: u16) -> u64 {
    ns << TAG_BITS | tag as u64
}

/// Nanoseconds and tag of what [`stamp`] made.
#[inline(always)]
pub const fn parts_of_stamp(stamp: u64) -> (u64, u16) {
    (stamp >> TAG_BITS, stamp as u16)
}

/// What the receiver is to do; in `.rodata`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// Stamps count from here: nanoseconds of the monotonic clock, earlier than any arrival.
    pub epoch: u64,
    /// Blocks of the log.
    pub blocks: u64,
    /// Where a frame has the four bytes that are compared, from its start.
    pub match_offset: u32,
    /// What they must be, as a big-endian number, where `match_mask` has ones.
    pub match_value: u32,
    /// Which of their bits count; 0: every frame is stamped.
    pub match_mask: u32,
    /// Where a frame has the two bytes of its tag; 0: the tag is 0.
    pub tag_offset: u32,
}

/// Where a CPU is in the log: one entry per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Frames stamped.
    pub stamped: u64,
    /// Frames that would have been, had the log not been full.
    pub missed: u64,
    /// Frames that did not match, and went on to the network stack.
    pub passed: u64,
    /// The block at hand.
    pub block: u64,
}

const _: () = assert!(size_of::<Receiver>() == 32);
const _: () = assert!(size_of::<Log>() == 32);
