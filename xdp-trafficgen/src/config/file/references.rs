//! Checks how ports and flows name each other, and which of them have rates.

use std::collections::{HashMap, HashSet};

use super::table::Problems;
use crate::config::{Diagnostic, Located, Origin, names};

/// A name; none when it could not be read.
type Name = Option<Located<String>>;

/// The names of all ports and flows in a configuration, also of those that have errors of their own.
#[derive(Debug, Default)]
pub(super) struct References {
    pub(super) ports: Vec<PortReference>,
    pub(super) flows: Vec<FlowReference>,
}

/// The part of a port that the checks need.
#[derive(Debug)]
pub(super) struct PortReference {
    pub(super) name: Name,
    pub(super) interface: Name,
    /// Where its rate is written, if it has one.
    pub(super) rate: Option<Origin>,
}

/// The part of a flow that the checks need.
#[derive(Debug)]
pub(super) struct FlowReference {
    pub(super) name: Name,
    pub(super) port: Name,
    /// Where its rate is written, if it has one.
    pub(super) rate: Option<Origin>,
}

impl References {
    /// `text` is the file's, to name lines of it.
    pub(super) fn check(&self, text: &str, problems: &mut Problems) {
        let ports = || self.ports.iter().filter_map(|port| port.name.as_ref());
        for (name, first) in repeated(ports()) {
            problems.push(duplicate(text, "ports", name, first));
        }
        for (name, first) in repeated(self.flows.iter().filter_map(|flow| flow.name.as_ref())) {
            problems.push(duplicate(text, "flows", name, first));
        }
        for (interface, first) in
            repeated(self.ports.iter().filter_map(|port| port.interface.as_ref()))
        {
            let message = format!(
                "the interface `{}` is already used by the port {}",
                interface.value,
                written(text, first)
            );
            problems.push(
                Diagnostic::new(&interface.place, message)
                    .help("give each port an interface of its own"),
            );
        }
        self.check_assignment(&ports().collect::<Vec<_>>(), problems);
        self.check_rates(problems);
    }

    /// Checks that each flow names a port and each port has a flow. Reports nothing where a name that could not be
    /// read may be the missing one.
    fn check_assignment(&self, ports: &[&Located<String>], problems: &mut Problems) {
        let all_ports_named = !self.ports.is_empty() && self.ports.len() == ports.len();
        let all_flows_assigned =
            !self.flows.is_empty() && self.flows.iter().all(|flow| flow.port.is_some());
        let known: HashSet<&str> = ports.iter().map(|port| port.value.as_str()).collect();
        let assigned = || self.flows.iter().filter_map(|flow| flow.port.as_ref());
        let used: HashSet<&str> = assigned().map(|port| port.value.as_str()).collect();
        for port in
            assigned().filter(|port| all_ports_named && !known.contains(port.value.as_str()))
        {
            let help =
                names::cure(&port.value, "ports", ports.iter().map(|port| port.value.as_str()));
            problems.push(
                Diagnostic::new(&port.place, format!("there is no port `{}`", port.value))
                    .help(help),
            );
        }
        for port in
            ports.iter().filter(|port| all_flows_assigned && !used.contains(port.value.as_str()))
        {
            problems.push(
                Diagnostic::new(&port.place, format!("port `{}` has no flow", port.value)).help(
                    format!("add a flow with `port = \"{}\"`, or remove the port", port.value),
                ),
            );
        }
    }

    /// Checks that either a port has a rate, or each of its flows, or none of them. Reports nothing where a
    /// name could not be read.
    fn check_rates(&self, problems: &mut Problems) {
        let with_rate = self.ports.iter().filter(|port| port.rate.is_some());
        let paced: HashSet<&str> = with_rate
            .filter_map(|port| port.name.as_ref())
            .map(|name| name.value.as_str())
            .collect();
        // The first flow with a rate of each port.
        let mut first_with: HashMap<&str, &str> = HashMap::new();
        for flow in &self.flows {
            let (Some(name), Some(port), Some(rate)) = (&flow.name, &flow.port, &flow.rate) else {
                continue;
            };
            if paced.contains(port.value.as_str()) {
                let message = format!(
                    "flow `{}` has a rate, and so has its port `{}`",
                    name.value, port.value
                );
                let help =
                    "remove one of the two: a port's rate is shared by its flows by their weights";
                problems.push(Diagnostic::new(rate, message).help(help));
            } else {
                first_with.entry(&port.value).or_insert(&name.value);
            }
        }
        for flow in self.flows.iter().filter(|flow| flow.rate.is_none()) {
            let (Some(name), Some(port)) = (&flow.name, &flow.port) else { continue };
            // The entry is removed, so that each port has one flow without a rate reported.
            if let Some(with) = first_with.remove(port.value.as_str()) {
                let message =
                    format!("flow `{}` has no rate, but `{with}` of the same port has", name.value);
                let help = format!(
                    "give each flow of port `{}` a rate, or only the port, or none of them",
                    port.value
                );
                problems.push(Diagnostic::new(&name.place, message).help(help));
            }
        }
    }
}

/// Each value that repeats an earlier one, with the first of its kind.
fn repeated<'a>(
    values: impl Iterator<Item = &'a Located<String>>,
) -> Vec<(&'a Located<String>, &'a Located<String>)> {
    let mut first: HashMap<&str, &Located<String>> = HashMap::new();
    let mut repeated = Vec::new();
    for value in values {
        match first.get(value.value.as_str()) {
            Some(first) => repeated.push((value, *first)),
            None => {
                first.insert(&value.value, value);
            }
        }
    }
    repeated
}

fn duplicate(
    text: &str,
    noun: &str,
    name: &Located<String>,
    first: &Located<String>,
) -> Diagnostic {
    Diagnostic::new(&name.place, format!("two {noun} are named `{}`", name.value))
        .help(format!("the first is {}: rename one of them", written(text, first)))
}

/// Where a value was written: `on line 2`.
fn written<T>(text: &str, value: &Located<T>) -> String {
    match &value.place {
        Origin::File(span) => {
            let before = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
            format!("on line {}", before + 1)
        }
        Origin::Override(place) => format!("in `--set {}`", place.argument),
        Origin::Option(option) => format!("in `{option}`"),
        Origin::Default => "a default".to_owned(),
    }
}
