//! The plan: what will be sent, worked out completely before anything touches the kernel.
//!
//! A pure function of the configuration and the host's facts. Everything that can be wrong is found
//! here or before; what follows only carries it out.

mod addresses;
mod cpus;
mod driver;
#[doc(hidden)]
pub mod needs;
mod note;
#[doc(hidden)]
pub mod pacing;
mod program;
mod rows;
#[doc(hidden)]
pub mod schedule;
mod sequence;
mod size_table;
mod slots;
mod stack;
#[cfg(test)]
pub(crate) mod tests;
#[doc(hidden)]
pub mod turns;
mod unreachable;

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use xdp_trafficgen_ebpf::abi::{BODY_LEN, MAX_TURNS};

pub use addresses::sought;
#[doc(hidden)]
pub use cpus::default_cpu;
#[doc(hidden)]
pub use driver::attachment;
#[doc(hidden)]
pub use needs::Needs;
pub use note::Note;
#[doc(hidden)]
pub use note::port_name;
#[doc(hidden)]
pub use pacing::Pacing;
#[doc(hidden)]
pub use program::{FrameBounds, Program};

use crate::{
    config::{Action, Config, Diagnostic, Diagnostics, Flow, Located, Origin, Port, Size, names},
    host::{Facts, Link},
    packet::{self, HeaderKind, Template},
    plan::{
        addresses::{Addressed, Topic},
        program::Source,
        unreachable::AddressingFaults,
    },
    units::{self, FrameLen, Nanos},
};

/// Everything that will be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One for each interface that sends.
    pub ports: Vec<PortPlan>,
    /// What was decided for the user, in sentences worth showing.
    pub notes: Vec<Note>,
}

/// One interface that sends.
#[derive(Clone, Debug)]
pub struct PortPlan {
    /// The port's name.
    pub name: String,
    /// The egress interface's name.
    pub interface: String,
    /// The egress interface's index.
    pub egress: u32,
    /// Index of the interface frames seem to come from.
    pub ingress: u32,
    /// What happens to a frame.
    pub action: Action,
    /// One worker on each.
    pub cpus: Vec<u32>,
    /// Frames the kernel sends together.
    pub batch_size: u32,
    /// What has to be attached to the interface that frames leave by, so that they do.
    pub attach: RequiredProgram,
    /// Bits a second of that interface's link; none when it is virtual, whose speed is only a
    /// number.
    pub line_rate: Option<u64>,
    /// What is sent; at least one.
    pub flows: Vec<FlowPlan>,
    /// When frames leave; as fast as they can when none.
    #[doc(hidden)]
    pub pacing: Option<Pacing>,
    /// What the kernel's programs do for it.
    #[doc(hidden)]
    pub program: Program,
    /// What it takes of the machine.
    #[doc(hidden)]
    pub needs: Needs,
}

/// What has to be attached to an interface before its driver sends XDP frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredProgram {
    /// It sends them as it is, or nothing would help.
    #[default]
    Nothing,
    /// An XDP program that passes everything on, for as long as frames are sent; one that is in the
    /// driver already does as well.
    Pass(ExistingProgram),
}

/// What becomes of an XDP program that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingProgram {
    /// It stays, and nothing is sent.
    Keep,
    /// It makes way until the end: `--replace-xdp`.
    Replace,
}

/// Frames of one layout.
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// The flow's name.
    pub name: String,
    /// Its share of the port's frames.
    pub weight: u32,
    /// Bytes of its smallest frame on the wire, FCS included.
    pub smallest: u32,
    /// Bytes of its largest frame on the wire, FCS included.
    pub largest: u32,
    /// How long after the start it begins.
    pub delay: Duration,
    /// Frames in total over all workers; without end when none. With a rate: departures.
    pub packets: Option<u64>,
    /// When to end, counted from its beginning; never when none.
    pub duration: Option<Duration>,
    /// The longest frame, every field at its first value, and where everything is in it.
    #[doc(hidden)]
    pub layout: Template,
    /// The flow where more of it varies than the user wrote: destinations with MAC addresses of
    /// their own.
    #[doc(hidden)]
    pub addressed: Option<Box<Flow>>,
}

impl FlowPlan {
    /// From its beginning to its end, since the start.
    #[doc(hidden)]
    pub fn window(&self) -> (Nanos, Nanos) {
        let begin = Nanos::from(self.delay);
        (begin, self.duration.map_or(Nanos::NEVER, |duration| Nanos::from(duration).after(begin)))
    }
}

