//! The oracle: the frames that a flow stands for, computed in the plainest way.
//!
//! The oracle shares with the code under test only the names and offsets of fields and one
//! documented constant of the random sequence. It knows neither eBPF nor the kernel. etherparse
//! confirms it for simple stacks (`rig.rs`), tshark for all others (`tests/it/stacks.rs`).

mod headers;
pub(crate) mod text;

use std::net::{Ipv4Addr, Ipv6Addr};

use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng as _, SeedableRng as _},
};
use xdp_trafficgen::packet::{FieldDef, HeaderKind};
use xdp_trafficgen_ebpf::random::WIDE_SEED;

/// Address of the interface that frames leave by: the value of `src` where it is not set.
pub(crate) const LINK_MAC: u128 = 0x0200_0000_0099;

/// Fields that do not decide what follows.
const SIMPLE: [&str; 14] = [
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
    pub(crate) size: Size,
    pub(crate) payload: Payload,
    pub(crate) weight: u32,
}

/// A header and which of its fields are set.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) kind: HeaderKind,
    /// The fields set. Those named `bits[0]`, `bits[1]`, … are bits at any offset.
    pub(crate) fields: Vec<Setting>,
    /// Options that need no padding, or the bytes of `custom`.
    pub(crate) options: Vec<u8>,
    /// What the file says of the checksum, if anything.
    pub(crate) checksum: Option<Checksum>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Good,
    Bad,
}

#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) field: FieldDef,
    pub(crate) pattern: Pattern,
    pub(crate) follow: Option<Follow>,
}

/// Indices of a header, and of a field among its settings.
pub(crate) type At = (usize, usize);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Follow {
    pub(crate) leader: At,
    pub(crate) pace: Advance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    Step,
    Round,
}

/// Bytes on the wire, FCS included.
#[derive(Clone, Debug)]
pub(crate) enum Size {
    Fixed(u32),
    Increment {
        start: u32,
        end: u32,
        step: u32,
    },
    Random {
        min: u32,
        max: u32,
        seed: Option<u64>,
    },
    /// Sizes and weights.
    Weighted(Vec<(u32, u32)>),
    /// Letters of RFC 6985, and the size of `z`.
    Genome(String, u32),
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Zeros,
    Pattern(Vec<u8>),
    Hex(Vec<u8>),
    Text(String),
    Increment(u8),
    Random(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Value(u128),
    Values(Vec<u128>),
    Increment(Count),
    Decrement(Count),
    Random { min: u128, max: u128, seed: Option<u64>, count: Option<u64> },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) start: u128,
    pub(crate) step: u128,
    pub(crate) count: u64,
}

