//! What the kernel tells, and is told, through interfaces that have no safe wrapper: ioctls, netlink messages, bpf(2), and the
//! numbers of its errors.
//!
//! The home of `unsafe` for facts; that for what runs in the kernel is [`crate::kernel`]. Gives plain values, and knows neither
//! what they are for nor any other module: [`crate::host`] makes facts of them.

#![expect(unsafe_code, reason = "system calls that no library wraps; what uses them is safe")]

pub(crate) mod bpf;
pub(crate) mod errnos;
pub(crate) mod genetlink;
pub(crate) mod ioctl;
pub(crate) mod netlink;
pub(crate) mod xdp_netlink;
