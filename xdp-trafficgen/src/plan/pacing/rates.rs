//! Rates as exact numbers of frames a second: from what the user wrote, the mean size of frames and the speed of the link.

use xdp_trafficgen_ebpf::abi::timing::Gap;

use crate::config::{
    Flow, Rate, RateUnit, Size,
    rate::{Burst, Ratio, Spacing},
};

/// Bytes a frame takes on the wire beside itself: preamble, start delimiter and gap (IEEE 802.3, 3.1.1 and 4.4.2).
const WIRE_EXTRA: u128 = 20;

/// What fits [`Gap::whole`].
const MAX_WHOLE: u128 = 1 << 63;

/// No gap of one stream is longer than this many nanoseconds (73 years), so that times never overflow.
pub(super) const MAX_NANOS: u64 = 1 << 61;

/// A fraction that is not negative, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    pub(super) above: u128,
    /// At least 1.
    pub(super) below: u128,
}

impl Fraction {
    pub(super) const ZERO: Self = Self { above: 0, below: 1 };
    pub(super) const ONE: Self = Self { above: 1, below: 1 };

    /// `below` is not 0.
    pub(super) fn new(above: u128, below: u128) -> Self {
        let divisor = gcd(above, below).max(1);
        Self { above: above / divisor, below: below / divisor }
    }

    pub(super) const fn is_zero(self) -> bool {
        self.above == 0
    }

    /// The product; its terms are brought below 2⁶³ where it does not fit.
    pub(super) fn times(self, other: Self) -> Self {
        let (a, b) = (Self::new(self.above, other.below), Self::new(other.above, self.below));
        match (a.above.checked_mul(b.above), a.below.checked_mul(b.below)) {
            (Some(above), Some(below)) => Self { above, below },
            _ => {
                let (a, b) = (a.within(1 << 63), b.within(1 << 63));
                Self::new(a.above * b.above, a.below * b.below)
            }
        }
    }

    /// One by the fraction, which is not 0.
    pub(super) const fn inverse(self) -> Self {
        Self { above: self.below, below: self.above }
    }

    /// The sum, or none when it does not fit.
    fn plus(self, other: Self) -> Option<Self> {
        let divisor = gcd(self.below, other.below);
        let (left, right) = (other.below / divisor, self.below / divisor);
        let above = self.above.checked_mul(left)?.checked_add(other.above.checked_mul(right)?)?;
        Some(Self::new(above, self.below.checked_mul(left)?))
    }

    /// Itself, or the last convergent of its continued fraction with both terms within `limit`. It differs by less than 1 /
    /// (q · q'), where q and q' are the denominators of it and the next: with 2⁶³, and a value around 1, less than 10⁻¹⁸.
    pub(super) fn within(self, limit: u128) -> Self {
        if self.above <= limit && self.below <= limit {
            return self;
        }
        let (mut above, mut below) = (self.above, self.below);
        // The last convergent and the one before it.
        let (mut last, mut before) = ((1u128, 0u128), (0u128, 1u128));
        while below != 0 {
            let whole = above / below;
            let term = |last: u128, before: u128| whole.checked_mul(last)?.checked_add(before).filter(|n| *n <= limit);
            let (Some(next_above), Some(next_below)) = (term(last.0, before.0), term(last.1, before.1)) else { break };
            (before, last) = (last, (next_above, next_below));
            (above, below) = (below, above % below);
        }
        if last.1 == 0 { Self { above: limit, below: 1 } } else { Self { above: last.0, below: last.1 } }
    }

    pub(super) fn to_f64(self) -> f64 {
        self.above as f64 / self.below as f64
    }

    /// As the configuration has it, both terms within 64 bits.
    pub(super) fn ratio(self) -> Ratio {
        let fraction = self.within(u64::MAX.into());
        Ratio {
            numerator: u64::try_from(fraction.above).unwrap_or(u64::MAX),
            denominator: u64::try_from(fraction.below).unwrap_or(u64::MAX),
        }
    }
}

