//! `check`: everything a run does before it sends, and nothing else.

use std::{fmt::Write as _, time::Duration};

use crate::{
    cli,
    commands::{
        CommandError, findings::RunFindings, flows_of, order::first_departures, probe_kernel,
        rate_of, read_config, replace_rates, send::work_out,
    },
    config::{Action, Flow, Pattern},
    diagnosis::Severity,
    host::{System, descriptor_limit, resident_memory},
    output::{
        PortFinding,
        format::emit_text,
        numbers::{grouped, instant},
        streams::say,
        together::{findings, notes},
        words,
    },
    plan::{Needs, Plan, PortPlan, needs::in_words},
    units::CpuList,
};

/// Flows of a port that have a line of their own.
const LISTED: usize = 20;

pub(super) fn check(options: &cli::Check) -> Result<(), CommandError> {
    let mut config = read_config(&options.config, &options.overrides)?;
    replace_rates(&mut config, &options.rates, options.scale)?;
    // A file is checked as far as it can be, also by those who may not send.
    let (capabilities, unable) = match probe_kernel() {
        Ok(capabilities) => (Some(capabilities), None),
        Err(CommandError::CannotSend(unable)) => {
            say("the kernel's largest frame is not known and not checked");
            (None, Some(unable))
        }
        Err(error) => return Err(error),
    };
    let consent = options.consent();
    let plan = work_out(&config, capabilities, consent)?;
    notes(&plan.notes).iter().for_each(say);
    let mut text = String::new();
    for port in &plan.ports {
        let flows: Vec<&Flow> = flows_of(&config, port).collect();
        let firsts = first_departures(port);
        for (index, flow) in (0..).zip(&flows).take(LISTED) {
            let _ = writeln!(
                text,
                "port {}: flow {} out of {}, frames of {}, {}, {}{}, varying fields: {}, CPUs: {}",
                port.name,
                flow.name.value,
                port.interface,
                words::size(&flow.size.value),
                words::rate(rate_of(&config, port), &flows, index as usize, port.pacing.as_ref()),
                words::extent(flow),
                firsts.get(&index).map_or_else(String::new, |&first| format!(
                    ", first at {}",
                    instant(Duration::from_nanos(first))
                )),
                varying(flow),
                CpuList(&port.cpus_of(index as usize)).one_by_one()
            );
        }
        let more = flows.len().saturating_sub(LISTED);
        if more > 0 {
            let _ = writeln!(text, "port {}: … and {} more flows", port.name, grouped(more as u64));
        }
    }
    let _ = writeln!(text, "{}", needs(&plan));
    let remarks = RunFindings::of(&plan).foresee();
    for remark in findings(&remarks) {
        let _ = writeln!(text, "{remark}");
    }
    emit_text(&text)?;
    let sends = |port: &&PortPlan| matches!(port.action, Action::Redirect | Action::Tx);
    let sending: Vec<&str> =
        plan.ports.iter().filter(sends).map(|port| port.name.as_str()).collect();
    match unable {
        // As a run ends.
        Some(unable) => Err(unable.into()),
        None if nothing_can_be_sent(&sending, &remarks) => {
            Err(CommandError::NotReady("this machine".to_owned()))
        }
        None => Ok(()),
    }
}

/// Whether a run would end without a frame: each of the ports that send is kept from it, or one in
/// a way that ends the run of all of them.
fn nothing_can_be_sent(sending: &[&str], remarks: &[PortFinding]) -> bool {
    let blocked = |port: &str| {
        let of_port = remarks.iter().filter(|remark| remark.port == port);
        of_port.map(|remark| &remark.finding).any(|finding| finding.severity == Severity::Blocks)
    };
    let ends_the_run = |remark: &PortFinding| remark.finding.code == "generic_program_in_the_way";
    !sending.is_empty() && sending.iter().all(|port| blocked(port))
        || remarks.iter().any(ends_the_run)
}

/// Memory and file descriptors of all ports together, and of each port where there are several.
fn needs(plan: &Plan) -> String {
    let of_ports = || plan.ports.iter().map(|port| (port.name.as_str(), port.needs));
    let all = of_ports().fold(Needs::default(), |all, (_, needs)| all.and(needs));
    let each = of_ports().map(|(name, needs)| format!("port {name}: {}", in_words(needs.kernel)));
    let each = if plan.ports.len() > 1 {
        format!(" ({})", each.collect::<Vec<_>>().join(", "))
    } else {
        String::new()
    };
    let limit = descriptor_limit().map_or_else(String::new, |limit| format!(" of {limit}"));
    let free = System::gather()
        .memory
        .map_or_else(String::new, |bytes| format!("; {} can be had", in_words(bytes)));
    let own = resident_memory()
        .map_or_else(String::new, |bytes| format!(", {} in this process", in_words(bytes)));
    format!(
        "memory: {} in the kernel{each}{own}{free}; file descriptors: about {}{limit}",
        in_words(all.kernel),
        all.most_descriptors(),
    )
}

fn varying(flow: &Flow) -> usize {
    let fields = flow.packet.iter().flat_map(|header| &header.fields);
    fields.filter(|setting| !matches!(setting.pattern.value, Pattern::Value(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Finding;

    #[test]
    fn not_ready_where_a_run_would_send_nothing() {
        #[track_caller]
        fn check(sending: &[&str], remarks: &[(&str, &'static str, Severity)], expected: bool) {
            let remark = |&(port, code, severity): &(&str, &'static str, Severity)| {
                let finding = Finding { code, severity, cause: String::new(), cure: String::new() };
                PortFinding { port: port.to_owned(), frames: None, finding }
            };
            let remarks: Vec<PortFinding> = remarks.iter().map(remark).collect();
            assert_eq!(
                nothing_can_be_sent(sending, &remarks),
                expected,
                "{sending:?}: {remarks:?}"
            );
        }
        let (down, late) =
            (("a", "veth_peer_down", Severity::Blocks), ("b", "shared_cpu", Severity::Loses));
        check(&[], &[], false);
        check(&["a"], &[], false);
        check(&["a"], &[down], true);
        check(&["a", "b"], &[down, late], false);
        check(&["a", "b"], &[down, ("b", "tap_unopened", Severity::Blocks)], true);
        // The other port lets its frames pass by.
        check(&["a"], &[down, late], true);
        // To attach ours there fails, and the run with it.
        check(&["a", "b"], &[("a", "generic_program_in_the_way", Severity::Blocks)], true);
    }
}
