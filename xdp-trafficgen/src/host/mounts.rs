//! The file systems of the kernel that sending needs. Minimal containers and rescue systems may
//! lack them.

use std::fmt;

use crate::host::files::Files;

/// A file system that is not mounted, or not completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmounted {
    /// Its type, for `mount`.
    pub file_system: &'static str,
    /// Where it is mounted.
    pub place: &'static str,
    /// The file that was looked for.
    pub path: &'static str,
    /// What the file is needed for.
    pub purpose: &'static str,
}

/// Private network namespaces are opened through /proc; the number of possible CPUs is read from
/// /sys.
pub(super) const NEEDED: [Unmounted; 2] = [
    Unmounted {
        file_system: "proc",
        place: "/proc",
        path: "/proc/self/fd",
        purpose: "private network namespaces are opened through it",
    },
    Unmounted {
        file_system: "sysfs",
        place: "/sys",
        path: "/sys/devices/system/cpu/possible",
        purpose: "it says for how many CPUs the kernel counts",
    },
];

impl Unmounted {
    /// The missing ones of this machine.
    #[must_use]
    pub fn gather() -> Vec<Self> {
        all(Files::of_this_machine())
    }

    /// What the user can do.
    pub fn cure(&self) -> String {
        let Self { file_system, place, .. } = self;
        format!(
            "`mount -t {file_system} {file_system} {place}`, or give the container a {place} \
                 of its own"
        )
    }
}

impl fmt::Display for Unmounted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file_system, path, purpose, .. } = self;
        write!(
            formatter,
            "{path} is not there, as {file_system} is not mounted, and nothing can be sent \
             without: {purpose}"
        )
    }
}

pub(super) fn all(files: Files<'_>) -> Vec<Unmounted> {
    NEEDED.into_iter().filter(|needed| !files.exists(needed.path)).collect()
}
