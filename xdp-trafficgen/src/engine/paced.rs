//! Paced sending: the eBPF program waits for each departure; this side chooses how long calls are
//! and how many frames leave together, and sleeps when the next departure is far away.

use std::{num::NonZeroU64, time::Duration};

use rustix::thread::set_current_timer_slack;
use xdp_trafficgen_ebpf::{
    abi::timing::{
        ClockSpec, ClockState, FAR, GRACE, Stream, StreamSpec, WorkerClock, stream_kind,
    },
    timing::{self, Tables},
};

use crate::{
    engine::{
        batch::Batch,
        call_size::CallSize,
        standstill::StandstillWatch,
        turns::{PhaseOutcome, SendLoop},
        worker::{Worker, WorkerError},
    },
    kernel::KernelError,
    plan::{
        Pacing,
        pacing::{Streams, simulation::HostTables},
        turns::PhaseEnd,
    },
    units::Nanos,
};

/// A sleeper is woken so long before the next departure, at least: a wake-up takes 50 µs or so on a
/// virtual machine, a call 20. The more there is to sleep, the longer; a hundredth of a core is
/// well spent on not being late.
const SHORTEST_WAKE: u64 = 150_000;
const LONGEST_WAKE: u64 = 1_000_000;

/// How long a paced call is meant to take. Each one ends with some 20 µs in which nothing departs;
/// a stop does not wait for its end, for the program takes notice of it.
const CALL: Duration = Duration::from_millis(50);

/// Repetitions of a call at most: after a stop those left take 50 to 100 ns each.
const MOST_REPETITIONS: u32 = 100_000;

/// A worker whose frames leave at set times.
pub(super) struct PacedLoop<'a> {
    worker: &'a Worker<'a>,
    pacing: &'a Pacing,
    tables: HostTables<'a>,
    size: CallSize,
    batch: Batch,
    /// Repetitions of a call at most.
    most: u32,
    watch: StandstillWatch<'a>,
}

impl<'a> PacedLoop<'a> {
    /// Readies the worker and sleeps until shortly before the start.
    pub(super) fn new(worker: &'a Worker<'a>, pacing: &'a Pacing) -> Result<Self, WorkerError> {
        // Sleeps end when they should, not within 50 µs of it. It can only fail where there is no
        // such setting.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let paced = Self::of(worker, pacing);
        let own = pacing.departures.of(worker.index as usize).iter();
        let streams = own.filter(|stream| !timing::is_over(stream)).count() as u64;
        let clock = WorkerClock {
            spec: ClockSpec { epoch: worker.start, batch: 1 },
            state: ClockState { streams, done: u64::from(streams == 0), ..ClockState::default() },
            ..WorkerClock::default()
        };
        paced.set_worker_clock(clock)?;
        worker.sleep_until(worker.start.saturating_sub(LONGEST_WAKE));
        Ok(paced)
    }

