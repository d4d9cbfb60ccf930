//! A private interface that keeps the generator in the kernel's XDP dispatcher.
//!
//! `BPF_PROG_RUN` with more than one repetition puts the program into the dispatcher and takes it
//! out again, and each change waits for RCU: 40 to 70 ms a call (doc/measurements.md#calls). A
//! program that is attached natively to some interface is in the dispatcher already, and the same
//! call costs 20 µs. The generator must not be attached to the egress interface, whose received
//! frames it would process. So each generator gets a veth without traffic, in a namespace without a
//! name: both are removed with the process, even after SIGKILL.

use aya::programs::{Xdp, XdpMode};

use crate::{
    host::{Link, Netlink},
    kernel::{KernelError, PrivateNetns, program_error},
};

const NAME: &str = "anchor";

/// The interface, with the value that `attach` returned; dropping it removes both.
#[derive(Debug)]
pub(super) struct Anchor<T = ()> {
    _attachment: T,
    _netns: PrivateNetns,
}

impl Anchor {
    /// Makes the interface and attaches `program` to it. The program owns the attachment.
    pub(super) fn hold(name: &'static str, program: &mut Xdp) -> Result<Self, KernelError> {
        Self::hold_with(|link| {
            program.attach(&link.name, XdpMode::Driver).map(drop).map_err(program_error(name))
        })
    }
}

impl<T: Send> Anchor<T> {
    /// Makes the interface and calls `attach` for it.
    pub(super) fn hold_with(
        attach: impl FnOnce(&Link) -> Result<T, KernelError> + Send,
    ) -> Result<Self, KernelError> {
        let netns = PrivateNetns::create()?;
        let attachment = netns.run(|| {
            let netlink = Netlink::open()?;
            netlink.add_veth(NAME, "anchor-peer", 1)?;
            let links = netlink.links()?;
            attach(links.iter().find(|link| link.name == NAME).ok_or(KernelError::Missing(NAME))?)
        })?;
        Ok(Self { _attachment: attachment, _netns: netns })
    }
}
