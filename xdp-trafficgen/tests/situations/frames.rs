//! What frames are made of, and how it is written: checksums that cover what lengths say, values as people write them.

#[path = "frames/checksums.rs"]
mod checksums;
#[path = "frames/files.rs"]
mod files;
#[path = "frames/limits.rs"]
mod limits;
#[path = "frames/mistakes.rs"]
mod mistakes;
