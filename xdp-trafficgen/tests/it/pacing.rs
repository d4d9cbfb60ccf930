//! Paced sending in a real kernel, by the binary: how many frames leave, of which flow, in which
//! order and, loosely, when. `cargo xtask bench` measures how precise departures are. An oracle
//! computes here a second time what they should be, from what the documentation says of rates.
//!
//! Machines that run tests are busy. A flow that ends by its time cannot make up for a stall right
//! before its end, so only the sum of frames made and departures without a frame is exact. Where
//! the number of frames is the end, that number alone is exact.

mod actions;
mod behind;
mod oracle;
mod own_rates;
mod port_rate;
mod profiles;
pub(crate) mod rig;
mod session;
mod shapes;
