//! From a flow to the frames that the real eBPF program made, and their comparison with the model.

use std::sync::LazyLock;

use etherparse::{LinkExtSlice, LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use proptest::{prelude::*, test_runner::TestCaseError};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use xdp_trafficgen::{
    config::{self, Diagnostics, Source},
    host::{Facts, Link},
    kernel::{Generator, probe::probe},
    packet::HeaderKind,
    plan::{self, DefaultRoute, PortPlan, Program},
};

use super::{
    cases::{Case, Page},
    model::{Flow, LINK_MAC, text::toml, turns},
};

/// A machine with one link and four CPUs, whatever the test runs on, whose largest frame is that of
/// the real kernel.
static FACTS: LazyLock<Facts> = LazyLock::new(|| Facts {
    links: vec![Link {
        name: "p0".to_owned(),
        alt_names: Vec::new(),
        index: 1,
        mtu: 9000,
        up: true,
        carrier: true,
        mac: Some(*LINK_MAC.to_be_bytes().last_chunk().expect("16 bytes")),
        speed: None,
        bus: None,
    }],
    cpus: vec![0, 1, 2, 3],
    allowed_cpus: vec![0, 1, 2, 3],
    largest_frame: Some(*LARGEST_FRAME),
    ..Facts::default()
});

/// The largest frame without FCS. Where no program can be run, any value will do to plan with.
static LARGEST_FRAME: LazyLock<usize> =
    LazyLock::new(|| probe().map_or(1514, |capabilities| capabilities.largest_frame));

/// The CPUs that this process may run on, read before any test pins its thread.
static CPUS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let set = sched_getaffinity(None).expect("sched_getaffinity");
    (0..).take(CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu as usize)).collect()
});

/// Bytes on the wire of the largest frame the kernel takes.
pub(crate) fn largest_size() -> u32 {
    u32::try_from(*LARGEST_FRAME + 4).expect("about a page")
}

/// CPUs that really exist.
pub(crate) fn cpus() -> &'static [u32] {
    &CPUS
}

/// Takes a configuration file to the plan of its only port.
pub(crate) fn plan(toml: &str) -> Result<PortPlan, Diagnostics> {
    let config = config::file::parse(Source::file("test.toml", toml))?;
    let mut plan = plan::plan(&config, &FACTS, DefaultRoute::Refuse)?;
    Ok(plan.ports.remove(0))
}

/// Loads `program` and moves this thread to where it is the worker planned for `cpu`: to that CPU
/// or, if the machine lacks it, to another one that is given this worker's state.
pub(crate) fn load(program: &Program, cpu: u32) -> Generator {
    if cpus().contains(&cpu) {
        pin(cpu);
        return Generator::load_dry(program).expect("the kernel takes the program");
    }
    let here = cpus()[0];
    pin(here);
    let mut moved = program.clone();
    moved.workers.insert(here, program.workers[&cpu]);
    Generator::load_dry(&moved).expect("the kernel takes the program")
}

pub(crate) fn pin(cpu: u32) {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    sched_setaffinity(None, &set).expect("sched_setaffinity");
}

/// What the plan may say of flows that are right but exceed the limits of one program.
const LIMITS: [&str; 15] = [
    "there is room for",
    "that can be written",
    "too many values to be followed",
    "share bytes with another varying field, and both together are too wide",
    "shares bytes with another varying field, and both together are too wide",
    "shares bytes with one that follows another random field",
    "both wait for rounds",
    "this constant covers bits of",
    "lie on the border of what the checksum of",
    "covers in some frames only",
    "vary apart, and both say what the checksum of",
    "lies an odd number of bytes",
    "wide fields vary",
    "checksums cover this field",
    "are too long to be recorded",
];

/// Whether the plan accepts these flows; a refusal for anything but its limits is an error.
pub(crate) fn are_within_limits(flows: &[Flow]) -> Result<bool, TestCaseError> {
    let text = toml(flows, &[0], "redirect");
    let Err(diagnostics) = plan(&text) else { return Ok(true) };
    let known = |message: &str| LIMITS.iter().any(|limit| message.contains(limit));
    prop_assert!(
        diagnostics.list().iter().all(|diagnostic| known(&diagnostic.message)),
        "{}",
        diagnostics
    );
    Ok(false)
}

/// Every frame of one worker is what the model says, whatever page it is written to; simple ones
/// also decode completely.
pub(crate) fn check_case(case: &Case) -> Result<(), TestCaseError> {
    let toml = toml(&case.flows, &case.cpus, case.action);
    check_frames(case, &toml).map_err(|error| match error {
        TestCaseError::Fail(reason) => {
            TestCaseError::fail(format!("worker {}: {reason}\n{toml}", case.worker))
        }
        reject => reject,
    })
}

