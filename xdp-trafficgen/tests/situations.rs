//! What use has shown to go wrong: situations of public bug reports and lab days, each tried on the program as a user would
//! meet it. Prints a table of all that were tried: `cargo test --test situations`.
//!
//! One file a theme.

#[path = "situations/addresses.rs"]
mod addresses;
#[path = "situations/causes.rs"]
mod causes;
mod common;
#[path = "situations/frames.rs"]
mod frames;
#[path = "situations/limits.rs"]
mod limits;
#[path = "situations/outages.rs"]
mod outages;
mod stage;
#[path = "situations/streams.rs"]
mod streams;
#[path = "situations/table.rs"]
mod table;
#[path = "situations/workers.rs"]
mod workers;
