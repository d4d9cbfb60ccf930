//! Rates as exact numbers of frames a second: from what the user wrote, the mean size of frames and
//! the speed of the link.

use std::time::Duration;

use crate::{
    config::{
        Flow, Rate, RateUnit, Size,
        rate::{Burst, Spacing},
    },
    units::{Pps, Ratio, WireLen},
};

/// No gap of one stream is longer than this many nanoseconds (73 years), so that times never
/// overflow.
pub(super) const MAX_NANOS: u64 = 1 << 61;

/// A number that its operands keep within 64 bits: a remainder of a 64-bit divisor, or a part of
/// a 64-bit time.
///
/// # Panics
/// When the number has more bits: a departure at a wrong time must not pass in silence.
pub(super) fn fits(number: u128) -> u64 {
    u64::try_from(number).expect("the operands keep it within 64 bits")
}

/// A number of frames, or a time in nanoseconds. Those of more than 64 bits are `u64::MAX`, which
/// the program takes for "without end" and "never": at a frame a nanosecond 2⁶⁴ frames take 584
/// years.
pub(super) fn or_endless(number: u128) -> u64 {
    const ENDLESS: u64 = u64::MAX;
    u64::try_from(number).unwrap_or(ENDLESS)
}

/// A number as a whole one, towards zero; negative ones are 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, and what does not fit is checked before"
)]
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
        Size::Sequence(sizes) => Ratio::new(
            sizes.iter().map(|&size| u128::from(size)).sum::<u128>(),
            (sizes.len() as u128).max(1),
        ),
    }
}

/// The mean size of the frames of several flows that take turns by their weights. Where its terms
/// have too many bits (many flows with mixes of different lengths), it is right to 2⁻³² bytes.
pub(super) fn mean_size_of(flows: &[&Flow]) -> Ratio {
    let weights = flows.iter().map(|flow| u128::from(flow.weight.value)).sum::<u128>().max(1);
    let sizes =
        || flows.iter().map(|flow| (mean_size(&flow.size.value), u128::from(flow.weight.value)));
    let exact = sizes().try_fold(Ratio::ZERO, |sum, (size, weight)| {
        let share = size.times(Ratio::whole(weight));
        sum.plus(share).filter(|sum| sum.denominator() < 1 << 64)
    });
    let sum = exact.unwrap_or_else(|| {
        let parts: u128 = sizes()
            .map(|(size, weight)| (size.numerator() << 32) / size.denominator() * weight)
            .sum();
        Ratio::new(parts, 1u64 << 32)
    });
    sum.times(Ratio::new(1u128, weights))
}

/// The assumed speed of a link of unknown speed, for bursts without gaps, in bits a second.
const FULL_SPEED: f64 = 100e9;

/// A [`Burst`], with exact times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BurstTiming {
    /// Frames of a burst, at least 1.
    pub(super) packets: u64,
    /// Nanoseconds from each frame to the next.
    pub(super) gap: Ratio,
    /// Nanoseconds from the last frame to the next burst.
    pause: Ratio,
    pub(super) bursts: Option<u64>,
}

impl BurstTiming {
    pub(super) fn of(burst: &Burst<Pps>) -> Self {
        let gap = match burst.spacing {
            Spacing::Gap(gap) => Ratio::whole(super::nanos(gap)),
            Spacing::Rate(rate) => rate.gap_ns(),
            // A link carries at most a frame a nanosecond.
            Spacing::Link => Ratio::ONE,
        };
        let pause = Ratio::whole(super::nanos(burst.inter_burst_gap));
        Self { packets: burst.packets, gap, pause, bursts: burst.bursts }
    }

    /// Nanoseconds from burst to burst, at most 73 years.
    pub(super) fn period(&self) -> Ratio {
        let frames = Ratio::whole(self.packets - 1);
        let most = Ratio::whole(MAX_NANOS);
        let period = self.gap.times(frames).plus(self.pause).unwrap_or(most);
        if period.numerator() / period.denominator() >= most.numerator() { most } else { period }
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

/// The frames and the link that rates refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    /// Mean bytes of a frame, FCS included.
    pub(super) mean_size: Ratio,
    /// Bits a second of the link, when known.
    pub(super) speed: Option<u64>,
}

/// A share of the line rate of a link whose speed is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownSpeed;

impl Frames {
    /// The rate in frames a second, exact within terms of 128 bits.
    ///
    /// # Errors
    /// A share of an unknown speed.
    pub(super) fn rate(&self, rate: Rate) -> Result<Pps, UnknownSpeed> {
        let amount = rate.amount;
        Ok(Pps::new(match rate.unit {
            RateUnit::Frames => amount,
            RateUnit::BitsL2 => amount.times(bits(self.mean_size).inverse()),
            RateUnit::BitsL1 => amount.times(self.wire_bits().inverse()),
            RateUnit::LineShare => {
                let speed = Ratio::whole(self.speed.ok_or(UnknownSpeed)?);
                amount.times(speed).times(self.wire_bits().inverse())
            }
        }))
    }

    /// A rate in another unit; a share of the line rate as bits a second.
    ///
    /// # Errors
    /// As those of [`Frames::rate`].
    pub(super) fn measured(&self, rate: Rate, unit: RateUnit) -> Result<Ratio, UnknownSpeed> {
        let frames = self.rate(rate)?.ratio();
        Ok(match unit {
            RateUnit::Frames => frames,
            RateUnit::BitsL2 => frames.times(bits(self.mean_size)),
            RateUnit::BitsL1 | RateUnit::LineShare => frames.times(self.wire_bits()),
        })
    }

    /// The gap of frames that follow each other at the link's speed. (A frame leaves after the
    /// frame before it: if all frames of a burst were due at once, the last ones would be overdue
    /// by more than the late policy allows.)
    pub(super) fn gap_at_full_speed(&self) -> Duration {
        let speed = self.speed.map_or(FULL_SPEED, |speed| speed as f64);
        let nanos = (self.wire_bits().to_f64() * 1e9 / speed).ceil();
        Duration::from_nanos(whole(nanos).max(1))
    }

    /// Bits a frame takes on the wire, preamble and gap included.
    pub(super) fn wire_bits(&self) -> Ratio {
        let size = self.mean_size;
        bits(Ratio::new(
            size.numerator() + u128::from(WireLen::EXTRA) * size.denominator(),
            size.denominator(),
        ))
    }
}

fn bits(bytes: Ratio) -> Ratio {
    bytes.times(Ratio::whole(8u64))
}
