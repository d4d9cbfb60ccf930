//! Why the pass program could not be attached.

use super::{Finding, Severity, bond, of_error, words::in_full};
use crate::{
    host::Lockdown,
    kernel::{AttachError, KernelError},
};

/// Why no program is attached to the driver of the interface of this name, which therefore sends
/// nothing.
pub fn of_refused_program(name: &str, error: &KernelError, lockdown: Lockdown) -> Finding {
    match error {
        KernelError::Attach(AttachError::InTheWay { interface, program }) => Finding::new(
            if program.on_link { "program_held" } else { "program_in_the_way" },
            Severity::Blocks,
            format!(
                "`{interface}` sends XDP frames only with a program of its own, and {program} \
                     is attached to it"
            ),
            program.out_of_the_way(interface),
        ),
        KernelError::Attach(AttachError::NoTransmit { interface }) => Finding::new(
            "driver_cannot_send",
            Severity::Blocks,
            format!(
                "the driver of `{interface}` sends no XDP frames, with an XDP program attached \
                     or without"
            ),
            "send out of another interface: `xdp-trafficgen probe` tells which of them do; newer \
             kernels have more of them",
        ),
        other => {
            let cause = format!(
                "`{name}` sends XDP frames only with a program, and has none: {}",
                in_full(other)
            );
            match of_kernel_error(other, lockdown) {
                Some(known) => Finding { cause: format!("{cause}; {}", known.cause), ..known },
                None => Finding::new(
                    "program_refused",
                    Severity::Blocks,
                    cause,
                    "look for the driver's reason in the kernel's log (`dmesg`), or send out of \
                     another interface: `xdp-trafficgen probe` tells which of them do",
                ),
            }
        }
    }
}

/// The cause of a refusal by the kernel, if it is known.
pub fn of_kernel_error(error: &KernelError, lockdown: Lockdown) -> Option<Finding> {
    let refused = match error {
        KernelError::Attach(AttachError::Refused { interface, reason: Some(reason), .. }) => {
            of_reason(interface, reason)
        }
        _ => None,
    };
    refused.or_else(|| {
        let (call, errno) = error.failed_call()?;
        let mut finding = of_error(&call, errno, lockdown)?;
        if let KernelError::Attach(AttachError::Refused { interface, .. }) = error {
            // The cure for an errno does not name the interface.
            finding.cure = finding.cure.replace("IFACE", interface);
        }
        Some(finding)
    })
}

/// The cause in the text that the kernel or the driver gives, if the text is known. The text itself
/// is part of the error that this finding explains.
fn of_reason(interface: &str, reason: &str) -> Option<Finding> {
    let lower = reason.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    // Whole words: "during" and "string" do not speak of rings.
    let mut words = lower.split(|character: char| !character.is_ascii_alphanumeric());
    let spare = words
        .any(|word| ["queue", "ring", "channel"].contains(&word.strip_suffix('s').unwrap_or(word)));
    let (code, cause, cure) = if has("bonding mode") {
        // bond_xdp_set of drivers/net/bonding/bond_main.c.
        return Some(bond::without_xdp(interface, None));
    } else if has("gro_hw") || has("lro/csum") {
        // virtnet_xdp_set of drivers/net/virtio_net.c: only for devices without
        // VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, which cannot be told to stop; `rx-gro-hw` is fixed
        // then.
        (
            "offload_in_the_way",
            "the hypervisor hands over merged frames, and frames without checksums, which XDP \
             cannot take",
            format!(
                "switch it off where the virtual machine is described (qemu: `-device \
                 virtio-net-pci,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off`); \
                 `ethtool -K {interface} rx-gro-hw off` does where `ethtool -k {interface}` does \
                 not show `rx-gro-hw` as fixed"
            ),
        )
    } else if has("any_header_sg") {
        (
            "hypervisor_too_old",
            "the hypervisor puts header and data into different buffers",
            "use a newer hypervisor, or one with virtio 1.0 (qemu: `disable-legacy=on`)".to_owned(),
        )
    } else if has("lro") {
        (
            "offload_in_the_way",
            "large receive offload hands over merged frames, which XDP cannot take",
            format!("`ethtool -K {interface} lro off`"),
        )
    } else if has("peer mtu") {
        // veth_xdp_set of drivers/net/veth.c.
        (
            "mtu_too_large",
            "the MTU of its peer is too large for XDP",
            format!("lower it to 1500: `ip link show {interface}` names the peer behind `@`"),
        )
    } else if has("mtu") {
        (
            "mtu_too_large",
            "its MTU is too large for XDP",
            format!("`ip link set {interface} mtu 1500`"),
        )
    } else if has("rx queues") {
        // veth_xdp_set of drivers/net/veth.c: XDP_TX from the peer needs a queue here.
        (
            "queues_in_the_way",
            "it has fewer receive queues than its peer has transmit queues",
            format!("`ethtool -L {interface} rx N`, with as many as the peer has transmit queues"),
        )
    } else if spare {
        (
            "queues_in_the_way",
            "it has too many queues in use, or too few to spare, for those that XDP needs",
            format!(
                "use half of what `ethtool -l {interface}` shows as the most: `ethtool -L \
                     {interface} combined N`"
            ),
        )
    } else {
        return None;
    };
    Some(Finding::new(code, Severity::Blocks, cause.to_owned(), cure))
}

