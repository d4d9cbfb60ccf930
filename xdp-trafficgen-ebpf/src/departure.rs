//! Waits for departure times. The kernel transmits a batch at the end of its repetitions, so that
//! with batches of one a frame leaves right after its program has waited for it; measured at a
//! receiver, most gaps are within 64 ns.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::{bpf_ktime_get_ns, bpf_loop},
    macros::map,
    maps::Array,
};
use xdp_trafficgen_ebpf::{
    abi::{
        Worker,
        timing::{
            Calendar, FAR, FlowLateness, GATHER, IDLE, NEAR_BITS, Segment, Stream, WorkerClock,
            pacing,
        },
    },
    calendar::{self, NextStream, StreamTable},
    timing::{self, Tables},
};

use crate::{
    GENERATOR, MAPPED, Rodata,
    schedule::{peek_turn, skip_turns},
};

/// Where each worker stands in time; sized by the loader, as all tables that follow.
#[map]
static WORKER_CLOCKS: Array<WorkerClock> = Array::with_max_entries(1, MAPPED);
/// The streams of each worker, one worker's after the other's.
#[map]
static STREAMS: Array<Stream> = Array::with_max_entries(1, MAPPED);
/// The segments of streams that have some.
#[map]
static SEGMENTS: Array<Segment> = Array::with_max_entries(1, MAPPED);
/// Exponentially distributed numbers: see `timing::exponential`.
#[map]
static EXPONENTIAL: Array<u32> = Array::with_max_entries(1, MAPPED);
/// Each worker's calendar, with a stream for each flow.
#[map]
static CALENDARS: Array<Calendar> = Array::with_max_entries(1, MAPPED);
/// How punctual each worker's flows were, one worker's after the other's: only where several share
/// a stream.
#[map]
static LATENESS: Array<FlowLateness> = Array::with_max_entries(1, MAPPED);
/// The stop flag. Not 0: since that time nothing departs any more, and what is left of a call drops
/// its frames.
#[map]
static STOP: Array<u64> = Array::with_max_entries(1, MAPPED);

/// The longest wait of one repetition, in nanoseconds: softirqs are held off meanwhile.
const LONGEST_SPIN: u64 = 100_000;

/// Reads of the clock in a spin at most: more than fit its time, at 10 ns or more a read.
const SPINS: u32 = 1 << 14;

/// Steps through the calendar in one repetition at most.
const STEPS: u32 = 1 << 12;

/// Steps that count departures as unsent, in one repetition at most.
const SKIPS: u32 = 1 << 12;

struct SharedTables;

impl Tables for SharedTables {
    #[inline(always)]
    fn segment(&self, index: u32) -> Option<Segment> {
        SEGMENTS.get(index).copied()
    }
    #[inline(always)]
    fn exponential(&self, index: u32) -> u32 {
        EXPONENTIAL.get(index).copied().unwrap_or_default()
    }
    #[inline(always)]
    fn uses(&self, kind: u32) -> bool {
        Rodata::load(&GENERATOR.kinds) & 1 << kind != 0
    }
}

struct WorkerStreams {
    /// The worker's first stream.
    first: u32,
}

impl WorkerStreams {
    #[inline(always)]
    fn get(&self, number: u32) -> Option<&'static mut Stream> {
        let stream = STREAMS.get_ptr_mut(self.first.wrapping_add(number))?;
        // SAFETY: an entry of this worker alone; no caller keeps a reference while it asks for the
        // same entry again.
        Some(unsafe { &mut *stream })
    }
}

impl StreamTable for WorkerStreams {
    #[inline(always)]
    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        self.get(number)
    }
}

#[inline(always)]
const fn first_stream(clock: &WorkerClock) -> u32 {
    clock.spec.first_stream as u32
}

