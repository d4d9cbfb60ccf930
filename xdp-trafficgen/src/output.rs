//! What people and programs read. Reports are renderings of a snapshot, of which none knows
//! another; `check` and `show` have frames, fields and words, `pace-test` has `pace`, `probe` and
//! `tune` their own. All of it leaves by [`streams`].

pub mod fields;
pub mod format;
pub mod frames;
pub mod live;
pub mod log;
pub mod numbers;
pub mod pace_test;
pub mod plain;
pub mod probe;
pub mod report;
pub mod shortfall;
pub mod streams;
pub mod terminal;
pub mod together;
pub mod tune;
pub mod words;

pub use format::{Format, Formats};
pub use report::{NewDrops, PortFinding, Report};
