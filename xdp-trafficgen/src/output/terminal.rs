//! The bottom lines of the terminal that standard error is, where it is one.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use rustix::termios::tcgetwinsize;
pub use textwrap::core::display_width as width;

use crate::output::streams::paint;

/// A terminal whose cursor can be moved. What it shows goes away when it is dropped.
#[derive(Debug)]
pub struct Terminal(());

/// How much a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters of a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

impl Terminal {
    /// None where standard error is something else, or `TERM` says that the cursor only goes
    /// forward (terminfo(5): `dumb`).
    pub fn find() -> Option<Self> {
        let moves = env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
        // Made only where there is one: dropping it writes to the terminal.
        if moves && io::stderr().is_terminal() { Some(Self(())) } else { None }
    }

    /// As it is now: windows are resized.
    pub fn size(&self) -> Size {
        // A serial line does not know; it is as terminals have been since the VT100.
        let known =
            tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        known.map_or(Size { columns: 80, rows: 24 }, |size| Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        })
    }

    /// Shows these lines in the place of those before, as far as there is room: no line is wrapped.
    pub fn show(&self, lines: &str) {
        paint(&fit(lines, self.size()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        paint("");
    }
}

fn fit(lines: &str, Size { columns, rows }: Size) -> String {
    // The cursor takes the line below.
    lines
        .lines()
        .take(rows.saturating_sub(1))
        .map(|line| cut(line.trim_end(), columns).to_owned() + "\n")
        .collect()
}

fn cut(line: &str, columns: usize) -> &str {
    let mut taken = 0;
    let beyond = line.char_indices().find(|(index, character)| {
        taken += width(&line[*index..*index + character.len_utf8()]);
        taken > columns
    });
    beyond.map_or(line, |(index, _)| &line[..index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_fits() {
        let size = Size { columns: 5, rows: 3 };
        assert_eq!(fit("1234567\nab   \nthird", size), "12345\nab\n");
        // East Asian characters take two columns each.
        assert_eq!(fit("端口端口", size), "端口\n");
    }
}