impl PortPlan {
    /// Index of the interface that frames leave by; none when they do not.
    pub fn leaves_by(&self) -> Option<u32> {
        match self.action {
            Action::Redirect => Some(self.egress),
            Action::Tx => Some(self.ingress),
            Action::Pass | Action::Drop => None,
        }
    }

    /// How many frames of a flow the worker with this index (not its CPU) sends: shares differ by
    /// one at most and add up exactly.
    pub fn share(&self, flow: &FlowPlan, worker: usize) -> Option<u64> {
        flow.packets.map(|packets| units::share(packets, self.cpus.len() as u64, worker as u64))
    }
}

/// What a user may have to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRoute {
    /// Interfaces that carry a default route must not send.
    Refuse,
    /// They may: `--allow-default-route`.
    Allow,
}

/// What a user has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Whether interfaces with a default route may send.
    pub default_route: DefaultRoute,
    /// What becomes of XDP programs in the way.
    pub existing: ExistingProgram,
}

impl From<DefaultRoute> for Consent {
    /// And to nothing else.
    fn from(default_route: DefaultRoute) -> Self {
        Self { default_route, existing: ExistingProgram::Keep }
    }
}

/// The names of the interfaces that a plan for `config` wants to know more about
/// ([`Facts::interfaces`]): those that frames leave by, or seem to come from.
pub fn interfaces(config: &Config) -> Vec<&str> {
    let ports = config.ports.iter();
    ports
        .flat_map(|port| [Some(&port.interface), port.ingress.as_ref()])
        .flatten()
        .map(|name| name.value.as_str())
        .collect()
}

/// Works out the plan.
///
/// # Errors
/// Everything in the configuration that this host cannot do.
pub fn plan(
    config: &Config,
    facts: &Facts,
    consent: impl Into<Consent>,
) -> Result<Plan, Diagnostics> {
    let mut planner = Planner {
        facts,
        consent: consent.into(),
        chosen: cpus::choose(config, facts),
        memory: facts.system.memory,
        diagnostics: Diagnostics::new(config.source.clone()),
        notes: Vec::new(),
        remarks: BTreeMap::new(),
        troubles: AddressingFaults::default(),
    };
    let mut flows: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
    for flow in &config.flows {
        flows.entry(&flow.port.value).or_default().push(flow);
    }
    let ports = config
        .ports
        .iter()
        .filter_map(|port| planner.port(port, flows.get(port.name.value.as_str())?))
        .collect();
    planner.conclude();
    let Planner { diagnostics, notes, .. } = planner;
    diagnostics.into_result(Plan { ports, notes })
}

/// Remarks of a kind about a port's addresses.
const REMARKS: usize = 8;

struct Planner<'a> {
    facts: &'a Facts,
    consent: Consent,
    /// The CPUs of every port, by its name.
    chosen: BTreeMap<String, Vec<u32>>,
    /// Bytes of memory that are left for ports to come; none when it is not known.
    memory: Option<u64>,
    diagnostics: Diagnostics,
    notes: Vec<Note>,
    /// What was found out about addresses, by port, each once.
    remarks: BTreeMap<(String, Topic), String>,
    troubles: AddressingFaults,
}

