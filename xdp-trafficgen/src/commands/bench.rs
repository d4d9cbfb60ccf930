//! The commands of `xdp-trafficgen-bench`: single measurements, which `cargo xtask bench`
//! interleaves and compares.

mod arrivals;
mod cases;
mod standing;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum as _;
use tokio_util::sync::CancellationToken;
use xdp_trafficgen_ebpf::abi::{
    self,
    timing::{ClockSpec, ClockState, WorkerClock},
};

use crate::{
    cli::{self, BenchCase, BenchCommand},
    commands::{
        CommandError,
        demo::{CountedPair, SENDER},
        probe_kernel,
        send::{drive, work_out},
    },
    config::{Config, Source, file},
    engine::{self, Loaded, Start},
    host::show_mac,
    kernel::{Generator, Sink, TracePoint, generator::Role, sink::SinkAction},
    output::format::emit_text,
    plan::{DefaultRoute, pacing::Streams, schedule},
    units::Nanos,
};

pub(super) fn bench(command: &BenchCommand) -> Result<(), CommandError> {
    match command {
        BenchCommand::Run(options) => run(options),
        BenchCommand::Programs(options) => programs(options),
        BenchCommand::Sink(options) => sink(options),
        BenchCommand::Arrivals(options) => arrivals::arrivals(options),
    }
}

fn run(options: &cli::BenchRun) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let stage = CountedPair::set(Some(options.cpus.0.clone()))?;
    let config = config(options.case, &stage, options.seconds)?;
    let plan = work_out(&config, Some(capabilities), DefaultRoute::Refuse)?;
    let loaded = Loaded::with(
        plan,
        role(options.case),
        if options.uncounted { &[] } else { &TracePoint::ALL },
    )?;
    let (snapshot, failure) = drive(loaded, Start::Now, &CancellationToken::new(), None)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    report(stage.sink.count()?, snapshot.elapsed)
}

const fn role(case: BenchCase) -> Role {
    match case {
        BenchCase::Floor => Role::Floor,
        _ => Role::Generate,
    }
}

fn config(
    case: BenchCase,
    stage: &CountedPair,
    duration: Duration,
) -> Result<Config, CommandError> {
    let text = cases::toml(case, SENDER, &show_mac(stage.receiver_mac), &stage.cpus, duration);
    file::parse(Source::file("bench", &text)).map_err(CommandError::Config)
}

/// What each case's programs are to the verifier, and what a repetition of them takes by itself:
/// ordinary runs, which send nothing. The shortest of many runs, which is the same on a busy
/// machine.
fn programs(options: &cli::BenchPrograms) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let stage = CountedPair::set(Some(vec![0]))?;
    let mut all = BTreeMap::new();
    for &case in BenchCase::value_variants() {
        let config = config(case, &stage, Duration::from_secs(1))?;
        let plan = work_out(&config, Some(capabilities), DefaultRoute::Refuse)?;
        let Some(port) = plan.ports.first() else { continue };
        engine::pin_to(0)?;
        let generator =
            Generator::load(&port.program, port.pacing.as_ref(), port.egress, role(case), None)?;
        let weights: Vec<u32> = port.flows.iter().map(|flow| flow.weight).collect();
        if let Some(phase) = schedule::phase(&weights, &vec![None; weights.len()]) {
            generator.set_schedule(0, &port.program, &phase.turns)?;
        }
        if port.pacing.is_some() {
            let streams = port.flows.len() as u64;
            generator.set_worker_clock(
                0,
                WorkerClock {
                    spec: ClockSpec { batch: port.batch_size.into(), ..ClockSpec::default() },
                    state: ClockState { streams, ..ClockState::default() },
                    ..WorkerClock::default()
                },
            )?;
        }
        let programs: Vec<_> = generator
            .programs()
            .iter()
            .map(|program| {
                serde_json::json!({
                    "name": program.name,
                    "verified_instructions": program.verified_instructions,
                    "translated_bytes": program.translated_bytes,
                })
            })
            .collect();
        let mut entry = serde_json::json!({ "programs": programs });
        // An ordinary run does not give a frame that was cut its length back: the next repetition
        // would find it too short.
        let cut = port.program.groups.iter().any(|group| group.sized != 0);
        // Flows with departure times of their own end, and what follows is no measure.
        let ends = port.pacing.as_ref().is_some_and(|pacing| pacing.streams == Streams::Flows);
        if options.time && !cut && !ends {
            let mut shortest = Duration::MAX;
            for _ in 0..RUNS {
                shortest = shortest.min(generator.time(&port.program.frame, REPETITIONS)?);
            }
            entry["repetition_ns"] = (shortest.as_secs_f64() * 1e9 / f64::from(REPETITIONS)).into();
        }
        let name =
            case.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        all.insert(name, entry);
    }
    Ok(emit_text(&format!("{}\n", serde_json::json!(all)))?)
}

/// Of so many runs the shortest counts.
const RUNS: u32 = 500;
/// Repetitions a run: long enough for the clock, short enough to be left alone now and then.
const REPETITIONS: u32 = 20_000;

fn sink(options: &cli::BenchSink) -> Result<(), CommandError> {
    let sink = Sink::attach(&options.interface, SinkAction::Drop)?;
    if options.standing_by && !standing::wait_for_the_word()? {
        return Ok(());
    }
    let (before, started) = (sink.count()?, Instant::now());
    thread::sleep(options.seconds);
    let (after, elapsed) = (sink.count()?, started.elapsed());
    let count =
        abi::Sink { frames: after.frames - before.frames, bytes: after.bytes - before.bytes };
    report(count, elapsed)
}

fn report(count: abi::Sink, elapsed: Duration) -> Result<(), CommandError> {
    let duration_ns = Nanos::from(elapsed).get();
    let report = serde_json::json!({ "frames_rx": count.frames, "bytes_rx": count.bytes, "duration_ns": duration_ns });
    Ok(emit_text(&format!("{report}\n"))?)
}