/// The greatest common divisor; of 0 and a number, the number.
pub(super) fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A time between departures, of which every multiple is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    gap: Gap,
}

impl Interval {
    /// Of so many nanoseconds; the longest is [`MAX_NANOS`] by `workers`, so that each worker's is within it.
    pub(super) fn new(nanos: Fraction, workers: u64) -> Self {
        let most = u128::from(MAX_NANOS / workers.max(1));
        let nanos = if nanos.above / nanos.below >= most { Fraction { above: most, below: 1 } } else { nanos };
        // The whole nanoseconds need no approximation.
        let (ns, rest) = (nanos.above / nanos.below, nanos.above % nanos.below);
        let rest = Fraction { above: rest, below: nanos.below }.within(MAX_WHOLE);
        Self { gap: Gap { ns: small(ns), rest: small(rest.above), whole: small(rest.below) } }
    }

    /// Of a rate that is not zero.
    pub(super) fn of_rate(rate: Fraction, workers: u64) -> Self {
        Self::new(Fraction { above: 1_000_000_000, below: 1 }.times(rate.inverse()), workers)
    }

    /// As [`Interval::new`], in parts of a nanosecond that `others` are whole numbers of too; where there are none so small,
    /// others are rounded down to those there are.
    pub(super) fn beside(nanos: Fraction, others: [Fraction; 2], workers: u64) -> Self {
        let Self { gap } = Self::new(nanos, workers);
        let common = others.iter().try_fold(u128::from(gap.whole), |whole, other| {
            whole.checked_mul(other.below / gcd(whole, other.below)).filter(|whole| *whole <= MAX_WHOLE)
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
    pub(super) fn in_parts(&self, time: Fraction) -> Gap {
        let whole = u128::from(self.gap.whole);
        let (ns, rest) = (time.above / time.below, time.above % time.below);
        let rest = if whole.is_multiple_of(time.below) {
            rest * (whole / time.below)
        } else {
            let rest = Fraction { above: rest, below: time.below }.within(MAX_WHOLE);
            (rest.above * whole / rest.below).min(whole - 1)
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
pub(super) fn mean_size(size: &Size) -> Fraction {
    match size {
        Size::Fixed(size) => Fraction { above: u128::from(*size), below: 1 },
        Size::Increment { .. } | Size::Random { .. } => {
            Fraction::new(u128::from(size.smallest()) + u128::from(size.largest()), 2)
        }
        Size::Weighted(sizes) => Fraction::new(
            sizes.iter().map(|size| u128::from(size.size) * u128::from(size.weight)).sum(),
            sizes.iter().map(|size| u128::from(size.weight)).sum::<u128>().max(1),
        ),
        Size::Sequence(sizes) => {
            Fraction::new(sizes.iter().map(|&size| u128::from(size)).sum(), (sizes.len() as u128).max(1))
        }
    }
}

/// The mean size of the frames of several flows that take turns by their weights. Where its terms do not fit (many flows
/// with mixes of different lengths), it is right to 2⁻³² bytes.
pub(super) fn mean_size_of(flows: &[&Flow]) -> Fraction {
    let weights = flows.iter().map(|flow| u128::from(flow.weight.value)).sum::<u128>().max(1);
    let sizes = || flows.iter().map(|flow| (mean_size(&flow.size.value), u128::from(flow.weight.value)));
    let exact = sizes().try_fold(Fraction::ZERO, |sum, (size, weight)| {
        let share = size.times(Fraction { above: weight, below: 1 });
        sum.plus(share).filter(|sum| sum.below < 1 << 64)
    });
    let sum = exact.unwrap_or_else(|| {
        let parts = sizes().map(|(size, weight)| (size.above << 32) / size.below * weight).sum();
        Fraction::new(parts, 1 << 32)
    });
    sum.times(Fraction { above: 1, below: weights })
}

/// The speed of a link whose speed nobody knows, for bursts without gaps, in bits a second.
const FULL_SPEED: f64 = 100e9;

/// A [`Burst`], with exact times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BurstTiming {
    /// Frames of a burst, at least 1.
    pub(super) packets: u64,
    /// Nanoseconds from each to the next.
    pub(super) gap: Fraction,
    /// Nanoseconds from the last one to the next burst.
    pause: Fraction,
    pub(super) bursts: Option<u64>,
}

impl BurstTiming {
    /// Nanoseconds from burst to burst; 73 years at most.
    pub(super) fn period(&self) -> Fraction {
        let frames = Fraction { above: u128::from(self.packets - 1), below: 1 };
        let most = Fraction { above: MAX_NANOS.into(), below: 1 };
        let period = self.gap.times(frames).plus(self.pause).unwrap_or(most);
        if period.above / period.below >= most.above { most } else { period }
    }

    /// The shortest time between two frames.
    pub(super) fn shortest_gap(&self) -> Fraction {
        if self.packets > 1 { self.gap } else { self.pause }
    }

    /// Nanoseconds of the longest time between two frames.
    pub(super) fn longest_gap(&self) -> f64 {
        self.shortest_gap().to_f64().max(self.pause.to_f64())
    }
}

/// The sum. Where its terms do not fit (many rates of unlike fractions), it is right to 2⁻³² for each.
pub(super) fn sum(numbers: &[Fraction]) -> Fraction {
    let exact = numbers.iter().try_fold(Fraction::ZERO, |sum, number| sum.plus(*number));
    exact.unwrap_or_else(|| {
        let parts = |number: &Fraction| {
            let number = number.within(1 << 63);
            (number.above << 32) / number.below
        };
        Fraction::new(numbers.iter().map(parts).sum::<u128>().max(1), 1 << 32)
    })
}

/// What rates refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    /// Mean bytes of a frame, FCS included.
    pub(super) mean_size: Fraction,
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
    pub(super) fn rate(&self, rate: Rate) -> Result<Fraction, UnknownSpeed> {
        let amount = Fraction::new(rate.amount.numerator.into(), rate.amount.denominator.into());
        Ok(match rate.unit {
            RateUnit::Frames => amount,
            RateUnit::BitsL2 => amount.times(bits(self.mean_size).inverse()),
            RateUnit::BitsL1 => amount.times(self.wire_bits().inverse()),
            RateUnit::LineShare => {
                let speed = Fraction { above: self.speed.ok_or(UnknownSpeed)?.into(), below: 1 };
                amount.times(speed).times(self.wire_bits().inverse())
            }
        })
    }

    /// A rate in what another unit counts, a second; shares of the line rate in bits.
    ///
    /// # Errors
    /// As those of [`Frames::rate`].
    pub(super) fn measured(&self, rate: Rate, unit: RateUnit) -> Result<Fraction, UnknownSpeed> {
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
            Spacing::Gap(gap) => Fraction::new(super::nanos(gap).into(), 1),
            Spacing::Rate(rate) => Fraction { above: 1_000_000_000, below: 1 }.times(self.rate(rate)?.inverse()),
            // No frame can leave before the one in front of it has: were all of a burst due at once, the last ones would be
            // overdue by more than anybody waits for.
            Spacing::Link => {
                let speed = self.speed.map_or(FULL_SPEED, |speed| speed as f64);
                let nanos = (self.wire_bits().to_f64() * 1e9 / speed).ceil();
                Fraction::new(whole(nanos).max(1).into(), 1)
            }
        };
        let pause = Fraction::new(super::nanos(burst.inter_burst_gap).into(), 1);
        Ok(BurstTiming { packets: burst.packets, gap, pause, bursts: burst.bursts })
    }

    /// Bits a frame takes on the wire, preamble and gap included.
    pub(super) fn wire_bits(&self) -> Fraction {
        let size = self.mean_size;
        bits(Fraction::new(size.above + WIRE_EXTRA * size.below, size.below))
    }
}

fn bits(bytes: Fraction) -> Fraction {
    bytes.times(Fraction { above: 8, below: 1 })
}
