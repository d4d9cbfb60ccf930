//! The two ways out of this process, and the only users of them: results on standard output
//! ([`give`], [`Results`]), and what people read on the way on standard error ([`say`], [`Log`]).
//!
//! Frames leave whether or not anybody reads. A reader that has seen enough (`… | head`) is no
//! failure; a disk that is full is one for a result, and costs remarks and log lines, which are
//! counted and told of once there is room again.

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

/// Says it on standard error, with a line feed; where that is a log, as a line of it.
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

/// Says it to people, with a line feed. Waits only briefly for a reader that does not go on (a
/// stopped pager, Ctrl-S): whoever says something has a run to look after.
pub fn show(text: impl fmt::Display) {
    let Remarks { losses, out } = &mut *remarks();
    losses.tell(out);
    losses.write(out, &format!("{text}\n"));
}

/// Shows these lines below everything that is said, in the place of those before; none: takes them
/// away. For terminals: whatever is said meanwhile takes them away too.
pub(super) fn paint(block: &str) {
    let Remarks { losses, out } = &mut *remarks();
    losses.paint(out, block);
}

/// Says how many lines were lost, if that was not said yet.
pub fn tell_losses() {
    let Remarks { losses, out } = &mut *remarks();
    losses.tell(out);
}

/// Lines for standard error that could not be written so far, and how many of them the reader was
/// told of.
pub fn lost_and_told() -> (u64, u64) {
    let Losses { lost, told, .. } = remarks().losses;
    (lost, told)
}

/// The reader was told of so many in all, unless more were lost by that.
pub fn losses_are_told(lost: u64) {
    let losses = &mut remarks().losses;
    if losses.lost == lost {
        losses.told = lost;
    }
}

/// Whether what is said may be coloured: on a terminal, or as `NO_COLOR`, `CLICOLOR`,
/// `CLICOLOR_FORCE` and `TERM` have it.
pub fn colour_for_people() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Whether results may, by the same rules.
pub fn colour_for_results() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Standard error for a log: each call of `write` is a line. Never fails, for a log that complained
/// of itself would do so to itself; [`lost_and_told`] has the count.
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
