//! The engine: one pinned thread a CPU drives the kernel; a session starts, stops and joins them.
//!
//! Takes plans and gives counts. Decides nothing about what is sent, and prints nothing.

mod call_size;
mod worker;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use worker::WorkerError;

use crate::{
    kernel::{Generator, KernelError, generator::Role},
    plan::{Plan, PortPlan},
    stats::{PortCount, Snapshot},
};

/// Why a session could not start, or ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A port's program or maps could not be set up.
    #[error("port {port} cannot be set up")]
    Load {
        /// The port's name.
        port: String,
        /// Why.
        source: KernelError,
    },
    /// The operating system gave no thread.
    #[error("cannot start a worker thread")]
    Thread(#[source] io::Error),
    /// A worker failed; the others were stopped.
    #[error("port {port} ({interface}) failed")]
    Worker {
        /// The port's name.
        port: String,
        /// Its interface.
        interface: String,
        /// Why.
        source: WorkerError,
    },
    /// Counters could not be read.
    #[error("the counters of port {port} cannot be read")]
    Count {
        /// The port's name.
        port: String,
        /// Why.
        source: KernelError,
    },
}

/// Binds the calling thread to a CPU, as workers are.
///
/// # Errors
/// When the thread may not run there.
pub fn pin_to(cpu: u32) -> Result<(), WorkerError> {
    worker::pin(cpu)
}

/// Ports that are loaded into the kernel and have sent nothing yet.
pub struct Loaded {
    ports: Vec<Arc<Port>>,
}

struct Port {
    plan: PortPlan,
    generator: Generator,
}

impl Loaded {
    /// Loads every port of the plan.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new(plan: Plan) -> Result<Self, EngineError> {
        Self::with_role(plan, Role::Generate)
    }

    /// As [`Loaded::new`], with another program of the object doing the sending.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn with_role(plan: Plan, role: Role) -> Result<Self, EngineError> {
        let ports = plan
            .ports
            .into_iter()
            .map(|plan| {
                let generator = Generator::load(&plan.flow.program, plan.egress, role)
                    .map_err(|source| EngineError::Load { port: plan.name.clone(), source })?;
                Ok(Arc::new(Port { plan, generator }))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { ports })
    }

    /// Starts all workers of all ports at the same moment; they end when `stop` is cancelled, or before when their flow
    /// does. A worker that fails cancels `stop`.
    ///
    /// # Errors
    /// When there are no threads left.
    pub fn start(self, stop: &CancellationToken) -> Result<Session, EngineError> {
        let jobs: Vec<(Arc<Port>, usize)> = self
            .ports
            .iter()
            .flat_map(|port| (0..port.plan.cpus.len()).map(|index| (Arc::clone(port), index)))
            .collect();
        // Workers wait for a word that comes when all are there; when one could not be had, its sender is dropped and they
        // go home.
        let (go, gate) = tokio::sync::watch::channel(());
        let mut workers = JoinSet::new();
        for (port, index) in jobs {
            let (done, outcome) = tokio::sync::oneshot::channel();
            let (mut gate, stop) = (gate.clone(), stop.clone());
            let context = (port.plan.name.clone(), port.plan.interface.clone());
            thread::Builder::new()
                .name(format!("worker-{}", port.plan.cpus[index]))
                .spawn(move || {
                    let pinned = worker::pin(port.plan.cpus[index]);
                    if block_on(gate.changed()).is_err() {
                        return;
                    }
                    let result = pinned.and_then(|()| worker::work(&port.plan, &port.generator, index, &stop));
                    if result.is_err() {
                        stop.cancel();
                    }
                    // Nobody listens when the session was dropped.
                    let _ = done.send(result);
                })
                .map_err(EngineError::Thread)?;
            workers.spawn(async move {
                let (port, interface) = context;
                let failed = |source| EngineError::Worker { port, interface, source };
                outcome.await.unwrap_or(Err(WorkerError::Panicked)).map_err(failed)
            });
        }
        let started = Instant::now();
        go.send_replace(());
        Ok(Session { ports: self.ports, workers, started })
    }
}

/// Ports that are sending.
pub struct Session {
    ports: Vec<Arc<Port>>,
    workers: JoinSet<Result<(), EngineError>>,
    started: Instant,
}

impl Session {
    /// What has been counted so far.
    ///
    /// # Errors
    /// When the kernel's maps cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, EngineError> {
        Ok(Snapshot { elapsed: self.started.elapsed(), ports: self.counts()? })
    }

    /// The final count, after [`Session::next_ended`] said `None` at the time `elapsed` since the start.
    ///
    /// # Errors
    /// When the kernel's maps cannot be read.
    pub fn finish(self, elapsed: Duration) -> Result<Snapshot, EngineError> {
        Ok(Snapshot { elapsed, ports: self.counts()?.into_iter().map(PortCount::settled).collect() })
    }

    /// Waits until every worker has ended; returns when the next one has, so that the caller can do something else
    /// in between. `None`: all have ended.
    ///
    /// # Errors
    /// What a worker failed of; the others have been told to stop, go on waiting for them.
    pub async fn next_ended(&mut self) -> Option<Result<(), EngineError>> {
        let ended = self.workers.join_next().await?;
        Some(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// The error to report when an egress interface is not there any more, as `index_of` tells by its name: frames for
    /// it would be dropped, one by one, for ever.
    pub fn gone_interface(&self, index_of: impl Fn(&str) -> Option<u32>) -> Option<EngineError> {
        let gone =
            self.ports.iter().map(|port| &port.plan).find(|plan| index_of(&plan.interface) != Some(plan.egress))?;
        Some(EngineError::Worker {
            port: gone.name.clone(),
            interface: gone.interface.clone(),
            source: WorkerError::InterfaceGone,
        })
    }

    /// When the workers started.
    pub const fn started(&self) -> Instant {
        self.started
    }

    fn counts(&self) -> Result<Vec<PortCount>, EngineError> {
        let read = |port: &Arc<Port>| {
            PortCount::read(&port.plan, &port.generator)
                .map_err(|source| EngineError::Count { port: port.plan.name.clone(), source })
        };
        self.ports.iter().map(read).collect()
    }
}
