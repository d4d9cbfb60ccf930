//! The sweep: which settings are tried, and their rounds.
//!
//! Not all combinations: first the number of workers, then the batch size with the best number,
//! then the path with the best of both. Each of these stages measures its settings in rounds, one
//! after the other, forwards and backwards by turns, with a round of the default before or after
//! each, so that other load of the machine affects both.

use std::{collections::BTreeMap, iter, thread, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    commands::{
        CommandError,
        findings::{RunEnd, RunFindings},
        send::{drive, work_out, work_out_until},
        tune::explain,
    },
    config::{Action, Config, Located, Origin},
    engine::{DRAIN, Loaded, Start},
    host::Facts,
    kernel::{Capabilities, Listener, PassProgramShare, PassPrograms, TracePoint},
    output::{
        streams::say,
        terminal::Terminal,
        together::notes,
        tune::{Ended, PointsFinding, text::words},
    },
    plan::{Consent, Plan, RequiredProgram},
    stats::{
        PortCount,
        tuning::{Point, ROUNDS, Setting, choose, pps},
    },
};

/// Whole bulks of 16 frames (`DEV_MAP_BULK_SIZE`, `include/net/xdp.h`) up to the kernel's limit;
/// 240 is the last below a veth's ring of 256, which 256 frames fill.
const BATCH_SIZES: [u32; 7] = [16, 32, 64, 128, 192, 240, 256];

/// The paths on which frames leave.
const PATHS: [Action; 2] = [Action::Redirect, Action::Tx];

/// What a round takes beside sending: programs are verified and maps made (measured: 0.15 s).
const SET_UP: Duration = Duration::from_millis(150);

/// How long a sweep takes at most: all stages, with the rounds of the default between the others'.
pub(super) fn longest(cpus: usize, round: Duration) -> Duration {
    let with_default = |settings: usize| settings + settings.div_ceil(BESIDE_DEFAULT);
    // Each stage may measure the best of the one before again.
    let runs = with_default(worker_counts(cpus).len() - 1)
        + with_default(BATCH_SIZES.len())
        + with_default(PATHS.len());
    iter::repeat_n(round + SET_UP, runs * ROUNDS as usize).sum()
}

/// A round of the default stands between those of two other settings.
const BESIDE_DEFAULT: usize = 2;

/// 1, 2, 4 and so on, and all of them.
fn worker_counts(cpus: usize) -> Vec<usize> {
    let doubled = std::iter::successors(Some(1_usize), |count| count.checked_mul(2))
        .take_while(|count| *count < cpus);
    doubled.chain([cpus]).collect()
}

