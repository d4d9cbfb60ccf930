//! Profiles as streams of departures: worker w of n takes departures w, w + n, w + 2n, … of a
//! profile.

use xdp_trafficgen_ebpf::{
    abi::timing::{GRACE, Gap, MeanGap, Segment, Stream, StreamSpec, StreamState, stream_kind},
    field::split_mix_64,
    timing,
};

use super::{
    curve::{Curve, CurveEnd, Run, Shape, TooMany, runs},
    gap::ExactGap as _,
    rates::{BurstTiming, MAX_NANOS, fits, whole},
    simulation::exponentials,
};
use crate::{
    config::Profile,
    units::{self, PerWorker, Pps, Ratio, gcd},
};

/// The bounds of a flow's departures.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// The shift of all departures, in nanoseconds.
    pub(super) delay: u64,
    /// When the flow ends; `u64::MAX`: never.
    pub(super) end: u64,
    /// Frames over all workers; `u64::MAX`: without end.
    pub(super) packets: u64,
    /// The flow's number, which shifts a constant load within its gap: the gap's multiples by the
    /// golden ratio are never close to each other, so flows of the same rate do not send
    /// together. 0, which is no shift, where the delay is written.
    pub(super) phase: u32,
    /// The times, in nanoseconds since the load's beginning, at which flows that send it begin or
    /// end: in order, each once, none 0.
    pub(super) cuts: Vec<u64>,
    /// The flow's number among the port's turns; 0 where flows share the stream.
    pub(super) turn: u32,
}

/// Makes streams, and their segments.
pub(super) struct Builder {
    /// The streams of each worker.
    pub(super) streams: PerWorker<Stream>,
    workers: u64,
    /// The most segments.
    limit: usize,
    /// How far departures of a changing rate may be from their exact time, in nanoseconds.
    nanos: u64,
    pub(super) segments: Vec<Segment>,
    /// The profiles of the last flows, which the next flows often share.
    known: Vec<ProfileSegments>,
    exponentials: Vec<u32>,
}

/// The number of profiles in `Builder::known`.
const KNOWN: usize = 16;

/// A profile whose segments are in the table.
struct ProfileSegments {
    profile: Profile<Pps>,
    cuts: Vec<u64>,
    cycle: Cycle,
    /// The entries of each worker's segments: the first, and the one after the last.
    entries: Vec<(u32, u32)>,
}

/// A profile as runs, sent once or repeatedly.
#[derive(Clone, Debug)]
struct Cycle {
    runs: Vec<Run>,
    /// Frames of all runs; `u64::MAX`: without end.
    frames: u64,
    /// Nanoseconds after which the runs start again; none: they do not.
    period: Option<Ratio>,
    /// Frames of all cycles; `u64::MAX`: without end.
    total: u64,
}

impl Builder {
    /// A builder for this number of workers with `each` streams. Departures of changing rates are
    /// within `nanos` of their exact time, and take at most `limit` segments.
    pub(super) fn new(workers: usize, each: usize, nanos: u64, limit: usize) -> Self {
        Self {
            streams: PerWorker::filled(workers, each, Stream::default()),
            workers: workers as u64,
            limit,
            nanos,
            segments: Vec::new(),
            known: Vec::new(),
            exponentials: exponentials(),
        }
    }

    /// Makes the stream with this number of each worker.
    ///
    /// # Errors
    /// When there is no room for its segments.
    pub(super) fn add(
        &mut self,
        number: usize,
        profile: &Profile<Pps>,
        limits: &Limits,
    ) -> Result<(), TooMany> {
        let streams = match profile {
            Profile::Constant(rate) => self.constant(*rate, limits),
            Profile::Poisson { mean, seed } => {
                let seed = seed.unwrap_or(0);
                (0..self.workers).map(|worker| self.poisson(*mean, seed, worker, limits)).collect()
            }
            _ => self.cyclic(profile, limits)?,
        };
        for ((index, worker), mut stream) in (0..).zip(0..).zip(streams) {
            stream.state.left = stream.state.left.min(share(limits.packets, self.workers, worker));
            stream.state.earliest = stream.state.due;
            stream.spec.end = limits.end;
            stream.spec.close = limits.end.saturating_add(GRACE);
            stream.spec.turn = limits.turn;
            self.streams.entry_mut(index, number).into_iter().for_each(|entry| *entry = stream);
        }
        Ok(())
    }

