//! Units of measurement: each has one type, and one conversion to each other unit.
//!
//! This is the lowest module: it knows neither hosts nor configurations, and uses no other module.
//! Types hold values that a standard defines, and their documentation names the standard. Figures
//! that are only shown stay plain numbers with their unit in their name.

mod cpu_list;
mod frame_len;
mod median;
mod nanos;
mod per_worker;
mod pps;
mod ratio;

pub use ratio::Ratio;
#[doc(hidden)]
pub use {
    cpu_list::CpuList,
    frame_len::{FrameLen, WireLen},
    median::median,
    nanos::Nanos,
    per_worker::{PerWorker, share},
    pps::Pps,
    ratio::gcd,
};
