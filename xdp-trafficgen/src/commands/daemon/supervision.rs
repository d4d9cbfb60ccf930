//! A port under supervision: runs to its end, and starts again when it fails. What it misses meanwhile is counted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{Current, Latest, Machine, read};
use crate::{
    commands::{CommandError, findings::RunFindings, work_out_until},
    config::{Config, Flow, Located},
    diagnosis::{in_full, of_outage},
    engine::{self, Loaded, Start},
    host::Required,
    kernel::{Listener, PassPrograms},
    output::log,
    plan::{self, pacing::missed::MissedDepartures},
    stats::{FlowCount, PortCount, Snapshot, StoppedPort},
};

/// What the daemon knows of a port.
pub(super) struct Supervised {
    pub(super) config: Config,
    pub(super) machine: Machine,
    pub(super) counts: Latest,
    /// Shared by all ports, as all that follow but the name.
    pub(super) outlook: Current,
    pub(super) listener: Listener,
    pub(super) enabling: PassPrograms,
    pub(super) name: String,
    /// As it was planned at the daemon's start: what it misses until it first sends.
    pub(super) planned: MissedDepartures,
}

/// How long a port waits before it starts again: doubled with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The counts of a port.
pub(super) enum Counts {
    /// As they were when they were read.
    Known(Box<PortCount>),
    /// Of a port that is down: worked out for whoever asks, and for nobody else.
    StoppedPort(Arc<Mutex<Outage>>),
}

impl Counts {
    /// As they are now, on the clock of [`engine::now`].
    pub(super) fn read(&self, now: u64) -> PortCount {
        match self {
            Self::Known(count) => PortCount::clone(count),
            Self::StoppedPort(outage) => outage.lock().unwrap_or_else(PoisonError::into_inner).counts(now),
        }
    }
}

/// The counts of a port that is down, as they go on.
pub(super) struct Outage {
    down: StoppedPort,
    /// When its last run started, on the clock of [`engine::now`].
    epoch: u64,
    /// Why it does not send.
    reason: String,
}

impl Outage {
    fn counts(&mut self, now: u64) -> PortCount {
        self.down.counts(Duration::from_nanos(now.saturating_sub(self.epoch)), &self.reason)
    }

    /// Unless it has a reason already.
    fn is_due_to(&mut self, error: &CommandError) {
        if self.reason.is_empty() {
            self.reason = reason(error);
        }
    }

    fn shared(self) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(self))
    }
}

/// How a run failed.
struct Failed {
    error: CommandError,
    /// What has gone on since; none of a run that did not start.
    outage: Option<Outage>,
}

impl From<CommandError> for Failed {
    fn from(error: CommandError) -> Self {
        Self { error, outage: None }
    }
}

