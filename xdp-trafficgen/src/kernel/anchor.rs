//! A private interface that keeps the generator in the kernel's XDP dispatcher.
//!
//! `BPF_PROG_RUN` with more than one repetition puts the program into the dispatcher and takes it out again, and each
//! change waits for RCU: 40 to 70 ms a call (doc/measurements.md, Calls). A program that is attached natively to any interface
//! is there already, and the same call costs 20 µs. The egress interface must not be that one: its real traffic would
//! run through the generator. So each generator gets a veth that carries nothing, in a namespace that has no name: both
//! vanish with the process, even after SIGKILL.

use aya::programs::{Xdp, XdpMode};

use crate::{
    host::{Link, Netlink},
    kernel::{KernelError, PrivateNetns, program_error},
};

const NAME: &str = "anchor";

/// The interface, and what `attach` gave for it, for as long as this lives.
#[derive(Debug)]
pub(super) struct Anchor<T = ()> {
    _attachment: T,
    _netns: PrivateNetns,
}

impl Anchor {
    /// Makes the interface and attaches `program` to it; the attachment lives as long as the program.
    pub(super) fn hold(name: &'static str, program: &mut Xdp) -> Result<Self, KernelError> {
        Self::hold_with(|link| program.attach(&link.name, XdpMode::Driver).map(drop).map_err(program_error(name)))
    }
}

impl<T: Send> Anchor<T> {
    /// Makes the interface and has `attach` attach a program to it.
    pub(super) fn hold_with(attach: impl FnOnce(&Link) -> Result<T, KernelError> + Send) -> Result<Self, KernelError> {
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
