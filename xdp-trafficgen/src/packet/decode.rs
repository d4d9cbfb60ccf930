//! Frames read header by header from the bytes alone, whoever made them.

use super::{
    HeaderKind,
    headers::{Decoded, Next, Number},
};

/// What is known of the next bytes.
enum Reading {
    Header(HeaderKind),
    /// A number without a header of ours, in words.
    Unknown(String),
    Payload,
}

/// The next header, none when there is no further; or what is cut short.
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

/// Whether `number` is what the header before says.
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

/// What a number is called, where it says something without a header of ours.
fn words(next: Next) -> Option<String> {
    match next {
        Next::EtherType(number) => Some(format!("ether type {number:04x}")),
        Next::IpProtocol(number) => Some(format!("ip protocol {number}")),
        Next::UdpPort(_) | Next::Header(_) | Next::Payload => None,
    }
}
