//! A private interface that keeps the generator in the kernel's XDP dispatcher.
//!
//! `BPF_PROG_RUN` with more than one repetition puts the program into the dispatcher and takes it
//! out again, and each change waits for RCU: 40 to 70 ms a call (doc/measurements.md#calls). A
//! program that is attached natively to some interface is in the dispatcher already, and the same
//! call costs 20 µs. The generator must not be attached to the egress interface, whose received
//! frames it would process. So each generator gets a veth without traffic, in a namespace without a
//! name: both are removed with the process, even after SIGKILL.
//!
//! The program is attached by netlink, not by a link. A link is detached by whoever closes it, who
//! waits for RCU (10 ms of each stop). What netlink attached belongs to the interface, and the
//! kernel detaches it when it removes the namespace, in a thread of its own.

use std::os::fd::AsFd;

use crate::{
    host::{AttachedMode, Netlink},
    kernel::{KernelError, PrivateNetns, attachment::netlink_failed},
    sys::xdp_netlink::{Refusal, XdpNetlink},
};

const NAME: &str = "anchor";

/// The interface; dropping this removes it, and detaches the program.
#[derive(Debug)]
pub(super) struct Anchor {
    _netns: PrivateNetns,
}

impl Anchor {
    /// Makes the interface and attaches `program` to it.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn hold(program: &(impl AsFd + Sync)) -> Result<Self, KernelError> {
        let netns = PrivateNetns::create()?;
        netns.run(|| {
            let netlink = Netlink::open()?;
            netlink.add_veth(NAME, "anchor-peer", 1)?;
            let links = netlink.links()?;
            let link =
                links.iter().find(|link| link.name == NAME).ok_or(KernelError::Missing(NAME))?;
            let netlink = XdpNetlink::open().map_err(netlink_failed)?;
            let attached = netlink.attach(link.index, AttachedMode::Native, program);
            attached.map_err(|Refusal { source, .. }| KernelError::Syscall {
                call: "attaching a program to the anchor",
                source,
            })
        })?;
        Ok(Self { _netns: netns })
    }
}
