//! How much memory could still be had.

use std::path::{Path, PathBuf};

use crate::host::files::Files;

/// Bytes: the least of what the machine has left and what each memory control group that the process is in leaves. Files that
/// are only kept because nobody else wanted the memory do not count as taken, neither by the machine (MemAvailable) nor by a
/// group.
pub(super) fn available(files: Files<'_>) -> Option<u64> {
    let machine = files.text("proc/meminfo").and_then(|text| {
        let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix("kB"))?;
        Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
    });
    machine.into_iter().chain(groups(files)).min()
}

/// What each group leaves.
fn groups(files: Files<'_>) -> Vec<u64> {
    let mounts = files.text("proc/self/mountinfo").unwrap_or_default();
    let mounts: Vec<Mount<'_>> = mounts.lines().filter_map(Mount::parse).collect();
    let memberships = files.text("proc/self/cgroup").unwrap_or_default();
    let left = memberships.lines().flat_map(|line| {
        // Hierarchy, controllers, path (cgroups(7)); hierarchy 0 is version 2.
        let mut parts = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            return Vec::new();
        };
        let version = match controllers.split(',').any(|controller| controller == "memory") {
            true => &VERSION_1,
            false if hierarchy == "0" => &VERSION_2,
            false => return Vec::new(),
        };
        let mount = mounts.iter().find(|mount| mount.carries(version));
        mount.map_or_else(Vec::new, |mount| left_in(files, version, mount, path))
    });
    left.collect()
}

/// The group at `path` of a hierarchy, and all above it.
fn left_in(files: Files<'_>, version: &Version, mount: &Mount<'_>, path: &str) -> Vec<u64> {
    // In a container, what is mounted may be a part of the hierarchy that /proc/self/cgroup shows from its root; a path outside
    // of it means that the mount's own top is as near as can be seen.
    let below = Path::new(path).strip_prefix(mount.root).unwrap_or_else(|_| Path::new(""));
    let top = PathBuf::from(mount.point);
    let groups = below.ancestors().map(|group| top.join(group));
    groups.filter_map(|group| version.left(files, &group)).collect()
}

/// The files of a version of control groups (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
struct Version {
    file_system: &'static str,
    /// Among the mount's options.
    option: Option<&'static str>,
    limit: &'static str,
    taken: &'static str,
    /// In `memory.stat`: bytes of files not used lately, of this group and those below it.
    reclaimable: &'static str,
}

const VERSION_1: Version = Version {
    file_system: "cgroup",
    option: Some("memory"),
    limit: "memory.limit_in_bytes",
    taken: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file ",
};

const VERSION_2: Version = Version {
    file_system: "cgroup2",
    option: None,
    limit: "memory.max",
    taken: "memory.current",
    reclaimable: "inactive_file ",
};

impl Version {
    /// None where there is no limit: the file is absent, or says `max`.
    fn left(&self, files: Files<'_>, group: &Path) -> Option<u64> {
        let limit: u64 = files.number(group.join(self.limit))?;
        let taken: u64 = files.number(group.join(self.taken))?;
        let stat = files.text(group.join("memory.stat")).unwrap_or_default();
        let reclaimable = stat.lines().find_map(|line| line.strip_prefix(self.reclaimable)?.parse().ok());
        Some(limit.saturating_sub(taken.saturating_sub(reclaimable.unwrap_or(0))))
    }
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct Mount<'a> {
    /// The part of the file system that is mounted.
    root: &'a str,
    point: &'a str,
    file_system: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let mut kind = kind.split(' ');
        let (root, point) = (place.next()?, place.next()?);
        let (file_system, options) = (kind.next()?, kind.nth(1)?);
        Some(Self { root, point, file_system, options })
    }

    fn carries(&self, version: &Version) -> bool {
        let option = |wanted| self.options.split(',').any(|option| option == wanted);
        self.file_system == version.file_system && version.option.is_none_or(option)
    }
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
    /// 8 GiB; the `=` of the first line is that of the record.
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
        // 2 GiB of what the slice holds are files that can go.
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

    /// No limit is a number near 2^63 there.
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

    /// systemd's hybrid: version 2 is there, but the memory controller is in version 1.
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
