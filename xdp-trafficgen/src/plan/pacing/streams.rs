//! Profiles as streams of departures: of a profile that n workers share, the one at place p takes
//! departures p, p + n, p + 2n, …

use xdp_trafficgen_ebpf::{
    abi::timing::{GRACE, Gap, MeanGap, Segment, Stream, StreamSpec, StreamState, stream_kind},
    random::split_mix_64,
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
    /// The shift of a constant load within its gap, in 2⁻³² of it.
    pub(super) shift: u32,
    /// Whether the load begins where its delay says: it is shifted against no other.
    pub(super) keeps_delay: bool,
    /// The times, in nanoseconds since the load's beginning, at which flows that send it begin or
    /// end: in order, each once, none 0.
    pub(super) cuts: Vec<u64>,
    /// The flow's number among the port's turns; 0 where flows share the stream.
    pub(super) turn: u32,
}

/// Makes streams, and their segments.
pub(super) struct Builder {
    /// The streams of each worker.
    streams: Vec<Vec<Stream>>,
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
    /// The entries of each sharer's segments: the first, and the one after the last.
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

impl Cycle {
    /// After how many periods the first of so many workers sends the first frame again.
    fn periods(&self, sharers: u64) -> u64 {
        match self.period {
            Some(_) => sharers / fits(gcd(self.frames.into(), sharers.into())).max(1),
            None => 1,
        }
    }
}

impl Builder {
    /// A builder for this number of workers. Departures of changing rates are within `nanos` of
    /// their exact time, and take at most `limit` segments.
    pub(super) fn new(workers: usize, nanos: u64, limit: usize) -> Self {
        Self {
            streams: vec![Vec::new(); workers],
            limit,
            nanos,
            segments: Vec::new(),
            known: Vec::new(),
            exponentials: exponentials(),
        }
    }

    /// Adds a stream to each of the profile's sharers, which are the indices of workers, in order.
    ///
    /// # Errors
    /// When there is no room for its segments.
    pub(super) fn add(
        &mut self,
        sharers: &[usize],
        profile: &Profile<Pps>,
        limits: &Limits,
    ) -> Result<(), TooMany> {
        let count = sharers.len() as u64;
        let streams = match profile {
            Profile::Constant(rate) => constant(*rate, count, limits),
            Profile::Poisson { mean, seed } => {
                let seed = seed.unwrap_or(0);
                let process = |place| self.poisson(*mean, seed, (place, count), limits);
                (0..count).map(process).collect()
            }
            _ => self.cyclic(profile, sharers.len(), limits)?,
        };
        for ((place, &worker), mut stream) in (0..).zip(sharers).zip(streams) {
            stream.state.left = stream.state.left.min(share(limits.packets, count, place));
            stream.state.earliest = stream.state.due;
            stream.spec.end = limits.end;
            stream.spec.close = limits.end.saturating_add(GRACE);
            stream.spec.turn = limits.turn;
            self.streams[worker].push(stream);
        }
        Ok(())
    }

    /// The streams of each worker, and their segments.
    pub(super) fn finish(self) -> (PerWorker<Stream>, Vec<Segment>) {
        (PerWorker::of_each(self.streams), self.segments)
    }

