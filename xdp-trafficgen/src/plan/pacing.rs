//! When frames leave: every rate and profile as streams of departure times in whole nanoseconds, one for each worker and port, or for
//! each worker and flow.

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::timing::{Calendar, Departures, Segment};

use crate::config::rate::Ratio;

/// How a port's frames are paced.
#[derive(Clone, Debug, PartialEq)]
pub struct Pacing {
    /// Whose departures the streams are.
    pub streams: Streams,
    /// Each worker's streams, one worker's after the other's: one a worker, or one for each flow of each worker.
    pub departures: Vec<Departures>,
    /// The segments they refer to.
    pub segments: Vec<Segment>,
    /// The order in which each worker's flows begin; empty where the port has one stream.
    pub calendars: Vec<Calendar>,
    /// Departures that are overdue by more than this are given up.
    pub give_up: Duration,
    /// Frames that leave later than this after they were due count as late.
    pub late: Duration,
    /// Frames a second of the port at its highest, over all workers; bursts without gaps count as what the wire carries at 100
    /// Gbit/s.
    pub peak: f64,
    /// The rate that was asked for, in frames a second: the port's with one stream, else each flow's. None where it
    /// changes with time.
    pub requested: Vec<Option<Ratio>>,
}

/// Whose departures the streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// The port's: its flows take turns by their weights.
    Port,
    /// Each flow's own.
    Flows,
}
