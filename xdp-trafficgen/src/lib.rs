//! xdp-trafficgen: a traffic generator on XDP live frames (`BPF_PROG_RUN` with
//! `BPF_F_TEST_XDP_LIVE_FRAMES`, Linux 5.18 and later), as a library.
//!
//! Data flows one way. [`config`] is what the user wrote, in a file or as values; its documentation
//! is the reference of the file format. [`host`] has the facts of a machine as plain values,
//! gathered ([`host::Facts::gather`]) or written by hand. [`plan::plan`] makes of both what will be
//! sent, and when; it is a pure function. [`engine`] loads a plan into the kernel
//! and sends ([`engine::Loaded`], [`engine::Session`]), and gives counts ([`stats::Snapshot`]).
//! [`packet`] names headers and their fields, [`units`] the numbers that rates are made of.
//!
//! The package has two examples: `examples/send.rs` sends a million frames and reads the counts,
//! `examples/plan.rs` works out a plan without a kernel. Sending needs root, or CAP_NET_ADMIN and
//! CAP_SYS_ADMIN.
//!
//! What is hidden here is for the programs and tests of this package, and may change with every
//! commit. What is not is listed in `public-api.txt`, with which `cargo xtask test` compares it.
//! `doc/architecture.md` has the map of the code.

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod commands;
pub mod config;
#[doc(hidden)]
pub mod diagnosis;
pub mod engine;
pub mod host;
#[doc(hidden)]
pub mod kernel;
#[doc(hidden)]
pub mod output;
pub mod packet;
pub mod plan;
mod signal;
pub mod stats;
mod sys;
pub mod units;