fn check_frames(case: &Case, toml: &str) -> Result<(), TestCaseError> {
    let Case { flows, cpus, worker, action, pages } = case;
    let plan = plan(toml).map_err(|diagnostics| TestCaseError::fail(diagnostics.to_string()))?;
    for (flow, planned) in flows.iter().zip(&plan.flows) {
        equal("template", &flow.template(), &planned.layout.bytes)?;
    }
    let program = &plan.program;
    let turns = turns(&flows.iter().map(|flow| flow.weight).collect::<Vec<_>>());
    let generator = load(program, cpus[*worker]);
    let index = u32::try_from(*worker).expect("few");
    generator
        .set_schedule(index, &turns)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    // A dry load has no egress interface to redirect to, so the program drops instead.
    let xdp_action = match *action {
        "pass" => 2,
        "tx" => 3,
        _ => 1,
    };
    let mut sent = vec![0; flows.len()];
    let mut earlier: Vec<Vec<u8>> = vec![program.frame.clone()];
    for (&turn, page) in turns.iter().cycle().zip(pages) {
        let flow = &flows[turn as usize];
        let wanted = flow.frame(*worker as u64 + sent[turn as usize] * cpus.len() as u64);
        sent[turn as usize] += 1;
        let mut page_bytes = match page {
            Page::Fresh => program.frame.clone(),
            Page::Earlier(number) => earlier[number % earlier.len()].clone(),
            Page::Foreign(mask) => program.frame.iter().map(|byte| byte ^ mask).collect(),
        };
        let (returned, made) = generator.dry_run(&page_bytes).expect("an ordinary run");
        prop_assert_eq!(returned, xdp_action, "the action of flow {}", turn);
        let what =
            || format!("flow {turn}, its frame {}, on page {page:?}", sent[turn as usize] - 1);
        // Where all flows fill their frames alike, pages keep the filling, which saves more time
        // the longer the frames are.
        if matches!(page, Page::Foreign(_)) && program.bodies.is_empty() {
            prop_assert_eq!(made.len(), wanted.len(), "{}", what());
            let written = flow.written();
            equal(&what(), &wanted[..written], &made[..written])?;
            if let [flow] = &flows[..]
                && flow.header_len() <= 250
            {
                // The program writes an even number of bytes, and eight at least.
                let written = flow.written().max(8).next_multiple_of(2).min(wanted.len());
                equal(&what(), &page_bytes[written..wanted.len()], &made[written..])?;
            }
            continue;
        }
        equal(&what(), &wanted, &made)?;
        if flow.is_simple() {
            check_decodes(flow, &made)?;
        }
        // A frame that was cut leaves the bytes behind it in the page.
        page_bytes[..made.len()].copy_from_slice(&made);
        earlier.push(page_bytes);
    }
    Ok(())
}

/// Names the bytes that differ: whole frames are too long to read.
fn equal(what: &str, wanted: &[u8], found: &[u8]) -> Result<(), TestCaseError> {
    let differ: Vec<String> = wanted
        .iter()
        .zip(found)
        .enumerate()
        .filter(|(_, (wanted, found))| wanted != found)
        .map(|(at, (wanted, found))| format!("{at}: {wanted:02x} → {found:02x}"))
        .collect();
    prop_assert!(
        differ.is_empty() && wanted.len() == found.len(),
        "{}, wanted → found: {}",
        what,
        differ.join(", ")
    );
    Ok(())
}

/// etherparse finds the headers that were asked for, lengths that span the frame to its end, and
/// right checksums.
fn check_decodes(flow: &Flow, frame: &[u8]) -> Result<(), TestCaseError> {
    let packet = SlicedPacket::from_ethernet(frame)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let mut kinds = Vec::new();
    let mut rest = match &packet.link {
        Some(LinkSlice::Ethernet2(ethernet)) => {
            kinds.push(HeaderKind::Ethernet);
            ethernet.payload_slice()
        }
        other => panic!("sliced as Ethernet, found {other:?}"),
    };
    for extension in &packet.link_exts {
        let LinkExtSlice::Vlan(vlan) = extension else {
            panic!("no MACsec was sent: {extension:?}")
        };
        kinds.push(HeaderKind::Vlan);
        rest = vlan.payload_slice();
    }
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            kinds.push(HeaderKind::Ipv4);
            let header = ip.header().to_header();
            prop_assert_eq!(
                header.header_checksum,
                header.calc_header_checksum(),
                "IPv4 header checksum"
            );
            prop_assert_eq!(usize::from(header.total_len), rest.len(), "IPv4 total length");
            rest = ip.payload().payload;
        }
        Some(NetSlice::Ipv6(ip)) => {
            kinds.push(HeaderKind::Ipv6);
            prop_assert_eq!(
                usize::from(ip.header().payload_length()),
                rest.len() - 40,
                "IPv6 payload length"
            );
            rest = ip.payload().payload;
        }
        Some(NetSlice::Arp(arp)) => panic!("no ARP was sent: {arp:?}"),
        None => {}
    }
    if let Some(transport) = &packet.transport {
        let TransportSlice::Udp(udp) = transport else {
            panic!("only UDP was sent: {transport:?}")
        };
        kinds.push(HeaderKind::Udp);
        prop_assert_eq!(usize::from(udp.length()), rest.len(), "UDP length");
        rest = udp.payload();
        let header = udp.to_header();
        let checksum = match &packet.net {
            Some(NetSlice::Ipv4(ip)) => header.calc_checksum_ipv4(&ip.header().to_header(), rest),
            Some(NetSlice::Ipv6(ip)) => header.calc_checksum_ipv6(&ip.header().to_header(), rest),
            other => panic!("UDP over {other:?}"),
        };
        prop_assert_eq!(Ok(header.checksum), checksum, "UDP checksum");
    }
    let asked: Vec<_> = flow.headers.iter().map(|header| header.kind).collect();
    prop_assert_eq!(kinds, asked, "headers");
    prop_assert_eq!(rest, &flow.template()[flow.header_len()..][..rest.len()], "payload");
    Ok(())
}
