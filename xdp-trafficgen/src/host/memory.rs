//! The memory that this process could still allocate.

use crate::host::{
    files::Files,
    groups::{self, Group, Version},
};

/// Bytes: the least of what the machine has available and what each memory control group of this
/// process leaves. Cached files that can be dropped do not count as taken, neither by the machine
/// (MemAvailable) nor by a group.
pub(super) fn available(files: Files<'_>) -> Option<u64> {
    let machine = files.text("proc/meminfo").and_then(|text| {
        let kibibytes =
            text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix("kB"))?;
        Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
    });
    let groups = groups::of(files, "memory").into_iter().filter_map(|group| left(files, &group));
    machine.into_iter().chain(groups).min()
}

/// The most bytes of memory that this process has had resident; none without /proc.
pub fn resident_memory() -> Option<u64> {
    let status = Files::of_this_machine().text("proc/self/status")?;
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))?;
    Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
}

/// The files of a version of control groups (Documentation/admin-guide/cgroup-v2.rst,
/// cgroup-v1/memory.rst).
struct Names {
    limit: &'static str,
    taken: &'static str,
    /// In `memory.stat`: bytes of inactive files, of this group and those below it.
    reclaimable: &'static str,
}

impl Names {
    const fn of(version: Version) -> Self {
        match version {
            Version::One => Self {
                limit: "memory.limit_in_bytes",
                taken: "memory.usage_in_bytes",
                reclaimable: "total_inactive_file ",
            },
            Version::Two => {
                Self { limit: "memory.max", taken: "memory.current", reclaimable: "inactive_file " }
            }
        }
    }
}

/// None where there is no limit: the file is absent, or contains `max`.
fn left(files: Files<'_>, Group { version, directory }: &Group) -> Option<u64> {
    let Names { limit, taken, reclaimable } = Names::of(*version);
    let limit: u64 = files.number(directory.join(limit))?;
    let taken: u64 = files.number(directory.join(taken))?;
    let stat = files.text(directory.join("memory.stat")).unwrap_or_default();
    let reclaimable = stat.lines().find_map(|line| line.strip_prefix(reclaimable)?.parse().ok());
    Some(limit.saturating_sub(taken.saturating_sub(reclaimable.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::recorded;

    #[track_caller]
    fn check(tree: &str, expected: Option<u64>) {
        let root = recorded(tree);
        assert_eq!(available(Files::under(root.path())), expected, "{tree}");
    }

    const GIB: u64 = 1 << 30;
    /// 8 GiB; the first `=` of a line belongs to the record.
    const MACHINE: &str = "proc/meminfo = MemAvailable:    8388608 kB\n";

    #[test]
    fn the_machine_is_the_limit_where_no_group_is() {
        check(MACHINE, Some(8 * GIB));
        check("", None);
    }

    #[test]
    fn every_group_up_the_tree_counts() {
        let tree = "
            proc/self/cgroup = 0::/user.slice/session-1.scope
            proc/self/mountinfo = 31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
            sys/fs/cgroup/user.slice/memory.max = 4294967296
            sys/fs/cgroup/user.slice/memory.current = 3221225472
            sys/fs/cgroup/user.slice/session-1.scope/memory.max = max
            sys/fs/cgroup/user.slice/session-1.scope/memory.current = 1073741824
        ";
        check(&[MACHINE, tree].concat(), Some(GIB));
        // 2 GiB of the slice are files that can be dropped.
        let cache = "sys/fs/cgroup/user.slice/memory.stat = inactive_file 2147483648";
        check(&[MACHINE, tree, cache].concat(), Some(3 * GIB));
    }

    #[test]
    fn a_container_sees_its_own_part_of_the_tree() {
        let own_namespace = "
            proc/self/cgroup = 0::/
            proc/self/mountinfo = 31 23 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw
            sys/fs/cgroup/memory.max = 536870912
            sys/fs/cgroup/memory.current = 268435456
        ";
        check(&[MACHINE, own_namespace].concat(), Some(GIB / 4));
        let part_mounted = "
            proc/self/cgroup = 0::/docker/abc/worker
            proc/self/mountinfo = 31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw
            sys/fs/cgroup/memory.max = 536870912
            sys/fs/cgroup/memory.current = 268435456
            sys/fs/cgroup/worker/memory.max = 134217728
            sys/fs/cgroup/worker/memory.current = 201326592
        ";
        check(&[MACHINE, part_mounted].concat(), Some(0));
    }

    /// In version 1, "no limit" is a number near 2^63.
    #[test]
    fn version_one_has_other_files() {
        let tree = "
            proc/self/cgroup = 4:cpu,memory:/jobs/7
            proc/self/mountinfo = 35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,cpu,memory
            sys/fs/cgroup/memory/memory.limit_in_bytes = 9223372036854771712
            sys/fs/cgroup/memory/memory.usage_in_bytes = 1073741824
            sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes = 2147483648
            sys/fs/cgroup/memory/jobs/7/memory.usage_in_bytes = 1610612736
            sys/fs/cgroup/memory/jobs/7/memory.stat = total_inactive_file 536870912
        ";
        check(&[MACHINE, tree].concat(), Some(GIB));
    }

    /// systemd's hybrid: version 2 is mounted, but the memory controller is in version 1.
    #[test]
    fn both_versions_at_once() {
        let tree = r"
            proc/self/cgroup = 9:name=systemd:/\n4:memory:/jobs\n1:cpu:/\n0::/jobs
            proc/self/mountinfo = 40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            sys/fs/cgroup/memory/jobs/memory.limit_in_bytes = 2147483648
            sys/fs/cgroup/memory/jobs/memory.usage_in_bytes = 1073741824
            sys/fs/cgroup/unified/jobs/cgroup.procs = 1
        ";
        check(&[MACHINE, tree].concat(), Some(GIB));
    }
}
