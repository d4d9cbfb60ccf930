//! Every value that crosses between user space and the eBPF programs: `repr(C)`, no padding, sizes asserted.
//!
//! User space writes [`Generator`], [`Field`], [`Checksum`], the template's header and the row table into `.rodata`
//! before the object is loaded. The verifier then sees constants and removes every branch that this configuration does
//! not take: one object file, yet the program that runs is the one somebody would have written by hand for it.

/// Field slots in `.rodata`, each unrolled in the program. An unused slot costs nothing at run time.
pub const MAX_FIELDS: usize = 16;

/// Checksum slots: IPv4 header and UDP for a plain packet; room for a tunnel's outer and inner pairs.
pub const MAX_CHECKSUMS: usize = 4;

/// How many errnos [`drop_slot`] tells apart; the last slot stands for it and all larger ones.
pub const MAX_ERRNO: u32 = 256;

/// A 128-bit unsigned number as two words: a `u128` would be aligned differently on the two sides.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word128 {
    /// Bits 64 to 127.
    pub hi: u64,
    /// Bits 0 to 63.
    pub lo: u64,
}

impl Word128 {
    /// Splits a number.
    #[inline(always)]
    pub const fn new(value: u128) -> Self {
        Self { hi: (value >> 64) as u64, lo: value as u64 }
    }

    /// The number.
    #[inline(always)]
    pub const fn get(self) -> u128 {
        ((self.hi as u128) << 64) | self.lo as u128
    }
}

/// Bytes of a line of the row table: what one look-up gives.
pub const LINE_LEN: usize = 64;

/// Lines of the longest row: the headers of a frame.
pub const MAX_LINES: usize = 2;

/// Lines of the row table, a power of two: 512 KiB, which a core's cache holds. From further away rows are no faster than
/// working headers out (measured: 64 000 rows cost 6.4 to 14.6 ns, 4000 rows 3.7).
pub const ROW_TABLE_LINES: usize = 1 << 13;

/// A line of the row table, in the order of memory.
pub type Line = [u64; LINE_LEN / 8];

/// What the generator does in each repetition, as a whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generator {
    /// The XDP action to return: 1 drop, 2 pass, 3 tx, 4 redirect (`enum xdp_action`).
    pub action: u32,
    /// Bytes of all headers when they are redirected and copied from one line of the row table; otherwise 0. The most
    /// frequent case in one number, which is read and decided once.
    pub one_line: u32,
    /// Slots of the field table in use; the program goes by [`op::END`].
    pub field_count: u32,
    /// Slots of the checksum table in use.
    pub checksum_count: u32,
    /// How many workers share the sequence: a worker sends frames w, w + stride, w + 2·stride, …
    pub stride: u64,
    /// Rows in the row table, after which the sequence starts again; 0: headers are worked out from the field table.
    pub row_count: u64,
    /// `stride` modulo `row_count`.
    pub row_advance: u64,
    /// Bytes of the headers in each line, even numbers; a row has one line when the second has none. The program writes
    /// them all in every repetition, and refuses a shorter frame.
    pub line_len: [u32; MAX_LINES],
}

/// How a field's value moves on from frame to frame.
pub mod kind {
    /// Grows by `advance`; above `limit` it falls back by `span`.
    pub const UP: u32 = 0;
    /// Shrinks by `advance`; below `limit` it rises by `span`.
    pub const DOWN: u32 = 1;
    /// Entry `first_entry + index` of the value table; the index moves as in `UP`.
    pub const LIST: u32 = 2;
    /// `base + (random & span)`: the number of values is a power of two.
    pub const RANDOM_MASK: u32 = 3;
    /// `base + (high half of random · span) / 2³²`: fewer than 2³² values.
    pub const RANDOM_SCALE_32: u32 = 4;
    /// `base + random · span / 2⁶⁴`, or `/ 2¹²⁸` for a wide field.
    pub const RANDOM_SCALE: u32 = 5;
    /// Added to one of the above: value or step need more than [`super::NARROW_BITS`] bits.
    pub const WIDE: u32 = 8;
}

/// Values of up to this many bits are calculated in 64-bit registers, with room for a sign and a carry.
pub const NARROW_BITS: u32 = 62;

