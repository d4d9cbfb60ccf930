//! Departure times: what the eBPF side keeps of them, and the tables it takes them from.
//!
//! All times are nanoseconds since the start of the session, on the monotonic clock
//! (`CLOCK_MONOTONIC`, which is what `bpf_ktime_get_ns` reads).

/// Where a worker's departure times come from: [`super::Generator::pacing`].
pub mod pacing {
    /// There are none: frames leave as fast as they can.
    pub const NONE: u32 = 0;
    /// One stream of departures for all flows of the port, which take turns as the schedule says.
    pub const PORT: u32 = 1;
    /// A stream for each flow; a calendar says whose turn it is.
    pub const FLOWS: u32 = 2;
}

/// How a stream's departures follow each other: [`StreamSpec::kind`].
pub mod stream_kind {
    /// By the same gap.
    pub const CONSTANT: u32 = 0;
    /// By the gaps of a list of segments.
    pub const SEGMENTS: u32 = 1;
    /// By exponentially distributed gaps (a Poisson process).
    pub const POISSON: u32 = 2;
}

/// A time between two departures: `ns + rest / whole` nanoseconds, with `rest` below `whole`, and
/// `whole` from 1 to 2⁶³.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whole nanoseconds.
    pub ns: u64,
    /// The rest, in parts.
    pub rest: u64,
    /// Parts of a nanosecond.
    pub whole: u64,
}

impl Gap {
    /// No time at all.
    pub const ZERO: Self = Self { ns: 0, rest: 0, whole: 1 };
}

impl Default for Gap {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Departures that follow each other by the same gap.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The first of them, in nanoseconds since the start of the stream's period.
    pub start: u64,
    /// What `start` lacks, in parts of a nanosecond: those of `gap`.
    pub rest: u64,
    /// How many departures there are, at least 1; `u64::MAX`: without end.
    pub frames: u64,
    /// From each to the next.
    pub gap: Gap,
}

/// The mean of exponentially distributed gaps: `units / 2^(bits - 24)` nanoseconds. `units` is
/// below 2³⁴, and `bits` is at most 58.
///
/// The product of `units` and an entry of the table of exponentially distributed numbers, which has
/// [`EXPONENTIAL_BITS`] fractional bits, is a gap with `bits` fractional bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeanGap {
    /// The mean, in units of `2^(24 - bits)` nanoseconds.
    pub units: u64,
    /// Fractional bits of a gap.
    pub bits: u64,
    /// `2^bits - 1`: the fractional part of a gap, so that the program need not work it out.
    pub mask: u64,
}

impl MeanGap {
    /// `bits` is at most 58.
    pub const fn new(units: u64, bits: u32) -> Self {
        Self { units, bits: bits as u64, mask: (1 << bits) - 1 }
    }
}

/// A stream of departures: an entry for each stream of each worker. A look-up gives all of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Where the stream stands: written by its worker's program, and by user space between calls.
    /// First, so that what a repetition reads is in the fewest cache lines.
    pub state: StreamState,
    /// What became of its departures: written as `state` is.
    pub counts: StreamCounts,
    /// What it is to do: written by user space.
    pub spec: StreamSpec,
    /// Keeps the streams of two workers out of each other's cache lines: sharing some of them, two
    /// workers together were not faster than one (doc/measurements.md#pacing). The table
    /// begins at a page, and an entry has whole lines.
    pub padding: [u64; 2],
}

/// What a stream is to do. Only a port's one stream gets new limits, between calls: when another of
/// its flows begins or ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSpec {
    /// A departure at this time or later is none any more.
    pub end: u64,
    /// From this time on nothing departs, whenever it was due.
    pub close: u64,
    /// One of [`stream_kind`].
    pub kind: u32,
    /// The flow. Not used with one stream for the port.
    pub turn: u32,
    /// The stream's first entry in the table of segments.
    pub first_segment: u32,
    /// The entry behind its last one.
    pub segment_end: u32,
    /// Length of a period, after which the segments start again; below a nanosecond: the last of
    /// them ends the stream. Where it is no whole number of nanoseconds, its parts are those
    /// of the segments' gaps.
    pub period: Gap,
    /// The mean gap ([`stream_kind::POISSON`]).
    pub mean: MeanGap,
    /// Seed of the random sequence ([`stream_kind::POISSON`]).
    pub seed: u64,
}

