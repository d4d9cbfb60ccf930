//! Standard error with a limit on how long its reader is waited for.

use std::io::{self, IsTerminal as _, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A stream that may have no room.
pub(super) trait Narrow {
    /// Whether there is room, after this time at the latest.
    fn has_room(&mut self, patience: &Timespec) -> io::Result<bool>;

    /// Writes as much as there is room for, where there is any.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Waits up to [`PATIENCE`] for room for each piece, and not at all after a wait in vain, until
/// there is room again: the caller has a run to drive, and a reader that stood still once costs it
/// that time once.
#[derive(Debug)]
pub(super) struct Brief<T> {
    pub(super) to: T,
    pub(super) stalled: bool,
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
pub(super) struct StandardError;

/// What a pipe that is ready has room for at least (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

/// The room of a pseudo terminal that is ready: its buffers are made in steps of 256 bytes
/// (`TTYB_ALIGN_MASK` of drivers/tty/tty_buffer.c), and a line feed becomes two of them. A serial
/// line that is ready has room for more.
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
    use super::{super::losses::Losses, *};

    /// A reader that has room after so many checks; counts the checks that waited.
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
        let mut losses = Losses::NONE;
        let mut out =
            Brief { to: Reader { looks: 101, waits: 0, text: String::new() }, stalled: false };
        (0..100).for_each(|_| losses.write(&mut out, "lost\n"));
        assert_eq!((losses.lost, out.to.waits, out.to.text.as_str()), (100, 1, ""));
        losses.write(&mut out, "told\n");
        assert_eq!((out.to.waits, out.to.text.as_str()), (1, "told\n"));
        out.to.looks = 100;
        (0..10).for_each(|_| losses.write(&mut out, "lost\n"));
        assert_eq!((losses.lost, out.to.waits), (110, 2));
    }
}