    fn of(worker: &'a Worker<'a>, pacing: &'a Pacing) -> Self {
        let workers = worker.plan.cpus.len();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest that there is"
        )]
        let most = ((pacing.peak / workers as f64 * CALL.as_secs_f64()) as u32)
            .saturating_add(1)
            .min(MOST_REPETITIONS);
        Self {
            worker,
            pacing,
            tables: HostTables::new(pacing),
            size: CallSize::lasting(CALL),
            batch: Batch::new(
                pacing.first_batch(workers, worker.plan.batch_size),
                worker.plan.batch_size,
                pacing.give_up,
            ),
            most,
            watch: StandstillWatch::begin(worker.still, worker.clock.now().max(worker.start)),
        }
    }

    /// Sends from all streams of the worker until all have ended. Adds the departures of each that
    /// were due.
    pub(super) fn all(&mut self, due: &mut [u64]) -> Result<(), WorkerError> {
        self.until_done()?;
        let over = self.over();
        // Until then flows that end by time take theirs, though nothing departs any more.
        let mut ends = 0;
        for (due, entry) in due.iter_mut().zip(self.entries()) {
            let mut stream = self.stream(entry)?;
            give_up_until(&mut stream, over, &self.tables);
            self.set_stream(entry, stream)?;
            *due += stream.counts.departed + stream.counts.unsent;
            if stream.state.left > 0 && stream.spec.end != u64::MAX {
                ends = ends.max(stream.spec.end);
            }
        }
        self.worker.sleep_until(self.worker.start.saturating_add(ends));
        Ok(())
    }

    /// Counts what was due and did not leave as given up, for a worker that failed, which leaves
    /// its streams as they are: another thread may be at work on them. To be called when all
    /// have ended.
    pub(super) fn settle(worker: &'a Worker<'a>, pacing: &'a Pacing) -> Result<(), KernelError> {
        let paced = Self::of(worker, pacing);
        let over = paced.over();
        for entry in paced.entries() {
            let mut stream = worker.generator.stream(entry)?;
            give_up_until(&mut stream, over, &paced.tables);
            worker.generator.set_stream(entry, stream)?;
        }
        Ok(())
    }

    /// From when on nothing that did not leave counts as given up.
    fn over(&self) -> u64 {
        self.worker.stop.over(self.worker.clock.now()).saturating_sub(self.worker.start)
    }

    /// Whether the stop flag is set. All workers and the program read the same flag, while each
    /// would see the cancelled token at another moment.
    fn is_stopped(&self) -> bool {
        self.worker.generator.stop().get().is_some()
    }

    /// Calls until all streams have ended, or the stop flag is set.
    fn until_done(&mut self) -> Result<(), WorkerError> {
        while !self.is_stopped() {
            let mut clock = self.worker_clock()?;
            if clock.state.done != 0 {
                return Ok(());
            }
            let asleep_until = self.sleep(&clock)?;
            self.watch.alive(self.worker.clock.now(), asleep_until);
            let batch = self.batch.size();
            clock.spec.batch = u64::from(batch);
            clock.state.position = 0;
            clock.counts.most_overdue = 0;
            self.set_worker_clock(clock)?;
            let repeat = self.size.in_batches(batch, self.most);
            let before = self.now();
            let sent = self.worker.call(repeat, batch)?;
            let took = Duration::from_nanos(self.now() - before);
            self.size.learn(sent, repeat, took);
            let after = self.worker_clock()?;
            let waited = after.counts.waited - clock.counts.waited;
            self.watch.called(self.worker.clock.now(), waited, after.counts.most_overdue);
            self.batch.learn(
                took,
                Duration::from_nanos(waited),
                Duration::from_nanos(after.counts.most_overdue),
            );
        }
        Ok(())
    }

    /// Sleeps while the next departure is far away; until when, where it does.
    fn sleep(&self, clock: &WorkerClock) -> Result<Option<u64>, WorkerError> {
        let next = match self.pacing.streams {
            Streams::Port => self.stream(self.worker.index)?.state.earliest,
            Streams::Flows => clock.state.next_due,
        };
        let away = next.saturating_sub(self.now());
        if away > FAR {
            let wake = (away / 100).clamp(SHORTEST_WAKE, LONGEST_WAKE);
            let until = self.worker.start.saturating_add(next - wake);
            self.worker.sleep_until(until);
            return Ok(Some(until));
        }
        Ok(None)
    }

    /// The worker's entries in the table of streams.
    fn entries(&self) -> impl Iterator<Item = u32> + use<> {
        let entries = self.pacing.departures.range(self.worker.index as usize);
        (0..).skip(entries.start).take(entries.len())
    }

    fn now(&self) -> u64 {
        self.worker.clock.now().saturating_sub(self.worker.start)
    }

    fn worker_clock(&self) -> Result<WorkerClock, WorkerError> {
        self.worker.generator.worker_clock(self.worker.index).map_err(WorkerError::Count)
    }

    fn set_worker_clock(&self, clock: WorkerClock) -> Result<(), WorkerError> {
        self.worker.generator.set_worker_clock(self.worker.index, clock).map_err(WorkerError::Count)
    }

    fn stream(&self, entry: u32) -> Result<Stream, WorkerError> {
        self.worker.generator.stream(entry).map_err(WorkerError::Count)
    }

    fn set_stream(&self, entry: u32, stream: Stream) -> Result<(), WorkerError> {
        self.worker.generator.set_stream(entry, stream).map_err(WorkerError::Count)
    }
}

/// Counts departures before a time as given up.
fn give_up_until(stream: &mut Stream, time: u64, tables: &impl Tables) {
    while timing::skip(stream, time, tables) {}
    stream.state.earliest = stream.state.due;
}

