//! `programs`: what the programs of all cases are to the kernel.

use std::{collections::BTreeMap, time::Duration};

use clap::ValueEnum as _;
use xdp_trafficgen_ebpf::abi::timing::{ClockSpec, ClockState, WorkerClock};

use super::{cases::Limits, config, role};
use crate::{
    cli::{self, BenchCase},
    commands::{CommandError, demo::CountedPair, probe_kernel, send::work_out},
    engine,
    kernel::Generator,
    output::format::emit_text,
    plan::{DefaultRoute, pacing::Streams, schedule},
};

/// What each case's programs are to the verifier, and what a repetition of them takes by itself:
/// ordinary runs, which send nothing. The shortest of many runs, which is the same on a busy
/// machine.
pub(super) fn programs(options: &cli::BenchPrograms) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let stage = CountedPair::set(Some(vec![0]), None)?;
    let mut all = BTreeMap::new();
    for &case in BenchCase::value_variants() {
        if !has_programs_of_its_own(case) {
            continue;
        }
        let config = config(case, &stage, Limits::of(Duration::from_secs(1)))?;
        let plan = work_out(&config, Some(capabilities), DefaultRoute::Refuse)?;
        let Some(port) = plan.ports.first() else { continue };
        engine::pin_to(0)?;
        let generator =
            Generator::load(&port.program, port.pacing.as_ref(), port.egress, role(case), None)?;
        let weights: Vec<u32> = port.flows.iter().map(|flow| flow.weight).collect();
        if let Some(phase) = schedule::phase(&weights, &vec![None; weights.len()]) {
            generator.set_schedule(0, &phase.turns)?;
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
        let program = generator.program();
        let mut entry = serde_json::json!({ "programs": [{
            "name": program.name,
            "verified_instructions": program.verified_instructions,
            "translated_bytes": program.translated_bytes,
        }] });
        // An ordinary run does not give a frame that was cut its length back: the next repetition
        // would find it too short.
        let cut = port.program.generator.sized != 0;
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

/// The programs of the others are in other cases too: those of flows at rates of their own in
/// [`BenchCase::SixtyFourFlowsPaced`], those of many shapes in all cases of long sequences.
const fn has_programs_of_its_own(case: BenchCase) -> bool {
    !matches!(
        case,
        BenchCase::SixtyFourShapesLong
            | BenchCase::ThousandFlowsPaced
            | BenchCase::TwentyThousandFlowsPaced
            | BenchCase::SixtyThousandFlowsPaced
            | BenchCase::SixtyThousandFlowsSlow
    )
}

/// Of so many runs the shortest counts.
const RUNS: u32 = 500;
/// Repetitions a run: long enough for the clock, short enough to be left alone now and then.
const REPETITIONS: u32 = 20_000;
