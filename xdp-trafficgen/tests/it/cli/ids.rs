//! Ids of the kernel's eBPF objects, listed without opening the objects.
//!
//! Opening an object takes a reference. If that happens while a map of programs loses its last
//! reference, the kernel's count goes wrong: the map stays for ever, though empty
//! (`prog_array_map_clear` in kernel/bpf/arraymap.c takes a reference for work that is already
//! queued; seen on 6.18 after every SIGKILL that was watched by `BPF_MAP_GET_FD_BY_ID`, and after
//! none that was not).

#![expect(unsafe_code, reason = "bpf(2) is called directly: aya lists objects by looking at them")]

use std::{collections::BTreeSet, io};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// The ids that this command lists: one of `BPF_PROG_GET_NEXT_ID`, `BPF_MAP_GET_NEXT_ID` and
/// `BPF_LINK_GET_NEXT_ID`.
#[track_caller]
pub(crate) fn all(command: bpf_cmd) -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    loop {
        // SAFETY: all-zero is a valid bpf_attr.
        let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
        attr.__bindgen_anon_6.__bindgen_anon_1.start_id = ids.last().copied().unwrap_or(0);
        // SAFETY: attr is a valid argument of these commands, which take no pointers.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<bpf_attr>()) };
        if result < 0 {
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error}");
            return ids;
        }
        // SAFETY: the kernel has written this member of the union.
        ids.insert(unsafe { attr.__bindgen_anon_6.next_id });
    }
}
