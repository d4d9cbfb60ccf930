//! Reads a session's counts while it runs.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
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

/// The ports and times that counts are read from.
pub(super) struct SnapshotReader {
    pub(super) ports: Vec<Arc<Port>>,
    /// How long each port sent; none while some of its workers run.
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
                .map(|count| PortCount {
                    still: port.still.get(),
                    frames_made_up: port.made_up.load(Ordering::Relaxed),
                    ..count
                })
                .map_err(|source| EngineError::Count { port: port.plan.name.clone(), source })
        });
        Ok(Snapshot { elapsed, ports: ports.collect::<Result<_, _>>()? })
    }

    /// Reads the counts in a thread of its own, off the workers' CPUs where possible. With tens of
    /// thousands of flows a reading takes milliseconds, in which the session has other events to
    /// handle.
    ///
    /// # Errors
    /// When the operating system refuses to start a thread.
    pub(super) fn read_aside(self) -> Result<PendingSnapshot, EngineError> {
        let (done, reading) = oneshot::channel();
        let work = move || {
            self.keep_off_workers();
            let snapshot = self.read();
            // The session may take the ports for its own as soon as it has the counts.
            drop(self);
            // The receiver is gone when the session has ended.
            let _ = done.send(snapshot);
        };
        thread::Builder::new()
            .name("counts".to_owned())
            .spawn(work)
            .map_err(EngineError::Thread)?;
        Ok(PendingSnapshot(reading))
    }

    /// Best effort: where every CPU has a worker, this thread shares a CPU with one.
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
    /// Waits for the counts. The future may be dropped and created again without losing any.
    pub(super) async fn counts(&mut self) -> Result<Snapshot, EngineError> {
        let panicked =
            || EngineError::Thread(io::Error::other("the thread that reads the counts panicked"));
        (&mut self.0).await.unwrap_or_else(|_| Err(panicked()))
    }
}
