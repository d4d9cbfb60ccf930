//! Flows of one rate leave one after the other: N of them are an Nth of their gap apart, so that N
//! flows do not leave as a burst of N frames.

use std::collections::BTreeMap;

use super::request::Demand;
use crate::{
    config::Profile,
    units::{Pps, Ratio},
};

/// Shifts constant loads that may be shifted within their gaps: of N loads of the same rate, load i
/// by i/N of its gap. The loads of one rate are shifted against those of another, too, by less than
/// that: by multiples of the golden ratio, which are never close to each other.
pub(super) fn spread(demands: &mut [Demand]) {
    let mut rates: BTreeMap<(u128, u128), Vec<usize>> = BTreeMap::new();
    let mut order = Vec::new();
    if demands.len() < 2 {
        return;
    }
    for (index, demand) in demands.iter().enumerate() {
        if let Profile::Constant(rate) = demand.profile
            && !demand.limits.keeps_delay
        {
            let alike = rates.entry(key(rate)).or_default();
            if alike.is_empty() {
                order.push(key(rate));
            }
            alike.push(index);
        }
    }
    for (number, rate) in (0u32..).zip(order) {
        let alike = &rates[&rate];
        for (place, &index) in (0..).zip(alike) {
            demands[index].limits.shift = shift(place, alike.len() as u64, number);
        }
    }
}

fn key(rate: Pps) -> (u128, u128) {
    let rate: Ratio = rate.ratio();
    (rate.numerator(), rate.denominator())
}

/// The shift of a load at a place among `count` of the same rate, in 2⁻³² of the gap. `rate`: the
/// number of that rate.
fn shift(place: u64, count: u64, rate: u32) -> u32 {
    // The golden ratio's fraction, times 2³².
    let of_rate = rate.wrapping_mul(0x9e37_79b9);
    let parts = (place << 32) + u64::from(of_rate);
    u32::try_from(parts / count)
        .expect("place < count <= 65 536, and the rate's own part is below 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shifts of all loads of a rate.
    #[track_caller]
    fn check(count: u64, rate: u32, expected: &[f64]) {
        let shifts = (0..count).map(|place| f64::from(shift(place, count, rate)) / 2f64.powi(32));
        let off = shifts.zip(expected).map(|(shift, expected)| (shift - expected).abs());
        assert!(off.fold(0.0, f64::max) < 1e-9);
    }

    #[test]
    fn loads_of_one_rate_are_evenly_apart() {
        let golden = 0.618_033_988_75;
        check(1, 0, &[0.0]);
        check(4, 0, &[0.0, 0.25, 0.5, 0.75]);
        check(1, 1, &[golden]);
        check(2, 2, &[(2.0 * golden - 1.0) / 2.0, golden]);
        assert_eq!(shift(65_535, 65_536, u32::MAX), 0xffff_61c8);
    }
}
