//! What a run needs to know of this kernel: whether it has live frames, how large they may be, and
//! whether this process may send them. [`crate::kernel::survey()`] asks for more.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities};

use crate::{
    host::Unmounted,
    kernel::{
        KernelError,
        tiny::{FRAME_LEN, Kind, Run, Tiny, failed},
    },
};

/// What the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Bytes of the largest frame live mode takes, without FCS.
    pub largest_frame: usize,
}

/// Why this process cannot send.
#[derive(Debug, thiserror::Error)]
pub enum CannotSend {
    /// The process lacks capabilities.
    #[error("this needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN (missing: {}): \
             run it with sudo, or let `setcap cap_net_admin,cap_sys_admin+ep` give them to the \
             program", .0.join(", "))]
    Privilege(Vec<&'static str>),
    /// A file system of the kernel is not mounted.
    #[error("{0}; {cure}", cure = .0.cure())]
    NotMounted(Unmounted),
    /// Live mode came with Linux 5.18 (commit b530e9e1063e).
    #[error("this kernel cannot send live frames with BPF_PROG_RUN: use Linux 5.18 or later")]
    NoLiveFrames,
    /// The kernel refused something else.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Asks the kernel. Sends nothing.
///
/// # Errors
/// Why this process cannot send.
pub fn probe() -> Result<Capabilities, CannotSend> {
    let missing = missing_capabilities();
    if !missing.is_empty() {
        return Err(CannotSend::Privilege(missing));
    }
    if let Some(unmounted) = Unmounted::gather().into_iter().next() {
        return Err(CannotSend::NotMounted(unmounted));
    }
    let program = Tiny::load(Kind::Xdp)?;
    if !sends_live_frames(&program)? {
        return Err(CannotSend::NoLiveFrames);
    }
    Ok(Capabilities { largest_frame: largest_frame(&program)? })
}

/// Kernels with live mode reject flags they do not know; earlier ones ignored them. The
/// specification names `BPF_F_TEST_XDP_RESERVED` for this probe; it was dropped from the series
/// before it was merged (v10: its bit 1 is `BPF_F_TEST_XDP_LIVE_FRAMES` now), but the rule it stood
/// for was merged, so the highest, unassigned bit serves.
///
/// Kernels before 5.10 reject unknown flags for other reasons, so a live frame decides.
pub(super) fn sends_live_frames(program: &Tiny) -> Result<bool, KernelError> {
    Ok(!accepted(program.run(Run::Dry { flags: 1 << 31 }), libc::EINVAL)?
        && takes_frame(program, FRAME_LEN)?)
}

/// In bytes, without FCS. Searched for, not computed: the limit depends on the page size and on
/// structures that changed between kernels (3368 on 6.1, 3408 later, with pages of 4096). Each try
/// runs one frame, which is dropped.
pub(super) fn largest_frame(program: &Tiny) -> Result<usize, KernelError> {
    let (mut fits, mut refused) = (FRAME_LEN, 1 << 16);
    while refused - fits > 1 {
        let middle = usize::midpoint(fits, refused);
        if takes_frame(program, middle)? { fits = middle } else { refused = middle }
    }
    Ok(fits)
}

fn takes_frame(program: &Tiny, len: usize) -> Result<bool, KernelError> {
    accepted(program.run(Run::Live { len, repeat: 1, batch_size: 1 }), libc::EINVAL)
}

/// True for a run that succeeded, false for one that failed with the errno `no`.
pub(super) fn accepted(run: io::Result<()>, no: i32) -> Result<bool, KernelError> {
    match run {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(no) => Ok(false),
        Err(error) => Err(failed("bpf(BPF_PROG_TEST_RUN)")(error)),
    }
}

/// The capabilities that sending needs and the calling thread does not have (capget(2), which needs
/// no /proc). CAP_SYS_ADMIN, which the anchor's namespace needs, implies CAP_BPF and CAP_PERFMON.
pub(super) fn missing_capabilities() -> Vec<&'static str> {
    const NEEDED: [(CapabilitySet, &str); 2] =
        [(CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"), (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")];
    // capget(2) of the calling thread fails only where a seccomp profile forbids it. Capabilities
    // are then unknown, and the calls that need them will tell.
    let Ok(CapabilitySets { effective, .. }) = capabilities(None) else { return Vec::new() };
    NEEDED
        .iter()
        .filter(|(needed, _)| !effective.contains(*needed))
        .map(|&(_, name)| name)
        .collect()
}
