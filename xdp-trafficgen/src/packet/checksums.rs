//! The checksums of a frame, and what each covers.

use std::ops::Range;

use etherparse::IpNumber;
use xdp_trafficgen_ebpf::checksum;

use super::{ChecksumMode, HeaderKind, Layer};

/// A checksum and what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredChecksum {
    /// Where its two bytes are, from the frame's start.
    pub offset: usize,
    /// The bytes it covers; each range but the last has an even length.
    pub covers: Vec<Range<usize>>,
    /// Whether the last range ends with the frame, whatever its length.
    pub to_end: bool,
    /// What the pseudo header adds beside covered bytes: the protocol, and the length of the last range.
    pub pseudo: Option<u8>,
    /// Where the routing types are, with the segments left behind each, that decide which bytes are the destination in the
    /// pseudo header: those of IPv6 routing headers with addresses.
    pub routing: Vec<usize>,
    /// Whether a zero result is sent as 0xffff (RFC 768).
    pub zero_is_ones: bool,
    /// Whether it is to be wrong: see [`checksum::spoiled`].
    pub mode: ChecksumMode,
}

impl CoveredChecksum {
    /// Its value for the frame `bytes`, in which the checksum's own bytes count as zero.
    pub fn compute(&self, bytes: &[u8]) -> u16 {
        let good = checksum::finish(self.sum(bytes), self.zero_is_ones);
        match self.mode {
            ChecksumMode::Good => good,
            ChecksumMode::Bad => checksum::spoiled(good),
        }
    }

    /// What the pseudo header adds beside covered bytes.
    fn pseudo_sum(&self) -> u64 {
        let length = self.covers.last().map_or(0, |range| range.len() as u64);
        self.pseudo.map_or(0, |protocol| u64::from(protocol) + length)
    }

    /// Whether the destination in the pseudo header may be in another place in another frame, which is like `bytes` but for
    /// those bytes that vary.
    pub fn destination_moves(&self, bytes: &[u8], varies: impl Fn(usize) -> bool) -> bool {
        self.routing.iter().any(|&routing_type| {
            let segments_left = routing_type + 1;
            let is_known = varies(routing_type) || names_destination(bytes[routing_type]);
            let is_left = varies(segments_left) || bytes[segments_left] != 0;
            (varies(routing_type) || varies(segments_left)) && is_known && is_left
        })
    }

    /// The sum of what it covers in `bytes`, its own bytes counting as zero.
    pub fn sum(&self, bytes: &[u8]) -> u64 {
        let covered: u64 = self.covers.iter().map(|range| checksum::sum(&bytes[range.clone()])).sum();
        let own = u64::from(u16::from_be_bytes([bytes[self.offset], bytes[self.offset + 1]]));
        self.pseudo_sum() + covered - own
    }
}

/// Every checksum of the stack whose headers are at `headers` in `frame`, outer to inner.
///
/// Each is that of the bytes as they are in this frame, from its header to the frame's end. So in an IP fragment it is not that
/// of the whole datagram, which nobody knows; and a UDP length that the user set changes what a receiver sums up, but not what
/// is summed up here. A UDP or TCP header without an IP header before it has a pseudo header without addresses.
pub(super) fn find(layers: &[Layer], headers: &[Range<usize>], frame: &[u8]) -> Vec<CoveredChecksum> {
    let mut checksums = Vec::new();
    // The addresses of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    let mut addresses: Vec<Range<usize>> = Vec::new();
    let mut routing: Vec<usize> = Vec::new();
    for (layer, header) in layers.iter().zip(headers) {
        let start = header.start;
        let mut transport = |offset, pseudo: Option<IpNumber>, zero_is_ones| {
            let mut covers = if pseudo.is_some() { addresses.clone() } else { Vec::new() };
            covers.push(start..frame.len());
            checksums.push(CoveredChecksum {
                offset: start + offset,
                covers,
                to_end: true,
                pseudo: pseudo.map(|protocol| protocol.0),
                routing: if pseudo.is_some() { routing.clone() } else { Vec::new() },
                zero_is_ones,
                mode: layer.checksum,
            });
        };
        match layer.kind {
            HeaderKind::Udp => transport(6, Some(IpNumber::UDP), true),
            HeaderKind::Tcp => transport(16, Some(IpNumber::TCP), false),
            HeaderKind::Icmp => transport(2, None, false),
            HeaderKind::Icmpv6 => transport(2, Some(IpNumber::IPV6_ICMP), false),
            // When the flag is among the fields, the part is there.
            HeaderKind::Gre if layer.value("checksum_present").is_some_and(|flag| flag != 0) => {
                transport(4, None, false)
            }
            HeaderKind::Ipv4 => checksums.push(CoveredChecksum {
                offset: start + 10,
                covers: std::iter::once(header.clone()).collect(),
                to_end: false,
                pseudo: None,
                routing: Vec::new(),
                zero_is_ones: false,
                mode: layer.checksum,
            }),
            _ => {}
        }
        match layer.kind {
            HeaderKind::Ipv4 => {
                addresses = std::iter::once(start + 12..start + 20).collect();
                routing.clear();
            }
            HeaderKind::Ipv6 => {
                addresses = std::iter::once(start + 8..start + 40).collect();
                routing.clear();
            }
            HeaderKind::Ipv6Routing => {
                // IPv6's, that is; the last of several is looked at last.
                if let Some(source) = addresses.first().filter(|addresses| addresses.len() >= 16).cloned() {
                    if has_addresses(header) {
                        routing.push(start + 2);
                    }
                    if let Some(destination) = final_destination(header, frame) {
                        addresses = vec![source.start..source.start + 16, destination];
                    }
                }
            }
            // Nothing between an IP header and what it carries.
            HeaderKind::Ipv6HopByHop | HeaderKind::Ipv6Destination | HeaderKind::Ipv6Fragment | HeaderKind::Custom => {}
            _ => {
                addresses.clear();
                routing.clear();
            }
        }
    }
    checksums
}

/// Where a routing header says the packet ends up, which is the destination in the pseudo header (RFC 8200 section 8.1), when
/// there are segments left: the last address of type 0 (RFC 5095), the home address of type 2 (RFC 6275 section 6.4), the first
/// segment of type 4, whose list runs backwards (RFC 8754 section 2). What IPv4 source routes say is not looked at.
fn final_destination(header: &Range<usize>, frame: &[u8]) -> Option<Range<usize>> {
    let (routing_type, segments_left) = (frame[header.start + 2], frame[header.start + 3]);
    match routing_type {
        _ if segments_left == 0 || !has_addresses(header) => None,
        0 => Some(header.end - 16..header.end),
        2 | 4 => Some(header.start + 8..header.start + 24),
        _ => None,
    }
}

/// Whether [`final_destination`] knows this routing type.
const fn names_destination(routing_type: u8) -> bool {
    matches!(routing_type, 0 | 2 | 4)
}

/// Whether a routing header has room for an address.
fn has_addresses(header: &Range<usize>) -> bool {
    header.len() >= 24
}
