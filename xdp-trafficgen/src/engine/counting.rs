//! What the interfaces count while a session runs, for the comparison with our own counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::{
    host::{CounterReader, Counters},
    stats::{PortCount, reconcile::confirmed_by_nic},
};

/// Whether the end of a session waits for slow drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// The session ended by itself: counters of hardware get the time that they need.
    Patient,
    /// The session was stopped, and its user waits for the end.
    Hurried,
}

/// The interfaces' counters at the start.
#[derive(Debug)]
pub(super) struct Counting {
    /// None where the kernel gives no counters.
    reader: Option<CounterReader>,
    before: BTreeMap<u32, Counters>,
}

/// How long the counters of a virtual interface must have been still before they count as final:
/// the receiver of a veth may still be at work. After a stop, this holds for all interfaces.
const PATIENCE: Duration = Duration::from_millis(20);
/// The same for hardware: many drivers update their counters every second or two.
const LONG_PATIENCE: Duration = Duration::from_millis(2200);
/// How long the wait takes at most, for all interfaces together.
const LIMIT: Duration = Duration::from_secs(3);
/// Time between two readings.
const PAUSE: Duration = Duration::from_millis(2);

impl Counting {
    /// Reads the counters of these interfaces. One that cannot be read is not compared.
    pub(super) fn begin(interfaces: impl Iterator<Item = u32>) -> Self {
        let mut reader = CounterReader::open().ok();
        let mut read = |index| Some((index, reader.as_mut()?.read(index).ok()?));
        let before = interfaces.filter_map(&mut read).collect();
        Self { reader, before }
    }

    /// Adds what each port's interface has counted, once that is all that its driver accepted, or
    /// the counters are still. Gives the interfaces whose counters may move later, because `stop`
    /// shortened the wait.
    pub(super) async fn end(
        self,
        ports: &mut [PortCount],
        stop: &CancellationToken,
    ) -> BTreeSet<u32> {
        let Some(reader) = self.reader else { return BTreeSet::new() };
        let started = Instant::now();
        let waiting = self
            .before
            .into_iter()
            .map(|(index, before)| Waiting::new(index, before, ports, started));
        let mut waiting: Vec<Waiting> = waiting.collect();
        loop {
            let mut all_done = true;
            for interface in &mut waiting {
                all_done &= interface.look(&reader, haste(stop));
            }
            if all_done || started.elapsed() >= LIMIT {
                break;
            }
            time::sleep(PAUSE).await;
        }
        let mut unsettled = BTreeSet::new();
        for Waiting { index, hardware, counted, complete, .. } in waiting {
            let of_it = ports.iter_mut().filter(|port| port.leaves_by == Some(index));
            of_it.for_each(|port| port.interface_count.clone_from(&counted));
            if hardware && !complete && haste(stop) == Haste::Hurried {
                unsettled.insert(index);
            }
        }
        unsettled
    }
}

fn haste(stop: &CancellationToken) -> Haste {
    if stop.is_cancelled() { Haste::Hurried } else { Haste::Patient }
}

/// An interface that may not have counted everything yet.
struct Waiting {
    index: u32,
    before: Counters,
    /// Frames that its driver accepted.
    frames_tx: u64,
    hardware: bool,
    /// None when the interface is gone.
    counted: Option<Counters>,
    /// When the counters last moved.
    moved: Instant,
    complete: bool,
    done: bool,
}

impl Waiting {
    fn new(index: u32, before: Counters, ports: &[PortCount], now: Instant) -> Self {
        let of_it = || ports.iter().filter(|port| port.leaves_by == Some(index));
        Self {
            index,
            before,
            frames_tx: of_it().map(|port| port.frames_tx).sum(),
            hardware: of_it().any(|port| port.line_rate.is_some()),
            counted: None,
            moved: now,
            complete: false,
            done: false,
        }
    }

    /// Reads the counters again, unless they are final. Returns whether they are.
    fn look(&mut self, reader: &CounterReader, haste: Haste) -> bool {
        if self.done {
            return true;
        }
        let Ok(counted) = reader.read(self.index) else {
            self.counted = None;
            self.done = true;
            return true;
        };
        let counted = counted.since(&self.before);
        self.complete =
            counted.tx_packets >= self.frames_tx || confirmed_by_nic(&counted, self.frames_tx);
        if self.counted.as_ref() != Some(&counted) {
            self.counted = Some(counted);
            self.moved = Instant::now();
        }
        let patience = match haste {
            Haste::Patient if self.hardware => LONG_PATIENCE,
            Haste::Patient | Haste::Hurried => PATIENCE,
        };
        self.done = self.complete || self.moved.elapsed() >= patience;
        self.done
    }
}
