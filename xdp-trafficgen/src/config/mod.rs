//! What the user wrote: a file or a command line, parsed, with the place of every value.
//!
//! First in the way of the data. Knows the packet model's field tables, but no host and no kernel: whether an interface
//! exists is the plan's question.

pub mod checked;
pub mod diagnostic;
pub mod file;
pub mod literal;
pub mod names;
pub mod pattern;

use std::{ops::Range, time::Duration};

pub use diagnostic::{Diagnostic, Diagnostics, Source};
pub use pattern::Pattern;

pub use crate::packet::Payload;
use crate::packet::{FieldDef, HeaderKind};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the configuration file.
    File(Range<usize>),
    /// A command line option, named as the user typed it, such as `--size`.
    Option(&'static str),
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
    /// Bytes of the frame on the wire, its 4-byte FCS included.
    pub size: Located<u32>,
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

/// A header and those of its fields that were set.
#[derive(Clone, Debug)]
pub struct Header {
    /// Which header.
    pub kind: Located<HeaderKind>,
    /// In the order written; each field at most once.
    pub fields: Vec<FieldSetting>,
}

/// A field with its pattern.
#[derive(Clone, Debug)]
pub struct FieldSetting {
    /// Which field.
    pub field: &'static FieldDef,
    /// Its values; all fit the field.
    pub pattern: Located<Pattern>,
}
