//! Standard output, for results.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Writes all of a result on standard output, however long its reader takes. A reader that has gone
/// is no error.
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
                // Another process that shares the terminal or pipe has made it non-blocking.
                Err(Errno::AGAIN) => _ = poll(&mut [PollFd::new(&out, PollFlags::OUT)], None),
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
