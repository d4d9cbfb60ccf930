//! `show` describes what would be sent: the flows field by field, and the frames, made by the
//! program that would send them.

mod pcap;
mod sequence;

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write as _},
    time::Duration,
};

use xdp_trafficgen_ebpf::abi::FCS_LEN;

use self::{
    pcap::{Pcap, Times},
    sequence::NumberedFrame,
};
use crate::{
    cli,
    commands::{
        CommandError, flows_of, layout, probe_kernel, rate_of, read_config, replace_rates,
        send::work_out,
    },
    config::{Config, Diagnostic, Diagnostics, Flow, Origin, Profile, Source, names},
    output::{
        fields, frames, numbers,
        streams::{self, Results, say},
        together::notes,
        words,
    },
    plan::{DefaultRoute, PortPlan, port_name},
};

/// Flows of a port that are described by default: more fill the screen.
const DESCRIBED: usize = 20;

/// Frames of a port that are made to find each flow's first one. A flow that starts later is
/// described by its template.
const SEARCHED: usize = 1 << 16;

pub(super) fn show(options: &cli::Show) -> Result<(), CommandError> {
    let mut config = read_config(&options.config, &options.overrides)?;
    replace_rates(&mut config, &options.rates, options.scale)?;
    // The order shown is that of a single worker.
    for cpus in config.ports.iter_mut().filter_map(|port| port.cpus.as_mut()) {
        cpus.value.truncate(1);
    }
    check_names(&config, &options.flow).map_err(CommandError::Config)?;
    // Nothing is sent, so any interface works.
    let plan = work_out(&config, Some(probe_kernel()?), DefaultRoute::Allow)?;
    notes(&plan.notes).iter().for_each(say);
    let times = if plan.ports.iter().any(|port| port.pacing.is_some()) {
        Times::Departures
    } else {
        Times::Microseconds
    };
    let pcap = options.pcap.as_deref().map(|path| Pcap::create(path, times)).transpose()?;
    let mut shown = Shown { text: BufWriter::new(Results), pcap };
    for (index, port) in plan.ports.iter().enumerate() {
        if index > 0 {
            shown.write("\n")?;
        }
        port_frames(&config, port, options, &mut shown)?;
    }
    let Shown { mut text, pcap } = shown;
    text.flush().map_err(CommandError::standard_output)?;
    pcap.map_or(Ok(()), Pcap::finish)
}

/// Where what is shown goes.
struct Shown {
    text: BufWriter<Results>,
    pcap: Option<Pcap>,
}

impl Shown {
    /// Writes nothing where standard output has the pcap.
    fn write(&mut self, text: &str) -> Result<(), CommandError> {
        if self.pcap.as_ref().is_some_and(Pcap::is_on_stdout) {
            return Ok(());
        }
        self.text.write_all(text.as_bytes()).map_err(CommandError::standard_output)
    }

    /// Whether standard output is closed (`show … | head`) and no file is left to complete.
    fn is_over(&self) -> bool {
        streams::is_closed() && self.pcap.as_ref().is_none_or(Pcap::is_on_stdout)
    }
}

/// The flows of a port, and its first frames.
fn port_frames(
    config: &Config,
    port: &PortPlan,
    options: &cli::Show,
    shown: &mut Shown,
) -> Result<(), CommandError> {
    let flows: Vec<&Flow> = flows_of(config, port).collect();
    let mut sequence = sequence::frames(port)?.fuse();
    let described = described(&flows, &options.flow);
    let FirstFrames { shown: first, firsts } =
        look_ahead(&mut sequence, options.packets, &described)?;
    shown.write(&describe(port, &flows, rate_of(config, port), &described, &firsts))?;
    let width = flows.iter().map(|flow| flow.name.value.chars().count()).max().unwrap_or(0);
    for (number, numbered) in (1..=options.packets).zip(first.into_iter().map(Ok).chain(sequence)) {
        if shown.is_over() {
            break;
        }
        let NumberedFrame { flow, due, frame } = numbered?;
        let name = flows.get(flow).map_or("", |flow| &flow.name.value);
        let size = frame.len() + FCS_LEN as usize;
        let at = due.map_or_else(String::new, at);
        shown.write(&format!(
            "{number:>8}  {name:width$}  {size:>4}{at}  {}\n",
            frames::line(&frame)
        ))?;
        if let Some(pcap) = &mut shown.pcap {
            pcap.write(&frame, due)?;
        }
    }
    Ok(())
}

