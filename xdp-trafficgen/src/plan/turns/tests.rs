//! Turns against an oracle that decides frame by frame, in exact fractions.

use proptest::prelude::*;

use super::*;

/// A flow of the oracle: its weight, frames, beginning and end.
#[derive(Clone, Copy, Debug)]
struct Plain {
    weight: u64,
    frames: u64,
    begin: u64,
    end: u64,
}

/// Each frame's flow and time, where a frame departs every `gap`. A cycle gives each flow its
/// weight by the greatest common divisor of all active flows' weights, or the frames that it has
/// left; turn k of s stands at (2k + 1) / 2s of the cycle. A flow's beginning or end begins a new
/// cycle.
fn oracle(flows: &[Plain], gap: u64) -> Vec<(u32, u64)> {
    let mut left: Vec<u64> = flows.iter().map(|flow| flow.frames).collect();
    let (mut turns, mut members): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut sent, mut decided) = (Vec::new(), 0);
    for time in (0..).step_by(usize::try_from(gap).unwrap()) {
        let can_send = |left: &[u64], flow: usize| left[flow] > 0 && time < flows[flow].end;
        if (0..flows.len()).all(|flow| !can_send(&left, flow)) {
            return sent;
        }
        let left_it = members.iter().any(|&flow| time >= flows[flow].end);
        // A flow counts as joined even if it ended before the next departure.
        let joined =
            flows.iter().any(|flow| flow.frames > 0 && (decided + 1..=time).contains(&flow.begin));
        if turns.is_empty() || left_it || joined {
            decided = time;
            members = (0..flows.len())
                .filter(|&flow| can_send(&left, flow) && time >= flows[flow].begin)
                .collect();
            let divisor = (1..=20).rev().find(|divisor| {
                members.iter().all(|&flow| flows[flow].weight.is_multiple_of(*divisor))
            });
            let mut share: Vec<u64> =
                members.iter().map(|&flow| flows[flow].weight / divisor.unwrap_or(1)).collect();
            if members.iter().zip(&share).any(|(&flow, share)| left[flow] < *share) {
                share = members
                    .iter()
                    .zip(&share)
                    .map(|(&flow, share)| left[flow].min(*share))
                    .collect();
            }
            let mut places: Vec<(u64, u64, usize)> = members
                .iter()
                .zip(&share)
                .flat_map(|(&flow, &share)| {
                    (0..share).map(move |turn| (2 * turn + 1, 2 * share, flow))
                })
                .collect();
            places.sort_by(|a, b| (a.0 * b.1, a.2).cmp(&(b.0 * a.1, b.2)));
            turns = places.into_iter().rev().map(|(_, _, flow)| flow).collect();
        }
        if let Some(flow) = turns.pop() {
            left[flow] -= 1;
            sent.push((u32::try_from(flow).unwrap(), time));
        }
    }
    sent
}

/// The same by [`Turns`], one by one as `show` takes them.
fn one_by_one(flows: &[Plain], gap: u64) -> Vec<(u32, u64)> {
    let mut turns = Turns::new(flows.iter().map(of).collect());
    let (mut time, mut sent) = (0, Vec::new());
    loop {
        let now = Some(Nanos::new(time));
        if turns.phase_is_over(now) {
            match turns.next(now, |left| left == Nanos::ZERO) {
                Next::Phase(..) => {}
                Next::Pause(begin) => {
                    time = begin.get().next_multiple_of(gap);
                    continue;
                }
                Next::End => return sent,
            }
        }
        sent.extend(turns.take_one().map(|flow| (flow, time)));
        time += gap;
    }
}

/// How many frames each flow sends by [`Turns`], with as many at a time as possible, as the engine
/// takes them.
fn together(flows: &[Plain], gap: u64) -> Vec<u64> {
    let mut turns = Turns::new(flows.iter().map(of).collect());
    let (mut time, mut sent) = (0, vec![0; flows.len()]);
    loop {
        match turns.next(Some(Nanos::new(time)), |left| left == Nanos::ZERO) {
            Next::Phase(phase, end) => {
                let until_end = end.map(|end| (end.time.get() - time).div_ceil(gap));
                let taken = phase.frames.into_iter().chain(until_end).min().unwrap();
                sent.iter_mut().zip(turns.take(taken)).for_each(|(sent, share)| *sent += share);
                time += taken * gap;
            }
            Next::Pause(begin) => time = begin.get().next_multiple_of(gap),
            Next::End => return sent,
        }
    }
}

fn of(flow: &Plain) -> FlowTurns {
    let Plain { weight, frames, begin, end } = *flow;
    let weight = u32::try_from(weight).unwrap();
    FlowTurns { weight, begin: Nanos::new(begin), end: Nanos::new(end), left: Some(frames) }
}

#[test]
fn the_last_end_is_that_of_a_flow_with_turns_left() {
    let flow = |frames, end| of(&Plain { weight: 1, frames, begin: 0, end });
    let mut turns = Turns::new(vec![flow(0, 900), flow(5, 300), flow(5, u64::MAX)]);
    assert_eq!(
        turns.next(Some(Nanos::new(950)), |left| left == Nanos::ZERO),
        Next::Phase(&Phase { turns: vec![2], frames: Some(5) }, None,)
    );
    assert_eq!(turns.last_end(), Nanos::new(300));
}

proptest! {
    #[test]
    fn turns_are_those_of_the_oracle(
        flows in proptest::collection::vec((1u64..20, 0u64..60, 0u64..3000, 1u64..5000), 1..6), gap in 1u64..100,
    ) {
        let plain = |(weight, frames, begin, length)| Plain { weight, frames, begin, end: begin + length };
        let flows: Vec<Plain> = flows.into_iter().map(plain).collect();
        let expected = oracle(&flows, gap);
        prop_assert_eq!(one_by_one(&flows, gap), &*expected);
        let counts = (0..).take(flows.len()).map(|flow| expected.iter().filter(|(sent, _)| *sent == flow).count() as u64);
        prop_assert_eq!(together(&flows, gap), counts.collect::<Vec<_>>());
    }
}
