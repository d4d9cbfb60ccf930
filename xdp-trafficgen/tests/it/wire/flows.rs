//! Flows of different layouts, sizes and payloads whose frames identify themselves: the source MAC
//! address holds the flow and the frame's number in it.

use xdp_trafficgen::packet::HeaderKind::{
    Ethernet, Gtpv1, Icmp, Ipv4, Ipv6, Mpls, Tcp, Udp, Vlan, Vxlan,
};

use crate::frames::model::{
    Advance, Count, Flow, Follow, Pattern, Payload, Size, decrement, flow, increment, random,
};

/// Identifies a frame.
pub(crate) struct Sent {
    pub(crate) flow: usize,
    pub(crate) number: u64,
}

/// Number of frames after which the first flow repeats.
const PERIOD: u64 = 100;

/// The number that a frame states.
pub(crate) fn numbered(flow: usize, number: u64) -> u64 {
    if flow == 0 { number % PERIOD } else { number }
}

/// The flow and the number that a frame states; the rest of the frame is not checked.
#[track_caller]
pub(crate) fn identify(flows: &[Flow], frame: &[u8]) -> Sent {
    let &[0x02, flow, a, b, c, d] = &frame[6..12] else { panic!("a foreign frame: {frame:02x?}") };
    let flow = usize::from(flow);
    assert!(flow < flows.len(), "a foreign frame: {frame:02x?}");
    Sent { flow, number: u32::from_be_bytes([a, b, c, d]).into() }
}

/// One recorded flow, and others that are computed, each in its own way.
pub(crate) fn mixed() -> Vec<Flow> {
    let mac = |flow: u128, count| ("src", increment(0x0200_0000_0000 | flow << 32, 1, count));
    let all = 1 << 32;
    let to = ("dst", Pattern::Value(0x0200_0000_0002));
    let mut recorded = flow(
        64,
        &[
            (Ethernet, &[to.clone(), mac(0, PERIOD)]),
            (Ipv4, &[("src", increment(0x0a00_0001, 1, 20))]),
            (Udp, &[("dst_port", decrement(9999, 3, 25))]),
        ],
    );
    recorded.weight = 5;

    let mut tagged = flow(
        64,
        &[
            (Ethernet, &[to.clone(), mac(1, all)]),
            (Vlan, &[("id", random(1, 4094, 3)), ("priority", increment(0, 1, 8))]),
            (
                Ipv6,
                &[
                    ("src", random(1 << 120, (1 << 120) + (1 << 80), 4)),
                    ("flow_label", random(0, 0xf_ffff, 8)),
                ],
            ),
            (Tcp, &[("seq_num", increment(0, 1000, 4_000_000)), ("ctl_syn", increment(0, 1, 2))]),
        ],
    );
    tagged.size = Size::Random { min: 90, max: 700, seed: Some(9) };
    tagged.payload = Payload::Pattern(vec![0xde, 0xad, 0xbe]);
    tagged.weight = 3;

    let mut tunnelled = flow(
        64,
        &[
            (Ethernet, &[to.clone(), mac(2, all)]),
            (Ipv4, &[("dst", increment(0x0a01_0000, 1, 256))]),
            (Udp, &[("src_port", random(49152, 65535, 5))]),
            (Vxlan, &[("vni", increment(1, 1, 1000))]),
            (Ethernet, &[]),
            (
                Ipv4,
                &[("src", increment(0x0a02_0000, 1, 16)), ("identification", random(0, 65535, 6))],
            ),
            (Udp, &[("dst_port", Pattern::Values(vec![53, 123, 443]))]),
        ],
    );
    // The product of addresses and ports.
    tunnelled.headers[6].fields[0].follow = Some(Follow { leader: (5, 0), pace: Advance::Round });
    tunnelled.size = Size::Weighted(vec![(110, 7), (570, 4), (1400, 1)]);
    tunnelled.payload = Payload::Increment(7);
    tunnelled.weight = 2;

    let mut labelled = flow(
        64,
        &[
            (Ethernet, &[to.clone(), mac(3, all)]),
            // The receiver must know the header in front of the label: otherwise tcpdump would see
            // the frame after later ones, because a list of received frames is given to protocols
            // first (`__netif_receive_skb_list_core`).
            (Ipv4, &[]),
            (Mpls, &[("label", random(16, 0xf_ffff, 7))]),
            (Ipv4, &[("time_to_live", decrement(255, 1, 200))]),
            (Icmp, &[("sequence_number", increment(0, 1, 65536))]),
        ],
    );
    labelled.size = Size::Increment { start: 90, end: 1090, step: 37 };
    labelled.payload = Payload::Text("a brown fox".to_owned());

    let mut mobile = flow(
        333,
        &[
            (Ethernet, &[to, mac(4, all)]),
            (
                Ipv6,
                &[("dst", Pattern::Increment(Count { start: 1 << 100, step: 1 << 64, count: 9 }))],
            ),
            (Udp, &[]),
            (Gtpv1, &[("teid", random(0, 0xffff_ffff, 8))]),
            (
                Ipv4,
                &[
                    ("src", random(0x0a00_0000, 0x0a00_ffff, 1)),
                    ("dst", increment(0x0a09_0000, 1, 65536)),
                ],
            ),
            (Tcp, &[("window", random(1, 65535, 2))]),
        ],
    );
    // In step with a random field.
    mobile.headers[4].fields[1].follow = Some(Follow { leader: (4, 0), pace: Advance::Step });
    mobile.payload = Payload::Random(11);
    mobile.weight = 4;
    vec![recorded, tagged, tunnelled, labelled, mobile]
}
