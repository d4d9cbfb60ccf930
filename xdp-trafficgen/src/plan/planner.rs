//! Works out the plan of each port in turn, and gathers the errors of all.

mod checks;

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::abi::BODY_LEN;

use super::{
    Consent, FlowPlan, FrameBounds, Needs, Note, Pacing, PortPlan, Program, RequiredProgram,
    addresses::{self, Addressed, Topic},
    memory, pacing,
    program::{self, Source},
    stack,
    unreachable::AddressingFaults,
};
use crate::{
    config::{Action, Diagnostic, Diagnostics, Flow, Port, WhenFull},
    host::{Facts, Link},
    packet::{self, Template},
    units::FrameLen,
};

/// The most remarks of a kind about a port's addresses.
const REMARKS: usize = 8;

pub(super) struct Planner<'a> {
    pub(super) facts: &'a Facts,
    pub(super) consent: Consent,
    /// The CPUs of every port, by its name.
    pub(super) chosen: BTreeMap<String, Vec<u32>>,
    /// Bytes of memory left for the next ports; none when it is not known.
    pub(super) memory: Option<u64>,
    pub(super) diagnostics: Diagnostics,
    pub(super) notes: Vec<Note>,
    /// Remarks about addresses, by port, each once.
    pub(super) remarks: BTreeMap<(String, Topic), String>,
    pub(super) faults: AddressingFaults,
}

impl Planner<'_> {
    /// The port's plan; none after an error, which is then in the diagnostics.
    pub(super) fn port(&mut self, port: &Port, flows: &[&Flow]) -> Option<PortPlan> {
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
        let mut sources: Vec<Source<'_>> = Vec::with_capacity(flows.len());
        for addressed in addressed.iter().flatten() {
            let template = self.template(addressed, egress, cut);
            sources.extend(template.map(|template| Source { flow: addressed.flow(), template }));
        }
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
            limits: program::Limits { largest_frame: self.largest_frame(), memory: self.memory },
        });
        let (pacing, program) = (pacing?, program?);
        if pacing.is_some() && port.when_full.value == WhenFull::Flood {
            self.diagnostics.push(flood_with_rate(port));
        }
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
        let varied = |addressed: &Option<Addressed<'_>>| addressed.as_ref()?.varied.clone();
        Some(PortPlan {
            name: port.name.value.clone(),
            interface: egress.name.clone(),
            egress: egress.index,
            ingress: ingress.index,
            action: port.action.value,
            cpus: workers,
            batch_size: port.batch_size.value,
            when_full: port.when_full.value,
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

    /// Subtracts a port's memory from what is left.
    fn take(&mut self, port: &Port, needs: &Needs) {
        let Some(memory) = &mut self.memory else { return };
        match memory.checked_sub(needs.memory()) {
            Some(left) => *memory = left,
            None => {
                self.diagnostics.push(memory::too_much(&port.name.place, needs.memory(), *memory))
            }
        }
    }

    /// None after an error.
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

    /// None after an error; none within when the port sends at full speed.
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

    /// Whether every frame's bounds must change; if so, a note says it.
    ///
    /// Before Linux 6.3 (commit e5995bc7e2ba) the kernel keeps a driver's changes to a recycled
    /// frame as long as the program leaves the frame's bounds alone. virtio_net moves a frame's
    /// start forward by its own header of 12 bytes: frames grow, and their contents move
    /// (doc/measurements.md#drivers-and-kernels). A program that changes the bounds makes the
    /// kernel set the frame up anew.
    fn cut(&mut self, port: &Port, link: Option<&Link>) -> FrameBounds {
        // virtio_net is the only driver of network interfaces on that bus that sends XDP frames.
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

    /// Bytes of the largest frame without FCS. Pages of more than 4 KiB hold more than the program
    /// copies of a payload.
    fn largest_frame(&self) -> Option<usize> {
        self.facts.largest_frame.map(|largest| largest.min(BODY_LEN))
    }

    /// Adds a note unless another port has the same.
    pub(super) fn note_once(&mut self, note: Option<String>) {
        let note = note.map(Note::from);
        self.notes.extend(note.filter(|note| !self.notes.contains(note)));
    }

    /// The flow with its addresses; none after an error, which is then among the faults.
    fn addressed<'b>(
        &mut self,
        port: &Port,
        flow: &'b Flow,
        number: usize,
    ) -> Option<Addressed<'b>> {
        match addresses::addressed(port, flow, number, self.facts) {
            Ok(addressed) => {
                for (topic, sentence) in &addressed.remarks {
                    // Thousands of flows often share a neighbour.
                    self.remarks
                        .entry((port.name.value.clone(), *topic))
                        .or_insert_with(|| sentence.clone());
                }
                Some(addressed)
            }
            Err(fault) => {
                self.faults.add(fault);
                None
            }
        }
    }

    /// Reports faults and remarks about addresses.
    pub(super) fn conclude(&mut self) {
        for diagnostic in std::mem::take(&mut self.faults).into_diagnostics() {
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
        let flow = addressed.flow();
        let layers = stack::layers(flow, egress.mac, addressed.given);
        // The kernel's limit is checked below.
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
        // The smallest frame must hold all headers too.
        let smallest = FrameLen::new(flow.size.value.smallest()).in_kernel();
        packet::assemble(&layers, smallest, &flow.payload.value)
            .and_then(|template| match smallest == frame_len {
                true => Ok(template),
                false => packet::assemble(&layers, frame_len, &flow.payload.value),
            })
            .map_err(|error| self.diagnostics.push(stack::diagnostic(flow, &error)))
            .ok()
    }
}

fn flood_with_rate(port: &Port) -> Diagnostic {
    let message = format!("the port `{}` is to flood, and has a rate", port.name.value);
    Diagnostic::new(&port.when_full.place, message)
        .help("leave one of both out: with a rate, frames leave when they are due")
}