/// What a slot of the field table does. The common cases have a number each, which spares them every other decision, and
/// with it the reads decisions are made from.
pub mod op {
    /// This slot and all behind it are unused.
    pub const END: u32 = 0;
    /// A narrow value that counts up ([`super::kind::UP`]), written as two whole bytes and counted in sum 0.
    pub const UP_2_SUM_0: u32 = 1;
    /// The same in sum 1.
    pub const UP_2_SUM_1: u32 = 2;
    /// The same with four whole bytes, in their sum.
    pub const UP_4: u32 = 3;
    /// Any kind, written as two whole bytes and counted in sum 0.
    pub const ANY_2_SUM_0: u32 = 4;
    /// The same in sum 1.
    pub const ANY_2_SUM_1: u32 = 5;
    /// The same with four whole bytes, in their sum.
    pub const ANY_4: u32 = 6;
    /// Any kind, two whole bytes that no checksum covers.
    pub const ANY_2_UNSUMMED: u32 = 7;
    /// Any kind, six whole bytes that no checksum covers.
    pub const ANY_6_UNSUMMED: u32 = 8;
    /// Anything: `(value << shift) | fixed` in `width` bytes, counted as [`super::sum`] says.
    pub const GENERAL: u32 = 9;
    /// As `GENERAL`, but the bytes are shared with the next field, which stores both.
    pub const JOIN_NEXT: u32 = 10;
}

/// How a value written in the general form counts in a checksum.
pub mod sum {
    /// Not at all.
    pub const NONE: u32 = 0;
    /// It ends on an even byte.
    pub const EVEN: u32 = 1;
    /// It ends on an odd byte: counts 256-fold.
    pub const ODD: u32 = 2;
}

/// How many sums of written values are kept apart: one per set of checksums that cover the same fields, and per size of
/// the values, because a sum of 16-bit words is folded in fewer steps.
pub const MAX_SUMS: usize = 4;
/// The sum that holds values of four bytes; those before it hold values of two bytes.
pub const FOUR_BYTE_SUM: usize = 2;
/// The sum that holds values written in the general form.
pub const GENERAL_SUM: usize = 3;

/// How a checksum is finished.
pub mod finish {
    /// Only sums of 16-bit words go in, and a zero result is sent as 0xffff.
    pub const WORDS_ZERO_IS_ONES: u32 = 0;
    /// Any sums go in, and a zero result is sent as it is (IPv4).
    pub const ANY: u32 = 1;
    /// Any sums go in, and a zero result is sent as 0xffff (RFC 768, RFC 8200 section 8.1).
    pub const ANY_ZERO_IS_ONES: u32 = 2;
}

/// One varying field: where its bytes are, and how its value moves on.
///
/// The program writes `(value << shift) | fixed` as `width` big-endian bytes at `offset`: an absolute value, never one
/// derived from the page, which may hold the frame of any earlier repetition.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// How much the value, or the list's index, moves a repetition.
    pub advance: Word128,
    /// The last value (up), the lowest (down), the last index (list).
    pub limit: Word128,
    /// What a move past `limit` is set back by; random: mask or number of values.
    pub span: Word128,
    /// The smallest value (random).
    pub base: Word128,
    /// The constant bits that share the written bytes (a VLAN tag's priority, say).
    pub fixed: Word128,
    /// Seed of the random sequence.
    pub seed: u64,
    /// First entry in the value table (list).
    pub first_entry: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// One of [`op`].
    pub op: u32,
    /// First byte written, from the frame's start.
    pub offset: u32,
    /// Bytes written, 1 to 16.
    pub width: u32,
    /// Bits the value is moved up by within the written bytes.
    pub shift: u32,
    /// One of [`sum`]; read in the general form only, as are width, shift and fixed.
    pub sum: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

impl Field {
    /// An unused slot.
    pub const NONE: Self = Self {
        advance: Word128 { hi: 0, lo: 0 },
        limit: Word128 { hi: 0, lo: 0 },
        span: Word128 { hi: 0, lo: 0 },
        base: Word128 { hi: 0, lo: 0 },
        fixed: Word128 { hi: 0, lo: 0 },
        seed: 0,
        first_entry: 0,
        kind: 0,
        op: op::END,
        offset: 0,
        width: 0,
        shift: 0,
        sum: 0,
        reserved: 0,
    };
}

