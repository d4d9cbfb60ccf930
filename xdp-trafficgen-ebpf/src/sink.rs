//! The counting receiver.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP,
    macros::{map, xdp},
    maps::PerCpuArray,
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::{
    abi::{FCS_LEN, Sink},
    field::Load as _,
};

use crate::Rodata;

#[unsafe(no_mangle)]
static SINK_ACTION: u32 = XDP_DROP;
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
    Rodata::load(&SINK_ACTION)
}
