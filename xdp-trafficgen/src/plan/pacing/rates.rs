//! Rates as exact numbers of frames a second: from what the user wrote, the mean size of frames and the speed of the link.

use xdp_trafficgen_ebpf::abi::timing::Gap;

use crate::{
    config::{
        Flow, Rate, RateUnit, Size,
        rate::{Burst, Spacing},
    },
    units::{Ratio, WireLen, gcd},
};

/// What fits [`Gap::whole`].
const MAX_WHOLE: u128 = 1 << 63;

/// No gap of one stream is longer than this many nanoseconds (73 years), so that times never overflow.
pub(super) const MAX_NANOS: u64 = 1 << 61;

/// A time between departures, of which every multiple is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    gap: Gap,
}

impl Interval {
    /// Of so many nanoseconds; the longest is [`MAX_NANOS`] by `workers`, so that each worker's is within it.
    pub(super) fn new(nanos: Ratio, workers: u64) -> Self {
        let most = u128::from(MAX_NANOS / workers.max(1));
        let nanos = if nanos.numerator / nanos.denominator >= most { Ratio::whole(most) } else { nanos };
        // The whole nanoseconds need no approximation.
        let (ns, rest) = (nanos.numerator / nanos.denominator, nanos.numerator % nanos.denominator);
        let rest = Ratio { numerator: rest, denominator: nanos.denominator }.within(MAX_WHOLE);
        Self { gap: Gap { ns: small(ns), rest: small(rest.numerator), whole: small(rest.denominator) } }
    }

    /// Of a rate that is not zero.
    pub(super) fn of_rate(rate: Ratio, workers: u64) -> Self {
        Self::new(Ratio::whole(1_000_000_000u64).times(rate.inverse()), workers)
    }

    /// As [`Interval::new`], in parts of a nanosecond that `others` are whole numbers of too; where there are none so small,
    /// others are rounded down to those there are.
    pub(super) fn beside(nanos: Ratio, others: [Ratio; 2], workers: u64) -> Self {
        let Self { gap } = Self::new(nanos, workers);
        let common = others.iter().try_fold(u128::from(gap.whole), |whole, other| {
            whole.checked_mul(other.denominator / gcd(whole, other.denominator)).filter(|whole| *whole <= MAX_WHOLE)
        });
        let times = common.map_or(1, |common| common / u128::from(gap.whole));
        Self {
            gap: Gap { rest: small(u128::from(gap.rest) * times), whole: small(u128::from(gap.whole) * times), ..gap },
        }
    }

    /// No time, in so many parts of a nanosecond.
    pub(super) const fn of_parts(whole: u64) -> Self {
        Self { gap: Gap { ns: 0, rest: 0, whole } }
    }

    /// Parts of a nanosecond.
    pub(super) const fn whole(&self) -> u64 {
        self.gap.whole
    }

    /// Another time in the same parts of a nanosecond, rounded down to them.
    pub(super) fn in_parts(&self, time: Ratio) -> Gap {
        let whole = u128::from(self.gap.whole);
        let (ns, rest) = (time.numerator / time.denominator, time.numerator % time.denominator);
        let rest = if whole.is_multiple_of(time.denominator) {
            rest * (whole / time.denominator)
        } else {
            let rest = Ratio { numerator: rest, denominator: time.denominator }.within(MAX_WHOLE);
            (rest.numerator * whole / rest.denominator).min(whole - 1)
        };
        Gap { ns: small(ns), rest: small(rest), whole: self.gap.whole }
    }

    /// So many of them, with the same parts of a nanosecond; saturates.
    pub(super) fn times(&self, count: u64) -> Gap {
        let Gap { ns, rest, whole } = self.gap;
        let rest = u128::from(rest) * u128::from(count);
        let ns = u128::from(ns) * u128::from(count) + rest / u128::from(whole);
        Gap { ns: small(ns), rest: small(rest % u128::from(whole)), whole }
    }

    /// `share / 2³²` of it, rounded down to its parts of a nanosecond.
    pub(super) fn share(&self, share: u32) -> Gap {
        let Gap { ns, rest, whole } = self.gap;
        let parts = u128::from(ns) * u128::from(whole) + u128::from(rest);
        let share = u128::from(share);
        let parts = (parts >> 32) * share + (((parts & 0xffff_ffff) * share) >> 32);
        Gap { ns: small(parts / u128::from(whole)), rest: small(parts % u128::from(whole)), whole }
    }
}

