//! When frames leave: every rate and profile as streams of departure times in whole nanoseconds,
//! one for each worker and port, or for each worker and flow.
//!
//! The module is pure: it makes tables for the kernel of the configuration and the link's speed. In
//! reading order: `rates` (frames a second, exactly), `curve` (rates that change), `streams`
//! (departures of each worker), [`simulation`] (streams without a kernel), `leap` (moving far
//! ahead), [`missed`] (departures while a port cannot send).

mod curve;
mod gap;
mod leap;
pub mod missed;
mod rates;
pub mod simulation;
mod streams;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use xdp_trafficgen_ebpf::{
    abi::timing::{Calendar, FAR, MAX_STREAMS, Segment, Stream, pacing},
    timing,
};

use self::{
    curve::Curve,
    rates::{BurstTiming, Frames, MAX_NANOS, UnknownSpeed},
    streams::Limits,
};
use crate::{
    config::{
        Diagnostic, Flow, LatePolicy, Located, Origin, Port, Profile, Rate, RateUnit, Total,
        rate::{Burst, Spacing},
    },
    units::{Nanos, PerWorker, Pps, Ratio},
};

/// How a port's frames are paced.
#[derive(Clone, Debug, PartialEq)]
pub struct Pacing {
    /// Whose departures the streams are.
    pub streams: Streams,
    /// Each worker's streams: one, or one for each flow. Several workers take turns, frame by
    /// frame. A flow's stream ends with the flow; the port's stream begins with the first of its
    /// flows, and ends only where its profile does. Each stream names its flow without a group,
    /// since the programs are made later; the loader adds the group.
    pub departures: PerWorker<Stream>,
    /// The segments of the streams, shared by all copies of the pacing.
    pub segments: Arc<[Segment]>,
    /// The order in which each worker's flows begin; empty where the port has one stream.
    pub calendars: Vec<Calendar>,
    /// Departures that are overdue by more than this count as unsent.
    pub give_up: Duration,
    /// Frames that leave later than this after their departure time count as late.
    pub late: Duration,
    /// The highest rate of the port in frames a second, over all workers; bursts without gaps are
    /// as fast as the link.
    pub peak: f64,
    /// The mean rate of the port in frames a second, over all workers; for bursts, the rate of
    /// their longest gap.
    pub steady: f64,
    /// The total that the flows' own rates were scaled to, each keeping its share.
    pub total: Option<Rate>,
    /// The rate in the configuration, in frames a second: the port's with one stream, else each
    /// flow's. None where it changes with time.
    pub requested: Vec<Option<Pps>>,
}

/// Whose departures the streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// The port's: its flows take turns by their weights.
    Port,
    /// Each flow's own.
    Flows,
}

impl Streams {
    /// The constant of [`pacing`].
    pub const fn code(self) -> u32 {
        match self {
            Self::Port => pacing::PORT,
            Self::Flows => pacing::FLOWS,
        }
    }
}

/// The most segments of a port's streams: 192 MB of kernel memory.
pub(super) const MAX_SEGMENTS: usize = 4_000_000;

/// How far departures of a changing rate may be from their exact time, in nanoseconds, where 1 % of
/// their gap is less. The next precision applies where one takes too many segments.
const PRECISIONS: [u64; 3] = [10, 100, 1000];

/// CPU time of a frame and of a batch, in nanoseconds. A frame takes 830 ns alone, 267 in batches
/// of 8, 210 in batches of 64 (doc/measurements.md#batches).
const FRAME_COST: f64 = 200.0;
const BATCH_COST: f64 = 630.0;

/// By how much a worker must be faster than its rate, so that it catches up after a delay.
const MARGIN: f64 = 1.2;

/// The rate of a worker, in frames a second, up to which it sleeps between frames.
const SLEEPS_UP_TO: f64 = 1e9 / FAR as f64;

impl Pacing {
    /// The initial batch: the smallest power of two with which each worker keeps up at the peak.
    pub fn first_batch(&self, workers: usize, batch_size: u32) -> u32 {
        first_batch(self.peak / workers.max(1) as f64, batch_size)
    }

    /// Whether each of `workers` workers is busy all the time: its next departure is mostly too
    /// near for a sleep.
    pub fn keeps_busy(&self, workers: usize) -> bool {
        self.steady / workers.max(1) as f64 >= SLEEPS_UP_TO
    }

