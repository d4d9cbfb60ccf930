//! The checksums of a frame, what each covers, and how far it reaches.

use std::ops::Range;

use xdp_trafficgen_ebpf::checksum;

use super::{
    ChecksumMode, Layer,
    field::Coverage,
    headers::{HeaderDef, IpPart, ipv6_routing},
};

/// A checksum and what it covers: the addresses of the pseudo header, and the bytes from `start` up
/// to the end that the lengths in the frame give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredChecksum {
    /// Where its two bytes are, from the frame's start.
    pub offset: usize,
    /// The addresses in the pseudo header; each range has an even length.
    pub addresses: Vec<Range<usize>>,
    /// The first byte that it covers, apart from the addresses.
    pub start: usize,
    /// The lengths that limit what it covers, outer ones first.
    pub bounds: Vec<Bound>,
    /// The protocol in the pseudo header, where there is one; it has the covered length, too.
    pub pseudo: Option<u8>,
    /// The routing types of IPv6 routing headers with addresses, each followed by its segments
    /// left: they decide which bytes are the destination in the pseudo header.
    pub routing: Vec<usize>,
    /// Whether a zero result is sent as 0xffff (RFC 768).
    pub zero_is_ones: bool,
    /// Whether it is to be wrong: see [`checksum::spoiled`].
    pub mode: ChecksumMode,
}

/// A length field that limits what a checksum covers.
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
    /// Words of four bytes, in the low half of a byte (RFC 791 section 3.1, IHL). A receiver does
    /// not accept less than the `least` words of the smallest header; the header then ends at
    /// its `real_end`.
    Words { least: usize, real_end: usize },
}

impl Bound {
    /// The one of a header's field that counts to the frame's end.
    fn to_frame_end(def: &HeaderDef, header: &Range<usize>) -> Option<Self> {
        let (field, counted_from) = def.frame_length()?;
        let offset = header.start + field.byte();
        Some(Self {
            bytes: offset..offset + 2,
            unit: Unit::Bytes,
            counted_from: header.start + counted_from,
        })
    }

    /// The one of a header's field with its own length.
    fn of_header(def: &HeaderDef, header: &Range<usize>) -> Option<Self> {
        let (field, unit, _) = def.header_length()?;
        let offset = header.start + field.byte();
        let unit = Unit::Words { least: def.fixed_len() / unit, real_end: header.end };
        Some(Self { bytes: offset..offset + 1, unit, counted_from: header.start })
    }

    /// The first byte that it does not count.
    pub fn end(&self, frame: &[u8]) -> usize {
        let first = frame[self.bytes.start];
        let words = usize::from(first & 0xf);
        match self.unit {
            Unit::Bytes => {
                self.counted_from
                    + usize::from(u16::from_be_bytes([first, frame[self.bytes.start + 1]]))
            }
            Unit::Words { least, real_end } if words < least => real_end,
            Unit::Words { .. } => self.counted_from + 4 * words,
        }
    }
}

/// How far a checksum reaches in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The first byte behind what it covers, from the frame's start.
    pub end: usize,
    /// The length in the pseudo header: the innermost length's, even where the frame is shorter.
    pub length: u64,
}

impl CoveredChecksum {
    /// Its value for the frame `bytes`, in which the checksum's own bytes count as zero.
    pub fn compute(&self, bytes: &[u8]) -> u16 {
        let folded = checksum::fold(self.sum(bytes));
        let good = if self.zero_is_ones { checksum::never_zero(folded) } else { !folded };
        match self.mode {
            ChecksumMode::Good => good,
            ChecksumMode::Bad => checksum::spoiled(good),
        }
    }

    /// How far it reaches in a frame, by a receiver's rules: the IP packet ends where IP's length
    /// says, a UDP datagram where its own does. Bytes that a length counts beyond the frame or
    /// the IP packet are zeros, as in the first fragment of a datagram of zeros. A length that
    /// ends before the checksum itself is ignored: jumbograms have such a length (RFC 2675),
    /// and receivers accept it in no other packet.
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

    /// Whether another frame, like `bytes` but for the bytes that vary, may have the destination of
    /// the pseudo header in another place.
    pub fn destination_moves(&self, bytes: &[u8], varies: impl Fn(usize) -> bool) -> bool {
        self.routing.iter().any(|&routing_type| {
            let segments_left = routing_type + 1;
            let is_known =
                varies(routing_type) || ipv6_routing::names_destination(bytes[routing_type]);
            let is_left = varies(segments_left) || bytes[segments_left] != 0;
            (varies(routing_type) || varies(segments_left)) && is_known && is_left
        })
    }

