//! Errors in what the user wrote: each with its place and a cure, shown together, the way rustc
//! shows them.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::config::Origin;

/// The text that origins refer to.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's name as the user gave it; `command line` for options.
    pub name: Arc<str>,
    /// The file's text; empty for options.
    pub text: Arc<str>,
}

/// Stands for a file's name where the user typed a command.
const COMMAND_LINE: &str = "command line";

impl Source {
    /// The source of a file.
    pub fn file(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The source of the command line.
    pub fn command_line() -> Self {
        Self::file(COMMAND_LINE, "")
    }
}

/// One error in what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, with the offending value; lower case, no full stop.
    pub message: String,
    /// Where the value was written.
    pub place: Origin,
    /// The cure; empty when the message says it all.
    pub help: String,
}

impl Diagnostic {
    /// A diagnostic without help.
    pub fn new(place: &Origin, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: place.clone(), help: String::new() }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// How diagnostics are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Styling {
    /// With colours, for a terminal.
    Colour,
    /// Text alone, for logs and files.
    Plain,
}

/// All errors of one source.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    source: Source,
    list: Vec<Diagnostic>,
    /// The number of errors beside those in the list.
    more: usize,
}

impl Diagnostics {
    /// No errors yet.
    pub const fn new(source: Source) -> Self {
        Self { source, list: Vec::new(), more: 0 }
    }

    /// Adds an error.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < KEPT {
            self.list.push(diagnostic);
        } else {
            self.more += 1;
        }
    }

    /// The diagnostics so far.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// `value`, if there are no errors.
    ///
    /// # Errors
    /// These diagnostics, when there are any.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.list.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Whether there are no errors so far.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them as text, one below the other.
    pub fn render(&self, styling: Styling) -> String {
        let renderer = match styling {
            Styling::Colour => Renderer::styled(),
            Styling::Plain => Renderer::plain(),
        };
        let shown =
            self.shown().into_iter().map(|diagnostic| self.render_one(&renderer, diagnostic));
        let mut rendered: Vec<String> = shown.collect();
        if let Some(more) = self.and_more() {
            rendered.push(renderer.render(&[Group::with_title(Level::ERROR.primary_title(more))]));
        }
        rendered.join("\n\n")
    }

    /// The errors for a log: of each the message, the place as `FILE:LINE:COLUMN` or the option, and
    /// the help, where it has them.
    pub fn lines(&self) -> Vec<(String, Option<String>, Option<String>)> {
        let line = |diagnostic: &Diagnostic| {
            let Diagnostic { message, place, help } = diagnostic;
            let place = match place {
                Origin::File(span) => {
                    let (line, column) = line_and_column(&self.source.text, span.start);
                    Some(format!("{}:{line}:{column}", self.source.name))
                }
                Origin::Option(option) => Some((*option).to_owned()),
                Origin::Override(place) => Some(format!("--set {}", cut(&place.argument))),
                Origin::Default => None,
            };
            (cut(message).into_owned(), place, (!help.is_empty()).then(|| cut(help).into_owned()))
        };
        let more = self.and_more().map(|more| (more, None, None));
        self.shown().into_iter().map(line).chain(more).collect()
    }

    /// The first errors, in the order of the file.
    fn shown(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<&Diagnostic> = self.list.iter().collect();
        list.sort_by_key(|diagnostic| match &diagnostic.place {
            Origin::File(span) => span.start,
            Origin::Option(_) | Origin::Override(..) | Origin::Default => usize::MAX,
        });
        list.truncate(SHOWN);
        list
    }

    /// The number of errors beside those that are shown, as text.
    fn and_more(&self) -> Option<String> {
        let more = self.list.len().saturating_sub(SHOWN) + self.more;
        let noun = if more == 1 { "error" } else { "errors" };
        (more > 0).then(|| format!("… and {more} more {noun}"))
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let Diagnostic { message, place, help } = diagnostic;
        let (message, help) = (cut(message), cut(help));
        let title = match place {
            Origin::Option(option) => format!("{option}: {message}"),
            Origin::File(_) | Origin::Override(..) | Origin::Default => message.into_owned(),
        };
        let error = Level::ERROR.primary_title(title);
        let written = match place {
            // Text that a command writes for its user is not in any file.
            Origin::File(_) if &*self.source.name == COMMAND_LINE => None,
            Origin::File(span) => Some((&*self.source.text, &*self.source.name, span)),
            Origin::Override(place) => Some((&*place.argument, "--set", &place.span)),
            Origin::Option(_) | Origin::Default => None,
        };
        if let Some((text, name, span)) = written {
            let (snippet, before) = snippet(text, span);
            // The renderer counts columns in the snippet, which may begin later than the line.
            let name = if before > 0 {
                format!("{name} (shown from column {})", before + 1)
            } else {
                name.to_owned()
            };
            let mut group = error.element(snippet.path(name));
            if !help.is_empty() {
                group = group.element(Level::HELP.message(help));
            }
            return renderer.render(&[group]);
        }
        let mut text = renderer.render(&[Group::with_title(error)]);
        if !help.is_empty() {
            // The help is rendered separately: together, a line without a target would join the two.
            text += "\n";
            text += &renderer.render(&[Group::with_title(Level::HELP.secondary_title(help))]);
        }
        text
    }
}

/// The number of errors that are shown; a user who has mended these sees the next.
const SHOWN: usize = 25;

/// The number of errors that are kept: every byte of a file can be wrong.
const KEPT: usize = 1000;

/// The number of bytes of a line that are shown on either side of an error, and of the wrong text
/// itself.
const AROUND: usize = 300;

/// A sentence cut to a readable length; the values that it quotes may have any length.
fn cut(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 600;
    if text.len() <= 2 * LONGEST {
        return text.into();
    }
    let (head, tail) =
        (text.floor_char_boundary(LONGEST), text.ceil_char_boundary(text.len() - LONGEST / 2));
    format!("{} … {}", &text[..head], &text[tail..]).into()
}

/// Line and column, counted from 1; columns are characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    (1 + before.matches('\n').count(), 1 + before[line..].chars().count())
}

/// A snippet of the lines of `span` alone, because the renderer scans all of its text for each of many
/// errors. Long lines are cut around the span; the number is that of the bytes cut before it.
fn snippet<'a>(text: &'a str, span: &Range<usize>) -> (Snippet<'a, Annotation<'a>>, usize) {
    let end = span.end.min(text.len());
    let start = span.start.min(end);
    let end = text.floor_char_boundary(end.min(start + AROUND)).max(start);
    let (before, after) = (&text.as_bytes()[..start], &text.as_bytes()[end..]);
    let first = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let last =
        after.iter().position(|byte| *byte == b'\n').map_or(text.len(), |newline| end + newline);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let from =
        if start - first > 2 * AROUND { text.ceil_char_boundary(start - AROUND) } else { first };
    let to = text.floor_char_boundary(last.min(end + AROUND)).max(end);
    let annotation = AnnotationKind::Primary.span(start - from..end - from);
    (Snippet::source(&text[from..to]).line_start(line).annotation(annotation), from - first)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(Styling::Plain))
    }
}

impl std::error::Error for Diagnostics {}
