//! Reads frames header by header from their bytes alone.

use super::{
    HeaderKind,
    headers::{Decoded, Next, Number},
};

/// How the next bytes are read.
enum Reading {
    Header(HeaderKind),
    /// The words for a number that no header here has.
    Unknown(String),
    Payload,
}

/// The next header; its name, when its bytes are cut short; none when payload follows.
pub(crate) fn decode(next: Next, bytes: &[u8]) -> Option<Result<Decoded<'_>, String>> {
    match reading(next, bytes) {
        Reading::Header(kind) => {
            let decoded = (kind.def().decode)(bytes, next);
            Some(decoded.ok_or_else(|| words(next).unwrap_or_else(|| kind.name().to_owned())))
        }
        Reading::Unknown(words) => Some(Ok(Decoded { words, next: Next::Payload, rest: bytes })),
        Reading::Payload => None,
    }
}

fn reading(next: Next, bytes: &[u8]) -> Reading {
    if let Next::Header(kind) = next {
        return Reading::Header(kind);
    }
    let is_named = |kind: &HeaderKind| {
        kind.def().follows.iter().any(|follows| is_meant(next, &follows.number, bytes))
    };
    match HeaderKind::ALL.into_iter().find(is_named) {
        Some(kind) => Reading::Header(kind),
        None => words(next).map_or(Reading::Payload, Reading::Unknown),
    }
}

/// Whether the header before means the one with this `number`.
fn is_meant(next: Next, number: &Number, bytes: &[u8]) -> bool {
    match (next, number) {
        (Next::EtherType(number), Number::EtherType(own, others)) => {
            number == *own || others.contains(&number)
        }
        (Next::IpProtocol(protocol), Number::IpProtocol(own)) => protocol == *own,
        (Next::UdpPort(port), Number::UdpPort(own, is_likely)) => port == *own && is_likely(bytes),
        (
            Next::EtherType(_)
            | Next::IpProtocol(_)
            | Next::UdpPort(_)
            | Next::Header(_)
            | Next::Payload,
            _,
        ) => false,
    }
}

/// What a number is called that no header here has.
fn words(next: Next) -> Option<String> {
    match next {
        Next::EtherType(number) => Some(format!("ether type {number:04x}")),
        Next::IpProtocol(number) => Some(format!("ip protocol {number}")),
        Next::UdpPort(_) | Next::Header(_) | Next::Payload => None,
    }
}