/// Where a stream stands.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// When the next frame is due.
    pub due: u64,
    /// What `due` lacks, in parts of a nanosecond: those of `gap`, or of `spec.mean`.
    pub due_rest: u64,
    /// From the next departure to the one behind it. Not used by [`stream_kind::POISSON`].
    pub gap: Gap,
    /// Departures left, `due` included; `u64::MAX`: without end.
    pub left: u64,
    /// When the next frame may leave: `due`, or later after others that were late.
    pub earliest: u64,
    /// Departures left in the segment, `due` included; `u64::MAX`: without end.
    pub segment_left: u64,
    /// The segment at hand, an entry of the table.
    pub segment: u32,
    /// The next stream in the same bucket of the calendar, plus one; 0: none.
    pub next_in_bucket: u32,
    /// When the period at hand started.
    pub period_start: u64,
    /// What `period_start` lacks, in parts of a nanosecond: those of `spec.period`.
    pub period_start_rest: u64,
    /// Numbers drawn from the random sequence.
    pub drawn: u64,
}

/// What became of a stream's departures.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Departures that frames left at.
    pub departed: u64,
    /// Departures that no frame left at: it was too late for them.
    pub unsent: u64,
    /// When the first frame left, plus one; 0: none has.
    pub first: u64,
    /// When the last one left.
    pub last: u64,
    /// Time in which no flow had the departures of a port's stream, in nanoseconds. User space
    /// adds to it.
    pub paused: u64,
    /// How punctual the frames were. Where several flows share a port's stream, each has an entry
    /// of its own in the table of [`FlowLateness`] instead.
    pub lateness: Lateness,
}

/// Where a worker stands in time: one entry per worker. User space writes it between calls.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerClock {
    /// What a call is to do.
    pub spec: ClockSpec,
    /// Where the worker stands.
    pub state: ClockState,
    /// What waiting came to.
    pub counts: ClockCounts,
    /// Keeps the clocks of two workers out of each other's cache lines.
    pub padding: [u64; 6],
}

/// What a worker's call is to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSpec {
    /// The session's start on the monotonic clock, in nanoseconds. Set before the first call.
    pub epoch: u64,
    /// Repetitions that leave together, at least 1: the batch size of the calls. Set between
    /// calls.
    pub batch: u64,
    /// The worker's first entry in the table of streams. Set before the first call.
    pub first_stream: u64,
}

/// Where a worker stands in time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Place of the next repetition within its batch. Set to 0 between calls.
    pub position: u64,
    /// The clock when the batch at hand began; [`IDLE`]: nothing departs in it.
    pub now: u64,
    /// Repetitions of the batch at hand whose frames leave without another look at a stream.
    pub quota: u64,
    /// Streams that have not ended. Set before the first call.
    pub streams: u64,
    /// The stream whose frame is next, plus one; 0: not known yet. Not used with one stream for
    /// the port.
    pub chosen: u64,
    /// When the next frame is due, as far as known: worth sleeping for when far away.
    pub next_due: u64,
    /// 1: all streams have ended.
    pub done: u64,
}

/// What a worker's waiting came to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockCounts {
    /// Time spent waiting, in all.
    pub waited: u64,
    /// How overdue departures were at most, with those that no frame left at. Set to 0 between
    /// calls.
    pub most_overdue: u64,
}

/// Instead of [`ClockState::now`].
pub const IDLE: u64 = u64::MAX;

/// How punctual frames were.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Frames that left later than they were due, by more than [`super::Generator::late`]. Of
    /// frames that leave together it is the beginning of their batch that counts.
    pub frames: u64,
    /// The worst lateness, in nanoseconds.
    pub worst: u64,
}

impl Lateness {
    /// Counts frames that were late, the first of them by so many nanoseconds.
    #[inline(always)]
    pub const fn note(&mut self, frames: u64, overdue: u64) {
        self.frames += frames;
        if overdue > self.worst {
            self.worst = overdue;
        }
    }
}

/// The [`Lateness`] of a flow that shares its port's stream with others: one entry per worker and
/// flow, written by that worker only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowLateness {
    /// How punctual the flow's frames were.
    pub lateness: Lateness,
    /// Keeps the entries of two workers out of each other's cache lines.
    pub padding: [u64; 8],
}

/// Departures further away than this are left to user space, which sleeps until shortly before; in
/// nanoseconds. A sleeper's frames are less punctual (doc/measurements.md#pacing), so it is worth
/// it only where spinning would burn a core for nothing.
pub const FAR: u64 = 1_200_000;

