//! Limits of a machine and of its administrator: CPUs, capabilities, memory, descriptors.

mod cpus;
mod memory;
mod permissions;

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use tempfile::TempDir;
use xdp_trafficgen::host::allowed_cpus;

use crate::harness::{Finding, RECEIVER_MAC, Report, Stage, skipped};

/// The binary under a name of its own: instances detect each other by name, and other tests run
/// some too.
struct Alone {
    folder: TempDir,
    name: &'static str,
}

impl Alone {
    fn called(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_xdp-trafficgen"), folder.path().join(name)).unwrap();
        Self { folder, name }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join(self.name));
        command.args(arguments).env_remove("RUST_LOG");
        command
    }

    /// The command with this affinity, however many CPUs the machine has.
    fn command_on(&self, cpus: &[u32], arguments: &[&str]) -> Command {
        let list = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let command = self.command(arguments);
        let mut bound = Command::new("taskset");
        bound
            .args(["--cpu-list", &list])
            .arg(command.get_program())
            .args(command.get_args())
            .env_remove("RUST_LOG");
        bound
    }

    /// A configuration of so many flows on these CPUs, whose headers are too many to be recorded.
    fn long_flows(&self, flows: usize, cpus: &str) -> String {
        let flow = |number: usize| {
            let (high, low) = (number >> 8, number & 255);
            format!(
                "[[flows]]\nname = 'f{number}'\nport = 'a'\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, \
                 {{ ipv4 = {{ dst = '198.19.{high}.{low}' }} }}, \
                 {{ udp = {{ dst_port = {{ increment = {{ start = 1024, count = 60000 }} }} }} }}]\n"
            )
        };
        let port =
            format!("[[ports]]\nname = 'a'\ninterface = 'xtg0'\nrate = '1kpps'\ncpus = '{cpus}'\n");
        let path: PathBuf = self.folder.path().join("flows.toml");
        fs::write(&path, port + &(0..flows).map(flow).collect::<String>()).unwrap();
        path.display().to_string()
    }

    /// A configuration of a port out of each interface, with a flow whose port numbers are a list of a
    /// million.
    fn long_lists(&self, interfaces: &[&str]) -> String {
        let port = |(number, interface): (usize, &&str)| {
            format!(
                "[[ports]]\nname = 'p{number}'\ninterface = '{interface}'\n[[flows]]\nname = 'f{number}'\nport = 'p{number}'\n\
                 packet = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, {{ ipv4 = {{}} }}, \
                 {{ udp = {{ dst_port = {{ random = {{ min = 1, max = 65535, count = 1000000 }} }} }} }}]\n"
            )
        };
        let path: PathBuf = self.folder.path().join("lists.toml");
        fs::write(&path, interfaces.iter().enumerate().map(port).collect::<String>()).unwrap();
        path.display().to_string()
    }

    /// A configuration of port `a` out of `xtg0` and port `b` out of `xtg2`, each with these
    /// settings and so many frames.
    fn file(&self, ports: &[(&str, u64)]) -> String {
        let port = |((letter, interface), (settings, packets)): ((char, &str), &(&str, u64))| {
            format!(
                "[[ports]]\nname = '{letter}'\ninterface = '{interface}'\n{settings}\n[[flows]]\nname = 'of {letter}'\nport = '{letter}'\n\
                 packets = {packets}\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{}} }}]\n"
            )
        };
        let path: PathBuf = self.folder.path().join("ports.toml");
        fs::write(
            &path,
            [('a', "xtg0"), ('b', "xtg2")].into_iter().zip(ports).map(port).collect::<String>(),
        )
        .unwrap();
        path.display().to_string()
    }
}

/// The first two CPUs of this process; none, with a message, where there is only one.
fn two_cpus() -> Option<[u32; 2]> {
    match allowed_cpus().unwrap()[..] {
        [first, second, ..] => Some([first, second]),
        _ => {
            skipped("it takes two CPUs");
            None
        }
    }
}

/// A second pair of interfaces, `xtg2` and `xtg3`.
fn second_wire(stage: &Stage) {
    stage.pair("xtg2", "xtg3", 2);
}

fn findings<'a>(report: &'a Report, code: &str) -> Vec<&'a Finding> {
    report.findings.iter().filter(|finding| finding.code == code).collect()
}

fn cpus(report: &Report) -> Vec<u32> {
    report.ports.iter().flat_map(|port| &port.workers).map(|worker| worker.cpu).collect()
}
