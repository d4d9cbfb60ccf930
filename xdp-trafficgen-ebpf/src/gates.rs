//! Workers' gates: after each bulk of frames a worker without a rate waits here until its link is
//! ready for the next one. The arithmetic is in the library's `gate`.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::{bpf_ktime_get_ns, bpf_loop},
    macros::map,
    maps::Array,
};
use xdp_trafficgen_ebpf::{
    abi::{Gate, Worker},
    gate,
};

use crate::MAPPED;

/// The gate of each worker, sized by the loader.
#[map]
static GATES: Array<Gate> = Array::with_max_entries(1, MAPPED);

/// The longest wait after a bulk, in nanoseconds: softirqs are held off meanwhile, and with them
/// what else this CPU receives.
const LONGEST: u64 = 1_000_000;
/// Looks at the clock in the longest wait, at most. One takes 20 ns or more.
const LOOKS: u32 = 100_000;

/// Learns what became of a bulk of this worker's, and waits until the next one may leave.
#[inline(always)]
pub fn wait_at_gate(worker: &mut Worker, sent: u64, refused: u64) {
    let Some(gate) = GATES.get_ptr_mut(worker.spec.index) else { return };
    // SAFETY: the worker's own entry.
    let gate = unsafe { &mut *gate };
    gate.refused += refused;
    if gate.spec.used == 0 {
        worker.gated = 0;
        return;
    }
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if refused != 0 {
        gate::refused(&mut gate.state, worker.frames_tx(), now);
    } else {
        gate::passed(&mut gate.state, sent, now);
    }
    worker.gated = u64::from(gate.state.belief.gap != 0);
    let until = gate.state.next.min(gate.spec.deadline).min(now + LONGEST);
    if until > now {
        let mut wait = Wait { until, now };
        // SAFETY: a function of the form the helper wants, and a context on the stack that outlives
        // it.
        unsafe { bpf_loop(LOOKS, look as *mut c_void, (&raw mut wait).cast(), 0) };
    }
}

#[repr(C)]
struct Wait {
    until: u64,
    now: u64,
}

extern "C" fn look(_index: u32, wait: *mut Wait) -> i64 {
    // SAFETY: the structure on the caller's stack.
    let wait = unsafe { &mut *wait };
    // SAFETY: a helper without arguments.
    wait.now = unsafe { bpf_ktime_get_ns() };
    i64::from(wait.now >= wait.until)
}
