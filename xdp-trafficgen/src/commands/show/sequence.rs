//! The frames of a port in the order it sends them, made by the program that would send them.

use crate::{
    commands::CommandError,
    engine,
    kernel::Generator,
    plan::{
        PortPlan,
        schedule::{self, Phase},
    },
};

/// A frame without FCS, and the index of its flow among the port's.
pub(super) type Numbered = (usize, Vec<u8>);

/// The port's frames, one by one, to the end of all flows, as a single worker sends them: `port` is planned for one CPU.
///
/// # Errors
/// What the kernel refused.
pub(super) fn frames(port: &PortPlan) -> Result<impl Iterator<Item = Result<Numbered, CommandError>>, CommandError> {
    engine::pin_to(port.cpus.first().copied().unwrap_or(0))?;
    let weights: Vec<u32> = port.flows.iter().map(|flow| flow.weight).collect();
    let left = port.flows.iter().map(|flow| flow.packets).collect();
    let generator = Generator::load_dry(&port.program)?;
    let mut sequence =
        Sequence { port, generator, weights, left, phase: Phase { turns: Vec::new(), frames: Some(0) }, sent: 0 };
    Ok(std::iter::from_fn(move || sequence.next().transpose()))
}

struct Sequence<'a> {
    port: &'a PortPlan,
    generator: Generator,
    weights: Vec<u32>,
    /// Frames each flow has left at the phase's start; without end when none.
    left: Vec<Option<u64>>,
    phase: Phase,
    /// Frames of the phase so far.
    sent: u64,
}

impl Sequence<'_> {
    fn next(&mut self) -> Result<Option<Numbered>, CommandError> {
        if self.phase.frames == Some(self.sent) {
            let Some(phase) = schedule::phase(&self.weights, &self.left) else { return Ok(None) };
            self.generator.set_schedule(0, &self.port.program, &phase.turns)?;
            (self.phase, self.sent) = (phase, 0);
        }
        let turn = usize::try_from(self.sent % self.phase.turns.len() as u64).unwrap_or(0);
        let flow = self.phase.turns[turn] as usize;
        if let Some(left) = &mut self.left[flow] {
            *left -= 1;
        }
        self.sent += 1;
        let (_, frame) = self.generator.dry_run(&self.port.program.frame)?;
        Ok(Some((flow, frame)))
    }
}
