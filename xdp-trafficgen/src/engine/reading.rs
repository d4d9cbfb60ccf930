//! Reads a session's counts, beside what goes on.

use std::{
    io,
    sync::{Arc, PoisonError},
    thread,
    time::Duration,
};

use rustix::thread::{sched_getaffinity, sched_setaffinity};
use tokio::sync::oneshot;

use crate::{
    engine::{EngineError, port::Port},
    kernel::ProgramClock,
    stats::{PortCount, Snapshot},
};

/// What the counts are read from.
pub(super) struct SnapshotReader {
    pub(super) ports: Vec<Arc<Port>>,
    /// How long each port sent, when all of its workers have ended.
    pub(super) elapsed: Vec<Option<Duration>>,
    pub(super) clock: ProgramClock,
    pub(super) started: u64,
}

impl SnapshotReader {
    /// All counts, now.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub(super) fn read(&self) -> Result<Snapshot, EngineError> {
        let elapsed = Duration::from_nanos(self.clock.now().saturating_sub(self.started));
        let ports = self.ports.iter().zip(&self.elapsed).map(|(port, ended)| {
            let due = port.due.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let due = ended.is_some().then_some(&due[..]);
            PortCount::read(&port.plan, &port.generator, ended.unwrap_or(elapsed), due)
                .map(|count| PortCount { still: port.still.get(), ..count })
                .map_err(|source| EngineError::Count { port: port.plan.name.clone(), source })
        });
        Ok(Snapshot { elapsed, ports: ports.collect::<Result<_, _>>()? })
    }

    /// Reads them in a thread that ends with it, off the workers' CPUs where it may: with tens of
    /// thousands of flows it takes milliseconds, and whoever waits has other things to hear of.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn read_aside(self) -> Result<PendingSnapshot, EngineError> {
        let (done, reading) = oneshot::channel();
        let work = move || {
            self.keep_off_workers();
            let snapshot = self.read();
            // The ports are the session's alone when it hears of this.
            drop(self);
            // Nobody listens when the session has ended.
            let _ = done.send(snapshot);
        };
        thread::Builder::new()
            .name("counts".to_owned())
            .spawn(work)
            .map_err(EngineError::Thread)?;
        Ok(PendingSnapshot(reading))
    }

    /// Best effort: where every CPU has a worker, it takes turns with them.
    fn keep_off_workers(&self) {
        let Ok(mut set) = sched_getaffinity(None) else { return };
        self.ports.iter().flat_map(|port| &port.plan.cpus).for_each(|&cpu| set.unset(cpu as usize));
        if set.count() > 0 {
            let _ = sched_setaffinity(None, &set);
        }
    }
}

/// Counts that are being read.
pub(super) struct PendingSnapshot(oneshot::Receiver<Result<Snapshot, EngineError>>);

impl PendingSnapshot {
    /// Waits for them. Nothing is lost when the waiting is given up and begun again.
    pub(super) async fn counts(&mut self) -> Result<Snapshot, EngineError> {
        let panicked =
            || EngineError::Thread(io::Error::other("the thread that reads the counts panicked"));
        (&mut self.0).await.unwrap_or_else(|_| Err(panicked()))
    }
}
