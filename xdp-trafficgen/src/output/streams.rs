//! The two ways out of this process, and the only users of them: results on standard output
//! ([`give`], [`Results`]), and what people read on the way on standard error ([`say`], [`Log`]).
//!
//! Frames are sent whether or not the streams have readers. A reader that goes away (`… | head`) is
//! no failure. A full disk is a failure of a result; remarks and log lines that it costs are
//! counted, and reported once there is room again.

mod losses;
mod patience;
mod results;

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use anstream::{AutoStream, ColorChoice};

pub use self::results::{Results, give, is_closed};
use self::{
    losses::Losses,
    patience::{Brief, StandardError},
};

/// Writes a remark on standard error, with a line feed; as a line of the log where standard error
/// is one.
pub fn say(text: impl fmt::Display) {
    match LOG.get() {
        Some(log) => log(&text.to_string()),
        None => show(text),
    }
}

/// From now on standard error is a log, which this adds a line to.
pub fn say_in_log(add: fn(&str)) {
    LOG.get_or_init(|| add);
}

/// Whether standard error is a log, whose lines have a form of their own.
pub fn is_log() -> bool {
    LOG.get().is_some()
}

static LOG: OnceLock<fn(&str)> = OnceLock::new();

/// Writes a remark for people, with a line feed. Waits only briefly for a reader that stands still
/// (a stopped pager, Ctrl-S): the caller has a run to drive.
pub fn show(text: impl fmt::Display) {
    let Remarks { losses, out } = &mut *remarks();
    losses.report(out);
    losses.write(out, &format!("{text}\n"));
}

/// Paints these lines on the terminal, below all remarks and in place of the lines painted before;
/// without any, erases those. The next remark erases them too.
pub(super) fn paint(block: &str) {
    let Remarks { losses, out } = &mut *remarks();
    losses.paint(out, block);
}

/// Writes how many lines were lost, unless that was reported already.
pub fn report_losses() {
    let Remarks { losses, out } = &mut *remarks();
    losses.report(out);
}

/// Lines for standard error that could not be written so far, and how many of them were reported.
pub fn lost_and_reported() -> (u64, u64) {
    let Losses { lost, reported, .. } = remarks().losses;
    (lost, reported)
}

/// So many were reported in all, unless the report was lost as well.
pub fn losses_are_reported(lost: u64) {
    let losses = &mut remarks().losses;
    if losses.lost == lost {
        losses.reported = lost;
    }
}

/// Whether remarks may be coloured: on a terminal, or as `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`
/// and `TERM` have it.
pub fn colour_for_people() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Whether results may be coloured, by the same rules.
pub fn colour_for_results() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Standard error for a log: each call of `write` is a line. Never fails, since a log that
/// complained of itself would do so to itself; [`lost_and_reported`] has the count.
#[derive(Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Remarks { losses, out } = &mut *remarks();
        losses.write(out, &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error, and what became of it.
#[derive(Debug)]
struct Remarks {
    losses: Losses,
    out: Brief<StandardError>,
}

static REMARKS: Mutex<Remarks> =
    Mutex::new(Remarks { losses: Losses::NONE, out: Brief { to: StandardError, stalled: false } });

fn remarks() -> MutexGuard<'static, Remarks> {
    REMARKS.lock().unwrap_or_else(PoisonError::into_inner)
}
