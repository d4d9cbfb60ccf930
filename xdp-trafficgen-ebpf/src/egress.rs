//! The interface that frames leave by, and the program that only redirects to it.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_REDIRECT},
    helpers::bpf_redirect_map,
    macros::{map, xdp},
    maps::DevMap,
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::abi::Worker;

use crate::{counting::not_sent, this_worker};

/// The egress interface, in slot 0. A devmap entry is cheaper than `bpf_redirect`'s look-up of an
/// ifindex (doc/measurements.md#what-a-mechanism-costs).
#[map]
static EGRESS: DevMap = DevMap::with_max_entries(1, 0);

/// The entry of [`EGRESS`] that workers redirect to.
pub const EGRESS_ENTRY: u32 = Worker::NEW.spec.egress;

/// Redirects, and counts a frame that cannot be redirected: its interface is gone, or this CPU has
/// no worker, whose entry of the devmap does not exist.
#[inline(always)]
pub fn redirected_to(egress: u32) -> u32 {
    if redirect(egress) == XDP_REDIRECT {
        return XDP_REDIRECT;
    }
    // The worker is looked up again: kept for this rare case, it would cost a saved register in
    // every frame.
    if let Some(worker) = this_worker() {
        not_sent(worker);
    }
    XDP_DROP
}

/// Without the sign handling of `DevMap::redirect`: a look-up that fails gives the action in the
/// flags, XDP_DROP.
#[inline(always)]
fn redirect(egress: u32) -> u32 {
    // SAFETY: the map's own definition; the loader puts the map's address in its place.
    let action = unsafe {
        bpf_redirect_map(
            (&raw const EGRESS).cast_mut().cast(),
            u64::from(egress),
            u64::from(XDP_DROP),
        )
    };
    // Compared as it comes: a 32-bit number would have to be cut out first.
    if action == XDP_REDIRECT as i64 { XDP_REDIRECT } else { XDP_DROP }
}

/// Only redirects: what the kernel's own path costs.
#[xdp]
pub fn floor(_ctx: XdpContext) -> u32 {
    redirect(EGRESS_ENTRY)
}
