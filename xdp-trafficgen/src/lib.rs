//! xdp-trafficgen: a line-rate traffic generator on XDP live frames (`BPF_PROG_RUN` with
//! `BPF_F_TEST_XDP_LIVE_FRAMES`, Linux 5.18 and later).
//!
//! The modules in the order of the data, which flows one way: [`config`] is what the user wrote, [`packet`] the model of
//! headers and fields, [`host`] the facts of this machine, [`plan`] what will be sent, and when, as a pure function of
//! them, [`kernel`] the eBPF object and its maps, [`engine`] the threads that drive it, [`stats`] the counts, [`output`]
//! what is shown of them; [`diagnosis`] says what facts and counts mean, and what to do. [`commands`] put these together.
//!
//! Rates go the same way: [`config::rate`] has them as written, [`plan::pacing`] makes streams of departure times of them,
//! the eBPF program waits for each departure and the engine sleeps while the next is far away, [`stats`] tell how punctual
//! frames were. [`stats::gaps`] and [`output::pace_test`] are `pace-test`'s, which measures it where frames arrive.
//! [`stats::tuning`], [`output::tune`] and [`config::store`] are `tune`'s, which looks for the settings that send the most.

pub mod cli;
pub mod commands;
pub mod config;
pub mod diagnosis;
pub mod engine;
pub mod host;
pub mod kernel;
pub mod output;
pub mod packet;
pub mod plan;
pub mod signal;
pub mod stats;
mod sys;
