//! Every value that crosses between user space and the eBPF programs: `repr(C)`, no padding, sizes
//! asserted.
//!
//! User space writes [`Generator`], a [`Group`] and the row table into `.rodata` before the object
//! is loaded. The verifier then sees constants and removes every branch that this configuration
//! does not take: one object file, yet the program that runs is the one somebody would have written
//! by hand for it. What differs from flow to flow within a group is in maps: [`Flow`], and
//! [`HeaderState`] for flows whose headers are worked out.

pub mod arrivals;
mod drops;
mod field;
mod flow;
mod gate;
mod schedule;
pub mod timing;
mod worker;

pub use drops::*;
pub use field::*;
pub use flow::*;
pub use gate::*;
pub use schedule::*;
pub use worker::*;

/// Fields and other things that vary in a flow, each a slot unrolled in the program. An unused slot
/// costs nothing.
pub const MAX_FIELDS: usize = 16;

/// The slots that can hold a wide value ([`kind::WIDE`]): the first ones. Code for wide values is
/// long, and a program's jumps reach 32 767 instructions.
pub const MAX_WIDE: usize = 4;

/// Checksum slots: IPv4 and transport headers of three nested packets, and some.
pub const MAX_CHECKSUMS: usize = 8;

/// Groups of one port, each with a program of its own: the recorded flows are one, flows of the
/// same shape that are worked out another.
pub const MAX_GROUPS: usize = 64;

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

/// Lines of the longest row: the bytes of a frame that are written in every repetition.
pub const MAX_LINES: usize = 4;

/// Lines of the row table, a power of two: 512 KiB, which a core's cache holds. From further away
/// rows are no faster than working headers out (64 000 rows cost 6.4 to 14.6 ns, 4000 rows 3.7:
/// doc/measurements.md#recorded-and-worked-out-sequences).
pub const ROW_TABLE_LINES: usize = 1 << 13;

/// A line of the row table, in the order of memory.
pub type Line = [u64; LINE_LEN / 8];

/// What the generator does in each repetition, as a whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generator {
    /// The XDP action to return: 1 drop, 2 pass, 3 tx, 4 redirect (`enum xdp_action`).
    pub action: u32,
    /// Flows of the port. A single one has no schedule, and its [`Flow`] is in the [`Worker`].
    pub flow_count: u32,
    /// Groups in use. With several, `dispatch` chooses the flow, and the group's program by a tail
    /// call.
    pub group_count: u32,
    /// Bytes of the frame given to the kernel.
    pub frame_len: u32,
    /// One of [`timing::pacing`].
    pub pacing: u32,
    /// The kinds of departures in use: a bit for each of [`timing::stream_kind`].
    pub kinds: u32,
    /// Frames that leave later than this after they were due are counted as late, in nanoseconds.
    pub late: u64,
    /// Departures that are overdue by more than this get no frame, in nanoseconds.
    pub give_up: u64,
}

impl Generator {
    /// How many flows share a port's stream, and so have their lateness in a table of its own; 0
    /// where each has a stream, or none has.
    pub const fn sharing_flows(&self) -> u32 {
        match (self.pacing, self.flow_count) {
            (timing::pacing::PORT, 2..) => self.flow_count,
            _ => 0,
        }
    }
}

/// How the frames of a group are made.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// One of [`path`].
    pub path: u32,
    /// One of [`make`].
    pub make: u32,
    /// 1: frames have sizes of their own, and are cut to them; 0: all are as long as the frame
    /// given to the kernel.
    pub sized: u32,
    /// 1: what follows the written lines is copied in every repetition, because flows of the port
    /// differ in it.
    pub bodies: u32,
    /// Slots of the checksum table in use.
    pub checksum_count: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
    /// Four-byte words written in every repetition, from the frame's start on. The program refuses
    /// a shorter frame.
    pub words: u64,
    /// What varies; the first slot with [`op::END`] ends it.
    pub fields: [Field; MAX_FIELDS],
    /// The checksums that follow what varies, inner ones before those that cover them.
    pub checksums: [Checksum; MAX_CHECKSUMS],
}

impl Group {
    /// A group that writes nothing.
    pub const NONE: Self = Self {
        path: path::ANY,
        make: make::COPY,
        sized: 0,
        bodies: 0,
        checksum_count: 0,
        reserved: 0,
        words: 0,
        fields: [Field::NONE; MAX_FIELDS],
        checksums: [Checksum::NONE; MAX_CHECKSUMS],
    };
}

/// The most frequent cases. Each has one number, so that the program reads and decides only once.
pub mod path {
    /// Anything.
    pub const ANY: u32 = 0;
    /// A single flow, redirected, of one size, and copied from one line of the row table.
    pub const ONE_LINE: u32 = 1;
    /// Several flows, all redirected, of one size, with payloads alike, and copied from the row
    /// table.
    pub const FLOWS: u32 = 2;
    /// A single flow, redirected, of several sizes, and copied from the row table.
    pub const SIZES: u32 = 3;
}