    fn constant(&self, rate: Pps, limits: &Limits) -> Vec<Stream> {
        let gap = Gap::of_rate(rate, self.workers);
        // The golden ratio's fraction, times 2³².
        let phase = gap.share(limits.phase.wrapping_mul(0x9e37_79b9));
        let stream = |worker| {
            let turn = gap.times(worker);
            let rest = turn.rest + phase.rest;
            let carry = rest >= turn.whole;
            Stream {
                spec: StreamSpec { kind: stream_kind::CONSTANT, ..StreamSpec::default() },
                state: StreamState {
                    due: limits.delay + phase.ns + turn.ns + u64::from(carry),
                    due_rest: if carry { rest - turn.whole } else { rest },
                    gap: gap.times(self.workers),
                    left: u64::MAX,
                    ..StreamState::default()
                },
                ..Stream::default()
            }
        };
        (0..self.workers).map(stream).collect()
    }

    /// A process of one worker. The processes of n workers together are one of n times the rate.
    fn poisson(&self, mean: Pps, seed: u64, worker: u64, limits: &Limits) -> Stream {
        let nanos = 1e9 * self.workers as f64 / mean.to_f64();
        // As many bits after the point as leave 34 bits in all; see `MeanGap`. The longest mean has
        // none of them: 2⁵⁸ ns, which are nine years.
        let units = |bits: u8| nanos * f64::powi(2.0, i32::from(bits) - 24);
        let bits = (0..=58).rev().find(|&bits| units(bits) < 17_179_869_183.5).unwrap_or(0);
        let mean = MeanGap::new(whole(units(bits).round()).min((1 << 34) - 1), bits.into());
        let mut stream = Stream {
            spec: StreamSpec {
                kind: stream_kind::POISSON,
                mean,
                seed: split_mix_64(seed, worker),
                ..StreamSpec::default()
            },
            state: StreamState { due: limits.delay, left: u64::MAX, ..StreamState::default() },
            ..Stream::default()
        };
        // The first departure has a gap of its own from the start, like any other from the one
        // before it.
        timing::advance(&mut stream, &OnlyExponentials(&self.exponentials));
        stream
    }

