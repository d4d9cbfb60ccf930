//! A worker whose thread was moved off its CPU.

use super::{Finding, Severity};

/// Follows or precedes a cause that names CPUs.
const CURE: &str = "leave the threads of this program where they are while it sends: keep cpuset \
                    managers (the kubelet, `systemctl set-property … AllowedCPUs=`), `taskset -p`, \
                    numad and CPU hotplug off it, or give it CPUs that stay (`--cpus`)";

/// The failure names the CPU.
pub(super) fn moved() -> Finding {
    let cause = "a worker's thread ran on a CPU that is not its own, where the program makes no \
                 frames";
    Finding::new("worker_moved", Severity::Loses, cause.to_owned(), CURE)
}

/// Why a worker was found on another CPU than this one, from the CPUs that are online and those
/// that the process may use.
pub fn of_moved(cpu: u32, online: &[u32], allowed: &[u32]) -> Finding {
    let cause = if !online.contains(&cpu) {
        format!("CPU {cpu} was switched off (hotplug)")
    } else if !allowed.contains(&cpu) {
        format!("CPU {cpu} was taken from this process: its cpuset was changed")
    } else {
        format!(
            "somebody moved the thread of CPU {cpu} (`taskset -p`, numad), or its cpuset or CPU \
             was away for a while"
        )
    };
    Finding::new("worker_moved", Severity::Blocks, cause, CURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_follows_from_what_became_of_the_cpu() {
        #[track_caller]
        fn check(online: &[u32], allowed: &[u32], part: &str) {
            let Finding { code, cause, cure, .. } = of_moved(1, online, allowed);
            assert!(
                code == "worker_moved" && cause.contains(part) && cure.contains("--cpus"),
                "{cause}"
            );
        }
        check(&[0], &[0], "CPU 1 was switched off");
        check(&[0, 1], &[0], "cpuset was changed");
        check(&[0, 1], &[0, 1], "somebody moved the thread of CPU 1");
    }
}
