//! A worker's thread: pinned to its CPU, it waits for the start signal and sends its share.

use std::{
    sync::{Arc, PoisonError},
    thread,
};

use futures::executor::block_on;
use tokio::sync::{oneshot, watch};

use crate::{
    engine::{
        EngineError, WorkerError,
        full_speed::FullSpeed,
        paced::PacedLoop,
        port::Port,
        stop::Stop,
        turns::take_turns,
        worker::{self, Worker},
    },
    host::WORKER_THREAD,
    kernel::ProgramClock,
    plan::pacing::Streams,
};

/// Starts the thread of the worker with this index among the port's CPUs. The start signal gives
/// it the instant of the start.
pub(super) fn spawn(
    port: Arc<Port>,
    index: u32,
    clock: ProgramClock,
    mut at_start: watch::Receiver<Option<u64>>,
    stop: Stop,
    done: oneshot::Sender<Result<(), WorkerError>>,
) -> Result<thread::JoinHandle<()>, EngineError> {
    let cpu = port.plan.cpus[index as usize];
    let work = move || {
        let pinned = worker::pin_to(cpu);
        let Ok(Some(start)) = block_on(at_start.wait_for(Option::is_some)).map(|start| *start)
        else {
            return;
        };
        let result = pinned.and_then(|()| {
            let Port { plan, generator, due, still, made_up } = &*port;
            let mut share = vec![0; plan.flows.len()];
            let worker =
                Worker { plan, generator, index, clock, start, stop: &stop, still, made_up };
            let result = work(&worker, &mut share);
            let mut due = due.lock().unwrap_or_else(PoisonError::into_inner);
            due.iter_mut().zip(share).for_each(|(due, share)| *due += share);
            result
        });
        // The session may take the counters for its own as soon as it learns of the end.
        drop(port);
        // The receiver is gone when the session was dropped.
        let _ = done.send(result);
    };
    thread::Builder::new()
        .name(format!("{WORKER_THREAD}{cpu}"))
        .spawn(work)
        .map_err(EngineError::Thread)
}

/// Sends the worker's share. Adds to `due` the departures of each flow that were due, whether
/// frames left at them or not; at full speed, the frames that were made.
fn work(worker: &Worker<'_>, due: &mut [u64]) -> Result<(), WorkerError> {
    let Some(pacing) = &worker.plan.pacing else {
        return take_turns(worker, &mut FullSpeed::new(worker)?, due);
    };
    let mut paced = PacedLoop::new(worker, pacing)?;
    match pacing.streams {
        Streams::Port => take_turns(worker, &mut paced, due),
        Streams::Flows => paced.all(due),
    }
}
