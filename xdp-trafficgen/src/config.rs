//! What the user wrote: a file or a command line, parsed, with the place of every value.
//!
//! The configuration is the first step of the data. It knows the packet model's headers, but no host
//! and no kernel: the plan checks whether an interface exists.
//!
//! # The format
//!
//! A file has `[[ports]]` and `[[flows]]`; `config/` has samples of everything here. Unknown keys
//! are refused.
//!
//! | key of a port | value |
//! |---|---|
//! | `name`, `interface` | required |
//! | `ingress` | interface that frames seem to come from; default: `interface` |
//! | `action` | `redirect` (default), `tx`, `pass`, `drop` |
//! | `cpus` | a worker on each: `"0,2-3"`, `[0, 2]`; default: of the CPUs allowed, the first with the fewest workers |
//! | `batch_size` | frames the kernel sends together, 1 to 256; default 64; where there is a rate, at most |
//! | `flood` | without a rate: `true` attempts frames as fast as they can be made, `false` (default) as fast as the link takes them |
//! | `rate` | of all flows together, which share it by `weight`; default: each flow's own, or else as fast as the link takes frames: see below |
//! | `speed` | of the link, which rates in percent refer to: `"10Gbps"`; default: what the link says |
//! | `behind` | what happens to overdue frames: `"catch_up"` (default) or `{ catch_up = "100ms" }`: sent late, up to this; `"skip"`: never sent |
//! | `late_threshold` | frames that leave later than this after they were due count as late; default `"1us"` |
//!
//! | key of a flow | value |
//! |---|---|
//! | `name`, `port` | required |
//! | `packet` | required: headers with their fields, outer to inner: `[{ ethernet = {} }, { ipv4 = { dst = "198.19.0.1" } }]` |
//! | `weight` | share of the port's frames, default 1; flows without rates of their own take turns frame by frame |
//! | `rate` | its own, over all CPUs; then each flow of the port has one, and the port has none: see below |
//! | `delay` | begins so much later than the start: `"500ms"`; default: at once; flows with rates of their own that write none are spread over their gaps |
//! | `packets`, `duration` | when to end: frames that the driver has taken, over all CPUs (`1_000_000`, `"1M"`, `"1e6"`), a time such as `"10s"` from its beginning; whichever comes first; default: never |
//! | `size` | bytes on the wire with the FCS, default 64: see below |
//! | `payload` | what fills the frame, default `"zeros"`: see below |
//!
//! A single rate is a number and its unit, in upper or lower case: frames a second (`"10pps"`,
//! `"500kpps"`, `"1.5Mpps"`); bits a second of the frames with their FCS (`"10Gbps"`, the same as
//! `"10GbpsL2"`), or with preamble and gap too (`"10GbpsL1"`); a share of the line rate (`"40%"`,
//! counted with preamble and gap). Prefixes are `k`, `M`, `G` and `T`; `bit` is `bps`. Bytes
//! (`"80MBps"`) are refused.
//!
//! | rate | frames leave |
//! |---|---|
//! | `"500kpps"`, `{ constant = "500kpps" }` | at equal distances |
//! | `{ poisson = "100kpps" }`, `{ poisson = { mean, seed } }` | at random, independently of each other; each flow in its own way, which is the same in every run with the same `seed` |
//! | `{ burst = { packets, gap = "0s", inter_burst_gap, bursts } }` | `packets` of them `gap` apart, then a pause; `bursts` times, or without end; `rate = "317pps"` instead of `gap` is how fast those of a burst leave |
//! | `{ ramp = { from, to, over } }` | at a rate that changes evenly, and then stays |
//! | `{ steps = [{ rate, duration }, …] }` | at one rate after the other; `repeat = true` beside `steps` starts again at the end |
//! | `{ sine = { mean, amplitude, period } }` | at `mean + amplitude · sin(2π t / period)` |
//! | `{ trace = [["0s", "1kpps"], ["10s", "5kpps"], …] }` | at rates with straight lines between these points, the first at `"0s"`; `repeat` as with `steps` |
//! | `{ trace = "load.csv" }`, `{ trace = { file, unit = "pps", repeat = false } }` | the same, from a file |
//!
//! A trace file has a line for each point, the time in seconds and the rate: `0.5,1000` or
//! `0.5,10kpps`, where a number alone has the `unit`. A line of names may come first; empty lines,
//! and lines that begin with `#`, do not count. Its path starts at the folder of the configuration
//! file. Within `ramp`, `steps` and traces a rate may be zero, a pause.
//!
//! Headers and their fields; names are those of the Open Traffic Generator model. `ethernet` and
//! `custom` can come first, and any header can follow `custom`. Lengths, checksums and what says
//! which header follows are filled in unless set. A checksum covers what the lengths say, set or
//! not: up to the end of the IP packet, and of a UDP datagram; so a checksum follows a length that
//! varies.
#![doc = include_str!("../doc/guide/headers.md")]
//!
//! Addresses of the outermost headers that are not written are the kernel's: its source address for
//! that destination, the MAC address of its next hop, which it is made to ask for, the interface's
//! own MAC address. Where destinations vary and their next hops differ, `ethernet.dst` follows
//! them; where the kernel's source addresses for them differ, so does `src`.
//!
//! Every header takes `bits`, too: `[{ offset = 2, mask = "0ff0", increment = { … } }]`, a field of
//! the ones of a mask (whole bytes, 16 at most, its ones in a row) at an offset in bytes from the
//! header's start. Setting an optional field of `gre` or `gtpv1` puts it there. `dscp` takes names,
//! too: `"EF"`, `"AF41"`, `"CS1"`. A checksum is `"good"` (default), `"bad"` (wrong
//! in every frame), or a value that is sent as it is. MAC addresses are `"02:00:00:00:00:02"`,
//! `"02-00-00-00-00-02"` or `"0200.0000.0002"`. TCP's options are `"nop"`, `"sack_permitted"`,
//! `"end"`, `{ mss = 1460 }`, `{ window_scale = 7 }`, `{ timestamp = { value = 1, echo = 0 } }`, `{
//! sack = [[1, 1000]] }`.
//!
//! | pattern of a field | values |
//! |---|---|
//! | `5`, `0x35`, `"198.18.0.1"`, `{ value = 5 }` | the same in every frame |
//! | `[53, 123]`, `{ values = [53, 123] }` | one after the other, over and over |
//! | `{ increment = { start, step = 1, count } }`, `{ decrement = { … } }` | `count` values, over and over; steps of addresses may look like one |
//! | `{ random = { min, max, seed, count } }` | evenly spread, both limits included; after `count` values the same again |
//!
//! `follow`, beside the pattern's form, makes a field vary together with another one: `follow = "ipv4.src"` in step; `follow = { field = "ipv4.src", pace = "round" }` moves on
//! whenever the other has gone through all of its values. Of several headers of a kind,
//! `ipv4[1].src` is the second from the outside in; `udp.bits[0]` is the first of a header's bits.
//!
//! | size | frames |
//! |---|---|
//! | `128` | all alike |
//! | `"imix"` and others | a mix by its name: see [`size::predefined`] |
//! | `{ increment = { start, end, step = 1 } }` | from `start` up to `end`, over and over |
//! | `{ random = { min, max, seed } }` | evenly spread |
//! | `{ weighted = [{ size = 64, weight = 7 }, …] }` | each as often as its weight says, evenly mixed |
//! | `{ genome = "aaafg" }` | in this order (RFC 6985); `z = 1400` beside it is the size of `z` |
//!
//! | payload | bytes |
//! |---|---|
//! | `"zeros"` | |
//! | `{ pattern = "dead beef" }` | over and over |
//! | `{ hex = "dead beef" }`, `{ text = "hello" }` | once, then zeros |
//! | `{ increment = { start = 0 } }` | counting up |
//! | `{ random = { seed = 1 } }` | the same in every frame |
//!
//! `--set flows.NAME.KEY=VALUE` and `--set ports.NAME.KEY=VALUE` change a file for a run; `*` is
//! every name, and keys lead to any value of the file: `flows.dns.size=imix`,
//! `flows.*.packets=1000`, `ports.west.rate=40%`, `flows.dns.packet.ipv4[1].dst=198.19.0.9`,
//! `flows.dns.packet.udp.src_port={ random = {} }`. `--rate` is the rate of each port: flows with
//! rates of their own keep their shares of it. `--scale 2x` multiplies all rates of the file, but
//! not how often bursts come.

