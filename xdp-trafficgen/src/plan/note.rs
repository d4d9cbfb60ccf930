//! Sentences for the user about what the plan decided, and the names of ports in them.

use std::fmt;

/// A sentence for the user. `port` is apart, so that a sentence about many ports is shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The port that the sentence is about; none when the sentence names its subject.
    pub port: Option<String>,
    /// The sentence; lower case, no full stop.
    pub text: String,
}

impl Note {
    /// A note about a port.
    pub(super) fn of(port: &str, text: String) -> Self {
        Self { port: Some(port.to_owned()), text }
    }
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self { port: None, text }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, text } = self;
        match port {
            Some(port) => write!(formatter, "port {port}: {text}"),
            None => formatter.write_str(text),
        }
    }
}

/// A port's name with that of its egress interface where they differ: `west (eth1)`.
pub fn port_name(port: &str, interface: &str) -> String {
    if port == interface { port.to_owned() } else { format!("{port} ({interface})") }
}
