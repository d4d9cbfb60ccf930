//! Rows: where a flow's headers stand, how they move on, and what has to be put right now and then.
//!
//! A row is the next header as numbers, with what each number grows by from frame to frame. Sums of
//! fields grow evenly, and so do checksums, which are linear modulo 65535. So a frame takes an
//! addition a word, however many fields it has, until a field starts again or a checksum passes
//! 65535: a [`Register`] knows when, and its [`Effect`]s put the words right.

use super::{MAX_CHECKSUMS, Word128};

/// Bytes of a frame before its first word. In frames with an Ethernet header of 14 bytes, with VLAN
/// tags or without, IP addresses and ports then lie within words.
pub const LEAD: usize = 2;

/// Words of the three forms of a row. Those after the header count as well: the numbers of draws,
/// and the indices of lists.
pub const ROW_WORDS: [usize; 3] = [7, 15, 47];

/// Bytes of the longest header: what is written in every repetition.
pub const MAX_WRITTEN: usize = LEAD + 8 * MAX_WRITTEN_WORDS;

/// Words of the longest header. The longest row has room for as many picks as there can be besides.
pub const MAX_WRITTEN_WORDS: usize = 31;

/// A row: one entry per worker, flow, and frame of the flow's cycle. The words come first, so that
/// a row that does not vary is read from as few cache lines as its header has.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<const WORDS: usize> {
    /// The frame's first bytes, in the order of memory.
    pub lead: [u8; LEAD],
    /// The frame's length without FCS. Read where frames have sizes of their own.
    pub size: u16,
    /// Frames until a register has to be put right.
    pub run: u32,
    /// The words behind the lead. Those that vary in some flow of the port
    /// ([`super::Generator::first_number`]) are numbers; the others are in the order of memory.
    pub words: [u64; WORDS],
    /// Frames of the row up to the end of its run.
    pub clock: u64,
    /// What each word grows by from one of the row's frames to the next (wrapping).
    pub deltas: [u64; WORDS],
}

impl<const WORDS: usize> Row<WORDS> {
    /// All zero.
    pub const NONE: Self =
        Self { lead: [0; LEAD], size: 0, run: 0, words: [0; WORDS], clock: 0, deltas: [0; WORDS] };
}

/// A number from 0 to `limit` that grows with each frame of its row, and starts again beyond
/// `limit`: a field's index, the part of a field that lies in one word, or a checksum.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// The frame of the row before which it has to be put right; [`NEVER`]: none.
    pub due: u64,
    /// The frame in which it had `value`.
    pub at: u64,
    /// What it was then.
    pub value: u64,
    /// What it grows by from frame to frame; at most `limit` + 1.
    pub delta: u64,
    /// Its largest value; `u64::MAX` or below 2⁶².
    pub limit: u64,
    /// What effects of earlier registers have added to it; zero between repetitions.
    pub added: u64,
    /// How often `added` itself has passed `u64::MAX`; zero between repetitions.
    pub carries: u64,
    /// The first entry in the table of effects.
    pub effects: u32,
    /// How many there are.
    pub effect_count: u32,
}

impl Register {
    /// One that is never due.
    pub const NONE: Self = Self {
        due: NEVER,
        at: 0,
        value: 0,
        delta: 0,
        limit: 0,
        added: 0,
        carries: 0,
        effects: 0,
        effect_count: 0,
    };
}

/// Instead of [`Register::due`]. So far below 2⁶⁴ that a difference has a sign.
pub const NEVER: u64 = u64::MAX >> 1;

/// Registers that are looked up at once: a row has [`super::Generator::register_blocks`] blocks.
pub type RegisterBlock = [Register; BLOCK_REGISTERS];

/// Registers of a block.
pub const BLOCK_REGISTERS: usize = 8;

/// What is added when a register starts again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effect {
    /// A word of the row; [`Effect::LEAD`]; or [`Effect::REGISTER`] and the number of a later
    /// register of the row.
    pub target: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
    /// What is added (wrapping).
    pub amount: u64,
}

impl Effect {
    /// The row's lead, as a big-endian number.
    pub const LEAD: u32 = 1 << 30;
    /// Added to the number of a register.
    pub const REGISTER: u32 = 1 << 31;
}

/// Blocks of registers of a row at most.
pub const MAX_BLOCKS: u32 = 16;

/// Effects of a register at most.
pub const MAX_EFFECTS: u32 = 256;

/// Picks of a flow at most, each unrolled in the program. An unused one costs nothing.
pub const MAX_PICKS: usize = 16;

