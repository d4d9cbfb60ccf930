//! The program of a port with several groups: it chooses a flow, and its group's program makes the
//! frame.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP,
    macros::{map, xdp},
    maps::ProgramArray,
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::{
    abi::{MAX_GROUPS, TURN_FLOW_BITS, timing::pacing},
    field::Load as _,
};

use crate::{GENERATOR, Rodata, aborted, departure, schedule::next_turn, this_worker};

/// The groups' programs, where there are several.
#[map]
static PROGRAMS: ProgramArray = ProgramArray::with_max_entries(MAX_GROUPS as u32, 0);

/// Chooses the flow of the next frame and calls its group's program.
#[xdp]
pub fn dispatch(ctx: XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let departs = match Rodata::load(&GENERATOR.pacing) {
        pacing::NONE => Some(0),
        _ => departure::depart(worker),
    };
    let Some(turn) = departs else { return XDP_DROP };
    let turn = match Rodata::load(&GENERATOR.pacing) {
        pacing::FLOWS => Some(turn),
        _ => next_turn(worker),
    };
    let Some(turn) = turn else { return aborted(worker) };
    worker.flow = turn & ((1 << TURN_FLOW_BITS) - 1);
    call_group(&ctx, turn >> TURN_FLOW_BITS);
    aborted(worker)
}

/// Calls the program of a group; comes back only when there is none.
///
/// A call for each group, with a constant for its number: the kernel makes a direct jump of it,
/// where a number it does not know makes an indirect one, which mitigations make dear (23 ns:
/// doc/measurements.md#what-a-mechanism-costs).
#[inline(always)]
fn call_group(ctx: &XdpContext, group: u32) {
    macro_rules! calls {
        ($($index:literal)*) => {
            match group {
                $( $index => {
                    // SAFETY: the map and context that the helper wants.
                    unsafe { PROGRAMS.tail_call(ctx, $index) };
                    // SAFETY: writes a register that nobody reads. Another text in each arm, so that the compiler does not make
                    // one call of all.
                    unsafe { core::arch::asm!("r0 = {group}", group = const $index, out("r0") _) };
                } )*
                _ => {}
            }
        };
    }
    calls!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    );
}

const _: () = assert!(MAX_GROUPS == 64, "the calls are written out");