    fn cyclic(&mut self, profile: &Profile<Pps>, limits: &Limits) -> Result<Vec<Stream>, TooMany> {
        let cuts = cuts(profile, &limits.cuts);
        let index = match self
            .known
            .iter()
            .position(|known| known.profile == *profile && known.cuts == cuts)
        {
            Some(index) => index,
            None => {
                // Each worker needs about as many segments as the cycle has runs, so the limit of
                // runs finds an excess early.
                let room = (self.limit - self.segments.len()) / self.streams.workers().max(1);
                let cycle = cycle(profile, &cuts, self.nanos, room)?;
                let entries = (0..self.workers)
                    .map(|worker| self.write(&cycle, worker))
                    .collect::<Result<_, _>>()?;
                if self.known.len() == KNOWN {
                    self.known.remove(0);
                }
                self.known.push(ProfileSegments { profile: profile.clone(), cuts, cycle, entries });
                self.known.len() - 1
            }
        };
        let ProfileSegments { cycle, entries, .. } = &self.known[index];
        let stream = |(worker, &(first, end)): (u64, &(u32, u32))| {
            let segment =
                self.segments[first as usize..end as usize].first().copied().unwrap_or_default();
            let period = cycle.period.map_or(Gap::ZERO, |period| {
                periods(period, self.periods(cycle), segment.gap.whole)
            });
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

    /// After how many periods the first worker sends the first frame again.
    fn periods(&self, cycle: &Cycle) -> u64 {
        match cycle.period {
            Some(_) => self.workers / fits(gcd(cycle.frames.into(), self.workers.into())).max(1),
            None => 1,
        }
    }

    /// Adds a worker's segments, and returns their entries. The segments of a load that repeats
    /// cover as many periods as it takes until all workers have the same number of frames: the
    /// turns of workers continue from one period to the next.
    fn write(&mut self, cycle: &Cycle, worker: u64) -> Result<(u32, u32), TooMany> {
        let first = self.segments.len();
        let workers = u128::from(self.workers);
        for period in 0..self.periods(cycle) {
            let mut number = u128::from(period) * u128::from(cycle.frames);
            for run in &cycle.runs {
                // The frames before the worker's first one.
                let skipped = fits((u128::from(worker) + workers - number % workers) % workers);
                number += u128::from(run.frames);
                if skipped >= run.frames {
                    continue;
                }
                let frames = match run.frames {
                    u64::MAX => u64::MAX,
                    frames => (frames - skipped).div_ceil(self.workers),
                };
                let length = cycle.period.unwrap_or(Ratio::ZERO);
                let gap = Gap::beside(run.gap, [run.start, length], self.workers);
                let before = periods(length, period, gap.whole);
                let parts = [before, gap.in_parts(run.start), gap.times(skipped)];
                let rest: u128 = parts.iter().map(|part| u128::from(part.rest)).sum();
                let carry = fits(rest / u128::from(gap.whole));
                let start = parts
                    .iter()
                    .fold(carry, |sum, part| sum.saturating_add(part.ns))
                    .min(MAX_NANOS);
                let rest = fits(rest % u128::from(gap.whole));
                self.segments.push(Segment { start, rest, frames, gap: gap.times(self.workers) });
                if self.segments.len() > self.limit {
                    return Err(TooMany);
                }
            }
        }
        let entry = |index: usize| u32::try_from(index).map_err(|_| TooMany);
        Ok((entry(first)?, entry(self.segments.len())?))
    }
}

/// `count` periods of a load; where they need parts of a nanosecond, in those of its segments.
fn periods(period: Ratio, count: u64, whole: u64) -> Gap {
    let times = Ratio::whole(count);
    let most = Ratio::whole(MAX_NANOS);
    let length = period.times(times);
    let length =
        if length.numerator() / length.denominator() >= most.numerator() { most } else { length };
    match period.denominator() {
        1 => Gap { ns: fits(length.numerator()), ..Gap::ZERO },
        _ => Gap { ns: 0, rest: 0, whole }.in_parts(length),
    }
}

/// The times within a load, or a period of it, that departures must be on the right side of; none
/// where the load has no ramps.
fn cuts(profile: &Profile<Pps>, all: &[u64]) -> Vec<u64> {
    let Some(Curve { shape: Shape::Lines(lines), ends }) = Curve::of(profile) else {
        return Vec::new();
    };
    if lines.iter().all(|line| line.from == line.to) {
        return Vec::new();
    }
    let length = lines.iter().fold(0, |sum: u64, line| sum.saturating_add(line.nanos)).max(1);
    let within = |cut: &u64| if ends == CurveEnd::Repeats { cut % length } else { *cut };
    let mut cuts: Vec<u64> =
        all.iter().map(within).filter(|cut| (1..length).contains(cut)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

fn cycle(profile: &Profile<Pps>, cuts: &[u64], nanos: u64, limit: usize) -> Result<Cycle, TooMany> {
    let (runs, period, bursts) = match (profile, Curve::of(profile)) {
        (Profile::Burst(burst), _) => {
            let burst = BurstTiming::of(burst);
            let run = Run { start: Ratio::ZERO, frames: burst.packets, gap: burst.gap };
            (vec![run], Some(burst.period()), burst.bursts)
        }
        (_, Some(curve)) => {
            let period = match curve.ends {
                CurveEnd::Repeats => Some(Ratio::whole(curve.shape.nanos())),
                CurveEnd::Stops | CurveEnd::Stays(_) => None,
            };
            (runs(&curve, cuts, nanos, limit)?, period, None)
        }
        (_, None) => (Vec::new(), None, None),
    };
    let frames = runs.iter().fold(0u64, |sum, run| sum.saturating_add(run.frames));
    let total = match (period, bursts) {
        (Some(_), None) => u64::MAX,
        (_, Some(bursts)) => frames.saturating_mul(bursts),
        (None, None) => frames,
    };
    Ok(Cycle { runs, frames, period, total })
}

/// A worker's share of these frames; `u64::MAX`: without end.
const fn share(packets: u64, workers: u64, worker: u64) -> u64 {
    match packets {
        u64::MAX => u64::MAX,
        packets => units::share(packets, workers, worker),
    }
}

/// The tables of streams without segments.
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