/// One checksum that has to follow the varying fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Where its two bytes are, from the frame's start.
    pub offset: u32,
    /// Sum of everything it covers that does not vary, pseudo header included, as big-endian words (RFC 1071), folded.
    pub base: u32,
    /// Bit `i`: sum `i` is part of it.
    pub sums: u32,
    /// One of [`finish`].
    pub finish: u32,
}

impl Checksum {
    /// An unused slot.
    pub const NONE: Self = Self { offset: 0, base: 0, sums: 0, finish: 0 };
}

/// What a worker keeps between repetitions: one entry per CPU, written by that CPU only.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Frames made: repetitions that returned the configured action.
    pub attempted: u64,
    /// Frames the driver accepted (`xdp_devmap_xmit`).
    pub transmitted: u64,
    /// Frames that failed between the program and the wire; [`drop_slot`] keeps the reasons.
    pub dropped: u64,
    /// Repetitions in which the program itself gave up: a frame shorter than configured.
    pub aborted: u64,
    /// Number of this worker's first frame in the port's sequence.
    pub first: u64,
    /// The row of the next frame.
    pub row: u64,
    /// Bits of fields that share their bytes with a later one, on their way to it; zero between repetitions.
    pub joined: u64,
    /// The value each field has in the next frame; a list's index. Not used with the row table.
    pub values: [Word128; MAX_FIELDS],
}

impl Worker {
    /// A worker that has sent nothing.
    pub const NEW: Self = Self {
        attempted: 0,
        transmitted: 0,
        dropped: 0,
        aborted: 0,
        first: 0,
        row: 0,
        joined: 0,
        values: [Word128 { hi: 0, lo: 0 }; MAX_FIELDS],
    };

    /// Frames handed to redirect whose fate is not known yet. Above zero only while this worker's batch is in the
    /// kernel, with softirqs held off: so a trace point that fires meanwhile on this CPU speaks of our frames.
    #[inline(always)]
    pub const fn in_flight(&self) -> u64 {
        self.attempted.wrapping_sub(self.transmitted).wrapping_sub(self.dropped)
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::NEW
    }
}

/// Who said no to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropLayer {
    /// The driver (`xdp_devmap_xmit`); without an errno its queue was full.
    Driver,
    /// The kernel, before the driver was asked (`xdp_redirect_err`).
    Redirect,
}

/// Number of slots in the drop table.
pub const DROP_SLOTS: u32 = 2 * MAX_ERRNO;

/// The slot of the drop table that counts frames refused by `layer` with `errno` (positive, 0 for none).
#[inline(always)]
pub const fn drop_slot(layer: DropLayer, errno: u32) -> u32 {
    let errno = if errno < MAX_ERRNO { errno } else { MAX_ERRNO - 1 };
    match layer {
        DropLayer::Driver => errno,
        DropLayer::Redirect => MAX_ERRNO + errno,
    }
}

/// What the counting receiver saw: one entry per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sink {
    /// Frames received.
    pub frames: u64,
    /// Their bytes on the wire, each frame with its 4-byte FCS.
    pub bytes: u64,
}

/// Bytes of the frame check sequence: on the wire, but in no buffer of the kernel's.
pub const FCS_LEN: u32 = 4;

const _: () = assert!(size_of::<Generator>() == 40 + 4 * MAX_LINES);
const _: () = assert!(size_of::<Field>() == 120);
const _: () = assert!(size_of::<Checksum>() == 16);
const _: () = assert!(size_of::<Worker>() == 56 + 16 * MAX_FIELDS);
const _: () = assert!(size_of::<Sink>() == 16);

#[cfg(feature = "user")]
mod user {
    #![expect(unsafe_code, reason = "aya asks for Pod, which is an unsafe trait")]
    // SAFETY: repr(C), integers only, no padding (sizes asserted above).
    unsafe impl aya::Pod for super::Word128 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Generator {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Field {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Checksum {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Worker {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Sink {}
}
