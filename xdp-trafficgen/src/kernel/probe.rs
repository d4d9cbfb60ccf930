//! What this kernel can do: live frames, how large a frame, and whether we may.

use std::{
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya_obj::generated::{bpf_attr, bpf_cmd};

use crate::kernel::{KernelError, OBJECT, program_error};

/// What the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Bytes of the largest frame live mode takes, without FCS.
    pub largest_frame: usize,
}

/// Why nothing can be sent from here.
#[derive(Debug, thiserror::Error)]
pub enum Unable {
    /// The process lacks capabilities.
    #[error("this needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN (missing: {}): run it with sudo, or let \
             `setcap cap_net_admin,cap_sys_admin+ep` give them to the program", .0.join(", "))]
    Privilege(Vec<&'static str>),
    /// Live mode came with Linux 5.18 (commit b530e9e1063e).
    #[error("this kernel cannot send live frames with BPF_PROG_RUN: use Linux 5.18 or later")]
    NoLiveFrames,
    /// The kernel refused something else.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Asks the kernel; sends nothing.
///
/// # Errors
/// Why nothing can be sent.
pub fn probe() -> Result<Capabilities, Unable> {
    let missing = missing_capabilities();
    if !missing.is_empty() {
        return Err(Unable::Privilege(missing));
    }
    let mut ebpf = aya::Ebpf::load(OBJECT).map_err(KernelError::from)?;
    // The object as built, not specialised: drops every frame.
    let program: &mut Xdp = ebpf
        .program_mut("generate")
        .ok_or(KernelError::Missing("generate"))?
        .try_into()
        .map_err(program_error("generate"))?;
    program.load().map_err(program_error("generate"))?;
    if !rejects_unknown_flags(program)? {
        return Err(Unable::NoLiveFrames);
    }
    Ok(Capabilities { largest_frame: largest_frame(program)? })
}

/// Kernels with live mode reject flags they do not know; earlier ones ignored them. The specification names
/// `BPF_F_TEST_XDP_RESERVED` for this probe; it was dropped from the series before it was merged (v10: its bit 1 is
/// `BPF_F_TEST_XDP_LIVE_FRAMES` now), but the rule it stood for was merged, so the highest, unassigned bit serves.
fn rejects_unknown_flags(program: &Xdp) -> Result<bool, KernelError> {
    let frame = [0u8; 64];
    let descriptor = program.fd().map_err(program_error("generate"))?.as_fd().as_raw_fd();
    // SAFETY: all-zero is a valid bpf_attr.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.test.prog_fd = descriptor.cast_unsigned();
    attr.test.repeat = 1;
    attr.test.data_in = frame.as_ptr() as u64;
    attr.test.data_size_in = 64;
    attr.test.flags = 1 << 31;
    // SAFETY: attr is a valid argument of this command, and `frame` outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, bpf_cmd::BPF_PROG_TEST_RUN, &raw mut attr, size_of::<bpf_attr>()) };
    if result == 0 {
        return Ok(false);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EINVAL) => Ok(true),
        source => Err(KernelError::Syscall { call: "bpf(BPF_PROG_TEST_RUN)", source }),
    }
}

/// Searched for, not computed: it depends on the page size and on structures that changed between kernels (3368 on 6.1,
/// 3408 later, with pages of 4096). One frame a try, dropped.
fn largest_frame(program: &Xdp) -> Result<usize, Unable> {
    let accepted = |len: usize| {
        let frame = vec![0u8; len];
        let options = TestRunOptions {
            data_in: Some(&frame),
            attrs: TestRunAttrs::new().xdp_live_frames(1),
            ..TestRunOptions::new()
        };
        match program.test_run(options) {
            Ok(_) => Ok(true),
            Err(source) => match (KernelError::Program { program: "generate", source }) {
                error if error.errno() == Some(libc::EINVAL) => Ok(false),
                error => Err(error),
            },
        }
    };
    let (mut fits, mut refused) = (60, 1 << 16);
    // Kernels before 5.10 refuse unknown flags for reasons of their own.
    if !accepted(fits)? {
        return Err(Unable::NoLiveFrames);
    }
    while refused - fits > 1 {
        let middle = usize::midpoint(fits, refused);
        if accepted(middle)? { fits = middle } else { refused = middle }
    }
    Ok(fits)
}

/// The capabilities that are needed and not effective. CAP_SYS_ADMIN, which the anchor's namespace needs, implies CAP_BPF
/// and CAP_PERFMON.
fn missing_capabilities() -> Vec<&'static str> {
    const NEEDED: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    NEEDED.iter().filter(|(bit, _)| effective >> bit & 1 == 0).map(|&(_, name)| name).collect()
}
