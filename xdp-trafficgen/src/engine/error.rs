//! Why a session could not start, or ended before its time.

use std::io;

use crate::{engine::WorkerError, kernel::KernelError, plan::port_name};

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
    /// What made way on a port's interface could not be put back.
    #[error("an interface is not as it was before the run")]
    Release(#[source] KernelError),
    /// No trace point would report what happens to frames.
    #[error("the kernel's trace points cannot be listened to")]
    Listen(#[source] KernelError),
    /// The programs' clock cannot be compared with ours.
    #[error("the clock of eBPF programs cannot be read")]
    Clock(#[source] KernelError),
    /// The operating system gave no thread.
    #[error("cannot start a worker thread")]
    Thread(#[source] io::Error),
    /// A worker failed; the others were stopped.
    #[error("port {} failed", port_name(port, interface))]
    Worker {
        /// The port's name.
        port: String,
        /// Its interface.
        interface: String,
        /// Why.
        source: WorkerError,
    },
    /// It should have started already.
    #[error("the instant to start at is over: give a later one with --at")]
    StartIsOver,
    /// Counters could not be read.
    #[error("the counters of port {port} cannot be read")]
    Count {
        /// The port's name.
        port: String,
        /// Why.
        source: KernelError,
    },
}
