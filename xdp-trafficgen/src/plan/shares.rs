//! Which worker sends which frames of a flow.
//!
//! Where flows have departures of their own, a flow belongs to one worker, so that its frames leave
//! in their order, and to several only where its rate takes that. Where flows share departures, or
//! have none, every worker has a share of every flow. The module is pure, and knows no rates but
//! numbers to balance.

/// The frames of a flow that a worker sends, by their numbers in the flow's sequence: `first`,
/// `first + stride`, `first + 2·stride`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of the worker's first frame: the worker's place among the flow's sharers.
    pub first: u64,
    /// From each of its frames to the next: the number of sharers.
    pub stride: u64,
}

impl Share {
    /// All frames of the flow.
    pub const WHOLE: Self = Self { first: 0, stride: 1 };
}

/// The workers of each of a port's flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    workers: usize,
    /// None: every worker has a share of every flow.
    owned: Option<Owned>,
}

/// The sharers of each flow, by their index, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    sharers: Vec<u32>,
    /// Where each flow's sharers end in that list: there the next flow's begin.
    ends: Vec<u32>,
}

/// How much more than an even part of all loads a worker may have, before a flow is shared for it.
const UNEVEN: f64 = 1.125;

impl Shares {
    /// Every worker has a share of every flow.
    pub const fn of_all(workers: usize) -> Self {
        Self { workers, owned: None }
    }

    /// Flows of these loads, one number for each flow, balanced over the workers.
    ///
    /// A flow has as few workers as keep each of them within `room`, or within 9/8 of an even part
    /// of all loads where that is more; all of them where no number does. Large flows are placed
    /// first, each where the least load is.
    pub fn balanced(loads: &[f64], workers: usize, room: f64) -> Self {
        let workers = workers.max(1);
        let most = room.max(loads.iter().sum::<f64>() / workers as f64 * UNEVEN);
        let mut order: Vec<usize> = (0..loads.len()).collect();
        order.sort_by(|one, other| loads[*other].total_cmp(&loads[*one]));
        let mut sums = vec![0.0; workers];
        let mut owners: Vec<Vec<u32>> = vec![Vec::new(); loads.len()];
        for flow in order {
            let idle = least(&sums);
            owners[flow] = if sums[idle] + loads[flow] <= most {
                sums[idle] += loads[flow];
                vec![index(idle)]
            } else {
                shared(&mut sums, loads[flow], most)
            };
        }
        let mut owned = Owned { sharers: Vec::with_capacity(loads.len()), ends: Vec::new() };
        for sharers in &owners {
            owned.sharers.extend(sharers);
            owned.ends.push(index(owned.sharers.len()));
        }
        Self { workers, owned: Some(owned) }
    }

    /// A worker's share of a flow, both by their index; none where the worker does not send it.
    pub fn of(&self, worker: usize, flow: usize) -> Option<Share> {
        if self.owned.is_none() {
            return Some(Share { first: worker as u64, stride: self.workers as u64 });
        }
        let (first, stride) =
            (self.sharers(flow).position(|sharer| sharer == worker)?, self.count(flow));
        Some(Share { first: first as u64, stride: stride as u64 })
    }

    /// The workers of a flow by their index, in order: the one at place p sends the frames p,
    /// p + n, … of n sharers.
    pub fn sharers(&self, flow: usize) -> impl Iterator<Item = usize> {
        let own = self.owned.as_ref().map(|owned| &owned.sharers[owned.range(flow)]);
        let all = if own.is_none() { 0..self.workers } else { 0..0 };
        all.chain(own.unwrap_or_default().iter().map(|&worker| worker as usize))
    }

    /// The number of a flow's sharers.
    pub fn count(&self, flow: usize) -> usize {
        self.owned.as_ref().map_or(self.workers, |owned| owned.range(flow).len())
    }

    /// The load of each worker, of flows with these loads.
    pub fn loads(&self, of_flows: &[f64]) -> Vec<f64> {
        let mut loads = vec![0.0; self.workers];
        for (flow, load) in of_flows.iter().enumerate() {
            let part = load / self.count(flow) as f64;
            self.sharers(flow).for_each(|worker| loads[worker] += part);
        }
        loads
    }

    /// The number of workers.
    pub const fn workers(&self) -> usize {
        self.workers
    }
}

