//! Why frames went nowhere: the reason, without cause and cure, which are [`crate::diagnosis`]'s.

use xdp_trafficgen_ebpf::abi::{DropLayer, MAX_ERRNO};

/// Why a frame went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The driver took only part of a bulk: its transmit queue was full.
    QueueFull,
    /// The driver refused a bulk with this errno.
    Driver(u32),
    /// The kernel refused the redirect with this errno, before the driver was asked.
    Redirect(u32),
    /// The action is `drop`: as asked.
    Action,
    /// The program could not make the frame: a mistake of ours.
    Aborted,
    /// The kernel gave the frame up for what the program returned (`xdp_exception`).
    Exception,
    /// No trace point told: the kernel dropped the frame in another way.
    Unaccounted,
}

impl From<(DropLayer, u32)> for DropReason {
    /// Who refused it, and with which errno (0 for none).
    fn from(refusal: (DropLayer, u32)) -> Self {
        match refusal {
            (DropLayer::Driver, 0) => Self::QueueFull,
            (DropLayer::Driver, errno) => Self::Driver(errno),
            (DropLayer::Redirect, errno) => Self::Redirect(errno),
        }
    }
}

impl DropReason {
    /// A name that stays the same, for programs.
    pub fn code(self) -> String {
        match self {
            Self::QueueFull => "driver_queue_full".to_owned(),
            Self::Driver(errno) => format!("driver_{}", errno_name(errno).to_lowercase()),
            Self::Redirect(errno) => format!("redirect_{}", errno_name(errno).to_lowercase()),
            Self::Action => "action_drop".to_owned(),
            Self::Aborted => "program_aborted".to_owned(),
            Self::Exception => "exception".to_owned(),
            Self::Unaccounted => "unaccounted".to_owned(),
        }
    }
}

/// The names of the errnos this path is known to give; a number for any other.
pub fn errno_name(errno: u32) -> String {
    let name = match errno {
        1 => "EPERM",
        6 => "ENXIO",
        11 => "EAGAIN",
        12 => "ENOMEM",
        14 => "EFAULT",
        16 => "EBUSY",
        19 => "ENODEV",
        22 => "EINVAL",
        28 => "ENOSPC",
        90 => "EMSGSIZE",
        95 => "EOPNOTSUPP",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        105 => "ENOBUFS",
        other if other >= MAX_ERRNO - 1 => "other",
        other => return format!("errno_{other}"),
    };
    name.to_owned()
}
