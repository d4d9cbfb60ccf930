//! A stream's departures as the program counts them, without a kernel.

use std::{borrow::Cow, iter};

use xdp_trafficgen_ebpf::{
    abi::timing::{EXPONENTIAL_BITS, EXPONENTIALS, Segment, Stream},
    timing::{Tables, advance},
};

use super::Pacing;

/// The tables that streams refer to.
#[derive(Clone, Debug)]
pub struct HostTables<'a> {
    segments: &'a [Segment],
    exponentials: Cow<'a, [u32]>,
}

impl<'a> HostTables<'a> {
    /// The tables of a port.
    pub fn new(pacing: &'a Pacing) -> Self {
        Self { segments: &pacing.segments, exponentials: exponentials().into() }
    }

    /// Tables with [`exponentials`] that the caller keeps.
    pub(super) const fn with(segments: &'a [Segment], exponentials: &'a [u32]) -> Self {
        Self { segments, exponentials: Cow::Borrowed(exponentials) }
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

/// The remaining departures of a stream, to its end.
pub fn departures(stream: &Stream, tables: &impl Tables) -> impl Iterator<Item = u64> {
    let mut stream = *stream;
    iter::from_fn(move || {
        if stream.state.left == 0 || stream.state.due >= stream.spec.end {
            return None;
        }
        let due = stream.state.due;
        advance(&mut stream, tables);
        Some(due)
    })
}

/// The table of exponentially distributed numbers, scaled so that draws from it have a mean of 1:
/// the straight lines between its entries lie above the curve, by 33 millionths on average.
pub fn exponentials() -> Vec<u32> {
    let entries = EXPONENTIALS as f64;
    let exact = |index: usize| if index == 0 { 0.0 } else { (entries / index as f64).ln() };
    // A draw lies evenly between an entry and the next; once in n times the first entry is added to
    // another draw: m = lines / n + (e₁ + m) / n.
    let lines: f64 = (1..EXPONENTIALS).map(|index| exact(index).midpoint(exact(index + 1))).sum();
    let mean = (lines + exact(1)) / (entries - 1.0);
    let unit = f64::from(1u32 << EXPONENTIAL_BITS);
    (0..EXPONENTIALS).map(|index| rounded(exact(index) / mean * unit)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the largest entry is 8.3 · 2²⁴")]
fn rounded(number: f64) -> u32 {
    number.round() as u32
}
