//! Frames for people: one line each, decoded header by header from the bytes alone, tunnels included.
//!
//! Tolerant: whatever a user made of a frame, as much of it is shown as can be told.

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
mod tests;
