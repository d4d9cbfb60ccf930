//! What the kernel side and the user side share, and the pure parts of the eBPF programs.
//!
//! Reading order: [`abi`] (every value both sides see), [`row`] (how a header follows from the one
//! before), [`random`] (what is drawn), [`checksum`] (RFC 1071 sums), [`timing`] (when a frame
//! leaves), [`calendar`] (whose turn it is, where flows have departures of their own), [`gate`] (as
//! fast as the link takes frames). Everything here compiles for the host too, where it is tested;
//! `main.rs` holds the maps and thin entry points
//! and compiles for eBPF only. Nothing here loads, allocates or panics.
#![cfg_attr(not(test), no_std)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "taking the low bits of a word is what this arithmetic is made of"
)]

pub mod abi;
pub mod calendar;
pub mod checksum;
pub mod gate;
pub mod random;
pub mod row;
pub mod timing;