pub(crate) type Fields<'a> = &'a [(&'a str, Pattern)];

/// A flow of zeros behind `headers`; an Ethernet destination is added where none is set.
pub(crate) fn flow(size: u32, headers: &[(HeaderKind, Fields<'_>)]) -> Flow {
    let headers = headers
        .iter()
        .map(|(kind, fields)| {
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(name, pattern)| setting(*kind, name, pattern.clone()))
                .collect();
            if *kind == HeaderKind::Ethernet
                && fields.iter().all(|setting| setting.field.name != "dst")
            {
                fields.push(setting(HeaderKind::Ethernet, "dst", Pattern::Value(0x0200_0000_0001)));
            }
            Header { kind: *kind, fields, options: Vec::new(), checksum: None }
        })
        .collect();
    Flow { headers, size: Size::Fixed(size), payload: Payload::Zeros, weight: 1 }
}

pub(crate) fn setting(kind: HeaderKind, name: &str, pattern: Pattern) -> Setting {
    let field = kind.field(name).unwrap_or_else(|| panic!("{} has no {name}", kind.name())).clone();
    Setting { field, pattern, follow: None }
}

pub(crate) fn increment(start: u128, step: u128, count: u64) -> Pattern {
    Pattern::Increment(Count { start, step, count })
}

pub(crate) fn decrement(start: u128, step: u128, count: u64) -> Pattern {
    Pattern::Decrement(Count { start, step, count })
}

pub(crate) fn random(min: u128, max: u128, seed: u64) -> Pattern {
    Pattern::Random { min, max, seed: Some(seed), count: None }
}

impl Flow {
    /// Frame `number` of the flow, without FCS.
    pub(crate) fn frame(&self, number: u64) -> Vec<u8> {
        self.encode(self.size.at(number), |at| self.value(at, number))
    }

    /// What the plan's template must be: the longest frame, with every field at its first value and
    /// random ones at their smallest.
    pub(crate) fn template(&self) -> Vec<u8> {
        self.encode(self.size.largest(), |at| self.setting(at).pattern.first())
    }

    /// Whether etherparse decodes the frame to its end: every header names the next one, and none
    /// has anything unusual.
    pub(crate) fn is_simple(&self) -> bool {
        let is_ip = |header: &&Header| matches!(header.kind, HeaderKind::Ipv4 | HeaderKind::Ipv6);
        self.headers.iter().filter(is_ip).count() < 2
            && self.headers.iter().all(|header| {
                let known = |setting: &Setting| SIMPLE.contains(&&*setting.field.name);
                let kind = matches!(
                    header.kind,
                    HeaderKind::Ethernet
                        | HeaderKind::Vlan
                        | HeaderKind::Ipv4
                        | HeaderKind::Ipv6
                        | HeaderKind::Udp
                );
                kind && header.checksum != Some(Checksum::Bad)
                    && header.options.is_empty()
                    && header.fields.iter().all(known)
            })
    }

    /// Bytes from the frame's start that the program must write whatever the page holds: all
    /// headers, as far as the frame has room for them, and all that varies.
    pub(crate) fn written(&self) -> usize {
        let ends = self.settings().filter(|&at| self.setting(at).pattern.varies()).map(|at| {
            let end = self.first_bit(at) + self.setting(at).field.bits as usize;
            end.div_ceil(8)
        });
        ends.fold(self.header_len().min(250), usize::max)
    }

    pub(crate) fn header_len(&self) -> usize {
        (0..self.headers.len()).map(|index| headers::bytes(self, index).len()).sum()
    }

    /// Where a header starts.
    fn start(&self, header: usize) -> usize {
        (0..header).map(|index| headers::bytes(self, index).len()).sum()
    }

    pub(crate) fn setting(&self, (header, field): At) -> &Setting {
        &self.headers[header].fields[field]
    }

    /// All settings, outer to inner, in the order written.
    pub(crate) fn settings(&self) -> impl Iterator<Item = At> {
        let headers = self.headers.iter().enumerate();
        headers
            .flat_map(|(index, header)| (0..header.fields.len()).map(move |field| (index, field)))
    }

    /// Where a field starts, in bits from the frame's start.
    pub(crate) fn first_bit(&self, at: At) -> usize {
        let offset = headers::bit_offset(&self.headers[at.0], &self.setting(at).field);
        usize::try_from(8 * i64::try_from(self.start(at.0)).expect("a page") + offset)
            .expect("within the frame")
    }

    /// The value of a field in frame `number`.
    fn value(&self, at: At, number: u64) -> u128 {
        let index = self.index(at, number);
        match &self.setting(at).pattern {
            Pattern::Value(value) => *value,
            Pattern::Values(values) => {
                values[usize::try_from(index % values.len() as u128).expect("an index")]
            }
            Pattern::Increment(Count { start, step, count }) => {
                start + step * (index % u128::from(*count))
            }
            Pattern::Decrement(Count { start, step, count }) => {
                start - step * (index % u128::from(*count))
            }
            &Pattern::Random { min, max, count: Some(count), .. } => {
                let number = u64::try_from(index % u128::from(count)).expect("below the count");
                min + draw(max - min > NARROW, max - min, self.seed(at), number)
            }
            &Pattern::Random { min, max, count: None, .. } => {
                assert!(index <= max - min, "the model leaves its own limits");
                min + index
            }
        }
    }

    /// Index of a field's value in its pattern: unbounded where the pattern counts; for random
    /// patterns, the number drawn.
    fn index(&self, at: At, number: u64) -> u128 {
        let own = self.setting(at);
        match (own.follow, &own.pattern) {
            (Some(Follow { leader, pace: Advance::Step }), _) => self.index(leader, number),
            (Some(Follow { leader, pace: Advance::Round }), _) => {
                self.index(leader, number) / self.setting(leader).pattern.value_count()
            }
            (None, &Pattern::Random { min, max, count: None, .. }) => {
                draw(self.draws_wide(at), max - min, self.seed(at), number)
            }
            (None, _) => number.into(),
        }
    }

    /// A field of many bits or bytes is drawn with 128 random bits, unless it has a narrower
    /// follower.
    fn draws_wide(&self, root: At) -> bool {
        let wide = |at: At| {
            let (first, bits) = (self.first_bit(at), self.setting(at).field.bits as usize);
            bits > 62 || (first + bits).div_ceil(8) - first / 8 > 8
        };
        let too_many = self.setting(root).pattern.value_count().wrapping_sub(1) > NARROW;
        let along = self.settings().filter(|&at| self.step_root(at) == root);
        wide(root)
            && (too_many
                || along.into_iter().all(|at| wide(at) && self.setting(at).pattern.is_endless()))
    }

    fn step_root(&self, mut at: At) -> At {
        while let Some(Follow { leader, pace: Advance::Step }) = self.setting(at).follow {
            at = leader;
        }
        at
    }

    /// The default is a field's place, so that no two fields draw the same numbers.
    fn seed(&self, at: At) -> u64 {
        match self.setting(at).pattern {
            Pattern::Random { seed: Some(seed), .. } => seed,
            _ => self.first_bit(at) as u64,
        }
    }

    fn encode(&self, size: u32, pick: impl Fn(At) -> u128) -> Vec<u8> {
        let mut frame: Vec<u8> =
            (0..self.headers.len()).flat_map(|index| headers::bytes(self, index)).collect();
        let frame_len = size as usize - 4;
        frame.extend(self.payload.bytes(frame_len - frame.len()));
        for (index, header) in self.headers.iter().enumerate() {
            headers::write_length(header.kind, &mut frame[self.start(index)..]);
        }
        for at in self.settings() {
            write_bits(&mut frame, self.first_bit(at), self.setting(at).field.bits, pick(at));
        }
        // Inner checksums first, because outer ones cover them.
        for index in (0..self.headers.len()).rev() {
            headers::write_checksum(self, index, self.start(index), &mut frame);
        }
        frame
    }
}

impl Header {
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.fields.iter().any(|setting| setting.field.name == name)
    }
}

impl Pattern {
    /// Whether a frame can have another value than the first (of random fields: than the smallest).
    fn varies(&self) -> bool {
        self.value_count() != 1 || matches!(self, Self::Random { min, max, .. } if min != max)
    }

    pub(crate) fn is_endless(&self) -> bool {
        matches!(self, Self::Random { count: None, .. })
    }

    /// The number of values; 0 stands for 2¹²⁸.
    pub(crate) fn value_count(&self) -> u128 {
        match self {
            Self::Value(_) => 1,
            Self::Values(values) => values.len() as u128,
            Self::Increment(count) | Self::Decrement(count) => count.count.into(),
            Self::Random { count: Some(count), .. } => (*count).into(),
            Self::Random { min, max, .. } => (max - min).wrapping_add(1),
        }
    }

    fn first(&self) -> u128 {
        match self {
            Self::Value(value) => *value,
            Self::Values(values) => values[0],
            Self::Increment(count) | Self::Decrement(count) => count.start,
            Self::Random { min, .. } => *min,
        }
    }
}

impl Size {
    /// The size of frame `number`.
    pub(crate) fn at(&self, number: u64) -> u32 {
        let turn = |len: usize| usize::try_from(number % len as u64).expect("an index");
        match self {
            Self::Fixed(size) => *size,
            Self::Increment { start, end, step } => {
                let count = (end - start) / step + 1;
                start + step * u32::try_from(number % u64::from(count)).expect("below the count")
            }
            &Self::Random { min, max, seed } => {
                let drawn = draw(false, u128::from(max - min), seed.unwrap_or(WIDE_SEED), number);
                min + u32::try_from(drawn).expect("at most max - min")
            }
            Self::Weighted(sizes) => {
                let weights: Vec<u32> = sizes.iter().map(|(_, weight)| *weight).collect();
                let order = turns(&weights);
                sizes[order[turn(order.len())] as usize].0
            }
            Self::Genome(letters, z) => genome_size(letters.as_bytes()[turn(letters.len())], *z),
        }
    }

    pub(crate) fn smallest(&self) -> u32 {
        match self {
            Self::Fixed(size)
            | Self::Random { min: size, .. }
            | Self::Increment { start: size, .. } => *size,
            Self::Weighted(sizes) => sizes.iter().map(|(size, _)| *size).min().expect("not empty"),
            Self::Genome(letters, z) => {
                letters.bytes().map(|letter| genome_size(letter, *z)).min().expect("not empty")
            }
        }
    }

    pub(crate) fn largest(&self) -> u32 {
        match self {
            Self::Fixed(size) | Self::Random { max: size, .. } => *size,
            Self::Increment { start, end, step } => start + (end - start) / step * step,
            Self::Weighted(sizes) => sizes.iter().map(|(size, _)| *size).max().expect("not empty"),
            Self::Genome(letters, z) => {
                letters.bytes().map(|letter| genome_size(letter, *z)).max().expect("not empty")
            }
        }
    }
}

/// RFC 6985 section 3.
pub(crate) fn genome_size(letter: u8, z: u32) -> u32 {
    match letter {
        b'a' => 64,
        b'b' => 128,
        b'c' => 256,
        b'd' => 512,
        b'e' => 1024,
        b'f' => 1280,
        b'g' => 1518,
        b'h' => 2112,
        b'z' => z,
        other => panic!("{other} is too large for a page"),
    }
}

impl Payload {
    fn bytes(&self, room: usize) -> Vec<u8> {
        let once =
            |bytes: &[u8]| bytes.iter().copied().chain(std::iter::repeat(0)).take(room).collect();
        match self {
            Self::Zeros => vec![0; room],
            Self::Pattern(bytes) => bytes.iter().copied().cycle().take(room).collect(),
            Self::Hex(bytes) => once(bytes),
            Self::Text(text) => once(text.as_bytes()),
            Self::Increment(first) => (0..=255).cycle().skip((*first).into()).take(room).collect(),
            Self::Random(seed) => {
                let mut generator = SplitMix64::seed_from_u64(*seed);
                std::iter::repeat_with(|| generator.next_u64().to_be_bytes())
                    .flatten()
                    .take(room)
                    .collect()
            }
        }
    }
}

/// The order in which takers of these weights take turns: turn k of n stands in the middle of the
/// k-th of n equal parts of the cycle. Where two coincide, the one written first comes first.
pub(crate) fn turns(weights: &[u32]) -> Vec<u32> {
    let divisor = (1..=weights.iter().copied().min().expect("not empty"))
        .rev()
        .find(|divisor| weights.iter().all(|weight| weight % divisor == 0))
        .expect("1");
    let mut places: Vec<(u64, u64, u32)> = Vec::new();
    for (taker, weight) in (0..).zip(weights) {
        let turns = u64::from(weight / divisor);
        places.extend((0..turns).map(|turn| (2 * turn + 1, 2 * turns, taker)));
    }
    places.sort_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)).then(a.2.cmp(&b.2)));
    places.into_iter().map(|(_, _, taker)| taker).collect()
}

