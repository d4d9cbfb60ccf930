//! When frames leave: every rate and profile as streams of departure times in whole nanoseconds,
//! one for each worker and port, or for each flow on its workers.
//!
//! The module is pure: it makes tables for the kernel of the configuration and the link's speed. In
//! reading order: `request` (the loads of a port and its flows), `rates` (frames a second,
//! exactly), `curve` (rates that change), `shifts` (flows of one rate, one after the other),
//! `streams` (departures of each worker), [`simulation`]
//! (streams without a kernel), `leap` (moving far ahead), [`missed`] (departures while a port
//! cannot send).

mod curve;
mod gap;
mod leap;
pub mod missed;
mod rates;
mod request;
mod shifts;
pub mod simulation;
mod streams;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use xdp_trafficgen_ebpf::{
    abi::timing::{Calendar, FAR, MAX_STREAMS, Segment, Stream, pacing},
    calendar, timing,
};

pub(super) use self::request::Request;
use self::{rates::MAX_NANOS, request::Demand};
use crate::{
    config::{Diagnostic, LatePolicy, Rate},
    plan::shares::Shares,
    units::{Nanos, PerWorker, Pps},
};

/// How a port's frames are paced.
#[derive(Clone, Debug, PartialEq)]
pub struct Pacing {
    /// Whose departures the streams are.
    pub streams: Streams,
    /// Each worker's streams: one, or one for each flow that the worker sends. Several workers take
    /// turns, frame by frame. A flow's stream ends with the flow; the port's stream begins with the
    /// first of its flows, and ends only where its profile does. Each stream names its flow without
    /// a group, since the programs are made later; the loader adds the group.
    pub departures: PerWorker<Stream>,
    /// Which worker sends which frames of each flow.
    pub shares: Shares,
    /// The segments of the streams, shared by all copies of the pacing.
    pub segments: Arc<[Segment]>,
    /// The order in which each worker's flows begin; empty where the port has one stream.
    pub calendars: Vec<Calendar>,
    /// Departures that are overdue by more than this count as unsent.
    pub give_up: Duration,
    /// Frames that leave later than this after their departure time count as late.
    pub late: Duration,
    /// The highest rate of each worker in frames a second; bursts without gaps are as fast as the
    /// link.
    pub peaks: Vec<f64>,
    /// The mean rate of the busiest worker in frames a second; for bursts, the rate of their longest
    /// gap.
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

    /// Nanoseconds of a frame on a slow machine, in batches of this size.
    fn frame_cost(self, batch: u32) -> f64 {
        let search = match self {
            Self::Port => 0.0,
            Self::Flows => FLOWS_COST,
        };
        FRAME_COST + search + BATCH_COST / f64::from(batch)
    }

    /// The most frames a second that a worker of a slow machine sends in batches of this size.
    fn carries(self, batch: u32) -> f64 {
        1e9 / self.frame_cost(batch)
    }

    fn first_batch(self, peak: f64, batch_size: u32) -> u32 {
        let keeps_up = |batch: &u32| peak * MARGIN <= self.carries(*batch);
        (0..32)
            .map(|bit| 1 << bit)
            .take_while(|batch| *batch <= batch_size)
            .find(keeps_up)
            .unwrap_or(batch_size)
    }
}

/// The most segments of a port's streams: 192 MB of kernel memory.
pub(super) const MAX_SEGMENTS: usize = 4_000_000;

/// How far departures of a changing rate may be from their exact time, in nanoseconds, where 1 % of
/// their gap is less. The next precision applies where one takes too many segments.
const PRECISIONS: [u64; 3] = [10, 100, 1000];

/// CPU time of a frame and of a batch, in nanoseconds. A frame takes 830 ns alone, 267 in batches
/// of 8, 210 in batches of 64, on a slow machine (doc/measurements.md#batches).
const FRAME_COST: f64 = 200.0;
const BATCH_COST: f64 = 630.0;

/// CPU time to find whose frame is next, where flows have departures of their own.
const FLOWS_COST: f64 = 100.0;

/// By how much a worker must be faster than its rate, so that it catches up after a delay.
const MARGIN: f64 = 1.2;

/// The rate of a worker, in frames a second, up to which it sleeps between frames.
const SLEEPS_UP_TO: f64 = 1e9 / FAR as f64;