    /// A process of one worker, at its place among so many. The processes of n workers together are
    /// one of n times the rate.
    fn poisson(
        &self,
        mean: Pps,
        seed: u64,
        (place, sharers): (u64, u64),
        limits: &Limits,
    ) -> Stream {
        let nanos = 1e9 * sharers as f64 / mean.to_f64();
        // As many bits after the point as leave 34 bits in all; see `MeanGap`. The longest mean has
        // none of them: 2⁵⁸ ns, which are nine years.
        let units = |bits: u8| nanos * f64::powi(2.0, i32::from(bits) - 24);
        let bits = (0..=58).rev().find(|&bits| units(bits) < 17_179_869_183.5).unwrap_or(0);
        let mean = MeanGap::new(whole(units(bits).round()).min((1 << 34) - 1), bits.into());
        let mut stream = Stream {
            spec: StreamSpec {
                kind: stream_kind::POISSON,
                mean,
                seed: split_mix_64(seed, place),
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

    fn cyclic(
        &mut self,
        profile: &Profile<Pps>,
        count: usize,
        limits: &Limits,
    ) -> Result<Vec<Stream>, TooMany> {
        let sharers = count as u64;
        let cuts = cuts(profile, &limits.cuts);
        let is_same = |known: &ProfileSegments| {
            known.profile == *profile && known.cuts == cuts && known.entries.len() == count
        };
        let index = match self.known.iter().position(is_same) {
            Some(index) => index,
            None => {
                // Each sharer needs about as many segments as the cycle has runs, so the limit of
                // runs finds an excess early.
                let room = (self.limit - self.segments.len()) / count.max(1);
                let cycle = cycle(profile, &cuts, self.nanos, room)?;
                let entries = (0..sharers)
                    .map(|place| self.write(&cycle, place, sharers))
                    .collect::<Result<_, _>>()?;
                if self.known.len() == KNOWN {
                    self.known.remove(0);
                }
                self.known.push(ProfileSegments { profile: profile.clone(), cuts, cycle, entries });
                self.known.len() - 1
            }
        };
        let ProfileSegments { cycle, entries, .. } = &self.known[index];
        let stream = |(place, &(first, end)): (u64, &(u32, u32))| {
            let segment =
                self.segments[first as usize..end as usize].first().copied().unwrap_or_default();
            let period = cycle.period.map_or(Gap::ZERO, |period| {
                periods(period, cycle.periods(sharers), segment.gap.whole)
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
                    left: share(cycle.total, sharers, place),
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

    /// Adds the segments of the worker at a place among so many, and returns their entries. The
    /// segments of a load that repeats cover as many periods as it takes until all workers have the
    /// same number of frames: the turns of workers continue from one period to the next.
    fn write(&mut self, cycle: &Cycle, place: u64, sharers: u64) -> Result<(u32, u32), TooMany> {
        let first = self.segments.len();
        let workers = u128::from(sharers);
        for period in 0..cycle.periods(sharers) {
            let mut number = u128::from(period) * u128::from(cycle.frames);
            for run in &cycle.runs {
                // The frames before the worker's first one.
                let skipped = fits((u128::from(place) + workers - number % workers) % workers);
                number += u128::from(run.frames);
                if skipped >= run.frames {
                    continue;
                }
                let frames = match run.frames {
                    u64::MAX => u64::MAX,
                    frames => (frames - skipped).div_ceil(sharers),
                };
                let length = cycle.period.unwrap_or(Ratio::ZERO);
                let gap = Gap::beside(run.gap, [run.start, length], sharers);
                let before = periods(length, period, gap.whole);
                let parts = [before, gap.in_parts(run.start), gap.times(skipped)];
                let rest: u128 = parts.iter().map(|part| u128::from(part.rest)).sum();
                let carry = fits(rest / u128::from(gap.whole));
                let start = parts
                    .iter()
                    .fold(carry, |sum, part| sum.saturating_add(part.ns))
                    .min(MAX_NANOS);
                let rest = fits(rest % u128::from(gap.whole));
                self.segments.push(Segment { start, rest, frames, gap: gap.times(sharers) });
                if self.segments.len() > self.limit {
                    return Err(TooMany);
                }
            }
        }
        let entry = |index: usize| u32::try_from(index).map_err(|_| TooMany);
        Ok((entry(first)?, entry(self.segments.len())?))
    }
}

/// A constant load as a stream for each of its sharers.
fn constant(rate: Pps, sharers: u64, limits: &Limits) -> Vec<Stream> {
    let gap = Gap::of_rate(rate, sharers);
    let shift = gap.share(limits.shift);
    let stream = |place| {
        let turn = gap.times(place);
        let rest = turn.rest + shift.rest;
        let carry = rest >= turn.whole;
        Stream {
            spec: StreamSpec { kind: stream_kind::CONSTANT, ..StreamSpec::default() },
            state: StreamState {
                due: limits.delay + shift.ns + turn.ns + u64::from(carry),
                due_rest: if carry { rest - turn.whole } else { rest },
                gap: gap.times(sharers),
                left: u64::MAX,
                ..StreamState::default()
            },
            ..Stream::default()
        }
    };
    (0..sharers).map(stream).collect()
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

/// The share of these frames at a place among so many; `u64::MAX`: without end.
const fn share(packets: u64, sharers: u64, place: u64) -> u64 {
    match packets {
        u64::MAX => u64::MAX,
        packets => units::share(packets, sharers, place),
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
