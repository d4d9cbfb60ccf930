//! Memory with a guard page behind it: a write beyond its end fails with EFAULT.
//!
//! Until Linux 6.19 (commit 7b07be1ff1cb) `ETHTOOL_GSTRINGS` and `ETHTOOL_GSTATS` write as many
//! entries as the driver has at that moment, whatever room the caller has; and a driver may have
//! more entries than it had when it was asked for their number, because it has more queues. The
//! guard page keeps the kernel from writing into other memory.

use std::{io, ptr, ptr::NonNull, slice};

/// Bytes, zero at first, with a page without access behind the last of them.
#[derive(Debug)]
pub(super) struct Guarded {
    mapping: NonNull<libc::c_void>,
    mapped: usize,
    start: usize,
    length: usize,
}

impl Guarded {
    /// `length` bytes. Their start is a multiple of eight if `length` is one, and of four if that
    /// is.
    pub(super) fn new(length: usize) -> io::Result<Self> {
        // SAFETY: sysconf(3) reads and writes no memory of ours.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).map_err(io::Error::other)?;
        let usable = length.next_multiple_of(page);
        let mapped = usable + page;
        // SAFETY: a new anonymous mapping at a place of the kernel's choice affects no other
        // memory.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = NonNull::new(mapping)
            .ok_or_else(|| io::Error::other("mmap: memory at address zero"))?;
        let guarded = Self { mapping, mapped, start: usable - length, length };
        // SAFETY: the last page of a mapping that is ours alone, and to which there is no
        // reference.
        if unsafe { libc::mprotect(mapping.as_ptr().byte_add(usable), page, libc::PROT_NONE) } == -1
        {
            return Err(io::Error::last_os_error());
        }
        Ok(guarded)
    }

    /// Where the kernel writes.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: `start` is within the mapping.
        unsafe { self.mapping.cast::<u8>().as_ptr().add(self.start) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: these bytes are mapped, initialised with zeros by the kernel, and borrowed as
        // long as the slice.
        unsafe {
            slice::from_raw_parts(self.mapping.cast::<u8>().as_ptr().add(self.start), self.length)
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.length) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference to it outlives `self`. It cannot fail for a
        // mapping that exists.
        unsafe { libc::munmap(self.mapping.as_ptr(), self.mapped) };
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, os::fd::AsRawFd as _};

    use super::*;

    /// read(2) lets the kernel itself write: it fills the memory and stops at its end.
    #[test]
    fn the_kernel_cannot_write_beyond_the_end() {
        for length in [8, 20, 4096, 5000] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![7; length + 1]).unwrap();
            let mut guarded = Guarded::new(length).unwrap();
            assert!(guarded.bytes().iter().all(|&byte| byte == 0), "{length}");
            let read = |file: &File, guarded: &mut Guarded, count| {
                // SAFETY: what is written beyond the end of `guarded` meets a page without access.
                unsafe { libc::pread(file.as_raw_fd(), guarded.as_mut_ptr().cast(), count, 0) }
            };
            assert_eq!(
                usize::try_from(read(&file, &mut guarded, length + 1)).ok(),
                Some(length),
                "{length}"
            );
            assert_eq!(guarded.bytes_mut(), vec![7; length]);
        }
    }
}
