//! Loads as streams of departures: worker w of n takes departures w, w + n, w + 2n, … of a load.

use xdp_trafficgen_ebpf::{
    abi::timing::{GRACE, Gap, MeanGap, Segment, Stream, StreamSpec, StreamState, stream_kind},
    field::split_mix_64,
    timing,
};

use super::{
    curve::{Curve, CurveEnd, Run, Shape, TooMany, runs},
    rates::{BurstTiming, Interval, MAX_NANOS, small, whole},
    simulation::exponentials,
};
use crate::units::{self, Ratio, gcd};

/// When frames leave, in frames a second.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Load {
    /// At equal distances; the rate is not zero.
    Constant(Ratio),
    /// As a Poisson process, of a rate that is not zero.
    Poisson {
        mean: Ratio,
        /// Already that of the port or the flow.
        seed: u64,
    },
    /// In groups.
    Burst(BurstTiming),
    /// At a rate that changes.
    Curve(Curve),
}

/// What a flow does with its load.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// By how much all of it is shifted, in nanoseconds.
    pub(super) delay: u64,
    /// When it ends; `u64::MAX`: never.
    pub(super) end: u64,
    /// Frames over all workers; `u64::MAX`: without end.
    pub(super) packets: u64,
    /// The flow's number, which shifts a constant load within its gap: the gap's multiples by the golden ratio are never close
    /// to each other, so flows of the same rate do not send together. 0, which is no shift, where the delay is written.
    pub(super) phase: u32,
    /// The times, in nanoseconds since the load began, at which flows that send it begin or end: in order, each once, none 0.
    pub(super) cuts: Vec<u64>,
}

/// Makes streams, and the segments they refer to.
pub(super) struct Builder {
    workers: u64,
    /// Segments at most.
    limit: usize,
    /// How far departures of a changing rate may be from their exact time, in nanoseconds.
    nanos: u64,
    pub(super) segments: Vec<Segment>,
    /// The loads of the last flows, which others often share.
    known: Vec<LoadSegments>,
    exponentials: Vec<u32>,
}

/// Loads remembered.
const KNOWN: usize = 16;

/// A load whose segments are in the table.
struct LoadSegments {
    load: Load,
    cuts: Vec<u64>,
    cycle: Cycle,
    /// The entries of each worker's segments: the first, and the one behind the last.
    entries: Vec<(u32, u32)>,
}

/// A load as runs, over and over or once.
#[derive(Clone, Debug)]
struct Cycle {
    runs: Vec<Run>,
    /// Frames of all runs; `u64::MAX`: without end.
    frames: u64,
    /// Nanoseconds after which they start again; none: they do not.
    period: Option<Ratio>,
    /// Frames in all; `u64::MAX`: without end.
    total: u64,
}

impl Builder {
    pub(super) fn new(workers: u64, nanos: u64, limit: usize) -> Self {
        Self { workers, limit, nanos, segments: Vec::new(), known: Vec::new(), exponentials: exponentials() }
    }

    /// The streams of a load, one for each worker.
    ///
    /// # Errors
    /// When there is no room for its segments.
    pub(super) fn add(&mut self, load: &Load, limits: &Limits) -> Result<Vec<Stream>, TooMany> {
        let mut streams = match load {
            &Load::Constant(rate) => self.constant(rate, limits),
            &Load::Poisson { mean, seed } => (0..self.workers).map(|w| self.poisson(mean, seed, w, limits)).collect(),
            Load::Burst(_) | Load::Curve(_) => self.cyclic(load, limits)?,
        };
        for (worker, stream) in (0..).zip(&mut streams) {
            stream.state.left = stream.state.left.min(share(limits.packets, self.workers, worker));
            stream.spec.end = limits.end;
            stream.spec.close = limits.end.saturating_add(GRACE);
            stream.state.earliest = stream.state.due;
        }
        Ok(streams)
    }

