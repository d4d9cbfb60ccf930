//! Causes and cures: why something does not work or is slow, and what to do. A pure function of
//! what happened and of the host's facts.
//!
//! No other module contains causes and cures. Commands gather the facts, and
//! [`output`](crate::output) renders the findings.

mod attachment;
mod bond;
mod contention;
mod drops;
mod errors;
mod finding;
mod interface;
mod machine;
mod mismatch;
mod moved;
mod mtu;
mod outages;
mod outcome;
mod path;
mod queues;
mod since;
mod situation;
mod survey;
#[cfg(test)]
mod tests;
mod verdict;
mod veth;
mod words;

use std::cmp::Reverse;

pub use attachment::{of_kernel_error, of_refused_program, without_refused};
pub use contention::{Rivals, SendMode, of_quota, of_shared_cpus, of_throttling};
pub use drops::of_drop;
pub use errors::of_error;
pub use finding::{Finding, Severity};
pub use interface::of_capture;
pub use machine::{of_descriptors, of_memory};
pub use mismatch::of_mismatch;
pub use moved::of_moved;
pub use outages::{of_outage, of_stillness, of_unsent};
pub use outcome::{of_gone, of_lacking, of_nothing_sent, of_renamed};
pub use since::at_the_end;
pub use situation::Situation;
pub use survey::of_survey;
pub use verdict::Verdict;
pub use words::in_full;

/// What would go wrong or be slow with this plan, the worst first.
pub fn foresee(situation: &Situation<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if situation.sends() {
        findings.extend(path::foreseen(situation));
        findings.extend(interface::foreseen(situation));
    }
    findings.extend(machine::foreseen(situation));
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}