/// A batch gathers frames that are due within this time, in nanoseconds: what follows a pause waits
/// for a batch of its own.
pub const GATHER: u64 = 50_000;

/// Frames that were due before a stream's end may leave until so long after it, in nanoseconds.
pub const GRACE: u64 = 10_000_000;

/// Nanoseconds of the calendar's nearest buckets, as a power of two: 64 ns. Streams that are due in
/// the same bucket leave in any order.
pub const NEAR_BITS: u32 = 6;

/// Those of the buckets of later departures: 2.1 ms.
pub const MIDDLE_BITS: u32 = 21;

/// Those of the last ones: 8.6 s.
pub const FAR_BITS: u32 = 33;

/// Nearest buckets: two of the level behind them, 4.2 ms.
pub const NEAR_BUCKETS: usize = 2 << (MIDDLE_BITS - NEAR_BITS);

/// Buckets of the middle level: two of the last level, 17 s.
pub const MIDDLE_BUCKETS: usize = 2 << (FAR_BITS - MIDDLE_BITS);

/// Buckets of the last level, a power of two: 37 minutes. Streams that are due later go round.
pub const FAR_BUCKETS: usize = 1 << 8;

/// Which stream is due when: one entry per worker. See [`crate::calendar`].
///
/// Bucket b of a level is at b modulo their number. It names its first stream: the stream's number
/// plus one, 0 for none, in 16 bits, four of them in each word, the first one lowest.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The nearest bucket looked at, counted from the start of the session: nothing is due before
    /// it.
    pub cursor: u64,
    /// The first stream on its way to the nearest buckets, plus one; 0: none.
    pub to_near: u64,
    /// The first one on its way to the middle buckets, plus one; 0: none.
    pub to_middle: u64,
    /// Streams in the middle buckets and on their way from there.
    pub in_middle: u64,
    /// Which words of `used` are not 0, a bit for each, the first one lowest.
    pub blocks: [u64; NEAR_BUCKETS / 4 / 64 / 64],
    /// Which words of `near` are not 0, a bit for each, the first one lowest.
    pub used: [u64; NEAR_BUCKETS / 4 / 64],
    /// The nearest buckets.
    pub near: [u64; NEAR_BUCKETS / 4],
    /// The buckets of the middle level.
    pub middle: [u64; MIDDLE_BUCKETS / 4],
    /// The buckets of the last level.
    pub far: [u64; FAR_BUCKETS / 4],
}

impl Calendar {
    /// Without streams.
    pub const EMPTY: Self = Self {
        cursor: 0,
        to_near: 0,
        to_middle: 0,
        in_middle: 0,
        blocks: [0; NEAR_BUCKETS / 4 / 64 / 64],
        used: [0; NEAR_BUCKETS / 4 / 64],
        near: [0; NEAR_BUCKETS / 4],
        middle: [0; MIDDLE_BUCKETS / 4],
        far: [0; FAR_BUCKETS / 4],
    };
}

/// Streams of a worker at most: what a bucket of a [`Calendar`] can name.
pub const MAX_STREAMS: usize = u16::MAX as usize;

/// Entries of the table of exponentially distributed numbers, a power of two.
pub const EXPONENTIALS: usize = 1 << 12;

/// Fractional bits of its entries: entry k is -ln(k / [`EXPONENTIALS`]); entry 0 is not used.
pub const EXPONENTIAL_BITS: u32 = 24;

const _: () = assert!(size_of::<Gap>() == 24);
const _: () = assert!(size_of::<Segment>() == 48);
const _: () = assert!(size_of::<MeanGap>() == 24);
const _: () = assert!(size_of::<StreamSpec>() == 88);
const _: () = assert!(size_of::<StreamState>() == 96);
const _: () = assert!(size_of::<StreamCounts>() == 56);
const _: () = assert!(size_of::<Stream>() == 256);
const _: () = assert!(size_of::<ClockSpec>() == 24);
const _: () = assert!(size_of::<ClockState>() == 56);
const _: () = assert!(size_of::<ClockCounts>() == 16);
const _: () = assert!(size_of::<WorkerClock>() == 144);
const _: () = assert!(size_of::<Lateness>() == 16);
const _: () = assert!(size_of::<FlowLateness>() == 80);
const _: () = assert!(
    size_of::<Calendar>()
        == 64 + NEAR_BUCKETS / 32 + 2 * (NEAR_BUCKETS + MIDDLE_BUCKETS + FAR_BUCKETS)
);
const _: () = assert!(size_of::<Calendar>().is_multiple_of(64));
