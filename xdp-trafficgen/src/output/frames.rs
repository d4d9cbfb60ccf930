//! Frames for people: one line each, decoded header by header from the bytes alone, tunnels included.
//!
//! Tolerant: whatever a user made of a frame, as much of it is shown as can be told.

mod ip;
mod link;
mod transport;
mod tunnel;

use etherparse::{EtherType, IpNumber};

/// One line about a frame without FCS, outer to inner.
pub fn line(frame: &[u8]) -> String {
    let mut words: Vec<String> = Vec::new();
    let (mut next, mut rest) = (Next::Ethernet, frame);
    while next != Next::Payload {
        let Some(step) = decode(next, rest) else {
            words.push(format!("{} cut short", next.name()));
            break;
        };
        words.push(step.words);
        (next, rest) = (step.next, step.rest);
    }
    if !rest.is_empty() {
        words.push(format!("{} byte{}", rest.len(), if rest.len() == 1 { "" } else { "s" }));
    }
    words.join("  ")
}

/// A header in words, and what is behind it.
struct Step<'a> {
    words: String,
    next: Next,
    rest: &'a [u8],
}

/// How to read the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Ethernet,
    /// What this type says (IEEE 802).
    EtherType(EtherType),
    /// What this protocol says (IANA's protocol numbers).
    Ip(IpNumber),
    Vxlan,
    GtpU,
    /// No further.
    Payload,
}

impl Next {
    fn name(self) -> String {
        match self {
            Self::Ethernet => "ethernet".to_owned(),
            Self::EtherType(EtherType(number)) => format!("ether type {number:04x}"),
            Self::Ip(IpNumber(number)) => format!("ip protocol {number}"),
            Self::Vxlan => "vxlan".to_owned(),
            Self::GtpU => "gtp-u".to_owned(),
            Self::Payload => "payload".to_owned(),
        }
    }

    /// An IP packet of which nothing says the version but itself.
    fn by_version(bytes: &[u8]) -> Self {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => Self::EtherType(EtherType::IPV4),
            Some(6) => Self::EtherType(EtherType::IPV6),
            _ => Self::Payload,
        }
    }
}

/// None when there are too few bytes, or their lengths and versions make no sense.
fn decode(next: Next, bytes: &[u8]) -> Option<Step<'_>> {
    match next {
        Next::Ethernet => link::ethernet(bytes),
        Next::EtherType(ether_type) => link::ether_type(ether_type, bytes),
        Next::Ip(protocol) => ip::protocol(protocol, bytes),
        Next::Vxlan => tunnel::vxlan(bytes),
        Next::GtpU => tunnel::gtp_u(bytes),
        Next::Payload => None,
    }
}

#[cfg(test)]
mod tests;
