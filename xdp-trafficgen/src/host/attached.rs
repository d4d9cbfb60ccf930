//! An attached XDP program in words, and what a user types to take it off.

use std::fmt;

use crate::host::{AttachedMode, AttachedXdp};

impl fmt::Display for AttachedXdp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, program, name } = self;
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
    /// The command that takes it off the interface of this name; not where it hangs on a BPF link, which only its owner can end.
    pub fn take_off(&self, interface: &str) -> String {
        let kind = match self.mode {
            AttachedMode::Native => "xdpdrv",
            AttachedMode::Generic => "xdpgeneric",
            AttachedMode::Offloaded => "xdpoffload",
        };
        format!("ip link set dev {interface} {kind} off")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_commands() {
        #[track_caller]
        fn check(mode: AttachedMode, name: Option<&str>, words: &str, command: &str) {
            let attached = AttachedXdp { mode, program: 12, name: name.map(str::to_owned) };
            assert_eq!((attached.to_string().as_str(), attached.take_off("eth1").as_str()), (words, command));
        }
        let generic = "ip link set dev eth1 xdpgeneric off";
        check(AttachedMode::Generic, Some("drop"), "the generic XDP program 12 (`drop`)", generic);
        check(AttachedMode::Generic, Some(""), "the generic XDP program 12", generic);
        check(AttachedMode::Native, None, "the native XDP program 12", "ip link set dev eth1 xdpdrv off");
        check(AttachedMode::Offloaded, None, "the offloaded XDP program 12", "ip link set dev eth1 xdpoffload off");
    }
}
