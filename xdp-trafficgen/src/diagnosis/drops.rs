//! Why frames were dropped: from who refused them, with which errno, and from the facts of the
//! interface.

use super::{Finding, Severity, Situation, moved::moved, mtu, path, queues, veth, words};
use crate::{
    host::{
        AttachedMode, Peer,
        drivers::{QueueOfCpu, needs_program, queue_of_cpu},
    },
    stats::{DropReason, errno_name},
    sys::errnos::{EINVAL, EMSGSIZE, ENETDOWN, ENODEV, ENOMEM, ENXIO, EOPNOTSUPP},
};

/// The cause of drops with this reason.
pub fn of_drop(reason: DropReason, situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    match reason {
        DropReason::QueueFull => queues::full(situation),
        DropReason::Driver(errno) => of_driver(errno, situation),
        DropReason::Redirect(errno) => of_redirect(errno, situation),
        DropReason::Action => Finding::new(
            "action_drop",
            Severity::Note,
            "they were dropped as asked (action = \
                                                         \"drop\")"
                .to_owned(),
            "",
        ),
        DropReason::Aborted => Finding::new(
            "program_aborted",
            Severity::Loses,
            "the eBPF program failed to make them, which is a bug in xdp-trafficgen".to_owned(),
            "please report it, with the configuration",
        ),
        DropReason::WorkerMoved => moved(),
        DropReason::Exception => Finding::new(
            "exception",
            Severity::Loses,
            "the kernel dropped them because of the eBPF program's result (trace point \
             `xdp_exception`), which is a bug in xdp-trafficgen"
                .to_owned(),
            "please report it, with the configuration",
        ),
        DropReason::Unaccounted => Finding::new(
            "unaccounted",
            Severity::Loses,
            format!(
                "the kernel dropped them without a trace point, between our eBPF program and \
                     the driver of `{name}`"
            ),
            "please report it, with the kernel's version",
        ),
    }
}

/// The driver refused the whole bulk.
fn of_driver(errno: u32, situation: &Situation<'_>) -> Finding {
    let driver = situation.driver();
    let native = situation.program(AttachedMode::Native).is_some();
    if situation.interface.is_none() {
        return path::gone(situation);
    }
    match errno {
        ENXIO if veth::is_one(situation) => {
            veth::peer(situation).unwrap_or_else(|| veth::unseen(situation))
        }
        ENXIO if driver == "tun" => {
            path::unopened(situation).unwrap_or_else(|| refused(errno, situation))
        }
        ENXIO if driver == "bonding" => bond_without_slave(situation),
        ENXIO | EINVAL if needs_program(driver) && !native => path::without_program(situation),
        errno if queue_of_cpu(driver) == QueueOfCpu::Own(Some(errno)) => {
            queues::cpus_above(situation, Some(errno)).unwrap_or_else(|| refused(errno, situation))
        }
        ENETDOWN => no_link(situation).unwrap_or_else(|| refused(errno, situation)),
        ENOMEM => no_memory(situation),
        errno => refused(errno, situation),
    }
}

/// The kernel refused the frames before it called the driver.
fn of_redirect(errno: u32, situation: &Situation<'_>) -> Finding {
    if situation.interface.is_none() {
        return path::gone(situation);
    }
    match errno {
        ENODEV => path::gone(situation),
        EMSGSIZE => mtu::refused_for_length(situation),
        EOPNOTSUPP if veth::is_one(situation) => {
            veth::peer(situation).unwrap_or_else(|| veth::unseen(situation))
        }
        EOPNOTSUPP => path::driver_refused(situation),
        ENETDOWN => path::down(situation),
        ENOMEM => no_memory(situation),
        errno => Finding::new(
            "redirect_refused",
            Severity::Loses,
            format!(
                "the kernel refused to redirect them to `{}` ({})",
                situation.name,
                errno_name(errno)
            ),
            "look for the reason in the kernel's log (`dmesg`)",
        ),
    }
}

/// The meanings of ENETDOWN from a driver.
fn no_link(situation: &Situation<'_>) -> Option<Finding> {
    let link = &situation.interface?.link;
    if !link.up {
        return Some(path::down(situation));
    }
    if !link.carrier {
        return Some(path::no_carrier(situation));
    }
    // mlx5 without channels for XDP, since Linux 6.19 (commit d4aa0cc9bd31).
    let no_program =
        needs_program(situation.driver()) && situation.program(AttachedMode::Native).is_none();
    if no_program {
        return Some(path::without_program(situation));
    }
    let Situation { name, .. } = situation;
    Some(Finding::new(
        "interface_restarted",
        Severity::Loses,
        format!("the driver restarted `{name}`, or its link was down for a while"),
        format!(
            "leave the settings of `{name}` as they are while frames are sent; the kernel's log \
             (`dmesg`) tells when its link went down"
        ),
    ))
}

fn bond_without_slave(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    Finding::new(
        "bond_without_slave",
        Severity::Blocks,
        format!("no slave of the bond `{name}` sends XDP frames at the moment"),
        format!(
            "make sure that one is up and active (`cat /proc/net/bonding/{name}`), or send out of \
             a slave by itself"
        ),
    )
}

fn no_memory(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    Finding::new(
        "no_memory",
        Severity::Loses,
        format!("there was no memory left to send them out of `{name}` (ENOMEM)"),
        "free memory, or raise the limit of the control group this runs in (`memory.max`)",
    )
}

/// The driver's errno has no known meaning. The finding names the peer, if there is one.
fn refused(errno: u32, situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    let driver = match situation.driver() {
        "" => "the driver".to_owned(),
        driver => format!("the driver {driver}"),
    };
    let peer = match situation.interface.and_then(|interface| interface.peer.as_ref()) {
        Some(Peer::Here { name, .. } | Peer::There { name, .. }) => format!(" (peer `{name}`)"),
        Some(Peer::Elsewhere) | None => String::new(),
    };
    Finding::new(
        "driver_refused",
        Severity::Loses,
        format!(
            "{driver} of `{name}`{peer} refused them ({}) when {} sent",
            errno_name(errno),
            words::cpus(situation.cpus)
        ),
        format!("look for the reason in the kernel's log (`dmesg`) and in `ethtool -S {name}`"),
    )
}
