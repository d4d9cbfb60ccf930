//! What stands behind options: each is read by the module that knows what it means.

use std::time::{Duration, SystemTime};

use crate::{
    config::{
        LatePolicy,
        literal::{self, Problem},
        rate,
    },
    units::{CpuList, Ratio},
};

pub(super) fn cpus(text: &str) -> Result<CpuList, Problem> {
    literal::parse_cpus(text).map(CpuList)
}

pub(super) fn count(text: &str) -> Result<u64, Problem> {
    literal::parse_count(text)
}

pub(super) fn frame_size(text: &str) -> Result<u32, Problem> {
    literal::parse_within(text, "a number of bytes that a frame has", &literal::FRAME_SIZE)
}

pub(super) fn duration(text: &str) -> Result<Duration, Problem> {
    literal::parse_duration(text)
}

pub(super) fn time(text: &str) -> Result<Duration, Problem> {
    literal::parse_time(text)
}

pub(super) fn instant(text: &str) -> Result<SystemTime, Problem> {
    literal::parse_instant(text)
}

pub(super) fn factor(text: &str) -> Result<Ratio, Problem> {
    rate::parse_factor(text)
}

pub(super) fn behind(text: &str) -> Result<LatePolicy, Problem> {
    rate::parse_behind(text)
}

pub(super) fn speed(text: &str) -> Result<u64, Problem> {
    rate::parse_speed(text)
}
