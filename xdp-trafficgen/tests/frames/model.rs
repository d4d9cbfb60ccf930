//! The oracle: which frames a flow stands for, worked out the plain way and encoded by etherparse.
//!
//! Shares nothing with the code under test but the names and widths of fields and one documented constant of the random
//! sequence. Knows no eBPF and no kernel.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use etherparse::{
    EtherType, Ethernet2Header, IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, SingleVlanHeader,
    UdpHeader, VlanId, VlanPcp,
};
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng as _, SeedableRng as _},
};
use xdp_trafficgen::packet::{FieldDef, FieldType, HeaderKind};
use xdp_trafficgen_ebpf::field::WIDE_SEED;

/// Address of the interface frames leave by: what `src` is when nobody sets it.
pub(crate) const LINK_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// The fields that say how to decode what follows.
pub(crate) const NEXT_PROTOCOL: [&str; 3] = ["ether_type", "protocol", "next_header"];

/// The fields this model knows, beside those.
pub(crate) const KNOWN: [&str; 14] = [
    "dst",
    "src",
    "priority",
    "cfi",
    "id",
    "dscp",
    "ecn",
    "identification",
    "time_to_live",
    "traffic_class",
    "flow_label",
    "hop_limit",
    "src_port",
    "dst_port",
];

/// A flow as the tests describe it.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) headers: Vec<Header>,
    /// On the wire, FCS included.
    pub(crate) size: u32,
    pub(crate) payload: Payload,
}

