//! A stack of headers into the bytes of a frame, and into the list of checksums that cover them.

use std::ops::Range;

use etherparse::{
    EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, SingleVlanHeader, TcpHeader, UdpHeader, VlanId,
};
use xdp_trafficgen_ebpf::{checksum, field};

use crate::packet::{FieldDef, HeaderKind};

/// What fills the frame behind the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Zero bytes.
    Zeros,
    /// These bytes, over and over; not empty.
    Pattern(Vec<u8>),
    /// These bytes once, then zeros.
    Bytes(Vec<u8>),
    /// Bytes that count up from this one: 0x00, 0x01, … 0xff, 0x00, …
    Increment(u8),
    /// Bytes at random, the same for the same seed, and the same in every frame of the flow.
    Random {
        /// Chooses the bytes.
        seed: u64,
    },
}

/// A header and the fields that are set; lengths, next protocols and checksums follow from the stack unless set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which header.
    pub kind: HeaderKind,
    /// Fields with the value they have in the template. A checksum, length or next protocol among them is sent as it is.
    pub set: Vec<(FieldDef, u128)>,
    /// The part of variable length: options of IPv4, TCP and IPv6 extension headers (padded by the encoder), the bytes of
    /// `custom`.
    pub options: Vec<u8>,
    /// What its checksum is to be, where it has one that is not among `set`.
    pub checksum: ChecksumMode,
}

/// What the checksum of a header is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumMode {
    /// Right.
    #[default]
    Good,
    /// Wrong, on purpose, in every frame.
    Bad,
}

/// A frame as it starts out: every field at its first value, every length and checksum right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The frame without its FCS.
    pub bytes: Vec<u8>,
    /// Bytes of all headers; the payload follows.
    pub header_len: usize,
    /// Where each layer starts, from the frame's start.
    pub offsets: Vec<usize>,
    /// The checksums in it, outer to inner.
    pub checksums: Vec<CoveredChecksum>,
    /// The lengths in it that follow the frame's.
    pub lengths: Vec<LengthField>,
}

/// Two bytes that hold the number of bytes from some place to the frame's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthField {
    /// Where the two bytes are, from the frame's start.
    pub offset: usize,
    /// Where counting starts, from the frame's start.
    pub counted_from: usize,
}

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
    /// Whether a zero result is sent as 0xffff (RFC 768).
    pub zero_is_ones: bool,
    /// Whether it is to be wrong: see [`checksum::spoiled`].
    pub mode: ChecksumMode,
}

impl Template {
    /// Whether the layer has this field: optional parts may be absent.
    pub fn has(&self, layer: usize, _field: &FieldDef) -> bool {
        layer < self.offsets.len()
    }

    /// The place of a field of the layer with this index.
    pub fn window(&self, layer: usize, field: &FieldDef) -> Window {
        Window::of(field, self.offsets[layer])
    }
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

    /// The sum of what it covers in `bytes`, its own bytes counting as zero.
    pub fn sum(&self, bytes: &[u8]) -> u64 {
        let covered: u64 = self.covers.iter().map(|range| checksum::sum(&bytes[range.clone()])).sum();
        let own = u64::from(u16::from_be_bytes([bytes[self.offset], bytes[self.offset + 1]]));
        self.pseudo_sum() + covered - own
    }
}

/// The whole bytes that hold a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The bytes, from the frame's start.
    pub bytes: Range<usize>,
    /// Bits behind the field in the window's last byte.
    pub shift: u32,
}

impl Window {
    /// Of `field` in a header at byte `header`.
    pub fn of(field: &FieldDef, header: usize) -> Self {
        let first_bit = (header * 8).saturating_add_signed(field.bit_offset as isize);
        let end_bit = first_bit + field.bits as usize;
        let bytes = first_bit / 8..end_bit.div_ceil(8);
        // Below 8.
        let shift = u32::try_from(bytes.end * 8 - end_bit).unwrap_or(0);
        Self { bytes, shift }
    }
}

/// Why a stack of headers is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// A header that cannot stand where it does.
    #[error("`{}` cannot follow `{}`", .kind.name(), .below.map_or("nothing", HeaderKind::name))]
    Order {
        /// Index of the layer.
        layer: usize,
        /// Its header.
        kind: HeaderKind,
        /// The header before it.
        below: Option<HeaderKind>,
    },
    /// The headers alone are longer than the frame.
    #[error("the headers take {headers} bytes and the FCS 4, more than the frame's {size}")]
    TooSmall {
        /// Bytes of all headers.
        headers: usize,
        /// Bytes of the frame on the wire.
        size: usize,
    },
    /// The payload's bytes do not fit behind the headers.
    #[error("the payload has {payload} bytes, but only {room} of the frame are left for it")]
    PayloadTooLong {
        /// Bytes of the payload.
        payload: usize,
        /// Bytes left.
        room: usize,
    },
}

