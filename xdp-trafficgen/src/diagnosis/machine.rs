//! Findings about the machine: kernel, CPUs, memory.

use super::{Finding, Severity, Situation, words};
use crate::{
    config::Action,
    host::{Cpu, Lockdown, System, Unmounted},
};

/// What would go wrong or be slow on this machine.
pub(super) fn foreseen(situation: &Situation<'_>) -> Vec<Finding> {
    let found = [
        passed_frames(situation),
        of_memory(situation.system),
        interpreted(situation),
        governor(situation),
        real_time(situation),
        mitigations(situation),
        siblings(situation),
        confidentiality(situation),
        no_btf(situation),
    ];
    found.into_iter().flatten().chain(unmounted(situation)).collect()
}

/// File systems without which nothing can be sent.
fn unmounted<'a>(situation: &Situation<'a>) -> impl Iterator<Item = Finding> + use<'a> {
    let finding = |unmounted: &Unmounted| {
        let code = if unmounted.file_system == "proc" { "no_procfs" } else { "no_sysfs" };
        Finding::new(code, Severity::Blocks, unmounted.to_string(), unmounted.cure())
    };
    situation.system.unmounted.iter().map(finding)
}

/// Frames that the program passes to this machine's own network stack.
fn passed_frames(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { system, action, .. } = situation;
    if *action != Action::Pass {
        return None;
    }
    let (severity, does, since) = if situation.kernel_before((6, 3)) {
        (
            Severity::Loses,
            "may corrupt frames that are passed to the network stack (fixed by commit e5995bc7e2ba)",
            "6.3",
        )
    } else if situation.kernel_before((6, 12)) {
        (
            Severity::Note,
            "may never free frames that are passed to the network stack (fixed by commit \
             c40dd8c47325)",
            "6.12",
        )
    } else {
        return None;
    };
    let cure = format!("use Linux {since} or later, or one of a distribution with that commit");
    Some(Finding::new("passed_frames", severity, format!("Linux {} {does}", system.release), cure))
}

/// Memory that a run of few flows with a few workers takes: programs and maps, pages in
/// circulation, and the process itself. With two workers, a run within 48 MiB completes, and one
/// within 32 MiB is killed (doc/measurements.md#next-hops-and-memory).
const ENOUGH_MEMORY: u64 = 64 << 20;

/// Little memory is left.
pub fn of_memory(system: &System) -> Option<Finding> {
    let memory = system.memory.filter(|&memory| memory < ENOUGH_MEMORY)?;
    Some(Finding::new(
        "low_memory",
        Severity::Loses,
        format!(
            "there are only {} MiB of memory available, and even a run of few flows takes up to \
             {}: the kernel may kill it",
            memory >> 20,
            ENOUGH_MEMORY >> 20
        ),
        "free memory, or raise the limit of the control group this runs in (`memory.max`)",
    ))
}

/// This process may not have as many file descriptors as it needs.
pub fn of_descriptors(needed: u64, limit: u64) -> Option<Finding> {
    (needed > limit).then(|| {
        Finding::new(
            "few_descriptors",
            Severity::Loses,
            format!(
                "all ports together take about {needed} file descriptors, and this process may \
                     have {limit}"
            ),
            format!("{DESCRIPTORS}, or spread the ports over several processes"),
        )
    })
}

/// The cure for a limit of file descriptors.
pub(super) const DESCRIPTORS: &str = "raise the hard limit (`ulimit -Hn 65536` as root, \
                                      `LimitNOFILE=65536` of a systemd unit, `--ulimit \
                                      nofile=65536` of a container)";

fn interpreted(situation: &Situation<'_>) -> Option<Finding> {
    (situation.system.jit == Some(false)).then(|| {
        Finding::new(
            "jit_off",
            Severity::Slows,
            "eBPF programs are interpreted, not compiled (net.core.bpf_jit_enable is 0), which \
             takes most of the rate"
                .to_owned(),
            "`sysctl -w net.core.bpf_jit_enable=1`",
        )
    })
}

