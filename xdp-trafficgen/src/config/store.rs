//! Writes settings into a configuration file: `cpus`, `batch_size` and `action` of its ports. All other
//! bytes stay.
//!
//! This is a pure function of the file as it was read: the origins of values are known, so the text
//! itself is edited. (toml_edit 0.25 writes a document anew: it converts the line ends of Windows and
//! loses a byte order mark.)

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::{Action, Config, Diagnostic, Diagnostics, Located, Origin, Port};
use crate::units::CpuList;

/// The settings to store.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The ports' action.
    pub action: Action,
    /// The CPUs, each with a worker.
    pub cpus: &'a [u32],
    /// The number of frames that the kernel sends together.
    pub batch_size: u32,
}

impl Settings<'_> {
    /// The settings as lines of a `[[ports]]` table, each with a line feed.
    pub fn lines(&self) -> String {
        self.values().map(|(key, value)| format!("{key} = {value}\n")).concat()
    }

    /// Keys and values in TOML.
    fn values(&self) -> [(&'static str, String); 3] {
        let Self { action, cpus, batch_size } = self;
        [
            ("cpus", format!("\"{}\"", CpuList(cpus))),
            ("batch_size", batch_size.to_string()),
            ("action", format!("\"{}\"", action.name())),
        ]
    }
}

/// A file with settings in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The file's new text.
    pub text: String,
    /// The names of the ports that have the settings now.
    pub ports: Vec<String>,
    /// The names of those among them that kept their action: with an ingress of their own, another
    /// action would make their frames leave by another interface.
    pub kept_action: Vec<String>,
}

/// Indices of the ports whose frames leave by `interface`.
///
/// # Errors
/// When there are none.
pub fn senders(config: &Config, interface: &str) -> Result<Vec<usize>, Diagnostics> {
    let ports = config.ports.iter().enumerate();
    let senders: Vec<usize> = ports
        .filter(|(_, port)| leaves_by(port) == Some(interface))
        .map(|(index, _)| index)
        .collect();
    if !senders.is_empty() {
        return Ok(senders);
    }
    let others: Vec<&str> = config.ports.iter().filter_map(leaves_by).collect();
    let others = if others.is_empty() {
        "none of them sends".to_owned()
    } else {
        format!("they send out of {}", others.join(", "))
    };
    let mut wrong = Diagnostics::new(config.source.clone());
    let place = config.ports.first().map_or(Origin::Default, |port| port.interface.place.clone());
    wrong.push(Diagnostic::new(&place, format!("no port of this file sends out of `{interface}`")).help(format!(
        "{others}: tune one of those, put `{interface}` here, or name a file that does not exist, to make one"
    )));
    Err(wrong)
}

/// The interface that a port's frames leave by, if they leave.
fn leaves_by(port: &Port) -> Option<&str> {
    match port.action.value {
        Action::Redirect => Some(&port.interface.value),
        Action::Tx => Some(&port.ingress.as_ref().unwrap_or(&port.interface).value),
        Action::Pass | Action::Drop => None,
    }
}

/// The file of `config` with the settings in its ports whose frames leave by `interface`. Values that
/// are equal already stay as they are written.
///
/// # Errors
/// When there is no such port.
pub fn store(
    config: &Config,
    interface: &str,
    settings: Settings<'_>,
) -> Result<Stored, Diagnostics> {
    let text = &*config.source.text;
    let mut stored = Stored { text: String::new(), ports: Vec::new(), kept_action: Vec::new() };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let is_inline = inline(text);
    for index in senders(config, interface)? {
        let port = &config.ports[index];
        stored.ports.push(port.name.value.clone());
        let keeps_action =
            port.ingress.as_ref().is_some_and(|ingress| ingress.value != port.interface.value);
        if keeps_action && port.action.value != settings.action {
            stored.kept_action.push(port.name.value.clone());
        }
        let written = [
            port.cpus.as_ref().map(|cpus| (cpus.value == settings.cpus, &cpus.place)),
            Some((port.batch_size.value == settings.batch_size, &port.batch_size.place)),
            Some((port.action.value == settings.action || keeps_action, &port.action.place)),
        ];
        let mut missing = Vec::new();
        for ((key, value), written) in settings.values().into_iter().zip(written) {
            match written {
                Some((true, Origin::File(_))) => {}
                Some((false, Origin::File(span))) => edits.push((span.clone(), value)),
                _ if key == "action" && keeps_action => {}
                _ => missing.push(format!("{key} = {value}")),
            }
        }
        if !missing.is_empty() {
            edits.push(insertion(
                text,
                &port.interface,
                &missing,
                is_inline.get(index) == Some(&true),
            ));
        }
    }
    // Edits go from the end to the start, so that the places of the remaining ones stay valid.
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    stored.text = text.to_owned();
    for (range, value) in edits {
        stored.text.replace_range(range, &value);
    }
    Ok(stored)
}