    fn constant(&self, rate: Ratio, limits: &Limits) -> Vec<Stream> {
        let interval = Interval::of_rate(rate, self.workers);
        // The golden ratio's fraction, times 2³².
        let phase = interval.share(limits.phase.wrapping_mul(0x9e37_79b9));
        let stream = |worker| {
            let turn = interval.times(worker);
            let rest = turn.rest + phase.rest;
            let carry = rest >= turn.whole;
            Stream {
                spec: StreamSpec { kind: stream_kind::CONSTANT, ..StreamSpec::default() },
                state: StreamState {
                    due: limits.delay + phase.ns + turn.ns + u64::from(carry),
                    due_rest: if carry { rest - turn.whole } else { rest },
                    gap: interval.times(self.workers),
                    left: u64::MAX,
                    ..StreamState::default()
                },
                ..Stream::default()
            }
        };
        (0..self.workers).map(stream).collect()
    }

    /// A process of its own for each worker: together they are one of n times the rate.
    fn poisson(&self, mean: Ratio, seed: u64, worker: u64, limits: &Limits) -> Stream {
        let nanos = 1e9 * self.workers as f64 / mean.to_f64();
        // So many bits behind the point leave 34 bits in all; see `MeanGap`.
        let point = (-24..=34).rev().find(|&bits| nanos * f64::powi(2.0, bits) < 17_179_869_183.5).unwrap_or(-24);
        let bits = u32::try_from(point + 24).unwrap_or(0);
        let units = whole((nanos * f64::powi(2.0, point)).round()).min((1 << 34) - 1);
        let mut stream = Stream {
            spec: StreamSpec {
                kind: stream_kind::POISSON,
                mean: MeanGap::new(units, bits),
                seed: split_mix_64(seed, worker),
                ..StreamSpec::default()
            },
            state: StreamState { due: limits.delay, left: u64::MAX, ..StreamState::default() },
            ..Stream::default()
        };
        // The first one comes as long after the start as any other after the one before it.
        timing::advance(&mut stream, &OnlyExponentials(&self.exponentials));
        stream
    }

    fn cyclic(&mut self, load: &Load, limits: &Limits) -> Result<Vec<Stream>, TooMany> {
        let cuts = cuts(load, &limits.cuts);
        let index = match self.known.iter().position(|known| known.load == *load && known.cuts == cuts) {
            Some(index) => index,
            None => {
                // Each worker needs about as many segments as there are runs: where that is too many, it is known soon.
                let room = (self.limit - self.segments.len()) / usize::try_from(self.workers).unwrap_or(usize::MAX);
                let cycle = cycle(load, &cuts, self.nanos, room)?;
                let entries = (0..self.workers).map(|worker| self.write(&cycle, worker)).collect::<Result<_, _>>()?;
                if self.known.len() == KNOWN {
                    self.known.remove(0);
                }
                self.known.push(LoadSegments { load: load.clone(), cuts, cycle, entries });
                self.known.len() - 1
            }
        };
        let LoadSegments { cycle, entries, .. } = &self.known[index];
        let stream = |(worker, &(first, end)): (u64, &(u32, u32))| {
            let segment = self.segments[first as usize..end as usize].first().copied().unwrap_or_default();
            let period =
                cycle.period.map_or(Gap::ZERO, |period| periods(period, self.periods(cycle), segment.gap.whole));
            Stream {
                spec: StreamSpec {
                    kind: stream_kind::SEGMENTS,
                    first_segment: first,
                    segment_end: end,
                    period,
                    ..StreamSpec::default()
                },
                state: StreamState {
                    due: limits.delay + segment.start,
                    due_rest: segment.rest,
                    gap: segment.gap,
                    left: share(cycle.total, self.workers, worker),
                    segment_left: segment.frames,
                    segment: first,
                    period_start: limits.delay,
                    ..StreamState::default()
                },
                ..Stream::default()
            }
        };
        Ok((0..).zip(entries).map(stream).collect())
    }

    /// After how many periods it is the first worker's turn again.
    fn periods(&self, cycle: &Cycle) -> u64 {
        match cycle.period {
            Some(_) => self.workers / small(gcd(cycle.frames.into(), self.workers.into())).max(1),
            None => 1,
        }
    }