/// The port's one stream, whose departures its flows share.
impl SendLoop for PacedLoop<'_> {
    /// That of the next departure, so that what is sent depends on no clock.
    fn time(&mut self) -> Result<Nanos, WorkerError> {
        Ok(Nanos::new(self.stream(self.worker.index)?.state.due))
    }

    fn is_over(&self, time_left: Nanos) -> bool {
        time_left == Nanos::ZERO
    }

    /// Nobody has the departures until then.
    fn wait(&mut self, until: Nanos) -> Result<bool, WorkerError> {
        let until = until.get();
        let mut stream = self.stream(self.worker.index)?;
        let (unsent, due) = (stream.counts.unsent, stream.state.due);
        if stream.spec.kind == stream_kind::POISSON {
            // The process has no memory: it may as well begin then.
            stream.state.due = stream.state.due.max(until);
        }
        give_up_until(&mut stream, until, &self.tables);
        stream.counts.unsent = unsent;
        stream.counts.paused += stream.state.due - due;
        self.set_stream(self.worker.index, stream)?;
        Ok(!timing::is_over(&stream))
    }

    fn send(
        &mut self,
        turns: Option<u64>,
        until: Option<PhaseEnd>,
    ) -> Result<PhaseOutcome, WorkerError> {
        let before = self.stream(self.worker.index)?;
        let end = until.map_or(Nanos::NEVER, |until| until.time).get();
        // Where others go on, there is time to catch up.
        let close = if until.is_some_and(|until| until.is_last) {
            end.saturating_add(GRACE)
        } else {
            u64::MAX
        };
        let mut stream = before;
        stream.state.left = turns.map_or(before.state.left, |turns| turns.min(before.state.left));
        stream.spec = StreamSpec { end, close, ..before.spec };
        self.set_stream(self.worker.index, stream)?;
        let mut clock = self.worker_clock()?;
        clock.state = ClockState { streams: 1, done: 0, ..clock.state };
        self.set_worker_clock(clock)?;
        self.until_done()?;
        let mut stream = self.stream(self.worker.index)?;
        // What was due when it ended, or was told to stop.
        if close != u64::MAX || self.is_stopped() {
            give_up_until(&mut stream, self.over(), &self.tables);
        }
        let taken = stream.counts.departed + stream.counts.unsent
            - before.counts.departed
            - before.counts.unsent;
        stream.state.left =
            if before.state.left == u64::MAX { u64::MAX } else { before.state.left - taken };
        stream.spec.end = u64::MAX;
        self.set_stream(self.worker.index, stream)?;
        Ok(PhaseOutcome { taken, is_last: stream.state.left == 0 })
    }
}

#[cfg(test)]
mod tests {
    use xdp_trafficgen_ebpf::abi::timing::{Gap, Segment, StreamState};

    use super::*;

    const MS: u64 = 1_000_000;

    /// None are needed for equal distances.
    struct NoTables;

    impl Tables for NoTables {
        fn segment(&self, _index: u32) -> Option<Segment> {
            None
        }
        fn exponential(&self, _index: u32) -> u32 {
            0
        }
        fn uses(&self, _kind: u32) -> bool {
            false
        }
    }

    /// Of a stream with a departure each millisecond that is next due at one: those given up until
    /// another, and the next one.
    #[track_caller]
    fn check(due: u64, over: u64, expected: (u64, u64)) {
        let gap = Gap { ns: MS, ..Gap::ZERO };
        let mut stream = Stream {
            state: StreamState { due: due * MS, gap, left: u64::MAX, ..StreamState::default() },
            spec: StreamSpec { end: u64::MAX, ..StreamSpec::default() },
            ..Stream::default()
        };
        give_up_until(&mut stream, over, &NoTables);
        assert_eq!(stream.state.earliest, stream.state.due);
        assert_eq!((stream.counts.unsent, stream.state.due / MS), expected);
    }

    #[test]
    fn what_is_due_at_the_end_is_not_missed() {
        // Departures at 0 to 89 ms are; that at 90 ms was due when nothing counted any more.
        check(0, 90 * MS, (90, 90));
        check(0, 90 * MS + 1, (91, 91));
        check(89, 90 * MS, (1, 90));
        check(90, 90 * MS, (0, 90));
        check(101, 90 * MS, (0, 101));
    }
}
