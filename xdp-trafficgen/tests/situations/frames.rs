//! What frames are made of: checksums that cover what lengths say.

#[path = "frames/checksums.rs"]
mod checksums;

use libtest_mimic::Trial;

use crate::table::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("checksums_cover_what_the_lengths_say", checksums::as_linux_and_tshark_count),
        trial("a_checksum_nobody_can_follow_is_refused", checksums::refused_where_it_cannot_follow),
    ]
}
