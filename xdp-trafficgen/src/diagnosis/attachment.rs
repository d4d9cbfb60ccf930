//! What it means that the program which lets everything pass could not be attached.

use super::{Finding, Severity, in_full, of_error};
use crate::{
    host::Lockdown,
    kernel::{AttachError, KernelError},
};

/// Why the driver of the interface of this name has no program, and so sends nothing.
pub fn of_refused_program(name: &str, error: &KernelError, lockdown: Lockdown) -> Finding {
    match error {
        KernelError::Attach(AttachError::InTheWay { interface, program }) => Finding::new(
            if program.on_link { "program_held" } else { "program_in_the_way" },
            Severity::Blocks,
            format!("`{interface}` sends XDP frames only with a program of its own, and {program} is attached to it"),
            program.out_of_the_way(interface),
        ),
        KernelError::Attach(AttachError::NoTransmit { interface }) => Finding::new(
            "driver_cannot_send",
            Severity::Blocks,
            format!("the driver of `{interface}` sends no XDP frames, with an XDP program attached or without"),
            "send out of another interface: `xdp-trafficgen probe` tells which of them do; newer kernels have more of them",
        ),
        other => {
            let cause = format!("`{name}` sends XDP frames only with a program, and has none: {}", in_full(other));
            match other.failed_call().and_then(|(call, errno)| of_error(&call, errno, lockdown)) {
                Some(known) => Finding { cause: format!("{cause}; {}", known.cause), ..known },
                None => Finding::new(
                    "program_refused",
                    Severity::Blocks,
                    cause,
                    "look for the driver's reason in the kernel's log (`dmesg`), or send out of another interface: \
                     `xdp-trafficgen probe` tells which of them do",
                ),
            }
        }
    }
}

/// Drops from what was foreseen of an interface what no longer holds once the program was refused: that it would be attached,
/// and that one is in the way, for the refusal told.
pub fn without_refused(foreseen: &mut Vec<Finding>) {
    foreseen.retain(|finding| !["needs_program", "generic_program_in_the_way"].contains(&finding.code));
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::host::{AttachedMode, AttachedXdp};

    #[track_caller]
    fn check(error: AttachError, code: &str, cause: &str, cure: &str) {
        let finding = of_refused_program("eth1", &error.into(), Lockdown::None);
        assert_eq!((finding.code, finding.severity), (code, Severity::Blocks));
        assert!(finding.cause.contains(cause) && !finding.cause.ends_with('.'), "{finding:?}");
        assert!(finding.cure.contains(cure) && !finding.cure.is_empty(), "{finding:?}");
    }

    #[test]
    fn refusals() {
        let interface = || "eth1".to_owned();
        let in_the_way = |on_link| {
            let program =
                AttachedXdp { mode: AttachedMode::Generic, program: 7, name: Some("filter".to_owned()), on_link };
            AttachError::InTheWay { interface: interface(), program }
        };
        check(in_the_way(false), "program_in_the_way", "filter", "--replace-xdp");
        check(in_the_way(true), "program_held", "filter", "bpftool link show");
        check(AttachError::NoTransmit { interface: interface() }, "driver_cannot_send", "`eth1`", "another interface");
        let refused = AttachError::Refused {
            interface: interface(),
            said: Some("MTU too large for XDP".to_owned()),
            source: io::Error::from_raw_os_error(libc::EOPNOTSUPP),
        };
        check(refused, "driver_takes_no_program", "MTU too large for XDP", "ip link set");
        let unheard_of = AttachError::Refused {
            interface: interface(),
            said: None,
            source: io::Error::from_raw_os_error(libc::ETIMEDOUT),
        };
        check(unheard_of, "program_refused", "`eth1` sends XDP frames only with a program", "dmesg");
    }

    #[test]
    fn a_refusal_is_not_contradicted() {
        let foreseen = |code| Finding::new(code, Severity::Note, String::new(), "");
        let mut findings = ["needs_program", "no_carrier", "generic_program_in_the_way"].map(foreseen).to_vec();
        without_refused(&mut findings);
        assert_eq!(findings, [foreseen("no_carrier")]);
    }
}
