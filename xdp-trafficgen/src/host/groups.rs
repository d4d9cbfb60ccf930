//! The control groups of this process that it can see. Of a controller's limits, the smallest of
//! all groups applies.

use std::path::{Path, PathBuf};

use procfs_core::{FromBufRead as _, ProcessCGroups, process::MountInfo};

use crate::host::files::Files;

/// The two kinds of hierarchies (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// A hierarchy per controller, or for several.
    One,
    /// One hierarchy for all controllers.
    Two,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) version: Version,
    /// The directory of its files.
    pub(super) directory: PathBuf,
}

/// The process's own group of this controller, then all groups above it.
pub(super) fn of(files: Files<'_>, controller: &str) -> Vec<Group> {
    let mounts = files.text("proc/self/mountinfo").unwrap_or_default();
    // A line that cannot be parsed does not spoil the others.
    let mounts: Vec<MountInfo> =
        mounts.lines().filter_map(|line| MountInfo::from_line(line).ok()).collect();
    let memberships = files.text("proc/self/cgroup").unwrap_or_default();
    let memberships = ProcessCGroups::from_buf_read(memberships.as_bytes());
    let groups = memberships.into_iter().flatten().flat_map(|membership| {
        let version = match membership.controllers.iter().any(|known| known == controller) {
            true => Version::One,
            false if membership.hierarchy == 0 => Version::Two,
            false => return Vec::new(),
        };
        let mounts = || mounts.iter().rev().filter(|mount| carries(mount, version, controller));
        // Of several mounts that show the group, the last hides the others at the same place.
        let shows = |mount: &&MountInfo| {
            Path::new(&membership.pathname).starts_with(unescaped(&mount.root))
        };
        let mount = mounts().find(shows).or_else(|| mounts().next());
        mount.map_or_else(Vec::new, |mount| upwards(version, mount, &membership.pathname))
    });
    groups.collect()
}

/// The group at `path` of a hierarchy, and all groups above it.
fn upwards(version: Version, mount: &MountInfo, path: &str) -> Vec<Group> {
    // In a container, the mount may be a part of the hierarchy, while /proc/self/cgroup counts from
    // its root. If the path is outside of the mount, the mount's top is the nearest group that can
    // be seen.
    let below =
        Path::new(path).strip_prefix(unescaped(&mount.root)).unwrap_or_else(|_| Path::new(""));
    let top = PathBuf::from(unescaped(&mount.mount_point.to_string_lossy()));
    below.ancestors().map(|group| Group { version, directory: top.join(group) }).collect()
}

fn carries(mount: &MountInfo, version: Version, controller: &str) -> bool {
    match version {
        Version::One => mount.fs_type == "cgroup" && mount.super_options.contains_key(controller),
        Version::Two => mount.fs_type == "cgroup2",
    }
}

/// A path of /proc/self/mountinfo, where the kernel writes space, tab, line feed and backslash as
/// `\` and three octal digits (`mangle` of fs/seq_file.c); procfs-core leaves them as they are in
/// this file.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_at_checked(3).map(|(digits, rest)| (u8::from_str_radix(digits, 8), rest)) {
            Some((Ok(byte), rest)) if byte.is_ascii() => {
                text.push(byte.into());
                text += rest;
            }
            _ => {
                text.push('\\');
                text += part;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::recorded;

    #[test]
    fn paths_with_spaces_are_found() {
        let tree = r"
            proc/self/cgroup = 0::/my jobs/7
            proc/self/mountinfo = 31 23 0:28 /my\040jobs /mnt/all\011groups rw - cgroup2 cgroup\0402 rw
        ";
        // The `\n` of the recorded tree is not one of these escapes.
        let root = recorded(tree);
        let directories: Vec<PathBuf> =
            of(Files::under(root.path()), "cpu").into_iter().map(|group| group.directory).collect();
        assert_eq!(directories, [Path::new("/mnt/all\tgroups/7"), Path::new("/mnt/all\tgroups/")]);
    }

    #[test]
    fn escapes_are_octal() {
        for (escaped, path) in [
            (r"/a\040b", "/a b"),
            (r"/a\134040", r"/a\040"),
            (r"/\011\012", "/\t\n"),
            (r"/ä\040ö", "/ä ö"),
            (r"/not\04", r"/not\04"),
            (r"/not\0ö", r"/not\0ö"),
            (r"/not\377", r"/not\377"),
            ("", ""),
        ] {
            assert_eq!(unescaped(escaped), path, "{escaped}");
        }
    }
}