/// Where the index of a pick comes from.
pub mod source {
    /// It is drawn at random: as many of the low bits as `span` has ones.
    pub const MASK: u32 = 0;
    /// It is drawn at random: `(high half of random · span) / 2³²`.
    pub const SCALE_32: u32 = 1;
    /// It is drawn at random: `random · span / 2⁶⁴`.
    pub const SCALE: u32 = 2;
    /// A word of the row.
    pub const LIST: u32 = 3;
    /// That of the pick before.
    pub const SAME: u32 = 4;
    /// As `MASK`, with 128 random bits.
    pub const WIDE_MASK: u32 = 5;
    /// `random · span / 2¹²⁸`, with 128 random bits.
    pub const WIDE_SCALE: u32 = 6;
}

/// What a pick adds its amount to.
pub mod target {
    /// To no bytes: the amount only counts in checksums.
    pub const NOTHING: u32 = 0;
    /// To eight bytes of the frame.
    pub const WINDOW: u32 = 1;
    /// To sixteen bytes of the frame.
    pub const WIDE_WINDOW: u32 = 2;
    /// To the frame's length.
    pub const SIZE: u32 = 3;
}

/// Something that does not grow evenly: a random value, an entry of a list, or what follows one.
/// What it adds to a frame is the product of its index and `unit`, or an entry of the value table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pick {
    /// One of [`source`].
    pub source: u32,
    /// One of [`target`].
    pub target: u32,
    /// First byte of the window, from the frame's start.
    pub at: u32,
    /// The entry of the value table for index 0; [`Pick::LINEAR`]: there is none.
    pub table: u32,
    /// The row's word with the number of the draw or the index of the list.
    pub word: u32,
    /// 1: the next pick has the same window. Read where all picks are draws
    /// ([`super::Generator::draws`]).
    pub continues: u32,
    /// Seed of the random sequence.
    pub seed: u64,
    /// How many indices are drawn from; for masks, the mask.
    pub span: Word128,
    /// What index 1 adds.
    pub unit: Word128,
    /// What index 1 adds to each checksum of the set, below 65535.
    pub sums: [u16; MAX_CHECKSUMS],
}

impl Pick {
    /// Instead of an entry of the value table.
    pub const LINEAR: u32 = u32::MAX;

    /// Adds nothing to nothing.
    pub const NONE: Self = Self {
        source: source::SAME,
        target: target::NOTHING,
        at: 0,
        table: Self::LINEAR,
        word: 0,
        continues: 0,
        seed: 0,
        span: Word128 { hi: 0, lo: 0 },
        unit: Word128 { hi: 0, lo: 0 },
        sums: [0; MAX_CHECKSUMS],
    };
}

/// A checksum that picks change.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PickedChecksum {
    /// Where its two bytes are, from the frame's start; 0: there is none.
    pub at: u32,
    /// What is written for a result of 65535: 65535 itself where zero is never sent (RFC 768, RFC
    /// 8200 section 8.1), otherwise 0.
    pub ones: u32,
}

/// The picks of flows that are alike.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PickSet {
    /// The picks.
    pub picks: [Pick; MAX_PICKS],
    /// The checksums they change.
    pub checksums: [PickedChecksum; MAX_CHECKSUMS],
}

impl PickSet {
    /// Without picks.
    pub const NONE: Self = Self {
        picks: [Pick::NONE; MAX_PICKS],
        checksums: [PickedChecksum { at: 0, ones: 0 }; MAX_CHECKSUMS],
    };
}

/// An entry of a list, as it counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListEntry {
    /// What it adds to the pick's target.
    pub amount: Word128,
    /// What it adds to each checksum of the set, below 65535.
    pub sums: [u16; MAX_CHECKSUMS],
}

const _: () = assert!(size_of::<Row<7>>() == 128);
const _: () = assert!(size_of::<Row<15>>() == 256);
const _: () = assert!(size_of::<Row<47>>() == 768);
const _: () = assert!(ROW_WORDS[2] == MAX_WRITTEN_WORDS + MAX_PICKS);
const _: () = assert!(size_of::<Register>() == 64);
const _: () = assert!(size_of::<Effect>() == 16);
const _: () = assert!(size_of::<Pick>() == 80);
const _: () = assert!(size_of::<PickSet>() == 80 * MAX_PICKS + 8 * MAX_CHECKSUMS);
const _: () = assert!(size_of::<ListEntry>() == 32);