/// The largest number that is drawn from 64 random bits.
const NARROW: u128 = (1 << 62) - 1;

/// Random number `number`, 0 to `largest`: output `number` of SplitMix64, scaled as `abi::kind`
/// says. With `wide` it joins two outputs.
fn draw(wide: bool, largest: u128, seed: u64, number: u64) -> u128 {
    // The state is the seed plus this constant for each output, so earlier outputs need not be
    // drawn.
    let output = |seed: u64| {
        let state = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        u128::from(SplitMix64::seed_from_u64(state).next_u64())
    };
    let is_mask = largest & largest.wrapping_add(1) == 0;
    if wide {
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

/// Bits 128 to 255 of a product, by long multiplication: adding and shifting bit by bit.
fn high_half(a: u128, b: u128) -> u128 {
    (0..128).fold(0, |high, bit| {
        let (sum, carry) =
            if a >> bit & 1 == 1 { u128::overflowing_add(high, b) } else { (high, false) };
        sum >> 1 | u128::from(carry) << 127
    })
}

/// Bit by bit, the most significant one first.
fn write_bits(frame: &mut [u8], first: usize, bits: u32, value: u128) {
    for (place, bit) in (first..).zip((0..bits).rev()) {
        let mask = 0x80 >> (place % 8);
        frame[place / 8] &= !mask;
        if value >> bit & 1 == 1 {
            frame[place / 8] |= mask;
        }
    }
}

/// RFC 2544 appendix C.2.2.
const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1)];
/// RFC 5180 section 8.
const V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1)];
