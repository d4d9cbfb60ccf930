//! The eBPF object in the kernel: loads it, fills its maps, attaches its programs, and reads what
//! they counted.
//!
//! The home of `unsafe` for what runs in the kernel, and the only user of aya. Takes plain values
//! from the plan, returns plain values, and decides nothing.

#![expect(
    unsafe_code,
    reason = "system calls that neither aya nor rustix wraps live here, and \
                                 only here"
)]

mod anchor;
pub mod arrivals;
mod attachment;
pub mod clock;
mod error;
pub mod generator;
mod listener;
mod mapped;
pub mod netns;
mod object;
mod pass_program;
mod per_cpu;
pub mod probe;
mod program;
pub mod sink;
mod survey;
mod tiny;
mod trace_points;

pub use anchor::Anchor;
pub use arrivals::Arrivals;
pub use clock::ProgramClock;
use error::map_error;
pub use error::{AttachError, KernelError};
pub use generator::Generator;
pub use listener::Listener;
pub use mapped::StopFlag;
pub use netns::PrivateNetns;
pub use pass_program::{PassProgram, PassProgramShare, PassPrograms};
pub use per_cpu::PerCpu;
pub use probe::Capabilities;
pub use program::{ProgramError, ProgramFacts, Sent};
pub use sink::Sink;
pub use survey::{Answer, CALL_FRAMES, CallTimes, Survey, Unanswered, survey};
pub use trace_points::{TracePoint, TracePoints};
