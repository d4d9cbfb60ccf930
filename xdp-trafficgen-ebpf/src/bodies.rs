//! What follows the written lines of a frame, where flows of a port differ in it.

use aya_ebpf::{helpers::bpf_xdp_store_bytes, macros::map, maps::Array, programs::XdpContext};
use xdp_trafficgen_ebpf::abi::{BODY_LEN, Body};

use crate::{GENERATOR, MAPPED, Rodata};

/// Which of the bodies is each flow's.
#[map]
static FLOW_BODIES: Array<Body> = Array::with_max_entries(1, MAPPED);
/// What follows the written lines of a frame, where flows differ in it.
#[map]
static BODIES: Array<[u8; BODY_LEN]> = Array::with_max_entries(1, MAPPED);

/// Copies what follows the written lines, in every repetition: a page comes back with the frame of
/// any flow.
#[inline(always)]
pub fn copy_body(ctx: &XdpContext, number: u32) -> bool {
    let Some(&Body { entry, len }) = FLOW_BODIES.get(number) else { return false };
    if len == 0 {
        return true;
    }
    let Some(body) = BODIES.get_ptr(entry) else { return false };
    if len > BODY_LEN as u32 {
        return false;
    }
    let at = Rodata::load(&GENERATOR.written);
    // SAFETY: the context the helper wants, and memory of at least `len` bytes.
    let result = unsafe { bpf_xdp_store_bytes(ctx.ctx, at, body.cast_mut().cast(), len) };
    result == 0
}
