//! `check`: everything a run does before it sends, and nothing else.

use std::{fmt::Write as _, time::Duration};

use crate::{
    cli,
    commands::{
        CommandError,
        findings::Outlook,
        flows_of,
        order::first_departures,
        probe_kernel, rate_of, read_config, results,
        send::{default_route, existing, work_out},
    },
    config::{Flow, Pattern},
    kernel::probe::Unable,
    output::{
        streams::say,
        text::{finding, grouped, instant},
        words,
    },
    plan::Consent,
};

/// Flows of a port that have a line of their own.
const LISTED: usize = 20;

pub(super) fn check(options: &cli::Check) -> Result<(), CommandError> {
    let config = read_config(&options.config, &options.overrides)?;
    let capabilities = match probe_kernel() {
        Ok(capabilities) => Some(capabilities),
        // A file can be checked without the right to send.
        Err(CommandError::Unable(Unable::Privilege(_))) => {
            say("without root, the kernel's largest frame is not known and not checked");
            None
        }
        Err(error) => return Err(error),
    };
    let cli::Check { allow_default_route, replace_xdp, .. } = *options;
    let consent = Consent { default_route: default_route(allow_default_route), existing: existing(replace_xdp) };
    let plan = work_out(&config, capabilities, consent)?;
    plan.notes.iter().for_each(say);
    let mut text = String::new();
    for port in &plan.ports {
        let cpus = port.cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let flows: Vec<&Flow> = flows_of(&config, port).collect();
        let firsts = first_departures(port);
        for (index, flow) in (0..).zip(&flows).take(LISTED) {
            let _ = writeln!(
                text,
                "port {}: flow {} out of {}, frames of {}, {}, {}{}, varying fields: {}, CPUs: {cpus}",
                port.name,
                flow.name.value,
                port.interface,
                words::size(&flow.size.value),
                words::rate(rate_of(&config, port), &flows, index as usize, port.pacing.as_ref()),
                words::extent(flow),
                firsts
                    .get(&index)
                    .map_or_else(String::new, |&first| format!(", first at {}", instant(Duration::from_nanos(first)))),
                varying(flow)
            );
        }
        let more = flows.len().saturating_sub(LISTED);
        if more > 0 {
            let _ = writeln!(text, "port {}: … and {} more flows", port.name, grouped(more as u64));
        }
    }
    for remark in Outlook::of(&plan).foresee() {
        let _ = writeln!(text, "{}", finding(&remark));
    }
    results::print_text(&text)
}

fn varying(flow: &Flow) -> usize {
    let fields = flow.packet.iter().flat_map(|header| &header.fields);
    fields.filter(|setting| !matches!(setting.pattern.value, Pattern::Value(_))).count()
}
