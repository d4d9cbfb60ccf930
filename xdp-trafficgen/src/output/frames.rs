//! Frames for people: one line each, decoded header by header from the bytes alone, tunnels
//! included.
//!
//! Shows as much as can be decoded of any frame, however odd the user made it.

use crate::packet::{
    HeaderKind,
    decode::decode,
    headers::{Decoded, Next},
};

/// One line about a frame without FCS, outer to inner.
pub fn line(frame: &[u8]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let (mut next, mut rest) = (Next::Header(HeaderKind::Ethernet), frame);
    while let Some(decoded) = decode(next, rest) {
        match decoded {
            Ok(Decoded { words, next: behind, rest: left }) => {
                parts.push(words);
                (next, rest) = (behind, left);
            }
            Err(name) => {
                parts.push(format!("{name} cut short"));
                break;
            }
        }
    }
    if !rest.is_empty() {
        parts.push(format!("{} byte{}", rest.len(), if rest.len() == 1 { "" } else { "s" }));
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::line;

    const MACS: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02";
    const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    const IP: [u8; 9] = [0x45, 0, 0, 22, 0, 0, 0, 0, 64];

    #[track_caller]
    fn check(parts: &[&[u8]], expected: &str) {
        assert_eq!(
            line(&[&ETHERNET, parts.concat().as_slice()].concat()),
            format!("{MACS}{expected}")
        );
    }

    #[test]
    fn what_is_not_known() {
        check(&[&[0x88, 0xb5, 1, 2]], "  ether type 88b5  2 bytes");
        let ip =
            |protocol| [&[8, 0], &IP[..], &[protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]].concat();
        check(&[&ip(253), &[1]], "  10.0.0.1 > 10.0.0.2  ip protocol 253  1 byte");
        check(&[&ip(17), &[1, 2]], "  10.0.0.1 > 10.0.0.2  ip protocol 17 cut short  2 bytes");
        assert_eq!(line(&ETHERNET), "ethernet cut short  12 bytes");
    }
}
