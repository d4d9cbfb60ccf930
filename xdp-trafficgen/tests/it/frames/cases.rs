//! Random flows and the circumstances they are sent under: any stack of headers, any field, any
//! pattern.

use std::ops::RangeInclusive;

use proptest::{collection::vec, option, prelude::*, sample::Index};
use xdp_trafficgen::packet::{
    FieldDef,
    HeaderKind::{
        self, Custom, Ethernet, Gre, Gtpv1, Ipv4, Ipv6Destination, Ipv6HopByHop, Ipv6Routing, Tcp,
        Vlan,
    },
};

use super::model::{
    Advance, At, Checksum, Count, Flow, Follow, Header, Pattern, Payload, Setting, Size,
    genome_size,
};

/// Flows of a port and the circumstances they are sent under.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) flows: Vec<Flow>,
    /// The workers' CPUs, in their order.
    pub(crate) cpus: Vec<u32>,
    /// Index of the worker whose frames are checked.
    pub(crate) worker: usize,
    pub(crate) action: &'static str,
    /// One page for each frame.
    pub(crate) pages: Vec<Page>,
}

/// What a page holds when it is given to the program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    /// The template, with which the kernel fills new pages.
    Fresh,
    /// An earlier frame of any flow: this number modulo how many there are. The kernel recycles
    /// pages in no particular order.
    Earlier(usize),
    /// Arbitrary bytes: those of the template, each XORed with this one.
    Foreign(u8),
}

/// Any case with so many `flows` and `frames`, and frame sizes up to `largest_size`.
pub(crate) fn case(
    flows: RangeInclusive<usize>,
    frames: usize,
    largest_size: u32,
) -> impl Strategy<Value = Case> {
    let cpus = Just(vec![0, 1, 2, 3]).prop_shuffle();
    let action = prop::sample::select(vec!["redirect", "tx", "pass", "drop"]);
    let flows = vec(flow(largest_size), flows);
    (flows, cpus, 1..=4usize, any::<Index>(), action, vec(page(), frames)).prop_map(
        |(flows, mut cpus, workers, worker, action, pages)| {
            cpus.truncate(workers);
            Case { flows, cpus, worker: worker.index(workers), action, pages }
        },
    )
}

fn page() -> impl Strategy<Value = Page> {
    prop_oneof![
        2 => Just(Page::Fresh),
        5 => any::<usize>().prop_map(Page::Earlier),
        1 => any::<u8>().prop_map(Page::Foreign),
    ]
}

/// Any flow that a configuration file can ask for; not all of them are within the program's limits.
pub(crate) fn flow(largest_size: u32) -> impl Strategy<Value = Flow> {
    // How likely each field is to be set.
    let density = prop::sample::select(vec![0.04, 0.12, 0.4]);
    let headers = (stack(), density).prop_flat_map(|(kinds, density)| {
        let headers = (0..kinds.len()).map(|index| header(&kinds, index, density));
        headers.collect::<Vec<_>>()
    });
    let follows = vec(any::<(Index, Index, u8)>(), 0..4);
    (headers, bits(), follows, size(), payload(), 1..=5u32).prop_map(
        move |(headers, bits, follows, size, payload, weight)| {
            let mut flow = Flow { headers, size: Size::Fixed(64), payload: Payload::Zeros, weight };
            // Bits in the bytes of the last `custom` header, and in the payload.
            let mut end = 0;
            if let Some(header) = flow.headers.iter().position(|header| header.kind == Custom) {
                end = add_bits(&mut flow, header, &bits);
            }
            for (follower, leader, form) in follows {
                let all: Vec<At> = flow.settings().collect();
                if all.len() > 1 {
                    let (follower, leader) =
                        (all[follower.index(all.len())], all[leader.index(all.len())]);
                    follow(&mut flow, follower, leader, form);
                }
            }
            let least =
                64.max(u32::try_from(flow.header_len().max(end)).expect("short headers") + 4);
            flow.size = fitted(size, least, largest_size);
            let room = flow.size.smallest() as usize - 4 - flow.header_len();
            flow.payload = match payload {
                Payload::Hex(_) | Payload::Text(_) if room == 0 => Payload::Zeros,
                Payload::Hex(mut bytes) => {
                    bytes.truncate(room);
                    Payload::Hex(bytes)
                }
                Payload::Text(mut text) => {
                    text.truncate(room);
                    Payload::Text(text)
                }
                payload => payload,
            };
            flow
        },
    )
}

