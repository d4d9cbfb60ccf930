//! What became of the frames: the program notes whose they are, the trace points tell what the kernel and the driver did with them.

use aya_ebpf::{
    bindings::xdp_action::{XDP_REDIRECT, XDP_TX},
    macros::{btf_tracepoint, map},
    maps::PerCpuArray,
    programs::BtfTracePointContext,
};
use xdp_trafficgen_ebpf::{
    abi::{DROP_SLOTS, DropLayer, RECENT, Worker, drop_slot, parts_of_recent, recent},
    field::Load as _,
};

use crate::{FLOWS, GENERATOR, Rodata, this_worker};

/// Why frames were dropped: see `drop_slot`.
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(DROP_SLOTS, 0);

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
    charge(worker, frame);
    note_reason(DropLayer::Redirect, errno, 1);
}

/// Counts a lost frame, which is among the recent ones, for its flow.
#[inline(always)]
fn charge(worker: &mut Worker, frame: u64) {
    let (number, size) = parts_of_recent(worker.recent[frame as usize % RECENT]);
    let flow = match Rodata::load(&GENERATOR.flow_count) {
        1 => &raw mut worker.only,
        _ => match FLOWS.get_ptr_mut(worker.first_flow.wrapping_add(number)) {
            Some(flow) => flow,
            None => return,
        },
    };
    // SAFETY: an entry of this worker alone.
    unsafe {
        (*flow).dropped_frames += 1;
        (*flow).dropped_bytes += u64::from(size);
    }
}

#[inline(always)]
fn note_reason(layer: DropLayer, errno: u32, frames: u64) {
    if let Some(count) = DROPS.get_ptr_mut(drop_slot(layer, errno)) {
        // SAFETY: a per-CPU entry.
        unsafe { *count += frames };
    }
}

/// The worker whose frames are on their way through the kernel on this CPU just now, if any.
#[inline(always)]
fn sending_worker() -> Option<&'static mut Worker> {
    // A generator that redirects nothing has nothing in flight, whatever its counters say.
    if !matches!(Rodata::load(&GENERATOR.action), XDP_REDIRECT | XDP_TX) {
        return None;
    }
    // Other users' frames: ours are all accounted for before softirqs run again.
    this_worker().filter(|worker| worker.in_flight() != 0)
}

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: once per bulk of up to 16 frames, which are those queued first. A
/// driver takes the first `sent` of them (Linux 5.13, commit fdc13979f91e).
#[btf_tracepoint(function = "xdp_devmap_xmit")]
pub fn on_devmap_xmit(ctx: BtfTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let (sent, drops, err): (i32, i32, i32) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
        worker.transmitted += sent as u32 as u64;
        if drops > 0 {
            for _ in 0..drops.min(RECENT as i32) {
                let frame = worker.transmitted + worker.dropped;
                charge(worker, frame);
                worker.dropped += 1;
            }
            note_reason(DropLayer::Driver, err.unsigned_abs(), drops as u32 as u64);
        }
    }
    0
}

/// `xdp_redirect_err(dev, xdp, tgt, err, …)`: one frame that never reached a driver, the one that was just made.
#[btf_tracepoint(function = "xdp_redirect_err")]
pub fn on_redirect_err(ctx: BtfTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let err: i32 = ctx.arg(3);
        refused(worker, err.unsigned_abs());
    }
    0
}
