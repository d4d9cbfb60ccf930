//! Random stacks that tshark should understand: any order of headers that the packet model allows,
//! and any value in the fields that do not decide how the rest is decoded.

use etherparse::TcpOptionElement;
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng as _, SeedableRng as _},
};
use xdp_trafficgen::packet::{
    ChecksumMode,
    HeaderKind::{
        self, Arp, Custom, Ethernet, Gre, Gtpv1, Icmp, Icmpv6, Ipv4, Ipv6Destination, Ipv6Fragment,
        Ipv6HopByHop, Ipv6Routing, Mpls, Tcp, Udp, Vlan, Vxlan,
    },
    Layer, Payload,
};

/// Fields that exist in the header only when they are set.
const OPTIONAL: [(HeaderKind, &str); 4] =
    [(Gre, "key"), (Gre, "sequence_number"), (Gtpv1, "sequence_number"), (Gtpv1, "n_pdu_number")];

pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.next_u64() % limit as u64).expect("below a usize")
    }

    pub(crate) fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn bits(&mut self, bits: u32) -> u128 {
        let value = u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64());
        value >> (128 - bits)
    }

    /// Headers from outer to inner.
    pub(crate) fn stack(&mut self) -> Vec<Layer> {
        let mut kinds = vec![Ethernet];
        let length = 2 + self.below(9);
        loop {
            let last = kinds[kinds.len() - 1];
            // tshark takes any header after VXLAN for Ethernet.
            if kinds.len() >= length && last != Vxlan {
                break;
            }
            let above =
                |kind: &HeaderKind| *kind != Custom && kind.follows().any(|below| below == last);
            // tshark does not follow routing headers inside an ICMP error.
            let odd = |kind: &HeaderKind| {
                *kind == Ipv6Routing && (kinds.contains(&Icmp) || kinds.contains(&Icmpv6))
            };
            let next: Vec<_> =
                HeaderKind::ALL.into_iter().filter(above).filter(|kind| !odd(kind)).collect();
            if last != Vxlan && (next.is_empty() || self.one_in(12)) {
                kinds.push(Custom);
                if self.one_in(2) {
                    kinds.push(self.pick(&HeaderKind::ALL));
                }
                break;
            }
            kinds.push(self.pick(&next));
        }
        (0..kinds.len()).map(|index| self.layer(&kinds, index)).collect()
    }

    fn layer(&mut self, kinds: &[HeaderKind], index: usize) -> Layer {
        let kind = kinds[index];
        let below = index.checked_sub(1).map(|index| kinds[index]);
        let next = kinds.get(index + 1).copied();
        let mut set = Vec::new();
        for compared in super::COMPARED.iter().filter(|compared| compared.kind == kind) {
            let skipped = match (kind, compared.name) {
                // The port identifies the tunnel.
                (Udp, "dst_port") => matches!(next, Some(Vxlan | Gtpv1)),
                // An ICMP error has no such fields.
                (Icmp | Icmpv6, _) => next.is_some_and(|next| next != Custom),
                _ => OPTIONAL.contains(&(kind, compared.name)) && self.one_in(2),
            };
            if skipped {
                continue;
            }
            let field = kind.field(compared.name).expect("a field of its table");
            let value = match (kind, compared.name) {
                // After MPLS, tshark recognises Ethernet only if it knows the vendors of both
                // addresses (this one is IANA).
                (Ethernet, "dst" | "src") if below == Some(Mpls) => {
                    0x0000_5e00_0000 | self.bits(24)
                }
                // Labels below 16 are reserved.
                (Mpls, "label") => 16 + self.bits(19),
                (Arp, "operation") => self.pick(&[1, 2]),
                // Ports for which tshark has no protocol.
                (Udp | Tcp, "src_port" | "dst_port") => 61_000 + self.bits(10),
                _ => self.bits(field.bits),
            };
            set.push((field.clone(), value));
        }
        if kind == Vlan && below != Some(Custom) && self.one_in(2) {
            // The tag types for which tshark shows the same fields.
            let tpid = self.pick(&[0x8100, 0x9100]);
            set.extend(kind.field("tpid").map(|field| (field.clone(), tpid)));
        }
        if kind == Gre && self.one_in(2) {
            set.extend(kind.field("checksum_present").map(|flag| (flag.clone(), 1)));
        }
        let options = self.options(kind, &mut set);
        Layer { kind, set, options, checksum: ChecksumMode::Good }
    }

    fn options(
        &mut self,
        kind: HeaderKind,
        set: &mut Vec<(xdp_trafficgen::packet::FieldDef, u128)>,
    ) -> Vec<u8> {
        // Router alert (RFC 2113) and no operation; for IPv6 (RFC 2711) and padding.
        const IPV4: [&[u8]; 4] = [&[], &[0x94, 4, 0, 0], &[1], &[1, 1, 0x94, 4, 0, 0]];
        const IPV6: [&[u8]; 5] =
            [&[], &[5, 2, 0, 0], &[1, 0], &[0, 0, 0, 0, 0], &[0x1e, 7, 1, 2, 3, 4, 5, 6, 7]];
        match kind {
            Ipv4 => self.pick(&IPV4).to_vec(),
            Ipv6HopByHop => self.pick(&IPV6[..4]).to_vec(),
            Ipv6Destination => self.pick(&IPV6).to_vec(),
            Ipv6Routing => {
                // Reserved bytes, or SRH's last entry, flags and tag; then addresses.
                let (routing_type, addresses) =
                    self.pick(&[(253, 0), (0, 2), (2, 1), (4, 1), (4, 3)]);
                let segments_left = self.below(addresses + 1);
                for (name, value) in
                    [("routing_type", routing_type), ("segments_left", segments_left as u128)]
                {
                    set.extend(kind.field(name).map(|field| (field.clone(), value)));
                }
                let last_entry =
                    if routing_type == 4 { u8::try_from(addresses - 1).expect("few") } else { 0 };
                let mut bytes = vec![last_entry, 0, 0, 0];
                for _ in 0..addresses {
                    // Unicast addresses, because a routing header must not contain others.
                    bytes.extend((0x2001_0db8_u128 << 96 | self.bits(96)).to_be_bytes());
                }
                bytes
            }
            Tcp if self.one_in(2) => {
                let elements = [
                    TcpOptionElement::MaximumSegmentSize(1460),
                    TcpOptionElement::SelectiveAcknowledgementPermitted,
                    TcpOptionElement::Timestamp(7, 0),
                    TcpOptionElement::Noop,
                    TcpOptionElement::WindowScale(7),
                ];
                let some = &elements[..=self.below(elements.len())];
                etherparse::TcpOptions::try_from_elements(some)
                    .expect("below 40 bytes")
                    .as_slice()
                    .to_vec()
            }
            Custom => (0..1 + self.below(20)).map(|_| 0xc5).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn payload(&mut self, last: HeaderKind) -> Payload {
        match self.below(4) {
            // tshark guesses what follows these from its first bits.
            _ if matches!(last, Mpls | Gtpv1) => Payload::Pattern(vec![0xde, 0xad, 0xbe]),
            0 => Payload::Increment(0),
            1 => Payload::Pattern(vec![0xde, 0xad, 0xbe]),
            2 => Payload::Random { seed: 5 },
            _ => Payload::Zeros,
        }
    }

    /// Bytes of a frame with so many bytes of headers, without FCS.
    pub(crate) fn frame_len(&mut self, headers: usize, last: HeaderKind) -> usize {
        // tshark dissects the payload of these, so there must be some.
        let looked_into =
            matches!(last, Mpls | Ipv6HopByHop | Ipv6Destination | Ipv6Routing | Ipv6Fragment);
        let least = headers + usize::from(looked_into);
        self.pick(&[60, 61, 124, 508, 1514, least, least + 1, least + 33]).max(least).max(60)
    }
}
