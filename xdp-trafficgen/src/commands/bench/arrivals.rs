//! `arrivals`: the gaps between the frames of another generator.

use std::{thread, time::Duration};

use super::standing::{wait_for_the_word, warm_up};
use crate::{
    cli::{self, WarmUp},
    commands::{
        CommandError,
        pace_test::{capacity, measure},
    },
    kernel::{Arrivals, Sink, arrivals::Match, sink::SinkAction},
    output::{format::emit, pace_test::json},
};

/// The gaps between the frames of somebody else, as one JSON object.
pub(super) fn arrivals(options: &cli::BenchArrivals) -> Result<(), CommandError> {
    let duration = options.seconds;
    // Others may send faster than they were told to.
    let capacity = capacity(options.gap_ns / 2.0, duration)?;
    if options.standing_by {
        // In the place of the one that writes down when frames arrive, whose log has room for those
        // that are wanted.
        let there = Sink::attach(&options.interface, SinkAction::Drop)?;
        if !wait_for_the_word()? {
            return Ok(());
        }
        if let Some(time) = options.warm_up {
            warm_up(&there, time)?;
        }
    }
    let arrivals = Arrivals::attach(&options.interface, Match::default(), capacity)?;
    thread::sleep(duration);
    let no_warm_up = WarmUp(Duration::ZERO);
    let report =
        measure(arrivals.take()?, options.interface.clone(), None, options.gap_ns, no_warm_up)?;
    Ok(emit(&report, &json::FORMAT)?)
}