/// The number as 64 bits, which it has wherever it is meaningful.
pub(super) fn small(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A number as a whole one, towards zero; negative ones are 0.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and what does not fit is checked before")]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

/// The mean size of a flow's frames, FCS included.
pub(super) fn mean_size(size: &Size) -> Ratio {
    match size {
        Size::Fixed(size) => Ratio::whole(*size),
        Size::Increment { .. } | Size::Random { .. } => {
            Ratio::new(u128::from(size.smallest()) + u128::from(size.largest()), 2u32)
        }
        Size::Weighted(sizes) => Ratio::new(
            sizes.iter().map(|size| u128::from(size.size) * u128::from(size.weight)).sum::<u128>(),
            sizes.iter().map(|size| u128::from(size.weight)).sum::<u128>().max(1),
        ),
        Size::Sequence(sizes) => {
            Ratio::new(sizes.iter().map(|&size| u128::from(size)).sum::<u128>(), (sizes.len() as u128).max(1))
        }
    }
}

/// The mean size of the frames of several flows that take turns by their weights. Where its terms do not fit (many flows
/// with mixes of different lengths), it is right to 2⁻³² bytes.
pub(super) fn mean_size_of(flows: &[&Flow]) -> Ratio {
    let weights = flows.iter().map(|flow| u128::from(flow.weight.value)).sum::<u128>().max(1);
    let sizes = || flows.iter().map(|flow| (mean_size(&flow.size.value), u128::from(flow.weight.value)));
    let exact = sizes().try_fold(Ratio::ZERO, |sum, (size, weight)| {
        let share = size.times(Ratio::whole(weight));
        sum.plus(share).filter(|sum| sum.denominator < 1 << 64)
    });
    let sum = exact.unwrap_or_else(|| {
        let parts: u128 = sizes().map(|(size, weight)| (size.numerator << 32) / size.denominator * weight).sum();
        Ratio::new(parts, 1u64 << 32)
    });
    sum.times(Ratio { numerator: 1, denominator: weights })
}

/// The speed of a link whose speed nobody knows, for bursts without gaps, in bits a second.
const FULL_SPEED: f64 = 100e9;

/// A [`Burst`], with exact times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BurstTiming {
    /// Frames of a burst, at least 1.
    pub(super) packets: u64,
    /// Nanoseconds from each to the next.
    pub(super) gap: Ratio,
    /// Nanoseconds from the last one to the next burst.
    pause: Ratio,
    pub(super) bursts: Option<u64>,
}

impl BurstTiming {
    /// Nanoseconds from burst to burst; 73 years at most.
    pub(super) fn period(&self) -> Ratio {
        let frames = Ratio::whole(self.packets - 1);
        let most = Ratio::whole(MAX_NANOS);
        let period = self.gap.times(frames).plus(self.pause).unwrap_or(most);
        if period.numerator / period.denominator >= most.numerator { most } else { period }
    }

    /// The shortest time between two frames.
    pub(super) fn shortest_gap(&self) -> Ratio {
        if self.packets > 1 { self.gap } else { self.pause }
    }

    /// Nanoseconds of the longest time between two frames.
    pub(super) fn longest_gap(&self) -> f64 {
        self.shortest_gap().to_f64().max(self.pause.to_f64())
    }
}

/// What rates refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    /// Mean bytes of a frame, FCS included.
    pub(super) mean_size: Ratio,
    /// Bits a second of the link, when known.
    pub(super) speed: Option<u64>,
}

/// A share of a line rate nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownSpeed;

impl Frames {
    /// Frames a second; exact as long as its terms have 128 bits.
    ///
    /// # Errors
    /// A share of an unknown speed.
    pub(super) fn rate(&self, rate: Rate) -> Result<Ratio, UnknownSpeed> {
        let amount = rate.amount;
        Ok(match rate.unit {
            RateUnit::Frames => amount,
            RateUnit::BitsL2 => amount.times(bits(self.mean_size).inverse()),
            RateUnit::BitsL1 => amount.times(self.wire_bits().inverse()),
            RateUnit::LineShare => {
                let speed = Ratio::whole(self.speed.ok_or(UnknownSpeed)?);
                amount.times(speed).times(self.wire_bits().inverse())
            }
        })
    }

    /// A rate in what another unit counts, a second; shares of the line rate in bits.
    ///
    /// # Errors
    /// As those of [`Frames::rate`].
    pub(super) fn measured(&self, rate: Rate, unit: RateUnit) -> Result<Ratio, UnknownSpeed> {
        let frames = self.rate(rate)?;
        Ok(match unit {
            RateUnit::Frames => frames,
            RateUnit::BitsL2 => frames.times(bits(self.mean_size)),
            RateUnit::BitsL1 | RateUnit::LineShare => frames.times(self.wire_bits()),
        })
    }

    /// A burst in nanoseconds.
    ///
    /// # Errors
    /// As those of [`Frames::rate`].
    pub(super) fn burst(&self, burst: &Burst) -> Result<BurstTiming, UnknownSpeed> {
        let gap = match burst.spacing {
            Spacing::Gap(gap) => Ratio::whole(super::nanos(gap)),
            Spacing::Rate(rate) => Ratio::whole(1_000_000_000u64).times(self.rate(rate)?.inverse()),
            // No frame can leave before the one in front of it has: were all of a burst due at once, the last ones would be
            // overdue by more than anybody waits for.
            Spacing::Link => {
                let speed = self.speed.map_or(FULL_SPEED, |speed| speed as f64);
                let nanos = (self.wire_bits().to_f64() * 1e9 / speed).ceil();
                Ratio::whole(whole(nanos).max(1))
            }
        };
        let pause = Ratio::whole(super::nanos(burst.inter_burst_gap));
        Ok(BurstTiming { packets: burst.packets, gap, pause, bursts: burst.bursts })
    }

    /// Bits a frame takes on the wire, preamble and gap included.
    pub(super) fn wire_bits(&self) -> Ratio {
        let size = self.mean_size;
        bits(Ratio::new(size.numerator + u128::from(WireLen::EXTRA) * size.denominator, size.denominator))
    }
}

fn bits(bytes: Ratio) -> Ratio {
    bytes.times(Ratio::whole(8u64))
}
