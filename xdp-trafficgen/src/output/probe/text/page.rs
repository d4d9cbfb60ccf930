//! Lines of a report: a label to the left, words to the right of it, nothing beyond column 80.

use std::fmt::Write as _;

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::Word};

use crate::diagnosis::Finding;

const WIDTH: usize = 80;
/// Where words begin.
const INDENT: usize = 11;

/// A report under way.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Lines that belong to what the label says.
    pub(super) fn section(&mut self, label: &str, lines: &[String]) {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.wrapped(&format!("{label:<width$} ", width = INDENT - 1), line);
        }
    }

    /// What was found, and what to do. Commands stay in one piece, so that they can be copied.
    pub(super) fn finding(&mut self, finding: &Finding) {
        let Finding { code: _, severity, cause, cure } = finding;
        self.wrapped(&format!("  {:<width$} ", severity.code(), width = INDENT - 3), cause);
        if !cure.is_empty() {
            self.wrapped(&format!("  {:<width$} ", "  cure:", width = INDENT - 3), cure);
        }
    }

    pub(super) fn text(self) -> String {
        self.0
    }

    /// `text` behind `label`, and below itself where it is long.
    fn wrapped(&mut self, label: &str, text: &str) {
        if text.trim().is_empty() {
            let _ = writeln!(self.0, "{}", label.trim_end());
            return;
        }
        let below = " ".repeat(INDENT);
        let options = Options::new(WIDTH)
            .initial_indent(label)
            .subsequent_indent(&below)
            .word_separator(WordSeparator::Custom(words))
            .word_splitter(WordSplitter::NoHyphenation)
            .wrap_algorithm(WrapAlgorithm::FirstFit)
            .break_words(false);
        for line in textwrap::wrap(text, options) {
            let _ = writeln!(self.0, "{}", line.trim_end());
        }
    }
}

/// Words, of which those between back quotes are one.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut quoted = false;
    let ends = move |character: char| {
        quoted ^= character == '`';
        character == ' ' && !quoted
    };
    Box::new(line.split_inclusive(ends).map(Word::from))
}

/// `23.6 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    scaled(bytes, "B")
}

/// `10 Gb/s`.
pub(super) fn bits_per_second(bits: u64) -> String {
    scaled(bits, "b/s")
}

#[expect(clippy::cast_precision_loss, reason = "shown to three digits")]
fn scaled(number: u64, unit: &str) -> String {
    let (scale, prefix) = match number {
        0..1_000_000 => (1e3, "k"),
        1_000_000..1_000_000_000 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    let digits = format!("{:.1}", number as f64 / scale);
    format!("{} {prefix}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(bytes(23_571_000_000), "23.6 GB");
        assert_eq!(bytes(512_000), "512 kB");
        assert_eq!(bits_per_second(10_000_000_000), "10 Gb/s");
        assert_eq!(bits_per_second(100_000_000), "100 Mb/s");
        assert_eq!(bits_per_second(2_500_000_000), "2.5 Gb/s");
    }

    #[test]
    fn long_lines_are_broken_between_words_and_not_in_commands() {
        let mut page = Page::default();
        let command = format!("`ip link set eth1 {}`,", "x".repeat(45));
        page.section(
            "kernel",
            &[format!("{} {command} done", "word ".repeat(10)), "next".to_owned()],
        );
        let expected = format!(
            "kernel     {}\n           {command}\n           done\n           next\n",
            "word ".repeat(10).trim_end()
        );
        let text = page.text();
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
