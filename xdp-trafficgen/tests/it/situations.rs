//! Situations from public bug reports and lab days in which something went wrong, each tried on the
//! program as a user would meet it. Prints a table of all that were tried: `cargo test --test it
//! situations`.
//!
//! One file a theme.

mod addresses;
mod causes;
mod frames;
mod groups;
mod limits;
mod outages;
mod streams;
mod table;
mod workers;
