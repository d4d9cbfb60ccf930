//! What the user wrote: a file or a command line, parsed, with the place of every value.
//!
//! First in the way of the data. Knows the packet model's field tables, but no host and no kernel: whether an interface
//! exists is the plan's question.

pub mod checked;
pub mod diagnostic;
pub mod file;
pub mod literal;
pub mod names;
mod path;
pub mod pattern;
pub mod size;

use std::{ops::Range, sync::Arc, time::Duration};

pub use diagnostic::{Diagnostic, Diagnostics, Source};
pub use pattern::Pattern;

pub use crate::packet::Payload;
use crate::packet::{ChecksumMode, FieldDef, HeaderKind};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the configuration file.
    File(Range<usize>),
    /// A command line option, named as the user typed it, such as `--size`.
    Option(&'static str),
    /// A `--set` on the command line: the whole argument, and the bytes of it that are meant.
    Override(Arc<str>, Range<usize>),
    /// Nowhere: a default.
    Default,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub place: Place,
}

impl<T> Located<T> {
    /// A value that was written at `place`.
    pub const fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    /// A value nobody wrote.
    pub const fn default(value: T) -> Self {
        Self { value, place: Place::Default }
    }
}

/// A whole configuration: which interfaces send, and what.
#[derive(Clone, Debug)]
pub struct Config {
    /// The text the places refer to.
    pub source: Source,
    /// At least one.
    pub ports: Vec<Port>,
    /// At least one; each names one of the ports.
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
    /// Hands it to this machine's network stack, as though it came in on the ingress interface.
    Pass,
    /// Throws it away.
    Drop,
}

/// An interface that sends.
#[derive(Clone, Debug)]
pub struct Port {
    /// Unique among ports.
    pub name: Located<String>,
    /// The interface frames leave by.
    pub interface: Located<String>,
    /// The interface frames seem to have come from; the egress interface when not given.
    pub ingress: Option<Located<String>>,
    /// What happens to a frame.
    pub action: Located<Action>,
    /// One worker on each of these CPUs; the first CPU allowed when not given.
    pub cpus: Option<Located<Vec<u32>>>,
    /// Frames the kernel sends together, 1 to 256.
    pub batch_size: Located<u32>,
}

/// Default of [`Port::batch_size`]: the kernel's own (`xdp_test_run` in `net/bpf/test_run.c`).
pub const DEFAULT_BATCH_SIZE: u32 = 64;

/// Frames of one layout, sent by one port.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Unique among flows.
    pub name: Located<String>,
    /// The name of the port that sends it.
    pub port: Located<String>,
    /// Its share of the port's frames, at least 1: flows of weight 1 and 3 take turns as 1 to 3.
    pub weight: Located<u32>,
    /// Bytes of its frames on the wire, the 4-byte FCS included.
    pub size: Located<Size>,
    /// Frames to send in total over all workers; without end when not given.
    pub packets: Option<Located<u64>>,
    /// When to end; never when not given.
    pub duration: Option<Located<Duration>>,
    /// The headers, outer to inner; at least one.
    pub packet: Vec<Header>,
    /// What fills the rest of the frame.
    pub payload: Located<Payload>,
}

/// Default of [`Flow::size`].
pub const DEFAULT_SIZE: u32 = 64;

/// The sizes of a flow's frames, one by one; each is within [`literal::FRAME_SIZE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// The same for every frame.
    Fixed(u32),
    /// `start`, `start + step`, … up to `end` at most, over and over; `start` is at most `end`, `step` at least 1.
    Increment {
        /// First size.
        start: u32,
        /// Limit of the last size.
        end: u32,
        /// Distance of two sizes.
        step: u32,
    },
    /// Evenly spread between the two, both included.
    Random {
        /// Smallest size.
        min: u32,
        /// Largest size.
        max: u32,
        /// The same seed gives the same sizes.
        seed: Option<u64>,
    },
    /// Each size as often as its weight says, spread evenly, over and over: an IMIX. Not empty; weights are at least 1.
    Weighted(Vec<SizeWeight>),
    /// Exactly these, one after the other, over and over (RFC 6985 genomes); not empty.
    Sequence(Vec<u32>),
}

/// A size and how often it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeWeight {
    /// Bytes on the wire, FCS included.
    pub size: u32,
    /// At least 1.
    pub weight: u32,
}

impl Size {
    /// The smallest size.
    pub fn smallest(&self) -> u32 {
        match self {
            Self::Fixed(size) | Self::Increment { start: size, .. } | Self::Random { min: size, .. } => *size,
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
    /// In the order written; each field at most once. Bits at any offset (`bits = [{ offset, mask, … }]`) are among them, as
    /// fields whose definition was made for them.
    pub fields: Vec<FieldSetting>,
    /// The part of variable length: `options`, or the `bytes` of `custom`; empty when not given.
    pub options: Located<Vec<u8>>,
    /// What its checksum is to be, unless the checksum is among the fields.
    pub checksum: Located<ChecksumMode>,
}

/// A field with its pattern.
#[derive(Clone, Debug)]
pub struct FieldSetting {
    /// Which field.
    pub field: FieldDef,
    /// Its values; all fit the field.
    pub pattern: Located<Pattern>,
    /// The field its values go along with; on its own when none.
    pub follow: Option<Located<Follow>>,
}

/// A field of the same flow that another one's values go along with. Nobody follows itself, directly or in a circle, and
/// the leader varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Index of the leader's header in the packet.
    pub header: usize,
    /// Index of the leader among the header's fields.
    pub field: usize,
    /// When the follower moves on.
    pub pace: Pace,
}

/// When a follower moves on to its next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// With the leader, value by value: while the leader has its k-th value, so has the follower. Both have the same
    /// number of values ([`Pattern::value_count`]).
    Step,
    /// By one each time the leader has gone through all of its values, which the leader counts through or lists. Leader and
    /// follower together go through all pairs.
    Round,
}
