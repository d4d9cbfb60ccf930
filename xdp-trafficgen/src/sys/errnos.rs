//! Errnos as the eBPF programs count them, without a sign, and their names. The numbers are libc's.

use nix::errno::Errno;

pub(crate) const ENXIO: u32 = libc::ENXIO.unsigned_abs();
pub(crate) const ENOMEM: u32 = libc::ENOMEM.unsigned_abs();
pub(crate) const ENODEV: u32 = libc::ENODEV.unsigned_abs();
pub(crate) const EINVAL: u32 = libc::EINVAL.unsigned_abs();
pub(crate) const EMSGSIZE: u32 = libc::EMSGSIZE.unsigned_abs();
pub(crate) const EOPNOTSUPP: u32 = libc::EOPNOTSUPP.unsigned_abs();
pub(crate) const ENETDOWN: u32 = libc::ENETDOWN.unsigned_abs();

/// The name of an errno, such as `ENXIO`; none where it has none.
pub(crate) fn name(errno: u32) -> Option<String> {
    match Errno::from_raw(errno.try_into().ok()?) {
        Errno::UnknownErrno => None,
        named => Some(format!("{named:?}")),
    }
}
