//! Errnos as the eBPF programs count them: without a sign. Their numbers are libc's.

pub(super) const ENXIO: u32 = libc::ENXIO.unsigned_abs();
pub(super) const ENOMEM: u32 = libc::ENOMEM.unsigned_abs();
pub(super) const ENODEV: u32 = libc::ENODEV.unsigned_abs();
pub(super) const EINVAL: u32 = libc::EINVAL.unsigned_abs();
pub(super) const EMSGSIZE: u32 = libc::EMSGSIZE.unsigned_abs();
pub(super) const EOPNOTSUPP: u32 = libc::EOPNOTSUPP.unsigned_abs();
pub(super) const ENETDOWN: u32 = libc::ENETDOWN.unsigned_abs();