/// Waits until the worker's next frame is due, and gives the turn of its flow (0 with one stream
/// for the port, where the schedule knows). None: nothing departs in this repetition.
#[inline(always)]
pub fn depart(worker: &mut Worker) -> Option<u32> {
    let Some(clock) = WORKER_CLOCKS.get_ptr_mut(worker.spec.index) else {
        // No worker has this CPU.
        worker.counts.aborted += 1;
        return None;
    };
    // SAFETY: the worker's own entry, which user space writes between calls only.
    let clock = unsafe { &mut *clock };
    let position = clock.state.position;
    clock.state.position = if position + 1 < clock.spec.batch { position + 1 } else { 0 };
    let begins = position == 0;
    if begins {
        if clock.state.done != 0 || STOP.get(0).is_none_or(|stop| *stop != 0) {
            clock.state.now = IDLE;
            return None;
        }
        clock.state.now = read_clock(clock);
        clock.state.quota = 0;
    } else if clock.state.quota != 0 {
        clock.state.quota -= 1;
        return Some(0);
    } else if clock.state.now == IDLE {
        return None;
    }

    let number = match Rodata::load(&GENERATOR.pacing) {
        pacing::FLOWS => match chosen(clock, worker, begins) {
            Some(number) => number,
            None => {
                // The frames made so far must not wait for a longer search.
                clock.state.now = IDLE;
                return None;
            }
        },
        _ => 0,
    };
    let streams = WorkerStreams { first: first_stream(clock) };
    let too_old = is_too_old(streams.get(number)?, clock.state.now);
    if too_old {
        give_up(clock, worker, number)?;
    }
    let stream = streams.get(number)?;
    if timing::is_over(stream) || clock.state.now > stream.spec.close {
        end(clock);
        return None;
    }
    if too_old {
        // A departure that is not too old leaves in this repetition: a worker that is behind would
        // find it too old again in the next one, and never send a frame.
        let others_first = Rodata::load(&GENERATOR.pacing) == pacing::FLOWS
            && stream.state.earliest > clock.state.now;
        if others_first || is_too_old(stream, clock.state.now) {
            put_back(clock, worker, number, stream);
            return None;
        }
    }
    if begins {
        wait(clock, stream.state.earliest)?;
    } else if stream.state.earliest > clock.state.now + GATHER {
        return None;
    }
    let now = clock.state.now;

    let overdue = now.saturating_sub(stream.state.due);
    let too_late = overdue.saturating_sub(Rodata::load(&GENERATOR.late));
    note_overdue(clock, overdue);
    let several = Rodata::load(&GENERATOR.flow_count) != 1;
    let due = stream.state.due;
    // With one stream for the port, all departures of the batch at once; but each late frame is
    // noted for its own flow.
    let most = match Rodata::load(&GENERATOR.pacing) {
        pacing::PORT if begins && !(several && too_late != 0) => clock.spec.batch,
        _ => 1,
    };
    let gap = stream.state.gap.ns + 1;
    let taken = timing::take(stream, most, now + GATHER, &SharedTables);
    clock.state.quota = taken - 1;
    if too_late != 0 {
        // The departures behind this one are less late, each by about a gap.
        let late = 1 + too_late.checked_div(gap).unwrap_or(0);
        let late = if late < taken { late } else { taken };
        if several && Rodata::load(&GENERATOR.pacing) == pacing::PORT {
            note_late(worker, late, overdue);
        } else {
            stream.counts.lateness.note(late, overdue);
        }
    }
    stream.counts.departed += taken;
    stream.counts.last = now;
    if stream.counts.first == 0 {
        stream.counts.first = now + 1;
    }
    // Frames behind a late one leave at twice the rate at most.
    let spread = if stream.state.earliest > now { stream.state.earliest } else { now }
        + (stream.state.due - due) / 2;
    stream.state.earliest = if spread > stream.state.due { spread } else { stream.state.due };
    let turn = stream.spec.turn;
    put_back(clock, worker, number, stream);
    Some(turn)
}

/// Ends a stream that has no more departures, or puts one of several back into the calendar.
#[inline(always)]
fn put_back(clock: &mut WorkerClock, worker: &Worker, number: u32, stream: &mut Stream) {
    clock.state.chosen = 0;
    if timing::is_over(stream) {
        end(clock);
    } else if Rodata::load(&GENERATOR.pacing) == pacing::FLOWS
        && let Some(calendar) = calendar(worker)
    {
        calendar::insert(calendar, number, stream);
    }
}

/// Nanoseconds since the session's start, 0 before it.
#[inline(always)]
fn read_clock(clock: &WorkerClock) -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }.saturating_sub(clock.spec.epoch)
}

/// Whether the stream's next departure is overdue by more than the bound, so that it gets no frame.
#[inline(always)]
fn is_too_old(stream: &Stream, now: u64) -> bool {
    now > stream.state.due.saturating_add(Rodata::load(&GENERATOR.give_up))
}

/// One stream of the worker has ended.
#[inline(always)]
fn end(clock: &mut WorkerClock) {
    clock.state.chosen = 0;
    clock.state.streams = clock.state.streams.saturating_sub(1);
    if clock.state.streams == 0 {
        clock.state.done = 1;
        clock.state.now = IDLE;
    }
}

#[inline(always)]
fn calendar(worker: &Worker) -> Option<&'static mut Calendar> {
    let calendar = CALENDARS.get_ptr_mut(worker.spec.index)?;
    // SAFETY: the worker's own entry.
    Some(unsafe { &mut *calendar })
}

/// The stream whose frame is next. It stays chosen until its frame has left. Within a batch, only a
/// stream whose frame can still leave with the batch is chosen.
#[inline(always)]
fn chosen(clock: &mut WorkerClock, worker: &Worker, begins: bool) -> Option<u32> {
    if clock.state.chosen == 0 {
        let last = if begins { u64::MAX } else { (clock.state.now + GATHER) >> NEAR_BITS };
        let mut search =
            Search { worker: worker.spec.index, first: first_stream(clock), last, found: 0 };
        call_loop(STEPS, search_step, &mut search);
        if search.found == 0 {
            clock.state.next_due = 0;
            return None;
        }
        clock.state.chosen = search.found;
        clock.state.next_due = 0;
    }
    Some((clock.state.chosen as u32).wrapping_sub(1))
}