/// Flows with anything wrong: headers out of order, options that do not fit, fields that decide
/// which parts exist, sizes that are too small or too large, weights without bounds.
pub(crate) fn wild() -> impl Strategy<Value = Flow> {
    let any_field = (any::<Index>(), any::<Index>(), any::<Index>())
        .prop_flat_map(|(header, kind, field)| {
            let kind = HeaderKind::ALL[kind.index(HeaderKind::ALL.len())];
            let fields = kind.fields();
            let field = fields.get(field.index(fields.len().max(1))).cloned();
            let pattern = field
                .as_ref()
                .map_or_else(|| Just(Pattern::Value(0)).boxed(), |field| pattern(field).boxed());
            (Just((header, kind, field)), pattern)
        })
        .prop_map(|((header, kind, field), pattern)| {
            (header, kind, field.map(|field| (field, pattern)))
        });
    let options = (any::<Index>(), vec(any::<u8>(), 0..300));
    let follows = vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..3);
    let size = prop_oneof![64..2000u32, 64..=65_535u32].prop_map(Size::Fixed);
    let weight = prop_oneof![4 => 1..=9u32, 1 => any::<u32>()];
    let edits = (
        vec(any_field, 0..4),
        option::of(options),
        follows,
        option::of(size),
        weight,
        any::<Option<Index>>(),
    );
    (flow(9000), edits).prop_map(|(mut flow, (fields, options, follows, size, weight, moved))| {
        for (header, kind, field) in fields {
            // Into any header, or before one of its own fields.
            let at = header.index(flow.headers.len());
            if flow.headers[at].kind != kind {
                flow.headers.insert(
                    at,
                    Header { kind, fields: Vec::new(), options: Vec::new(), checksum: None },
                );
            }
            let header = &mut flow.headers[at];
            if let Some((field, pattern)) = field.filter(|(field, _)| !header.sets(&field.name)) {
                header.fields.push(Setting { field, pattern, follow: None });
            }
        }
        if let Some((header, bytes)) = options {
            let at = header.index(flow.headers.len());
            if flow.headers[at].kind.options().is_some() {
                flow.headers[at].options = bytes;
            }
        }
        // The insertion has shifted the indices.
        let all: Vec<At> = flow.settings().collect();
        for &(header, field) in &all {
            flow.headers[header].fields[field].follow = None;
        }
        for (follower, leader, is_step) in follows {
            if let [_, ..] = &all[..] {
                let ((header, field), leader) =
                    (all[follower.index(all.len())], all[leader.index(all.len())]);
                let pace = if is_step { Advance::Step } else { Advance::Round };
                flow.headers[header].fields[field].follow = Some(Follow { leader, pace });
            }
        }
        if let Some(moved) = moved {
            let middle = moved.index(flow.headers.len());
            if all.iter().all(|&at| flow.setting(at).follow.is_none()) {
                flow.headers.rotate_left(middle);
            }
        }
        Flow { size: size.unwrap_or(flow.size), weight: weight.max(1), ..flow }
    })
}

/// Kinds of headers that can follow each other.
fn stack() -> impl Strategy<Value = Vec<HeaderKind>> {
    let first = prop_oneof![9 => Just(Ethernet), 1 => Just(Custom)];
    (first, vec(any::<Index>(), 0..8)).prop_map(|(first, picks)| {
        let mut kinds = vec![first];
        for pick in picks {
            let last = kinds[kinds.len() - 1];
            let next: Vec<_> = HeaderKind::ALL
                .into_iter()
                .filter(|kind| {
                    kind.follows().any(|below| below == last) || (last == Custom && *kind != Custom)
                })
                .filter(|kind| *kind != Custom || !kinds.contains(&Custom))
                .collect();
            if !next.is_empty() {
                kinds.push(next[pick.index(next.len())]);
            }
        }
        kinds
    })
}

fn header(
    kinds: &[HeaderKind],
    index: usize,
    density: f64,
) -> impl Strategy<Value = Header> + use<> {
    let kind = kinds[index];
    let below = index.checked_sub(1).map(|below| kinds[below]);
    let next = kinds.get(index + 1).copied();
    let fields: Vec<_> = kind
        .fields()
        .iter()
        .filter(|field| match (kind, &*field.name) {
            // These fields decide which parts there are, or which address a checksum covers.
            (Gre, name) => !name.ends_with("_present"),
            (Gtpv1, name) => !name.ends_with("_flag"),
            (Ipv6Routing, name) => !matches!(name, "routing_type" | "segments_left"),
            // The same bits as the field of the header before, if that has one.
            (Vlan, "tpid") => matches!(below, Some(Ethernet | Vlan)),
            (Ethernet | Vlan, "ether_type") => next != Some(Vlan),
            _ => true,
        })
        .map(|field| {
            // Without a destination address, the plan would ask for a neighbour.
            let pattern = if index == 0 && (kind, &*field.name) == (Ethernet, "dst") {
                pattern(field).prop_map(Some).boxed()
            } else {
                option::weighted(density, pattern(field)).boxed()
            };
            let field = field.clone();
            pattern.prop_map(move |pattern| {
                pattern.map(|pattern| Setting { field: field.clone(), pattern, follow: None })
            })
        })
        .collect();
    let checksum = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Checksum::Good)),
        2 => Just(Some(Checksum::Bad)),
    ];
    (fields, options(kind), checksum).prop_map(move |(fields, options, checksum)| {
        let fields: Vec<Setting> = fields.into_iter().flatten().collect();
        let set = kind
            .checksum_field()
            .is_none_or(|field| fields.iter().any(|setting| setting.field == *field));
        Header { kind, fields, options, checksum: if set { None } else { checksum } }
    })
}

