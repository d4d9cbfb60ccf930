//! bpf(2), for commands that aya does not wrap, and what the kernel tells of programs and links by
//! their ids.

use std::{
    ffi::{CStr, c_char},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{
    XDP_FLAGS_DRV_MODE, bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type,
    bpf_prog_info,
};

/// An argument of bpf(2), all of it zero.
pub(crate) fn attributes() -> bpf_attr {
    // SAFETY: all-zero is a valid bpf_attr.
    unsafe { std::mem::zeroed() }
}

/// bpf(2).
///
/// # Safety
/// Every pointer in `attr` is valid for what `command` does with it.
pub(crate) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes `size_of::<bpf_attr>()` bytes of attr; the caller
    // vouches for its pointers.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<bpf_attr>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        i32::try_from(result).map_err(io::Error::other)
    }
}

/// bpf(2) for commands that make a descriptor.
///
/// # Safety
/// As [`bpf`], and `command` makes a descriptor.
pub(crate) unsafe fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller vouches for the pointers in attr.
    let descriptor = unsafe { bpf(command, attr) }?;
    // SAFETY: the descriptor is new, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A descriptor of the program with this id. Needs CAP_SYS_ADMIN.
pub(crate) fn program(id: u32) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    // SAFETY: the command takes no pointers and makes a descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_GET_FD_BY_ID, &mut attr) }
}

/// A name as the kernel keeps it: its first 15 bytes, and a zero.
pub(crate) fn name(name: &str) -> [c_char; 16] {
    let mut kept = [0; 16];
    for (to, byte) in kept.iter_mut().take(15).zip(name.bytes()) {
        *to = c_char::from_ne_bytes([byte]);
    }
    kept
}

/// Attaches an XDP program to the driver of the interface with this index. Closing the descriptor
/// detaches it.
pub(crate) fn attach_to_interface(program: BorrowedFd<'_>, index: u32) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.link_create.__bindgen_anon_2.target_ifindex = index;
    attr.link_create.attach_type = bpf_attach_type::BPF_XDP as u32;
    attr.link_create.flags = XDP_FLAGS_DRV_MODE;
    // SAFETY: the command takes no pointers and makes a descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}

/// Attaches a program to a trace point. Closing the descriptor detaches it. ENOENT: the kernel has
/// no trace point of this name.
pub(crate) fn attach_to_trace_point(program: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.raw_tracepoint.name = name.as_ptr() as u64;
    attr.raw_tracepoint.prog_fd = program.as_raw_fd().cast_unsigned();
    // SAFETY: the name outlives the call, which makes a descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr) }
}

/// What the kernel tells of a program.
pub(crate) fn program_info(program: BorrowedFd<'_>) -> io::Result<bpf_prog_info> {
    info(program)
}

/// Writes an entry of a program array.
pub(crate) fn set_program(
    array: BorrowedFd<'_>,
    entry: u32,
    program: BorrowedFd<'_>,
) -> io::Result<()> {
    let program = program.as_raw_fd();
    // SAFETY: the values of a program array have four bytes.
    unsafe { set(array, entry, &program) }
}

/// Gives an entry of a map of devices (`BPF_MAP_TYPE_DEVMAP`) the interface with this index.
pub(crate) fn set_device(map: BorrowedFd<'_>, entry: u32, index: u32) -> io::Result<()> {
    // `struct bpf_devmap_val` of include/uapi/linux/bpf.h; no program runs on its frames.
    let device = [index, 0];
    // SAFETY: the values of a map of devices have eight bytes, or four of older programs.
    unsafe { set(map, entry, &device) }
}

/// Writes an entry of a kind of array.
///
/// # Safety
/// The array's values are at most as long as `V`.
unsafe fn set<V>(map: BorrowedFd<'_>, entry: u32, value: &V) -> io::Result<()> {
    let mut attr = attributes();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = (&raw const entry) as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = (&raw const *value) as u64;
    // SAFETY: an array's keys have four bytes; the caller vouches for the value's length. Both
    // outlive the call, which reads them.
    unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
}

/// The name of the program with this id. None when the program has no name or is gone, and without
/// CAP_SYS_ADMIN.
pub(crate) fn program_name(id: u32) -> Option<String> {
    let info: bpf_prog_info = info(program(id).ok()?.as_fd()).ok()?;
    let name: Vec<u8> = info
        .name
        .iter()
        .map(|character| character.to_ne_bytes()[0])
        .take_while(|&byte| byte != 0)
        .collect();
    (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
}

/// Whether an XDP link holds the program with this id. False without CAP_SYS_ADMIN: the kernel then
/// lists no links.
pub(crate) fn is_on_xdp_link(program: u32) -> bool {
    links().filter_map(|id| info::<bpf_link_info>(link(id).ok()?.as_fd()).ok()).any(|link| {
        // `type_` has the numbers of `enum bpf_link_type`.
        link.prog_id == program && link.type_ == bpf_link_type::BPF_LINK_TYPE_XDP as u32
    })
}

/// The ids of all links of the machine, in order. Links that are made or removed meanwhile may be
/// missing.
fn links() -> impl Iterator<Item = u32> {
    let next = |id| {
        let mut attr = attributes();
        attr.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
        // SAFETY: the command takes no pointers, and writes the next id to attr.
        unsafe {
            bpf(bpf_cmd::BPF_LINK_GET_NEXT_ID, &mut attr).ok()?;
            Some(attr.__bindgen_anon_6.next_id)
        }
    };
    std::iter::successors(next(0), move |&id| next(id))
}

fn link(id: u32) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.__bindgen_anon_6.__bindgen_anon_1.link_id = id;
    // SAFETY: the command takes no pointers and makes a descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_GET_FD_BY_ID, &mut attr) }
}

/// A struct in which the kernel describes an object, zero at first.
///
/// # Safety
/// The struct is the kernel's for its kind of object, and any bytes are a valid value of it.
/// Pointers and lengths of buffers in it ask for more when they are not zero.
unsafe trait Info {}

// SAFETY: numbers, arrays of numbers and bits.
unsafe impl Info for bpf_prog_info {}
// SAFETY: numbers, and a union of structs of numbers.
unsafe impl Info for bpf_link_info {}

/// What the kernel tells of the object behind a descriptor. An older kernel, whose struct is
/// shorter, leaves the rest at zero.
fn info<I: Info>(descriptor: BorrowedFd<'_>) -> io::Result<I> {
    // SAFETY: `Info` promises that zeros are a value.
    let mut info: I = unsafe { std::mem::zeroed() };
    let mut attr = attributes();
    attr.info.bpf_fd = descriptor.as_raw_fd().cast_unsigned();
    attr.info.info = (&raw mut info) as u64;
    attr.info.info_len = u32::try_from(size_of::<I>()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes to `info` alone, no more than its length, and what it writes there
    // is a value.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    Ok(info)
}
