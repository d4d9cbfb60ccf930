//! The loop of a worker whose flows take turns: paced or at full speed, flows begin, end and share
//! as the plan's turns say.

use std::sync::atomic::Ordering;

use crate::{
    engine::worker::{Worker, WorkerError},
    plan::turns::{Next, PhaseEnd, Turns},
    units::Nanos,
};

/// How frames are sent while the same flows take turns. Times are since the start.
pub(super) trait SendLoop {
    /// The current time, at which flows begin and end.
    fn time(&mut self) -> Result<Nanos, WorkerError>;
    /// Whether the time that is left is too short to send in.
    fn is_over(&self, time_left: Nanos) -> bool;
    /// Waits until the next flow begins, while no flow sends. Returns whether departures remain.
    fn wait(&mut self, until: Nanos) -> Result<bool, WorkerError>;
    /// Sends until this many turns are taken, the phase ends, or the session stops.
    fn send(
        &mut self,
        turns: Option<u64>,
        until: Option<PhaseEnd>,
    ) -> Result<PhaseOutcome, WorkerError>;
}

/// The result of a phase.
pub(super) struct PhaseOutcome {
    /// Turns taken, those without a frame included.
    pub(super) taken: u64,
    /// Whether no departures remain.
    pub(super) is_last: bool,
    /// Turns of each flow whose frames were refused and are made up for; empty when there are none.
    pub(super) refused: Vec<u64>,
}

/// Lets the port's flows take turns, each from its beginning to its end. Adds each flow's departures,
/// with a frame or without, to `due`, also when a phase fails after others.
pub(super) fn take_turns(
    worker: &Worker<'_>,
    sender: &mut impl SendLoop,
    due: &mut [u64],
) -> Result<(), WorkerError> {
    let Worker { plan, generator, index, start, stop, made_up, .. } = *worker;
    let mut turns = Turns::of(plan, index as usize);
    loop {
        let now = sender.time()?;
        let outcome = match turns.next(Some(now), |left| sender.is_over(left)) {
            Next::Phase(phase, end) => {
                if plan.flows.len() > 1 {
                    generator.set_schedule(index, &phase.turns).map_err(WorkerError::Send)?;
                }
                sender.send(phase.frames, end)?
            }
            Next::Pause(begin) if !stop.is_cancelled() && sender.wait(begin)? => continue,
            Next::Pause(_) | Next::End => break,
        };
        let shares = turns.take(outcome.taken);
        due.iter_mut().zip(&shares).for_each(|(due, share)| *due += share);
        let refused = for_want_of_room(&shares, &outcome.refused);
        turns.give_back(&refused);
        made_up.fetch_add(refused.iter().sum(), Ordering::Relaxed);
        if outcome.is_last || stop.is_cancelled() {
            break;
        }
    }
    worker.sleep_until(start.saturating_add(turns.last_end().get()));
    Ok(())
}

/// So many frames of a flow are not refused by chance, while those of others are taken.
const MANY: u64 = 8;

/// Of the frames of each flow that were refused, those that had no room. A driver that refuses all of
/// one flow and takes others' refuses them for themselves: a veth does so with frames above its peer's
/// MTU. `shares`: the frames of each flow.
fn for_want_of_room(shares: &[u64], refused: &[u64]) -> Vec<u64> {
    let took_any = refused.iter().sum::<u64>() < shares.iter().sum();
    let for_itself = |share: u64, refused: u64| took_any && refused == share && share >= MANY;
    let flows = refused.iter().zip(shares);
    flows.map(|(&refused, &share)| if for_itself(share, refused) { 0 } else { refused }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_of_which_nothing_is_taken_is_refused_for_itself() {
        assert_eq!(for_want_of_room(&[10, 10], &[0, 10]), [0, 0]);
        assert_eq!(for_want_of_room(&[10, 10], &[1, 9]), [1, 9]);
        // A full queue takes nothing of any flow, and few frames may be refused by chance.
        assert_eq!(for_want_of_room(&[10, 10], &[10, 10]), [10, 10]);
        assert_eq!(for_want_of_room(&[10, 3], &[0, 3]), [0, 3]);
        assert_eq!(for_want_of_room(&[10, 10], &[]), [0; 0]);
    }
}
