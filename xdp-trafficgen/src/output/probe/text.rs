//! The report of `probe` for people: sections of short lines, at most 80 columns wide, the verdict
//! last.

mod interface;
mod page;

use self::page::Page;
use super::{InterfaceRemark, ProbeReport, Subject};
use crate::{
    diagnosis::{Finding, Verdict, in_full},
    host::{Cpu, Lockdown, System},
    kernel::{Answer, CALL_FRAMES, Survey, TracePoint},
    output::{Format, numbers::table},
    units::{CpuList, FrameLen},
};

/// `--output text`.
pub const FORMAT: Format<ProbeReport> = Format {
    name: "text",
    help: "Tables and sentences, for people",
    render: |report| Ok(render(report)),
};

/// Several lines, with a line feed at the end of each.
pub fn render(report: &ProbeReport) -> String {
    let ProbeReport { survey, system, cpus, allowed_cpus, subject, verdict, findings } = report;
    let mut page = Page::default();
    page.section("kernel", &kernel(survey, system));
    page.section("CPUs", &processors(system, cpus, allowed_cpus));
    if let Subject::Interface(probed) = subject {
        page.section(&probed.interface.link.name, &interface::lines(probed));
    }
    page.section("verdict", &[of_whom(subject, *verdict)]);
    for finding in findings {
        page.finding(finding);
    }
    let mut text = page.text();
    if let Subject::Machine(briefs) = subject {
        text += &interfaces(briefs);
    }
    text
}

fn of_whom(subject: &Subject, verdict: Verdict) -> String {
    match subject {
        Subject::Machine(_) => format!("this machine is {}", verdict.words()),
        Subject::Interface(probed) => {
            format!("{} is {}", probed.interface.link.name, verdict.words())
        }
    }
}

fn kernel(survey: &Survey, system: &System) -> Vec<String> {
    let Survey {
        missing_capabilities: _,
        live_frames,
        largest_frame,
        batch_limit,
        trace_points,
        bpf_loop,
        call,
    } = survey;
    let parts = |parts: &[String]| {
        parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ")
    };
    let live = match live_frames {
        Ok(true) => {
            let bytes = largest_frame.as_ref().map_or_else(
                |_| "?".to_owned(),
                |&bytes| FrameLen::of_kernel(bytes).bytes().to_string(),
            );
            let batch = batch_limit.as_ref().map_or_else(|_| "?".to_owned(), u32::to_string);
            format!("live frames up to {bytes} bytes, batches up to {batch}")
        }
        Ok(false) => "no live frames".to_owned(),
        Err(error) => format!("live frames: not known ({})", in_full(error)),
    };
    let mut lines = vec![
        parts(&[
            format!("Linux {}", system.release),
            if system.real_time { "PREEMPT_RT".to_owned() } else { String::new() },
            format!("BTF {}", yes(system.btf)),
            system.jit.map_or_else(String::new, |jit| format!("JIT {}", yes(jit))),
            format!("lockdown {}", lockdown(system.lockdown)),
            system.memory.map_or_else(String::new, |bytes| format!("{} free", page::bytes(bytes))),
        ]),
        parts(&[live, said("bpf_loop", bpf_loop)]),
        trace_point_words(trace_points),
    ];
    match call {
        Ok(times) => lines.push(format!(
            "{CALL_FRAMES} dropped frames a call: {:.1?}; outside the XDP dispatcher {:.1?}",
            times.anchored, times.alone
        )),
        Err(error) if live_frames.is_ok() => {
            lines.push(format!("cost of a call: not known ({})", in_full(error)))
        }
        Err(_) => {}
    }
    lines
}

/// Those there are, those there are not, and those that could not be asked for.
fn trace_point_words(trace_points: &[(TracePoint, Answer<bool>)]) -> String {
    let of = |wanted: Option<bool>| {
        let these =
            trace_points.iter().filter(|(_, answer)| answer.as_ref().ok().copied() == wanted);
        these.map(|(point, _)| point.name()).collect::<Vec<_>>().join(", ")
    };
    let why = trace_points.iter().find_map(|(_, answer)| answer.as_ref().err());
    let mut parts = Vec::new();
    if !of(Some(true)).is_empty() {
        parts.push(of(Some(true)));
    }
    if !of(Some(false)).is_empty() {
        parts.push(format!("without {}", of(Some(false))));
    }
    if let Some(why) = why {
        parts.push(format!("not known ({})", in_full(why)));
    }
    format!("trace points: {}", parts.join("; "))
}

fn said(what: &str, answer: &Answer<bool>) -> String {
    match answer {
        Ok(there) => format!("{what} {}", yes(*there)),
        Err(_) => format!("{what} not known"),
    }
}

const fn yes(there: bool) -> &'static str {
    if there { "yes" } else { "no" }
}

const fn lockdown(lockdown: Lockdown) -> &'static str {
    match lockdown {
        Lockdown::None => "none",
        Lockdown::Integrity => "integrity",
        Lockdown::Confidentiality => "confidentiality",
    }
}

fn processors(system: &System, online: &[u32], allowed: &[u32]) -> Vec<String> {
    let isolated: Vec<u32> =
        system.cpus.iter().filter(|cpu| cpu.isolated).map(|cpu| cpu.number).collect();
    let allowed = if allowed == online {
        "all allowed".to_owned()
    } else {
        format!("allowed here {}", CpuList(allowed))
    };
    let isolated = if isolated.is_empty() {
        "none isolated".to_owned()
    } else {
        format!("isolated {}", CpuList(&isolated))
    };
    let mut parts = vec![format!("{} online", CpuList(online)), allowed, isolated];
    parts.extend(by(&system.cpus, "NUMA node", |cpu| cpu.numa_node.map(|node| node.to_string())));
    parts.extend(by(&system.cpus, "governor", |cpu| cpu.governor.clone()));
    let shared = system
        .cpus
        .iter()
        .filter(|cpu| cpu.siblings.len() > 1 && cpu.siblings.first() == Some(&cpu.number));
    let shared: Vec<String> = shared.map(|cpu| CpuList(&cpu.siblings).to_string()).collect();
    parts.push(if shared.is_empty() {
        "no SMT".to_owned()
    } else {
        format!("SMT: {}", shared.join(" and "))
    });
    // A finding reports mitigations.
    vec![parts.join("; ")]
}

/// CPUs by something they have: its value alone where all have the same.
fn by(cpus: &[Cpu], what: &str, value: impl Fn(&Cpu) -> Option<String>) -> Option<String> {
    let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
    for cpu in cpus {
        let Some(value) = value(cpu) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, numbers)) => numbers.push(cpu.number),
            None => groups.push((value, vec![cpu.number])),
        }
    }
    match groups.as_slice() {
        [] => None,
        [(value, numbers)] if numbers.len() == cpus.len() => Some(format!("{what} {value}")),
        _ => {
            let groups = groups
                .iter()
                .map(|(value, numbers)| format!("{what} {value}: {}", CpuList(numbers)));
            Some(groups.collect::<Vec<_>>().join("; "))
        }
    }
}

/// A line for each interface.
fn interfaces(briefs: &[InterfaceRemark]) -> String {
    let mut table = table(&["interface", "driver", "verdict", "because of"], 4);
    for InterfaceRemark { name, driver, verdict, finding } in briefs {
        let why = finding.as_ref().map_or("", |Finding { code, .. }| *code);
        table.add_row([name, driver, verdict.words(), why]);
    }
    format!(
        "\n{}\n\n`xdp-trafficgen probe INTERFACE` says more of one, and what to do about it\n",
        table.trim_fmt()
    )
}
