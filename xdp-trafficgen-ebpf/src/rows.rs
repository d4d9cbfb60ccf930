//! Headers that are copied from the row table, which holds those of all frames of a recorded flow.

use aya_ebpf::programs::XdpContext;
use xdp_trafficgen_ebpf::{
    abi::{Flow, LINE_LEN, Line, ROW_TABLE_LINES},
    field::Load as _,
};

use crate::{
    GROUP, Rodata,
    packet::{Packet, copy},
};

/// The headers of all frames of flows whose sequence is short enough to have them all.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.rows")]
static ROWS: [Line; ROW_TABLE_LINES] = [[0; LINE_LEN / 8]; ROW_TABLE_LINES];
/// The length, without FCS, of the frame whose row starts at the same line of the row table.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.sizes")]
static ROW_SIZES: [u32; ROW_TABLE_LINES] = [0; ROW_TABLE_LINES];

#[inline(always)]
pub fn row_size(row: u64) -> u32 {
    Rodata::load(&ROW_SIZES[row as usize % ROW_TABLE_LINES])
}

/// Writes a frame's header from the row table. Gives the frame's length without FCS, 0 when it has
/// no size of its own; none when the page is too short.
#[inline(always)]
pub fn copy_header(ctx: &XdpContext, flow: &mut Flow) -> Option<u32> {
    let row = copy_next_row(ctx, flow)?;
    Some(match Rodata::load(&GROUP.sized) {
        0 => 0,
        _ => row_size(row),
    })
}

/// Copies the next row of a flow into the frame; gives its first line, none when the page is too
/// short.
#[inline(always)]
pub fn copy_next_row(ctx: &XdpContext, flow: &mut Flow) -> Option<u64> {
    let mut packet = Packet::of(ctx);
    let words = Rodata::load(&GROUP.words);
    if !packet.holds(4 * words) {
        return None;
    }
    let row = next_row(flow);
    copy(&mut packet, words, |line, word| row_word(row + line, word));
    Some(row)
}

/// The first line of this frame's row; moves on to the worker's next frame of the flow.
#[inline(always)]
pub fn next_row(flow: &mut Flow) -> u64 {
    let rows = flow.rows_mut();
    let row = rows.next;
    let next = row + rows.advance;
    // Without a branch: short sequences end too often for anybody to foresee.
    let beyond = rows.limit.wrapping_sub(next).cast_signed() >> 63;
    rows.next = next - (beyond.cast_unsigned() & rows.span);
    row
}

/// An eight-byte word of a line of the row table.
#[inline(always)]
pub fn row_word(line: u64, word: usize) -> u64 {
    // The remainder costs one instruction, and tells the verifier what a map look-up would check in
    // eight.
    Rodata::load(&ROWS[line as usize % ROW_TABLE_LINES][word])
}