/// Whether each port is written in braces instead of below a line `[[ports]]`.
fn inline(text: &str) -> Vec<bool> {
    let (document, _) = DeTable::parse_recoverable(text);
    let Some(DeValue::Array(ports)) = document.get_ref().get("ports").map(|ports| ports.get_ref())
    else {
        return Vec::new();
    };
    ports.iter().map(|port| text.as_bytes().get(port.span().start) == Some(&b'{')).collect()
}

/// Where and how missing keys of a port are inserted: after its interface, which every port has.
fn insertion(
    text: &str,
    interface: &Located<String>,
    missing: &[String],
    is_inline: bool,
) -> (Range<usize>, String) {
    let end = if let Origin::File(span) = &interface.place { span.end } else { text.len() };
    if is_inline {
        return (end..end, missing.iter().map(|entry| format!(", {entry}")).collect());
    }
    let line = text[..end].rfind('\n').map_or(0, |feed| feed + 1);
    let indent: String =
        text[line..].chars().take_while(|letter| matches!(letter, ' ' | '\t')).collect();
    match text[end..].find('\n') {
        Some(feed) => {
            let next = end + feed + 1;
            let line_end = if text[..next].ends_with("\r\n") { "\r\n" } else { "\n" };
            (next..next, missing.iter().map(|entry| format!("{indent}{entry}{line_end}")).collect())
        }
        // The last line of the file may lack a line end.
        None => {
            let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            let lines = missing.iter().map(|entry| format!("{line_end}{indent}{entry}")).collect();
            (text.len()..text.len(), lines)
        }
    }
}

/// A first file: UDP frames of `size` bytes that leave by `interface`, to `dst_mac` where it is known.
pub fn new_file(
    interface: &str,
    dst_mac: Option<&str>,
    size: u32,
    settings: Settings<'_>,
) -> String {
    let interface = toml::Value::from(interface);
    let [(cpus, cpu_list), (batch_size, frames), (action, path)] = settings.values();
    let ethernet = dst_mac.map_or_else(|| "{}".to_owned(), |mac| format!("{{ dst = \"{mac}\" }}"));
    let resolved = match dst_mac {
        Some(_) => "the source is the interface's own address",
        None => "the destination is that of the next hop, from the neighbour table",
    };
    format!(
        "# UDP frames of {size} bytes out of {interface}, with the settings that `xdp-trafficgen tune` found to be the best.
#
#   xdp-trafficgen check FILE     whether all is well with it
#   xdp-trafficgen show  FILE     what would be sent
#   xdp-trafficgen run   FILE     sends it

[[ports]]
name = {interface}
interface = {interface}
# A worker on each of these CPUs.
{cpus} = {cpu_list}
# Frames the kernel sends together, 1 to 256.
{batch_size} = {frames}
# \"redirect\" sends by a device map, \"tx\" as though the frame had come in here and went back.
{action} = {path}

[[flows]]
name = \"udp\"
port = {interface}
# Bytes on the wire, with the 4 of the FCS.
size = {size}
# As fast as it can; `rate = \"500kpps\"` here, or `--rate` on the command line, paces it.
duration = \"10s\"
packet = [
  {{ ethernet = {ethernet} }},   # {resolved}
  {{ ipv4 = {{ dst = \"198.19.0.1\" }} }},
  {{ udp = {{ src_port = 49152, dst_port = 9 }} }},
]
"
    )
}

#[cfg(test)]
mod tests;
