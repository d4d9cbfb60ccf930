//! Tiny XDP programs written instruction by instruction: only a program inside the kernel sees what
//! the kernel does with a page.

#![expect(
    unsafe_code,
    reason = "bpf(2) is called directly: programs that are no ELF object cannot go through aya"
)]

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_prog_type};

/// `struct bpf_insn` (include/uapi/linux/bpf.h).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// One instruction; opcodes are those of RFC 9669.
pub(crate) const fn insn(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
    let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
    Insn { code, registers, offset, immediate }
}

/// dst = immediate
pub(crate) const fn mov_imm(dst: u8, immediate: i32) -> Insn {
    insn(0xb7, dst, 0, 0, immediate)
}

/// Calls a helper by its number.
pub(crate) const fn call(helper: i32) -> Insn {
    insn(0x85, 0, 0, 0, helper)
}

pub(crate) const EXIT: Insn = insn(0x95, 0, 0, 0, 0);

/// Sends every frame out of the interface with index `egress`: `return bpf_redirect(egress, 0)`.
pub(crate) fn redirect(egress: u32) -> [Insn; 4] {
    [mov_imm(1, egress.cast_signed()), mov_imm(2, 0), call(23), EXIT]
}

/// Attributes that are all zero.
pub(crate) fn attributes() -> bpf_attr {
    // SAFETY: all-zero is a valid bpf_attr.
    unsafe { std::mem::zeroed() }
}

/// bpf(2).
///
/// # Safety
/// Every pointer in `attr` is valid for what `command` does with it.
pub(crate) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: attr has the length given; the caller promises that its pointers are valid.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap()) }
}

/// As [`bpf`], for commands that make a descriptor.
///
/// # Safety
/// As [`bpf`], and `command` returns a descriptor.
pub(crate) unsafe fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller promises what `bpf` requires.
    let descriptor = unsafe { bpf(command, attr) }?;
    // SAFETY: the descriptor is new, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Loads an XDP program.
#[track_caller]
pub(crate) fn load_xdp(program: &[Insn]) -> OwnedFd {
    load_named("", program)
}

/// Loads an XDP program of this name, of 15 bytes at most.
#[track_caller]
pub(crate) fn load_named(name: &str, program: &[Insn]) -> OwnedFd {
    let mut log = vec![0u8; 1 << 16];
    let mut attr = attributes();
    let mut prog_name = [0; 16];
    prog_name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from.cast_signed());
    attr.__bindgen_anon_3.prog_name = prog_name;
    attr.__bindgen_anon_3.prog_type = bpf_prog_type::BPF_PROG_TYPE_XDP as u32;
    attr.__bindgen_anon_3.insns = program.as_ptr() as u64;
    attr.__bindgen_anon_3.insn_cnt = u32::try_from(program.len()).unwrap();
    attr.__bindgen_anon_3.license = c"Dual MIT/GPL".as_ptr() as u64;
    attr.__bindgen_anon_3.log_buf = log.as_mut_ptr() as u64;
    attr.__bindgen_anon_3.log_size = 1 << 16;
    attr.__bindgen_anon_3.log_level = 1;
    // SAFETY: program, licence and log outlive the call.
    let loaded = unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) };
    loaded.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&log)))
}

/// Attaches a program to an interface, in the driver, until the descriptor is closed.
#[track_caller]
pub(crate) fn attach(program: &OwnedFd, interface: u32) -> OwnedFd {
    try_attach(program, interface, XDP_FLAGS_DRV_MODE).unwrap()
}

/// From include/uapi/linux/if_link.h.
pub(crate) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// As [`attach`], in the mode of these flags.
pub(crate) fn try_attach(program: &OwnedFd, interface: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.link_create.__bindgen_anon_2.target_ifindex = interface;
    attr.link_create.attach_type = bpf_attach_type::BPF_XDP as u32;
    attr.link_create.flags = flags;
    // SAFETY: the command takes no pointers.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}
