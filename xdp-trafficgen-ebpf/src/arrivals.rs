//! The stamping receiver: it writes down when each frame arrived, and nothing else; user space
//! evaluates the log.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::bpf_ktime_get_ns,
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::abi::arrivals::{BLOCK_STAMPS, Block, Log, Receiver, stamp};

use crate::Rodata;

#[unsafe(no_mangle)]
static RECEIVER: Receiver =
    Receiver { epoch: 0, blocks: 0, match_offset: 0, match_value: 0, match_mask: 0, tag_offset: 0 };

/// The log. A CPU takes a block at a time, so that CPUs share nothing from frame to frame and room
/// is only kept for frames, not for CPUs. Sized by the loader.
#[map]
static ARRIVAL_BLOCKS: Array<Block> = Array::with_max_entries(1, 0);
/// The first block that no CPU has taken yet.
#[map]
static ARRIVAL_NEXT: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static ARRIVAL_LOGS: PerCpuArray<Log> = PerCpuArray::with_max_entries(1, 0);

/// Stamps the frames that match and drops them; the others go on to the network stack.
#[xdp]
pub fn arrivals(ctx: XdpContext) -> u32 {
    // SAFETY: a helper without arguments. The clock is read first, so that the stamp does not
    // depend on what follows.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: a per-CPU entry, and receive work on one CPU is never interrupted by other receive
    // work.
    let Some(log) = ARRIVAL_LOGS.get_ptr_mut(0).map(|log| unsafe { &mut *log }) else {
        return XDP_PASS;
    };
    let mask = Rodata::load(&RECEIVER.match_mask);
    if mask != 0 {
        let found = read::<u32>(&ctx, Rodata::load(&RECEIVER.match_offset)).map(u32::from_be);
        if found.is_none_or(|found| found & mask != Rodata::load(&RECEIVER.match_value)) {
            log.passed += 1;
            return XDP_PASS;
        }
    }
    let tag = match Rodata::load(&RECEIVER.tag_offset) {
        0 => 0,
        offset => read::<u16>(&ctx, offset).map_or(0, u16::from_be),
    };
    write_down(log, stamp(now.wrapping_sub(Rodata::load(&RECEIVER.epoch)), tag));
    XDP_DROP
}

/// A value of the frame, when the frame is long enough.
#[inline(always)]
fn read<T: Copy>(ctx: &XdpContext, offset: u32) -> Option<T> {
    let at = ctx.data() + offset as usize;
    if at + size_of::<T>() > ctx.data_end() {
        return None;
    }
    // SAFETY: within the frame, which the verifier proves. As to alignment, see `Packet::store`.
    Some(unsafe { *(at as *const T) })
}

#[inline(always)]
fn write_down(log: &mut Log, stamp: u64) {
    let place = log.stamped as usize % BLOCK_STAMPS;
    if place == 0 {
        log.block = ARRIVAL_NEXT.get_ptr_mut(0).map_or(u64::MAX, |next| fetch_and_add(next, 1));
        if log.block >= Rodata::load(&RECEIVER.blocks) {
            log.missed += 1;
            return;
        }
    }
    if let Some(block) = ARRIVAL_BLOCKS.get_ptr_mut(log.block as u32) {
        // SAFETY: this block is this CPU's as long as the log exists.
        unsafe { (*block)[place] = stamp };
        log.stamped += 1;
    }
}

/// Adds to `number` and gives what was there before. (`core` has no such method for eBPF.)
#[inline(always)]
fn fetch_and_add(number: *mut u64, amount: u64) -> u64 {
    let mut value = amount;
    // SAFETY: eight bytes of map memory, aligned, that all CPUs touch in this way only.
    unsafe {
        core::arch::asm!("{value} = atomic_fetch_add((u64 *)({number} + 0), {value})", number = in(reg) number, value = inout(reg) value);
    }
    value
}
