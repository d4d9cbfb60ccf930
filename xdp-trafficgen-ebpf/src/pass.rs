//! Lets everything pass: for drivers that send XDP frames only while a program is attached to them.
//!
//! Made for frames of several buffers (`xdp.frags`): otherwise drivers refuse it where the MTU is
//! larger than a page.

use aya_ebpf::{bindings::xdp_action::XDP_PASS, macros::xdp, programs::XdpContext};

/// Lets every frame go on to the network stack.
#[xdp(frags)]
pub fn pass(_ctx: XdpContext) -> u32 {
    XDP_PASS
}
