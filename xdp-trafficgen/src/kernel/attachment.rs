//! Attaches an XDP program to the driver of an interface, by a BPF link that ends with the process.
//! Another program on the interface is detached only if the user asked for it.
//!
//! A program that was attached by netlink can be detached for ours, and is attached again at the
//! end. After SIGKILL or a second signal (see [`crate::signal`]) it stays detached, because no
//! process owns what netlink attached. A program on a BPF link can only be detached by the owner of
//! the link (dev_xdp_attach in the kernel's net/core/dev.c).

use std::{io, os::fd::OwnedFd};

use crate::{
    host::{AttachedMode, AttachedXdp},
    kernel::{AttachError, KernelError, program::Program},
    plan::ExistingProgram,
    sys::{
        bpf,
        xdp_netlink::{Refusal, XdpInterface, XdpNetlink},
    },
};

/// A program in the driver of an interface; dropping this detaches it.
#[derive(Debug)]
pub(super) struct Attachment {
    // Declared first, so dropped first: the other program cannot be attached while this link
    // exists.
    link: OwnedFd,
    displaced: Option<ReplacedProgram>,
}

impl Attachment {
    /// Attaches `program`, which is loaded, to the interface with this index.
    ///
    /// # Errors
    /// [`AttachError`], and when the kernel does not list the interface's programs.
    pub(super) fn native(
        program: &Program,
        index: u32,
        existing: ExistingProgram,
    ) -> Result<Self, KernelError> {
        let netlink = XdpNetlink::open().map_err(netlink_failed)?;
        let XdpInterface { name: interface, programs, .. } =
            netlink.interface(index).map_err(netlink_failed)?;
        let in_the_way = programs.into_iter().find(|(mode, _)| *mode != AttachedMode::Offloaded);
        let displaced = match (in_the_way, existing) {
            (None, _) => None,
            (Some((mode, id)), ExistingProgram::Keep) => {
                return Err(AttachError::InTheWay {
                    interface,
                    program: AttachedXdp::new(mode, id),
                }
                .into());
            }
            (Some((mode, id)), ExistingProgram::Replace) => Some(ReplacedProgram::take_off(
                XdpNetlink::open().map_err(netlink_failed)?,
                index,
                &interface,
                mode,
                id,
            )?),
        };
        // On failure, dropping `displaced` attaches the other program again.
        let link = program.attach_to_interface(index).map_err(|source| {
            let reason = explained(&netlink, index, program);
            AttachError::Refused { interface, reason, source }
        })?;
        Ok(Self { link, displaced })
    }

    /// Detaches the program, and attaches the one again that was detached for it.
    ///
    /// # Errors
    /// When that one cannot be attached again. An interface that is gone is no error.
    pub(super) fn release(self) -> Result<(), AttachError> {
        let Self { link, displaced } = self;
        drop(link);
        displaced.map_or(Ok(()), |mut displaced| displaced.put_back())
    }
}

/// The driver's reason to refuse a program. A link cannot report it (Linux 6.6 has a trace point
/// for it), so the program is offered to the driver again, by netlink.
fn explained(netlink: &XdpNetlink, index: u32, program: &Program) -> Option<String> {
    match netlink.attach(index, AttachedMode::Native, program) {
        Err(Refusal { reason, .. }) => reason,
        Ok(()) => {
            // This time the driver took the program. Best effort: the caller reports the first
            // failure anyway.
            let _ = netlink.detach(index, AttachedMode::Native, program);
            None
        }
    }
}

/// A program that was detached for ours.
#[derive(Debug)]
struct ReplacedProgram {
    /// In the program's network namespace: the run may end in any thread.
    netlink: XdpNetlink,
    index: u32,
    interface: String,
    program: AttachedXdp,
    /// None when the program was attached again.
    descriptor: Option<OwnedFd>,
}

impl ReplacedProgram {
    fn take_off(
        netlink: XdpNetlink,
        index: u32,
        interface: &str,
        mode: AttachedMode,
        id: u32,
    ) -> Result<Self, KernelError> {
        let (interface, program) = (interface.to_owned(), AttachedXdp::new(mode, id));
        let refused = |interface, Refusal { reason, source }| AttachError::Refused {
            interface,
            reason,
            source,
        };
        let gone = || Refusal { reason: None, source: io::Error::from_raw_os_error(libc::ENOENT) };
        let Ok(descriptor) = bpf::program(id) else {
            return Err(refused(interface, gone()).into());
        };
        match netlink.detach(index, mode, &descriptor) {
            Ok(()) => Ok(Self { netlink, index, interface, program, descriptor: Some(descriptor) }),
            Err(Refusal { source, .. }) if source.raw_os_error() == Some(libc::EBUSY) => {
                Err(AttachError::InTheWay {
                    interface,
                    program: AttachedXdp { on_link: true, ..program },
                }
                .into())
            }
            Err(refusal) => Err(refused(interface, refusal).into()),
        }
    }

    fn put_back(&mut self) -> Result<(), AttachError> {
        let Some(descriptor) = self.descriptor.take() else { return Ok(()) };
        match self.netlink.attach(self.index, self.program.mode, &descriptor) {
            Ok(()) => Ok(()),
            Err(Refusal { source, .. }) if source.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            Err(Refusal { reason, source }) => {
                let (interface, program) = (self.interface.clone(), self.program.clone());
                Err(AttachError::NotPutBack { interface, program, reason, source })
            }
        }
    }
}

impl Drop for ReplacedProgram {
    /// Best effort: `drop` cannot report a failure.
    fn drop(&mut self) {
        let _ = self.put_back();
    }
}

pub(super) fn netlink_failed(source: io::Error) -> KernelError {
    KernelError::Syscall { call: "asking rtnetlink for an interface", source }
}