impl Supervised {
    /// Runs the port to the end of its flows, or to `stop`; a failure pauses it and starts it again.
    pub(super) async fn supervise(self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let none = read(&self.counts);
        let down = StoppedPort::since(self.planned.clone(), Duration::ZERO, none.clone(), &none);
        let mut outage = Outage { down, epoch: engine::now(), reason: String::new() }.shared();
        // When the first of its runs started: flows begin and end by that.
        let mut first = None;
        let mut start = Start::Now;
        loop {
            let began = Instant::now();
            let ready = match (start, first) {
                (Start::Since(_), Some(first)) => self.make_ready(first, &stop).await,
                _ => Ok(()),
            };
            let now = engine::now();
            let elapsed = Duration::from_nanos(now.saturating_sub(*first.get_or_insert(now)));
            if let Start::Since(time) = &mut start {
                *time = now;
                self.set(Counts::StoppedPort(Arc::clone(&outage)).read(now));
            }
            let Some(left) = self.left(elapsed) else { break };
            let ran = match ready {
                Ok(()) => self.run_once(left, start, &mut first, &stop).await,
                Err(error) => Err(Failed::from(error)),
            };
            let Failed { error, outage: since } = match ran {
                Ok(()) => break,
                // It never started, and is as down as it was.
                Err(Failed { error, .. }) if error.is_stopped() => {
                    if let Start::Since(_) = start {
                        self.set(Counts::StoppedPort(outage).read(engine::now()));
                    }
                    break;
                }
                Err(failed) => failed,
            };
            if began.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            log::port_failed(&self.name, error.complaints(), pause);
            // Else it is as down as it was, for the same reason.
            if let Some(since) = since {
                outage = since.shared();
            }
            outage.lock().unwrap_or_else(PoisonError::into_inner).is_due_to(&error);
            self.put(Counts::StoppedPort(Arc::clone(&outage)));
            start = Start::Since(0);
            tokio::select! {
                () = stop.cancelled() => {
                    self.set(Counts::StoppedPort(outage).read(engine::now()));
                    break;
                }
                () = time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        log::port_ended(&self.name);
    }

    /// Has the kernel ask for the next hops, for seconds when they are silent. Meanwhile the counts go on, which those of a
    /// run begin with: so it is done before.
    async fn make_ready(&self, first: u64, stop: &CancellationToken) -> Result<(), CommandError> {
        let Machine { capabilities, consent, .. } = self.machine;
        let elapsed = Duration::from_nanos(engine::now().saturating_sub(first));
        let Some(config) = self.left(elapsed).filter(asks_for_next_hops) else { return Ok(()) };
        let stop = stop.clone();
        let asked = spawn_blocking(move || work_out_until(&stop, &config, Some(capabilities), consent).map(drop));
        asked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn set(&self, count: PortCount) {
        self.put(Counts::Known(Box::new(count)));
    }

    fn put(&self, counts: Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn left(&self, elapsed: Duration) -> Option<Config> {
        left(&self.config, &read(&self.counts), elapsed)
    }

    /// Runs the port once; `first` becomes when it started, if it did for the first time.
    async fn run_once(
        &self,
        config: Config,
        start: Start,
        first: &mut Option<u64>,
        stop: &CancellationToken,
    ) -> Result<(), Failed> {
        let Machine { capabilities, consent, .. } = self.machine;
        let (listener, enabling, outlook) = (self.listener.clone(), self.enabling.clone(), Arc::clone(&self.outlook));
        let until = stop.clone();
        let load = move || {
            let plan = work_out_until(&until, &config, Some(capabilities), consent)?;
            let planned = RunFindings::of(&plan);
            outlook.lock().unwrap_or_else(PoisonError::into_inner).renew(planned);
            let timing = plan.ports.first().map(MissedDepartures::of);
            Ok::<_, CommandError>((Loaded::beside(plan, &listener, &enabling)?, timing))
        };
        let (loaded, planned) =
            spawn_blocking(load).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let session = loaded.start(start, stop).map_err(CommandError::from)?;
        let epoch = session.started();
        let mut earlier = read(&self.counts);
        match start {
            Start::Since(_) => {
                earlier.outage.restarts += 1;
                if let Some(outage) = of_outage(&earlier) {
                    log::port_restarted(&earlier, &outage);
                }
            }
            Start::Now | Start::At(_) => *first = Some(epoch),
        }
        let mut sent_for = None;
        let look = |snapshot| self.note(snapshot, &earlier);
        let result = session.run(self.machine.poll, look).await.map_err(CommandError::from);
        let error = match result {
            Ok((snapshot, failure)) => {
                sent_for = snapshot.ports.first().map(|port| port.elapsed);
                self.note(snapshot, &earlier);
                failure.map(CommandError::from)
            }
            Err(error) => Some(error),
        };
        let Some(error) = error else { return Ok(()) };
        let sent_for = sent_for.unwrap_or_else(|| Duration::from_nanos(engine::now().saturating_sub(epoch)));
        let Some(planned) = planned else { return Err(Failed::from(error)) };
        let counts = read(&self.counts);
        // A load of millions of segments takes a moment, in which other ports are to be read.
        let down = spawn_blocking(move || StoppedPort::since(planned, sent_for, counts, &earlier)).await;
        let down = down.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        Err(Failed { error, outage: Some(Outage { down, epoch, reason: String::new() }) })
    }

    fn note(&self, snapshot: Snapshot, earlier: &PortCount) {
        for mut count in snapshot.ports {
            count.flows = every_flow(count.flows, &earlier.flows);
            count.add(earlier);
            self.set(count);
        }
    }
}

/// What is left to send after this time: numbers of frames and durations are kept, while rates that change (ramps, steps, traces,
/// bursts and their number) begin anew. None: nothing.
fn left(config: &Config, counts: &PortCount, elapsed: Duration) -> Option<Config> {
    let flows = config.flows.iter().zip(&counts.flows);
    let flows: Vec<Flow> = flows.filter_map(|(flow, count)| rest(flow, count.due(), elapsed)).collect();
    (!flows.is_empty()).then(|| Config { flows, ..config.clone() })
}

fn asks_for_next_hops(config: &Config) -> bool {
    plan::sought(config).iter().any(|sought| sought.what == Required::NextHop)
}

/// Why a port is down, in a line: of a configuration that does not fit the machine any more, what does not fit first.
fn reason(error: &CommandError) -> String {
    let text = in_full(error);
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

/// What is left of a flow that has been attempted so often in this time; none when it is over. Its time counts from its
/// beginning, which is the delay later than the start.
fn rest(flow: &Flow, attempted: u64, elapsed: Duration) -> Option<Flow> {
    let mut flow = flow.clone();
    if let Some(Located { value, .. }) = &mut flow.packets {
        *value = value.checked_sub(attempted).filter(|&left| left > 0)?;
    }
    if let Some(Located { value, .. }) = &mut flow.duration {
        let sent = elapsed.saturating_sub(flow.delay.value);
        *value = value.checked_sub(sent).filter(|left| !left.is_zero())?;
    }
    flow.delay.value = flow.delay.value.saturating_sub(elapsed);
    Some(flow)
}

/// The counts of a run, with a zero for each flow of `all` that was over before it and took no part. Both are in the
/// order of the configuration.
fn every_flow(counted: Vec<FlowCount>, all: &[FlowCount]) -> Vec<FlowCount> {
    let mut counted = counted.into_iter().peekable();
    let count = |FlowCount { name, .. }: &FlowCount| {
        counted.next_if(|count| count.name == *name).unwrap_or_else(|| FlowCount::none(name))
    };
    all.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli,
        commands::replace_rates,
        config::{Source, file},
        host::{Facts, Link},
        plan::{DefaultRoute, PortPlan},
    };

    fn flow(lines: &str) -> Flow {
        let text = format!(
            "[[ports]]\nname = 'p'\ninterface = 'e'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [{{ ethernet = {{}} }}]\n{lines}"
        );
        file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}")).flows.remove(0)
    }

    #[test]
    fn each_flow_keeps_its_own_end() {
        let second = Duration::from_secs(1);
        let left = |lines, attempted, elapsed| {
            rest(&flow(lines), attempted, elapsed)
                .map(|flow| (flow.packets.map(|packets| packets.value), flow.duration.map(|duration| duration.value)))
        };
        assert_eq!(left("", 1_000_000, second), Some((None, None)));
        assert_eq!(left("packets = 10", 3, second), Some((Some(7), None)));
        assert_eq!(left("packets = 10", 10, second), None);
        assert_eq!(left("duration = '3s'", 10, second), Some((None, Some(2 * second))));
        assert_eq!(left("duration = '1s'", 10, second), None);
    }

    #[test]
    fn a_delay_goes_on_and_duration_counts_from_its_end() {
        let left = |delay, duration, elapsed| {
            let lines = format!("delay = '{delay}s'\nduration = '{duration}s'");
            rest(&flow(&lines), 0, Duration::from_secs(elapsed))
                .map(|flow| (flow.delay.value.as_secs(), flow.duration.map(|duration| duration.value.as_secs())))
        };
        assert_eq!(left(10, 5, 3), Some((7, Some(5))));
        assert_eq!(left(10, 5, 10), Some((0, Some(5))));
        assert_eq!(left(10, 5, 12), Some((0, Some(3))));
        assert_eq!(left(10, 5, 15), None);
    }

    #[test]
    fn flows_that_are_over_stay_in_the_counts() {
        let count = |name: &str, frames| FlowCount {
            name: name.to_owned(),
            attempted: frames,
            transmitted: frames,
            bytes: frames * 64,
            ..FlowCount::default()
        };
        let all = [count("a", 1), count("b", 2), count("c", 3)];
        let counted = vec![count("a", 10), count("c", 30)];
        assert_eq!(every_flow(counted, &all), [count("a", 10), count("b", 0), count("c", 30)]);
        assert_eq!(every_flow(Vec::new(), &all[..1]), [count("a", 0)]);
    }

    /// What `--rate` makes of three flows, the first of which is over after a second; on one CPU of no machine.
    fn shared_rates() -> Config {
        let text = "[[ports]]\nname = 'p'\ninterface = 'veth0'\n".to_owned()
            + &["28pps'\nduration = '1s", "16pps", "4pps"].map(|rate| {
                format!("[[flows]]\nname = '{rate:.4}'\nport = 'p'\nrate = '{rate}'\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}]\n")
            }).concat();
        let mut config = file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let pace = cli::RateOptions { rate: Some("4800pps".to_owned()), behind: None };
        replace_rates(&mut config, &pace, cli::Scale::default()).unwrap();
        config
    }

    fn planned(config: &Config) -> PortPlan {
        let link = Link {
            name: "veth0".to_owned(),
            alt_names: Vec::new(),
            index: 3,
            mtu: 1500,
            up: true,
            carrier: true,
            mac: Some([2, 0, 0, 0, 0, 1]),
            speed: None,
            bus: None,
        };
        let facts = Facts { links: vec![link], cpus: vec![0], allowed_cpus: vec![0], ..Facts::default() };
        let plan = plan::plan(config, &facts, DefaultRoute::Allow).unwrap_or_else(|wrong| panic!("{wrong}"));
        plan.ports.into_iter().next().unwrap()
    }

    fn requested(port: &PortPlan) -> Vec<f64> {
        let requested = &port.pacing.as_ref().unwrap().requested;
        requested.iter().map(|rate| rate.unwrap().to_f64()).collect()
    }

    /// After an outage, 16 and 4 of 48 parts became 16 and 4 of 20.
    #[test]
    fn flows_that_are_over_leave_their_shares_to_nobody() {
        let config = shared_rates();
        let port = planned(&config);
        assert_eq!(requested(&port), [2800.0, 1600.0, 400.0]);
        let rest = left(&config, &PortCount::none(&port), Duration::from_secs(2)).unwrap();
        assert_eq!(requested(&planned(&rest)), [1600.0, 400.0]);
    }

    /// They were worked out up to 100 times a second, whether or not anybody looked.
    #[test]
    fn counts_of_an_outage_are_those_of_when_somebody_asks() {
        let port = planned(&shared_rates());
        let none = PortCount::none(&port);
        let down = StoppedPort::since(MissedDepartures::of(&port), Duration::ZERO, none.clone(), &none);
        let counts = Counts::StoppedPort(Outage { down, epoch: 1000, reason: "gone".to_owned() }.shared());
        let second = 1_000_000_000;
        for (seconds, unsent) in [(1, 4800), (2, 6800), (2, 6800), (3600, 6800 + 3598 * 2000)] {
            let count = counts.read(1000 + seconds * second);
            assert_eq!((count.outage.down, count.outage.unsent), (Duration::from_secs(seconds), unsent));
        }
    }
}
