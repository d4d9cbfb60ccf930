//! Answers of this host's own network stack to frames that come back, counted in `/proc/net/snmp`
//! and `/proc/net/snmp6` of the calling thread's network namespace.

use procfs_core::{FromBufRead as _, net::Snmp};

use crate::host::files::Files;

/// Answers since the namespace exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackAnswers {
    /// TCP segments with RST, of IPv4 and IPv6 (tcpOutRsts of RFC 4022): the answer to a SYN-ACK
    /// for which there is no socket.
    pub resets: u64,
    /// ICMP and ICMPv6 "destination unreachable" (icmpOutDestUnreachs of RFC 2011): the answer to
    /// a UDP datagram for a port without a socket.
    pub unreachables: u64,
}

impl StackAnswers {
    /// Zero where the kernel does not tell.
    pub(super) fn read() -> Self {
        let files = Files::of_this_machine();
        let text =
            |name: &str| files.text(format!("proc/thread-self/net/{name}")).unwrap_or_default();
        Self::parse(&text("snmp"), &text("snmp6"))
    }

    fn parse(snmp: &str, snmp6: &str) -> Self {
        let (resets, unreachables) = Snmp::from_buf_read(snmp.as_bytes())
            .map_or((0, 0), |counts| (counts.tcp_out_rsts, counts.icmp_out_dest_unreachs));
        let of_v6 = snmp6.lines().find_map(|line| line.strip_prefix("Icmp6OutDestUnreachs"));
        let of_v6: u64 = of_v6.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
        Self { resets, unreachables: unreachables + of_v6 }
    }

    /// All of them.
    pub const fn all(&self) -> u64 {
        self.resets + self.unreachables
    }

    /// Adds the answers of another period.
    pub const fn add(&mut self, other: &Self) {
        self.resets += other.resets;
        self.unreachables += other.unreachables;
    }

    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            resets: self.resets.saturating_sub(earlier.resets),
            unreachables: self.unreachables.saturating_sub(earlier.unreachables),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 writes it, without lines that are not read.
    #[test]
    fn both_families_are_counted() {
        let snmp = include_str!("answers/snmp");
        let snmp6 = "Ip6InReceives                   \t9\nIcmp6OutDestUnreachs            \t5\nIcmp6OutPktTooBigs              \t1\n";
        assert_eq!(
            StackAnswers::parse(snmp, snmp6),
            StackAnswers { resets: 17, unreachables: 2 + 5 }
        );
        assert_eq!(StackAnswers::parse("", ""), StackAnswers::default());
    }
}
