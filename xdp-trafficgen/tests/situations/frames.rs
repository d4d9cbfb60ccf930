//! What frames are made of, and how it is written: checksums that cover what lengths say, values as people write them.

#[path = "frames/checksums.rs"]
mod checksums;
#[path = "frames/files.rs"]
mod files;
#[path = "frames/limits.rs"]
mod limits;
#[path = "frames/mistakes.rs"]
mod mistakes;

use libtest_mimic::Trial;

use crate::table::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("checksums_cover_what_the_lengths_say", checksums::as_linux_and_tshark_count),
        trial("a_checksum_nobody_can_follow_is_refused", checksums::refused_where_it_cannot_follow),
        trial("files_that_are_no_configurations", files::refused_in_few_words),
        trial("other_files_and_many_errors", files::other_files_and_many_errors),
        trial("more_flows_than_a_port_has_room_for", limits::flows_of_a_port),
        trial("mixes_whose_frames_are_too_small", limits::mixes),
        trial("mistakes_are_refused_with_a_cure", mistakes::refused_with_a_cure),
        trial("quick_commands_speak_of_options", mistakes::quick_commands_speak_of_options),
        trial("what_is_meant_beyond_doubt_is_taken", mistakes::what_is_meant_is_taken),
    ]
}
