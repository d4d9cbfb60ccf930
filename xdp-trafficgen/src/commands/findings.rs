//! What a command says of the interfaces it sends out of: before a run, while it goes on, and at
//! its end.
//!
//! Gathers the facts, which are others at the end than they were before, and lets [`diagnosis`]
//! draw the conclusions.

mod concluded;
mod explanations;
mod foreseen;
mod learned;
mod observation;
mod port;
mod watch;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

pub(crate) use self::concluded::RunEnd;
use self::{learned::LiveFindings, observation::Observation, port::ObservedPort};
use crate::{
    diagnosis::{self, Finding},
    host::{
        Interface, LinkChanges, NetlinkError, Quota, System, WorkerThread, allowed_cpus,
        descriptor_limit,
    },
    output::{
        PortFinding, log,
        streams::{is_log, say},
    },
    plan::Plan,
    stats::Snapshot,
};

/// What is sent, and on what.
#[derive(Clone, Debug)]
pub(crate) struct RunFindings {
    ports: Vec<ObservedPort>,
    before: Arc<StartState>,
    /// What was learned since the start, and how the interfaces changed. All clones share it.
    meanwhile: Arc<Mutex<LiveFindings>>,
}

/// How it was before the first frame.
#[derive(Clone, Debug, Default)]
struct StartState {
    /// The machine's facts, which are read once.
    system: System,
    /// Other processes' workers.
    elsewhere: Vec<WorkerThread>,
    /// CPUs that could have a worker.
    allowed_cpus: Vec<u32>,
    quotas: Vec<Quota>,
    /// Files this process may have open.
    descriptors: Option<u64>,
}

impl StartState {
    fn now() -> Self {
        let elsewhere =
            WorkerThread::gather().into_iter().filter(|worker| !worker.is_ours()).collect();
        Self {
            system: System::gather(),
            elsewhere,
            allowed_cpus: allowed_cpus().unwrap_or_default(),
            quotas: Quota::gather(),
            descriptors: descriptor_limit(),
        }
    }
}

/// Says on standard error that memory is short, before any is taken: a process that takes more than
/// its control group is killed without another word.
pub(crate) fn warn_of_memory() {
    let Some(finding) = diagnosis::of_memory(&System::gather()) else { return };
    if is_log() {
        log::memory_is_short(&finding);
    } else {
        say(format_args!("{}\n  cure: {}", finding.cause, finding.cure));
    }
}

/// Says why the facts cannot be had.
fn complain(error: &NetlinkError) {
    if is_log() {
        log::explanations_lacking(&error.to_string());
    } else {
        say(format_args!("what explains the counts cannot be found out: {error}"));
    }
}

impl RunFindings {
    /// Of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let so_far = LiveFindings { changes: LinkChanges::open().ok(), ..LiveFindings::default() };
        let meanwhile = Arc::new(Mutex::new(so_far));
        let before = Arc::new(StartState::now());
        Self { ports: plan.ports.iter().map(ObservedPort::of).collect(), before, meanwhile }
    }

    /// Takes over a new plan of a port: its interface may be another of the same name, and its CPUs
    /// and batches may differ.
    pub(crate) fn renew(&mut self, planned: Self) {
        for new in planned.ports {
            if let Some(old) = self.ports.iter_mut().find(|old| old.port == new.port) {
                // Flows that are over are not in the new plan, but in the counts.
                *old = ObservedPort { largest: new.largest.max(old.largest), ..new };
            }
        }
    }

    /// Explains the first losses of each port as soon as they happen, and reports renamed
    /// interfaces. The function that it returns never blocks: a thread finds the explanations,
    /// and a later call returns them.
    pub(crate) fn watch(&self) -> impl FnMut(&Snapshot) -> Vec<String> + use<> {
        watch::watch(self.clone())
    }

    /// The facts as they are now; none when they cannot be read, which is reported.
    fn look(&self) -> Option<Observation<'_>> {
        let indices: Vec<u32> = self.ports.iter().map(|sending| sending.index).collect();
        let interfaces = aside(|| Interface::again(&indices))?.inspect_err(complain).ok()?;
        Some(Observation::at(&self.before, interfaces, &mut self.so_far().changes))
    }

    fn so_far(&self) -> MutexGuard<'_, LiveFindings> {
        self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `ask` on a thread of its own, in the same network namespace: reading facts blocks, and the
/// caller may be asynchronous. None when no thread can be spawned.
fn aside<T: Send>(ask: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().spawn_scoped(scope, ask).ok()?.join().ok())
}

fn found(sending: &ObservedPort, finding: Finding) -> PortFinding {
    PortFinding { port: sending.port.clone(), frames: None, finding }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Action, WhenFull},
        diagnosis::SendMode,
        plan::{Needs, RequiredProgram},
        stats::{DropReason, PortCount},
    };

    /// Two ports that let frames pass by, so that nothing is asked of an interface.
    pub(super) fn run_findings() -> RunFindings {
        let sending = |port: &str| ObservedPort {
            port: port.to_owned(),
            interface: "lo".to_owned(),
            index: 1,
            action: Action::Drop,
            cpus: vec![0],
            batch_size: 64,
            when_full: WhenFull::Flood,
            largest: 64,
            attach: RequiredProgram::Nothing,
            needs: Needs::default(),
            mode: SendMode::FullSpeed,
            busy: true,
        };
        let ports = ["a", "b"].map(sending).to_vec();
        RunFindings { ports, before: Arc::default(), meanwhile: Arc::default() }
    }

    pub(super) fn full(frames: u64) -> Snapshot {
        let lost = PortCount {
            name: "a".to_owned(),
            drops: vec![(DropReason::QueueFull, frames)],
            ..PortCount::default()
        };
        Snapshot { ports: vec![lost], ..Snapshot::default() }
    }
}