/// Options of a length that needs no padding.
fn options(kind: HeaderKind) -> BoxedStrategy<Vec<u8>> {
    let of_len = |lens: &[usize]| {
        let lens = lens.to_vec();
        prop::sample::select(lens).prop_flat_map(|len| vec(any::<u8>(), len)).boxed()
    };
    match kind {
        Ipv4 | Tcp => of_len(&[0, 0, 4, 12, 40]),
        Ipv6HopByHop | Ipv6Destination => of_len(&[0, 6, 14]),
        Ipv6Routing => of_len(&[0, 4, 20]),
        Custom => of_len(&[1, 2, 7, 16, 33]),
        _ => Just(Vec::new()).boxed(),
    }
}

/// Bit fields that follow each other: a gap, a number of bits, and their pattern.
fn bits() -> impl Strategy<Value = Vec<(u32, Pattern, u32)>> {
    let some =
        (0..20u32, prop_oneof![3 => 1..=20u32, 1 => 1..=64u32]).prop_flat_map(|(gap, bits)| {
            pattern(&FieldDef::bits("bits".into(), 0, bits))
                .prop_map(move |pattern| (gap, pattern, bits))
        });
    vec(some, 0..4)
}

/// Adds bit fields to a header without fields of its own and, if it is the last one, behind it.
/// Returns their bytes' offset from the frame's start.
fn add_bits(flow: &mut Flow, header: usize, bits: &[(u32, Pattern, u32)]) -> usize {
    let is_last = header + 1 == flow.headers.len();
    let own = u32::try_from(8 * flow.headers[header].options.len()).expect("short");
    let start = flow.header_len()
        - if is_last { flow.headers[header].options.len() } else { flow.header_len() };
    let mut at = 0;
    for (gap, pattern, bits) in bits {
        if at + gap + bits > own && !is_last {
            break;
        }
        let fields = &mut flow.headers[header].fields;
        let name = format!("bits[{}]", fields.len()).into();
        let field = FieldDef::bits(name, (at + gap).cast_signed(), *bits);
        fields.push(Setting { field, pattern: pattern.clone(), follow: None });
        at += gap + bits;
    }
    start + at.div_ceil(8) as usize
}

/// Makes `follower` follow `leader`, with a pattern of as many values, where that is possible.
fn follow(flow: &mut Flow, follower: At, leader: At, form: u8) {
    let chain = |flow: &Flow, mut at: At| {
        let mut chain = vec![at];
        while let Some(Follow { leader, .. }) = flow.setting(at).follow {
            chain.push(leader);
            at = leader;
        }
        chain
    };
    let (own, led) = (flow.setting(follower).clone(), flow.setting(leader).pattern.clone());
    let followed = flow
        .settings()
        .any(|at| flow.setting(at).follow.is_some_and(|other| other.leader == follower));
    let leaders = chain(flow, leader);
    if own.follow.is_some() || followed || leaders.contains(&follower) || led.value_count() == 1 {
        return;
    }
    let max = own.field.max();
    let (pattern, pace) = if form.is_multiple_of(2) {
        let frames = leaders.iter().try_fold(1u128, |frames, &at| {
            let pattern = &flow.setting(at).pattern;
            frames
                .checked_mul(pattern.value_count())
                .filter(|frames| !pattern.is_endless() && *frames < 1 << 60)
        });
        if frames.is_none() || own.pattern.is_endless() || own.pattern.value_count() == 1 {
            return;
        }
        (own.pattern, Advance::Round)
    } else {
        let last = led.value_count().wrapping_sub(1);
        if last > max {
            return;
        }
        let count = u64::try_from(last).ok().and_then(|last| last.checked_add(1));
        let start = own.pattern.value_count().wrapping_mul(7).min(max - last);
        let pattern = match (form / 2 % 4, count) {
            (0, Some(count)) => Pattern::Increment(Count { start, step: 1, count }),
            (1, Some(count)) => Pattern::Decrement(Count { start: start + last, step: 1, count }),
            (2, Some(count)) if count < 40 => Pattern::Values(
                (0..count).map(|index| u128::from(index * 0x1234_5677) & max).collect(),
            ),
            (_, Some(count)) if !led.is_endless() && count < 1000 => Pattern::Random {
                min: 0,
                max: max / 3,
                seed: Some(form.into()),
                count: Some(count),
            },
            _ if led.is_endless() => {
                Pattern::Random { min: start, max: start + last, seed: None, count: None }
            }
            _ => return,
        };
        (pattern, Advance::Step)
    };
    let setting = &mut flow.headers[follower.0].fields[follower.1];
    setting.pattern = pattern;
    setting.follow = Some(Follow { leader, pace });
}