/// Each of the names given is that of a flow.
fn check_names(config: &Config, given: &[String]) -> Result<(), Diagnostics> {
    let known = || config.flows.iter().map(|flow| flow.name.value.as_str());
    let mut wrong = Diagnostics::new(Source::command_line());
    for name in given.iter().filter(|name| known().all(|known| known != *name)) {
        wrong.push(
            Diagnostic::new(&Origin::Option("--flow"), format!("there is no flow `{name}`"))
                .help(names::cure(name, "flows", known())),
        );
    }
    wrong.into_result(())
}

/// Indices of the flows to describe.
fn described(flows: &[&Flow], named: &[String]) -> Vec<usize> {
    let all = 0..flows.len();
    if named.is_empty() {
        return all.take(DESCRIBED).collect();
    }
    all.filter(|&index| named.contains(&flows[index].name.value)).collect()
}

/// The frames made to find the first one of each flow to describe.
struct FirstFrames {
    /// The frames to show, as far as they were made.
    shown: Vec<NumberedFrame>,
    /// The first frames, by flow.
    firsts: BTreeMap<usize, Vec<u8>>,
}

fn look_ahead(
    sequence: &mut impl Iterator<Item = Result<NumberedFrame, CommandError>>,
    packets: u64,
    described: &[usize],
) -> Result<FirstFrames, CommandError> {
    let (mut shown, mut firsts) = (Vec::new(), BTreeMap::new());
    for numbered in sequence.take(SEARCHED) {
        let numbered = numbered?;
        if described.contains(&numbered.flow) {
            firsts.entry(numbered.flow).or_insert_with(|| numbered.frame.clone());
        }
        if (shown.len() as u64) < packets {
            shown.push(numbered);
        }
        if firsts.len() == described.len() {
            break;
        }
    }
    Ok(FirstFrames { shown, firsts })
}

/// A heading and a table for each flow, and the heading of the port's frames.
fn describe(
    port: &PortPlan,
    flows: &[&Flow],
    rate: Option<&Profile>,
    described: &[usize],
    firsts: &BTreeMap<usize, Vec<u8>>,
) -> String {
    let mut text = String::new();
    for &index in described {
        let first = firsts.get(&index).map(Vec::as_slice);
        let table = fields::render(flows[index], layout(port, index), first);
        text += &format!("{}\n{table}\n", heading(port, flows, rate, index));
    }
    let more = flows.len().saturating_sub(described.len());
    if more > 0 {
        let (more, plural) = (numbers::grouped(more as u64), if more == 1 { "" } else { "s" });
        text += &format!(
            "… and {more} more flow{plural} on port {} (`--flow NAME` describes one)\n\n",
            port.name
        );
    }
    let when = if port.pacing.is_some() { "when it leaves, " } else { "" };
    let name = port_name(&port.name, &port.interface);
    text += &format!("frames of port {name}: number, flow, bytes on the wire, {when}headers\n");
    text
}

fn heading(port: &PortPlan, flows: &[&Flow], rate: Option<&Profile>, index: usize) -> String {
    let flow = flows[index];
    let mut text =
        format!("flow {}, port {}, ", flow.name.value, port_name(&port.name, &port.interface));
    text += &format!("{} on the wire", words::size(&flow.size.value));
    // Flows that have rates of their own take no turns.
    if flows.len() > 1 && flow.rate.is_none() && rate.is_none() {
        let total = flows.iter().map(|flow| u64::from(flow.weight.value)).sum();
        let weight = flow.weight.value;
        text += &format!(
            ", weight {weight} ({} of the port's frames)",
            numbers::percent(weight.into(), total)
        );
    }
    if flow.rate.is_some() || rate.is_some() {
        text += &format!(", {}", words::rate(rate, flows, index, port.pacing.as_ref()));
    }
    text + ", " + &words::extent(flow)
}

/// A time since the start, as a column: `  at 0.000123000 s`.
fn at(due: Duration) -> String {
    format!("  at {}", numbers::instant(due))
}
