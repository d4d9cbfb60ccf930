//! Nothing is left in the kernel after SIGKILL.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use aya_obj::generated::bpf_cmd;
use rustix::process::{Pid, Signal};
use xdp_trafficgen::host::Netlink;

use crate::{
    cli::{ids, udp},
    harness::{self, Running, Stage, cpu_lists, sink},
};

#[test]
fn nothing_stays_after_a_kill() {
    let Some(stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    for cpus in cpu_lists() {
        let mut running = Running::start(udp(&format!("--cpus {cpus}")));
        let before = sink.count().unwrap().frames;
        running.wait_until("frames arrive", |_| sink.count().unwrap().frames > before);
        let held = KernelObjects::held_by(running.pid());
        for (kind, ids) in
            [("programs", &held.programs), ("maps", &held.maps), ("links", &held.links)]
        {
            assert!(!ids.is_empty(), "the test does not see the {kind}");
            assert!(
                ids.is_subset(&KernelObjects::loaded().of(kind)),
                "the test does not see the {kind} of others"
            );
        }
        assert!(!held.namespaces.is_empty(), "the test does not see the namespaces");
        for name in named_namespaces() {
            assert!(!held.namespaces.contains(&inode(&name)), "{} has a name", name.display());
        }
        running.signal(Signal::KILL);
        let before = Instant::now();
        assert_eq!(running.end().code, None, "it was killed");
        held.wait_until_gone();
        println!("SIGKILL, CPUs {cpus}: all gone after {:?}", before.elapsed());
        assert_eq!(interfaces(&stage.netlink), ["lo", "xtg0", "xtg1"]);
        let link = Command::new("ip").args(["link", "show", "xtg0"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&link.stdout).contains("xdp"), "{link:?}");
    }
}

/// Ids of what is in the kernel. Names would not do, since tests that run beside this one make
/// objects of the same names.
#[derive(Debug, Default)]
struct KernelObjects {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
    /// Network namespaces, by inode.
    namespaces: BTreeSet<u64>,
}

impl KernelObjects {
    /// The objects that a process holds by its descriptors.
    fn held_by(pid: Pid) -> Self {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let mut held = Self::default();
        for entry in fs::read_dir(process.join("fd")).unwrap() {
            let entry = entry.unwrap().path();
            // A descriptor that was closed meanwhile is left out.
            let Ok(target) = fs::read_link(&entry) else { continue };
            let info = process.join("fdinfo").join(entry.file_name().unwrap());
            let info = fs::read_to_string(info).unwrap_or_default();
            let id = |key: &str| -> Option<u32> {
                info.lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.trim().parse().ok())
            };
            match target.to_str().unwrap() {
                "anon_inode:bpf-prog" => held.programs.extend(id("prog_id")),
                "anon_inode:bpf-map" => held.maps.extend(id("map_id")),
                "anon_inode:bpf_link" | "anon_inode:bpf-link" => {
                    held.programs.extend(id("prog_id"));
                    held.links.extend(id("link_id"));
                }
                target => {
                    let namespace =
                        target.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
                    held.namespaces.extend(namespace.map(|inode| inode.parse::<u64>().unwrap()));
                }
            }
        }
        held
    }

    /// All objects that are loaded.
    fn loaded() -> Self {
        Self {
            programs: ids::all(bpf_cmd::BPF_PROG_GET_NEXT_ID),
            maps: ids::all(bpf_cmd::BPF_MAP_GET_NEXT_ID),
            links: ids::all(bpf_cmd::BPF_LINK_GET_NEXT_ID),
            namespaces: BTreeSet::new(),
        }
    }

    fn of(self, kind: &str) -> BTreeSet<u32> {
        match kind {
            "programs" => self.programs,
            "maps" => self.maps,
            _ => self.links,
        }
    }

    /// The kernel frees the objects of a dead process a little after its end.
    #[track_caller]
    fn wait_until_gone(&self) {
        let mut left = Self::default();
        let gone = harness::reached(|| {
            let loaded = Self::loaded();
            let both = |held: &BTreeSet<u32>, loaded: &BTreeSet<u32>| {
                held.intersection(loaded).copied().collect()
            };
            left.programs = both(&self.programs, &loaded.programs);
            left.maps = both(&self.maps, &loaded.maps);
            left.links = both(&self.links, &loaded.links);
            left.programs.is_empty() && left.maps.is_empty() && left.links.is_empty()
        });
        assert!(gone, "left behind: {left:?}");
    }
}

/// The namespaces that `ip netns` made; there may be none.
fn named_namespaces() -> Vec<PathBuf> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The inode of a file, or 0 when the file is gone.
fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map_or(0, |metadata| metadata.ino())
}

fn interfaces(netlink: &Netlink) -> Vec<String> {
    let mut names: Vec<String> =
        netlink.links().unwrap().into_iter().map(|link| link.name).collect();
    names.sort();
    names
}
