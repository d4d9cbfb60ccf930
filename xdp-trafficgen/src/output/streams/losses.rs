//! Lines for standard error: those that could not be written are counted, and what is painted on a
//! terminal is taken away.

use std::io::{self, Write};

use crossterm::{
    cursor::MoveToPreviousLine,
    terminal::{Clear, ClearType},
};

/// The state of standard error: lines lost, and lines painted.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) lost: u64,
    /// So many of them were reported.
    pub(super) reported: u64,
    /// The last line was cut in the middle.
    torn: bool,
    /// Lines of a terminal above the cursor that are to be taken away.
    painted: u16,
}

impl Losses {
    /// Before any line.
    pub(super) const NONE: Self = Self { lost: 0, reported: 0, torn: false, painted: 0 };

    pub(super) fn report(&mut self, out: &mut impl Write) {
        let unreported = self.lost - self.reported;
        if unreported > 0 {
            let plural = if unreported == 1 { "" } else { "s" };
            if put(out, format!("{unreported} line{plural} could not be written here\n").as_bytes())
                .is_ok()
            {
                (self.reported, self.torn) = (self.lost, false);
            }
        }
    }

    pub(super) fn write(&mut self, out: &mut impl Write, text: &str) {
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

    /// The cursor stays at the beginning of the line below, so that what the terminal echoes (`^C`)
    /// harms nothing.
    pub(super) fn paint(&mut self, out: &mut impl Write, block: &str) {
        let painted = self.painted;
        // At the least what the terminal echoed there.
        let erased = if painted > 0 {
            self.erase()
        } else {
            "\r".to_owned() + &ansi(Clear(ClearType::FromCursorDown))
        };
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
    fn lost_lines_are_counted_and_reported_once() {
        let mut losses = Losses::NONE;
        let mut disk = Disk { room: 13, ..Disk::default() };
        for text in ["first\n", "second, which is torn\n", "third\nand fourth\n"] {
            losses.report(&mut disk);
            losses.write(&mut disk, text);
        }
        assert_eq!((losses.lost, disk.text.as_str()), (3, "first\nsecond,"));
        disk.room = 1000;
        losses.write(&mut disk, "a log goes on in a line of its own\n");
        losses.report(&mut disk);
        losses.report(&mut disk);
        losses.write(&mut disk, "fifth\n");
        let rest =
            "\na log goes on in a line of its own\n3 lines could not be written here\nfifth\n";
        assert_eq!(disk.text.strip_prefix("first\nsecond,"), Some(rest));
    }

    #[test]
    fn lines_that_were_painted_in_part_go_away_too() {
        // CPL, ED: seven bytes; and the beginning of a block of two lines.
        for (room, painted, torn) in
            [(5, 3, false), (7, 0, false), (8, 0, true), (10, 1, false), (11, 1, false)]
        {
            let mut losses = Losses { painted: 3, ..Losses::NONE };
            let mut terminal = Disk { room, ..Disk::default() };
            losses.paint(&mut terminal, "ab\ncd\n");
            let shown = &"\x1b[3F\x1b[Jab\ncd\n"[..room];
            assert_eq!(terminal.text, shown);
            assert_eq!((losses.painted, losses.torn), (painted, torn), "{shown:?}");
        }
        let mut losses = Losses { painted: 3, ..Losses::NONE };
        losses.write(&mut Disk { room: 2, ..Disk::default() }, "said\n");
        assert_eq!((losses.painted, losses.torn, losses.lost), (3, false, 1));
    }

    #[test]
    fn what_is_said_takes_the_painted_lines_away() {
        let mut losses = Losses::NONE;
        let mut terminal = Disk { room: 1000, ..Disk::default() };
        losses.paint(&mut terminal, "a\nb\n");
        losses.paint(&mut terminal, "c\n");
        losses.write(&mut terminal, "said\n");
        losses.write(&mut terminal, "more\n");
        losses.paint(&mut terminal, "");
        // ECMA-48: CPL, cursor preceding line, and ED, erase in page from the cursor on.
        assert_eq!(
            terminal.text,
            "\r\x1b[Ja\nb\n\x1b[2F\x1b[Jc\n\x1b[1F\x1b[Jsaid\nmore\n\r\x1b[J"
        );
    }
}
