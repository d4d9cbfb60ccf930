//! xdp-trafficgen: a line-rate traffic generator on XDP live frames.
pub mod config;
pub mod host;
pub mod kernel;
pub mod packet;
pub mod plan;
