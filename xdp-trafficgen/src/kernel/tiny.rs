//! Programs of a few instructions that find out what the kernel can do.
//!
//! The generator's object would answer too, but if the kernel refused it or one of its maps,
//! nothing more could be asked. aya loads only ELF objects, so these programs use bpf(2) directly.
//! They drop every frame, so nothing is sent.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{BPF_F_TEST_XDP_LIVE_FRAMES, bpf_cmd, bpf_prog_type};

use crate::{
    kernel::KernelError,
    sys::bpf::{self, attributes, bpf, bpf_fd},
};

/// The kind of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Drops every frame.
    Xdp,
    /// Does nothing at a trace point.
    RawTracePoint,
}

/// A loaded program; dropping this unloads it.
#[derive(Debug)]
pub(super) struct Tiny {
    program: OwnedFd,
}

/// A run of a program on a frame of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Without side effects, with these flags.
    Dry {
        /// `bpf_attr.test.flags`.
        flags: u32,
    },
    /// As live frames, which the program drops.
    Live {
        /// Bytes of a frame.
        len: usize,
        /// Number of frames.
        repeat: u32,
        /// Frames of a batch.
        batch_size: u32,
    },
}

/// The kernel's smallest frame is the Ethernet header, 14 bytes; this is Ethernet's, without FCS.
pub(super) const FRAME_LEN: usize = 60;

impl AsFd for Tiny {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

impl Tiny {
    /// Loads a program.
    ///
    /// # Errors
    /// What the kernel refused, with its errno.
    pub(super) fn load(kind: Kind) -> Result<Self, KernelError> {
        // `enum xdp_action`: XDP_DROP is 1. The kernel ignores the result at a trace point.
        let (prog_type, result) = match kind {
            Kind::Xdp => (bpf_prog_type::BPF_PROG_TYPE_XDP, 1),
            Kind::RawTracePoint => (bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
        };
        let program = load(prog_type, &[instruction(MOVE_TO_R0, result), instruction(EXIT, 0)])?;
        Ok(Self { program })
    }

    /// Runs an XDP program on the calling thread's CPU.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn run(&self, run: Run) -> io::Result<()> {
        let len = if let Run::Live { len, .. } = run { len } else { FRAME_LEN };
        let frame = vec![0u8; len];
        let mut attr = attributes();
        attr.test.prog_fd = self.descriptor();
        attr.test.data_in = frame.as_ptr() as u64;
        attr.test.data_size_in = u32::try_from(len).map_err(io::Error::other)?;
        match run {
            Run::Dry { flags } => {
                attr.test.repeat = 1;
                attr.test.flags = flags;
            }
            Run::Live { len: _, repeat, batch_size } => {
                attr.test.repeat = repeat;
                attr.test.batch_size = batch_size;
                attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
            }
        }
        // SAFETY: the frame outlives the call, which writes only to attr.
        unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }.map(drop)
    }

    /// Attaches a program to a trace point. Closing the descriptor detaches it.
    ///
    /// # Errors
    /// ENOENT: the kernel has no trace point of this name.
    pub(super) fn attach_to_trace_point(&self, name: &CStr) -> io::Result<OwnedFd> {
        bpf::attach_to_trace_point(self.as_fd(), name)
    }

    fn descriptor(&self) -> u32 {
        self.program.as_raw_fd().cast_unsigned()
    }
}

/// A program that reads the programs' clock.
pub(super) struct Clock {
    program: OwnedFd,
}

impl Clock {
    /// Loads it.
    ///
    /// # Errors
    /// What the kernel refused, with its errno.
    pub(super) fn load() -> Result<Self, KernelError> {
        // An XDP program's context begins with the frame's start and end (include/uapi/linux/bpf.h,
        // `struct xdp_md`). The program writes the time to the frame's first eight bytes, because
        // its result has only four.
        let program = [
            [LOAD_WORD, 0x16, 0, 0, 0, 0, 0, 0],             // r6 = data
            [LOAD_WORD, 0x12, 4, 0, 0, 0, 0, 0],             // r2 = data_end
            [MOVE, 0x63, 0, 0, 0, 0, 0, 0],                  // r3 = r6
            [ADD, 0x03, 0, 0, 8, 0, 0, 0],                   // r3 += 8
            instruction(MOVE_TO_R0, XDP_DROP),               // r0 = XDP_DROP
            [JUMP_IF_GREATER, 0x23, 3, 0, 0, 0, 0, 0],       // if r3 > r2: exit
            [CALL, 0, 0, 0, BPF_FUNC_KTIME_GET_NS, 0, 0, 0], // r0 = bpf_ktime_get_ns()
            [STORE_DOUBLE_WORD, 0x06, 0, 0, 0, 0, 0, 0],     // *r6 = r0
            instruction(MOVE_TO_R0, XDP_DROP),               // r0 = XDP_DROP
            instruction(EXIT, 0),
        ];
        Ok(Self { program: load(bpf_prog_type::BPF_PROG_TYPE_XDP, &program)? })
    }

    /// Nanoseconds on the programs' clock, now.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn read(&self) -> io::Result<u64> {
        let mut frame = [0u8; FRAME_LEN];
        let mut attr = attributes();
        attr.test.prog_fd = self.program.as_raw_fd().cast_unsigned();
        attr.test.data_in = frame.as_ptr() as u64;
        attr.test.data_out = frame.as_mut_ptr() as u64;
        let len = u32::try_from(FRAME_LEN).map_err(io::Error::other)?;
        attr.test.data_size_in = len;
        attr.test.data_size_out = len;
        attr.test.repeat = 1;
        // SAFETY: the frame outlives the call, which reads all of it before it writes to it.
        unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
        let [a, b, c, d, e, f, g, h, ..] = frame;
        Ok(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// Loads a program from its instructions.
fn load(prog_type: bpf_prog_type, program: &[[u8; 8]]) -> Result<OwnedFd, KernelError> {
    let mut attr = attributes();
    attr.__bindgen_anon_3.prog_type = prog_type as u32;
    attr.__bindgen_anon_3.insns = program.as_ptr() as u64;
    let instructions = u32::try_from(program.len()).map_err(io::Error::other);
    attr.__bindgen_anon_3.insn_cnt = instructions.map_err(failed("bpf(BPF_PROG_LOAD)"))?;
    attr.__bindgen_anon_3.license = c"Dual MIT/GPL".as_ptr() as u64;
    // SAFETY: program and licence outlive the call, which makes a descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) }.map_err(failed("bpf(BPF_PROG_LOAD)"))
}

/// `enum xdp_action`.
const XDP_DROP: i32 = 1;
/// `enum bpf_func_id`.
const BPF_FUNC_KTIME_GET_NS: u8 = 5;
// Opcodes of RFC 9669.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const ADD: u8 = 0x07;
const JUMP_IF_GREATER: u8 = 0x2d;
const CALL: u8 = 0x85;
const STORE_DOUBLE_WORD: u8 = 0x7b;
/// `r0 = immediate` (RFC 9669, 64-bit ALU).
const MOVE_TO_R0: u8 = 0xb7;
const EXIT: u8 = 0x95;

/// An instruction that uses only r0: opcode, registers, offset, immediate.
fn instruction(opcode: u8, immediate: i32) -> [u8; 8] {
    let [a, b, c, d] = immediate.to_ne_bytes();
    [opcode, 0, 0, 0, a, b, c, d]
}

/// Makes the error of a failed system call.
pub(super) fn failed(call: &'static str) -> impl FnOnce(io::Error) -> KernelError {
    move |source| KernelError::Syscall { call, source }
}
