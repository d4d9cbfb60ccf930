//! What the kernel side and the user side share, and the pure parts of the eBPF programs.
//!
//! Reading order: [`abi`] (every value both sides see), [`field`] (how a field's value follows from
//! the frame's number), [`checksum`] (RFC 1071 sums built from written values), [`frame`] (one
//! repetition: values and checksums into a frame), [`timing`] (when it leaves), [`calendar`] (whose
//! turn it is, where flows have departures of their own). Everything here compiles for the host too, where it is tested; `main.rs` holds the maps and thin entry points
//! and compiles for eBPF only. Nothing here loads, allocates or panics.
#![cfg_attr(not(test), no_std)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "taking the low bits of a word is what this arithmetic is made of"
)]

pub mod abi;
pub mod calendar;
pub mod checksum;
pub mod field;
pub mod frame;
pub mod gate;
pub mod timing;
