//! The frames of a port in the order it sends them, made by the program that would send them.

use std::collections::BTreeMap;

use crate::{
    commands::CommandError,
    engine,
    kernel::Generator,
    plan::{PortPlan, Program},
};

/// A frame without FCS, and the index of its flow among the port's.
pub(super) type Numbered = (usize, Vec<u8>);

/// The port's frames, one by one, to the end of its flow; its workers take turns.
///
/// # Errors
/// What the kernel refused.
pub(super) fn frames(port: &PortPlan) -> Result<impl Iterator<Item = Result<Numbered, CommandError>>, CommandError> {
    let flow = &port.flow;
    let cpu = port.cpus.first().copied().unwrap_or(0);
    engine::pin_to(cpu)?;
    let generators = (0..port.cpus.len())
        .map(|index| Generator::load_dry(&only_worker(&flow.program, index, cpu)))
        .collect::<Result<Vec<_>, _>>()?;
    let packets = flow.packets.unwrap_or(u64::MAX);
    let mut turn = (0..generators.len()).cycle();
    Ok((0..packets).map_while(move |_| {
        let generator = &generators[turn.next()?];
        Some(generator.dry_run(&flow.template).map(|(_, frame)| (0, frame)).map_err(CommandError::from))
    }))
}

/// The program of one worker, for whichever CPU this thread runs on.
fn only_worker(program: &Program, index: usize, cpu: u32) -> Program {
    let first = index as u64;
    let worker = program.workers.values().find(|worker| worker.first == first).copied().unwrap_or_default();
    Program { workers: BTreeMap::from([(cpu, worker)]), ..program.clone() }
}
