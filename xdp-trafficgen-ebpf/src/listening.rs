//! What became of frames: programs on the kernel's trace points count frames whose fate is known,
//! and call the port's own handlers for frames that were dropped, and for bulks after which a
//! worker may have to wait.
//!
//! One program listens for all ports of the process: the kernel's call of a program that listens
//! costs 29 ns for each bulk of 16 frames, whoever sent them, and every port would pay for the
//! listeners of all (doc/measurements.md#accounting). It needs no type information of the kernel
//! (BTF): raw trace points are known by name, and cost the same as those that need it.
//! A handler that does nothing costs as much. An fexit program on the driver's `ndo_xdp_xmit` might
//! cost less, but it could not be measured (the 6.18 it was tried on answered EPERM, to an empty
//! one too), and each driver's function has a name of its own.

use aya_ebpf::{
    macros::{map, raw_tracepoint},
    maps::{PerCpuArray, ProgramArray},
    programs::RawTracePointContext,
};
use xdp_trafficgen_ebpf::abi::{MAX_PLACES, Worker, handler};

use crate::{Rodata, worker_at};

/// How many ports are listened for.
#[unsafe(no_mangle)]
static PLACES: u32 = 1;

/// The ports' own programs: see [`handler`].
#[map]
static HANDLERS: ProgramArray = ProgramArray::with_max_entries(handler::PER_PORT * MAX_PLACES, 0);
/// The port that was last seen sending on this CPU.
#[map]
static LAST: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// The port whose frames are on their way through the kernel on this CPU just now, if any, and its
/// worker. For frames of other programs there is none: the fate of all frames of a batch is known
/// before softirqs run again, and before another port's frames are made.
#[inline(always)]
fn sending() -> Option<(u32, &'static mut Worker)> {
    let sending = |place| {
        worker_at(place).filter(|worker| worker.in_flight() != 0).map(|worker| (place, worker))
    };
    let places = Rodata::load(&PLACES);
    if places == 1 {
        return sending(0);
    }
    // SAFETY: a per-CPU entry.
    let last = unsafe { &mut *LAST.get_ptr_mut(0)? };
    if let Some(found) = sending(*last) {
        return Some(found);
    }
    for place in 0..MAX_PLACES {
        if place >= places {
            break;
        }
        if let Some(found) = sending(place) {
            *last = place;
            return Some(found);
        }
    }
    None
}

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: once per bulk of up to 16 frames, which
/// are those queued first. A driver takes the first `sent` of them (Linux 5.13, commit
/// fdc13979f91e).
#[raw_tracepoint(tracepoint = "xdp_devmap_xmit")]
pub fn on_devmap_xmit(ctx: RawTracePointContext) -> i32 {
    if let Some((place, worker)) = sending() {
        // Neither is negative: as wide as they come, they need no widening.
        let (sent, drops): (u64, u64) = (ctx.arg(2), ctx.arg(3));
        worker.counts.settled += sent;
        if drops | worker.gated != 0 {
            call(&ctx, place, handler::BULK);
        }
    }
    0
}

/// `xdp_redirect_err(dev, xdp, tgt, err, …)` and `xdp_redirect_map_err`: one frame that never
/// reached a driver, the one that was just made.
#[raw_tracepoint(tracepoint = "xdp_redirect_err")]
pub fn on_redirect_err(ctx: RawTracePointContext) -> i32 {
    if let Some((place, _)) = sending() {
        call(&ctx, place, handler::NOT_REDIRECTED);
    }
    0
}

/// `xdp_exception(dev, xdp, act)`: a frame given up for what a program returned. Live mode has no
/// such case up to Linux 6.18; if another one has, the frame stays in flight, and this says why.
#[raw_tracepoint(tracepoint = "xdp_exception")]
pub fn on_exception(_ctx: RawTracePointContext) -> i32 {
    if let Some((_, worker)) = sending() {
        worker.counts.exceptions += 1;
    }
    0
}

/// Calls the port's program instead of what is left of this one; comes back only when there is
/// none.
#[inline(always)]
fn call(ctx: &RawTracePointContext, place: u32, handler: u32) {
    // SAFETY: the map and context that the helper wants.
    unsafe { HANDLERS.tail_call(ctx, handler::entry(place, handler)) };
}
