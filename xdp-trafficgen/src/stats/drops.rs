//! Why frames were dropped: the reason. Causes and cures are in [`crate::diagnosis`].

use xdp_trafficgen_ebpf::abi::{CLASSES, DropLayer, FlowDrops, MAX_ERRNO, drop_class};

use crate::{kernel::generator::Refusals, sys::errnos};

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The driver took only part of a bulk: its transmit queue was full.
    QueueFull,
    /// The driver refused a bulk with this errno.
    Driver(u32),
    /// The kernel refused the redirect with this errno, before it called the driver.
    Redirect(u32),
    /// The action is `drop`, as the user requested.
    Action,
    /// The program could not build the frame: a bug of this project.
    Aborted,
    /// The program ran on a CPU that has no worker, because a worker's thread was moved there.
    WorkerMoved,
    /// The kernel dropped the frame because of what the program returned (`xdp_exception`).
    Exception,
    /// No trace point reported the drop: the kernel dropped the frame in another way.
    Unaccounted,
}

impl From<(DropLayer, u32)> for DropReason {
    /// The layer that refused the frame, and its errno (0 for none).
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
            Self::WorkerMoved => "worker_moved".to_owned(),
            Self::Exception => "exception".to_owned(),
            Self::Unaccounted => "unaccounted".to_owned(),
        }
    }
}

/// The name of an errno as the programs count it, such as `ENXIO`; a number where it has none, and
/// `other` for the last ones, which are counted together.
pub fn errno_name(errno: u32) -> String {
    match errno {
        errno if errno >= MAX_ERRNO - 1 => "other".to_owned(),
        errno => errnos::name(errno).unwrap_or_else(|| format!("errno_{errno}")),
    }
}

/// The reasons for a flow's drops by class. `refusals` has all refusals of its worker: where a class
/// holds several errnos, the flow's is known when only one of them occurred.
pub(super) fn of_classes(classes: &FlowDrops, refusals: &Refusals) -> Vec<(DropReason, u64)> {
    let reason = |class: usize| {
        let (layer, errno) = CLASSES[class];
        let mut happened =
            refusals.keys().filter(|&&(layer, errno)| drop_class(layer, errno) == class);
        let only = happened.next().filter(|_| happened.next().is_none()).map(|&(_, errno)| errno);
        DropReason::from((layer, errno.or(only).unwrap_or(MAX_ERRNO - 1)))
    };
    classes
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(class, &count)| (reason(class), count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs read these names; libc's numbers are the oracle.
    #[test]
    fn errnos_have_the_names_of_the_manual() {
        for (errno, name) in [
            (libc::EPERM, "EPERM"),
            (libc::ENXIO, "ENXIO"),
            (libc::EAGAIN, "EAGAIN"),
            (libc::ENOMEM, "ENOMEM"),
            (libc::EFAULT, "EFAULT"),
            (libc::EBUSY, "EBUSY"),
            (libc::ENODEV, "ENODEV"),
            (libc::EINVAL, "EINVAL"),
            (libc::ENOSPC, "ENOSPC"),
            (libc::EMSGSIZE, "EMSGSIZE"),
            (libc::EOPNOTSUPP, "EOPNOTSUPP"),
            (libc::ENETDOWN, "ENETDOWN"),
            (libc::ENETUNREACH, "ENETUNREACH"),
            (libc::ENOBUFS, "ENOBUFS"),
            (41, "errno_41"),
        ] {
            assert_eq!(errno_name(errno.unsigned_abs()), name);
        }
        assert_eq!([errno_name(MAX_ERRNO - 1), errno_name(u32::MAX)], ["other", "other"]);
    }

    #[test]
    fn a_class_of_several_errnos_is_named_when_only_one_happened() {
        use DropLayer::{Driver, Redirect};
        #[track_caller]
        fn check(
            happened: &[(DropLayer, u32)],
            classes: &[(usize, u64)],
            expected: &[(DropReason, u64)],
        ) {
            let refusals = happened.iter().map(|&refusal| (refusal, 9)).collect::<Refusals>();
            let mut counts = FlowDrops::default();
            classes.iter().for_each(|&(class, count)| counts[class] = count);
            assert_eq!(of_classes(&counts, &refusals), expected);
        }
        check(&[(Driver, 0)], &[(0, 3)], &[(DropReason::QueueFull, 3)]);
        check(
            &[(Driver, 6), (Redirect, 95)],
            &[(1, 3), (4, 2)],
            &[(DropReason::Driver(6), 3), (DropReason::Redirect(95), 2)],
        );
        check(
            &[(Driver, 22), (Redirect, 19)],
            &[(3, 1), (7, 2)],
            &[(DropReason::Driver(22), 1), (DropReason::Redirect(19), 2)],
        );
        check(&[(Driver, 22), (Driver, 28)], &[(3, 5)], &[(DropReason::Driver(255), 5)]);
    }
}
