//! The frames of a port in the order it sends them, made by the program that would send them.

use std::{collections::VecDeque, time::Duration};

use xdp_trafficgen_ebpf::abi::MAX_TURNS;

use crate::{
    commands::{
        CommandError,
        order::{Order, Turn},
    },
    engine,
    kernel::Generator,
    plan::PortPlan,
};

/// One of a port's frames.
pub(super) struct NumberedFrame {
    /// Index of its flow among the port's.
    pub(super) flow: usize,
    /// When it leaves, since the start; none where frames leave as fast as they can.
    pub(super) due: Option<Duration>,
    /// Without FCS.
    pub(super) frame: Vec<u8>,
}

/// The port's frames, one by one, to the end of all flows, as a single worker sends them: `port` is
/// planned for one CPU.
///
/// # Errors
/// What the kernel refused.
pub(super) fn frames(
    port: &PortPlan,
) -> Result<impl Iterator<Item = Result<NumberedFrame, CommandError>>, CommandError> {
    if let Some(&cpu) = port.cpus.first() {
        engine::pin_to(cpu)?;
    }
    let generator = Generator::load_dry(&port.program)?;
    let mut sequence =
        Sequence { port, generator, order: Order::of(port, 0), ahead: VecDeque::new() };
    Ok(std::iter::from_fn(move || sequence.next().transpose()))
}

/// Turns that the program gets at once: setting a schedule takes longer than making a frame.
const AHEAD: usize = 1 << 12;
const _: () = assert!(AHEAD <= MAX_TURNS);

struct Sequence<'a> {
    port: &'a PortPlan,
    generator: Generator,
    order: Order<'a>,
    /// Turns in the program's schedule that it has not taken yet.
    ahead: VecDeque<Turn>,
}

impl Sequence<'_> {
    fn next(&mut self) -> Result<Option<NumberedFrame>, CommandError> {
        if self.ahead.is_empty() {
            self.ahead.extend(self.order.by_ref().take(AHEAD));
            let flows: Vec<u32> = self.ahead.iter().map(|turn| turn.flow).collect();
            self.generator.set_schedule(0, &flows)?;
        }
        let Some(Turn { flow, due }) = self.ahead.pop_front() else { return Ok(None) };
        let (_, frame) = self.generator.dry_run(&self.port.program.frame)?;
        Ok(Some(NumberedFrame { flow: flow as usize, due: due.map(Duration::from_nanos), frame }))
    }
}
