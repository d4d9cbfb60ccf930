//! What a command says of the interfaces it sends out of: before a run, while it goes on, and at its end.
//!
//! Gathers the facts, which are others at the end than they were before, and lets [`diagnosis`] draw the conclusions.

mod explanations;
mod observation;
mod watch;

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use self::{
    explanations::DropExplanations,
    observation::{Observation, Period, causes},
};
use crate::{
    commands::CommandError,
    config::Action,
    diagnosis::{self, Finding, Rivals, SendMode, Severity},
    host::{
        Interface, LinkChanges, Netlink, NetlinkError, Quota, System, WorkerThread, allowed_cpus, descriptor_limit,
        is_captured, name_of,
    },
    output::{
        NewDrops, PortFinding, log,
        streams::{is_log, say},
        together,
    },
    plan::{Needs, Plan, PortPlan, RequiredProgram},
    stats::{DropReason, PortCount, Snapshot},
};

/// What is sent, and on what.
#[derive(Clone, Debug)]
pub(crate) struct RunFindings {
    ports: Vec<ObservedPort>,
    before: Arc<StartState>,
    /// What was found out so far, and what became of the interfaces meanwhile: the same for all clones.
    meanwhile: Arc<Mutex<LiveFindings>>,
}

/// How it was before the first frame.
#[derive(Clone, Debug, Default)]
struct StartState {
    /// The machine, which is looked at once.
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
        let elsewhere = WorkerThread::gather().into_iter().filter(|worker| !worker.is_ours()).collect();
        Self {
            system: System::gather(),
            elsewhere,
            allowed_cpus: allowed_cpus().unwrap_or_default(),
            quotas: Quota::gather(),
            descriptors: descriptor_limit(),
        }
    }
}

/// What is found out while frames are sent.
#[derive(Debug, Default)]
struct LiveFindings {
    moments: DropExplanations,
    /// None where the kernel does not tell.
    changes: Option<LinkChanges>,
    /// Ports, by their places, at whose interfaces somebody captured.
    captured: BTreeSet<usize>,
    /// When drops were explained the last time.
    learned: Option<Instant>,
}

impl LiveFindings {
    /// Takes in what the kernel told, which it keeps for a while only.
    fn read_reports(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.read_reports();
        }
    }
}

/// How long after one look there is no other: about a second, and a bit less, for ticks of a second come early now and then.
const BETWEEN_LOOKS: Duration = Duration::from_millis(950);

/// How long from `now` until the next look, after that of `learned`.
fn rest(learned: Option<Instant>, now: Instant) -> Duration {
    learned.map_or(Duration::ZERO, |learned| BETWEEN_LOOKS.saturating_sub(now.saturating_duration_since(learned)))
}

/// One port of it.
#[derive(Clone, Debug)]
struct ObservedPort {
    port: String,
    /// The interface that frames leave by, or would.
    interface: String,
    index: u32,
    action: Action,
    cpus: Vec<u32>,
    batch_size: u32,
    largest: u32,
    attach: RequiredProgram,
    needs: Needs,
    pace: SendMode,
    /// Whether its workers are at work all the time, and do not sleep between frames.
    busy: bool,
}

impl ObservedPort {
    fn of(plan: &PortPlan) -> Self {
        let index = plan.leaves_by().unwrap_or(plan.egress);
        let other = || {
            let links = aside(|| Netlink::open().and_then(|netlink| netlink.links()))?.unwrap_or_default();
            links.into_iter().find(|link| link.index == index).map(|link| link.name)
        };
        let interface = (index != plan.egress).then(other).flatten().unwrap_or_else(|| plan.interface.clone());
        Self {
            port: plan.name.clone(),
            interface,
            index,
            action: plan.action,
            cpus: plan.cpus.clone(),
            batch_size: plan.batch_size,
            largest: plan.flows.iter().map(|flow| flow.largest).max().unwrap_or(0),
            attach: plan.attach,
            needs: plan.needs,
            pace: if plan.pacing.is_none() { SendMode::FullSpeed } else { SendMode::Paced },
            busy: plan.pacing.as_ref().is_none_or(|pacing| pacing.keeps_busy(plan.cpus.len())),
        }
    }