/// A header and the fields that are set.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) kind: HeaderKind,
    pub(crate) fields: Vec<(&'static FieldDef, Pattern)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Zeros,
    Pattern(Vec<u8>),
    Hex(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Value(u128),
    Values(Vec<u128>),
    Increment(Count),
    Decrement(Count),
    Random { min: u128, max: u128, seed: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) start: u128,
    pub(crate) step: u128,
    pub(crate) count: u64,
}

impl Flow {
    /// Frame number `number` of the flow, without FCS.
    pub(crate) fn frame(&self, number: u64) -> Vec<u8> {
        self.encode(|field, pattern| pattern.at(field, number))
    }

    /// What the plan's template must be: every field at its first value, random ones at their smallest.
    pub(crate) fn template(&self) -> Vec<u8> {
        self.encode(|field, pattern| match pattern {
            Pattern::Random { min, .. } => *min,
            counted => counted.at(field, 0),
        })
    }

    pub(crate) fn frame_len(&self) -> usize {
        self.size as usize - 4
    }

    /// Whether each header names the one behind it.
    pub(crate) fn has_own_protocols(&self) -> bool {
        self.headers.iter().flat_map(|header| &header.fields).all(|(field, _)| !NEXT_PROTOCOL.contains(&&*field.name))
    }

    /// The bytes behind the headers.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let headers: usize = self.headers.iter().map(|header| header_len(header.kind)).sum();
        let room = self.frame_len() - headers;
        match &self.payload {
            Payload::Zeros => vec![0; room],
            Payload::Pattern(bytes) => bytes.iter().copied().cycle().take(room).collect(),
            Payload::Hex(bytes) => bytes.iter().copied().chain(std::iter::repeat(0)).take(room).collect(),
        }
    }

    fn encode(&self, pick: impl Fn(&'static FieldDef, &Pattern) -> u128) -> Vec<u8> {
        let payload = self.payload();
        let mut frame = Vec::new();
        let mut udp_checksum: Box<dyn Fn(&UdpHeader) -> u16> = Box::new(|_| unreachable!("UDP without IP"));
        for (index, header) in self.headers.iter().enumerate() {
            let next = self.headers.get(index + 1).map(|header| header.kind);
            let get = |name: &str, default: u128| {
                header.fields.iter().find(|(field, _)| field.name == name).map_or(default, |(f, p)| pick(f, p))
            };
            let inside = self.frame_len() - frame.len() - header_len(header.kind);
            match header.kind {
                HeaderKind::Ethernet => frame.extend(
                    Ethernet2Header {
                        destination: low_bytes(get("dst", 0)),
                        source: low_bytes(get("src", LINK_MAC.iter().fold(0, |n, &byte| n << 8 | u128::from(byte)))),
                        ether_type: EtherType(fit(get("ether_type", ether_type(next)))),
                    }
                    .to_bytes(),
                ),
                HeaderKind::Vlan => frame.extend(
                    SingleVlanHeader {
                        pcp: VlanPcp::try_new(fit(get("priority", 0))).expect("3 bits"),
                        drop_eligible_indicator: get("cfi", 0) == 1,
                        vlan_id: VlanId::try_new(fit(get("id", 0))).expect("12 bits"),
                        ether_type: EtherType(fit(get("ether_type", ether_type(next)))),
                    }
                    .to_bytes(),
                ),
                HeaderKind::Ipv4 => {
                    let mut ip = Ipv4Header {
                        dscp: IpDscp::try_new(fit(get("dscp", 0))).expect("6 bits"),
                        ecn: IpEcn::try_new(fit(get("ecn", 0))).expect("2 bits"),
                        total_len: fit(inside as u128 + 20),
                        identification: fit(get("identification", 0)),
                        dont_fragment: false,
                        more_fragments: false,
                        time_to_live: fit(get("time_to_live", 64)),
                        protocol: IpNumber(fit(get("protocol", ip_number(next)))),
                        // RFC 2544 appendix C.2.2.
                        source: low_bytes(get("src", u32::from(Ipv4Addr::new(198, 18, 0, 1)).into())),
                        destination: low_bytes(get("dst", u32::from(Ipv4Addr::new(198, 19, 0, 1)).into())),
                        ..Ipv4Header::default()
                    };
                    ip.header_checksum = ip.calc_header_checksum();
                    frame.extend(ip.to_bytes());
                    let payload = payload.clone();
                    udp_checksum = Box::new(move |udp| udp.calc_checksum_ipv4(&ip, &payload).expect("16-bit length"));
                }
                HeaderKind::Ipv6 => {
                    let ip = Ipv6Header {
                        traffic_class: fit(get("traffic_class", 0)),
                        flow_label: Ipv6FlowLabel::try_new(fit(get("flow_label", 0))).expect("20 bits"),
                        payload_length: fit(inside as u128),
                        next_header: IpNumber(fit(get("next_header", ip_number(next)))),
                        hop_limit: fit(get("hop_limit", 64)),
                        // RFC 5180 section 8.
                        source: low_bytes(get("src", Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1).into())),
                        destination: low_bytes(get("dst", Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1).into())),
                    };
                    frame.extend(ip.to_bytes());
                    let payload = payload.clone();
                    udp_checksum = Box::new(move |udp| udp.calc_checksum_ipv6(&ip, &payload).expect("16-bit length"));
                }
                HeaderKind::Udp => {
                    let mut udp = UdpHeader {
                        source_port: fit(get("src_port", 49152)),
                        destination_port: fit(get("dst_port", 9)),
                        length: fit(inside as u128 + 8),
                        checksum: 0,
                    };
                    udp.checksum = udp_checksum(&udp);
                    frame.extend(udp.to_bytes());
                }
                other => unreachable!("{other:?} is looked at by tests/stacks.rs"),
            }
        }
        frame.extend(payload);
        frame
    }

    /// The configuration file that asks for this flow, sent by workers on `cpus`.
    pub(crate) fn toml(&self, cpus: &[u32], action: &str) -> String {
        let mut text = format!(
            "[[ports]]\nname = 'west'\ninterface = 'p0'\naction = '{action}'\ncpus = {cpus:?}\n\n\
             [[flows]]\nname = 'flow'\nport = 'west'\nsize = {}\n",
            self.size
        );
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let payload = match &self.payload {
            Payload::Zeros => "'zeros'".to_owned(),
            Payload::Pattern(bytes) => format!("{{ pattern = '{}' }}", hex(bytes)),
            Payload::Hex(bytes) => format!("{{ hex = '{}' }}", hex(bytes)),
        };
        let _ = write!(text, "payload = {payload}\npacket = [\n");
        for Header { kind, fields } in &self.headers {
            let fields: Vec<String> =
                fields.iter().map(|(field, pattern)| format!("{} = {}", field.name, pattern.toml(field))).collect();
            let _ = writeln!(text, "  {{ {} = {{ {} }} }},", kind.name(), fields.join(", "));
        }
        text + "]\n"
    }
}

