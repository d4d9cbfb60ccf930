//! A port's counts: which flow a frame is of, and why frames were dropped. [`crate::listening`]
//! learns that they were.

use aya_ebpf::{
    macros::{map, raw_tracepoint},
    maps::{Array, PerCpuArray},
    programs::RawTracePointContext,
};
use xdp_trafficgen_ebpf::abi::{
    DropLayer, Drops, FlowDrops, RECENT, Worker, drop_class, errno_slot, parts_of_recent, recent,
};

use crate::{FLOWS, GENERATOR, MAPPED, Rodata, gates::wait_at_gate, this_worker};

/// Why frames were dropped.
#[map]
static DROPS: PerCpuArray<Drops> = PerCpuArray::with_max_entries(1, 0);
/// The same for each worker and flow, where there are several flows.
#[map]
static FLOW_DROPS: Array<FlowDrops> = Array::with_max_entries(1, MAPPED);

const ENODEV: u32 = 19;

/// Remembers the flow of the next frame in the queue.
#[inline(always)]
pub fn note_recent(worker: &mut Worker, number: u32, size: u32) {
    worker.recent[worker.counts.queued as usize % RECENT] = recent(number, size);
}

/// Counts a frame that has no interface to leave by: the kernel has taken the interface out of the
/// devmap because it went away, or this CPU has no worker, and the repetition makes no frame.
#[inline(always)]
pub fn not_sent(worker: &mut Worker) {
    if worker.spec.egress != 0 {
        worker.counts.queued -= 1;
        worker.counts.aborted += 1;
    } else {
        refused(worker, ENODEV);
    }
}

/// Counts the frame at hand as refused: it never got to a driver.
#[inline(always)]
fn refused(worker: &mut Worker, errno: u32) {
    // The last one in the queue.
    worker.counts.queued -= 1;
    worker.counts.refused += 1;
    let frame = worker.counts.queued;
    charge(worker, frame, DropLayer::Redirect, errno);
    note_reason(DropLayer::Redirect, errno, 1);
}

/// Counts a dropped frame, which is among the recent ones, for its flow.
#[inline(always)]
fn charge(worker: &mut Worker, frame: u64, layer: DropLayer, errno: u32) {
    let (number, size) = parts_of_recent(worker.recent[frame as usize % RECENT]);
    let flow = match Rodata::load(&GENERATOR.flow_count) {
        1 => &raw mut worker.only,
        _ => {
            let entry = worker.spec.first_flow.wrapping_add(number);
            let Some(flow) = FLOWS.get_ptr_mut(entry) else { return };
            if let Some(drops) = FLOW_DROPS.get_ptr_mut(entry) {
                // SAFETY: an entry of this worker alone.
                unsafe { (*drops)[drop_class(layer, errno)] += 1 };
            }
            flow
        }
    };
    // SAFETY: an entry of this worker alone.
    unsafe {
        (*flow).counts.dropped_frames += 1;
        (*flow).counts.dropped_bytes += u64::from(size);
    }
}

#[inline(always)]
fn note_reason(layer: DropLayer, errno: u32, frames: u64) {
    let Some(drops) = DROPS.get_ptr_mut(0) else { return };
    // SAFETY: a per-CPU entry.
    let drops = unsafe { &mut *drops };
    match layer {
        DropLayer::Driver => drops.driver[errno_slot(errno)] += frames,
        DropLayer::Redirect => drops.redirect[errno_slot(errno)] += frames,
    }
}

/// Counts frames that the driver refused, those queued first whose fate is not known yet, and waits
/// at the worker's gate. `on_devmap_xmit` calls it, with its own arguments.
#[raw_tracepoint(tracepoint = "xdp_devmap_xmit")]
pub fn bulk(ctx: RawTracePointContext) -> i32 {
    let Some(worker) = this_worker() else { return 0 };
    let (sent, frames, err): (u64, u32, i32) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
    let errno = err.unsigned_abs();
    if frames != 0 {
        dropped(worker, frames, errno);
    }
    let refused = if errno == 0 { u64::from(frames) } else { 0 };
    wait_at_gate(worker, sent, refused);
    0
}

#[inline(always)]
fn dropped(worker: &mut Worker, frames: u32, errno: u32) {
    for _ in 0..frames.min(RECENT as u32) {
        let frame = worker.counts.settled;
        charge(worker, frame, DropLayer::Driver, errno);
        worker.counts.settled += 1;
        worker.counts.dropped += 1;
    }
    note_reason(DropLayer::Driver, errno, u64::from(frames));
}

/// Counts the frame that was just made, which the kernel did not redirect. `on_redirect_err` calls
/// it, with its own arguments.
#[raw_tracepoint(tracepoint = "xdp_redirect_err")]
pub fn not_redirected(ctx: RawTracePointContext) -> i32 {
    let Some(worker) = this_worker() else { return 0 };
    let err: i32 = ctx.arg(3);
    refused(worker, err.unsigned_abs());
    0
}
