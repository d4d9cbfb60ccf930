//! Reads a port's counts from the kernel's maps.

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::{FCS_LEN, FlowCounts, Worker};

use crate::{
    config::Action,
    kernel::{Generator, KernelError},
    plan::PortPlan,
    stats::{
        DropReason, FlowCount, Outage, PortCount, WorkerCount, add_drops, drops, due_time,
        punctuality,
        workers::{self, State},
    },
};

impl PortCount {
    /// Reads a port's counters. `due`: the departures of each flow, when all workers have ended.
    ///
    /// # Errors
    /// When the maps cannot be read.
    pub fn read(
        plan: &PortPlan,
        generator: &Generator,
        elapsed: Duration,
        due: Option<&[u64]>,
    ) -> Result<Self, KernelError> {
        let entries = generator.workers()?;
        let states = workers::states(plan, generator, &entries)?;
        let mut workers: Vec<WorkerCount> =
            states.iter().map(|state| state.count(plan.action)).collect();
        workers.extend(workers::strayed(plan, &entries));
        let mut flows = flow_counts(plan, generator, &states)?;
        let windows = match &plan.pacing {
            None => due_time::at_full_speed(&plan.flows, elapsed),
            Some(_) => plan
                .flows
                .iter()
                .map(|flow| due_time::of_flow(flow, (Duration::ZERO, elapsed)))
                .collect(),
        };
        for (flow, window) in flows.iter_mut().zip(&windows) {
            flow.due_time = due_time::length(*window);
        }
        let due_time = due_time::covered(windows);
        let (mut punctuality, mut batch_size) = (None, None);
        if let Some(pacing) = &plan.pacing {
            punctuality = Some(punctuality::read(
                plan,
                pacing,
                generator,
                &mut flows,
                (elapsed, due_time),
                due,
            )?);
            for worker in (0..).take(plan.cpus.len()) {
                batch_size = batch_size.max(Some(generator.worker_clock(worker)?.spec.batch));
            }
        }
        let total = |count: fn(&WorkerCount) -> u64| workers.iter().map(count).sum::<u64>();
        let mut drops = Vec::new();
        workers.iter().for_each(|worker| add_drops(&mut drops, &worker.drops));
        let listens = plan.leaves_by().is_some();
        Ok(Self {
            name: plan.name.clone(),
            interface: plan.interface.clone(),
            elapsed,
            due_time,
            frames_attempted: total(|worker| worker.frames_attempted),
            frames_tx: total(|worker| worker.frames_tx),
            in_flight: total(|worker| worker.in_flight),
            drops,
            frames_made_up: 0,
            punctuality,
            batch_size,
            flows,
            workers,
            lacks: if listens { generator.trace_points().lacking() } else { Vec::new() },
            leaves_by: plan.leaves_by(),
            line_rate: plan.line_rate,
            interface_count: None,
            mismatches: Vec::new(),
            still: (Duration::ZERO, Duration::ZERO),
            outage: Outage::default(),
        })
    }
}

/// The fate of each flow's frames.
fn flow_counts(
    plan: &PortPlan,
    generator: &Generator,
    states: &[State],
) -> Result<Vec<FlowCount>, KernelError> {
    let mut totals = vec![Total::default(); plan.flows.len()];
    for (index, state) in (0..).zip(states) {
        let mut counted = generator.flow_counts(index, &plan.program)?;
        if counted.is_empty() {
            // A single flow has all of the worker's frames.
            let Worker { counts, only, .. } = state.worker;
            let frames = state.worker.frames_attempted();
            let dropped_frames = counts.refused + counts.dropped;
            counted.push(FlowCounts { frames, dropped_frames, ..only.counts });
        }
        for (flow, (total, counted)) in (0..).zip(totals.iter_mut().zip(&counted)) {
            total.frames += counted.frames;
            total.bytes += counted.bytes;
            total.lost_bytes += counted.dropped_bytes;
            if counted.dropped_frames == 0 {
                continue;
            }
            if counted_apart(plan) {
                let classes = generator.flow_drops(index, flow, &plan.program)?;
                add_drops(&mut total.drops, &drops::of_classes(&classes, &state.refusals));
            } else {
                add_drops(&mut total.drops, &state.refused());
            }
        }
        for (flow, size) in state.in_flight_now(plan.action) {
            if let Some(total) = totals.get_mut(flow as usize) {
                total.in_flight += 1;
                total.lost_bytes += u64::from(size);
            }
        }
    }
    let counts = plan.flows.iter().zip(totals).map(|(flow, total)| {
        let Total { frames, bytes, lost_bytes, in_flight, mut drops } = total;
        if plan.action == Action::Drop {
            add_drops(&mut drops, &[(DropReason::Action, frames)]);
        }
        let frames_tx =
            frames.saturating_sub(in_flight + drops.iter().map(|(_, count)| count).sum::<u64>());
        // Where sizes differ, the program counts bytes, without the FCS.
        let bytes_tx = match (frames_tx, bytes) {
            (0, _) => 0,
            (_, 0) => frames_tx * u64::from(flow.largest),
            (_, bytes) => bytes.saturating_sub(lost_bytes) + frames_tx * u64::from(FCS_LEN),
        };
        let name = flow.name.clone();
        FlowCount {
            name,
            frames_attempted: frames,
            frames_tx,
            bytes_tx,
            in_flight,
            drops,
            ..FlowCount::default()
        }
    });
    Ok(counts.collect())
}

/// A flow's counts while they are added up.
#[derive(Clone, Default)]
struct Total {
    frames: u64,
    bytes: u64,
    /// Bytes of frames that were dropped or are in flight.
    lost_bytes: u64,
    in_flight: u64,
    drops: Vec<(DropReason, u64)>,
}

/// Whether the program counts each flow of this port separately.
fn counted_apart(plan: &PortPlan) -> bool {
    !plan.program.flows.is_empty()
}
