//! What became of the frames: the program notes whose they are, the trace points tell what the kernel and the driver did with them.
//!
//! Raw trace points, which need no type information of the kernel (BTF) and cost the same as those that do. What is done for
//! every bulk is kept short: each instruction here is run once for 16 frames, and losses are dealt with elsewhere.

use aya_ebpf::{
    macros::{map, raw_tracepoint},
    maps::{Array, PerCpuArray},
    programs::RawTracePointContext,
};
use xdp_trafficgen_ebpf::{
    abi::{DropLayer, Drops, FlowDrops, RECENT, Worker, drop_class, errno_slot, parts_of_recent, recent},
    field::Load as _,
};

use crate::{FLOWS, GENERATOR, Rodata, this_worker};

/// Why frames were dropped.
#[map]
static DROPS: PerCpuArray<Drops> = PerCpuArray::with_max_entries(1, 0);
/// The same for each worker and flow, where there are several flows.
#[map]
static FLOW_DROPS: Array<FlowDrops> = Array::with_max_entries(1, 0);

pub const ENODEV: u32 = 19;

/// Remembers whose the next frame in the queue is.
#[inline(always)]
pub fn note_recent(worker: &mut Worker, number: u32, size: u32) {
    worker.recent[worker.queued as usize % RECENT] = recent(number, size);
}

/// The frame at hand never got to a driver.
#[inline(always)]
pub fn refused(worker: &mut Worker, errno: u32) {
    // The last one in the queue.
    worker.queued -= 1;
    worker.refused += 1;
    let frame = worker.queued;
    charge(worker, frame, DropLayer::Redirect, errno);
    note_reason(DropLayer::Redirect, errno, 1);
}

/// Counts a lost frame, which is among the recent ones, for its flow.
#[inline(always)]
fn charge(worker: &mut Worker, frame: u64, layer: DropLayer, errno: u32) {
    let (number, size) = parts_of_recent(worker.recent[frame as usize % RECENT]);
    let flow = match Rodata::load(&GENERATOR.flow_count) {
        1 => &raw mut worker.only,
        _ => {
            let entry = worker.first_flow.wrapping_add(number);
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
        (*flow).dropped_frames += 1;
        (*flow).dropped_bytes += u64::from(size);
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

/// The worker whose frames are on their way through the kernel on this CPU just now, if any. Other users' frames have none: ours
/// are all accounted for before softirqs run again.
///
/// A generator that redirects nothing has nothing in flight, whatever its counters say: user space attaches no trace point for it.
#[inline(always)]
fn sending_worker() -> Option<&'static mut Worker> {
    this_worker().filter(|worker| worker.in_flight() != 0)
}

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: once per bulk of up to 16 frames, which are those queued first. A
/// driver takes the first `sent` of them (Linux 5.13, commit fdc13979f91e).
#[raw_tracepoint(tracepoint = "xdp_devmap_xmit")]
pub fn on_devmap_xmit(ctx: RawTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        // Neither is negative: as wide as they come, they need no widening.
        let (sent, drops): (u64, u64) = (ctx.arg(2), ctx.arg(3));
        worker.settled += sent;
        if drops != 0 {
            let err: i32 = ctx.arg(4);
            lost(drops as u32, err.unsigned_abs());
        }
    }
    0
}

/// The driver refused frames. A function of its own, so that a bulk without losses saves no registers.
#[inline(never)]
fn lost(frames: u32, errno: u32) -> u32 {
    let Some(worker) = this_worker() else { return 0 };
    for _ in 0..frames.min(RECENT as u32) {
        let frame = worker.settled;
        charge(worker, frame, DropLayer::Driver, errno);
        worker.settled += 1;
        worker.dropped += 1;
    }
    note_reason(DropLayer::Driver, errno, frames as u64);
    0
}

/// `xdp_redirect_err(dev, xdp, tgt, err, …)` and `xdp_redirect_map_err`: one frame that never reached a driver, the one that was
/// just made.
#[raw_tracepoint(tracepoint = "xdp_redirect_err")]
pub fn on_redirect_err(ctx: RawTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let err: i32 = ctx.arg(3);
        refused(worker, err.unsigned_abs());
    }
    0
}

/// `xdp_exception(dev, xdp, act)`: a frame given up for what a program returned. Live mode has no such case up to Linux 6.18; if
/// another one has, the frame stays in flight, and this says why.
#[raw_tracepoint(tracepoint = "xdp_exception")]
pub fn on_exception(_ctx: RawTracePointContext) -> i32 {
    if sending_worker().is_some()
        && let Some(drops) = DROPS.get_ptr_mut(0)
    {
        // SAFETY: a per-CPU entry.
        unsafe { (*drops).exceptions += 1 };
    }
    0
}
