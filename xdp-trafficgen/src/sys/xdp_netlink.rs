//! The XDP programs of an interface through rtnetlink, the older way to attach: reads which
//! programs are there, and detaches and re-attaches programs that were attached this way.
//!
//! This needs no runtime, and keeps the network namespace it was opened in: a run may end in any
//! thread.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

use aya_obj::generated::{
    XDP_FLAGS_DRV_MODE, XDP_FLAGS_REPLACE, XDP_FLAGS_SKB_MODE, XDP_FLAGS_UPDATE_IF_NOEXIST,
};
use rtnetlink::{
    packet_core::{
        ErrorMessage, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
        NlasIterator,
    },
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkFlags, LinkMessage, LinkXdp},
    },
    sys::{Socket, protocols::NETLINK_ROUTE},
};

use crate::sys::netlink;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    /// In the driver.
    Native,
    /// In the network stack (`xdpgeneric`).
    Generic,
    /// On the NIC.
    Offloaded,
}

/// A socket of the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct XdpNetlink {
    socket: Socket,
}

/// An interface, with what attaching programs needs to know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct XdpInterface {
    pub(crate) name: String,
    /// Whether the interface has carrier.
    pub(crate) carrier: bool,
    /// The ids of its programs.
    pub(crate) programs: Vec<(AttachedMode, u32)>,
}

/// An answer that refuses a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The text that the kernel or the driver gives as the reason, such as `MTU too large for
    /// XDP`.
    pub(crate) reason: Option<String>,
    pub(crate) source: io::Error,
}

impl From<io::Error> for Refusal {
    fn from(source: io::Error) -> Self {
        Self { reason: None, source }
    }
}

impl XdpNetlink {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = netlink::open(NETLINK_ROUTE)?;
        socket.set_ext_ack(true)?;
        // With this, an answer repeats only the header of its request, and attributes with the text
        // follow the header.
        socket.set_cap_ack(true)?;
        Ok(Self { socket })
    }

    /// The interface with this index.
    pub(crate) fn interface(&self, index: u32) -> io::Result<XdpInterface> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        match self.ask(RouteNetlinkMessage::GetLink(request), NLM_F_REQUEST)? {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(interface(link)),
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Err(netlink::unexpected()),
        }
    }

    /// Attaches a program to an interface that has none in this mode.
    pub(crate) fn attach(
        &self,
        index: u32,
        mode: AttachedMode,
        program: &impl AsFd,
    ) -> Result<(), Refusal> {
        let program = program.as_fd().as_raw_fd();
        self.set(
            index,
            vec![LinkXdp::Fd(program), LinkXdp::Flags(flag(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST)],
        )
    }

    /// Detaches this program, if it is the one that is attached. A program on a BPF link cannot be
    /// detached: `EBUSY`.
    pub(crate) fn detach(
        &self,
        index: u32,
        mode: AttachedMode,
        program: &impl AsFd,
    ) -> Result<(), Refusal> {
        let expected = LinkXdp::ExpectedFd(program.as_fd().as_raw_fd().cast_unsigned());
        self.set(
            index,
            vec![LinkXdp::Fd(-1), LinkXdp::Flags(flag(mode) | XDP_FLAGS_REPLACE), expected],
        )
    }

    fn set(&self, index: u32, attributes: Vec<LinkXdp>) -> Result<(), Refusal> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        request.attributes.push(LinkAttribute::Xdp(attributes));
        match self.ask(RouteNetlinkMessage::SetLink(request), NLM_F_REQUEST | NLM_F_ACK)? {
            NetlinkPayload::Error(ErrorMessage { code: None, .. }) => Ok(()),
            NetlinkPayload::Error(error) => {
                Err(Refusal { reason: words(&error.header), source: error.to_io() })
            }
            _ => Err(netlink::unexpected().into()),
        }
    }

    /// Sends one request and receives its only answer.
    fn ask(
        &self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<NetlinkPayload<RouteNetlinkMessage>> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = flags;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let (bytes, _) = self.socket.recv_from_full()?;
        let answer = NetlinkMessage::deserialize(&bytes).map_err(io::Error::other)?;
        let mut payload = answer.payload;
        if let NetlinkPayload::Error(error) = &mut payload
            && answer.header.flags & NLM_F_ACK_TLVS == 0
        {
            error.header.clear();
        }
        Ok(payload)
    }
}

/// The flag that chooses the mode (`XDP_FLAGS_MODES` of include/uapi/linux/if_link.h).
const fn flag(mode: AttachedMode) -> u32 {
    match mode {
        AttachedMode::Native => XDP_FLAGS_DRV_MODE,
        AttachedMode::Generic => XDP_FLAGS_SKB_MODE,
        AttachedMode::Offloaded => aya_obj::generated::XDP_FLAGS_HW_MODE,
    }
}

fn interface(link: LinkMessage) -> XdpInterface {
    let carrier = link.header.flags.contains(LinkFlags::LowerUp);
    let mut interface = XdpInterface { carrier, ..XdpInterface::default() };
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name = name,
            LinkAttribute::Xdp(attributes) => {
                interface.programs.extend(attributes.iter().filter_map(xdp_program));
            }
            _ => {}
        }
    }
    interface
}

/// A program of an interface: where it runs, and its id. Each mode has an attribute of its own
/// (`rtnl_xdp_fill` of net/core/rtnetlink.c); another attribute repeats the id, and is ignored
/// here.
pub(crate) const fn xdp_program(part: &LinkXdp) -> Option<(AttachedMode, u32)> {
    match part {
        LinkXdp::DrvProgId(id) => Some((AttachedMode::Native, *id)),
        LinkXdp::SkbProgId(id) => Some((AttachedMode::Generic, *id)),
        LinkXdp::HwProgId(id) => Some((AttachedMode::Offloaded, *id)),
        _ => None,
    }
}

/// The text in `NLMSGERR_ATTR_MSG` (include/uapi/linux/netlink.h) of an extended answer, whose
/// attributes follow the request's header.
fn words(answer: &[u8]) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    const HEADER: usize = 16;
    let attribute = NlasIterator::new(answer.get(HEADER..)?)
        .flatten()
        .find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)?;
    let text = String::from_utf8_lossy(attribute.value());
    let text = text.trim_end_matches('\0').trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand from Documentation/userspace-api/netlink/intro.rst: a request's header, then
    /// the message.
    #[test]
    fn words_follow_the_requests_header() {
        let attribute = |kind: u16, text: &[u8]| {
            let mut bytes = [
                &u16::try_from(4 + text.len()).unwrap().to_ne_bytes()[..],
                &kind.to_ne_bytes(),
                text,
            ]
            .concat();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let answer = |attributes: &[Vec<u8>]| [vec![0; 16], attributes.concat()].concat();
        let message = attribute(1, b"MTU too large\0");
        assert_eq!(
            words(&answer(&[attribute(2, &[8, 0, 0, 0]), message.clone()])),
            Some("MTU too large".to_owned())
        );
        assert_eq!(words(&answer(&[message])[..16]), None);
        assert_eq!(words(&answer(&[attribute(1, b"\0")])), None);
        assert_eq!(words(&[]), None);
    }
}
