//! Attaches an XDP program in the driver of an interface, by a BPF link that goes with the process, and moves nobody's program
//! out of the way unasked.
//!
//! A program that was attached by netlink can make way, and is put back at the end; after SIGKILL, or a second signal (see
//! [`crate::signal`]), it is lost, for what netlink attached belongs to nobody. What hangs on a BPF link only the owner of that
//! link can take off (dev_xdp_attach in the kernel's net/core/dev.c).

use std::{io, os::fd::OwnedFd};

use aya::programs::{ProgramError, Xdp, XdpMode, links::FdLink};

use crate::{
    host::{AttachedMode, AttachedXdp},
    kernel::{AttachError, KernelError},
    plan::ExistingProgram,
    sys::{
        bpf,
        xdp_netlink::{Refusal, XdpInterface, XdpNetlink},
    },
};

/// A program in the driver of an interface, for as long as this lives.
#[derive(Debug)]
pub(super) struct Attachment {
    // Goes first: where it is, nothing can be put back.
    link: FdLink,
    displaced: Option<ReplacedProgram>,
}

impl Attachment {
    /// Attaches `program`, which is loaded, to the interface with this index.
    ///
    /// # Errors
    /// [`AttachError`], and when the kernel does not say what is there.
    pub(super) fn native(program: &mut Xdp, index: u32, existing: ExistingProgram) -> Result<Self, KernelError> {
        let netlink = XdpNetlink::open().map_err(unasked)?;
        let XdpInterface { name: interface, programs, .. } = netlink.interface(index).map_err(unasked)?;
        let in_the_way = programs.into_iter().find(|(mode, _)| *mode != AttachedMode::Offloaded);
        let displaced = match (in_the_way, existing) {
            (None, _) => None,
            (Some((mode, id)), ExistingProgram::Keep) => {
                return Err(AttachError::InTheWay { interface, program: AttachedXdp::new(mode, id) }.into());
            }
            (Some((mode, id)), ExistingProgram::Replace) => {
                Some(ReplacedProgram::take_off(XdpNetlink::open().map_err(unasked)?, index, &interface, mode, id)?)
            }
        };
        // When it fails, what was displaced is put back.
        let link = attach(program, index).map_err(|source| {
            let said = explained(&netlink, index, program);
            AttachError::Refused { interface, said, source }
        })?;
        Ok(Self { link, displaced })
    }

    /// Takes the program off, and puts back what made way for it.
    ///
    /// # Errors
    /// When that cannot be put back. An interface that is gone is no error.
    pub(super) fn release(self) -> Result<(), AttachError> {
        let Self { link, displaced } = self;
        drop(link);
        displaced.map_or(Ok(()), |mut displaced| displaced.put_back())
    }
}

fn attach(program: &mut Xdp, index: u32) -> io::Result<FdLink> {
    let attached = program.attach_to_if_index(index, XdpMode::Driver).and_then(|link| program.take_link(link));
    let link = attached.map_err(|error| match errno(&error) {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::other(error),
    })?;
    // aya falls back on netlink before Linux 5.9, which cannot send live frames anyway; what does not go with the process is
    // not wanted, and goes here.
    link.try_into().map_err(io::Error::other)
}

fn errno(error: &ProgramError) -> Option<i32> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error();
        }
        source = error.source();
    }
    None
}

/// What the driver says of a program that it refused. Links have no way to say it (until Linux 6.6, which has a trace point),
/// so it is offered the program once more, by netlink.
fn explained(netlink: &XdpNetlink, index: u32, program: &Xdp) -> Option<String> {
    let program = program.fd().ok()?;
    match netlink.attach(index, AttachedMode::Native, program) {
        Err(Refusal { said, .. }) => said,
        Ok(()) => {
            // It changed its mind. A failure to take it off again has nobody to be told.
            let _ = netlink.detach(index, AttachedMode::Native, program);
            None
        }
    }
}

/// A program that made way.
#[derive(Debug)]
struct ReplacedProgram {
    /// Of the namespace it was in: the end may come in any thread.
    netlink: XdpNetlink,
    index: u32,
    interface: String,
    program: AttachedXdp,
    /// None when it was put back.
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
        let refused = |interface, Refusal { said, source }| AttachError::Refused { interface, said, source };
        let gone = || Refusal { said: None, source: io::Error::from_raw_os_error(libc::ENOENT) };
        let Ok(descriptor) = bpf::program(id) else { return Err(refused(interface, gone()).into()) };
        match netlink.detach(index, mode, &descriptor) {
            Ok(()) => Ok(Self { netlink, index, interface, program, descriptor: Some(descriptor) }),
            Err(Refusal { source, .. }) if source.raw_os_error() == Some(libc::EBUSY) => {
                Err(AttachError::InTheWay { interface, program: AttachedXdp { on_link: true, ..program } }.into())
            }
            Err(refusal) => Err(refused(interface, refusal).into()),
        }
    }

    fn put_back(&mut self) -> Result<(), AttachError> {
        let Some(descriptor) = self.descriptor.take() else { return Ok(()) };
        match self.netlink.attach(self.index, self.program.mode, &descriptor) {
            Ok(()) => Ok(()),
            Err(Refusal { source, .. }) if source.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            Err(Refusal { said, source }) => {
                let (interface, program) = (self.interface.clone(), self.program.clone());
                Err(AttachError::NotPutBack { interface, program, said, source })
            }
        }
    }
}

impl Drop for ReplacedProgram {
    /// For ends that have nobody to tell of a failure.
    fn drop(&mut self) {
        let _ = self.put_back();
    }
}

pub(super) fn unasked(source: io::Error) -> KernelError {
    KernelError::Syscall { call: "asking rtnetlink for an interface", source }
}
