//! Where a frame's destination MAC address comes from, and what the user can do where this host
//! cannot find it.

use crate::{
    config::{Diagnostic, Header, Origin, Port},
    packet::{HeaderKind, headers::Addressing},
    plan::{
        stack::{first_value, is_ip},
        unreachable::Cure,
    },
};

/// Where a frame's destination MAC address comes from.
pub(super) enum DestinationMac<'a> {
    /// The user wrote it, the frame is a broadcast, or the first header is not Ethernet.
    Given,
    /// It is that of the next hop to the outermost IP destination.
    NextHop,
    /// The user has to write it: no header has a destination, or a session's header stands before
    /// it.
    Unknown { session: Option<&'a Header> },
}

impl<'a> DestinationMac<'a> {
    pub(super) fn of(packet: &'a [Header]) -> Self {
        let [ethernet, rest @ ..] = packet else { return Self::Given };
        if ethernet.kind.value != HeaderKind::Ethernet || first_value(ethernet, "dst").is_some() {
            return Self::Given;
        }
        let addressing = |header: &Header| header.kind.value.def().addressing;
        let network = rest.iter().map(addressing).find(|found| !found.is_link());
        if network == Some(Addressing::Everybody) {
            return Self::Given;
        }
        let is_session = |header: &Header| addressing(header) == Addressing::Session;
        match rest.iter().find(|header| is_ip(header) || is_session(header)) {
            Some(header) if is_session(header) => Self::Unknown { session: Some(header) },
            Some(_) => Self::NextHop,
            None => Self::Unknown { session: None },
        }
    }
}

pub(super) fn no_mac(port: &Port, ethernet: &Header, session: Option<&Header>) -> Diagnostic {
    let (message, help) = ("this frame has no destination MAC address", cure(ethernet));
    match session.map(|header| header.kind.value.name()) {
        None => Diagnostic::new(origin(port, ethernet, None), message).help(help.to_string()),
        Some(name) => Diagnostic::new(
            origin(port, ethernet, None),
            format!("{message}, and no address behind `{name}` tells it"),
        )
        .help(format!("{help}: the MAC address of the session's other end")),
    }
}

/// How the user avoids the lookup of a next hop.
pub(super) fn cure(ethernet: &Header) -> Cure {
    if ethernet.kind.place == Origin::Default { Cure::Option } else { Cure::Header }
}

/// The origin of the value that the cure changes.
pub(super) fn origin<'a>(
    port: &'a Port,
    ethernet: &'a Header,
    destination: Option<&'a Origin>,
) -> &'a Origin {
    match (cure(ethernet), destination) {
        (Cure::Header, _) => &ethernet.kind.place,
        (Cure::Option, Some(destination)) => destination,
        (Cure::Option, None) => &port.interface.place,
    }
}
