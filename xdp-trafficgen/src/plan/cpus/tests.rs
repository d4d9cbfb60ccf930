//! The CPUs that ports get, on recorded machines.

use super::*;
use crate::{
    config::{Source, file},
    host::{Link, Queues, WorkerThread},
    plan::{
        self, DefaultRoute,
        driver::tests::{NATIVE, SENDS, machine, plan},
        tests::{UDP, facts, planned},
    },
};

#[test]
fn workers_are_put_where_there_are_queues() {
    /// Checks the chosen CPUs, and the note about CPUs that the user named.
    #[track_caller]
    fn check(
        driver: &str,
        queues: u32,
        allowed: &[u32],
        cpus: Option<&str>,
        expected: &[u32],
        parts: &[&str],
    ) {
        let mut facts = machine(driver, SENDS, NATIVE);
        facts.interfaces[0].queues = Queues { rx: queues, tx: queues };
        facts.cpus = (0..8).collect();
        facts.allowed_cpus = allowed.to_vec();
        let cpus = cpus.map_or_else(String::new, |cpus| format!("cpus = '{cpus}'"));
        let plan = plan(&facts, &format!("interface = 'veth0'\n{cpus}"));
        assert_eq!(plan.ports[0].cpus, expected);
        let about = plan.notes.iter().find(|note| note.text.contains("by queue n"));
        assert_eq!(about.is_some(), !parts.is_empty(), "{:?}", plan.notes);
        for part in parts {
            assert!(about.unwrap().text.contains(part), "no `{part}` in {about:?}");
        }
    }
    // i40e_xdp_xmit refuses frames from CPUs beyond its queue pairs.
    check("i40e", 4, &[2, 3, 4], None, &[2], &[]);
    check("i40e", 2, &[6, 1, 7], None, &[1], &[]);
    check("i40e", 2, &[6, 7], None, &[6], &["from CPU 6 ", "ethtool -L veth0 combined 7`"]);
    check(
        "i40e",
        4,
        &[0, 1, 2, 3, 4, 5],
        Some("3-5"),
        &[3, 4, 5],
        &["from CPU 4, 5 ", "use CPUs of 0, 1, 2, 3,", "combined 6`"],
    );
    check(
        "rvu-nicpf",
        4,
        &[4, 1],
        Some("4"),
        &[4],
        &["CPU 4 may crash the machine", "use CPUs of 1,"],
    );
    check("i40e", 4, &[0, 1], Some("0-3"), &[0, 1, 2, 3], &[]);
    // Other drivers share queues, or their number of queues is unknown.
    check("ice", 2, &[6, 7], None, &[6], &[]);
    check("virtio_net", 1, &[1], None, &[1], &[]);
    check("i40e", 0, &[6], None, &[6], &[]);
    check("", 1, &[6], None, &[6], &[]);
}

/// Four CPUs: 0 and 2 share a core, and so do 1 and 3.
fn four_cpus() -> Facts {
    let mut facts = facts();
    let wire = facts.links[1].clone();
    facts.links = (0..8)
        .map(|number| Link { name: format!("veth{number}"), index: 3 + number, ..wire.clone() })
        .collect();
    facts.cpus = vec![0, 1, 2, 3];
    facts.allowed_cpus = facts.cpus.clone();
    let cpu = |number| Cpu { number, siblings: vec![number % 2, number % 2 + 2], ..Cpu::default() };
    facts.system.cpus = (0..4).map(cpu).collect();
    facts
}

fn on(cpus: &[u32]) -> Vec<WorkerThread> {
    cpus.iter().map(|&cpu| WorkerThread { process: 77, cpu }).collect()
}

/// Checks the CPUs of ports with these settings.
#[track_caller]
fn check(facts: &Facts, ports: &[&str], expected: &[&[u32]]) {
    let port = |(number, settings): (usize, &&str)| {
        format!("[[ports]]\nname = 'p{number}'\ninterface = 'veth{number}'\n{settings}\n")
            + &format!("[[flows]]\nname = 'f{number}'\nport = 'p{number}'\n{UDP}\n")
    };
    let text: String = ports.iter().enumerate().map(port).collect();
    let config =
        file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
    let plan =
        plan::plan(&config, facts, DefaultRoute::Refuse).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(
        plan.ports.iter().map(|port| port.cpus.as_slice()).collect::<Vec<_>>(),
        expected,
        "{ports:?}"
    );
}

#[test]
fn ports_without_cpus_take_them_in_turn() {
    let facts = four_cpus();
    check(&facts, &[""], &[&[0]]);
    // Ports get cores first, then the cores' other threads, then the first CPU again.
    check(&facts, &["", "", "", "", ""], &[&[0], &[1], &[2], &[3], &[0]]);
    check(&facts, &["", "cpus = '0-1'", ""], &[&[2], &[0, 1], &[3]]);
    check(&facts, &["cpus = '3'", "cpus = '3'", ""], &[&[3], &[3], &[0]]);
    let two = Facts { allowed_cpus: vec![1, 3], ..four_cpus() };
    check(&two, &["", "", ""], &[&[1], &[3], &[1]]);
}

#[test]
fn cpus_of_other_workers_come_last() {
    check(&Facts { workers: on(&[0]), ..four_cpus() }, &["", ""], &[&[1], &[2]]);
    // The other thread of a core that sends already is no better than a third.
    check(&Facts { workers: on(&[0, 1]), ..four_cpus() }, &["", ""], &[&[2], &[3]]);
    check(&Facts { workers: on(&[0, 1, 2, 3, 0, 1, 2]), ..four_cpus() }, &[""], &[&[3]]);
    let one = Facts { allowed_cpus: vec![2], workers: on(&[2, 2]), ..four_cpus() };
    check(&one, &[""], &[&[2]]);
}

#[test]
fn a_port_that_starts_again_keeps_its_cpus_while_it_can() {
    let text = format!(
        "ports = [{{ name = 'p', interface = 'veth0' }}]\n[[flows]]\nname = 'f'\nport = 'p'\n{UDP}"
    );
    let mut config =
        file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
    config.ports[0].cpus = Some(Located::new(vec![2], Origin::Default));
    let cpus = |facts: &Facts| choose(&config, facts).remove("p").unwrap();
    assert_eq!(cpus(&four_cpus()), [2]);
    assert_eq!(cpus(&Facts { workers: on(&[2]), ..four_cpus() }), [2]);
    assert_eq!(cpus(&Facts { allowed_cpus: vec![1, 3], workers: on(&[1]), ..four_cpus() }), [3]);
}

#[test]
fn cpus_outside_of_the_cpuset_are_refused() {
    let facts = Facts { allowed_cpus: vec![2], barred_cpus: vec![1, 3], ..four_cpus() };
    let refused = planned("interface = 'veth0'\ncpus = '1-3'", UDP, &facts, DefaultRoute::Refuse)
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("may not run on CPU 1, 3,") && text.contains("it may run on 0, 2:"),
        "{text}"
    );
    // A worker may have a CPU that only the process's affinity excludes.
    check(&facts, &["cpus = '0'"], &[&[0]]);
}
