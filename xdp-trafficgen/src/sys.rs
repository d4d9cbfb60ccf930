//! System calls that no library wraps: ioctls, netlink messages and bpf(2), and the names of
//! errnos.
//!
//! This is the home of `unsafe` for facts; [`crate::kernel`] is the home of `unsafe` for what runs
//! in the kernel. `sys` takes and gives plain values. It knows no other module, and not what its
//! values are for: [`crate::host`] makes facts of them.

#![expect(unsafe_code, reason = "system calls that no library wraps; what uses them is safe")]

pub(crate) mod bpf;
pub(crate) mod errnos;
pub(crate) mod genetlink;
pub(crate) mod ioctl;
pub(crate) mod netlink;
pub(crate) mod xdp_netlink;
