//! What is known of the machine beyond its CPUs' numbers: what the kernel allows, and what makes it slow.

/// Facts of the machine. What the kernel does not tell is none or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// The kernel's release, such as `6.1.0-41-cloud-amd64`.
    pub release: String,
    /// Its version, major and minor.
    pub version: Option<(u32, u32)>,
    /// Whether softirqs can be preempted (PREEMPT_RT).
    pub real_time: bool,
    /// Whether it has type information (/sys/kernel/btf/vmlinux).
    pub btf: bool,
    /// Whether eBPF is compiled (net.core.bpf_jit_enable); none where it always is.
    pub jit: Option<bool>,
    /// The lockdown mode (/sys/kernel/security/lockdown).
    pub lockdown: Lockdown,
    /// Every CPU that is switched on, in order.
    pub cpus: Vec<Cpu>,
    /// Mitigations of CPU vulnerabilities that cost something in every indirect call or system call: vulnerability and mitigation, as
    /// in /sys/devices/system/cpu/vulnerabilities.
    pub mitigations: Vec<(String, String)>,
    /// Bytes of memory that could be had: the least of MemAvailable and what the memory control groups leave.
    pub memory: Option<u64>,
}

/// What the kernel keeps even from root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lockdown {
    /// Nothing.
    #[default]
    None,
    /// What could change the kernel.
    Integrity,
    /// What could read its memory too: with it, eBPF programs that read kernel memory.
    Confidentiality,
}

/// A CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: u32,
    /// Its NUMA node.
    pub numa_node: Option<u32>,
    /// Its frequency governor, such as `powersave`; none where frequencies are not the kernel's business.
    pub governor: Option<String>,
    /// CPUs that share its core, itself among them.
    pub siblings: Vec<u32>,
    /// Whether the scheduler leaves it alone (isolcpus).
    pub isolated: bool,
}
