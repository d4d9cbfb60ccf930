//! The two ways out of this process, and the only users of them: results on standard output ([`give`], [`Results`]), and
//! what people read on the way on standard error ([`say`], [`Log`]).
//!
//! Frames leave whether or not anybody reads. A reader that has seen enough (`… | head`) is no failure; a disk that is full
//! is one for a result, and costs remarks and log lines, which are counted and told of once there is room again.

use std::{
    fmt,
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anstream::{AutoStream, ColorChoice};
use crossterm::{
    cursor::MoveToPreviousLine,
    terminal::{Clear, ClearType},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
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

/// Says it to people, with a line feed. Waits only briefly for a reader that does not go on (a stopped pager, Ctrl-S): whoever
/// says something has a run to look after.
pub fn show(text: impl fmt::Display) {
    let mut losses = losses();
    losses.tell(&mut Brief);
    losses.write(&mut Brief, &format!("{text}\n"));
}

/// Shows these lines below everything that is said, in the place of those before; none: takes them away. For terminals: whatever
/// is said meanwhile takes them away too.
pub(super) fn paint(block: &str) {
    losses().paint(&mut Brief, block);
}

/// Says how many lines were lost, if that was not said yet.
pub fn tell_losses() {
    losses().tell(&mut Brief);
}

/// Lines for standard error that could not be written so far, and how many of them the reader was told of.
pub fn lost_and_told() -> (u64, u64) {
    let losses = losses();
    (losses.lost, losses.told)
}

/// The reader was told of so many in all, unless more were lost by that.
pub fn losses_are_told(lost: u64) {
    let mut losses = losses();
    if losses.lost == lost {
        losses.told = lost;
    }
}

/// Whether what is said may be coloured: on a terminal, or as `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM` have it.
pub fn colour_for_people() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Whether results may, by the same rules.
pub fn colour_for_results() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Writes a result on standard output, all of it, however long its reader takes; says nothing when the reader has gone.
///
/// # Errors
/// Standard output takes no more, for another reason.
pub fn give(text: &str) -> io::Result<()> {
    Results.write_all(text.as_bytes())
}

/// Whether the reader of standard output has gone.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Standard output, for a result in many parts. Takes everything once the reader has gone.
#[derive(Debug)]
pub struct Results;

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_closed() {
            return Ok(bytes.len());
        }
        let out = io::stdout();
        loop {
            match rustix::io::write(&out, bytes) {
                Err(Errno::PIPE) => {
                    CLOSED.store(true, Ordering::Relaxed);
                    return Ok(bytes.len());
                }
                // Whoever shares the terminal or pipe has made it non-blocking.
                Err(Errno::AGAIN) => _ = poll(&mut [PollFd::new(&out, PollFlags::OUT)], None),
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error for a log: each call of `write` is a line. Never fails, for a log that complained of itself would do so to
/// itself; [`lost_and_told`] has the count.
#[derive(Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        losses().write(&mut Brief, &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static LOSSES: Mutex<Losses> = Mutex::new(Losses { lost: 0, told: 0, torn: false, painted: 0 });

fn losses() -> MutexGuard<'static, Losses> {
    LOSSES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of lines.
#[derive(Debug)]
struct Losses {
    lost: u64,
    /// So many of them the reader knows of.
    told: u64,
    /// The last line was cut in the middle.
    torn: bool,
    /// Lines of a terminal above the cursor that are to be taken away.
    painted: u16,
}

impl Losses {
    fn tell(&mut self, out: &mut impl Write) {
        let untold = self.lost - self.told;
        if untold > 0 {
            let plural = if untold == 1 { "" } else { "s" };
            if put(out, format!("{untold} line{plural} could not be written here\n").as_bytes()).is_ok() {
                (self.told, self.torn) = (self.lost, false);
            }
        }
    }

    fn write(&mut self, out: &mut impl Write, text: &str) {
        let start = if self.torn { "\n" } else { "" };
        let erased = self.erase();
        match put(out, format!("{erased}{start}{text}").as_bytes()) {
            Ok(()) => self.torn = false,
            Err(written) => {
                self.torn |= written > 0;
                self.lost += text.lines().count() as u64;
            }
        }
    }
}

impl Losses {
    /// The cursor stays at the beginning of the line below, so that what the terminal echoes (`^C`) harms nothing.
    fn paint(&mut self, out: &mut impl Write, block: &str) {
        // At the least what the terminal echoed there.
        let erased =
            if self.painted > 0 { self.erase() } else { "\r".to_owned() + &ansi(Clear(ClearType::FromCursorDown)) };
        // What cannot be shown is shown the next time.
        if put(out, format!("{erased}{block}").as_bytes()).is_ok() {
            self.painted = u16::try_from(block.lines().count()).unwrap_or(0);
        }
    }

    /// What takes away the lines that are painted.
    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.painted) {
            0 => String::new(),
            lines => ansi(MoveToPreviousLine(lines)) + &ansi(Clear(ClearType::FromCursorDown)),
        }
    }
}

fn ansi(command: impl crossterm::Command) -> String {
    let mut text = String::new();
    // A `String` takes everything.
    let _ = command.write_ansi(&mut text);
    text
}

/// Writes all of it, or gives how much was written.
fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(more) if more > 0 => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return Err(written),
        }
    }
    Ok(())
}

/// Standard error, which is given [`PATIENCE`] for each piece.
struct Brief;

/// A terminal or a pipe whose reader lives has room long before.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What a pipe that is ready has room for at least (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

impl Write for Brief {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let err = io::stderr();
        if poll(&mut [PollFd::new(&err.as_fd(), PollFlags::OUT)], Some(&PATIENCE))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::write(&err, &bytes[..bytes.len().min(PIECE)])?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes more.
    #[derive(Default)]
    struct Disk {
        text: String,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text += std::str::from_utf8(&bytes[..taken]).unwrap();
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lost_lines_are_counted_and_told_once() {
        let mut losses = Losses { lost: 0, told: 0, torn: false, painted: 0 };
        let mut disk = Disk { room: 13, ..Disk::default() };
        for text in ["first\n", "second, which is torn\n", "third\nand fourth\n"] {
            losses.tell(&mut disk);
            losses.write(&mut disk, text);
        }
        assert_eq!((losses.lost, disk.text.as_str()), (3, "first\nsecond,"));
        disk.room = 1000;
        losses.write(&mut disk, "a log goes on in a line of its own\n");
        losses.tell(&mut disk);
        losses.tell(&mut disk);
        losses.write(&mut disk, "fifth\n");
        let rest = "\na log goes on in a line of its own\n3 lines could not be written here\nfifth\n";
        assert_eq!(disk.text.strip_prefix("first\nsecond,"), Some(rest));
    }

    #[test]
    fn what_is_said_takes_the_painted_lines_away() {
        let mut losses = Losses { lost: 0, told: 0, torn: false, painted: 0 };
        let mut terminal = Disk { room: 1000, ..Disk::default() };
        losses.paint(&mut terminal, "a\nb\n");
        losses.paint(&mut terminal, "c\n");
        losses.write(&mut terminal, "said\n");
        losses.write(&mut terminal, "more\n");
        losses.paint(&mut terminal, "");
        // ECMA-48: CPL, cursor preceding line, and ED, erase in page from the cursor on.
        assert_eq!(terminal.text, "\r\x1b[Ja\nb\n\x1b[2F\x1b[Jc\n\x1b[1F\x1b[Jsaid\nmore\n\r\x1b[J");
    }
}