    /// The kinds of streams in use, a bit for each.
    pub fn kinds(&self) -> u32 {
        self.departures.iter().fold(0, |kinds, stream| kinds | 1 << stream.spec.kind)
    }
}

fn first_batch(peak: f64, batch_size: u32) -> u32 {
    let keeps_up =
        |batch: &u32| (FRAME_COST + BATCH_COST / f64::from(*batch)) * 1e-9 * peak * MARGIN <= 1.0;
    (0..32)
        .map(|bit| 1 << bit)
        .take_while(|batch| *batch <= batch_size)
        .find(keeps_up)
        .unwrap_or(batch_size)
}

/// How a worker of this peak rate keeps its departures, in words that follow `a worker`.
pub fn mechanism(peak: f64, batch_size: u32) -> String {
    if peak <= SLEEPS_UP_TO {
        "sleeps between frames, and spins shortly before they are due".to_owned()
    } else if first_batch(peak, batch_size) == 1 {
        "spins inside the program, one frame at a time".to_owned()
    } else {
        format!("spins inside the program, in batches as small as keep up, up to {batch_size}")
    }
}

/// A port whose frames may be paced.
pub(super) struct Request<'a> {
    pub(super) port: &'a Port,
    pub(super) flows: &'a [&'a Flow],
    /// At least 1.
    pub(super) workers: usize,
    /// Bits a second of the link, when the kernel knows.
    pub(super) link_speed: Option<u64>,
    /// Segments of its streams at most: [`MAX_SEGMENTS`].
    pub(super) max_segments: usize,
}

/// The load of a port or a flow, before it is split among workers.
struct Demand {
    profile: Profile<Pps>,
    limits: Limits,
    requested: Option<Pps>,
    /// The highest rate in frames a second.
    peak: f64,
    /// The steady rate in frames a second, as in [`Pacing`].
    steady: f64,
    /// The highest rate in bits a second on the wire; 0 for bursts at the link's speed.
    wire: f64,
}

/// The sender at a rate: a port with all of its flows, or a flow.
struct Sender<'a> {
    name: &'a str,
    /// Mean bytes of the sender's frames, FCS included.
    mean_size: Ratio,
    limits: Limits,
    /// The factor of the sender's rate.
    factor: Ratio,
}

/// Works out a port's pacing, and notes about it; none when the configuration has no rate for it.
///
/// # Errors
/// Rates of an unknown line rate, and more flows or segments than there is room for.
pub(super) fn pacing(
    request: &Request<'_>,
) -> Result<Option<(Pacing, Vec<String>)>, Vec<Diagnostic>> {
    let factor = request.factor().map_err(|wrong| vec![wrong])?;
    let (streams, demands) = if let Some(rate) = &request.port.rate {
        (Streams::Port, vec![request.demand(rate, request.whole_port())])
    } else if let [flow] = request.flows
        && let Some(rate) = &flow.rate
    {
        // A single flow needs no calendar to find its stream.
        (Streams::Port, vec![request.demand(rate, request.flow(0, factor))])
    } else {
        let rates: Option<Vec<_>> = request.flows.iter().map(|flow| flow.rate.as_ref()).collect();
        let Some(rates) = rates.filter(|rates| !rates.is_empty()) else { return Ok(None) };
        if rates.len() > MAX_STREAMS {
            let message = format!(
                "{} flows with rates of their own are more than a worker keeps apart, {MAX_STREAMS}",
                rates.len()
            );
            return Err(vec![
                Diagnostic::new(&rates[MAX_STREAMS].place, message).help("use several ports"),
            ]);
        }
        let demand = |(index, rate)| request.demand(rate, request.flow(index, factor));
        (Streams::Flows, (0..).zip(rates).map(demand).collect())
    };
    let mut wrong = Vec::new();
    let demands: Vec<_> = demands
        .into_iter()
        .filter_map(|demand| demand.map_err(|said| wrong.push(said)).ok())
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let streams_at = |&precision: &u64| {
        let mut streams =
            streams::Builder::new(request.workers, demands.len(), precision, request.max_segments);
        let added = (0..)
            .zip(&demands)
            .try_for_each(|(number, demand)| streams.add(number, &demand.profile, &demand.limits));
        added.map(|()| streams).ok()
    };
    let Some(built) = PRECISIONS.iter().find_map(streams_at) else {
        return Err(vec![request.too_many_segments()]);
    };
    let streams::Builder { streams: mut departures, segments, .. } = built;
    let mut calendars = match streams {
        Streams::Port => Vec::new(),
        Streams::Flows => vec![Calendar::EMPTY; request.workers],
    };
    for (calendar, streams) in calendars.iter_mut().zip(departures.chunks_mut(demands.len())) {
        for (number, stream) in (0..).zip(streams).filter(|(_, stream)| !timing::is_over(stream)) {
            timing::insert(calendar, number, stream);
        }
    }
    let late = request.port.late_threshold.value;
    let pacing = Pacing {
        streams,
        departures,
        segments: segments.into(),
        calendars,
        give_up: match request.port.behind.value {
            LatePolicy::CatchUp(bound) => bound,
            LatePolicy::Skip => late,
        },
        late,
        total: request.port.total.as_ref().map(|total| total.value.rate),
        peak: demands.iter().map(|demand| demand.peak).sum(),
        steady: demands.iter().map(|demand| demand.steady).sum(),
        requested: demands.iter().map(|demand| demand.requested).collect(),
    };
    let notes = request.notes(&pacing, demands.iter().map(|demand| demand.wire).sum());
    Ok(Some((pacing, notes)))
}

