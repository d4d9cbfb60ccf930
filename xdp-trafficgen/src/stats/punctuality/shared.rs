//! Unsent departures of a port's rate, which its flows share, attributed to the flows.

use crate::{plan::PortPlan, stats::FlowCount};

/// The number of unsent departures of each flow, of all `all_unsent` departures. `due`: each flow's departures, when all workers have
/// ended; a failed worker lacks those of its last turns.
pub(super) fn unsent_of_flows(
    plan: &PortPlan,
    flows: &[FlowCount],
    due: Option<&[u64]>,
    all_unsent: u64,
) -> Vec<u64> {
    let due = |flow: usize| due.map_or(0, |due| due[flow]);
    let known: Vec<u64> = flows
        .iter()
        .enumerate()
        .map(|(index, flow)| due(index).saturating_sub(flow.frames_attempted))
        .collect();
    // Flows with frames of those turns took part in them.
    let claims = || {
        plan.flows.iter().zip(flows).enumerate().map(|(index, (planned, flow))| Claim {
            weight: flow.frames_attempted.saturating_sub(due(index)),
            room: planned
                .packets
                .map(|packets| packets.saturating_sub(flow.frames_attempted.max(due(index)))),
        })
    };
    let mut rest = all_unsent.saturating_sub(known.iter().sum());
    let mut shares = shared_out(rest, &claims().collect::<Vec<_>>());
    rest -= shares.iter().sum::<u64>();
    // Turns without any frame are shared by weight.
    let by_weight =
        plan.flows.iter().zip(claims()).zip(&shares).map(|((planned, claim), share)| Claim {
            weight: planned.weight.into(),
            room: claim.room.map(|room| room - share),
        });
    let more = shared_out(rest, &by_weight.collect::<Vec<_>>());
    shares
        .iter_mut()
        .zip(more)
        .zip(known)
        .for_each(|((share, more), known)| *share += more + known);
    shares
}

/// A flow's claim to departures that flows share.
#[derive(Clone, Copy, Debug)]
struct Claim {
    /// Departures are shared in proportion to this.
    weight: u64,
    /// The most that the flow can have; none without a limit.
    room: Option<u64>,
}

/// Shares departures out among flows, as far as their claims go.
fn shared_out(mut departures: u64, claims: &[Claim]) -> Vec<u64> {
    let mut shares = vec![0; claims.len()];
    loop {
        let weight = |(claim, share): (&Claim, &u64)| {
            if claim.room == Some(*share) { 0 } else { claim.weight }
        };
        let weights: Vec<u64> = claims.iter().zip(&shares).map(weight).collect();
        let mut whole: u128 = weights.iter().copied().map(u128::from).sum();
        if departures == 0 || whole == 0 {
            return shares;
        }
        // The last flow has all that is left, unless a claim is full.
        let mut left = departures;
        for ((share, claim), weight) in
            shares.iter_mut().zip(claims).zip(weights).filter(|(_, weight)| *weight > 0)
        {
            let part = u128::from(left) * u128::from(weight) / whole;
            #[expect(clippy::cast_possible_truncation, reason = "weight <= whole: at most `left`")]
            let part = part as u64;
            whole -= u128::from(weight);
            left -= part;
            let part = claim.room.map_or(part, |room| part.min(room - *share));
            *share += part;
            departures -= part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_when_departures_are_shared_out() {
        let claim = |weight, room| Claim { weight, room };
        let (five, two) = (claim(5, None), claim(2, None));
        assert_eq!(shared_out(3, &[five, two]), [2, 1]);
        assert_eq!(shared_out(0, &[five, two]), [0, 0]);
        assert_eq!(shared_out(u64::MAX, &[claim(u64::MAX, None); 3]).iter().sum::<u64>(), u64::MAX);
        // At most what a flow has left, and none of turns without it.
        assert_eq!(shared_out(10, &[claim(5, Some(2)), two, claim(0, None)]), [2, 8, 0]);
        assert_eq!(shared_out(10, &[claim(5, Some(2)), claim(1, Some(3))]), [2, 3]);
        assert_eq!(shared_out(10, &[claim(0, None)]), [0]);
    }
}