/// Ethernet types for local experiments (IEEE 802, Local Experimental Ethertype 1) and the IP protocol for experiments
/// (RFC 3692): what a header says that has no header behind it.
const LOCAL_EXPERIMENT: u16 = 0x88b5;
const EXPERIMENT: u8 = 253;

/// Builds the frame of `frame_len` bytes, FCS not counted.
///
/// # Errors
/// When the stack is not one, or does not fit.
pub fn assemble(layers: &[Layer], frame_len: usize, payload: &Payload) -> Result<Template, StackError> {
    check_order(layers)?;
    let mut offsets = Vec::with_capacity(layers.len());
    let mut end = 0;
    for layer in layers {
        offsets.push(end);
        end += length(layer);
    }
    if end > frame_len {
        return Err(StackError::TooSmall { headers: end, size: frame_len + 4 });
    }
    let mut bytes = vec![0; frame_len];
    fill(&mut bytes[end..], payload)?;
    for (index, layer) in layers.iter().enumerate() {
        let offset = offsets[index];
        let next = layers.get(index + 1).map(|layer| layer.kind);
        let header = encode(layer, next, frame_len - offset);
        bytes[offset..offset + header.len()].copy_from_slice(&header);
        for (field, value) in &layer.set {
            set_bits(&mut bytes, &Window::of(field, offset), field.bits, *value);
        }
    }
    let checksums = find_checksums(layers, &offsets, frame_len);
    // The inner ones first: the outer ones cover them.
    for checksum in checksums.iter().rev() {
        let value = checksum.compute(&bytes);
        bytes[checksum.offset..checksum.offset + 2].copy_from_slice(&value.to_be_bytes());
    }
    Ok(Template { bytes, header_len: end, offsets, checksums, lengths: Vec::new() })
}

fn check_order(layers: &[Layer]) -> Result<(), StackError> {
    use HeaderKind::{Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Vlan};
    let mut below = None;
    for (index, layer) in layers.iter().enumerate() {
        let fits = matches!(
            (below, layer.kind),
            (None, Ethernet)
                | (Some(Ethernet | Vlan), Vlan | Ipv4 | Ipv6)
                | (Some(Ipv4 | Ipv6), Udp | Tcp | Icmp | Icmpv6)
        );
        if !fits {
            return Err(StackError::Order { layer: index, kind: layer.kind, below });
        }
        below = Some(layer.kind);
    }
    Ok(())
}

/// Bytes of a header; those with a variable length come with the headers that have one.
fn length(layer: &Layer) -> usize {
    match layer.kind {
        HeaderKind::Ethernet => Ethernet2Header::LEN,
        HeaderKind::Vlan => SingleVlanHeader::LEN,
        HeaderKind::Ipv4 => Ipv4Header::MIN_LEN,
        HeaderKind::Ipv6 => Ipv6Header::LEN,
        HeaderKind::Udp => UdpHeader::LEN,
        HeaderKind::Tcp => TcpHeader::MIN_LEN + layer.options.len(),
        HeaderKind::Icmp | HeaderKind::Icmpv6 => 8,
    }
}

/// The header with everything that follows from the stack; `len` bytes of frame from its start.
fn encode(layer: &Layer, next: Option<HeaderKind>, len: usize) -> Vec<u8> {
    // A frame is at most a page: every length fits 16 bits.
    let payload_len = u16::try_from(len - length(layer)).unwrap_or(u16::MAX);
    match layer.kind {
        HeaderKind::Ethernet => {
            let header = Ethernet2Header { ether_type: ether_type(next), ..Default::default() };
            header.to_bytes().to_vec()
        }
        HeaderKind::Vlan => {
            let header = SingleVlanHeader { vlan_id: VlanId::ZERO, ether_type: ether_type(next), ..Default::default() };
            header.to_bytes().to_vec()
        }
        HeaderKind::Ipv4 => {
            let header = Ipv4Header {
                total_len: payload_len.saturating_add(20),
                time_to_live: DEFAULT_TTL,
                protocol: ip_number(next),
                dont_fragment: false,
                ..Default::default()
            };
            header.to_bytes().to_vec()
        }
        HeaderKind::Ipv6 => {
            let header = Ipv6Header {
                payload_length: payload_len,
                next_header: ip_number(next),
                hop_limit: DEFAULT_TTL,
                ..Default::default()
            };
            header.to_bytes().to_vec()
        }
        HeaderKind::Udp => {
            let header = UdpHeader { length: payload_len.saturating_add(8), ..Default::default() };
            header.to_bytes().to_vec()
        }
        HeaderKind::Tcp => {
            let mut header = TcpHeader::default();
            let _ = header.set_options_raw(&layer.options);
            header.to_bytes().to_vec()
        }
        HeaderKind::Icmp | HeaderKind::Icmpv6 => vec![0; 8],
    }
}

