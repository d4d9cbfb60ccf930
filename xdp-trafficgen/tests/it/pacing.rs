//! Paced sending in a real kernel, by the binary: how many frames leave, of which flow, in which
//! order and, loosely, when. How precise departures are is for `cargo xtask bench`; what they
//! should be is worked out here a second time, from what the documentation says of rates.
//!
//! Machines that run tests are busy. A flow that ends by its time cannot make up for a stall right
//! before its end, so what is exact is the sum of frames that were made and departures that were
//! given up; where the number of frames is the end, it is exact alone.

mod actions;
mod behind;
mod oracle;
mod own_rates;
mod port_rate;
mod profiles;
pub(crate) mod rig;
mod session;
mod shapes;
