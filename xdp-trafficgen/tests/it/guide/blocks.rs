//! The fenced blocks of the documents, with what their info strings ask the tests to do.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// A fenced block.
pub(crate) struct Block {
    file: PathBuf,
    line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What a block contains.
pub(crate) enum Kind {
    /// Commands that are typed, and their output.
    Console(Console),
    /// A configuration; where it has no port, one is added.
    Configuration,
    /// Keys of a table, `flows` or `ports`; each is tried on its own.
    Keys(&'static str),
    /// JSON, one object a line.
    Json,
    /// A drawing, or other text that cannot be tried; the document says what it is.
    Text,
}

/// Commands and what is expected of them.
pub(crate) struct Console {
    pub(crate) commands: Vec<Command>,
    pub(crate) expected: Expected,
    /// The time after which the command gets SIGTERM.
    pub(crate) stop_after: Option<String>,
    parsed_only: bool,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// With this exit status, and with the output that is shown.
    Exit(i32),
    /// With 0; what it prints depends on the machine.
    Varies,
}

/// A line behind a prompt.
pub(crate) struct Command {
    pub(crate) line: String,
    pub(crate) output: Vec<String>,
}

impl Console {
    /// Whether its commands are run, not only parsed.
    pub(crate) const fn runs(&self) -> bool {
        !self.parsed_only
    }

    fn new(how: &str, text: &str) -> Self {
        let (words, reason) =
            how.split_once(':').map_or((how, ""), |(words, reason)| (words, reason.trim()));
        let mut console = Self {
            commands: commands(text),
            expected: Expected::Exit(0),
            stop_after: None,
            parsed_only: false,
        };
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some(("exit", code)) => {
                    console.expected = Expected::Exit(code.parse().expect("an exit status"))
                }
                Some(("stop", time)) => console.stop_after = Some(time.to_owned()),
                None if word == "varies" && !reason.is_empty() => {
                    console.expected = Expected::Varies
                }
                None if word == "parsed" && !reason.is_empty() => console.parsed_only = true,
                _ => panic!("`{how}` says neither how a block ends, nor why it is not run"),
            }
        }
        console
    }
}

impl Block {
    fn new(file: &Path, line: usize, info: &str, text: String) -> Self {
        let (language, how) = info.split_once(' ').unwrap_or((info, ""));
        let kind = match (language, how) {
            ("console", how) => Kind::Console(Console::new(how, &text)),
            ("toml", "") => Kind::Configuration,
            ("toml", "flow") => Kind::Keys("flows"),
            ("toml", "port") => Kind::Keys("ports"),
            ("json", "") => Kind::Json,
            ("text", how) if !how.is_empty() => Kind::Text,
            _ => panic!(
                "{}:{line}: no test knows what to do with a block of `{info}`",
                file.display()
            ),
        };
        Self { file: file.to_owned(), line, kind, text }
    }

    /// The block's configurations, each completed to a whole file where it is only a part of one.
    pub(crate) fn configurations(&self) -> Vec<String> {
        let Self { kind, text, .. } = self;
        match kind {
            Kind::Configuration if text.contains("[[ports]]") => vec![text.clone()],
            Kind::Configuration => vec![format!("{PORT}{text}")],
            Kind::Keys(table) => {
                entries(text).iter().map(|entry| self.with(table, entry)).collect()
            }
            Kind::Console(_) | Kind::Json | Kind::Text => Vec::new(),
        }
    }

    fn with(&self, table: &str, entry: &str) -> String {
        let parse = |text: &str| {
            text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{self}: {error}"))
        };
        let mut whole = parse(&format!("{PORT}{FLOW}"));
        let first = whole[table].as_array_mut().unwrap()[0].as_table_mut().unwrap();
        first.extend(parse(entry));
        whole.to_string()
    }
}

const PORT: &str = "[[ports]]\nname = 'west'\ninterface = 'eth1'\n";
const FLOW: &str =
    "[[flows]]\nname = 'example'\nport = 'west'\npacket = [{ ethernet = {} }, { ipv4 = {} }]\n";

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file.display(), self.line)
    }
}

/// The blocks of the README and of all documents.
pub(crate) fn all() -> Vec<Block> {
    documents().iter().flat_map(|file| of(file)).collect()
}

/// Everything that is written for readers of the repository.
pub(crate) fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = vec![root.join("README.md"), root.join("xdp-trafficgen/CHANGELOG.md")];
    for folder in [".github", "xdp-trafficgen/doc", "xdp-trafficgen/doc/guide"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        found.extend(
            files.filter(|file| file.extension().is_some_and(|extension| extension == "md")),
        );
    }
    found
}

fn of(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let inside: Vec<_> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push(Block::new(file, number + 1, info, inside.join("\n") + "\n"));
        }
    }
    blocks
}

fn commands(text: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(line) => commands.push(Command { line: line.to_owned(), output: Vec::new() }),
            None => commands
                .last_mut()
                .expect("a command before its output")
                .output
                .push(line.to_owned()),
        }
    }
    assert!(!commands.is_empty(), "a console block has commands, behind `# `");
    commands
}

/// Splits a text into keys with their values, which may take several lines.
fn entries(text: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut entry = String::new();
    for line in text.lines() {
        entry += line;
        entry.push('\n');
        if entry.parse::<toml::Table>().is_ok() {
            entries.push(std::mem::take(&mut entry));
        }
    }
    assert!(entry.trim().is_empty(), "not TOML:\n{entry}");
    entries
}
