//! What the kernel says of links and of the machine, in the network namespace of the calling
//! thread.

use std::{collections::BTreeMap, process::Command};

use crate::harness::TestNet;
use xdp_trafficgen::host::{Facts, System};

/// veth says 10 Gb/s whatever it carries (drivers/net/veth.c, `veth_get_link_ksettings`); loopback
/// has no answer at all.
#[test]
fn speeds_are_those_of_this_namespace() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("a", "b");
    #[track_caller]
    fn check(net: &TestNet, interface: &str, expected: Option<u64>) {
        assert_eq!(net.link(interface).speed, expected, "{interface}");
    }
    check(&net, "a", Some(10_000_000_000));
    check(&net, "b", Some(10_000_000_000));
    check(&net, "lo", None);
    assert_eq!(net.link("a").bus, None, "no device, no bus");
}

/// The facts of the machine are those that util-linux and uname show.
#[test]
fn the_machine_is_as_other_programs_see_it() {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        String::from_utf8(output.stdout).unwrap()
    };
    let system = System::gather();
    assert_eq!(system.release, output("uname", &["-r"]).trim());
    assert_eq!(system.real_time, output("uname", &["-v"]).contains("PREEMPT_RT"));
    let (major, minor) = system.version.unwrap();
    assert!(system.release.starts_with(&format!("{major}.{minor}")), "{system:?}");

    // CPU, core, node.
    let table = output("lscpu", &["--parse=CPU,CORE,NODE"]);
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let rows = rows
        .map(|line| line.split(',').map(|cell| cell.parse().ok()).collect::<Vec<Option<u32>>>());
    let cores: BTreeMap<u32, (Option<u32>, Option<u32>)> =
        rows.map(|row| (row[0].unwrap(), (row[1], row[2]))).collect();
    let numbers: Vec<u32> = system.cpus.iter().map(|cpu| cpu.number).collect();
    assert_eq!(numbers, cores.keys().copied().collect::<Vec<_>>());
    for cpu in &system.cpus {
        let (core, node) = cores[&cpu.number];
        assert_eq!(cpu.numa_node, node, "{cpu:?}");
        let siblings =
            cores.iter().filter(|(_, (other, _))| *other == core).map(|(number, _)| *number);
        assert_eq!(cpu.siblings, siblings.collect::<Vec<_>>(), "{cpu:?}");
    }

    // /proc/meminfo ignores control groups, so it is only an upper bound.
    let total = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total: u64 =
        total.lines().next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(
        system.memory.is_some_and(|memory| 0 < memory && memory <= total * 1024),
        "{system:?}: {total} kB"
    );
    let vulnerabilities = output("lscpu", &[]);
    for (vulnerability, mitigation) in &system.mitigations {
        // lscpu writes `Retbleed:  Mitigation; Stuffing`, and leaves out later colons.
        let measure = mitigation
            .split_once(": ")
            .map_or(mitigation.as_str(), |(_, measure)| measure)
            .replace(':', "");
        assert!(
            vulnerabilities.contains(&measure),
            "{vulnerability}: {mitigation}: {vulnerabilities}"
        );
    }
}

#[test]
fn facts_have_the_machine_and_the_interfaces_asked_for() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("a", "b");
    let facts = Facts::gather(&[], &["b", "nobody"], None).unwrap();
    let names: Vec<&str> =
        facts.interfaces.iter().map(|interface| interface.link.name.as_str()).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(facts.interface("b").map(|interface| &interface.link), facts.link("b"));
    assert_eq!(facts.kernel, facts.system.version);
    assert!(facts.system.cpus.iter().map(|cpu| cpu.number).eq(facts.cpus));
}
