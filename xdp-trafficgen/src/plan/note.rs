//! What was decided for the user, and what ports are called.

use std::fmt;

/// A sentence worth showing. `port` is apart, so that what holds for many ports can be said once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The port it is said of; none when the sentence names what it is of.
    pub port: Option<String>,
    /// The sentence; lower case, no full stop.
    pub text: String,
}

impl Note {
    /// Of a port.
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

/// A port with the interface it sends out of, where that has another name: `west (eth1)`.
pub fn port_name(port: &str, interface: &str) -> String {
    if port == interface { port.to_owned() } else { format!("{port} ({interface})") }
}