/// The governor does not keep the CPUs at their highest frequency.
fn governor(situation: &Situation<'_>) -> Option<Finding> {
    let slow =
        |cpu: &&Cpu| cpu.governor.as_deref().is_some_and(|governor| governor != "performance");
    let slow: Vec<&Cpu> = workers(situation).filter(slow).collect();
    let first = slow.first()?;
    let numbers: Vec<u32> = slow.iter().map(|cpu| cpu.number).collect();
    Some(Finding::new(
        "governor",
        Severity::Slows,
        format!(
            "the frequency governor of {} is `{}`: the frequency may stay below the highest, and \
             changes while frames are sent",
            words::cpus(&numbers),
            first.governor.as_deref().unwrap_or_default()
        ),
        format!("`cpupower -c {} frequency-set -g performance`", words::option(&numbers)),
    ))
}

/// The CPUs that send; before CPUs are chosen, those that could.
fn workers<'a>(situation: &Situation<'a>) -> impl Iterator<Item = &'a Cpu> {
    let Situation { system, cpus, allowed_cpus, .. } = *situation;
    let chosen = if cpus.is_empty() { allowed_cpus } else { cpus };
    system.cpus.iter().filter(move |cpu| chosen.contains(&cpu.number))
}

fn real_time(situation: &Situation<'_>) -> Option<Finding> {
    situation.system.real_time.then(|| {
        Finding::new(
            "real_time",
            Severity::Slows,
            "this kernel is a real-time one (PREEMPT_RT): sending can be interrupted by other \
             tasks, and what others send by XDP on a worker's CPU may then be counted as ours"
                .to_owned(),
            "use an ordinary kernel, or keep other tasks off the CPUs that send (`isolcpus=`)",
        )
    })
}

fn mitigations(situation: &Situation<'_>) -> Option<Finding> {
    let mitigations = &situation.system.mitigations;
    let names = mitigations
        .iter()
        .map(|(vulnerability, mitigation)| format!("{vulnerability} ({mitigation})"));
    let names = names.collect::<Vec<_>>().join(", ");
    (!mitigations.is_empty()).then(|| {
        Finding::new(
            "mitigations",
            Severity::Note,
            format!("mitigations of CPU vulnerabilities cost some of the rate: {names}"),
            "on a machine that runs nothing but tests: boot with `mitigations=off`",
        )
    })
}

fn siblings(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { cpus, .. } = situation;
    let shares =
        |cpu: &&Cpu| cpu.siblings.iter().any(|other| *other != cpu.number && cpus.contains(other));
    let sharing: Vec<u32> = workers(situation).filter(shares).map(|cpu| cpu.number).collect();
    (!cpus.is_empty() && !sharing.is_empty()).then(|| {
        Finding::new(
            "siblings",
            Severity::Note,
            format!(
                "among {} are threads of the same core, which send less than as many cores",
                words::cpus(&sharing)
            ),
            "choose one of each core, as \
             /sys/devices/system/cpu/cpuN/topology/thread_siblings_list names them",
        )
    })
}

/// Lockdown refuses bpf_probe_read_kernel and similar helpers (LOCKDOWN_BPF_READ_KERNEL); the
/// programs of this project call none of them.
fn confidentiality(situation: &Situation<'_>) -> Option<Finding> {
    (situation.system.lockdown == Lockdown::Confidentiality).then(|| {
        Finding::new(
            "lockdown",
            Severity::Note,
            "the kernel is locked down (confidentiality), so eBPF programs may not read its \
             memory; the programs used here do not"
                .to_owned(),
            "",
        )
    })
}

/// Counting uses raw trace points, which need no type information.
fn no_btf(situation: &Situation<'_>) -> Option<Finding> {
    (!situation.system.btf).then(|| {
        Finding::new(
            "no_btf",
            Severity::Note,
            "this kernel has no type information (/sys/kernel/btf/vmlinux); everything is counted \
             all the same, but tools such as `bpftool` show less of the programs"
                .to_owned(),
            "",
        )
    })
}
