//! The order in which flows take turns: evenly by weight, frame by frame, until each flow has sent
//! all of its frames.

use crate::units::gcd;

/// Time in which the same flows of a worker take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The turns of a cycle: indices of flows.
    pub turns: Vec<u32>,
    /// Frames until the phase is over, a multiple of the cycle; without end when none.
    pub frames: Option<u64>,
}

/// The next phase of a worker whose flows have these weights and frames `left` (without end when
/// none). None when no flow has a frame left.
///
/// A phase lasts until a flow has fewer frames left than its share of a cycle; the last frames of
/// that flow are a cycle of their own, together with the shares of all other flows.
pub fn phase(weights: &[u32], left: &[Option<u64>]) -> Option<Phase> {
    let active = || {
        weights.iter().zip(left).map(|(&weight, &left)| if left == Some(0) { 0 } else { weight })
    };
    let shares = reduced(&active().collect::<Vec<u32>>());
    if shares.iter().all(|&share| share == 0) {
        return None;
    }
    let sending = || shares.iter().zip(left).filter(|(share, _)| **share > 0);
    let cycles =
        sending().filter_map(|(&share, &left)| left.map(|left| left / u64::from(share))).min();
    let (shares, cycles) = match cycles {
        Some(0) => {
            let last = |(share, left): (&u32, &Option<u64>)| {
                left.map_or(*share, |left| {
                    u32::try_from(left).map_or(*share, |left| left.min(*share))
                })
            };
            (shares.iter().zip(left).map(last).collect(), Some(1))
        }
        cycles => (shares, cycles),
    };
    let turns = spread(&shares);
    let frames = cycles.map(|cycles| cycles.saturating_mul(turns.len() as u64));
    Some(Phase { turns, frames })
}

/// Each flow's turns among the first `turns` of a cycle that repeats.
pub fn shares(cycle: &[u32], flows: usize, turns: u64) -> Vec<u64> {
    let mut shares = vec![0; flows];
    let len = cycle.len() as u64;
    for (place, &flow) in (0..).zip(cycle) {
        shares[flow as usize] += turns / len + u64::from(place < turns % len);
    }
    shares
}

/// The turns in a cycle of flows with these weights.
pub fn cycle_len(weights: &[u32]) -> u64 {
    reduced(weights).into_iter().map(u64::from).sum()
}

/// The smallest numbers in the same proportion.
pub fn reduced(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().fold(0, |divisor, &weight| gcd(divisor, weight.into())).max(1);
    #[expect(clippy::cast_possible_truncation, reason = "the quotient of a weight of 32 bits")]
    let share = |&weight: &u32| (u128::from(weight) / divisor) as u32;
    weights.iter().map(share).collect()
}

/// Each index i `shares[i]` times, spread as evenly as possible.
pub fn spread(shares: &[u32]) -> Vec<u32> {
    // Turn k of a share s stands at (2k + 1) / 2s of the cycle: in the middle of its part.
    let mut turns: Vec<(u128, u32)> = Vec::new();
    for (index, &share) in (0..).zip(shares) {
        let place = |turn: u32| (u128::from(2 * u64::from(turn) + 1) << 63) / u128::from(share);
        turns.extend((0..share).map(|turn| (place(turn), index)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_are_shared_out_as_the_cycle_says() {
        let cycle = [0, 1, 0, 2, 0];
        for turns in 0..12 {
            let mut expected = vec![0; 3];
            for turn in 0..turns {
                expected[cycle[turn % 5] as usize] += 1;
            }
            assert_eq!(shares(&cycle, 3, turns as u64), expected);
        }
    }

    #[test]
    fn flows_of_equal_weight_alternate() {
        assert_eq!(spread(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(spread(&[2, 2]), [0, 1, 0, 1]);
    }

    #[test]
    fn imix_is_spread() {
        // Simple IMIX, 7:4:1: no size comes more than twice in a row.
        let turns = spread(&[7, 4, 1]);
        assert_eq!(turns.iter().filter(|&&turn| turn == 0).count(), 7);
        assert!(
            turns.windows(3).all(|three| three[0] != three[1] || three[1] != three[2]),
            "{turns:?}"
        );
    }

    #[test]
    fn a_flow_without_end_goes_on_alone() {
        let phase = phase(&[1, 2], &[Some(0), None]).expect("one is left");
        assert_eq!(phase, Phase { turns: vec![1], frames: None });
    }

    proptest! {
        /// All phases together send exactly what is left, and no turn of a flow is far from where its share puts it.
        #[test]
        fn phases_send_what_is_left(
            flows in proptest::collection::vec((1u32..20, 0u64..5000), 1..12),
        ) {
            let weights: Vec<u32> = flows.iter().map(|flow| flow.0).collect();
            let mut left: Vec<Option<u64>> = flows.iter().map(|flow| Some(flow.1)).collect();
            let mut sent = vec![0u64; flows.len()];
            let mut phases = 0;
            while let Some(phase) = phase(&weights, &left) {
                phases += 1;
                let frames = phase.frames.expect("all flows end");
                prop_assert_eq!(frames % phase.turns.len() as u64, 0);
                for &turn in &phase.turns {
                    sent[turn as usize] += frames / phase.turns.len() as u64;
                }
                for (left, (flow, sent)) in left.iter_mut().zip(flows.iter().zip(&sent)) {
                    prop_assert!(*sent <= flow.1);
                    *left = Some(flow.1 - sent);
                }
            }
            prop_assert!(phases <= 2 * flows.len());
            prop_assert!(left.iter().all(|left| *left == Some(0)));
        }

        /// In every part of a cycle each flow has its share of the frames, give or take two.
        #[test]
        fn no_bursts(shares in proptest::collection::vec(1u32..30, 1..20)) {
            let turns = spread(&shares);
            let total = turns.len() as u64;
            let mut seen = vec![0u64; shares.len()];
            for (position, &turn) in (1u64..).zip(&turns) {
                seen[turn as usize] += 1;
                for (seen, &share) in seen.iter().zip(&shares) {
                    let fair = position * u64::from(share);
                    prop_assert!(seen * total <= fair + 2 * total && fair <= seen * total + 2 * total);
                }
            }
        }
    }
}
