//! Pacing against plain models: every departure is worked out a second time, by other means.

mod calendar;
mod constant;
mod curves;
mod ends;
mod leap;
mod missed;
mod poisson;
mod requests;

use std::{sync::LazyLock, time::Duration};

use xdp_trafficgen_ebpf::{abi::timing::Stream, timing};

use super::{
    MAX_SEGMENTS, Pacing, Request,
    simulation::{HostTables, departures},
};
use crate::{
    config::{Config, Diagnostic, Flow, Located, Origin, Profile, Rate, RateUnit, Source, file},
    units::Ratio,
};

/// A port and a flow with all defaults.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let text = "[[ports]]\nname = 'p'\ninterface = 'eth0'\n\
                [[flows]]\nname = 'f'\nport = 'p'\npacket = [{ ethernet = { dst = '02:00:00:00:00:02' } }]";
    file::parse(Source::file("test.toml", text)).unwrap_or_else(|wrong| panic!("{wrong}"))
});

fn flow(profile: Profile) -> Flow {
    Flow { rate: Some(located(profile)), ..CONFIG.flows[0].clone() }
}

/// A value whose origin does not matter.
fn located<T>(value: T) -> Located<T> {
    Located::new(value, Origin::Option("--rate"))
}

fn pps(numerator: u64, denominator: u64) -> Rate {
    frames(Ratio::new(numerator, denominator))
}

const fn frames(amount: Ratio) -> Rate {
    Rate { amount, unit: RateUnit::Frames }
}

fn pacing_and_notes(
    config: &Config,
    workers: usize,
) -> Result<(Pacing, Vec<String>), Vec<Diagnostic>> {
    let flows: Vec<_> = config.flows.iter().collect();
    let request = Request {
        port: &config.ports[0],
        flows: &flows,
        workers,
        link_speed: None,
        max_segments: MAX_SEGMENTS,
    };
    Ok(super::pacing(&request)?.expect("rates"))
}

/// The pacing of flows with rates of their own.
fn of_flows(flows: Vec<Flow>, workers: usize) -> Pacing {
    let config = Config { flows, ..CONFIG.clone() };
    pacing_and_notes(&config, workers).expect("pacing").0
}

fn of_profile(profile: Profile, workers: usize) -> Pacing {
    of_flows(vec![flow(profile)], workers)
}

/// The departures of a stream that are due before a time: as many as the program counts as unsent.
fn due_before(stream: &Stream, tables: &HostTables<'_>, time: u64) -> u64 {
    let mut late = *stream;
    while timing::skip(&mut late, time, tables) {}
    assert!(timing::is_over(&late) || late.state.due >= time, "{late:?}");
    late.counts.unsent - stream.counts.unsent
}

/// The first times of a stream.
fn times(pacing: &Pacing, stream: &Stream, count: usize) -> Vec<u64> {
    departures(stream, &HostTables::new(pacing)).take(count).collect()
}

/// The first times of each worker of a single flow, taken in turns.
fn in_turns(pacing: &Pacing, count: usize) -> Vec<u64> {
    let workers = pacing.departures.len();
    let each: Vec<_> = pacing
        .departures
        .iter()
        .map(|stream| times(pacing, stream, count.div_ceil(workers)))
        .collect();
    (0..count).map_while(|frame| each[frame % workers].get(frame / workers).copied()).collect()
}

/// How many departures there are in all.
fn count(pacing: &Pacing) -> u64 {
    let tables = HostTables::new(pacing);
    pacing.departures.iter().map(|stream| departures(stream, &tables).count() as u64).sum()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