/// How a group's headers come about.
pub mod make {
    /// Copied from the row table.
    pub const COPY: u32 = 0;
    /// Worked out from the flow's header, its fields and its checksums.
    pub const WORK_OUT: u32 = 1;
}

/// The payload of a flow, where flows differ in it: one entry per flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Entry in the table of bodies.
    pub entry: u32,
    /// Bytes of it that are copied: those that follow the written ones in the flow's longest
    /// frame.
    pub len: u32,
}

/// What a worker needs to work out the headers of a flow: one entry per worker and flow that is
/// worked out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderState {
    /// Number of this worker's first frame in the flow's sequence: it sends frames first,
    /// first + stride, first + 2·stride, …
    pub first: u64,
    /// From each of the worker's frames to the next: how many workers send the flow.
    pub stride: u64,
    /// Bits of fields that share their bytes with a later one, on their way to it; zero between
    /// repetitions.
    pub joined: u64,
    /// For each checksum the sum of everything it covers that does not vary, pseudo header
    /// included, as big-endian words (RFC 1071), folded.
    pub bases: [u32; MAX_CHECKSUMS],
    /// The written bytes, as in the template.
    pub header: [Line; MAX_LINES],
    /// The numbers of the slots.
    pub params: [Param; MAX_FIELDS],
}

impl HeaderState {
    /// Of a flow that only one worker sends; else all zero.
    pub const NONE: Self = Self {
        first: 0,
        stride: 1,
        joined: 0,
        bases: [0; MAX_CHECKSUMS],
        header: [[0; LINE_LEN / 8]; MAX_LINES],
        params: [Param::NONE; MAX_FIELDS],
    };
}

impl Default for HeaderState {
    fn default() -> Self {
        Self::NONE
    }
}

/// Bytes of a body: no frame has more (`plan`).
pub const BODY_LEN: usize = 4096;

/// Ports that can be listened for together.
pub const MAX_PLACES: u32 = 1024;

/// A port's programs that the listener calls.
pub mod handler {
    /// How many each port has.
    pub const PER_PORT: u32 = 2;
    /// A bulk went to the driver, which refused frames of it, or whose worker has a gate.
    pub const BULK: u32 = 0;
    /// The kernel did not redirect a frame.
    pub const NOT_REDIRECTED: u32 = 1;

    /// A port's entry for a program.
    #[inline(always)]
    pub const fn entry(place: u32, handler: u32) -> u32 {
        place * PER_PORT + handler
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

const _: () = assert!(size_of::<Generator>() == 40);
const _: () = assert!(size_of::<Field>() == 48);
const _: () = assert!(size_of::<Counter>() == 80);
const _: () = assert!(size_of::<Param>() == 128);
const _: () = assert!(size_of::<Checksum>() == 32);
const _: () = assert!(size_of::<Group>() == 32 + 48 * MAX_FIELDS + 32 * MAX_CHECKSUMS);
const _: () = assert!(size_of::<Body>() == 8);
const _: () = assert!(
    size_of::<HeaderState>() == 24 + 4 * MAX_CHECKSUMS + MAX_LINES * LINE_LEN + 128 * MAX_FIELDS
);
const _: () = assert!(size_of::<Sink>() == 16);

#[cfg(feature = "user")]
mod user {
    #![expect(unsafe_code, reason = "aya asks for Pod, which is an unsafe trait")]
    use super::arrivals::{Log, Receiver};
    use super::timing::{
        Calendar, ClockCounts, ClockSpec, ClockState, FlowLateness, Gap, Lateness, MeanGap,
        Segment, Stream, StreamCounts, StreamSpec, StreamState, WorkerClock,
    };
    use super::{
        Body, Checksum, Counter, Drops, Field, Flow, FlowCounts, Gate, GateBelief, GateSpec,
        GateState, Generator, Group, HeaderState, Param, RowCursor, Schedule, Sink, Word128,
        Worker, WorkerCounts, WorkerSpec,
    };
    macro_rules! pod {
        ($($name:ident)*) => { $(
            // SAFETY: repr(C), integers only, no padding (sizes asserted above).
            unsafe impl aya::Pod for $name {}
        )* };
    }
    pod!(Word128 Generator Group Field Counter Param Checksum Flow Body HeaderState Schedule Worker Drops Sink FlowCounts RowCursor WorkerCounts WorkerSpec);
    pod!(Gate GateSpec GateState GateBelief);
    pod!(Receiver Log);
    pod!(Gap MeanGap Segment Stream StreamSpec StreamState StreamCounts WorkerClock Lateness FlowLateness Calendar ClockSpec ClockState ClockCounts);
}
