//! The program that makes frames: one for each group of flows, specialised for it.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_REDIRECT},
    helpers::bpf_xdp_adjust_tail,
    macros::{map, xdp},
    maps::Array,
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::{
    abi::{Flow, HeaderState, TURN_FLOW_BITS, Word128, Worker, make, path, timing::pacing},
    field::{Load as _, Values},
    frame,
};

use crate::{
    FLOWS, GENERATOR, GROUP, MAPPED, Rodata, aborted,
    bodies::copy_body,
    counting::{not_sent, note_recent},
    departure,
    egress::{EGRESS_ENTRY, redirected, redirected_to},
    packet::{Packet, copy, copy_line},
    rows::{copy_header, copy_next_row, next_row, row_size, row_word},
    schedule::next_turn,
    this_worker,
};

/// The header states of each worker, one worker's after the other's: only of flows whose headers
/// are worked out.
#[map]
static HEADER_STATES: Array<HeaderState> = Array::with_max_entries(1, MAPPED);
/// Entries of `values` patterns, all lists one after the other.
#[map]
static VALUES: Array<Word128> = Array::with_max_entries(1, MAPPED);

struct ValueTable;

impl Values for ValueTable {
    #[inline(always)]
    fn value(&self, index: u32) -> Word128 {
        VALUES.get(index).copied().unwrap_or_default()
    }
}

/// Makes one frame out of the page at hand and returns the configured action.
#[xdp]
#[inline(always)]
pub fn generate(ctx: XdpContext) -> u32 {
    // With several groups it is `dispatch` that waits.
    if Rodata::load(&GENERATOR.pacing) != pacing::NONE && Rodata::load(&GENERATOR.group_count) == 1
    {
        let Some(worker) = this_worker() else { return XDP_DROP };
        let Some(turn) = departure::depart(worker) else { return XDP_DROP };
        worker.flow = turn & ((1 << TURN_FLOW_BITS) - 1);
    }
    match Rodata::load(&GROUP.path) {
        path::ONE_LINE => one_line(&ctx),
        path::FLOWS => recorded_flows(&ctx),
        path::SIZES => recorded_sizes(&ctx),
        _ => any_flow(&ctx),
    }
}

/// [`path::ONE_LINE`].
#[inline(always)]
fn one_line(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let mut packet = Packet::of(ctx);
    let words = Rodata::load(&GROUP.words);
    if !packet.holds(4 * words) {
        return aborted(worker);
    }
    let row = next_row(&mut worker.only);
    copy_line(&mut packet, 0, words, |word| row_word(row, word));
    worker.counts.queued += 1;
    redirected_to(worker.spec.egress)
}

/// [`path::FLOWS`]. Schedule, look-up of the flow, its count and the note of whose frame it was
/// take 2.5 ns more than a single flow's frame, and 3.5 with 4096 flows, whose rows and counts are
/// no longer in the nearest cache.
#[inline(always)]
fn recorded_flows(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(number) = next_flow(worker) else { return aborted(worker) };
    let Some(flow) = flow_of(worker, number) else { return aborted(worker) };
    if copy_next_row(ctx, flow).is_none() {
        return aborted(worker);
    }
    flow.counts.frames += 1;
    note_recent(worker, number, 0);
    worker.counts.queued += 1;
    redirected()
}

/// [`path::SIZES`].
#[inline(always)]
fn recorded_sizes(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(row) = copy_next_row(ctx, &mut worker.only) else { return aborted(worker) };
    let size = row_size(row);
    worker.only.counts.bytes += u64::from(size);
    note_recent(worker, 0, size);
    cut(ctx, size);
    worker.counts.queued += 1;
    redirected_to(worker.spec.egress)
}

/// [`path::ANY`].
#[inline(always)]
fn any_flow(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(number) = next_flow(worker) else { return aborted(worker) };
    let Some(flow) = flow_of(worker, number) else { return aborted(worker) };
    if Rodata::load(&GROUP.bodies) != 0 && !copy_body(ctx, number) {
        return aborted(worker);
    }
    let size = match Rodata::load(&GROUP.make) {
        make::COPY => copy_header(ctx, flow),
        _ => work_out_header(ctx, flow),
    };
    let Some(size) = size else { return aborted(worker) };
    flow.counts.frames += 1;
    if Rodata::load(&GROUP.sized) != 0 {
        flow.counts.bytes += u64::from(size);
        note_recent(worker, number, size);
        cut(ctx, size);
    } else if Rodata::load(&GENERATOR.flow_count) != 1 {
        note_recent(worker, number, 0);
    }
    worker.counts.queued += 1;
    match Rodata::load(&GENERATOR.action) {
        XDP_REDIRECT => redirected_to(worker.spec.egress),
        action if worker.spec.egress == EGRESS_ENTRY => action,
        _ => {
            not_sent(worker);
            XDP_DROP
        }
    }
}

/// Cuts the frame to its size. Measured on a bare redirect of 52 ns: 3.8 ns, most of it the
/// kernel's, which takes over the new bounds and sets the page up anew when it comes back.
#[inline(always)]
fn cut(ctx: &XdpContext, size: u32) {
    // SAFETY: the context the helper wants. It cannot fail: no frame is longer than the one given
    // to the kernel, whose length each page has again.
    unsafe {
        bpf_xdp_adjust_tail(ctx.ctx, size as i32 - Rodata::load(&GENERATOR.frame_len) as i32)
    };
}

/// The flow of the worker's next frame.
#[inline(always)]
fn next_flow(worker: &Worker) -> Option<u32> {
    let scheduled = Rodata::load(&GENERATOR.pacing) != pacing::FLOWS;
    match (Rodata::load(&GENERATOR.flow_count), Rodata::load(&GENERATOR.group_count)) {
        (1, _) => Some(0),
        // The turn of the only group is the flow's number.
        (_, 1) if scheduled => next_turn(worker),
        // `dispatch` or `depart` has chosen it.
        _ => Some(worker.flow),
    }
}

/// The worker's entry for the flow with this number.
#[inline(always)]
fn flow_of(worker: &mut Worker, number: u32) -> Option<&'static mut Flow> {
    let flow = match Rodata::load(&GENERATOR.flow_count) {
        1 => &raw mut worker.only,
        _ => FLOWS.get_ptr_mut(worker.spec.first_flow.wrapping_add(number))?,
    };
    // SAFETY: an entry of this worker alone; map memory outlives the program.
    Some(unsafe { &mut *flow })
}

/// Writes a frame's header from the flow's header state. Gives what [`copy_header`] gives.
#[inline(always)]
fn work_out_header(ctx: &XdpContext, flow: &Flow) -> Option<u32> {
    // SAFETY: an entry of this worker alone.
    let state = unsafe { &mut *HEADER_STATES.get_ptr_mut(flow.header_state())? };
    let mut packet = Packet::of(ctx);
    let words = Rodata::load(&GROUP.words);
    if !packet.holds(4 * words) {
        return None;
    }
    // The constant bytes too: a receiver in this kernel (the far end of a veth, this machine's own
    // stack) may have written to the page before it was recycled, a router its MAC addresses
    // and TTL.
    copy(&mut packet, words, |line, word| state.header[line as usize][word]);
    // Volatile, so that only what wants the number reads it.
    let (first, stride) = (&raw const state.first, &raw const state.stride);
    // SAFETY: an entry of this worker alone.
    let [first, stride] = [first, stride].map(|word| move || unsafe { word.read_volatile() });
    let sequence = || first() + Rodata::load(&flow.counts.frames) * stride();
    Some(frame::write::<Rodata>(&mut packet, &GROUP, state, sequence, &ValueTable))
}