/// The settings of the stages, in their order, as functions of the best one so far.
type Stage = (&'static str, fn(&Setting, &[u32]) -> Vec<Setting>);

const STAGES: [Stage; 3] = [
    ("CPUs", |best, cpus| {
        let counts = worker_counts(cpus.len()).into_iter();
        counts.map(|count| Setting { cpus: cpus[..count].to_vec(), ..best.clone() }).collect()
    }),
    ("batch", |best, _| {
        BATCH_SIZES.map(|batch_size| Setting { batch_size, ..best.clone() }).to_vec()
    }),
    ("path", |best, _| PATHS.map(|action| Setting { action, ..best.clone() }).to_vec()),
];

/// What is the same in all rounds.
pub(super) struct Run {
    /// A port and a flow.
    pub(super) config: Config,
    pub(super) capabilities: Capabilities,
    pub(super) consent: Consent,
    /// How long a round sends.
    pub(super) round: Duration,
}

impl Run {
    /// The CPUs to tune on without `--cpus`: the one that a run would use, then all others that
    /// this process may use.
    pub(super) fn cpus(&self) -> Result<Vec<u32>, CommandError> {
        let mut config = self.config.clone();
        config.ports.iter_mut().for_each(|port| port.cpus = None);
        let plan = work_out(&config, Some(self.capabilities), self.consent)?;
        let mut cpus: Vec<u32> = plan.ports.into_iter().flat_map(|port| port.cpus).collect();
        let allowed = Facts::gather(&[], &[], None)?.allowed_cpus;
        let others: Vec<u32> = allowed.into_iter().filter(|cpu| !cpus.contains(cpu)).collect();
        cpus.extend(others);
        Ok(cpus)
    }

    fn plan(&self, setting: &Setting, stop: &CancellationToken) -> Result<Plan, CommandError> {
        let mut config = self.config.clone();
        for port in &mut config.ports {
            port.action.value = setting.action;
            port.cpus = Some(Located::new(setting.cpus.clone(), Origin::Option("--cpus")));
            port.batch_size.value = setting.batch_size;
        }
        for flow in &mut config.flows {
            flow.duration = Some(Located::new(self.round, Origin::Option("--duration")));
        }
        work_out_until(stop, &config, Some(self.capabilities), self.consent)
    }
}

/// The index of the default among the points.
const DEFAULT: usize = 0;

/// A sweep and what it has measured so far.
pub(super) struct Sweep {
    run: Run,
    /// The default first.
    points: Vec<Point>,
    /// What each of them is sent on, by index.
    findings_of_points: BTreeMap<usize, RunFindings>,
    progress: Option<Terminal>,
    listener: Listener,
    enabling: PassPrograms,
    /// What lets the driver send. One for the whole sweep: some NICs start anew, and lose their
    /// link for seconds, when it comes and goes.
    holds: Vec<PassProgramShare>,
}

/// What a sweep came to.
pub(super) struct Swept {
    pub(super) points: Vec<Point>,
    pub(super) findings: Vec<PointsFinding>,
    pub(super) end: Result<Ended, CommandError>,
}

impl Sweep {
    /// Finds out, before anything is sent, whether all of it can be done, and tells what was
    /// decided for the user. Told to stop, it waits for no link.
    pub(super) fn prepare(
        run: Run,
        default: Setting,
        cpus: &[u32],
        stop: &CancellationToken,
    ) -> Result<Self, CommandError> {
        let plan = run.plan(&Setting { cpus: cpus.to_vec(), ..default.clone() }, stop)?;
        notes(&plan.notes).iter().for_each(say);
        // Findings that only slow a run are reported at the end, of the setting to propose.
        let _ = RunFindings::of(&plan).warn();
        let (enabling, mut holds) = (PassPrograms::until(stop), Vec::new());
        for port in plan.ports {
            if let (RequiredProgram::Pass(existing), Some(interface)) =
                (port.attach, port.leaves_by())
            {
                holds.push(enabling.hold(interface, existing)?);
            }
        }
        let listener = Listener::new(1, &TracePoint::ALL)?;
        let (points, findings_of_points) = (vec![Point::new(default)], BTreeMap::new());
        Ok(Self {
            run,
            points,
            findings_of_points,
            progress: Terminal::find(),
            listener,
            enabling,
            holds,
        })
    }

    /// Measures until all is done, a run fails, nothing can be sent, or `stop` is cancelled.
    pub(super) fn run(mut self, cpus: &[u32], stop: &CancellationToken) -> Swept {
        let mut end = self.stages(cpus, stop);
        let Self { mut points, findings_of_points, holds, progress, .. } = self;
        drop(progress);
        // Those whose first round was not reached, which are the last.
        points.truncate(points.iter().take_while(|point| !point.rounds.is_empty()).count());
        // As long as everything is as it was during the runs.
        let findings =
            explain::findings(&points, &findings_of_points, RunEnd::of(end.as_ref().err()));
        if let Err(error) = release(holds)
            && end.is_ok()
        {
            end = Err(error);
        }
        Swept { points, findings, end }
    }

    fn stages(&mut self, cpus: &[u32], stop: &CancellationToken) -> Result<Ended, CommandError> {
        for (name, settings) in STAGES {
            let best = choose(&self.points).map_or(0, |choice| choice.point);
            let settings = settings(&self.points[best].setting, cpus);
            if let Ended::Early = self.stage(name, settings, stop)? {
                return Ok(Ended::Early);
            }
            if let Some(choice) = choose(&self.points) {
                let Point { setting, .. } = &self.points[choice.point];
                say(format_args!("{name}: the best so far is {}", words(setting)));
            }
        }
        Ok(Ended::Complete)
    }

    /// All rounds of these settings, with the default beside them.
    fn stage(
        &mut self,
        name: &str,
        settings: Vec<Setting>,
        stop: &CancellationToken,
    ) -> Result<Ended, CommandError> {
        let mut members = Vec::new();
        for setting in settings {
            let known = self.points.iter().position(|point| point.setting == setting);
            members.push(known.unwrap_or_else(|| {
                self.points.push(Point::new(setting));
                self.points.len() - 1
            }));
        }
        members.retain(|index| *index != DEFAULT);
        if members.is_empty() {
            return Ok(Ended::Complete);
        }
        let plans = [DEFAULT]
            .iter()
            .chain(&members)
            .map(|index| self.run.plan(&self.points[*index].setting, stop));
        let plans: Vec<Plan> = match plans.collect() {
            Err(error) if CommandError::is_stopped(&error) => return Ok(Ended::Early),
            plans => plans?,
        };
        let [default, plans @ ..] = plans.as_slice() else { return Ok(Ended::Complete) };
        let mut others: Vec<(usize, &Plan)> = members.into_iter().zip(plans).collect();
        let all = others.iter().copied().chain([(DEFAULT, default)]);
        self.findings_of_points.extend(all.map(|(index, plan)| (index, RunFindings::of(plan))));
        let all = (others.len() + others.len().div_ceil(BESIDE_DEFAULT)) * ROUNDS as usize;
        let mut done = 0;
        for _ in 0..ROUNDS {
            for pair in others.chunks(BESIDE_DEFAULT) {
                let mut turns = pair.to_vec();
                turns.insert(1, (DEFAULT, default));
                let Some(counts) = self.send(&turns, stop, || self.show(name, &mut done, all))?
                else {
                    return Ok(Ended::Early);
                };
                let default_pps = counts
                    .iter()
                    .find(|(index, _)| *index == DEFAULT)
                    .map_or(0.0, |(_, count)| pps(count));
                counts
                    .into_iter()
                    .for_each(|(index, count)| self.points[index].add(count, default_pps));
            }
            // What sends nothing now will not do so in the next round either.
            if self.points.iter().all(|point| point.count.frames_tx == 0) {
                return Ok(Ended::Early);
            }
            others.reverse();
        }
        Ok(Ended::Complete)
    }

    /// A round of each of these settings. None when `stop` was cancelled: the last round was cut
    /// short and is no measure.
    fn send(
        &self,
        turns: &[(usize, &Plan)],
        stop: &CancellationToken,
        mut round: impl FnMut(),
    ) -> Result<Option<Vec<(usize, PortCount)>>, CommandError> {
        let mut counts = Vec::new();
        for &(index, plan) in turns {
            let (mut snapshot, failure) = drive(
                Loaded::beside(plan.clone(), &self.listener, &self.enabling)?,
                Start::Now,
                stop,
                None,
            )?;
            if let Some(failure) = failure {
                return Err(failure);
            }
            if stop.is_cancelled() {
                return Ok(None);
            }
            counts.extend(snapshot.ports.pop().map(|count| (index, count)));
            round();
        }
        Ok(Some(counts))
    }

    /// On a terminal, how far the stage has come.
    fn show(&self, name: &str, done: &mut usize, all: usize) {
        *done += 1;
        if let Some(terminal) = &self.progress {
            terminal.show(&format!("{name}: {done} of {all} rounds"));
        }
    }
}

/// Takes the programs off that let drivers send, once the last frames have left.
fn release(holds: Vec<PassProgramShare>) -> Result<(), CommandError> {
    if holds.iter().any(PassProgramShare::is_ours) {
        thread::sleep(DRAIN);
    }
    let released: Vec<_> = holds.into_iter().map(PassProgramShare::release).collect();
    Ok(released.into_iter().collect::<Result<(), _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_doubled_up_to_all() {
        for (cpus, counts) in
            [(1, &[1][..]), (2, &[1, 2]), (3, &[1, 2, 3]), (6, &[1, 2, 4, 6]), (8, &[1, 2, 4, 8])]
        {
            assert_eq!(worker_counts(cpus), counts);
        }
    }

    #[test]
    fn each_stage_changes_one_thing_of_the_best() {
        let best = Setting { action: Action::Tx, cpus: vec![5, 3], batch_size: 96 };
        let tried = STAGES.map(|(name, settings)| {
            let settings = settings(&best, &[5, 3, 1]).into_iter();
            let words = settings.map(|Setting { action, cpus, batch_size }| {
                format!("{} {cpus:?} {batch_size}", action.name())
            });
            (name, words.collect::<Vec<_>>().join(", "))
        });
        let batches = BATCH_SIZES.map(|size| format!("tx [5, 3] {size}")).join(", ");
        assert_eq!(tried[0], ("CPUs", "tx [5] 96, tx [5, 3] 96, tx [5, 3, 1] 96".to_owned()));
        assert_eq!(tried[1], ("batch", batches));
        assert_eq!(tried[2], ("path", "redirect [5, 3] 96, tx [5, 3] 96".to_owned()));
    }

    #[test]
    fn the_longest_time_counts_the_rounds_of_the_default() {
        let round = Duration::from_millis(850);
        // Of one CPU: 7 batches with 4 defaults between them, 2 paths with 1; each in 5 rounds of a
        // second with what is around.
        assert_eq!(longest(1, round), Duration::from_secs((7 + 4 + 2 + 1) * 5));
        // 2, 4 and 6 CPUs, with 2 defaults.
        assert_eq!(longest(6, round), Duration::from_secs((3 + 2 + 7 + 4 + 2 + 1) * 5));
    }
}
