//! The checksums of a frame, what each covers, and how far it reaches.

use std::ops::Range;

use etherparse::IpNumber;
use xdp_trafficgen_ebpf::checksum;

use super::{ChecksumMode, HeaderKind, Layer};

/// A checksum and what it covers: the addresses of the pseudo header, and the bytes from `start` to where the lengths say that
/// what it protects ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredChecksum {
    /// Where its two bytes are, from the frame's start.
    pub offset: usize,
    /// The addresses in the pseudo header; each range has an even length.
    pub addresses: Vec<Range<usize>>,
    /// Where the bytes start that it covers beside them.
    pub start: usize,
    /// The lengths that say where those end, outer ones first.
    pub bounds: Vec<Bound>,
    /// The protocol in the pseudo header, beside which stands the length of what is covered.
    pub pseudo: Option<u8>,
    /// Where the routing types are, with the segments left behind each, that decide which bytes are the destination in the
    /// pseudo header: those of IPv6 routing headers with addresses.
    pub routing: Vec<usize>,
    /// Whether a zero result is sent as 0xffff (RFC 768).
    pub zero_is_ones: bool,
    /// Whether it is to be wrong: see [`checksum::spoiled`].
    pub mode: ChecksumMode,
}

/// A length field that says where what a checksum covers ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The field's bytes, from the frame's start.
    pub bytes: Range<usize>,
    unit: Unit,
    /// Where it counts from, from the frame's start.
    counted_from: usize,
}

/// What a length field counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Bytes, in 16 bits.
    Bytes,
    /// Words of four bytes, in the low half of a byte (RFC 791 section 3.1, IHL). Less than the five of the smallest header is
    /// no length: then the header ends where it really does.
    Words { real_end: usize },
}

/// The words of the smallest IPv4 header (RFC 791 section 3.1).
const LEAST_WORDS: u8 = 5;

impl Bound {
    /// The place behind the last byte that it counts.
    pub fn end(&self, frame: &[u8]) -> usize {
        let first = frame[self.bytes.start];
        match self.unit {
            Unit::Bytes => self.counted_from + usize::from(u16::from_be_bytes([first, frame[self.bytes.start + 1]])),
            Unit::Words { real_end } if first & 0xf < LEAST_WORDS => real_end,
            Unit::Words { .. } => self.counted_from + 4 * usize::from(first & 0xf),
        }
    }
}

/// How far a checksum reaches in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Behind the last byte that it covers, from the frame's start.
    pub end: usize,
    /// The length in the pseudo header: as the innermost length says it, even where that is more than there is.
    pub length: u64,
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

    /// How far it reaches in a frame, as a receiver finds out: the IP packet ends where IP says, a UDP datagram where its own
    /// length says. Bytes that a length counts and the frame, or the IP packet, has not got count as zeros, as in the first
    /// fragment of a datagram of zeros. A length so short that the checksum itself would lie behind its end is no length: that
    /// is how jumbograms are written (RFC 2675), and what no receiver takes otherwise.
    pub fn reach(&self, frame: &[u8]) -> Reach {
        let (mut end, mut said) = (frame.len(), frame.len());
        for bound in &self.bounds {
            let bound = bound.end(frame);
            if bound >= self.offset + 2 {
                said = bound;
                end = end.min(bound);
            }
        }
        Reach { end, length: (said - self.start) as u64 }
    }

    /// What the pseudo header's length adds in this reach.
    pub fn pseudo_length(&self, reach: Reach) -> u64 {
        self.pseudo.map_or(0, |_| reach.length)
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

    /// The sum of what it covers in `bytes` up to byte `end`, its own bytes counting as zero, without the pseudo header's length.
    pub fn sum_to(&self, bytes: &[u8], end: usize) -> u64 {
        let addresses: u64 = self.addresses.iter().map(|range| checksum::sum(&bytes[range.clone()])).sum();
        let own = u64::from(u16::from_be_bytes([bytes[self.offset], bytes[self.offset + 1]]));
        self.pseudo.map_or(0, u64::from) + addresses + checksum::sum(&bytes[self.start..end]) - own
    }

    fn sum(&self, bytes: &[u8]) -> u64 {
        let reach = self.reach(bytes);
        self.sum_to(bytes, reach.end) + self.pseudo_length(reach)
    }
}

/// Every checksum of the stack whose headers are at `headers` in `frame`, outer to inner.
///
/// What each covers ends where the lengths in front of it say ([`CoveredChecksum::reach`]), whoever set them. Of an IP fragment
/// it is that of the fragment, or of what the UDP length says with zeros for the rest. A UDP or TCP header without an IP header
/// before it has a pseudo header without addresses, and reaches to the frame's end.
pub(super) fn find(layers: &[Layer], headers: &[Range<usize>], frame: &[u8]) -> Vec<CoveredChecksum> {
    let mut checksums = Vec::new();
    // The addresses of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    let mut addresses: Vec<Range<usize>> = Vec::new();
    let mut routing: Vec<usize> = Vec::new();
    // The length of the IP packet.
    let mut packet: Option<Bound> = None;
    for (layer, header) in layers.iter().zip(headers) {
        let start = header.start;
        let length =
            |offset: usize, counted_from: usize| Bound { bytes: offset..offset + 2, unit: Unit::Bytes, counted_from };
        let mut transport = |offset, pseudo: Option<IpNumber>, own_length: Option<Bound>| {
            checksums.push(CoveredChecksum {
                offset: start + offset,
                addresses: if pseudo.is_some() { addresses.clone() } else { Vec::new() },
                start,
                bounds: packet.iter().cloned().chain(own_length).collect(),
                pseudo: pseudo.map(|protocol| protocol.0),
                routing: if pseudo.is_some() { routing.clone() } else { Vec::new() },
                zero_is_ones: pseudo == Some(IpNumber::UDP),
                mode: layer.checksum,
            });
        };
        match layer.kind {
            HeaderKind::Udp => transport(6, Some(IpNumber::UDP), Some(length(start + 4, start))),
            HeaderKind::Tcp => transport(16, Some(IpNumber::TCP), None),
            HeaderKind::Icmp => transport(2, None, None),
            HeaderKind::Icmpv6 => transport(2, Some(IpNumber::IPV6_ICMP), None),
            // When the flag is among the fields, the part is there.
            HeaderKind::Gre if layer.value("checksum_present").is_some_and(|flag| flag != 0) => {
                transport(4, None, None)
            }
            HeaderKind::Ipv4 => checksums.push(CoveredChecksum {
                offset: start + 10,
                addresses: Vec::new(),
                start,
                bounds: vec![Bound {
                    bytes: start..start + 1,
                    unit: Unit::Words { real_end: header.end },
                    counted_from: start,
                }],
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
                packet = Some(length(start + 2, start));
                routing.clear();
            }
            HeaderKind::Ipv6 => {
                addresses = std::iter::once(start + 8..start + 40).collect();
                packet = Some(length(start + 4, start + 40));
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
                packet = None;
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