impl Owned {
    fn range(&self, flow: usize) -> std::ops::Range<usize> {
        let begin = flow.checked_sub(1).map_or(0, |before| self.ends[before]);
        begin as usize..self.ends[flow] as usize
    }
}

/// The worker with the least load, the first of several.
fn least(sums: &[f64]) -> usize {
    (0..sums.len()).min_by(|one, other| sums[*one].total_cmp(&sums[*other])).unwrap_or(0)
}

/// Gives a load to several workers, and returns them.
fn shared(sums: &mut [f64], load: f64, most: f64) -> Vec<u32> {
    let mut idle: Vec<usize> = (0..sums.len()).collect();
    idle.sort_by(|one, other| sums[*one].total_cmp(&sums[*other]));
    let fits = |count: &usize| sums[idle[count - 1]] + load / *count as f64 <= most;
    let count = (2..=sums.len()).find(fits).unwrap_or(sums.len());
    idle.truncate(count);
    idle.sort_unstable();
    for &worker in &idle {
        sums[worker] += load / count as f64;
    }
    idle.into_iter().map(index).collect()
}

/// Workers and flows of a port are fewer than 2³² together.
#[expect(clippy::cast_possible_truncation, reason = "65 536 flows, by as many CPUs as there are")]
const fn index(index: usize) -> u32 {
    index as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sharers of each flow.
    #[track_caller]
    fn check(loads: &[f64], workers: usize, room: f64, expected: &[&[usize]]) {
        let shares = Shares::balanced(loads, workers, room);
        let sharers: Vec<Vec<usize>> =
            (0..loads.len()).map(|flow| shares.sharers(flow).collect()).collect();
        assert_eq!(sharers, expected);
    }

    #[test]
    fn a_flow_belongs_to_one_worker_unless_its_rate_takes_several() {
        check(&[1.0; 5], 2, 1000.0, &[&[0], &[1], &[0], &[1], &[0]]);
        check(&[1.0, 3.0, 2.0], 2, 1000.0, &[&[1], &[0], &[1]]);
        // More than there is room for on one, on two, and on all.
        check(&[1500.0, 1.0], 2, 1000.0, &[&[0, 1], &[0]]);
        check(&[900.0, 1500.0, 900.0], 3, 1000.0, &[&[2], &[0, 1], &[0, 1]]);
        check(&[9e9], 3, 1000.0, &[&[0, 1, 2]]);
        // Each has an even part or less; a third on one of two workers would be a third too many.
        check(&[4000.0; 4], 2, 1000.0, &[&[0], &[1], &[0], &[1]]);
        check(&[4000.0; 3], 2, 1000.0, &[&[0], &[1], &[0, 1]]);
        check(&[0.0, 0.0], 1, 1000.0, &[&[0], &[0]]);
        check(&[], 2, 1000.0, &[]);
    }

    proptest! {
        /// Every frame of a flow is sent by exactly one worker.
        #[test]
        fn frames_are_shared_out(loads in prop::collection::vec(0.0f64..3000.0, 1..60), workers in 1usize..9) {
            for shares in [Shares::balanced(&loads, workers, 1000.0), Shares::of_all(workers)] {
                prop_assert_eq!(shares.workers(), workers);
                for flow in 0..loads.len() {
                    let own: Vec<Share> = (0..workers).filter_map(|worker| shares.of(worker, flow)).collect();
                    prop_assert_eq!(own.len(), shares.count(flow));
                    for frame in 0..20 {
                        let senders = own.iter().filter(|share| frame % share.stride == share.first);
                        prop_assert_eq!(senders.count(), 1);
                    }
                }
            }
        }

        /// Loads are as even as flows of one worker allow.
        #[test]
        fn loads_are_balanced(loads in prop::collection::vec(0.0f64..3000.0, 1..60), workers in 1usize..9) {
            let shares = Shares::balanced(&loads, workers, 1000.0);
            let load = |worker: usize| -> f64 {
                let parts = loads.iter().enumerate().filter_map(|(flow, load)| Some(load / shares.of(worker, flow)?.stride as f64));
                parts.sum()
            };
            let even = loads.iter().sum::<f64>() / workers as f64;
            for worker in 0..workers {
                prop_assert!(load(worker) <= 1000f64.max(even * UNEVEN) + even * UNEVEN, "{} of {even}", load(worker));
            }
        }
    }
}
