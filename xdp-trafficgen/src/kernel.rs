//! The kernel, as this program uses it: loads the specialised eBPF object, fills its maps, drives it.
//!
//! The only home of `unsafe` and of aya. Takes plain values from the plan and gives plain values back; decides nothing.

#![expect(unsafe_code, reason = "system calls that neither aya nor rustix wraps live here, and only here")]

mod anchor;
pub mod arrivals;
mod attachment;
pub mod clock;
pub mod generator;
mod listener;
mod mapped;
pub mod netns;
mod pass_program;
mod per_cpu;
mod pins;
pub mod probe;
pub mod sink;
mod survey;
mod tiny;
mod trace_points;

use std::io;

use aya::{
    Ebpf, EbpfError,
    maps::{MapError, xdp::XdpMapError},
    programs::ProgramError,
    sys::SyscallError,
};

pub use arrivals::Arrivals;
pub use attachment::AttachError;
pub use clock::ProgramClock;
pub use generator::Generator;
pub use listener::Listener;
pub use mapped::StopFlag;
pub use netns::PrivateNetns;
pub use pass_program::{PassProgram, PassProgramShare, PassPrograms};
pub use per_cpu::PerCpu;
pub use probe::Capabilities;
pub use sink::Sink;
pub use survey::{Answer, CALL_FRAMES, CallTimes, Survey, Unanswered, survey};
pub use trace_points::{TracePoint, TracePoints};

/// The object with every eBPF program, built by `build.rs`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A system call of our own.
    #[error("{call} failed")]
    Syscall {
        /// Its name, with what it was for.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The object was refused as a whole.
    #[error("the kernel refused the eBPF object")]
    Object(#[from] EbpfError),
    /// A program was refused.
    #[error("the kernel refused the eBPF program `{program}`")]
    Program {
        /// Its name in the object.
        program: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// A map could not be read or written.
    #[error("the eBPF map `{map}` failed")]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// Why.
        source: MapError,
    },
    /// A map has no such entry: a mistake of ours.
    #[error("the eBPF map `{map}` has no entry {index}")]
    NoEntry {
        /// Its name in the object.
        map: &'static str,
        /// The entry.
        index: u32,
    },
    /// The egress interface could not be given to the program.
    #[error("the kernel refused the egress interface")]
    Egress(#[source] XdpMapError),
    /// More ports than one process can count for.
    #[error("{0} ports are too many for one process: it counts for {max} at most", max = xdp_trafficgen_ebpf::abi::MAX_PLACES)]
    TooManyPorts(usize),
    /// The object lacks something this program expects: a mistake of ours.
    #[error("the eBPF object has no `{0}`")]
    Missing(&'static str),
    /// A program could not be attached to an interface.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Interfaces of our own could not be made.
    #[error(transparent)]
    Netlink(#[from] crate::host::NetlinkError),
}

impl KernelError {
    /// The system call that failed and its errno, where nothing else has said yet what that means. Of libraries that do not
    /// name the call: what they could not do.
    pub fn failed_call(&self) -> Option<(String, i32)> {
        match self {
            Self::Attach(AttachError::Refused { source, said, .. }) => {
                let said = said.as_deref().unwrap_or_default();
                return Some((format!("attach: {said}"), source.raw_os_error()?));
            }
            Self::Attach(_) | Self::Netlink(_) => return None,
            _ => {}
        }
        let mut error: &(dyn std::error::Error + 'static) = self;
        loop {
            if let Some(SyscallError { call, io_error }) = error.downcast_ref() {
                return Some(((*call).to_owned(), io_error.raw_os_error()?));
            }
            let source = error.source()?;
            if let Some(errno) = source.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                return Some((error.to_string(), errno));
            }
            error = source;
        }
    }

    /// The errno below it, if a system call failed.
    pub fn errno(&self) -> Option<i32> {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = source {
            if let Some(io_error) = error.downcast_ref::<io::Error>() {
                return io_error.raw_os_error();
            }
            if let Some(syscall) = error.downcast_ref::<SyscallError>() {
                return syscall.io_error.raw_os_error();
            }
            source = error.source();
        }
        None
    }
}

fn program_error(program: &'static str) -> impl FnOnce(ProgramError) -> KernelError {
    move |source| KernelError::Program { program, source }
}

fn map_error(map: &'static str) -> impl FnOnce(MapError) -> KernelError {
    move |source| KernelError::Map { map, source }
}

/// Closes an object's descriptors of maps. Programs that are loaded keep theirs; the kernel empties only arrays of programs when
/// the last descriptor goes.
fn close_maps(object: &mut Ebpf) {
    let names: Vec<String> = object.maps().map(|(name, _)| name.to_owned()).collect();
    names.iter().for_each(|name| drop(object.take_map(name)));
}