impl Pattern {
    /// The value of `field` in frame number `number`.
    fn at(&self, field: &FieldDef, number: u64) -> u128 {
        match self {
            Self::Value(value) => *value,
            Self::Values(values) => values[usize::try_from(number % values.len() as u64).expect("an index")],
            Self::Increment(Count { start, step, count }) => start + step * u128::from(number % count),
            Self::Decrement(Count { start, step, count }) => start - step * u128::from(number % count),
            &Self::Random { min, max, seed } => {
                let value = min + random(field.bits, max - min, seed, number);
                assert!((min..=max).contains(&value), "the model leaves its own limits");
                value
            }
        }
    }

    fn toml(&self, field: &FieldDef) -> String {
        let text = |value: u128| text(field.kind, value);
        let counting = |way: &str, Count { start, step, count }: &Count| match step {
            // The default, left out; other steps are written as the field's values are.
            1 => format!("{{ {way} = {{ start = {}, count = {count} }} }}", text(*start)),
            _ => format!("{{ {way} = {{ start = {}, step = {}, count = {count} }} }}", text(*start), text(*step)),
        };
        match self {
            Self::Value(value) => text(*value),
            Self::Values(values) => format!("[{}]", values.iter().copied().map(text).collect::<Vec<_>>().join(", ")),
            Self::Increment(parts) => counting("increment", parts),
            Self::Decrement(parts) => counting("decrement", parts),
            Self::Random { min, max, seed } => {
                format!("{{ random = {{ min = {}, max = {}, seed = {seed} }} }}", text(*min), text(*max))
            }
        }
    }
}

/// Random number `number`, 0 to `largest`: output `number` of SplitMix64, scaled as `abi::kind` says; a field of 128
/// bits joins two of them.
fn random(bits: u32, largest: u128, seed: u64, number: u64) -> u128 {
    let output = |seed| {
        let mut generator = SplitMix64::seed_from_u64(seed);
        for _ in 0..number {
            generator.next_u64();
        }
        u128::from(generator.next_u64())
    };
    let is_mask = largest & largest.wrapping_add(1) == 0;
    if bits > 64 {
        let random = output(seed) << 64 | output(seed ^ WIDE_SEED);
        return if is_mask { random & largest } else { high_half(random, largest + 1) };
    }
    let random = output(seed);
    match largest + 1 {
        _ if is_mask => random & largest,
        span if span < 1 << 32 => ((random >> 32) * span) >> 32,
        span => (random * span) >> 64,
    }
}

/// Bits 128 to 255 of a product, by adding and shifting bit by bit as on paper.
fn high_half(a: u128, b: u128) -> u128 {
    (0..128).fold(0, |high, bit| {
        let (sum, carry) = if a >> bit & 1 == 1 { u128::overflowing_add(high, b) } else { (high, false) };
        sum >> 1 | u128::from(carry) << 127
    })
}

/// A value as users write it in TOML.
fn text(kind: FieldType, value: u128) -> String {
    match kind {
        FieldType::Mac => {
            let [a, b, c, d, e, f] = low_bytes(value);
            format!("'{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}'")
        }
        FieldType::Ipv4 => format!("'{}'", Ipv4Addr::from(low_bytes::<4>(value))),
        FieldType::Ipv6 => format!("'{}'", Ipv6Addr::from(value)),
        FieldType::Number => value.to_string(),
    }
}

pub(crate) fn header_len(kind: HeaderKind) -> usize {
    match kind {
        HeaderKind::Ethernet => 14,
        HeaderKind::Vlan => 4,
        HeaderKind::Ipv4 => 20,
        HeaderKind::Ipv6 => 40,
        HeaderKind::Udp => 8,
        other => unreachable!("{other:?} is looked at by tests/stacks.rs"),
    }
}

/// Nothing behind it: IEEE 802 Local Experimental Ethertype 1.
fn ether_type(next: Option<HeaderKind>) -> u128 {
    match next {
        Some(HeaderKind::Vlan) => 0x8100,
        Some(HeaderKind::Ipv4) => 0x0800,
        Some(HeaderKind::Ipv6) => 0x86dd,
        _ => 0x88b5,
    }
}

/// Nothing behind it: for experiments (RFC 3692).
fn ip_number(next: Option<HeaderKind>) -> u128 {
    if next == Some(HeaderKind::Udp) { 17 } else { 253 }
}

fn low_bytes<const N: usize>(value: u128) -> [u8; N] {
    *value.to_be_bytes().last_chunk().expect("at most 16 bytes")
}

fn fit<T: TryFrom<u128>>(value: u128) -> T {
    T::try_from(value).unwrap_or_else(|_| panic!("{value} does not fit"))
}
