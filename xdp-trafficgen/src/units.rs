//! Units of measurement: each has one type, and one conversion to each other unit.
//!
//! The lowest module: it knows neither hosts nor configurations, and uses none of the others. Types
//! hold what a standard defines, which their documentation names; figures that are only shown stay
//! plain numbers with their unit in their name.

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