/// The customary default of hosts (RFC 1700).
const DEFAULT_TTL: u8 = 64;

fn ether_type(next: Option<HeaderKind>) -> EtherType {
    match next {
        Some(HeaderKind::Vlan) => EtherType::VLAN_TAGGED_FRAME,
        Some(HeaderKind::Ipv4) => EtherType::IPV4,
        Some(HeaderKind::Ipv6) => EtherType::IPV6,
        Some(_) | None => EtherType(LOCAL_EXPERIMENT),
    }
}

fn ip_number(next: Option<HeaderKind>) -> IpNumber {
    match next {
        Some(HeaderKind::Udp) => IpNumber::UDP,
        Some(HeaderKind::Tcp) => IpNumber::TCP,
        Some(HeaderKind::Icmp) => IpNumber::ICMP,
        Some(HeaderKind::Icmpv6) => IpNumber::IPV6_ICMP,
        _ => IpNumber(EXPERIMENT),
    }
}

fn fill(room: &mut [u8], payload: &Payload) -> Result<(), StackError> {
    match payload {
        Payload::Zeros => {}
        Payload::Pattern(pattern) => {
            for (byte, &value) in room.iter_mut().zip(pattern.iter().cycle()) {
                *byte = value;
            }
        }
        Payload::Bytes(bytes) if bytes.len() > room.len() => {
            return Err(StackError::PayloadTooLong { payload: bytes.len(), room: room.len() });
        }
        Payload::Bytes(bytes) => room[..bytes.len()].copy_from_slice(bytes),
        Payload::Increment(first) => {
            let mut value = *first;
            for byte in room {
                *byte = value;
                value = value.wrapping_add(1);
            }
        }
        &Payload::Random { seed } => {
            for (index, bytes) in (0..).zip(room.chunks_mut(8)) {
                bytes.copy_from_slice(&field::split_mix_64(seed, index).to_be_bytes()[..bytes.len()]);
            }
        }
    }
    Ok(())
}

/// Writes the low `bits` bits of `value` into their window and leaves the rest of it alone.
fn set_bits(frame: &mut [u8], window: &Window, bits: u32, value: u128) {
    let width = window.bytes.len();
    // A field of 128 bits is whole bytes; any other leaves room for its shift in 17 bytes at most.
    let mask = (u128::MAX >> (128 - bits)).checked_shl(window.shift).unwrap_or(0);
    let mut old = [0; 16];
    old[16 - width..].copy_from_slice(&frame[window.bytes.clone()]);
    let new = (u128::from_be_bytes(old) & !mask) | ((value << window.shift) & mask);
    frame[window.bytes.clone()].copy_from_slice(&new.to_be_bytes()[16 - width..]);
}

/// IPv4 header checksums (RFC 791) and UDP checksums with their pseudo header (RFC 768, RFC 8200 section 8.1).
fn find_checksums(layers: &[Layer], offsets: &[usize], frame_len: usize) -> Vec<CoveredChecksum> {
    let mut checksums = Vec::new();
    let mut addresses = 0..0;
    for (layer, &offset) in layers.iter().zip(offsets) {
        match layer.kind {
            HeaderKind::Ethernet | HeaderKind::Vlan => {}
            HeaderKind::Ipv4 => {
                addresses = offset + 12..offset + 20;
                checksums.push(CoveredChecksum {
                    offset: offset + 10,
                    covers: std::iter::once(offset..offset + 20).collect(),
                    to_end: false,
                    pseudo: None,
                    zero_is_ones: false,
                    mode: layer.checksum,
                });
            }
            HeaderKind::Ipv6 => addresses = offset + 8..offset + 40,
            HeaderKind::Udp => checksums.push(CoveredChecksum {
                offset: offset + 6,
                covers: vec![addresses.clone(), offset..frame_len],
                to_end: true,
                pseudo: Some(IpNumber::UDP.0),
                zero_is_ones: true,
                mode: layer.checksum,
            }),
            HeaderKind::Tcp | HeaderKind::Icmpv6 => checksums.push(CoveredChecksum {
                offset: offset + if layer.kind == HeaderKind::Tcp { 16 } else { 2 },
                covers: vec![addresses.clone(), offset..frame_len],
                to_end: true,
                pseudo: Some(if layer.kind == HeaderKind::Tcp { 6 } else { 58 }),
                zero_is_ones: false,
                mode: layer.checksum,
            }),
            HeaderKind::Icmp => checksums.push(CoveredChecksum {
                offset: offset + 2,
                covers: std::iter::once(offset..frame_len).collect(),
                to_end: true,
                pseudo: None,
                zero_is_ones: false,
                mode: layer.checksum,
            }),
        }
    }
    checksums
}
