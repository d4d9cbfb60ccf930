//! Link speeds through the kernel's `ethtool` family of generic netlink, which answers for the
//! socket's network namespace; sysfs shows the namespace in which it was mounted.
//!
//! Names and numbers are those of include/uapi/linux/ethtool_netlink.h.

use crate::sys::genetlink::{Answer, Connection, Family, nested, number};

/// `ETHTOOL_GENL_NAME` and `ETHTOOL_GENL_VERSION`.
#[derive(Debug)]
struct EthtoolFamily;

impl Family for EthtoolFamily {
    const NAME: &'static str = "ethtool";
    const VERSION: u8 = 1;
}

const ETHTOOL_MSG_LINKMODES_GET: u8 = 4;
const ETHTOOL_A_LINKMODES_HEADER: u16 = 1;
const ETHTOOL_A_LINKMODES_SPEED: u16 = 5;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
/// Asks for bitsets as numbers, without the names of all modes.
const ETHTOOL_FLAG_COMPACT_BITSETS: u32 = 1;

/// A socket of the network namespace it was opened in.
#[derive(Debug)]
pub(super) struct Ethtool(Connection<EthtoolFamily>);

impl Ethtool {
    /// None where the kernel has no such family (since Linux 5.6, with CONFIG_ETHTOOL_NETLINK).
    pub(super) fn open() -> Option<Self> {
        Connection::open().map(Self)
    }

    /// Bits a second of the interface with this index; none when the kernel does not know, or there
    /// is no carrier.
    pub(super) fn speed(&self, interface: u32) -> Option<u64> {
        let header = [
            number(ETHTOOL_A_HEADER_DEV_INDEX, interface),
            number(ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_COMPACT_BITSETS),
        ];
        let request = vec![nested(ETHTOOL_A_LINKMODES_HEADER, &header)];
        // Interfaces without a speed of any kind answer EOPNOTSUPP.
        let answer = self.0.ask(ETHTOOL_MSG_LINKMODES_GET, request).ok()?;
        speed(&answer)
    }
}

fn speed(answer: &Answer) -> Option<u64> {
    bits_per_second(answer.u32(ETHTOOL_A_LINKMODES_SPEED)?)
}

/// 0 is the speed of drivers that set none, all ones is `SPEED_UNKNOWN`
/// (include/uapi/linux/ethtool.h).
fn bits_per_second(megabits_per_second: u32) -> Option<u64> {
    match megabits_per_second {
        0 | u32::MAX => None,
        megabits => Some(u64::from(megabits) * 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(megabits_per_second: u32, expected: Option<u64>) {
        assert_eq!(bits_per_second(megabits_per_second), expected, "{megabits_per_second} Mb/s");
    }

    /// `SPEED_10`, `SPEED_1000`, `SPEED_800000` and `SPEED_UNKNOWN` of
    /// include/uapi/linux/ethtool.h.
    #[test]
    fn speeds_are_in_megabits_unless_unknown() {
        check(10, Some(10_000_000));
        check(1000, Some(1_000_000_000));
        check(800_000, Some(800_000_000_000));
        check(0, None);
        check(u32::MAX, None);
    }

    /// veth's answer, written by hand from the kernel's documentation
    /// (Documentation/networking/ethtool-netlink.rst): the header, then autonegotiation, speed and
    /// duplex.
    #[test]
    fn the_speed_is_found_among_other_attributes() {
        let number = |kind: u16, value: u32| {
            [&8u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value.to_ne_bytes()].concat()
        };
        let nested = [&12u16.to_ne_bytes()[..], &0x8001u16.to_ne_bytes(), &number(1, 7)].concat();
        let byte =
            |kind: u16| [&5u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &[1, 0, 0, 0]].concat();
        let answer = [nested, byte(2), number(5, 10_000), byte(6)].concat();
        let parse = |bytes: &[u8]| Answer::parse(bytes).map(|answer| speed(&answer));
        assert_eq!(parse(&answer).ok(), Some(Some(10_000_000_000)));
        assert_eq!(parse(&byte(2)).ok(), Some(None));
        assert!(parse(&answer[..answer.len() - 14]).is_err());
    }
}