impl Request<'_> {
    /// The port, whose flows share its rate.
    fn whole_port(&self) -> Sender<'_> {
        // The port begins with the first of its flows.
        let delay = self.flows.iter().map(|flow| nanos(flow.delay.value)).min().unwrap_or(0);
        let bounds = self.flows.iter().flat_map(|flow| {
            let begin = nanos(flow.delay.value);
            [
                Some(begin),
                flow.duration.as_ref().map(|duration| begin.saturating_add(nanos(duration.value))),
            ]
        });
        let cuts = bounds.flatten().map(|time| time.saturating_sub(delay)).collect();
        Sender {
            name: &self.port.name.value,
            mean_size: rates::mean_size_of(self.flows),
            limits: Limits { delay, end: u64::MAX, packets: u64::MAX, phase: 0, cuts, turn: 0 },
            factor: Ratio::ONE,
        }
    }

    /// A flow with a rate of its own, by its number; `factor` multiplies the rate.
    fn flow(&self, index: u32, factor: Ratio) -> Sender<'_> {
        let flow = self.flows[index as usize];
        let delay = nanos(flow.delay.value);
        let duration = flow.duration.as_ref().map(|duration| nanos(duration.value));
        let is_free = self.flows.len() > 1 && flow.delay.place == Origin::Default;
        Sender {
            name: &flow.name.value,
            mean_size: rates::mean_size(&flow.size.value),
            limits: Limits {
                delay,
                end: duration.map_or(u64::MAX, |duration| delay.saturating_add(duration)),
                packets: flow.packets.as_ref().map_or(u64::MAX, |packets| packets.value),
                phase: if is_free { index } else { 0 },
                cuts: duration.into_iter().collect(),
                turn: index,
            },
            factor,
        }
    }

    /// The load of a sender with this rate, in exact frames a second.
    fn demand(&self, rate: &Located<Profile>, sender: Sender<'_>) -> Result<Demand, Diagnostic> {
        let Sender { name, mean_size, limits, factor } = sender;
        let frames = Frames { mean_size, speed: self.speed() };
        let exact = rate.value.try_map(|rate| frames.rate(*rate));
        let mut profile = exact.map_err(|UnknownSpeed| self.unknown_speed(&rate.place))?;
        let mut at_link_speed = false;
        match &mut profile {
            Profile::Constant(rate) => *rate = rate.times(factor),
            Profile::Poisson { mean, seed } => {
                *mean = mean.times(factor);
                // Flows with the same seed have different departures all the same.
                *seed = Some(seed.unwrap_or(0) ^ name_hash(name));
            }
            Profile::Burst(Burst { spacing: spacing @ Spacing::Link, .. }) => {
                *spacing = Spacing::Gap(frames.gap_at_full_speed());
                at_link_speed = true;
            }
            // A total excludes these profiles.
            Profile::Burst(_)
            | Profile::Ramp { .. }
            | Profile::Steps { .. }
            | Profile::Sine { .. }
            | Profile::Trace { .. } => {}
        }
        let (requested, peak, steady) = match (&profile, Curve::of(&profile)) {
            (Profile::Constant(rate) | Profile::Poisson { mean: rate, .. }, _) => {
                (Some(*rate), rate.to_f64(), rate.to_f64())
            }
            (Profile::Burst(burst), _) => {
                let burst = BurstTiming::of(burst);
                (None, 1e9 / burst.shortest_gap().to_f64(), 1e9 / burst.longest_gap())
            }
            (_, curve) => (
                None,
                curve.as_ref().map_or(0.0, Curve::peak),
                curve.as_ref().map_or(0.0, Curve::mean),
            ),
        };
        let wire = if at_link_speed { 0.0 } else { peak * frames.wire_bits().to_f64() };
        Ok(Demand { profile, limits, requested, peak, steady, wire })
    }

    /// The factor of the flows' own rates with which their sum is the total.
    fn factor(&self) -> Result<Ratio, Diagnostic> {
        let Some(total) = &self.port.total else { return Ok(Ratio::ONE) };
        let Total { rate: wanted, among } = &total.value;
        let measured = among.iter().map(|(rate, size)| {
            let frames = Frames { mean_size: rates::mean_size(size), speed: self.speed() };
            frames.measured(*rate, wanted.unit)
        });
        let measured = measured
            .collect::<Result<Vec<_>, _>>()
            .map_err(|UnknownSpeed| self.unknown_speed(&total.place))?;
        // The total in the same measure, whatever the size of frames.
        let wanted = match wanted.unit {
            RateUnit::LineShare => {
                let speed = self.speed().ok_or_else(|| self.unknown_speed(&total.place))?;
                wanted.amount.times(Ratio::whole(speed))
            }
            RateUnit::Frames | RateUnit::BitsL2 | RateUnit::BitsL1 => wanted.amount,
        };
        Ok(wanted.times(Ratio::sum(&measured).inverse()))
    }

    fn unknown_speed(&self, place: &Origin) -> Diagnostic {
        let interface = &self.port.interface.value;
        let message = format!(
            "a share of the line rate means nothing on `{interface}`, whose speed is not known"
        );
        Diagnostic::new(place, message)
            .help(format!("say it at the port `{}`: speed = \"10Gbps\"", self.port.name.value))
    }

    fn speed(&self) -> Option<u64> {
        self.port.speed.as_ref().map(|speed| speed.value).or(self.link_speed)
    }

    fn notes(&self, pacing: &Pacing, wire: f64) -> Vec<String> {
        let workers = self.workers as f64;
        let says = mechanism(pacing.peak / workers, self.port.batch_size.value);
        let mut notes = vec![format!("each worker {says}")];
        // Shares of the line rate may exceed it by a rounding error.
        if let Some(speed) = self.speed().map(|speed| speed as f64)
            && wire > speed * (1.0 + 1e-9)
        {
            let carries = figure(pacing.peak * speed / wire);
            notes.push(format!("asks for {}, the link carries {carries}", figure(pacing.peak)));
        }
        notes
    }

    fn too_many_segments(&self) -> Diagnostic {
        let rate = self
            .port
            .rate
            .as_ref()
            .or_else(|| self.flows.iter().find_map(|flow| flow.rate.as_ref()));
        let place = rate.map_or(&self.port.name.place, |rate| &rate.place);
        Diagnostic::new(
            place,
            format!(
                "the changing rates of this port take more than {} segments of constant gap to follow",
                self.max_segments
            ),
        )
        .help("let them change more slowly or for a shorter time, in fewer flows or on fewer CPUs")
    }
}

/// A hash of a name (FNV-1a, 64 bits), the same in every session: the default seed of its Poisson
/// process.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A time in nanoseconds, at most 73 years.
fn nanos(time: Duration) -> u64 {
    Nanos::from(time).get().min(MAX_NANOS)
}

/// Frames a second, for a sentence.
fn figure(rate: f64) -> String {
    match rate {
        1e6.. => format!("{:.2} Mpps", rate / 1e6),
        1e3.. => format!("{:.2} kpps", rate / 1e3),
        _ => format!("{rate:.2} pps"),
    }
}
