//! All tests that drive the crate or the program from outside are one binary, because linking takes
//! most of the time after a change.
//!
//! One module a theme; `cargo test --test it pacing::` runs one of them. They share [`harness`].

mod accounting;
mod back_pressure;
mod cli;
mod counting;
mod daemon;
mod diagnosis;
mod enable;
mod examples;
mod frames;
mod guide;
mod harness;
mod host;
mod interface;
mod pace;
mod pacing;
mod probe;
mod samples;
mod situations;
mod specification;
mod stacks;
mod tune;
mod wire;
