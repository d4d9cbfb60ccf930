//! Facts of the machine beyond its CPUs' numbers: what the kernel allows, and what makes it slow.

use rustix::system::uname;

use crate::host::{Quota, Unmounted, files::Files, memory, mitigations, mounts, quota};

/// Facts of the machine. A fact that the kernel does not tell is none or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// The kernel's release, such as `6.1.0-41-cloud-amd64`.
    pub release: String,
    /// Its version, major and minor.
    pub version: Option<(u32, u32)>,
    /// Whether softirqs can be preempted (PREEMPT_RT).
    pub real_time: bool,
    /// Whether the kernel has type information (/sys/kernel/btf/vmlinux).
    pub btf: bool,
    /// Whether eBPF is compiled (net.core.bpf_jit_enable); none where the kernel does not say, as
    /// in network namespaces other than the first.
    pub jit: Option<bool>,
    /// The lockdown mode (/sys/kernel/security/lockdown).
    pub lockdown: Lockdown,
    /// Every CPU that is online, in order.
    pub cpus: Vec<Cpu>,
    /// Mitigations of CPU vulnerabilities that cost time in every frame: vulnerability and
    /// mitigation, as in /sys/devices/system/cpu/vulnerabilities.
    pub mitigations: Vec<(String, String)>,
    /// Bytes of memory that can be allocated: the least of MemAvailable and what the memory
    /// control groups leave.
    pub memory: Option<u64>,
    /// The CPU time that the control groups of this process allow, the smallest first; empty
    /// without a limit.
    pub quotas: Vec<Quota>,
    /// File systems of the kernel that sending needs and that are not mounted.
    pub unmounted: Vec<Unmounted>,
}

/// What lockdown forbids, even to root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lockdown {
    /// Nothing.
    #[default]
    None,
    /// Changing the kernel.
    Integrity,
    /// Changing the kernel and reading its memory, as eBPF programs can.
    Confidentiality,
}

/// A CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: u32,
    /// Its NUMA node.
    pub numa_node: Option<u32>,
    /// Its frequency governor, such as `powersave`; none where the kernel does not control
    /// frequencies.
    pub governor: Option<String>,
    /// CPUs of its core, itself among them.
    pub siblings: Vec<u32>,
    /// Whether the scheduler keeps other work off it (isolcpus).
    pub isolated: bool,
}

impl System {
    /// Reads /proc and /sys. What is missing there is none, except the kernel's version, which a
    /// system call tells too.
    #[must_use]
    pub fn gather() -> Self {
        let mut system = Self::read(Files::of_this_machine());
        if system.release.is_empty() {
            let name = uname();
            system.release = name.release().to_string_lossy().into_owned();
            system.version = version(&system.release);
            system.real_time = is_real_time(&name.version().to_string_lossy());
        }
        system
    }

    fn read(files: Files<'_>) -> Self {
        let release = files.text("proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            version: version(&release),
            real_time: real_time(files),
            btf: files.exists("sys/kernel/btf/vmlinux"),
            // With 2, compiled programs are also printed.
            jit: files.number::<u32>("proc/sys/net/core/bpf_jit_enable").map(|jit| jit > 0),
            lockdown: files
                .text("sys/kernel/security/lockdown")
                .map_or(Lockdown::None, |text| lockdown(&text)),
            cpus: cpus(files),
            mitigations: mitigations::costly(files),
            memory: memory::available(files),
            quotas: quota::all(files),
            unmounted: mounts::all(files),
            release,
        }
    }
}

/// The file came with the patches of PREEMPT_RT and stayed when they were merged (Linux 6.12); the
/// version names it too.
fn real_time(files: Files<'_>) -> bool {
    let version = files.text("proc/sys/kernel/version").unwrap_or_default();
    files.number("sys/kernel/realtime") == Some(1) || is_real_time(&version)
}

/// `#1 SMP PREEMPT_RT Debian 6.12.0-1`, for instance.
fn is_real_time(version: &str) -> bool {
    version.split(' ').any(|word| word == "PREEMPT_RT")
}

/// All modes, with the current one in brackets: `none [integrity] confidentiality`.
fn lockdown(text: &str) -> Lockdown {
    match text.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
        Some(("integrity", _)) => Lockdown::Integrity,
        Some(("confidentiality", _)) => Lockdown::Confidentiality,
        _ => Lockdown::None,
    }
}

fn cpus(files: Files<'_>) -> Vec<Cpu> {
    const CPUS: &str = "sys/devices/system/cpu";
    let isolated = files.cpus(format!("{CPUS}/isolated")).unwrap_or_default();
    let numbers = files.cpus(format!("{CPUS}/online")).unwrap_or_default();
    let cpu = |number| {
        let own = format!("{CPUS}/cpu{number}");
        // A link to the CPU's node.
        let node =
            files.names(&own).iter().find_map(|name| name.strip_prefix("node")?.parse().ok());
        Cpu {
            number,
            numa_node: node,
            governor: files.text(format!("{own}/cpufreq/scaling_governor")),
            siblings: files
                .cpus(format!("{own}/topology/thread_siblings_list"))
                .unwrap_or_else(|| vec![number]),
            isolated: isolated.contains(&number),
        }
    };
    numbers.into_iter().map(cpu).collect()
}

/// Major and minor of a kernel release such as `6.1.0-41-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests;