#[doc(hidden)]
pub mod checked;
mod diagnostic;
pub mod file;
#[doc(hidden)]
pub mod literal;
#[doc(hidden)]
pub mod names;
mod path;
pub mod pattern;
pub mod rate;
#[doc(hidden)]
pub mod size;
#[doc(hidden)]
pub mod store;

use std::{ops::Range, sync::Arc, time::Duration};

pub use diagnostic::{Diagnostic, Diagnostics, Source, Styling};
pub use pattern::Pattern;
pub use rate::{LatePolicy, Profile, Rate, RateUnit};

pub use crate::packet::Payload;
use crate::packet::{ChecksumMode, FieldRef, HeaderKind};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Bytes of the configuration file.
    File(Range<usize>),
    /// A command line option, named as the user typed it, such as `--size`.
    Option(&'static str),
    /// A `--set` on the command line.
    Override(Box<OverridePlace>),
    /// Nowhere: the value is a default.
    Default,
}

/// Where a value was written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverridePlace {
    /// The whole argument of `--set`.
    pub argument: Arc<str>,
    /// The bytes of the value in it.
    pub span: Range<usize>,
}

impl Origin {
    /// Bytes of an argument of `--set`.
    pub fn in_override(argument: Arc<str>, span: Range<usize>) -> Self {
        Self::Override(Box::new(OverridePlace { argument, span }))
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Origin,
}

impl<T> Located<T> {
    /// A value that was written at `place`.
    pub const fn new(value: T, place: Origin) -> Self {
        Self { value, place }
    }

