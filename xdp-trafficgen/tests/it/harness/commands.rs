//! Other programs (`ip`, `ethtool`), and the kernel's statistics of interfaces.

use std::{fs, ops::Sub, process::Command};

/// `ip` in the calling thread's namespace.
#[track_caller]
pub(crate) fn ip(arguments: &str) {
    run("ip", arguments);
}

/// `ethtool` in the calling thread's namespace.
#[track_caller]
pub(crate) fn ethtool(arguments: &str) {
    run("ethtool", arguments);
}

#[track_caller]
fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split_whitespace()).status();
    let status =
        status.unwrap_or_else(|error| panic!("{program}: {error}: install it (xtask does)"));
    assert!(status.success(), "{program} {arguments}");
}

/// What an interface's own statistics say of the frames that it was to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transmitted {
    pub(crate) packets: u64,
    pub(crate) dropped: u64,
}

impl Transmitted {
    pub(crate) const fn frames(self) -> u64 {
        self.packets + self.dropped
    }
}

impl Sub for Transmitted {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { packets: self.packets - before.packets, dropped: self.dropped - before.dropped }
    }
}

/// The statistics of a veth, which counts as sent what its peer has received.
pub(crate) fn transmitted(interface: &str) -> Transmitted {
    // `/proc/net` would show the main thread's namespace.
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = table
        .lines()
        .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'))
        .unwrap();
    // Eight columns of the receiving side; then bytes, packets, errs, drop.
    let columns: Vec<u64> = line.split_whitespace().map(|column| column.parse().unwrap()).collect();
    Transmitted { packets: columns[9], dropped: columns[11] }
}
