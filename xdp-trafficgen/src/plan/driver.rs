//! The XDP program that the driver of the egress interface needs.
//!
//! It follows from the facts of that interface; [`crate::host::drivers`] describes the drivers.

#[cfg(test)]
pub(super) mod tests;

use crate::{
    config::{Diagnostic, Port},
    host::{
        AttachedMode, AttachedXdp, Interface, XdpFeatures,
        drivers::{is_known, needs_program},
    },
    plan::{ExistingProgram, RequiredProgram, planner::Planner},
};

impl Planner<'_> {
    /// The program to attach to the interface that frames leave by.
    pub(super) fn attach(&mut self, port: &Port, interface: &Interface) -> RequiredProgram {
        let Wanted { attach, note, obstacle } = wanted(interface, self.consent.existing);
        if let Some(program) = obstacle {
            let name = &interface.link.name;
            let place = if interface.link.answers_to(&port.interface.value) {
                &port.interface
            } else {
                port.ingress.as_ref().unwrap_or(&port.interface)
            };
            self.diagnostics.push(
                Diagnostic::new(
                    &place.place,
                    format!("{program} is attached to `{name}`, whose driver sends only with a program of its own"),
                )
                .help(program.out_of_the_way(name)),
            );
        }
        self.note_once(note);
        attach
    }
}

/// The program to attach to an interface so that its driver sends.
pub fn attachment(interface: &Interface, existing: ExistingProgram) -> RequiredProgram {
    wanted(interface, existing).attach
}

/// The program to attach, and what the user should know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted<'a> {
    attach: RequiredProgram,
    note: Option<String>,
    /// A program that prevents the attachment, and is to stay.
    obstacle: Option<&'a AttachedXdp>,
}

/// The program to attach to `interface` so that its driver sends.
fn wanted(interface: &Interface, existing: ExistingProgram) -> Wanted<'_> {
    let Some(why) = why_a_program(interface) else { return Wanted::default() };
    if interface.xdp_in(AttachedMode::Native).is_some() {
        // The program is a user's, which stays, or another port's in this process, which the last
        // port detaches. The user needs no note for either.
        return Wanted { attach: RequiredProgram::Pass(existing), ..Wanted::default() };
    }
    let name = &interface.link.name;
    let mut note = format!(
        "{name}: an XDP program that passes everything is attached while frames are sent, for {why}"
    );
    let generic = interface.xdp_in(AttachedMode::Generic);
    let obstacle = generic.filter(|generic| existing == ExistingProgram::Keep || generic.on_link);
    if let (Some(generic), None) = (generic, obstacle) {
        note += &format!("; {generic} makes way for it until the end");
    }
    Wanted { attach: RequiredProgram::Pass(existing), note: Some(note), obstacle }
}

/// Why the interface needs a program; none when it needs none, or when a program would not help. A
/// program that is attached already changes nothing: it may be another port's, which ends before
/// this one.
fn why_a_program(interface: &Interface) -> Option<String> {
    let driver = interface.driver_name();
    // Whether a veth sends depends on its peer (veth_xdp_xmit).
    let nothing_helps =
        interface.features.is_some_and(|features| !features.has(XdpFeatures::BASIC));
    if driver == "veth" || nothing_helps {
        return None;
    }
    if needs_program(driver) {
        return Some(format!("{driver} sends XDP frames only then"));
    }
    let sends = interface.features.is_none_or(|features| features.has(XdpFeatures::NDO_XMIT));
    // The features of an unknown driver may depend on the program that is attached now.
    let only_now = interface.features.is_some()
        && interface.xdp_in(AttachedMode::Native).is_some()
        && !is_known(driver);
    let driver = if driver.is_empty() { "its driver" } else { driver };
    (!sends || only_now)
        .then(|| format!("{driver} does not send XDP frames as it is, and may then"))
}