    /// A value that the user did not write.
    pub const fn default(value: T) -> Self {
        Self { value, place: Origin::Default }
    }
}

/// A whole configuration: the interfaces that send, and what each sends.
#[derive(Clone, Debug)]
pub struct Config {
    /// The text the places refer to.
    pub source: Source,
    /// The ports; at least one.
    pub ports: Vec<Port>,
    /// The flows; at least one, and each names one of the ports.
    pub flows: Vec<Flow>,
}

/// What the kernel does with every frame after the program ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sends it out of the port's interface.
    #[default]
    Redirect,
    /// Sends it out of the ingress interface.
    Tx,
    /// Hands it to this machine's network stack, as if it had been received on the ingress
    /// interface.
    Pass,
    /// Drops it.
    Drop,
}

impl Action {
    /// The action's name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Tx => "tx",
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

/// An interface that sends.
#[derive(Clone, Debug)]
pub struct Port {
    /// The port's name, unique among ports.
    pub name: Located<String>,
    /// The interface that frames leave by.
    pub interface: Located<String>,
    /// The interface that frames appear to come from; the egress interface when not given.
    pub ingress: Option<Located<String>>,
    /// What the kernel does with each frame.
    pub action: Located<Action>,
    /// One worker on each of these CPUs; when not given, on the first of those allowed that have
    /// the fewest workers.
    pub cpus: Option<Located<Vec<u32>>>,
    /// The number of frames that the kernel sends together, 1 to 256; with a rate, the largest
    /// number.
    pub batch_size: Located<u32>,
    /// What a worker without a rate does when the driver's queue is full.
    pub when_full: Located<WhenFull>,
    /// The rate of all its flows together, which then have no rates of their own; full speed when
    /// not given.
    pub rate: Option<Located<Profile>>,
    /// The sum that the rates of its flows, constant ones or means, are scaled to. Set by `--rate`
    /// on the command line; a file cannot set it.
    pub total: Option<Located<Total>>,
    /// Bits a second that shares of the line rate refer to; the link's own speed when not given.
    pub speed: Option<Located<u64>>,
    /// The late policy: what happens to overdue departures.
    pub behind: Located<LatePolicy>,
    /// Frames that leave later than this after they were due count as late.
    pub late_threshold: Located<Duration>,
}

/// What a worker without a rate does when the driver's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits for room, and makes up for frames that were refused: it sends as fast as the link
    /// takes frames.
    #[default]
    Wait,
    /// It goes on: it attempts frames as fast as they can be made (`flood`).
    Flood,
}

/// A sum that several rates are scaled to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The sum of the rates.
    pub rate: Rate,
    /// The rates as they were written, each with the sizes of its frames. Flows that have ended keep
    /// their share, so theirs are included.
    pub among: Vec<(Rate, Size)>,
}

/// Default of [`Port::batch_size`]: the kernel's own (`xdp_test_run` in `net/bpf/test_run.c`).
pub const DEFAULT_BATCH_SIZE: u32 = 64;