#[repr(C)]
struct Search {
    worker: u32,
    first: u32,
    /// The last of the nearest buckets to look at.
    last: u64,
    /// The stream's number plus one.
    found: u64,
}

extern "C" fn search_step(_index: u32, search: *mut Search) -> i64 {
    // SAFETY: the structure on the caller's stack.
    let search = unsafe { &mut *search };
    let Some(calendar) = CALENDARS.get_ptr_mut(search.worker) else { return 1 };
    // SAFETY: the worker's own entry.
    let calendar = unsafe { &mut *calendar };
    if calendar.cursor > search.last {
        return 1;
    }
    match calendar::look(calendar, &mut WorkerStreams { first: search.first }) {
        NextStream::Stream(number) => {
            search.found = u64::from(number) + 1;
            1
        }
        NextStream::Nothing => 0,
    }
}

/// Counts departures of a stream that are too old as unsent, as many as one repetition can.
#[inline(always)]
fn give_up(clock: &mut WorkerClock, worker: &Worker, number: u32) -> Option<()> {
    let streams = WorkerStreams { first: first_stream(clock) };
    let stream = streams.get(number)?;
    let unsent = stream.counts.unsent;
    note_overdue(clock, clock.state.now.saturating_sub(stream.state.due));
    // A quarter more than necessary, so that it is not done for each frame.
    let bound = Rodata::load(&GENERATOR.give_up) / 4 * 3;
    let mut skip = Skip {
        oldest: clock.state.now.saturating_sub(bound),
        stream: streams.first.wrapping_add(number),
    };
    call_loop(SKIPS, skip_step, &mut skip);
    let stream = streams.get(number)?;
    stream.state.earliest = stream.state.due;
    if Rodata::load(&GENERATOR.pacing) == pacing::PORT && Rodata::load(&GENERATOR.flow_count) != 1 {
        // The flows that had the turns of these departures lose them.
        skip_turns(worker, stream.counts.unsent - unsent);
    }
    Some(())
}

#[inline(always)]
fn note_overdue(clock: &mut WorkerClock, overdue: u64) {
    if overdue > clock.counts.most_overdue {
        clock.counts.most_overdue = overdue;
    }
}

#[repr(C)]
struct Skip {
    /// Departures before this time are unsent.
    oldest: u64,
    /// The entry of the stream.
    stream: u32,
}

extern "C" fn skip_step(_index: u32, skip: *mut Skip) -> i64 {
    // SAFETY: the structure on the caller's stack.
    let skip = unsafe { &mut *skip };
    let Some(stream) = STREAMS.get_ptr_mut(skip.stream) else { return 1 };
    // SAFETY: an entry of this worker alone.
    let stream = unsafe { &mut *stream };
    i64::from(!timing::skip(stream, skip.oldest, &SharedTables))
}

/// Waits until `at`, and notes the time. Gives none when `at` is too far away for one repetition.
#[inline(always)]
fn wait(clock: &mut WorkerClock, at: u64) -> Option<()> {
    let until = clock.spec.epoch.wrapping_add(at);
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if now >= until {
        return Some(());
    }
    let far = until - now;
    if far > FAR {
        clock.state.next_due = at;
        clock.state.now = IDLE;
        return None;
    }
    let longest = if far < LONGEST_SPIN { far } else { LONGEST_SPIN };
    let mut spin = Spin { until: now + longest, now };
    call_loop(SPINS, spin_step, &mut spin);
    clock.counts.waited += spin.now - now;
    if spin.now < until {
        clock.state.now = IDLE;
        return None;
    }
    clock.state.now = spin.now - clock.spec.epoch;
    Some(())
}

#[repr(C)]
struct Spin {
    until: u64,
    now: u64,
}

extern "C" fn spin_step(_index: u32, spin: *mut Spin) -> i64 {
    // SAFETY: the structure on the caller's stack.
    let spin = unsafe { &mut *spin };
    // SAFETY: a helper without arguments.
    spin.now = unsafe { bpf_ktime_get_ns() };
    i64::from(spin.now >= spin.until)
}

/// `bpf_loop` (Linux 5.17): at most `count` times, until the step gives 1.
#[inline(always)]
fn call_loop<T>(count: u32, step: extern "C" fn(u32, *mut T) -> i64, context: &mut T) {
    // SAFETY: a function of the form the helper wants, and a context on the stack that outlives it.
    unsafe { bpf_loop(count, step as *mut c_void, (&raw mut *context).cast(), 0) };
}

/// Counts frames as late that are the next ones of the schedule.
#[inline(always)]
fn note_late(worker: &Worker, frames: u64, overdue: u64) {
    let flow = peek_turn(worker).unwrap_or_default();
    if let Some(entry) = LATENESS.get_ptr_mut(worker.spec.first_flow.wrapping_add(flow)) {
        // SAFETY: an entry of this worker alone.
        unsafe { &mut *entry }.lateness.note(frames, overdue);
    }
}
