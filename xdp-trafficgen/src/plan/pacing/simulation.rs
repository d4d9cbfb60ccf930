//! Departures as the program counts them, without a kernel: what a stream will do.

use std::iter;

use xdp_trafficgen_ebpf::{
    abi::timing::{Departures, EXPONENTIAL_BITS, EXPONENTIALS, Segment, departures as kinds},
    timing::{Tables, advance},
};

use super::{Pacing, rates::small};

/// The tables that streams refer to.
#[derive(Clone, Debug)]
pub struct HostTables<'a> {
    segments: &'a [Segment],
    exponentials: Vec<u32>,
}

impl<'a> HostTables<'a> {
    /// Those of a port.
    pub fn new(pacing: &'a Pacing) -> Self {
        Self { segments: &pacing.segments, exponentials: exponentials() }
    }
}

impl Tables for HostTables<'_> {
    fn segment(&self, index: u32) -> Option<Segment> {
        self.segments.get(index as usize).copied()
    }

    fn exponential(&self, index: u32) -> u32 {
        self.exponentials.get(index as usize).copied().unwrap_or(0)
    }

    fn uses(&self, _: u32) -> bool {
        true
    }
}

/// When a stream's frames are due, from where it stands to its end.
pub fn departures(stream: &Departures, tables: &impl Tables) -> impl Iterator<Item = u64> {
    let mut stream = *stream;
    iter::from_fn(move || {
        if stream.left == 0 || stream.due >= stream.end {
            return None;
        }
        let due = stream.due;
        advance(&mut stream, tables);
        Some(due)
    })
}

/// How many departures of a stream, from where it stands, are due before a time. Constant gaps are not gone through one by one,
/// segments are, and so are the departures of a Poisson process.
pub fn due_before(stream: &Departures, tables: &impl Tables, time: u64) -> u64 {
    let mut stream = *stream;
    let time = time.min(stream.end);
    let mut counted = 0;
    while stream.left > 0 && stream.due < time {
        let run = match stream.kind {
            kinds::CONSTANT => stream.left,
            kinds::SEGMENTS => stream.left.min(stream.run),
            _ => 1,
        };
        let due = if run == 1 { 1 } else { run_before(&stream, time).min(run) };
        counted += due;
        if stream.kind == kinds::CONSTANT || due < run {
            break;
        }
        // On to the last one of the run, and from there as the program does.
        stream.left -= if stream.left == u64::MAX { 0 } else { run - 1 };
        stream.run = 1;
        advance(&mut stream, tables);
    }
    counted
}

/// Departures before a time if the gap stays: the first one is.
fn run_before(stream: &Departures, time: u64) -> u64 {
    let whole = u128::from(stream.gap.whole);
    let gap = u128::from(stream.gap.ns) * whole + u128::from(stream.gap.rest);
    // Departure k is before a whole number of nanoseconds when its exact time is.
    let until = u128::from(time - stream.due) * whole - u128::from(stream.rest);
    if gap == 0 { u64::MAX } else { small(until.div_ceil(gap)) }
}

/// The table of exponentially distributed numbers, scaled so that what is drawn from it has a mean of 1: the straight lines
/// between its entries lie above the curve, by 33 millionths on average.
pub fn exponentials() -> Vec<u32> {
    let entries = EXPONENTIALS as f64;
    let exact = |index: usize| if index == 0 { 0.0 } else { (entries / index as f64).ln() };
    // What is drawn lies evenly between an entry and the next; once in so many times the first one is added to another number:
    // m = lines / n + (e₁ + m) / n.
    let lines: f64 = (1..EXPONENTIALS).map(|index| exact(index).midpoint(exact(index + 1))).sum();
    let mean = (lines + exact(1)) / (entries - 1.0);
    let unit = f64::from(1u32 << EXPONENTIAL_BITS);
    (0..EXPONENTIALS).map(|index| rounded(exact(index) / mean * unit)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the largest entry is 8.3 · 2²⁴")]
fn rounded(number: f64) -> u32 {
    number.round() as u32
}
