//! The counting receiver.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP,
    helpers::bpf_ktime_get_ns,
    macros::{map, xdp},
    maps::PerCpuArray,
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::abi::{FCS_LEN, Sink};

use crate::Rodata;

#[unsafe(no_mangle)]
static SINK_ACTION: u32 = XDP_DROP;
/// Nanoseconds to spend on each frame: a receiver that is slower than its sender.
#[unsafe(no_mangle)]
static SINK_BUSY_NS: u64 = 0;
#[map]
static SINK: PerCpuArray<Sink> = PerCpuArray::with_max_entries(1, 0);

/// Counts what arrives.
#[xdp]
pub fn sink(ctx: XdpContext) -> u32 {
    if let Some(sink) = SINK.get_ptr_mut(0) {
        // SAFETY: a per-CPU entry.
        unsafe {
            (*sink).frames += 1;
            (*sink).bytes += (ctx.data_end() - ctx.data()) as u64 + FCS_LEN as u64;
        }
    }
    let busy = Rodata::load(&SINK_BUSY_NS);
    if busy != 0 {
        spend(busy);
    }
    Rodata::load(&SINK_ACTION)
}

/// Readings of the clock that take longer than any time that is asked for (20 ns each and more).
const READINGS: u32 = 1000;

#[inline(always)]
fn spend(nanoseconds: u64) {
    // SAFETY: no argument, and always allowed.
    let clock = || unsafe { bpf_ktime_get_ns() };
    let start = clock();
    for _ in 0..READINGS {
        if clock() - start >= nanoseconds {
            break;
        }
    }
}
