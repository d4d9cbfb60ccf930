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
    /// The XDP program that was detached from a port's interface for the run could not be attached
    /// again.
    #[error("an interface is not as it was before the run")]
    Release(#[source] KernelError),
    /// The trace points that report the fate of frames could not be used.
    #[error("the kernel's trace points cannot be listened to")]
    Listen(#[source] KernelError),
    /// The clock that eBPF programs use could not be read.
    #[error("the clock of eBPF programs cannot be read")]
    Clock(#[source] KernelError),
    /// The operating system refused to start a thread.
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
    /// The instant to start at was over.
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