    /// A worker's segments, and their entries. Of a load that repeats they cover as many periods as it takes until all workers
    /// have had the same number of frames: the turns go on from one period to the next.
    fn write(&mut self, cycle: &Cycle, worker: u64) -> Result<(u32, u32), TooMany> {
        let first = self.segments.len();
        let workers = u128::from(self.workers);
        for period in 0..self.periods(cycle) {
            let mut number = u128::from(period) * u128::from(cycle.frames);
            for run in &cycle.runs {
                // The worker's first one.
                let skipped = small((u128::from(worker) + workers - number % workers) % workers);
                number += u128::from(run.frames);
                if skipped >= run.frames {
                    continue;
                }
                let frames = match run.frames {
                    u64::MAX => u64::MAX,
                    frames => (frames - skipped).div_ceil(self.workers),
                };
                let length = cycle.period.unwrap_or(Ratio::ZERO);
                let interval = Interval::beside(run.gap, [run.start, length], self.workers);
                let before = periods(length, period, interval.whole());
                let parts = [before, interval.in_parts(run.start), interval.times(skipped)];
                let rest: u128 = parts.iter().map(|part| u128::from(part.rest)).sum();
                let carry = small(rest / u128::from(interval.whole()));
                let start = parts.iter().fold(carry, |sum, part| sum.saturating_add(part.ns)).min(MAX_NANOS);
                let rest = small(rest % u128::from(interval.whole()));
                self.segments.push(Segment { start, rest, frames, gap: interval.times(self.workers) });
                if self.segments.len() > self.limit {
                    return Err(TooMany);
                }
            }
        }
        let entry = |index: usize| u32::try_from(index).map_err(|_| TooMany);
        Ok((entry(first)?, entry(self.segments.len())?))
    }
}

/// So many periods of a load: in so many parts of a nanosecond where it takes some, which are then those of its segments.
fn periods(period: Ratio, count: u64, whole: u64) -> Gap {
    let times = Ratio::whole(count);
    let most = Ratio::whole(MAX_NANOS);
    let length = period.times(times);
    let length = if length.numerator / length.denominator >= most.numerator { most } else { length };
    match period.denominator {
        1 => Gap { ns: small(length.numerator), ..Gap::ZERO },
        _ => Interval::of_parts(whole).in_parts(length),
    }
}

/// The times within a load, or a period of it, at which it must be on the right side: those that count where its rate changes
/// evenly.
fn cuts(load: &Load, all: &[u64]) -> Vec<u64> {
    let Load::Curve(Curve { shape: Shape::Lines(lines), ends }) = load else { return Vec::new() };
    if lines.iter().all(|line| line.from == line.to) {
        return Vec::new();
    }
    let length = lines.iter().fold(0, |sum: u64, line| sum.saturating_add(line.nanos)).max(1);
    let within = |cut: &u64| if *ends == CurveEnd::Repeats { cut % length } else { *cut };
    let mut cuts: Vec<u64> = all.iter().map(within).filter(|cut| (1..length).contains(cut)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

fn cycle(load: &Load, cuts: &[u64], nanos: u64, limit: usize) -> Result<Cycle, TooMany> {
    let (runs, period, bursts) = match load {
        Load::Burst(burst) => {
            let run = Run { start: Ratio::ZERO, frames: burst.packets, gap: burst.gap };
            (vec![run], Some(burst.period()), burst.bursts)
        }
        Load::Curve(curve) => {
            let period = match curve.ends {
                CurveEnd::Repeats => Some(Ratio::whole(curve.shape.nanos())),
                CurveEnd::Stops | CurveEnd::Stays(_) => None,
            };
            (runs(curve, cuts, nanos, limit)?, period, None)
        }
        Load::Constant(_) | Load::Poisson { .. } => (Vec::new(), None, None),
    };
    let frames = runs.iter().fold(0u64, |sum, run| sum.saturating_add(run.frames));
    let total = match (period, bursts) {
        (Some(_), None) => u64::MAX,
        (_, Some(bursts)) => frames.saturating_mul(bursts),
        (None, None) => frames,
    };
    Ok(Cycle { runs, frames, period, total })
}

/// How many of these frames a worker sends; `u64::MAX`: without end.
const fn share(packets: u64, workers: u64, worker: u64) -> u64 {
    match packets {
        u64::MAX => u64::MAX,
        packets => units::share(packets, workers, worker),
    }
}

/// For streams without segments.
struct OnlyExponentials<'a>(&'a [u32]);

impl timing::Tables for OnlyExponentials<'_> {
    fn segment(&self, _: u32) -> Option<Segment> {
        None
    }

    fn exponential(&self, index: u32) -> u32 {
        self.0.get(index as usize).copied().unwrap_or(0)
    }

    fn uses(&self, _: u32) -> bool {
        true
    }
}
