//! Paced sending: the eBPF program waits for each departure; this side chooses how long calls are
//! and how many frames leave together, and sleeps when the next departure is far away.

use std::{num::NonZeroU64, sync::atomic::Ordering, time::Duration};

use rustix::thread::set_current_timer_slack;
use xdp_trafficgen_ebpf::{
    abi::timing::{
        Calendar, ClockSpec, ClockState, FAR, GRACE, NEAR_BITS, Stream, StreamSpec, WorkerClock,
        stream_kind,
    },
    calendar,
    timing::{self, Tables},
};

use crate::{
    engine::{
        batch::Batch,
        call_size::CallSize,
        gate::Progress,
        refused::Refused,
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

/// Bounds of the time between a sleeper's wake-up and the next departure. A wake-up takes some 50 µs
/// on a virtual machine, a call 20. The time grows with the sleep: a hundredth of a core is well
/// spent on punctuality.
const SHORTEST_WAKE: u64 = 150_000;
const LONGEST_WAKE: u64 = 1_000_000;

/// Time in which a worker gets ready for departures that make up for refused frames.
const LEAD: u64 = 200_000;

/// So often further departures are added for frames of which none is taken.
const MOST_VAIN_ROUNDS: u32 = 6;

/// So many frames, the first ones of a port, are not refused for want of room alone.
const MANY: u64 = 16;

/// How long a paced call is meant to take. Each call ends with some 20 µs in which nothing departs. A
/// stop ends the call early, because the program reads the stop flag.
const CALL: Duration = Duration::from_millis(50);

/// Repetitions of a call at most: after a stop, each of the remaining ones takes 50 to 100 ns.
const MOST_REPETITIONS: u32 = 100_000;

/// A paced worker: its frames have departure times.
pub(super) struct PacedLoop<'a> {
    worker: &'a Worker<'a>,
    pacing: &'a Pacing,
    tables: HostTables<'a>,
    size: CallSize,
    batch: Batch,
    /// Repetitions of a call at most.
    most: u32,
    watch: StandstillWatch<'a>,
    refused: Refused,
    progress: Progress,
    /// The last times that departures had frames of which none was taken.
    vain_rounds: u32,
}

impl<'a> PacedLoop<'a> {
    /// Prepares the worker and sleeps until shortly before the start.
    pub(super) fn new(worker: &'a Worker<'a>, pacing: &'a Pacing) -> Result<Self, WorkerError> {
        // Sleeps end on time instead of up to 50 µs later. Best effort: kernels without this
        // setting refuse it.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let paced = Self::of(worker, pacing);
        let streams = paced.own().iter().filter(|stream| !timing::is_over(stream)).count() as u64;
        let clock = WorkerClock {
            spec: ClockSpec {
                epoch: worker.start,
                batch: 1,
                first_stream: paced.first_stream().into(),
            },
            state: ClockState { streams, done: u64::from(streams == 0), ..ClockState::default() },
            ..WorkerClock::default()
        };
        paced.set_worker_clock(clock)?;
        worker.sleep_until(worker.start.saturating_sub(LONGEST_WAKE));
        Ok(paced)
    }

    fn of(worker: &'a Worker<'a>, pacing: &'a Pacing) -> Self {
        let index = worker.index as usize;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest that there is"
        )]
        let most = ((pacing.peak_of(index) * CALL.as_secs_f64()) as u32)
            .saturating_add(1)
            .min(MOST_REPETITIONS);
        let batch = Batch::new(
            pacing.first_batch(index, worker.plan.batch_size),
            worker.plan.batch_size,
            pacing.give_up,
        );
        Self {
            worker,
            pacing,
            tables: HostTables::new(pacing),
            size: CallSize::lasting(CALL),
            batch: match pacing.streams {
                Streams::Port => batch,
                Streams::Flows => {
                    batch.of_flows(pacing.departures.of(index).len(), pacing.peak_of(index))
                }
            },
            most,
            watch: StandstillWatch::begin(worker.still, worker.clock.now().max(worker.start)),
            refused: Refused::none(worker),
            progress: Progress::begin(worker.clock.now().max(worker.start)),
            vain_rounds: 0,
        }
    }

    /// Sends from all streams of the worker until all have ended. Adds the departures of each stream
    /// that were due.
    pub(super) fn all(&mut self, due: &mut [u64]) -> Result<(), WorkerError> {
        loop {
            let before = self.departed()?;
            self.until_done()?;
            let departed = self.departed()? - before;
            let refused = self.made_up(departed)?;
            if self.is_stopped() || !self.add_departures(&refused)? {
                break;
            }
        }
        let over = self.over();
        // Flows that end by time last until then, also when their last frame left earlier.
        let mut ends = 0;
        for (planned, entry) in self.own().iter().zip(self.entries()) {
            let mut stream = self.stream(entry)?;
            skip_until(&mut stream, over, &self.tables);
            self.set_stream(entry, stream)?;
            due[planned.spec.turn as usize] += stream.counts.departed + stream.counts.unsent;
            if stream.state.left > 0 && stream.spec.end != u64::MAX {
                ends = ends.max(stream.spec.end);
            }
        }
        self.worker.sleep_until(self.worker.start.saturating_add(ends));
        Ok(())
    }

    /// Frames that were refused for want of room in `departed` ones, and are made up for: those of
    /// each flow; empty when there are none.
    fn made_up(&mut self, departed: u64) -> Result<Vec<u64>, WorkerError> {
        let refused = self.refused.since_last(self.worker)?;
        let all: u64 = refused.iter().sum();
        let now = self.worker.clock.now();
        self.progress.learn(now, all < departed);
        self.vain_rounds = if all == departed { self.vain_rounds + 1 } else { 0 };
        // What is refused for another reason than a full queue will be refused again.
        let for_good = self.vain_rounds > MOST_VAIN_ROUNDS
            || self.progress.is_over(now)
            || all >= MANY && self.port_took_nothing()?;
        let in_vain = all == departed && for_good;
        Ok(if in_vain { Vec::new() } else { refused })
    }

    /// Whether the driver has not taken a frame of any worker yet.
    fn port_took_nothing(&self) -> Result<bool, WorkerError> {
        let workers = self.worker.generator.workers().map_err(WorkerError::Count)?;
        Ok(workers.iter().all(|(_, worker)| worker.frames_tx() == 0))
    }

    /// Departures of all streams of the worker so far that had a frame.
    fn departed(&self) -> Result<u64, WorkerError> {
        self.entries().map(|entry| Ok(self.stream(entry)?.counts.departed)).sum()
    }

    /// Gives flows that have ended one more departure for each refused frame. Returns whether there
    /// is one.
    fn add_departures(&self, refused: &[u64]) -> Result<bool, WorkerError> {
        let soon = self.now() + LEAD;
        // Too large for the stack.
        let mut calendar = Box::new(Calendar::EMPTY);
        calendar.cursor = soon >> NEAR_BITS;
        let (mut added, mut frames) = (0, 0);
        for ((planned, entry), number) in self.own().iter().zip(self.entries()).zip(0..) {
            let flow = planned.spec.turn as usize;
            let more = refused.get(flow).copied().unwrap_or(0);
            let mut stream = self.stream(entry)?;
            // Flows without a number of frames have no frame to make up for.
            if more == 0 || stream.state.left != 0 {
                continue;
            }
            stream.state.left = u64::MAX;
            skip_uncounted(&mut stream, soon, &self.tables);
            stream.state.left = more;
            // Its time is over.
            if timing::is_over(&stream) {
                continue;
            }
            calendar::insert(&mut calendar, number, &mut stream);
            self.set_stream(entry, stream)?;
            (added, frames) = (added + 1, frames + more);
        }
        if added > 0 {
            let generator = self.worker.generator;
            generator.set_calendar(self.worker.index, &calendar).map_err(WorkerError::Count)?;
            let mut clock = self.worker_clock()?;
            clock.state = ClockState { streams: added, ..ClockState::default() };
            self.set_worker_clock(clock)?;
            self.worker.made_up.fetch_add(frames, Ordering::Relaxed);
        }
        Ok(added > 0)
    }

    /// Counts the remaining departures of a failed worker as unsent. The worker itself leaves its
    /// streams alone, because another thread may be using them, so this is called when all workers
    /// have ended.
    pub(super) fn settle(worker: &'a Worker<'a>, pacing: &'a Pacing) -> Result<(), KernelError> {
        let paced = Self::of(worker, pacing);
        let over = paced.over();
        for entry in paced.entries() {
            let mut stream = worker.generator.stream(entry)?;
            skip_until(&mut stream, over, &paced.tables);
            worker.generator.set_stream(entry, stream)?;
        }
        Ok(())
    }

    /// The end of the session's departures: later ones do not count as unsent.
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

    /// Sleeps while the next departure is far away, and returns the end of that sleep; none where the
    /// departure is near.
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

    /// The worker's streams as they were planned.
    fn own(&self) -> &'a [Stream] {
        self.pacing.departures.of(self.worker.index as usize)
    }

    /// The worker's first entry in the table of streams.
    fn first_stream(&self) -> u32 {
        self.entries().next().unwrap_or_default()
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

/// Counts the stream's departures before `time` as unsent.
fn skip_until(stream: &mut Stream, time: u64, tables: &impl Tables) {
    while timing::skip(stream, time, tables) {}
    stream.state.earliest = stream.state.due;
}

/// Removes the stream's departures before `time`.
fn skip_uncounted(stream: &mut Stream, time: u64, tables: &impl Tables) {
    let unsent = stream.counts.unsent;
    skip_until(stream, time, tables);
    stream.counts.unsent = unsent;
}

/// Sends from the port's one stream, whose departures its flows share.
impl SendLoop for PacedLoop<'_> {
    /// The time of the next departure, so that the order of frames depends on no clock.
    fn time(&mut self) -> Result<Nanos, WorkerError> {
        Ok(Nanos::new(self.stream(self.worker.index)?.state.due))
    }

    fn is_over(&self, time_left: Nanos) -> bool {
        time_left == Nanos::ZERO
    }

    /// Removes the departures before `until`: no flow is due to send at them.
    fn wait(&mut self, until: Nanos) -> Result<bool, WorkerError> {
        let until = until.get();
        let mut stream = self.stream(self.worker.index)?;
        let due = stream.state.due;
        if stream.spec.kind == stream_kind::POISSON {
            // A Poisson process has no memory, so it may begin at that time.
            stream.state.due = stream.state.due.max(until);
        }
        skip_uncounted(&mut stream, until, &self.tables);
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
        // Where other flows continue, there is time to catch up.
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
        // Departures that were due before the end or the stop count as unsent.
        if close != u64::MAX || self.is_stopped() {
            skip_until(&mut stream, self.over(), &self.tables);
        }
        let taken = stream.counts.departed + stream.counts.unsent
            - before.counts.departed
            - before.counts.unsent;
        let refused = self.made_up(stream.counts.departed - before.counts.departed)?;
        stream.state.left = if before.state.left == u64::MAX {
            u64::MAX
        } else {
            before.state.left - taken + refused.iter().sum::<u64>()
        };
        stream.spec.end = u64::MAX;
        self.set_stream(self.worker.index, stream)?;
        Ok(PhaseOutcome { taken, is_last: stream.state.left == 0, refused })
    }
}

