//! Every value that crosses between user space and the eBPF programs: `repr(C)`, no padding, sizes
//! asserted.
//!
//! User space writes [`Generator`] into `.rodata` before the object is loaded. The verifier then sees
//! constants and removes every branch that this configuration does not take: one object file, yet the
//! program that runs is the one somebody would have written by hand for it. What differs from flow to
//! flow is in maps: [`Flow`], [`Row`], and [`PickSet`] for what does not grow evenly.

pub mod arrivals;
mod drops;
mod flow;
mod gate;
mod row;
mod schedule;
pub mod timing;
mod worker;

pub use drops::*;
pub use flow::*;
pub use gate::*;
pub use row::*;
pub use schedule::*;
pub use worker::*;

/// Checksums that follow what varies in a flow: those of IPv4 and transport headers of three nested
/// packets, and some.
pub const MAX_CHECKSUMS: usize = 8;

/// A 128-bit unsigned number as two words: a `u128` would be aligned differently on the two sides.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

/// What the generator does in each repetition: the same for all flows of the port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generator {
    /// The XDP action to return: 1 drop, 2 pass, 3 tx, 4 redirect (`enum xdp_action`).
    pub action: u32,
    /// Flows of the port. A single one has no schedule, and its [`Flow`] is in the [`Worker`].
    pub flow_count: u32,
    /// Bytes of the frame given to the kernel.
    pub frame_len: u32,
    /// 1: frames have sizes of their own, and are cut to them; 0: all are as long as the frame
    /// given to the kernel.
    pub sized: u32,
    /// 1: what follows the written bytes is copied in every repetition, because flows of the port
    /// differ in it.
    pub bodies: u32,
    /// Bytes written in every repetition, from the frame's start on. The program refuses a shorter
    /// frame.
    pub written: u32,
    /// One of [`path`].
    pub path: u32,
    /// Blocks of registers of each row.
    pub register_blocks: u32,
    /// Words of a row: one of [`ROW_WORDS`].
    pub row_words: u32,
    /// 1: some flow has several rows.
    pub cycles: u32,
    /// The first word that is a number.
    pub first_number: u32,
    /// The word behind the last one that is a number; 0: no word varies, and no row has registers.
    pub numbers_end: u32,
    /// The first word that picks start from, and that is not written.
    pub first_unwritten: u32,
    /// The word behind the last of them.
    pub unwritten_end: u32,
    /// Picks of the flow that has most.
    pub picks: u32,
    /// Different sets of picks.
    pub pick_sets: u32,
    /// Checksums of the set that has most.
    pub picked_checksums: u32,
    /// 1: some index or amount of a pick has more than 64 bits.
    pub wide: u32,
    /// 1: there is one set, and each of its picks is drawn, from fewer than 2³² indices, and added to a
    /// window for itself; picks of one window stand together, and change two checksums at most.
    pub draws: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
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

/// The most frequent cases. Each has a number, so that the program reads and decides less.
pub mod path {
    /// Anything.
    pub const ANY: u32 = 0;
    /// A single flow, redirected, of one size, without picks and without long headers.
    pub const ONE: u32 = 1;
    /// Several flows of that kind, with payloads alike.
    pub const FLOWS: u32 = 2;
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

const _: () = assert!(size_of::<Generator>() == 104);
const _: () = assert!(ROW_WORDS[0] == 7 && ROW_WORDS[1] == 15 && ROW_WORDS[2] == 47);
const _: () = assert!(size_of::<Body>() == 8);
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
        Body, Drops, Effect, Flow, FlowCounts, Gate, GateBelief, GateSpec, GateState, Generator,
        ListEntry, Pick, PickSet, PickedChecksum, Register, Row, RowCursor, Schedule, Sink,
        Word128, Worker, WorkerCounts, WorkerSpec,
    };
    macro_rules! pod {
        ($($name:ident)*) => { $(
            // SAFETY: repr(C), integers only, no padding (sizes asserted above).
            unsafe impl aya::Pod for $name {}
        )* };
    }
    pod!(Word128 Generator Flow Body Register Effect Pick PickedChecksum PickSet ListEntry Schedule Worker Drops Sink FlowCounts RowCursor WorkerCounts WorkerSpec);
    // SAFETY: as above.
    unsafe impl<const WORDS: usize> aya::Pod for Row<WORDS> {}
    pod!(Gate GateSpec GateState GateBelief);
    pod!(Receiver Log);
    pod!(Gap MeanGap Segment Stream StreamSpec StreamState StreamCounts WorkerClock Lateness FlowLateness Calendar ClockSpec ClockState ClockCounts);
}
