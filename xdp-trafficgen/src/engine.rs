//! The engine: one pinned thread a CPU drives the kernel; a session starts, stops and joins them.
//!
//! The engine takes plans and gives counts. Plans decide what is sent; outputs print.

mod batch;
mod call_size;
mod clock;
mod counting;
mod error;
mod full_speed;
mod gate;
mod loaded;
mod paced;
mod port;
mod reading;
mod refused;
mod session;
mod standstill;
mod stop;
mod thread;
mod turns;
mod worker;

pub use error::EngineError;
pub use loaded::{Loaded, Start};
pub use session::Session;
pub use worker::WorkerError;

#[doc(hidden)]
pub use clock::now;
#[doc(hidden)]
pub use session::DRAIN;
#[doc(hidden)]
pub use worker::pin_to;

#[doc(inline)]
pub use crate::kernel::{KernelError, TracePoint};