    /// Whether frames leave at all.
    const fn leaves(&self) -> bool {
        matches!(self.action, Action::Redirect | Action::Tx)
    }

    /// What it means that somebody captures there.
    fn capture(&self) -> Finding {
        diagnosis::of_capture(&name_of(self.index).unwrap_or_else(|| self.interface.clone()))
    }

    /// That the interface is called otherwise by now. It goes on sending: the kernel knows it by its index.
    fn renamed(&self) -> Option<Finding> {
        let now = name_of(self.index).filter(|now| *now != self.interface)?;
        Some(diagnosis::of_renamed(&self.interface, &now))
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

/// The plan says these itself, and the last one is said before there is one.
const SAID_ALREADY: [&str; 4] = ["cpu_above_queues", "needs_program", "no_carrier", "low_memory"];

/// Says on standard error that memory is short, before any is taken: whoever takes more than a control group may have is killed
/// without another word.
pub(crate) fn warn_of_memory() {
    let Some(finding) = diagnosis::of_memory(&System::gather()) else { return };
    if is_log() {
        log::memory_is_short(&finding);
    } else {
        say(format_args!("{}\n  cure: {}", finding.cause, finding.cure));
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

    /// A port was planned anew: its interface may be another of the same name, and so may be its CPUs and batches.
    pub(crate) fn renew(&mut self, planned: Self) {
        for new in planned.ports {
            if let Some(old) = self.ports.iter_mut().find(|old| old.port == new.port) {
                // Flows that are over are not in the new plan, but in the counts.
                *old = ObservedPort { largest: new.largest.max(old.largest), ..new };
            }
        }
    }

    /// All that is to be expected, the worst first in each port.
    pub(crate) fn foresee(&self) -> Vec<PortFinding> {
        let Some(look) = self.look() else { return Vec::new() };
        let of_port = |sending| self.foresee_of(&look, sending);
        self.ports.iter().flat_map(of_port).collect()
    }

    fn foresee_of(&self, look: &Observation<'_>, sending: &ObservedPort) -> Vec<PortFinding> {
        let mut findings = look.foresee(sending);
        let quota = self.quota(sending);
        findings.extend(self.shared_cpus(sending).into_iter().chain(quota).chain(self.few_descriptors()));
        findings.sort_by_key(|finding| Reverse(finding.severity));
        findings.into_iter().map(|finding| found(sending, finding)).collect()
    }

    /// That the workers which are at work all the time, the port's among them, take more CPU time than they may. What becomes of
    /// those that sleep between frames is told by [`Self::contention`], from what happened.
    fn quota(&self, sending: &ObservedPort) -> Option<Finding> {
        let busy = self.ports.iter().filter(|port| port.busy).flat_map(|port| &port.cpus);
        let busy: BTreeSet<u32> = busy.copied().collect();
        if sending.busy { diagnosis::of_quota(&self.before.quotas, busy.len(), sending.pace) } else { None }
    }

    /// That the ports take more file descriptors than this process may have.
    fn few_descriptors(&self) -> Option<Finding> {
        let all = self.ports.iter().fold(Needs::default(), |all, sending| all.and(sending.needs));
        diagnosis::of_descriptors(all.most_descriptors(), self.before.descriptors?)
    }

    /// That the port is not alone on its CPUs.
    fn shared_cpus(&self, sending: &ObservedPort) -> Option<Finding> {
        let StartState { elsewhere, allowed_cpus, .. } = &*self.before;
        let others = || self.ports.iter().filter(|other| other.port != sending.port);
        let rivals = |&cpu: &u32| {
            let ports = others().filter(|other| other.cpus.contains(&cpu)).map(|other| format!("port {}", other.port));
            let processes = elsewhere.iter().filter(|worker| worker.cpu == cpu);
            (cpu, ports.chain(processes.map(|worker| format!("process {}", worker.process))).collect())
        };
        let rivals: Rivals = sending.cpus.iter().map(rivals).collect();
        let taken = |cpu: &u32| {
            self.ports.iter().any(|port| port.cpus.contains(cpu)) || elsewhere.iter().any(|worker| worker.cpu == *cpu)
        };
        let free: Vec<u32> = allowed_cpus.iter().copied().filter(|cpu| !taken(cpu)).collect();
        diagnosis::of_shared_cpus(&rivals, &free, sending.pace)
    }

    /// What kept the port's workers from their CPUs: what is known of it now, that it is over. A quota that cost no departure,
    /// as it stopped the process while it loaded, or while its workers slept, is not worth a word.
    fn contention(&self, sending: &ObservedPort, port: &PortCount, quotas: &[Quota]) -> impl Iterator<Item = Finding> {
        let in_time = port.punctuality.is_some_and(|punctuality| punctuality.late == 0 && punctuality.unsent == 0);
        let quotas = if in_time { &[] } else { quotas };
        let throttled = quotas.iter().find_map(|quota| Some((quota, quota.since(&self.before.quotas)?)));
        let throttled = throttled.map(|(quota, throttled)| diagnosis::of_throttling(quota, throttled, sending.pace));
        self.shared_cpus(sending).into_iter().chain(throttled)
    }

    /// Says on standard error what will cost frames, and gives what will cost time: that is said at the end.
    pub(crate) fn warn(&self) -> Vec<PortFinding> {
        let (mut worse, slower): (Vec<_>, Vec<_>) =
            self.foresee().into_iter().partition(|found| found.finding.severity >= Severity::Loses);
        worse.retain(|found| !SAID_ALREADY.contains(&found.finding.code));
        together::findings(&worse).iter().for_each(say);
        slower.into_iter().filter(|found| found.finding.severity == Severity::Slows).collect()
    }

    /// Says of each port, as soon as it loses frames, why the first ones were lost; and that its interface was renamed. Whoever
    /// calls it waits for nothing: what there is to say is found out meanwhile, and given the next time.
    pub(crate) fn watch(&self) -> impl FnMut(&Snapshot) -> Vec<String> + use<> {
        watch::watch(self.clone())
    }

    /// Ports at whose interfaces somebody captures, who did not before.
    fn newly_captured(&self) -> Vec<usize> {
        let captured = |sending: &ObservedPort| sending.leaves() && is_captured(sending.index);
        let places = self.ports.iter().enumerate().filter(|(_, sending)| captured(sending)).map(|(place, _)| place);
        let places: Vec<usize> = places.collect();
        let mut so_far = self.so_far();
        places.into_iter().filter(|place| so_far.captured.insert(*place)).collect()
    }

    /// Finds out why the frames were dropped that were not at the last time, and keeps it: from one look for all, and one a second
    /// at most. It blocks, for milliseconds.
    pub(crate) fn learn(&self, snapshot: &Snapshot) -> Vec<NewDrops> {
        if self.rest().is_zero() { self.learn_now(snapshot) } else { Vec::new() }
    }

    /// The same whenever the last look was, for the end.
    pub(crate) fn learn_now(&self, snapshot: &Snapshot) -> Vec<NewDrops> {
        {
            let mut so_far = self.so_far();
            so_far.read_reports();
            if so_far.moments.news(snapshot).is_empty() {
                // What became of the interfaces until now has cost nothing.
                so_far.changes.iter_mut().for_each(LinkChanges::next_period);
                return Vec::new();
            }
            so_far.learned = Some(Instant::now());
        }
        self.put_down(snapshot, self.look().as_ref())
    }

    /// How long until the next look.
    fn rest(&self) -> Duration {
        let mut so_far = self.so_far();
        so_far.read_reports();
        rest(so_far.learned, Instant::now())
    }

    /// Explains what nothing explained so far by this look.
    fn put_down(&self, snapshot: &Snapshot, look: Option<&Observation<'_>>) -> Vec<NewDrops> {
        let mut so_far = self.so_far();
        let news = so_far.moments.news(snapshot);
        let explained = |(key, count): ((usize, DropReason), u64)| {
            let (index, reason) = key;
            let finding = look.zip(self.ports.get(index));
            let finding = finding.map(|(look, sending)| look.of_drop(sending, reason, Period::Lately));
            let frames = finding.as_ref().map(|finding| so_far.moments.put_down(key, count, finding.clone()));
            NewDrops { index, reason, frames: frames.unwrap_or(count), finding }
        };
        news.into_iter().map(explained).collect()
    }

    /// What explains the final counts. `slower`: what [`Self::warn`] gave. `failed`: whether the run ended before its time.
    pub(crate) fn conclude(&self, snapshot: &Snapshot, slower: Vec<PortFinding>, failed: bool) -> Vec<PortFinding> {
        self.newly_captured();
        let captured = self.so_far().captured.clone();
        let mut findings = Vec::new();
        let wrong = |port: &PortCount| port.dropped() > 0 || port.transmitted == 0 || !port.partings.is_empty();
        let quotas = Quota::gather();
        let look = if failed || snapshot.ports.iter().any(wrong) { self.look() } else { None };
        self.put_down(snapshot, look.as_ref());
        for (index, (sending, port)) in self.ports.iter().zip(&snapshot.ports).enumerate() {
            let first = findings.len();
            findings.extend(causes(sending, port, |reason, count| self.told((index, reason), count, look.as_ref())));
            if let Some(look) = &look {
                let known = |gone: &Finding| findings[first..].iter().any(|known| known.finding.code == gone.code);
                let gone = look.of_gone(sending).filter(|gone| !known(gone)).map(|gone| found(sending, gone));
                findings.extend(gone);
                findings.extend(port.partings.iter().map(|parting| look.of_mismatch(sending, parting)));
            }
            findings.extend(sending.renamed().map(|finding| found(sending, finding)));
            findings.extend(captured.contains(&index).then(|| found(sending, sending.capture())));
            // Of a run that failed before the first frame, the failure is the reason.
            let stopped = failed && port.attempted == 0;
            let nothing_sent = if stopped { None } else { diagnosis::of_nothing_sent(port) };
            let of_time = [diagnosis::of_outage(port), diagnosis::of_stillness(port)];
            findings.extend(of_time.into_iter().flatten().map(|finding| found(sending, finding)));
            let by_itself = [nothing_sent, diagnosis::of_lacking(&port.lacks)];
            findings.extend(by_itself.into_iter().flatten().map(|finding| found(sending, finding)));
            if port.attempted > 0 {
                findings.extend(self.contention(sending, port, &quotas).map(|finding| found(sending, finding)));
            }
            let at_full_speed = sending.pace == SendMode::FullSpeed && port.transmitted > 0;
            let known: BTreeSet<(String, &str)> =
                findings.iter().map(|known| (known.port.clone(), known.finding.code)).collect();
            let news = |found: &&PortFinding| {
                at_full_speed && found.port == port.name && !known.contains(&(found.port.clone(), found.finding.code))
            };
            findings.extend(slower.iter().filter(news).cloned());
        }
        findings
    }

    /// Adds why the run failed, where that is known: to the port that failed, or to all when it is none by itself.
    pub(crate) fn explain(&self, failure: &CommandError, findings: &mut Vec<PortFinding>) {
        let Some(finding) = failure.finding() else { return };
        let failed = failure.port();
        for sending in self.ports.iter().filter(|sending| failed.is_none_or(|name| name == sending.port)) {
            if !findings.iter().any(|known| known.port == sending.port && known.finding.code == finding.code) {
                findings.push(found(sending, finding.clone()));
            }
        }
    }

    /// What explains so many drops of a port, by its place, for this reason.
    fn told(&self, key: (usize, DropReason), count: u64, look: Option<&Observation<'_>>) -> Vec<(u64, Finding)> {
        let so_far = self.so_far();
        match look.zip(self.ports.get(key.0)) {
            Some((look, sending)) => {
                let now = look.of_drop(sending, key.1, Period::InAll);
                so_far.moments.told(key, count, Some(&now), |then| look.at_the_end(sending, then, &now))
            }
            None => so_far.moments.told(key, count, None, Finding::clone),
        }
    }

    /// The facts as they are now; none, and a word about it, when they cannot be had.
    fn look(&self) -> Option<Observation<'_>> {
        let indices: Vec<u32> = self.ports.iter().map(|sending| sending.index).collect();
        let interfaces = aside(|| Interface::again(&indices))?.inspect_err(complain).ok()?;
        Some(Observation::at(&self.before, interfaces, &mut self.so_far().changes))
    }

    fn so_far(&self) -> MutexGuard<'_, LiveFindings> {
        self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine is asked by a thread of its own, in the same network namespace: asking blocks, and the caller may be
/// asynchronous. None when there is no thread to be had.
fn aside<T: Send>(ask: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().spawn_scoped(scope, ask).ok()?.join().ok())
}

fn found(sending: &ObservedPort, finding: Finding) -> PortFinding {
    PortFinding { port: sending.port.clone(), frames: None, finding }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        engine::{EngineError, WorkerError},
        host::Throttled,
        kernel::KernelError,
    };

    /// Two ports that let frames pass by, so that nothing is asked of an interface.
    fn outlook() -> RunFindings {
        let sending = |port: &str| ObservedPort {
            port: port.to_owned(),
            interface: "lo".to_owned(),
            index: 1,
            action: Action::Drop,
            cpus: vec![0],
            batch_size: 64,
            largest: 64,
            attach: RequiredProgram::Nothing,
            needs: Needs::default(),
            pace: SendMode::FullSpeed,
            busy: true,
        };
        let ports = ["a", "b"].map(sending).to_vec();
        RunFindings { ports, before: Arc::default(), meanwhile: Arc::default() }
    }

    #[test]
    fn a_quota_is_foreseen_for_workers_that_never_sleep() {
        let quota = |cpus: u64| Quota {
            file: "/sys/fs/cgroup/cpu.max".to_owned(),
            unlimited: "max",
            time: Duration::from_millis(cpus * 100),
            period: Duration::from_millis(100),
            throttled: Throttled::default(),
        };
        #[track_caller]
        fn check(quota: Quota, ports: [(bool, &[u32]); 2], expected: [Option<&str>; 2]) {
            let mut outlook = outlook();
            Arc::make_mut(&mut outlook.before).quotas = vec![quota];
            for (sending, (busy, cpus)) in outlook.ports.iter_mut().zip(ports) {
                *sending = ObservedPort { busy, cpus: cpus.to_vec(), ..sending.clone() };
            }
            let found = outlook.ports.iter().map(|sending| outlook.quota(sending).map(|finding| finding.cause));
            for (cause, expected) in found.zip(expected) {
                let as_expected =
                    expected.map_or(cause.is_none(), |part| cause.as_ref().is_some_and(|cause| cause.contains(part)));
                assert!(as_expected, "{cause:?}, not {expected:?}");
            }
        }
        let both = Some("may use 1 CPU (`/sys/fs/cgroup/cpu.max`) and workers on 2 CPUs take 2");
        check(quota(1), [(true, &[0]), (true, &[1])], [both; 2]);
        // Neither of one that sleeps, nor because of it.
        check(quota(1), [(true, &[0]), (false, &[1])], [None; 2]);
        check(quota(1), [(true, &[0, 1]), (false, &[2])], [both, None]);
        // Two on the same CPU take no more than it has.
        check(quota(1), [(true, &[0]), (true, &[0])], [None; 2]);
    }

    #[test]
    fn a_failure_is_its_own_reason() {
        let ports = ["a", "b"].map(|name| PortCount { name: name.to_owned(), ..PortCount::default() }).to_vec();
        let snapshot = Snapshot { ports, ..Snapshot::default() };
        let said = |findings: &[PortFinding]| {
            findings.iter().map(|found| format!("{}: {}", found.port, found.finding.code)).collect::<Vec<_>>()
        };
        let outlook = outlook();
        let unhurt = outlook.conclude(&snapshot, Vec::new(), false);
        assert_eq!(said(&unhurt), ["a: nothing_due", "b: nothing_due"]);
        let mut findings = outlook.conclude(&snapshot, Vec::new(), true);
        assert_eq!(said(&findings), [""; 0]);
        let refused =
            KernelError::Syscall { call: "bpf(BPF_PROG_TEST_RUN)", source: io::Error::from_raw_os_error(libc::ENOMEM) };
        let failure = CommandError::Engine(EngineError::Worker {
            port: "b".to_owned(),
            interface: "lo".to_owned(),
            source: WorkerError::Send(refused),
        });
        for _ in 0..2 {
            outlook.explain(&failure, &mut findings);
            assert_eq!(said(&findings), ["b: no_memory"]);
        }
    }

    #[test]
    fn there_is_one_look_a_second() {
        let now = Instant::now();
        let after = |millis| rest(Some(now), now + Duration::from_millis(millis));
        assert_eq!(rest(None, now), Duration::ZERO);
        assert!(after(0) > Duration::from_millis(900) && after(500) > Duration::ZERO);
        assert_eq!((after(1000), after(90_000)), (Duration::ZERO, Duration::ZERO));
    }

    fn full(frames: u64) -> Snapshot {
        let lost =
            PortCount { name: "a".to_owned(), drops: vec![(DropReason::QueueFull, frames)], ..PortCount::default() };
        Snapshot { ports: vec![lost], ..Snapshot::default() }
    }

    #[test]
    fn drops_are_news_once_and_all_told_at_the_end() {
        let outlook = outlook();
        let news = |news: Vec<NewDrops>| news.iter().map(|news| news.frames).collect::<Vec<_>>();
        assert_eq!(news(outlook.learn(&full(5))), [5]);
        assert!(outlook.so_far().learned.is_some());
        // As if that were just now, however slow the machine is.
        outlook.so_far().learned = Some(Instant::now() + Duration::from_secs(600));
        assert_eq!(news(outlook.learn(&full(7))), [0; 0]);
        assert_eq!(news(outlook.learn_now(&full(7))), [2]);
        let findings = outlook.conclude(&full(9), Vec::new(), false);
        let full: Vec<_> = findings.iter().filter(|found| found.finding.code == "queue_full").collect();
        assert_eq!(full.iter().map(|found| found.frames).collect::<Vec<_>>(), [Some(9)], "{findings:?}");
    }

    /// Whoever drives a run, or ends it, does not wait for a look, however long that takes.
    #[test]
    fn a_watch_keeps_nobody() {
        let outlook = outlook();
        let mut watch = outlook.watch();
        let held = outlook.so_far();
        let (done, is_done) = std::sync::mpsc::channel();
        let watching = thread::spawn(move || {
            let lines = watch(&full(5));
            done.send(lines).unwrap();
            watch
        });
        let at_once = is_done.recv_timeout(Duration::from_secs(60));
        drop(held);
        assert_eq!(at_once, Ok(Vec::new()));
        let mut watch = watching.join().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut lines = Vec::new();
        while lines.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
            lines = watch(&full(5));
        }
        assert!(lines.iter().any(|line| line.contains("frames are being dropped")), "{lines:?}");
    }
}