#[cfg(test)]
mod tests {
    use xdp_trafficgen_ebpf::abi::timing::{Gap, Segment, StreamState};

    use super::*;

    const MS: u64 = 1_000_000;

    /// Equal gaps need no tables.
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

    /// A stream has a departure each millisecond, and the next at `due` (in ms). Skipping until `over`
    /// (in ns) must give `expected`: the unsent departures, and when the next one is due (in ms).
    #[track_caller]
    fn check(due: u64, over: u64, expected: (u64, u64)) {
        let gap = Gap { ns: MS, ..Gap::ZERO };
        let mut stream = Stream {
            state: StreamState { due: due * MS, gap, left: u64::MAX, ..StreamState::default() },
            spec: StreamSpec { end: u64::MAX, ..StreamSpec::default() },
            ..Stream::default()
        };
        skip_until(&mut stream, over, &NoTables);
        assert_eq!(stream.state.earliest, stream.state.due);
        assert_eq!((stream.counts.unsent, stream.state.due / MS), expected);
    }

    #[test]
    fn a_departure_at_the_end_does_not_count_as_unsent() {
        // Departures at 0 to 89 ms count; the one at 90 ms falls on the end.
        check(0, 90 * MS, (90, 90));
        check(0, 90 * MS + 1, (91, 91));
        check(89, 90 * MS, (1, 90));
        check(90, 90 * MS, (0, 90));
        check(101, 90 * MS, (0, 101));
    }
}
