//! Errors of the kernel: refused calls, objects, programs, maps and attachments.

use std::io;

use aya::{maps::MapError, sys::SyscallError};

use crate::{
    host::{AttachedXdp, NetlinkError},
    kernel::program::ProgramError,
};

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A system call that aya does not make.
    #[error("{call} failed")]
    Syscall {
        /// Its name, with what it was for.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The object cannot be read, linked or given its constants: a bug.
    #[error("the eBPF object is damaged")]
    Object(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A program was refused.
    #[error("the kernel refused the eBPF program `{program}`")]
    Program {
        /// Its name in the object.
        program: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// A map was refused.
    #[error("the kernel refused the eBPF map `{map}`")]
    CreateMap {
        /// Its name in the object.
        map: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A map could not be read or written.
    #[error("the eBPF map `{map}` failed")]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// Why.
        source: MapError,
    },
    /// The map has no such entry: a bug.
    #[error("the eBPF map `{map}` has no entry {index}")]
    NoEntry {
        /// Its name in the object.
        map: &'static str,
        /// The entry.
        index: u32,
    },
    /// The program cannot be given the egress interface.
    #[error("the kernel refused the egress interface")]
    Egress(#[source] io::Error),
    /// More ports than one process has places for.
    #[error("{0} ports are too many for one process: it counts for {max} at most", max = xdp_trafficgen_ebpf::abi::MAX_PLACES)]
    TooManyPorts(usize),
    /// A log of arrivals has fewer than 2^32 blocks.
    #[error("no log of arrivals has room for {0} frames")]
    TooManyArrivals(u64),
    /// A map has values of another number of CPUs than /sys lists as possible.
    #[error("the kernel keeps values for {values} CPUs, and {cpus} are possible")]
    PossibleCpus {
        /// How many values the kernel keeps.
        values: usize,
        /// How many CPUs /sys lists.
        cpus: usize,
    },
    /// The object has no such program or map: a bug.
    #[error("the eBPF object has no `{0}`")]
    Missing(&'static str),
    /// A program could not be attached to an interface.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The private interface cannot be made.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

impl KernelError {
    /// The system call that failed, and its errno, for errors that do not say yet what the errno
    /// means. Where a library does not name its call: the library's message.
    pub fn failed_call(&self) -> Option<(String, i32)> {
        match self {
            Self::Attach(AttachError::Refused { source, reason, .. }) => {
                let reason = reason.as_deref().unwrap_or_default();
                return Some((format!("attach: {reason}"), source.raw_os_error()?));
            }
            // The verifier's log is not of the call's name.
            Self::Program { source: ProgramError { call, source, .. }, .. } => {
                return Some(((*call).to_owned(), source.raw_os_error()?));
            }
            Self::Netlink(NetlinkError::Open(source)) => {
                return Some(("open(netlink)".to_owned(), source.raw_os_error()?));
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
            if let Some(errno) =
                source.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error)
            {
                return Some((error.to_string(), errno));
            }
            error = source;
        }
    }

    /// The errno of the system call at the root of this error, if there is one.
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

/// Why a program cannot be attached, or another program cannot be attached again.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Another program is attached; the user wants it to stay, or it cannot be detached.
    #[error("{program} is attached to `{interface}` already: {}", .program.out_of_the_way(.interface))]
    InTheWay {
        /// The interface.
        interface: String,
        /// The program.
        program: AttachedXdp,
    },
    /// The driver, or the kernel for it, refused the program.
    #[error("`{interface}` takes no XDP program{}", in_brackets(.reason.as_deref()))]
    Refused {
        /// The interface.
        interface: String,
        /// The reason that the driver or the kernel gives.
        reason: Option<String>,
        /// Why not.
        source: io::Error,
    },
    /// The driver does not send XDP frames even with a program attached.
    #[error(
        "the driver of `{interface}` sends no XDP frames, with an XDP program attached or without: \
         send out of another interface, or try a newer kernel"
    )]
    NoTransmit {
        /// The interface.
        interface: String,
    },
    /// A program that was detached for ours cannot be attached again.
    #[error("{program}, which was replaced for the run, cannot be attached to `{interface}` \
             again{}: attach it by hand", in_brackets(.reason.as_deref()))]
    NotPutBack {
        /// The interface.
        interface: String,
        /// The program.
        program: AttachedXdp,
        /// The reason that the kernel or the driver gives.
        reason: Option<String>,
        /// Why not.
        source: io::Error,
    },
}

fn in_brackets(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

pub(super) fn map_error(map: &'static str) -> impl FnOnce(MapError) -> KernelError {
    move |source| KernelError::Map { map, source }
}