    /// The sum of what it covers in `bytes` up to byte `end`, without the pseudo header's length.
    /// Its own bytes count as zero.
    pub fn sum_to(&self, bytes: &[u8], end: usize) -> u64 {
        let addresses: u64 =
            self.addresses.iter().map(|range| checksum::sum(&bytes[range.clone()])).sum();
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
/// The lengths before a checksum limit what it covers ([`CoveredChecksum::reach`]), also those that
/// the user set. In an IP fragment it covers the fragment, or as much as the UDP length says with
/// zeros for the rest. A UDP or TCP header without an IP header before it has a pseudo header
/// without addresses, and reaches to the frame's end.
pub(super) fn find(
    layers: &[Layer],
    headers: &[Range<usize>],
    frame: &[u8],
) -> Vec<CoveredChecksum> {
    let mut packet = IpPacket::default();
    let mut checksums = Vec::new();
    for (layer, header) in layers.iter().zip(headers) {
        checksums.extend(packet.checksum(layer, header));
        packet.enter(layer.kind.def(), header, frame);
    }
    checksums
}

/// What the headers of an IP packet, as far as they were visited, mean for the checksums behind
/// them. Empty outside of an IP packet.
#[derive(Default)]
struct IpPacket {
    /// The addresses of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    addresses: Vec<Range<usize>>,
    /// The routing types of its routing headers with addresses.
    routing: Vec<usize>,
    /// Its length field.
    length: Option<Bound>,
}

impl IpPacket {
    /// The checksum of the header behind those visited, where it has one.
    fn checksum(&self, layer: &Layer, header: &Range<usize>) -> Option<CoveredChecksum> {
        let def = layer.kind.def();
        let (field, coverage) = def.checksum()?;
        // `layer` has its flags: a checksum whose flag is not set is absent.
        let is_there = |flag| layer.value(flag).is_some_and(|flag| flag != 0);
        if !def.presence_of(field).is_none_or(is_there) {
            return None;
        }
        let covered = CoveredChecksum {
            offset: header.start + field.byte(),
            addresses: Vec::new(),
            start: header.start,
            bounds: Vec::new(),
            pseudo: None,
            routing: Vec::new(),
            zero_is_ones: false,
            mode: layer.checksum,
        };
        Some(match coverage {
            Coverage::Header => CoveredChecksum {
                bounds: Bound::of_header(def, header).into_iter().collect(),
                ..covered
            },
            Coverage::Message { pseudo, zero_is_ones } => {
                let own_length = Bound::to_frame_end(def, header);
                let bounds = self.length.iter().cloned().chain(own_length).collect();
                let covered = CoveredChecksum { bounds, pseudo, zero_is_ones, ..covered };
                match pseudo {
                    Some(_) => CoveredChecksum {
                        addresses: self.addresses.clone(),
                        routing: self.routing.clone(),
                        ..covered
                    },
                    None => covered,
                }
            }
        })
    }

    fn enter(&mut self, def: &HeaderDef, header: &Range<usize>, frame: &[u8]) {
        match &def.ip {
            IpPart::Header { addresses } => {
                let addresses = header.start + addresses.start..header.start + addresses.end;
                *self = Self {
                    addresses: std::iter::once(addresses).collect(),
                    routing: Vec::new(),
                    length: Bound::to_frame_end(def, header),
                };
            }
            IpPart::Routing => self.enter_routing(header, frame),
            IpPart::Between => {}
            IpPart::End => *self = Self::default(),
        }
    }

    /// Only IPv6's counts. The last one of several decides.
    fn enter_routing(&mut self, header: &Range<usize>, frame: &[u8]) {
        let Some(source) =
            self.addresses.first().filter(|addresses| addresses.len() >= 16).cloned()
        else {
            return;
        };
        if ipv6_routing::has_addresses(header) {
            self.routing.push(ipv6_routing::routing_type_at(header));
        }
        if let Some(destination) = ipv6_routing::final_destination(header, frame) {
            self.addresses = vec![source.start..source.start + 16, destination];
        }
    }
}