impl Pacing {
    /// The initial batch of a worker: the smallest power of two with which it keeps up at its peak.
    pub fn first_batch(&self, worker: usize, batch_size: u32) -> u32 {
        self.streams.first_batch(self.peak_of(worker), batch_size)
    }

    /// The highest rate of a worker in frames a second.
    pub fn peak_of(&self, worker: usize) -> f64 {
        self.peaks.get(worker).copied().unwrap_or(0.0)
    }

    /// The highest rate of the port in frames a second, over all workers.
    pub fn peak(&self) -> f64 {
        self.peaks.iter().sum()
    }

    /// The highest rate of any of the workers.
    pub fn busiest(&self) -> f64 {
        self.peaks.iter().copied().fold(0.0, f64::max)
    }

    /// Whether a worker is busy all the time: its next departure is mostly too near for a sleep.
    pub fn keeps_busy(&self) -> bool {
        self.steady >= SLEEPS_UP_TO
    }

    /// The kinds of streams in use, a bit for each.
    pub fn kinds(&self) -> u32 {
        self.departures.iter().fold(0, |kinds, stream| kinds | 1 << stream.spec.kind)
    }
}

/// How a worker of this peak rate keeps its departures, in words that follow `a worker`.
pub fn mechanism(streams: Streams, peak: f64, batch_size: u32) -> String {
    if peak <= SLEEPS_UP_TO {
        "sleeps between frames, and spins shortly before they are due".to_owned()
    } else if streams.first_batch(peak, batch_size) == 1 {
        "spins inside the program, one frame at a time".to_owned()
    } else {
        format!("spins inside the program, in batches as small as keep up, up to {batch_size}")
    }
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
        (Streams::Flows, (0..).zip(rates).map(demand).collect::<Vec<_>>())
    };
    let mut wrong = Vec::new();
    let mut demands: Vec<_> = demands
        .into_iter()
        .filter_map(|demand| demand.map_err(|said| wrong.push(said)).ok())
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    shifts::spread(&mut demands);
    let of_all = |rate: fn(&Demand) -> f64| demands.iter().map(rate).collect::<Vec<f64>>();
    let (peaks, steady) = (of_all(|demand| demand.peak), of_all(|demand| demand.steady));
    let shares = match streams {
        Streams::Port => Shares::of_all(request.workers),
        Streams::Flows => {
            // A flow of a rate at which frames cannot leave one at a time, about a million a second,
            // has several workers.
            Shares::balanced(&peaks, request.workers, Streams::Flows.carries(1) / MARGIN)
        }
    };
    let streams_at = |&precision: &u64| {
        let mut streams = streams::Builder::new(request.workers, precision, request.max_segments);
        let added = demands.iter().enumerate().try_for_each(|(flow, demand)| {
            let sharers: Vec<usize> = shares.sharers(flow).collect();
            streams.add(&sharers, &demand.profile, &demand.limits)
        });
        added.map(|()| streams).ok()
    };
    let Some(built) = PRECISIONS.iter().find_map(streams_at) else {
        return Err(vec![request.too_many_segments()]);
    };
    let (mut departures, segments) = built.finish();
    let mut calendars = match streams {
        Streams::Port => Vec::new(),
        Streams::Flows => vec![Calendar::EMPTY; request.workers],
    };
    for (worker, calendar) in calendars.iter_mut().enumerate() {
        let own = departures.range(worker);
        let begun = (0..).zip(&mut departures[own]).filter(|(_, stream)| !timing::is_over(stream));
        for (number, stream) in begun {
            calendar::insert(calendar, number, stream);
        }
    }
    let late = request.port.late_threshold.value;
    let pacing = Pacing {
        streams,
        departures,
        peaks: shares.loads(&peaks),
        steady: shares.loads(&steady).into_iter().fold(0.0, f64::max),
        shares,
        segments: segments.into(),
        calendars,
        give_up: match request.port.behind.value {
            LatePolicy::CatchUp(bound) => bound,
            LatePolicy::Skip => late,
        },
        late,
        total: request.port.total.as_ref().map(|total| total.value.rate),
        requested: demands.iter().map(|demand| demand.requested).collect(),
    };
    let notes = request.notes(&pacing, demands.iter().map(|demand| demand.wire).sum());
    Ok(Some((pacing, notes)))
}

/// A time in nanoseconds, at most 73 years.
fn nanos(time: Duration) -> u64 {
    Nanos::from(time).get().min(MAX_NANOS)
}
