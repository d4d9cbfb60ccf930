//! Each worker's entry in the kernel's maps, as the counts of reports.

use xdp_trafficgen_ebpf::abi::{RECENT, Worker, parts_of_recent};

use super::{DropReason, WorkerCount};
use crate::{
    config::Action,
    kernel::{Generator, KernelError, PerCpu, generator::Refusals},
    plan::PortPlan,
};

/// A worker's counters at one moment.
pub(super) struct State {
    cpu: u32,
    pub(super) worker: Worker,
    pub(super) refusals: Refusals,
    /// Whether trace points report the fate of frames.
    fates_known: bool,
}

/// The state of each worker, in the plan's order.
pub(super) fn states(
    plan: &PortPlan,
    generator: &Generator,
    workers: &PerCpu<Worker>,
) -> Result<Vec<State>, KernelError> {
    let fates_known = generator.trace_points().tell_fates();
    let of_cpu = |cpu: u32| workers.get(cpu).copied().unwrap_or_default();
    // Most of the time no frame is lost, and the maps of drops need no reading.
    let open =
        |worker: Worker| worker.counts.dropped + worker.counts.refused + in_flight(&worker) > 0;
    let lost = plan.cpus.iter().any(|&cpu| open(of_cpu(cpu)));
    let refusals = if lost { Some(generator.drops()?) } else { None };
    let refusals_of = |cpu: u32| {
        refusals.as_ref().and_then(|refusals| refusals.get(cpu)).cloned().unwrap_or_default()
    };
    let state =
        |&cpu: &u32| State { cpu, worker: of_cpu(cpu), refusals: refusals_of(cpu), fates_known };
    Ok(plan.cpus.iter().map(state).collect())
}

/// Frames that were not made because the program ran on a CPU without a worker. Paced ports have
/// none: a repetition without a departure is no frame, and departures in that time are late or
/// unsent.
pub(super) fn strayed<'a>(
    plan: &'a PortPlan,
    workers: &'a PerCpu<Worker>,
) -> impl Iterator<Item = WorkerCount> + 'a {
    let strayed = workers
        .iter()
        .filter(|(cpu, worker)| worker.counts.aborted > 0 && !plan.cpus.contains(cpu));
    strayed.filter(|_| plan.pacing.is_none()).map(|(cpu, worker)| WorkerCount {
        cpu,
        frames_attempted: worker.counts.aborted,
        drops: vec![(DropReason::WorkerMoved, worker.counts.aborted)],
        ..WorkerCount::default()
    })
}

impl State {
    pub(super) fn count(&self, action: Action) -> WorkerCount {
        let Self { cpu, worker, refusals: _, fates_known } = self;
        let made = worker.frames_attempted();
        let (mut drops, mut frames_tx, mut in_flight) = (Vec::new(), 0, 0);
        match action {
            Action::Redirect | Action::Tx => {
                drops = self.refused();
                if *fates_known {
                    frames_tx = worker.frames_tx();
                    in_flight = self::in_flight(worker);
                } else {
                    // Handed to the kernel, which reports no more.
                    frames_tx = worker.counts.queued;
                }
            }
            Action::Pass => frames_tx = made,
            Action::Drop => drops.push((DropReason::Action, made)),
        }
        drops.push((DropReason::Aborted, worker.counts.aborted));
        drops.retain(|&(_, count)| count > 0);
        let frames_attempted = made + worker.counts.aborted;
        WorkerCount {
            cpu: *cpu,
            frames_attempted,
            frames_tx,
            in_flight,
            drops,
            exceptions: worker.counts.exceptions,
        }
    }

    /// Frames that the kernel or the driver refused.
    pub(super) fn refused(&self) -> Vec<(DropReason, u64)> {
        self.refusals.iter().map(|(&refusal, &count)| (DropReason::from(refusal), count)).collect()
    }

    /// Flows and sizes of the frames whose fate is not known yet: the last ones in the queue.
    pub(super) fn in_flight_now(&self, action: Action) -> impl Iterator<Item = (u32, u32)> {
        let sends = self.fates_known && matches!(action, Action::Redirect | Action::Tx);
        let worker = &self.worker;
        (1..=in_flight(worker).min(RECENT as u64) * u64::from(sends)).map(|back| {
            let place = worker.counts.queued.wrapping_sub(back) % RECENT as u64;
            #[expect(clippy::cast_possible_truncation, reason = "below RECENT, which is a usize")]
            let place = place as usize;
            parts_of_recent(worker.recent[place])
        })
    }
}

/// Frames of a worker whose fate is not known yet. Counters are read one by one while they change, so
/// a negative difference counts as none.
fn in_flight(worker: &Worker) -> u64 {
    worker.counts.queued.saturating_sub(worker.counts.settled)
}