/// Frames of one layout, sent by one port.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The flow's name, unique among flows.
    pub name: Located<String>,
    /// The name of the port that sends it.
    pub port: Located<String>,
    /// Its share of the port's frames, at least 1: flows of weight 1 and 3 take turns as 1 to 3.
    pub weight: Located<u32>,
    /// Bytes of its frames on the wire, the 4-byte FCS included.
    pub size: Located<Size>,
    /// When its frames leave. Either all flows of a port have a rate, or none has.
    pub rate: Option<Located<Profile>>,
    /// Time from the start to the flow's beginning.
    pub delay: Located<Duration>,
    /// Frames to send in total over all workers; without end when not given. With a rate:
    /// departures.
    pub packets: Option<Located<u64>>,
    /// How long the flow lasts from its beginning; without end when not given.
    pub duration: Option<Located<Duration>>,
    /// The headers, outer to inner; at least one.
    pub packet: Vec<Header>,
    /// The octets after the headers.
    pub payload: Located<Payload>,
}

/// Default of [`Flow::size`].
pub const DEFAULT_SIZE: u32 = 64;

/// The sizes of a flow's frames, one by one; each is within [`literal::FRAME_SIZE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// The same for every frame.
    Fixed(u32),
    /// `start`, `start + step`, … up to `end` at most, over and over; `start` is at most `end`,
    /// `step` at least 1.
    Increment {
        /// First size.
        start: u32,
        /// Limit of the last size.
        end: u32,
        /// Distance of two sizes.
        step: u32,
    },
    /// Sizes evenly spread between the two, both included.
    Random {
        /// Smallest size.
        min: u32,
        /// Largest size.
        max: u32,
        /// The same seed gives the same sizes.
        seed: Option<u64>,
    },
    /// An IMIX: each size as often as its weight says, evenly mixed, over and over. The list is not
    /// empty; weights are at least 1.
    Weighted(Vec<SizeWeight>),
    /// Exactly these sizes, one after the other, over and over (RFC 6985 genomes); the list is not
    /// empty.
    Sequence(Vec<u32>),
}

/// A size and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeWeight {
    /// Bytes on the wire, FCS included.
    pub size: u32,
    /// How often the size occurs, at least 1.
    pub weight: u32,
}

impl Size {
    /// The smallest size.
    pub fn smallest(&self) -> u32 {
        match self {
            Self::Fixed(size)
            | Self::Increment { start: size, .. }
            | Self::Random { min: size, .. } => *size,
            Self::Weighted(sizes) => sizes.iter().map(|size| size.size).min().unwrap_or(0),
            Self::Sequence(sizes) => sizes.iter().copied().min().unwrap_or(0),
        }
    }

    /// The largest size.
    pub fn largest(&self) -> u32 {
        match self {
            Self::Fixed(size) | Self::Random { max: size, .. } => *size,
            Self::Increment { start, end, step } => end - (end - start) % step,
            Self::Weighted(sizes) => sizes.iter().map(|size| size.size).max().unwrap_or(0),
            Self::Sequence(sizes) => sizes.iter().copied().max().unwrap_or(0),
        }
    }
}

/// A header and those of its fields that were set.
#[derive(Clone, Debug)]
pub struct Header {
    /// Which header.
    pub kind: Located<HeaderKind>,
    /// The fields in the order written; each at most once. Bits at any offset (`bits = [{ offset, mask,
    /// … }]`) are fields, too, with definitions of their own.
    pub fields: Vec<FieldSetting>,
    /// The part of variable length: `options`, or the `bytes` of `custom`; empty when not given.
    pub options: Located<Vec<u8>>,
    /// How its checksum is computed, unless the checksum is among the fields.
    pub checksum: Located<ChecksumMode>,
}

/// A field with its pattern.
#[derive(Clone, Debug)]
pub struct FieldSetting {
    /// Which field.
    pub field: FieldRef,
    /// Its values; all fit the field.
    pub pattern: Located<Pattern>,
    /// The field that it follows, if any.
    pub follow: Option<Located<Follow>>,
}

/// The leader of a field: another field of the same flow, which varies. No field follows itself,
/// directly or in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Index of the leader's header in the packet.
    pub header: usize,
    /// Index of the leader among the header's fields.
    pub field: usize,
    /// When the follower moves on; the file calls it `pace`.
    pub advance: Advance,
}

/// When a follower moves on to its next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// With the leader, value by value: while the leader has its k-th value, so has the follower.
    /// Both have the same number of values ([`Pattern::value_count`]).
    Step,
    /// By one each time the leader has gone through all of its values, which the leader counts
    /// through or lists. Leader and follower together go through all pairs.
    Round,
}