/// Sizes as distances from the smallest possible one.
fn size() -> impl Strategy<Value = Size> {
    let extra = || prop_oneof![2 => Just(0), 4 => 0..300u32, 2 => 0..1500u32, 1 => 0..4000u32];
    prop_oneof![
        6 => extra().prop_map(Size::Fixed),
        1 => (extra(), extra(), 1..200u32).prop_map(|(a, b, step)| Size::Increment {
            start: a.min(b),
            end: a.max(b),
            step
        }),
        1 => (extra(), extra(), any::<Option<u64>>()).prop_map(|(a, b, seed)| Size::Random {
            min: a.min(b),
            max: a.max(b),
            seed
        }),
        1 => vec((extra(), 1..12u32), 1..5).prop_map(Size::Weighted),
        1 => ("[a-hz]{1,9}", extra()).prop_map(|(letters, z)| Size::Genome(letters, z)),
    ]
}

fn fitted(size: Size, least: u32, largest: u32) -> Size {
    let fit = |extra: u32| (least + extra).min(largest);
    match size {
        Size::Fixed(extra) => Size::Fixed(fit(extra)),
        Size::Increment { start, end, step } => {
            Size::Increment { start: fit(start), end: fit(end), step }
        }
        Size::Random { min, max, seed } => Size::Random { min: fit(min), max: fit(max), seed },
        Size::Weighted(sizes) => {
            Size::Weighted(sizes.into_iter().map(|(size, weight)| (fit(size), weight)).collect())
        }
        Size::Genome(letters, z) => {
            let fits = |letter: &u8| (least..=largest).contains(&genome_size(*letter, fit(z)));
            let letters: String = letters
                .bytes()
                .map(|letter| if fits(&letter) { letter } else { b'z' } as char)
                .collect();
            Size::Genome(letters, fit(z))
        }
    }
}

fn payload() -> impl Strategy<Value = Payload> {
    let bytes = vec(any::<u8>(), 1..60);
    prop_oneof![
        3 => Just(Payload::Zeros),
        1 => bytes.clone().prop_map(Payload::Pattern),
        1 => bytes.prop_map(Payload::Hex),
        1 => "[a-z ]{1,40}".prop_map(Payload::Text),
        1 => any::<u8>().prop_map(Payload::Increment),
        1 => any::<u64>().prop_map(Payload::Random),
    ]
}

fn pattern(field: &FieldDef) -> impl Strategy<Value = Pattern> + use<> {
    let (max, bits) = (field.max(), field.bits);
    let seed = || any::<Option<u64>>();
    let count = || option::of(prop_oneof![1..=40u64, Just(1)]);
    prop_oneof![
        2 => value(max, bits).prop_map(Pattern::Value),
        2 => vec(value(max, bits), 1..=9).prop_map(Pattern::Values),
        2 => counting(max, bits).prop_map(Pattern::Increment),
        // An increment, reversed.
        2 => counting(max, bits).prop_map(move |up| Pattern::Decrement(Count { start: max - up.start, ..up })),
        2 => (value(max, bits), value(max, bits), seed(), count())
            .prop_map(|(a, b, seed, count)| Pattern::Random { min: a.min(b), max: a.max(b), seed, count }),
        // A number of values that is a power of two.
        1 => (value(max, bits), 0..bits, seed(), count()).prop_map(move |(min, shift, seed, count)| {
            let min = min.min(max - (max >> shift));
            Pattern::Random { min, max: min + (max >> shift), seed, count }
        }),
    ]
}

/// Every magnitude is equally likely; the two ends are likelier.
fn value(max: u128, bits: u32) -> impl Strategy<Value = u128> {
    prop_oneof![
        1 => Just(0),
        1 => Just(max),
        8 => (any::<u128>(), 0..bits).prop_map(move |(bits, shift)| (bits & max) >> shift),
    ]
}

/// Counting up within the field: a few values, which repeat within the test, or very many.
fn counting(max: u128, bits: u32) -> impl Strategy<Value = Count> {
    const FEW: RangeInclusive<u64> = 1..=50;
    (value(max, bits), value(max, bits), prop_oneof![3 => FEW, 1 => 1..=u64::MAX]).prop_map(
        move |(start, step, count)| {
            let room = max - start;
            let moves = u128::from(count - 1).min(room);
            let step = room.checked_div(moves).map_or(step, |most| 1 + step % most);
            Count { start, step, count: u64::try_from(moves + 1).expect("at most count") }
        },
    )
}