impl Planner<'_> {
    /// None when something is wrong, which is then in the diagnostics.
    fn port(&mut self, port: &Port, flows: &[&Flow]) -> Option<PortPlan> {
        let egress = self.link(&port.interface);
        let ingress = match &port.ingress {
            Some(name) => self.link(name),
            None => egress.clone(),
        };
        let leaves_by = match port.action.value {
            Action::Redirect => egress.as_ref(),
            Action::Tx => ingress.as_ref(),
            Action::Pass | Action::Drop => None,
        };
        let facts = self.facts;
        let driven = leaves_by.and_then(|link| facts.interface(&link.name));
        let cpus = self.cpus(port, driven);
        let (egress, ingress) = (egress.as_ref()?, ingress.as_ref()?);
        if let Some(link) = leaves_by {
            self.check_default_route(port, link);
        }
        let attach =
            driven.map_or(RequiredProgram::Nothing, |interface| self.attach(port, interface));
        self.check_weights(flows);
        let cut = self.cut(port, leaves_by);
        let addressed: Vec<_> = flows
            .iter()
            .enumerate()
            .map(|(number, flow)| self.addressed(port, flow, number))
            .collect();
        let templates: Vec<_> = addressed
            .iter()
            .map(|addressed| self.template(addressed.as_ref()?, egress, cut))
            .collect();
        let sources: Vec<Source<'_>> = addressed
            .iter()
            .zip(templates)
            .filter_map(|(addressed, template)| {
                Some(Source { flow: &addressed.as_ref()?.flow, template: template? })
            })
            .collect();
        if let Some(link) = leaves_by {
            for Source { flow, template } in &sources {
                self.check_size(flow, template, link);
            }
        }
        let workers = cpus?;
        if sources.len() < flows.len() || !self.diagnostics.is_empty() {
            return None;
        }
        let pacing = self.pacing(&pacing::Request {
            port,
            flows,
            workers: workers.len(),
            link_speed: leaves_by.unwrap_or(egress).speed,
            max_segments: pacing::MAX_SEGMENTS,
        });
        let program = self.program(&program::Request {
            sources: &sources,
            action: port.action.value,
            cpus: &workers,
            cut,
            pacing: pacing.as_ref().and_then(Option::as_ref),
            limits: program::Limits {
                largest_frame: self.largest_frame().unwrap_or(usize::MAX),
                memory: self.memory,
            },
        });
        let (pacing, program) = (pacing?, program?);
        let possible_cpus = facts.possible_cpus.max(facts.cpus.len());
        let needs = Needs::of(
            &program,
            pacing.as_ref(),
            workers.len(),
            port.batch_size.value,
            possible_cpus,
        );
        self.take(port, &needs);
        let line_rate = leaves_by.filter(|link| link.bus.is_some()).and_then(|link| link.speed);
        let varied = |addressed: &Option<Addressed<'_>>| match addressed {
            Some(Addressed { flow: Cow::Owned(flow), .. }) => Some(Box::new(flow.clone())),
            _ => None,
        };
        Some(PortPlan {
            name: port.name.value.clone(),
            interface: egress.name.clone(),
            egress: egress.index,
            ingress: ingress.index,
            action: port.action.value,
            cpus: workers,
            batch_size: port.batch_size.value,
            attach,
            line_rate,
            flows: sources
                .into_iter()
                .zip(addressed.iter().map(varied))
                .map(|(Source { flow, template }, addressed)| FlowPlan {
                    name: flow.name.value.clone(),
                    weight: flow.weight.value,
                    smallest: flow.size.value.smallest(),
                    largest: flow.size.value.largest(),
                    delay: flow.delay.value,
                    packets: flow.packets.as_ref().map(|packets| packets.value),
                    duration: flow.duration.as_ref().map(|duration| duration.value),
                    layout: template,
                    addressed,
                })
                .collect(),
            pacing,
            program,
            needs,
        })
    }

    /// Takes a port's memory off what is left.
    fn take(&mut self, port: &Port, needs: &Needs) {
        let Some(memory) = &mut self.memory else { return };
        match memory.checked_sub(needs.memory()) {
            Some(left) => *memory = left,
            None => {
                self.diagnostics.push(needs::too_much(&port.name.place, needs.memory(), *memory))
            }
        }
    }

    /// None when something is wrong.
    fn program(&mut self, request: &program::Request<'_>) -> Option<Program> {
        match program::compile(request) {
            Ok(program) => Some(program),
            Err(diagnostics) => {
                for diagnostic in diagnostics {
                    self.diagnostics.push(diagnostic);
                }
                None
            }
        }
    }

    /// None when something is wrong; none within, when the port sends as fast as it can.
    fn pacing(&mut self, request: &pacing::Request<'_>) -> Option<Option<Pacing>> {
        match pacing::pacing(request) {
            Ok(None) => Some(None),
            Ok(Some((pacing, notes))) => {
                let port = &request.port.name.value;
                self.notes.extend(notes.into_iter().map(|text| Note::of(port, text)));
                Some(Some(pacing))
            }
            Err(diagnostics) => {
                for diagnostic in diagnostics {
                    self.diagnostics.push(diagnostic);
                }
                None
            }
        }
    }

    /// Whether every frame's bounds must change, with a word to the user.
    ///
    /// Before Linux 6.3 (commit e5995bc7e2ba) the kernel takes what a driver did to a recycled
    /// frame for what it should be, as long as the program left the frame's bounds alone.
    /// virtio_net moves a frame's start forward by its own header of 12 bytes: frames grow, and
    /// their contents move (doc/measurements.md#drivers-and-kernels). A program that changes the
    /// bounds makes the kernel set the frame up anew.
    fn cut(&mut self, port: &Port, link: Option<&Link>) -> FrameBounds {
        // The only driver of network interfaces on that bus whose frames XDP could send.
        let moves_frames = link.is_some_and(|link| link.bus.as_deref() == Some("virtio"));
        let Some((major, minor)) =
            self.facts.kernel.filter(|&kernel| moves_frames && kernel < (6, 3))
        else {
            return FrameBounds::WhereNeeded;
        };
        let text = format!(
            "Linux {major}.{minor} sends recycled frames corrupted on virtio_net unless their bounds change, so every frame is \
             cut to its size, which costs some of the rate; Linux 6.3 and later need no such thing"
        );
        self.notes.push(Note::of(&port.name.value, text));
        FrameBounds::Always
    }

    /// Bytes of the largest frame, FCS not counted. Pages of more than 4 KiB hold more than the
    /// program copies of a payload.
    fn largest_frame(&self) -> Option<usize> {
        self.facts.largest_frame.map(|largest| largest.min(BODY_LEN))
    }

    fn check_weights(&mut self, flows: &[&Flow]) {
        if let Some(excess) = flows.get(MAX_TURNS) {
            self.diagnostics.push(
                Diagnostic::new(
                    &excess.name.place,
                    format!("this port has {} flows, more than the {MAX_TURNS} that it has room for", flows.len()),
                )
                .help(format!(
                    "give the flows behind the first {MAX_TURNS} another port, or let fields of fewer flows vary: one flow can go \
                     through any number of addresses and ports"
                )),
            );
            return;
        }
        let weights: Vec<u32> = flows.iter().map(|flow| flow.weight.value).collect();
        let turns = schedule::cycle_len(&weights);
        if let (true, Some(flow)) =
            (turns > MAX_TURNS as u64, flows.iter().max_by_key(|flow| flow.weight.value))
        {
            // Where nobody wrote a weight, there are too many flows.
            let written = Some(&flow.weight.place).filter(|place| **place != Origin::Default);
            self.diagnostics.push(
                Diagnostic::new(
                    written.unwrap_or(&flow.name.place),
                    format!("the weights of this port's flows make a cycle of {turns} frames, more than {MAX_TURNS}"),
                )
                .help("use smaller weights in the same proportion"),
            );
        }
        for flow in flows {
            if let Size::Weighted(sizes) = &flow.size.value {
                let weights: Vec<u32> = sizes.iter().map(|size| size.weight).collect();
                let turns = schedule::cycle_len(&weights);
                if turns > MAX_TURNS as u64 {
                    self.diagnostics.push(
                        Diagnostic::new(
                            &flow.size.place,
                            format!("the weights of these sizes make a cycle of {turns} frames, more than {MAX_TURNS}"),
                        )
                        .help("use smaller weights in the same proportion"),
                    );
                }
            }
        }
    }

    fn link(&mut self, name: &Located<String>) -> Option<Link> {
        let Some(link) = self.facts.link(&name.value) else {
            let known = self.facts.links.iter().flat_map(Link::names);
            let help = match name.value.split_once('@') {
                Some((own, _)) if self.facts.link(own).is_some() => {
                    format!("write `{own}`: behind the `@`, `ip link` shows what it is linked to")
                }
                _ => names::cure(&name.value, "interfaces", known),
            };
            self.diagnostics.push(
                Diagnostic::new(&name.place, format!("there is no interface `{}`", name.value))
                    .help(help),
            );
            return None;
        };
        if !link.up {
            self.diagnostics.push(
                Diagnostic::new(&name.place, format!("the interface `{}` is down", name.value))
                    .help(format!("set it up: `ip link set {} up`", name.value)),
            );
            return None;
        }
        if link.mac.is_none() {
            self.diagnostics.push(
                Diagnostic::new(
                    &name.place,
                    format!("`{}` is not an Ethernet interface", name.value),
                )
                .help("choose one that `ip link` shows with link/ether"),
            );
            return None;
        }
        if !link.carrier {
            self.notes.push(
                format!("{} has no carrier: is its other end plugged in and up?", name.value)
                    .into(),
            );
        }
        Some(link.clone())
    }

    fn check_default_route(&mut self, port: &Port, link: &Link) {
        if self.consent.default_route == DefaultRoute::Refuse
            && self.facts.default_route.contains(&link.index)
        {
            self.diagnostics.push(
                Diagnostic::new(&port.interface.place, format!("`{}` carries this machine's default route", link.name))
                    .help("send out of another interface, or say that you mean it with `--allow-default-route`"),
            );
        }
    }

    /// Several ports may have the same to say.
    fn note_once(&mut self, note: Option<String>) {
        let note = note.map(Note::from);
        self.notes.extend(note.filter(|note| !self.notes.contains(note)));
    }

    /// None when something is wrong, which is then among the troubles.
    fn addressed<'b>(
        &mut self,
        port: &Port,
        flow: &'b Flow,
        number: usize,
    ) -> Option<Addressed<'b>> {
        match addresses::addressed(port, flow, number, self.facts) {
            Ok(addressed) => {
                for (topic, sentence) in &addressed.remarks {
                    // Thousands of flows often have the same neighbour.
                    self.remarks
                        .entry((port.name.value.clone(), *topic))
                        .or_insert_with(|| sentence.clone());
                }
                Some(addressed)
            }
            Err(trouble) => {
                self.troubles.add(trouble);
                None
            }
        }
    }

    /// Says what was found out about addresses, good and bad.
    fn conclude(&mut self) {
        for diagnostic in std::mem::take(&mut self.troubles).into_diagnostics() {
            self.diagnostics.push(diagnostic);
        }
        let mut last = None;
        let mut alike = 0;
        for ((port, topic), sentence) in std::mem::take(&mut self.remarks) {
            let kind = Some((port.clone(), std::mem::discriminant(&topic)));
            alike = if last == kind { alike + 1 } else { 1 };
            match alike {
                ..=REMARKS => self.notes.push(Note::of(&port, sentence)),
                _ if alike == REMARKS + 1 => {
                    self.notes.push(Note::of(&port, "… and more like these".to_owned()))
                }
                _ => {}
            }
            last = kind;
        }
    }

    fn template(
        &mut self,
        addressed: &Addressed<'_>,
        egress: &Link,
        cut: FrameBounds,
    ) -> Option<Template> {
        let Addressed { flow, given, .. } = addressed;
        let layers = stack::layers(flow, egress.mac, *given);
        // The kernel's limit is checked next.
        let frame_len = FrameLen::new(flow.size.value.largest()).in_kernel();
        let spare = if cut == FrameBounds::Always { program::CUT_LEN } else { 0 };
        if let Some(largest) = self.largest_frame().map(|largest| largest - spare)
            && frame_len > largest
        {
            self.diagnostics.push(
                Diagnostic::new(
                    &flow.size.place,
                    format!(
                        "a frame of {} bytes is too large for the kernel",
                        flow.size.value.largest()
                    ),
                )
                .help(format!(
                    "live frames end at {} bytes on this kernel and driver, FCS included",
                    FrameLen::of_kernel(largest).bytes()
                )),
            );
            return None;
        }
        // The smallest frame must hold everything too.
        let smallest = FrameLen::new(flow.size.value.smallest()).in_kernel();
        packet::assemble(&layers, smallest, &flow.payload.value)
            .and_then(|template| match smallest == frame_len {
                true => Ok(template),
                false => packet::assemble(&layers, frame_len, &flow.payload.value),
            })
            .map_err(|error| self.diagnostics.push(stack::diagnostic(flow, &error)))
            .ok()
    }

    /// The kernel lets a frame pass that is 4 bytes (a VLAN tag) above the MTU with the Ethernet
    /// header; what is above the MTU behind the tags, receivers may drop.
    fn check_size(&mut self, flow: &Flow, template: &Template, link: &Link) {
        let tagged = flow.packet.iter().zip(&template.offsets).find(|(header, _)| {
            !matches!(header.kind.value, HeaderKind::Ethernet | HeaderKind::Vlan)
        });
        let network = tagged.map_or(14, |(_, &offset)| offset);
        let mtu = link.mtu as usize;
        let len = template.bytes.len();
        let most = (mtu + network).min(FrameLen::sent_at_mtu(link.mtu).in_kernel());
        if len > most {
            self.diagnostics.push(
                Diagnostic::new(
                    &flow.size.place,
                    format!(
                        "a frame of {} bytes is too large for the MTU of `{}`, {mtu}",
                        flow.size.value.largest(),
                        link.name
                    ),
                )
                .help(format!(
                    "write at most {}, or raise the MTU: `ip link set {} mtu {}`",
                    FrameLen::of_kernel(most).bytes(),
                    link.name,
                    len - network.min(18)
                )),
            );
        }
    }
}
