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
    host::{AttachedMode, Netlink, index_of},
    kernel::{KernelError, PrivateNetns, attachment::netlink_failed},
    sys::xdp_netlink::{Refusal, XdpNetlink},
};

const NAME: &str = "anchor";

/// The interface; dropping this removes it, and detaches the program.
#[derive(Debug)]
pub struct Anchor {
    netns: PrivateNetns,
    index: u32,
}

impl Anchor {
    /// Makes the interface, with no program yet.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new() -> Result<Self, KernelError> {
        let netns = PrivateNetns::create()?;
        let index = netns.run(|| {
            Netlink::open()?.add_veth(NAME, "anchor-peer", 1)?;
            let call = "looking up the anchor (ioctl SIOCGIFINDEX)";
            index_of(NAME).map_err(|source| KernelError::Syscall { call, source })
        })?;
        Ok(Self { netns, index })
    }

    /// Attaches `program`. The kernel waits for RCU, 10 to 16 ms.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn attach(&self, program: &(impl AsFd + Sync)) -> Result<(), KernelError> {
        self.netns.run(|| {
            let netlink = XdpNetlink::open().map_err(netlink_failed)?;
            let attached = netlink.attach(self.index, AttachedMode::Native, program);
            attached.map_err(|Refusal { source, .. }| KernelError::Syscall {
                call: "attaching a program to the anchor",
                source,
            })
        })
    }
}
