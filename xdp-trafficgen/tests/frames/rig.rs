//! From a flow to frames that the real eBPF program made, and the judgement over them.

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
    model::{Flow, LINK_MAC},
    random::Case,
};

/// A machine with one link and four CPUs, whatever we run on, that takes as large a frame as ours does.
static FACTS: LazyLock<Facts> = LazyLock::new(|| Facts {
    links: vec![Link {
        name: "p0".to_owned(),
        index: 1,
        mtu: 9000,
        up: true,
        carrier: true,
        mac: Some(LINK_MAC),
        driver: None,
    }],
    cpus: vec![0, 1, 2, 3],
    allowed_cpus: vec![0, 1, 2, 3],
    largest_frame: Some(*LARGEST_FRAME),
    ..Facts::default()
});

/// Without FCS; where nothing can be run, any will do to plan with.
static LARGEST_FRAME: LazyLock<usize> =
    LazyLock::new(|| probe().map_or(1514, |capabilities| capabilities.largest_frame));

/// The CPUs we may run on, asked before any test pins its thread.
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

/// The way of a configuration file to the plan of its only port.
pub(crate) fn plan(toml: &str) -> Result<PortPlan, Diagnostics> {
    let config = config::file::parse(Source::file("test.toml", toml))?;
    let mut plan = plan::plan(&config, &FACTS, DefaultRoute::Refuse)?;
    Ok(plan.ports.remove(0))
}

/// Loads `program` and moves this thread to where it is the worker planned for `cpu`: on that very CPU, or, if there is
/// no such CPU, on one that is given this worker's state.
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

/// Frames a case looks at, on fresh pages and on recycled ones.
pub(crate) const FRAMES: usize = 40;

/// Every frame of one worker is what the model says and decodes completely, whatever page it is written to.
pub(crate) fn check_case(case: &Case) -> Result<(), TestCaseError> {
    let Case { flow, cpus, worker, action, pages } = case;
    let toml = flow.toml(cpus, action);
    let in_toml = |error: TestCaseError| match error {
        TestCaseError::Fail(reason) => TestCaseError::fail(format!("worker {worker}: {reason}\n{toml}")),
        reject => reject,
    };
    let plan = plan(&toml).map_err(|diagnostics| TestCaseError::fail(diagnostics.to_string()))?;
    equal("template", &flow.template(), &plan.program.frame[..flow.frame_len()]).map_err(in_toml)?;
    let number = |frame: u64| *worker as u64 + frame * cpus.len() as u64;
    let cpu = cpus[*worker];
    check_fresh(flow, &plan, cpu, action, number).map_err(in_toml)?;
    check_recycled(flow, &plan, cpu, pages, number).map_err(in_toml)?;
    Ok(())
}

/// On pages that hold the template, as the kernel makes them, and then on pages that hold anything else: headers are
/// written without a look at the page, only the payload stays.
fn check_fresh(
    flow: &Flow,
    plan: &PortPlan,
    cpu: u32,
    action: &str,
    number: impl Fn(u64) -> u64,
) -> Result<(), TestCaseError> {
    let generator = load(&plan.program, cpu);
    // A dry load has no egress interface to redirect to, so the program drops instead.
    let xdp_action = match action {
        "pass" => 2,
        "tx" => 3,
        _ => 1,
    };
    for frame in 0..FRAMES as u64 {
        let (returned, made) = generator.dry_run(&plan.program.frame).expect("an ordinary run");
        prop_assert_eq!(returned, xdp_action, "the action of frame {}", frame);
        equal("fresh page", &flow.frame(number(frame)), &made)?;
        if flow.has_own_protocols() {
            check_decodes(flow, &made)?;
        }
    }
    let inverted: Vec<u8> = plan.program.frame.iter().map(|byte| !byte).collect();
    for (frame, page) in
        (FRAMES as u64..).zip([inverted, vec![0xff; plan.program.frame.len()], vec![0; plan.program.frame.len()]])
    {
        let (_, made) = generator.dry_run(&page).expect("an ordinary run");
        let wanted = flow.frame(number(frame));
        prop_assert_eq!(made.len(), wanted.len());
        // Written four bytes at a time.
        let headers = (wanted.len() - flow.payload().len()).next_multiple_of(4).min(wanted.len());
        equal("headers on a foreign page", &wanted[..headers], &made[..headers])?;
        equal("payload of a foreign page", &page[headers..wanted.len()], &made[headers..])?;
    }
    Ok(())
}

/// On pages that hold an earlier frame, any: the kernel's recycling keeps no order.
fn check_recycled(
    flow: &Flow,
    plan: &PortPlan,
    cpu: u32,
    pages: &[usize],
    number: impl Fn(u64) -> u64,
) -> Result<(), TestCaseError> {
    let generator = load(&plan.program, cpu);
    let mut earlier = vec![plan.program.frame.clone()];
    for (frame, page) in (0..).zip(pages) {
        let (_, made) = generator.dry_run(&earlier[page % earlier.len()]).expect("an ordinary run");
        equal("recycled page", &flow.frame(number(frame)), &made)?;
        // The kernel gives recycled pages their full length back.
        let mut page = plan.program.frame.clone();
        page[..made.len()].copy_from_slice(&made);
        earlier.push(page);
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
    prop_assert!(differ.is_empty() && wanted.len() == found.len(), "{}, wanted → found: {}", what, differ.join(", "));
    Ok(())
}

/// etherparse finds the headers that were asked for, lengths that span the frame to its end, and right checksums.
pub(crate) fn check_decodes(flow: &Flow, frame: &[u8]) -> Result<(), TestCaseError> {
    let packet = SlicedPacket::from_ethernet(frame).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let mut kinds = Vec::new();
    let mut rest = match &packet.link {
        Some(LinkSlice::Ethernet2(ethernet)) => {
            kinds.push(HeaderKind::Ethernet);
            ethernet.payload_slice()
        }
        other => panic!("sliced as Ethernet, found {other:?}"),
    };
    for extension in &packet.link_exts {
        let LinkExtSlice::Vlan(vlan) = extension else { panic!("no MACsec was sent: {extension:?}") };
        kinds.push(HeaderKind::Vlan);
        rest = vlan.payload_slice();
    }
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            kinds.push(HeaderKind::Ipv4);
            let header = ip.header().to_header();
            prop_assert_eq!(header.header_checksum, header.calc_header_checksum(), "IPv4 header checksum");
            prop_assert_eq!(usize::from(header.total_len), rest.len(), "IPv4 total length");
            rest = ip.payload().payload;
        }
        Some(NetSlice::Ipv6(ip)) => {
            kinds.push(HeaderKind::Ipv6);
            prop_assert_eq!(usize::from(ip.header().payload_length()), rest.len() - 40, "IPv6 payload length");
            rest = ip.payload().payload;
        }
        Some(NetSlice::Arp(arp)) => panic!("no ARP was sent: {arp:?}"),
        None => {}
    }
    if let Some(transport) = &packet.transport {
        let TransportSlice::Udp(udp) = transport else { panic!("only UDP was sent: {transport:?}") };
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
    prop_assert_eq!(rest, flow.payload(), "payload");
    Ok(())
}
