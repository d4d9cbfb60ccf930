//! The report of `probe --json`: one object on one line, described for programs by
//! `doc/probe.schema.json`.
//!
//! A promise to scripts: `schema` is 1 as long as fields are only added, and every field documented
//! here is always there, null where it is not known or was not asked for. Bytes of frames are those
//! on the wire, FCS included.

mod interface;

use serde::Serialize;

use self::interface::{Interface, TrialJson, interface, trial};
use super::{InterfaceRemark, ProbeReport, Subject};
use crate::{
    diagnosis::{self, in_full},
    host::{self, Lockdown},
    kernel::{Answer, CALL_FRAMES, Survey},
    output::Format,
    units::{FrameLen, Nanos},
};

/// The JSON Schema that [`render`]'s object follows.
pub const SCHEMA: &str = include_str!("../../../doc/probe.schema.json");

/// The whole object.
#[derive(Serialize)]
struct Json<'a> {
    /// Which promise this is: 1.
    schema: u32,
    /// This program's version.
    version: &'a str,
    /// `ready`, `ready_with_remarks` or `not_ready`; of the interface when one was named,
    /// otherwise of the machine.
    verdict: &'a str,
    /// What the verdict follows from, the worst first.
    findings: Vec<Finding<'a>>,
    /// What the kernel can do.
    kernel: Kernel<'a>,
    /// The CPUs, and what slows them.
    cpus: Cpus<'a>,
    /// The interface that was named.
    interface: Option<Interface<'a>>,
    /// All interfaces, when none was named.
    interfaces: Option<Vec<Short<'a>>>,
    /// What became of the frames of `--send`.
    trial: Option<TrialJson<'a>>,
}

/// What is the matter, and what to do.
#[derive(Serialize)]
struct Finding<'a> {
    /// A name that stays the same.
    code: &'a str,
    /// `note`, `slows`, `loses` (some frames, or the truth of a figure) or `blocks`.
    severity: &'a str,
    /// A sentence.
    cause: &'a str,
    /// A sentence; empty when nothing can be done.
    cure: &'a str,
}

impl<'a> From<&'a diagnosis::Finding> for Finding<'a> {
    fn from(finding: &'a diagnosis::Finding) -> Self {
        let diagnosis::Finding { code, severity, cause, cure } = finding;
        Self { code, severity: severity.code(), cause, cure }
    }
}

/// What the kernel can do. What could not be asked is null, and among `unanswered`.
#[derive(Serialize)]
struct Kernel<'a> {
    /// As `uname -r` says.
    release: &'a str,
    /// Whether it sends live frames.
    live_frames: Option<bool>,
    /// Bytes of the largest one.
    largest_frame: Option<usize>,
    /// The most it sends together.
    batch_limit: Option<u32>,
    /// The trace points that tell what became of frames, and whether it has them.
    trace_points: Vec<TracePoint>,
    /// Whether programs can wait for a departure.
    bpf_loop: Option<bool>,
    /// What a call costs.
    call: Option<Call>,
    /// Whether it has type information.
    btf: bool,
    /// Whether eBPF is compiled; null where it always is, or the kernel does not say.
    jit: Option<bool>,
    /// `none`, `integrity` or `confidentiality`.
    lockdown: &'a str,
    /// Whether softirqs can be preempted (`PREEMPT_RT`).
    real_time: bool,
    /// Bytes of memory that could be had.
    memory: Option<u64>,
    /// Capabilities that sending needs and this process lacks.
    missing_capabilities: &'a [&'static str],
    /// What could not be asked.
    unanswered: Vec<Unanswered>,
}

/// A trace point.
#[derive(Serialize)]
struct TracePoint {
    /// The kernel's name.
    name: &'static str,
    /// Whether the kernel has it.
    present: Option<bool>,
}

/// What a live call takes whose frames are all dropped.
#[derive(Serialize)]
struct Call {
    /// How many frames.
    frames: u32,
    /// When the program is in the kernel's XDP dispatcher, as in every run.
    ns: u64,
    /// When the kernel puts it there for the call.
    alone_ns: u64,
}

/// A question that could not be asked.
#[derive(Serialize)]
struct Unanswered {
    /// The field, or the trace point.
    question: &'static str,
    /// Why.
    why: String,
}

/// The CPUs.
#[derive(Serialize)]
struct Cpus<'a> {
    /// Those that are switched on.
    online: &'a [u32],
    /// Those this process may run on.
    allowed: &'a [u32],
    /// What is known of each.
    list: Vec<Cpu<'a>>,
    /// Mitigations of CPU vulnerabilities that cost something.
    mitigations: Vec<Mitigation<'a>>,
}

