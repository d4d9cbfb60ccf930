//! What frames contain, and how users write it: checksums that cover what lengths say, values as
//! people write them.

mod checksums;
mod files;
mod limits;
mod mistakes;
