//! Paced sending in a real kernel, by the binary: how many frames leave, of which flow, in which order and, loosely, when. How
//! precise departures are is for `cargo xtask bench`; what they should be is worked out here a second time, from what the
//! documentation says of rates.
//!
//! Machines that run tests are busy. A flow that ends by its time cannot make up for a stall right before its end, so what is
//! exact is the sum of frames that were made and departures that were given up; where the number of frames is the end, it is
//! exact alone.

#[path = "pacing/actions.rs"]
mod actions;
#[path = "pacing/behind.rs"]
mod behind;
#[path = "wire/capture.rs"]
#[expect(dead_code, reason = "tests/wire.rs uses all of it")]
mod capture;
mod common;
#[path = "wire/flows.rs"]
#[expect(dead_code, reason = "tests/wire.rs uses all of it")]
mod flows;
#[path = "frames/model/mod.rs"]
#[expect(dead_code, reason = "tests/frames.rs uses all of it")]
mod model;
#[path = "pacing/oracle.rs"]
mod oracle;
#[path = "pacing/own_rates.rs"]
mod own_rates;
#[path = "pacing/port_rate.rs"]
mod port_rate;
#[path = "pacing/profiles.rs"]
mod profiles;
#[path = "pacing/rig.rs"]
mod rig;
#[path = "pacing/session.rs"]
mod session;
#[path = "pacing/shapes.rs"]
mod shapes;
#[expect(dead_code, reason = "tests/wire.rs uses all of it")]
mod stage;
