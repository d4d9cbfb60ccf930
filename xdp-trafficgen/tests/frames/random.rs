//! Random flows for the property test.

use std::ops::RangeInclusive;

use proptest::{collection::vec, option, prelude::*, sample::Index};
use xdp_trafficgen::packet::{FieldDef, HeaderKind};

use super::model::{Count, Flow, Header, KNOWN, Pattern, Payload, header_len};

/// A flow and the circumstances it is sent under.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) flow: Flow,
    /// The workers' CPUs, in their order.
    pub(crate) cpus: Vec<u32>,
    /// Which of the workers is looked at.
    pub(crate) worker: usize,
    pub(crate) action: &'static str,
    /// Which earlier frame's page each frame gets, modulo how many there are.
    pub(crate) pages: Vec<usize>,
}

/// Any case with `frames` frames to look at and frame sizes up to `largest_size`.
pub(crate) fn case(frames: usize, largest_size: u32) -> impl Strategy<Value = Case> {
    let cpus = Just(vec![0, 1, 2, 3]).prop_shuffle();
    let action = prop::sample::select(vec!["redirect", "tx", "pass", "drop"]);
    (flow(largest_size), cpus, 1..=4usize, any::<Index>(), action, vec(any::<usize>(), frames)).prop_map(
        |(flow, mut cpus, workers, worker, action, pages)| {
            cpus.truncate(workers);
            Case { flow, cpus, worker: worker.index(workers), action, pages }
        },
    )
}

fn flow(largest_size: u32) -> impl Strategy<Value = Flow> {
    let size = prop_oneof![2 => Just(64), 12 => 64..=1518u32, 1 => 1519..=largest_size, 1 => Just(largest_size)];
    let headers = stack().prop_flat_map(|kinds| kinds.into_iter().map(header).collect::<Vec<_>>());
    (headers, size, payload()).prop_map(|(headers, size, payload)| {
        let length: usize = headers.iter().map(|header| header_len(header.kind)).sum();
        let size = size.max(u32::try_from(length + 4).expect("short headers"));
        let room = size as usize - 4 - length;
        let payload = match payload {
            Payload::Hex(_) if room == 0 => Payload::Zeros,
            Payload::Hex(mut bytes) => {
                bytes.truncate(room);
                Payload::Hex(bytes)
            }
            payload => payload,
        };
        Flow { headers, size, payload }
    })
}

fn stack() -> impl Strategy<Value = Vec<HeaderKind>> {
    let network = prop_oneof![
        1 => Just(None),
        5 => Just(Some(HeaderKind::Ipv4)),
        5 => Just(Some(HeaderKind::Ipv6)),
    ];
    (0..=2usize, network, prop::bool::weighted(0.85)).prop_map(|(tags, network, udp)| {
        let mut kinds = vec![HeaderKind::Ethernet];
        kinds.extend(vec![HeaderKind::Vlan; tags]);
        kinds.extend(network);
        kinds.extend((udp && network.is_some()).then_some(HeaderKind::Udp));
        kinds
    })
}

fn header(kind: HeaderKind) -> impl Strategy<Value = Header> {
    let fields: Vec<_> = kind
        .fields()
        .iter()
        // Next protocols have a test of their own, and so have lengths, checksums and the like (tests/stacks.rs).
        .filter(|field| KNOWN.contains(&&*field.name))
        .map(|field| {
            // Without a destination the plan wants a neighbour.
            let pattern = if (kind, &*field.name) == (HeaderKind::Ethernet, "dst") {
                pattern(field).prop_map(Some).boxed()
            } else {
                option::weighted(0.55, pattern(field)).boxed()
            };
            pattern.prop_map(move |pattern| pattern.map(|pattern| (field, pattern)))
        })
        .collect();
    fields.prop_map(move |fields| Header { kind, fields: fields.into_iter().flatten().collect() })
}

fn payload() -> impl Strategy<Value = Payload> {
    let bytes = vec(any::<u8>(), 1..60);
    prop_oneof![Just(Payload::Zeros), bytes.clone().prop_map(Payload::Pattern), bytes.prop_map(Payload::Hex)]
}

fn pattern(field: &'static FieldDef) -> impl Strategy<Value = Pattern> {
    let max = field.max();
    prop_oneof![
        1 => value(field).prop_map(Pattern::Value),
        2 => vec(value(field), 1..=9).prop_map(Pattern::Values),
        2 => counting(field).prop_map(Pattern::Increment),
        // An increment in the mirror.
        2 => counting(field).prop_map(move |up| Pattern::Decrement(Count { start: max - up.start, ..up })),
        2 => (value(field), value(field), any::<u64>())
            .prop_map(|(a, b, seed)| Pattern::Random { min: a.min(b), max: a.max(b), seed }),
        // As many values as a power of two.
        1 => (value(field), 0..field.bits, any::<u64>()).prop_map(move |(min, shift, seed)| {
            let min = min.min(max - (max >> shift));
            Pattern::Random { min, max: min + (max >> shift), seed }
        }),
    ]
}

/// Any magnitude is as likely as any other; the ends are likelier.
fn value(field: &'static FieldDef) -> impl Strategy<Value = u128> {
    prop_oneof![
        1 => Just(0),
        1 => Just(field.max()),
        8 => (any::<u128>(), 0..field.bits).prop_map(|(bits, shift)| (bits & field.max()) >> shift),
    ]
}

/// Counting up within the field: a few values, which come round while the test looks, or very many.
fn counting(field: &'static FieldDef) -> impl Strategy<Value = Count> {
    const FEW: RangeInclusive<u64> = 1..=50;
    (value(field), value(field), prop_oneof![3 => FEW, 1 => 1..=u64::MAX]).prop_map(|(start, step, count)| {
        let room = field.max() - start;
        let moves = u128::from(count - 1).min(room);
        let step = room.checked_div(moves).map_or(step, |most| 1 + step % most);
        Count { start, step, count: u64::try_from(moves + 1).expect("at most count") }
    })
}
