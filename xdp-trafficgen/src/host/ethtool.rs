//! Link speeds through the kernel's `ethtool` family of generic netlink, which sees the socket's network namespace; sysfs shows
//! that of whoever mounted it.
//!
//! Names and numbers are those of include/uapi/linux/ethtool_netlink.h.

use std::io;

use netlink_packet_generic::{
    GenlFamily, GenlHeader, GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use rtnetlink::{
    packet_core::{
        DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage,
        NetlinkPayload, NetlinkSerializable, NlasIterator, ParseableParametrized, parse_u32,
    },
    sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC},
};

/// `ETHTOOL_GENL_NAME` and `ETHTOOL_GENL_VERSION`.
const FAMILY: (&str, u8) = ("ethtool", 1);
const ETHTOOL_MSG_LINKMODES_GET: u8 = 4;
const ETHTOOL_A_LINKMODES_HEADER: u16 = 1;
const ETHTOOL_A_LINKMODES_SPEED: u16 = 5;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
/// Numbers instead of names of all the modes there are.
const ETHTOOL_FLAG_COMPACT_BITSETS: u32 = 1;

/// A socket of the network namespace it was opened in.
#[derive(Debug)]
pub(super) struct Ethtool {
    socket: Socket,
    /// The number the kernel gave the family.
    family: u16,
}

impl Ethtool {
    /// None where the kernel has no such family (since Linux 5.6, with CONFIG_ETHTOOL_NETLINK).
    pub(super) fn open() -> Option<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC).ok()?;
        socket.bind_auto().ok()?;
        socket.connect(&SocketAddr::new(0, 0)).ok()?;
        // The kernel answers before it returns from the request: there is nothing to wait for.
        socket.set_non_blocking(true).ok()?;
        let request =
            GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![GenlCtrlAttrs::FamilyName(FAMILY.0.to_owned())] };
        let answer: GenlMessage<GenlCtrl> = ask(&socket, GenlMessage::from_payload(request)).ok()?;
        let family = answer.payload.nlas.iter().find_map(|attribute| match attribute {
            GenlCtrlAttrs::FamilyId(family) => Some(*family),
            _ => None,
        })?;
        Some(Self { socket, family })
    }

    /// Bits a second of the interface with this index, as the kernel says; none when it does not know, or nothing is plugged in.
    pub(super) fn speed(&self, interface: u32) -> Option<u64> {
        let mut request = GenlMessage::from_payload(GetLinkModes::of(interface));
        request.set_resolved_family_id(self.family);
        // Interfaces without a speed of any kind answer EOPNOTSUPP.
        let answer: GenlMessage<LinkModes> = ask(&self.socket, request).ok()?;
        bits_per_second(answer.payload.speed?)
    }
}

/// 0 stands for a speed that drivers do not set, all ones for `SPEED_UNKNOWN` (include/uapi/linux/ethtool.h).
fn bits_per_second(megabits_per_second: u32) -> Option<u64> {
    match megabits_per_second {
        0 | u32::MAX => None,
        megabits => Some(u64::from(megabits) * 1_000_000),
    }
}

/// One request and its only answer, which the kernel gives before it returns.
fn ask<Request, Answer>(socket: &Socket, request: Request) -> io::Result<Answer>
where
    Request: NetlinkSerializable + Into<NetlinkPayload<Request>>,
    Answer: NetlinkDeserializable,
{
    let mut message = NetlinkMessage::from(request);
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    match NetlinkMessage::deserialize(&bytes).map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(answer) => Ok(answer),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other("netlink: an answer to nothing that was asked")),
    }
}

/// `ETHTOOL_MSG_LINKMODES_GET`.
#[derive(Debug)]
struct GetLinkModes([DefaultNla; 1]);

impl GetLinkModes {
    fn of(interface: u32) -> Self {
        let number = |kind, value: u32| DefaultNla::new(kind, value.to_ne_bytes().to_vec());
        let header = [
            number(ETHTOOL_A_HEADER_DEV_INDEX, interface),
            number(ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_COMPACT_BITSETS),
        ];
        let mut bytes = vec![0; header.as_slice().buffer_len()];
        header.as_slice().emit(&mut bytes);
        Self([DefaultNla::new(ETHTOOL_A_LINKMODES_HEADER | NLA_F_NESTED, bytes)])
    }
}

impl GenlFamily for GetLinkModes {
    fn family_name() -> &'static str {
        FAMILY.0
    }

    fn command(&self) -> u8 {
        ETHTOOL_MSG_LINKMODES_GET
    }

    fn version(&self) -> u8 {
        FAMILY.1
    }
}

impl Emitable for GetLinkModes {
    fn buffer_len(&self) -> usize {
        self.0.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.0.as_slice().emit(buffer);
    }
}

/// Its answer.
#[derive(Debug)]
struct LinkModes {
    /// Mb/s.
    speed: Option<u32>,
}

impl ParseableParametrized<[u8], GenlHeader> for LinkModes {
    fn parse_with_param(bytes: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let mut speed = None;
        for attribute in NlasIterator::new(bytes) {
            let attribute = attribute?;
            if attribute.kind() == ETHTOOL_A_LINKMODES_SPEED {
                speed = Some(parse_u32(attribute.value())?);
            }
        }
        Ok(Self { speed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(megabits_per_second: u32, expected: Option<u64>) {
        assert_eq!(bits_per_second(megabits_per_second), expected, "{megabits_per_second} Mb/s");
    }

    /// `SPEED_10`, `SPEED_1000`, `SPEED_800000` and `SPEED_UNKNOWN` of include/uapi/linux/ethtool.h.
    #[test]
    fn speeds_are_in_megabits_unless_unknown() {
        check(10, Some(10_000_000));
        check(1000, Some(1_000_000_000));
        check(800_000, Some(800_000_000_000));
        check(0, None);
        check(u32::MAX, None);
    }

    /// What veth answers, written by hand from the kernel's documentation (Documentation/networking/ethtool-netlink.rst):
    /// the header, then autonegotiation, speed and duplex.
    #[test]
    fn the_speed_is_found_among_other_attributes() {
        let number =
            |kind: u16, value: u32| [&8u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value.to_ne_bytes()].concat();
        let nested = [&12u16.to_ne_bytes()[..], &0x8001u16.to_ne_bytes(), &number(1, 7)].concat();
        let byte = |kind: u16| [&5u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &[1, 0, 0, 0]].concat();
        let answer = [nested, byte(2), number(5, 10_000), byte(6)].concat();
        let parse = |bytes: &[u8]| {
            LinkModes::parse_with_param(bytes, GenlHeader { cmd: 4, version: 1 }).map(|modes| modes.speed)
        };
        assert_eq!(parse(&answer).ok(), Some(Some(10_000)));
        assert_eq!(parse(&byte(2)).ok(), Some(None));
        assert!(parse(&answer[..answer.len() - 14]).is_err());
    }
}
