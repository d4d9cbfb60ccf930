//! What frames are made of, and how it is written: checksums that cover what lengths say, values as
//! people write them.

mod checksums;
mod files;
mod limits;
mod mistakes;
