//! An attached XDP program in words, and the command that detaches it.

use std::fmt;

use crate::{
    host::{AttachedMode, AttachedXdp},
    sys::bpf,
};

impl fmt::Display for AttachedXdp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, program, name, on_link: _ } = self;
        let mode = match mode {
            AttachedMode::Native => "native",
            AttachedMode::Generic => "generic",
            AttachedMode::Offloaded => "offloaded",
        };
        write!(formatter, "the {mode} XDP program {program}")?;
        match name.as_deref() {
            None | Some("") => Ok(()),
            Some(name) => write!(formatter, " (`{name}`)"),
        }
    }
}

impl AttachedXdp {
    /// The program with this id, attached in this mode.
    pub(crate) fn new(mode: AttachedMode, program: u32) -> Self {
        Self {
            mode,
            program,
            name: bpf::program_name(program),
            on_link: bpf::is_on_xdp_link(program),
        }
    }

    /// What the user can do when the program is in the way of ours on the interface of this name.
    /// Only the owner of a BPF link can detach a program on it (dev_xdp_attach of the kernel's
    /// net/core/dev.c).
    pub fn out_of_the_way(&self, interface: &str) -> String {
        if self.on_link {
            return "it is on a BPF link, which only its owner can remove: stop the program that \
                    attached it (`bpftool link show` names it)"
                .to_owned();
        }
        let kind = match self.mode {
            AttachedMode::Native => "xdpdrv",
            AttachedMode::Generic => "xdpgeneric",
            AttachedMode::Offloaded => "xdpoffload",
        };
        format!(
            "detach it with `ip link set dev {interface} {kind} off`, or have it replaced for the \
             run with --replace-xdp"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_commands() {
        #[track_caller]
        fn check(mode: AttachedMode, name: Option<&str>, words: &str, command: &str) {
            let mut attached =
                AttachedXdp { mode, program: 12, name: name.map(str::to_owned), on_link: false };
            assert_eq!(attached.to_string(), words);
            let cure = attached.out_of_the_way("eth1");
            assert!(
                cure.contains(&format!("`{command}`")) && cure.contains("--replace-xdp"),
                "{cure}"
            );
            attached.on_link = true;
            let cure = attached.out_of_the_way("eth1");
            assert!(
                cure.contains("`bpftool link show`") && !cure.contains("--replace-xdp"),
                "{cure}"
            );
        }
        let generic = "ip link set dev eth1 xdpgeneric off";
        check(AttachedMode::Generic, Some("drop"), "the generic XDP program 12 (`drop`)", generic);
        check(AttachedMode::Generic, Some(""), "the generic XDP program 12", generic);
        check(
            AttachedMode::Native,
            None,
            "the native XDP program 12",
            "ip link set dev eth1 xdpdrv off",
        );
        check(
            AttachedMode::Offloaded,
            None,
            "the offloaded XDP program 12",
            "ip link set dev eth1 xdpoffload off",
        );
    }
}
