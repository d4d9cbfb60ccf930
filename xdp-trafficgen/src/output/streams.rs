//! The two ways out of this process, and the only users of them: results on standard output ([`give`], [`Results`]), and
//! what people read on the way on standard error ([`say`], [`Log`]).
//!
//! Frames leave whether or not anybody reads. A reader that has seen enough (`… | head`) is no failure; a disk that is full
//! is one for a result, and costs remarks and log lines, which are counted and told of once there is room again.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
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
    let Remarks { losses, out } = &mut *remarks();
    losses.tell(out);
    losses.write(out, &format!("{text}\n"));
}

/// Shows these lines below everything that is said, in the place of those before; none: takes them away. For terminals: whatever
/// is said meanwhile takes them away too.
pub(super) fn paint(block: &str) {
    let Remarks { losses, out } = &mut *remarks();
    losses.paint(out, block);
}

/// Says how many lines were lost, if that was not said yet.
pub fn tell_losses() {
    let Remarks { losses, out } = &mut *remarks();
    losses.tell(out);
}

/// Lines for standard error that could not be written so far, and how many of them the reader was told of.
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

static REMARKS: Mutex<Remarks> = Mutex::new(Remarks {
    losses: Losses { lost: 0, told: 0, torn: false, painted: 0 },
    out: Brief { to: StandardError, stalled: false },
});

fn remarks() -> MutexGuard<'static, Remarks> {
    REMARKS.lock().unwrap_or_else(PoisonError::into_inner)
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
        let painted = self.painted;
        let erased = self.erase();
        match put(out, format!("{erased}{start}{text}").as_bytes()) {
            Ok(()) => self.torn = false,
            Err(written) => {
                if written < erased.len() {
                    self.painted = painted;
                }
                self.torn |= written > erased.len();
                self.lost += text.lines().count() as u64;
            }
        }
    }
}

impl Losses {
    /// The cursor stays at the beginning of the line below, so that what the terminal echoes (`^C`) harms nothing.
    fn paint(&mut self, out: &mut impl Write, block: &str) {
        let painted = self.painted;
        // At the least what the terminal echoed there.
        let erased = if painted > 0 { self.erase() } else { "\r".to_owned() + &ansi(Clear(ClearType::FromCursorDown)) };
        // What cannot be shown is shown the next time, in the place of what can.
        let shown = put(out, format!("{erased}{block}").as_bytes()).map_or_else(
            |written| written.checked_sub(erased.len()).map(|written| &block.as_bytes()[..written]),
            |()| Some(block.as_bytes()),
        );
        self.painted = shown.map_or(painted, |shown| {
            self.torn |= !shown.is_empty() && !shown.contains(&b'\n');
            u16::try_from(shown.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0)
        });
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

/// Where there may be no room.
trait Narrow {
    /// Whether there is room, after this time at the latest.
    fn has_room(&mut self, patience: &Timespec) -> io::Result<bool>;

    /// Writes as much as there is room for, where there is any.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Gives it [`PATIENCE`] for each piece, and none after it took nothing until it takes something again: whoever says something
/// has other things to do than to wait for a reader that was waited for in vain.
#[derive(Debug)]
struct Brief<T> {
    to: T,
    stalled: bool,
}

/// A terminal or a pipe whose reader lives has room long before.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

impl<T: Narrow> Write for Brief<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stalled = !self.to.has_room(if self.stalled { &NO_PATIENCE } else { &PATIENCE })?;
        if self.stalled {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct StandardError;

/// What a pipe that is ready has room for at least (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

/// The same of a pseudo terminal: its buffers are made in steps of 256 bytes (`TTYB_ALIGN_MASK` of drivers/tty/tty_buffer.c), and
/// a line feed becomes two of them. A serial line that is ready has room for more.
const PIECE_OF_TERMINAL: usize = 128;

impl Narrow for StandardError {
    fn has_room(&mut self, patience: &Timespec) -> io::Result<bool> {
        Ok(poll(&mut [PollFd::new(&io::stderr(), PollFlags::OUT)], Some(patience))? > 0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let err = io::stderr();
        let most = if err.is_terminal() { PIECE_OF_TERMINAL } else { PIECE };
        Ok(rustix::io::write(&err, &bytes[..bytes.len().min(most)])?)
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

    /// A reader that goes on after so many looks; counts those that waited.
    struct Reader {
        looks: u32,
        waits: u32,
        text: String,
    }

    impl Narrow for Reader {
        fn has_room(&mut self, patience: &Timespec) -> io::Result<bool> {
            self.waits += u32::from(*patience != NO_PATIENCE);
            self.looks = self.looks.saturating_sub(1);
            Ok(self.looks == 0)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.text += std::str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_reader_that_stands_still_is_waited_for_once() {
        let mut losses = Losses { lost: 0, told: 0, torn: false, painted: 0 };
        let mut out = Brief { to: Reader { looks: 101, waits: 0, text: String::new() }, stalled: false };
        (0..100).for_each(|_| losses.write(&mut out, "lost\n"));
        assert_eq!((losses.lost, out.to.waits, out.to.text.as_str()), (100, 1, ""));
        losses.write(&mut out, "told\n");
        assert_eq!((out.to.waits, out.to.text.as_str()), (1, "told\n"));
        out.to.looks = 100;
        (0..10).for_each(|_| losses.write(&mut out, "lost\n"));
        assert_eq!((losses.lost, out.to.waits), (110, 2));
    }

    #[test]
    fn lines_that_were_painted_in_part_go_away_too() {
        // CPL, ED: seven bytes; and the beginning of a block of two lines.
        for (room, painted, torn) in [(5, 3, false), (7, 0, false), (8, 0, true), (10, 1, false), (11, 1, false)] {
            let mut losses = Losses { lost: 0, told: 0, torn: false, painted: 3 };
            let mut terminal = Disk { room, ..Disk::default() };
            losses.paint(&mut terminal, "ab\ncd\n");
            let shown = &"\x1b[3F\x1b[Jab\ncd\n"[..room];
            assert_eq!(terminal.text, shown);
            assert_eq!((losses.painted, losses.torn), (painted, torn), "{shown:?}");
        }
        let mut losses = Losses { lost: 0, told: 0, torn: false, painted: 3 };
        losses.write(&mut Disk { room: 2, ..Disk::default() }, "said\n");
        assert_eq!((losses.painted, losses.torn, losses.lost), (3, false, 1));
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