/// Removes findings about attaching the program from what was foreseen of an interface: the refusal
/// takes their place.
pub fn without_refused(foreseen: &mut Vec<Finding>) {
    foreseen
        .retain(|finding| !["needs_program", "generic_program_in_the_way"].contains(&finding.code));
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
            let program = AttachedXdp {
                mode: AttachedMode::Generic,
                program: 7,
                name: Some("filter".to_owned()),
                on_link,
            };
            AttachError::InTheWay { interface: interface(), program }
        };
        check(in_the_way(false), "program_in_the_way", "filter", "--replace-xdp");
        check(in_the_way(true), "program_held", "filter", "bpftool link show");
        check(
            AttachError::NoTransmit { interface: interface() },
            "driver_cannot_send",
            "`eth1`",
            "another interface",
        );
        let refused = AttachError::Refused {
            interface: interface(),
            reason: Some("something new is in the way".to_owned()),
            source: io::Error::from_raw_os_error(libc::EOPNOTSUPP),
        };
        check(
            refused,
            "driver_takes_no_program",
            "something new is in the way",
            "`ip link set eth1 mtu 1500`",
        );
        let unheard_of = AttachError::Refused {
            interface: interface(),
            reason: None,
            source: io::Error::from_raw_os_error(libc::ETIMEDOUT),
        };
        check(
            unheard_of,
            "program_refused",
            "`eth1` sends XDP frames only with a program",
            "dmesg",
        );
    }

    /// Texts of the kernel's drivers, unchanged: virtio_net, veth, bonding, ena, mlx5, i40e, ixgbe.
    #[test]
    fn the_kernels_own_words_have_the_cure_of_just_that() {
        #[track_caller]
        fn refusal(words: &str, code: &str, cure: &str) {
            let error = AttachError::Refused {
                interface: "eth1".to_owned(),
                reason: Some(words.to_owned()),
                source: io::Error::from_raw_os_error(libc::EOPNOTSUPP),
            };
            check(error, code, words, cure);
        }
        let gro_hw = "virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM, disable \
                      GRO_HW/CSUM first";
        refusal(gro_hw, "offload_in_the_way", "`ethtool -K eth1 rx-gro-hw off`");
        refusal(gro_hw, "offload_in_the_way", "guest_csum=off,guest_tso4=off");
        let one_page = "virtio_net: XDP expects header/data in single page, any_header_sg required";
        refusal(one_page, "hypervisor_too_old", "disable-legacy=on");
        refusal("Peer MTU is too large to set XDP", "mtu_too_large", "`ip link show eth1`");
        refusal("MTU too large w/ XDP enabled", "mtu_too_large", "`ip link set eth1 mtu 1500`");
        refusal(
            "XDP expects number of rx queues not less than peer tx queues",
            "queues_in_the_way",
            "ethtool -L eth1 rx",
        );
        refusal("Too many channels", "queues_in_the_way", "`ethtool -L eth1 combined N`");
        refusal(
            "Not enough Tx rings to support XDP",
            "queues_in_the_way",
            "`ethtool -L eth1 combined N`",
        );
        // The text names neither a ring nor a queue, so the errno decides.
        refusal(
            "XDP is not supported during a reset: bad string",
            "driver_takes_no_program",
            "eth1",
        );
        refusal(
            "can't set XDP while LRO is on, disable LRO first",
            "offload_in_the_way",
            "`ethtool -K eth1 lro off`",
        );
        refusal(
            "bond1: No native XDP support for the current bonding mode",
            "bond_without_xdp",
            "active-backup",
        );
    }

    #[test]
    fn a_refusal_is_not_contradicted() {
        let foreseen = |code| Finding::new(code, Severity::Note, String::new(), "");
        let mut findings =
            ["needs_program", "no_carrier", "generic_program_in_the_way"].map(foreseen).to_vec();
        without_refused(&mut findings);
        assert_eq!(findings, [foreseen("no_carrier")]);
    }
}
