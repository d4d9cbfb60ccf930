//! Machines, as /proc and /sys show them.

use super::*;
use crate::host::files::recorded;

#[track_caller]
fn check(tree: &str, expected: &System) {
    let root = recorded(tree);
    assert_eq!(System::read(Files::under(root.path())), *expected, "{tree}");
}

fn cpu(number: u32, numa_node: Option<u32>, governor: Option<&str>, siblings: &[u32]) -> Cpu {
    Cpu {
        number,
        numa_node,
        governor: governor.map(str::to_owned),
        siblings: siblings.to_vec(),
        isolated: false,
    }
}

#[test]
fn a_laptop_that_saves_power() {
    let tree = "
        proc/self/fd/
        sys/devices/system/cpu/possible = 0-3
        proc/sys/kernel/osrelease = 6.12.48+deb13-amd64
        proc/sys/kernel/version = #1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)
        proc/sys/net/core/bpf_jit_enable = 1
        proc/meminfo = MemAvailable:    4194304 kB
        sys/kernel/btf/vmlinux = x
        sys/kernel/security/lockdown = none [integrity] confidentiality
        sys/devices/system/cpu/online = 0-1
        sys/devices/system/cpu/isolated =
        sys/devices/system/cpu/cpu0/cpufreq/scaling_governor = powersave
        sys/devices/system/cpu/cpu0/topology/thread_siblings_list = 0-1
        sys/devices/system/cpu/cpu0/node0 -> ../../node/node0
        sys/devices/system/cpu/cpu1/cpufreq/scaling_governor = powersave
        sys/devices/system/cpu/cpu1/topology/thread_siblings_list = 0-1
        sys/devices/system/cpu/cpu1/node0 -> ../../node/node0
        sys/devices/system/cpu/vulnerabilities/mds = Not affected
        sys/devices/system/cpu/vulnerabilities/retbleed = Mitigation: untrained return thunk; SMT vulnerable
        sys/devices/system/cpu/vulnerabilities/spectre_v1 = Mitigation: usercopy/swapgs barriers
    ";
    let expected = System {
        release: "6.12.48+deb13-amd64".to_owned(),
        version: Some((6, 12)),
        real_time: false,
        btf: true,
        jit: Some(true),
        lockdown: Lockdown::Integrity,
        cpus: vec![
            cpu(0, Some(0), Some("powersave"), &[0, 1]),
            cpu(1, Some(0), Some("powersave"), &[0, 1]),
        ],
        mitigations: vec![(
            "retbleed".to_owned(),
            "Mitigation: untrained return thunk; SMT vulnerable".to_owned(),
        )],
        memory: Some(4 << 30),
        quotas: Vec::new(),
        unmounted: Vec::new(),
    };
    check(tree, &expected);
}

/// Two nodes, one thread per core, a CPU that is offline, and an isolated one.
#[test]
fn a_real_time_server_tuned_for_it() {
    let tree = "
        proc/self/fd/
        sys/devices/system/cpu/possible = 0-3
        proc/sys/kernel/osrelease = 6.1.0-41-rt-amd64
        proc/sys/kernel/version = #1 SMP PREEMPT_RT Debian 6.1.158-1 (2025-11-09)
        proc/sys/net/core/bpf_jit_enable = 0
        sys/kernel/realtime = 1
        sys/kernel/security/lockdown = none integrity [confidentiality]
        sys/devices/system/cpu/online = 0,2-3
        sys/devices/system/cpu/isolated = 3
        sys/devices/system/cpu/cpu0/cpufreq/scaling_governor = performance
        sys/devices/system/cpu/cpu0/node0 -> ../../node/node0
        sys/devices/system/cpu/cpu2/cpufreq/scaling_governor = performance
        sys/devices/system/cpu/cpu2/topology/thread_siblings_list = 2
        sys/devices/system/cpu/cpu2/node1 -> ../../node/node1
        sys/devices/system/cpu/cpu3/cpufreq/scaling_governor = performance
        sys/devices/system/cpu/cpu3/topology/thread_siblings_list = 3
        sys/devices/system/cpu/cpu3/node1 -> ../../node/node1
    ";
    let expected = System {
        release: "6.1.0-41-rt-amd64".to_owned(),
        version: Some((6, 1)),
        real_time: true,
        btf: false,
        jit: Some(false),
        lockdown: Lockdown::Confidentiality,
        cpus: vec![
            cpu(0, Some(0), Some("performance"), &[0]),
            cpu(2, Some(1), Some("performance"), &[2]),
            Cpu { isolated: true, ..cpu(3, Some(1), Some("performance"), &[3]) },
        ],
        mitigations: Vec::new(),
        memory: None,
        quotas: Vec::new(),
        unmounted: Vec::new(),
    };
    check(tree, &expected);
}

/// A virtual machine whose kernel has neither frequencies nor nodes nor a lockdown.
#[test]
fn what_the_kernel_does_not_tell_is_none() {
    let tree = "
        proc/self/fd/
        sys/devices/system/cpu/possible = 0-3
        proc/sys/kernel/osrelease = 5.18.0
        sys/devices/system/cpu/online = 0
        sys/devices/system/cpu/cpu0/
    ";
    let expected = System {
        release: "5.18.0".to_owned(),
        version: Some((5, 18)),
        cpus: vec![cpu(0, None, None, &[0])],
        ..System::default()
    };
    check(tree, &expected);
    check("", &System { unmounted: mounts::NEEDED.to_vec(), ..System::default() });
    let without_sys =
        System { release: "5.18.0".to_owned(), version: Some((5, 18)), ..System::default() };
    let without_sys = System { unmounted: vec![mounts::NEEDED[1]], ..without_sys };
    check("proc/self/fd/\n proc/sys/kernel/osrelease = 5.18.0", &without_sys);
}

/// The version alone tells PREEMPT_RT of a kernel before 6.12 that was built without the file; in
/// other versions the word is part of a name.
#[test]
fn real_time_is_told_by_the_version_too() {
    #[track_caller]
    fn told(version: &str, expected: bool) {
        let root = recorded(&format!("proc/sys/kernel/version = {version}"));
        assert_eq!(real_time(Files::under(root.path())), expected, "{version}");
    }
    told("#1 SMP PREEMPT_RT Debian 6.1.158-1 (2025-11-09)", true);
    told("#1 SMP PREEMPT_DYNAMIC @0", false);
}

#[test]
fn the_mode_in_brackets_is_in_force() {
    #[track_caller]
    fn locked(text: &str, expected: Lockdown) {
        assert_eq!(lockdown(text), expected, "{text}");
    }
    locked("[none] integrity confidentiality", Lockdown::None);
    locked("none [integrity] confidentiality", Lockdown::Integrity);
    locked("none integrity [confidentiality]", Lockdown::Confidentiality);
    locked("", Lockdown::None);
}
