//! Errnos as the eBPF programs count them: without a sign. Their numbers are libc's.

pub(crate) const ENXIO: u32 = libc::ENXIO.unsigned_abs();
pub(crate) const ENOMEM: u32 = libc::ENOMEM.unsigned_abs();
pub(crate) const ENODEV: u32 = libc::ENODEV.unsigned_abs();
pub(crate) const EINVAL: u32 = libc::EINVAL.unsigned_abs();
pub(crate) const EMSGSIZE: u32 = libc::EMSGSIZE.unsigned_abs();
pub(crate) const EOPNOTSUPP: u32 = libc::EOPNOTSUPP.unsigned_abs();
pub(crate) const ENETDOWN: u32 = libc::ENETDOWN.unsigned_abs();
