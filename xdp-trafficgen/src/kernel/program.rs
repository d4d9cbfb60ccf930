//! A program in the kernel: runs it, attaches it, and tells what the verifier made of it.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{BPF_F_TEST_XDP_LIVE_FRAMES, bpf_cmd};

use crate::{
    kernel::KernelError,
    sys::bpf::{self, attributes, bpf},
};

/// Why a call for a program failed.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed{}", of_log(.log))]
pub struct ProgramError {
    /// The call's name.
    pub call: &'static str,
    /// Why.
    pub source: io::Error,
    /// The verifier's log; empty where it has none.
    pub log: String,
}

fn of_log(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; the verifier's log:\n{log}\n") }
}

/// A loaded program; dropping this unloads it where nothing else holds it.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    descriptor: OwnedFd,
}

/// A program as the verifier saw it and left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Its name in the object.
    pub name: &'static str,
    /// Instructions the verifier went through, branch by branch.
    pub verified_instructions: u32,
    /// Bytes of eBPF that are left when what this configuration does not use is removed.
    pub translated_bytes: u32,
}

/// How a live call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All repetitions ran.
    All,
    /// A signal ended the call between two batches; how many ran, only the counters know.
    Interrupted,
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Program {
    pub(super) const fn new(name: &'static str, descriptor: OwnedFd) -> Self {
        Self { name, descriptor }
    }

    /// Its name in the object.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// What the kernel says of it.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn facts(&self) -> Result<ProgramFacts, KernelError> {
        let info = bpf::program_info(self.as_fd());
        let info = info.map_err(|source| self.failed("bpf(BPF_OBJ_GET_INFO_BY_FD)", source))?;
        Ok(ProgramFacts {
            name: self.name,
            verified_instructions: info.verified_insns,
            translated_bytes: info.xlated_prog_len,
        })
    }

    /// The kernel's id of it.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn id(&self) -> Result<u32, KernelError> {
        let info = bpf::program_info(self.as_fd());
        info.map(|info| info.id)
            .map_err(|source| self.failed("bpf(BPF_OBJ_GET_INFO_BY_FD)", source))
    }

    /// Runs an XDP program `repeat` times on the calling thread's CPU and transmits what it
    /// redirects, `batch_size` frames at a time. `context`: a `struct xdp_md` of `frame`.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn run_live(
        &self,
        frame: &[u8],
        context: &[u8],
        repeat: u32,
        batch_size: u32,
    ) -> Result<Sent, KernelError> {
        let mut attr = self.run(frame, repeat)?;
        attr.test.ctx_in = context.as_ptr() as u64;
        attr.test.ctx_size_in = len(context)?;
        attr.test.batch_size = batch_size;
        attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
        // SAFETY: frame and context outlive the call, which writes only to attr.
        match unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) } {
            Ok(_) => Ok(Sent::All),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Sent::Interrupted),
            Err(source) => Err(self.failed(TEST_RUN, source)),
        }
    }

    /// Runs an XDP program `repeat` times on the calling thread's CPU, without side effects: the
    /// last run's action. The frame that it made goes to `out`, whose length is returned too.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn run_dry(
        &self,
        frame: &[u8],
        repeat: u32,
        out: &mut [u8],
    ) -> Result<(u32, usize), KernelError> {
        let mut attr = self.run(frame, repeat)?;
        if !out.is_empty() {
            attr.test.data_out = out.as_mut_ptr() as u64;
            attr.test.data_size_out = len(out)?;
        }
        // SAFETY: frame and `out` outlive the call, which writes to attr and to no more of `out`
        // than its length.
        unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }
            .map_err(|source| self.failed(TEST_RUN, source))?;
        // SAFETY: the kernel wrote to this part of the union.
        let (action, len) = unsafe { (attr.test.retval, attr.test.data_size_out) };
        Ok((action, len as usize))
    }

    fn run(&self, frame: &[u8], repeat: u32) -> Result<aya_obj::generated::bpf_attr, KernelError> {
        let mut attr = attributes();
        attr.test.prog_fd = self.descriptor.as_raw_fd().cast_unsigned();
        attr.test.data_in = frame.as_ptr() as u64;
        attr.test.data_size_in = len(frame)?;
        attr.test.repeat = repeat;
        Ok(attr)
    }

    /// Attaches a program to a trace point. Closing the descriptor detaches it. None: the kernel
    /// has no trace point of this name.
    ///
    /// # Errors
    /// What the kernel refuses otherwise.
    pub(super) fn attach_to_trace_point(
        &self,
        trace_point: &CStr,
    ) -> Result<Option<OwnedFd>, KernelError> {
        match bpf::attach_to_trace_point(self.as_fd(), trace_point) {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(source) => Err(self.failed("bpf(BPF_RAW_TRACEPOINT_OPEN)", source)),
        }
    }

    /// Attaches an XDP program to the driver of the interface with this index. Closing the
    /// descriptor detaches it.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn attach_to_interface(&self, index: u32) -> io::Result<OwnedFd> {
        bpf::attach_to_interface(self.as_fd(), index)
    }

    fn failed(&self, call: &'static str, source: io::Error) -> KernelError {
        let source = ProgramError { call, source, log: String::new() };
        KernelError::Program { program: self.name, source }
    }
}

const TEST_RUN: &str = "bpf(BPF_PROG_TEST_RUN)";

fn len(bytes: &[u8]) -> Result<u32, KernelError> {
    let len = u32::try_from(bytes.len()).map_err(io::Error::other);
    len.map_err(|source| KernelError::Syscall { call: TEST_RUN, source })
}
