//! What the interfaces count while a session runs, for comparing with our own counts.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::time;

use crate::{
    host::{CounterReader, Counters},
    stats::{PortCount, reconcile::confirmed_by_nic},
};

/// The interfaces' counters at the start.
#[derive(Debug)]
pub(super) struct Counting {
    /// None: the kernel does not tell.
    reader: Option<CounterReader>,
    before: BTreeMap<u32, Counters>,
}

/// How long to wait for a virtual interface whose counters do not move any more: the receiver of a veth may still be at work.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long for one of hardware: many drivers update their counters every second or two.
const LONG_PATIENCE: Duration = Duration::from_millis(2200);
/// How long at most.
const LIMIT: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

impl Counting {
    /// Reads the counters of these interfaces. One that cannot be read is not compared.
    pub(super) fn begin(interfaces: impl Iterator<Item = u32>) -> Self {
        let mut reader = CounterReader::open().ok();
        let mut read = |index| Some((index, reader.as_mut()?.read(index).ok()?));
        let before = interfaces.filter_map(&mut read).collect();
        Self { reader, before }
    }

    /// Adds what each port's interface has counted, once it has counted all that its driver accepted, or does not go on
    /// counting. `hurry`: somebody waits for the end.
    pub(super) async fn end(&mut self, ports: &mut [PortCount], hurry: bool) {
        let Some(reader) = &mut self.reader else { return };
        for (&index, before) in &self.before {
            let of_it = |port: &&mut PortCount| port.leaves_by == Some(index);
            let accepted: u64 = ports.iter_mut().filter(of_it).map(|port| port.transmitted).sum();
            let hardware = ports.iter_mut().filter(of_it).any(|port| port.line_rate.is_some());
            let patience = if hardware && !hurry { LONG_PATIENCE } else { PATIENCE };
            let counted = settled(reader, index, before, accepted, patience).await;
            ports.iter_mut().filter(of_it).for_each(|port| port.interface_count.clone_from(&counted));
        }
    }
}

/// What was counted since `before`; none when the interface is gone.
async fn settled(
    reader: &mut CounterReader,
    index: u32,
    before: &Counters,
    accepted: u64,
    patience: Duration,
) -> Option<Counters> {
    let started = Instant::now();
    let (mut last, mut moved) = (None, started);
    loop {
        let counted = reader.read(index).ok()?.since(before);
        let complete = counted.tx_packets >= accepted || confirmed_by_nic(&counted, accepted);
        let now = Instant::now();
        if last.as_ref() != Some(&counted) {
            (last, moved) = (Some(counted), now);
        }
        if complete || now - moved >= patience || now - started >= LIMIT {
            return last;
        }
        time::sleep(PAUSE).await;
    }
}