/// A CPU.
#[derive(Serialize)]
struct Cpu<'a> {
    /// Its number.
    number: u32,
    /// Its NUMA node.
    numa_node: Option<u32>,
    /// Its frequency governor.
    governor: Option<&'a str>,
    /// CPUs that share its core, itself among them.
    siblings: &'a [u32],
    /// Whether the scheduler leaves it alone.
    isolated: bool,
}

/// A mitigation.
#[derive(Serialize)]
struct Mitigation<'a> {
    /// What it is against.
    vulnerability: &'a str,
    /// What is done, in the kernel's words.
    mitigation: &'a str,
}

/// An interface in short.
#[derive(Serialize)]
struct Short<'a> {
    /// Its name.
    name: &'a str,
    /// Its driver or kind; empty when neither is known.
    driver: &'a str,
    /// As the whole object's, as far as can be seen without attaching anything.
    verdict: &'a str,
    /// What decides that.
    finding: Option<Finding<'a>>,
}

/// `--output json`.
pub const FORMAT: Format<ProbeReport> = Format {
    name: "json",
    help: "One JSON object, for programs",
    render: |report| Ok(render(report)? + "\n"),
};

/// One line, without a line feed.
///
/// # Errors
/// None that these types can cause.
pub fn render(report: &ProbeReport) -> serde_json::Result<String> {
    let ProbeReport { survey, system, cpus, allowed_cpus, subject, verdict, findings } = report;
    let (interface, interfaces, trial) = match subject {
        Subject::Machine(briefs) => (None, Some(briefs.iter().map(short).collect()), None),
        Subject::Interface(probed) => {
            (Some(self::interface(probed)), None, probed.trial.as_ref().map(self::trial))
        }
    };
    serde_json::to_string(&Json {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        verdict: verdict.code(),
        findings: findings.iter().map(Finding::from).collect(),
        kernel: kernel(survey, system),
        cpus: Cpus {
            online: cpus,
            allowed: allowed_cpus,
            list: system.cpus.iter().map(cpu).collect(),
            mitigations: system
                .mitigations
                .iter()
                .map(|(vulnerability, mitigation)| Mitigation { vulnerability, mitigation })
                .collect(),
        },
        interface,
        interfaces,
        trial,
    })
}

fn kernel<'a>(survey: &'a Survey, system: &'a host::System) -> Kernel<'a> {
    let Survey {
        missing_capabilities,
        live_frames,
        largest_frame,
        batch_limit,
        trace_points,
        bpf_loop,
        call,
    } = survey;
    let host::System {
        release,
        version: _,
        real_time,
        btf,
        jit,
        lockdown,
        cpus: _,
        mitigations: _,
        memory,
        quotas: _,
        unmounted: _,
    } = system;
    let mut unanswered = vec![
        why("live_frames", live_frames),
        why("largest_frame", largest_frame),
        why("batch_limit", batch_limit),
        why("bpf_loop", bpf_loop),
        why("call", call),
    ];
    unanswered.extend(trace_points.iter().map(|(point, answer)| why(point.name(), answer)));
    let nanoseconds = |time: std::time::Duration| Nanos::from(time).get();
    Kernel {
        release,
        live_frames: live_frames.as_ref().ok().copied(),
        largest_frame: largest_frame.as_ref().ok().map(|&bytes| FrameLen::of_kernel(bytes).bytes()),
        batch_limit: batch_limit.as_ref().ok().copied(),
        trace_points: trace_points
            .iter()
            .map(|(point, answer)| TracePoint {
                name: point.name(),
                present: answer.as_ref().ok().copied(),
            })
            .collect(),
        bpf_loop: bpf_loop.as_ref().ok().copied(),
        call: call.as_ref().ok().map(|times| Call {
            frames: CALL_FRAMES,
            ns: nanoseconds(times.anchored),
            alone_ns: nanoseconds(times.alone),
        }),
        btf: *btf,
        jit: *jit,
        lockdown: match lockdown {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
        },
        real_time: *real_time,
        memory: *memory,
        missing_capabilities,
        unanswered: unanswered.into_iter().flatten().collect(),
    }
}

fn why<T>(question: &'static str, answer: &Answer<T>) -> Option<Unanswered> {
    answer.as_ref().err().map(|error| Unanswered { question, why: in_full(error) })
}

fn cpu(cpu: &host::Cpu) -> Cpu<'_> {
    let host::Cpu { number, numa_node, governor, siblings, isolated } = cpu;
    Cpu {
        number: *number,
        numa_node: *numa_node,
        governor: governor.as_deref(),
        siblings,
        isolated: *isolated,
    }
}

fn short(brief: &InterfaceRemark) -> Short<'_> {
    let InterfaceRemark { name, driver, verdict, finding } = brief;
    Short { name, driver, verdict: verdict.code(), finding: finding.as_ref().map(Finding::from) }
}
