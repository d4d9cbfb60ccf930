//! What is shown of an interface.

use super::page::bits_per_second;
use crate::{
    host::{
        AttachedMode, AttachedXdp, Driver, Interface, Iommu, Link, Peer, Queues, Rings, XdpFeatures,
    },
    output::{
        numbers::frames,
        probe::{Attachment, Probed, Trial},
    },
    units::{CpuList, FrameLen},
};

/// Its lines.
pub(super) fn lines(probed: &Probed) -> Vec<String> {
    let Probed { interface, default_route, largest_frame, attachment, trial } = probed;
    let Interface { link, features, peer, .. } = interface;
    let mut lines = vec![driver(interface), state(link, *largest_frame)];
    lines.extend(hardware(interface));
    lines.push(format!("XDP: {}; {}", programs(&interface.xdp), can(*features)));
    let qdisc = interface.qdisc.as_ref().map_or_else(String::new, |qdisc| format!(" {qdisc}"));
    lines.push(format!(
        "frames sent bypass packet taps (tcpdump here shows none), the qdisc{qdisc}, and nftables"
    ));
    if *default_route {
        lines.push("carries this machine's default route".to_owned());
    }
    lines.extend(peer.as_ref().map(other_end));
    lines.extend(attached(attachment));
    lines.extend(trial.as_ref().map(sent));
    lines
}

fn driver(interface: &Interface) -> String {
    let Interface { kind, driver, queues, most_queues, rings, gro, .. } = interface;
    let mut parts = vec![match driver {
        Some(Driver { name, version, bus_info }) => {
            // Some drivers of the kernel say so of no bus.
            let place = if matches!(bus_info.as_str(), "" | "N/A") {
                String::new()
            } else {
                format!(" ({bus_info})")
            };
            let version = if version.is_empty() { String::new() } else { format!(" {version}") };
            format!("driver {name}{version}{place}")
        }
        None => kind.as_ref().map_or_else(
            || "no driver known".to_owned(),
            |kind| format!("{kind}, no driver known"),
        ),
    }];
    let Queues { rx, tx } = *queues;
    let most = most_queues
        .map_or_else(String::new, |most| format!(" (at most {} and {})", most.tx, most.rx));
    parts.push(format!("queues: {tx} TX, {rx} RX{most}"));
    parts.extend(rings.map(|Rings { rx, rx_max, tx, tx_max }| {
        format!("rings: {tx} TX, {rx} RX (at most {tx_max} and {rx_max})")
    }));
    parts.extend(gro.map(|gro| format!("GRO {}", if gro { "on" } else { "off" })));
    parts.join("; ")
}

fn state(link: &Link, largest_frame: FrameLen) -> String {
    let Link { mtu, up, carrier, speed, .. } = link;
    let speed = speed.map_or_else(String::new, |bits| format!(", {}", bits_per_second(bits)));
    format!(
        "{}, {}{speed}; MTU {mtu}: frames of up to {} bytes",
        if *up { "up" } else { "down" },
        if *carrier { "carrier" } else { "no carrier" },
        largest_frame.bytes(),
    )
}

/// None where there is none.
fn hardware(interface: &Interface) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(interface.numa_node.map(|node| format!("NUMA node {node}")));
    parts.extend(interface.iommu.map(|iommu| match iommu {
        Iommu::Translating => "IOMMU translating".to_owned(),
        Iommu::Identity => "IOMMU passing through".to_owned(),
        Iommu::None => "no IOMMU".to_owned(),
    }));
    if !interface.interrupts.is_empty() {
        let mut cpus: Vec<u32> =
            interface.interrupts.iter().flat_map(|interrupt| interrupt.cpus.clone()).collect();
        cpus.sort_unstable();
        cpus.dedup();
        let count = interface.interrupts.len();
        let plural = if count == 1 { "" } else { "s" };
        parts.push(format!("{count} interrupt{plural}, on CPUs {}", CpuList(&cpus)));
    }
    Some(parts.join("; ")).filter(|text| !text.is_empty())
}

fn programs(attached: &[AttachedXdp]) -> String {
    let shown = attached.iter().map(|AttachedXdp { mode, program, name, on_link }| {
        let mode = match mode {
            AttachedMode::Native => "native",
            AttachedMode::Generic => "generic",
            AttachedMode::Offloaded => "offloaded",
        };
        let name = name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let held = if *on_link { " on a BPF link" } else { "" };
        format!("{mode} program {program}{name}{held}")
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    if shown.is_empty() { "no program attached".to_owned() } else { shown }
}

fn can(features: Option<XdpFeatures>) -> String {
    let Some(features) = features else {
        return "its features are not known (Linux 6.3 and later tell)".to_owned();
    };
    let names = features.names().collect::<Vec<_>>().join(" ");
    if names.is_empty() {
        "its driver can do nothing".to_owned()
    } else {
        format!("driver can {names}")
    }
}

fn attached(attachment: &Attachment) -> Option<String> {
    match attachment {
        Attachment::NotNeeded => None,
        Attachment::Attached { features } => Some(format!(
            "with a program that passes everything attached (and detached again): {}",
            can(*features)
        )),
        Attachment::Refused(why) => {
            Some(format!("a program that passes everything could not be attached: {why}"))
        }
        Attachment::NotTried(why) => {
            Some(format!("a program that passes everything was not attached: {why}"))
        }
    }
}

fn other_end(peer: &Peer) -> String {
    match peer {
        Peer::Elsewhere => "peer: in another network namespace, where it cannot be seen".to_owned(),
        Peer::There { name, nsid: _, index: _, up, mtu, native_xdp, namespace } => format!(
            "peer {name}: in {}, {}, MTU {mtu}, native program {}",
            namespace.as_ref().map_or_else(
                || "another network namespace".to_owned(),
                |namespace| format!("the network namespace {namespace}")
            ),
            if *up { "up" } else { "down" },
            if *native_xdp { "yes" } else { "no" },
        ),
        Peer::Here { name, index: _, up, mtu, native_xdp, gro, rx_queues, most_rx_queues: _ } => {
            format!(
                "peer {name}: {}, MTU {mtu}, RX queues {rx_queues}, native program {}, GRO {}",
                if *up { "up" } else { "down" },
                if *native_xdp { "yes" } else { "no" },
                match gro {
                    Some(true) => "on",
                    Some(false) => "off",
                    None => "not known",
                }
            )
        }
    }
}

fn sent(trial: &Trial) -> String {
    match trial {
        Trial::NotMade(why) => format!("nothing was sent: {why}"),
        Trial::Made { frames_attempted, frames_tx, drops, counted } => {
            let mut text = format!(
                "trial: {} attempted, {frames_tx} accepted by the driver",
                frames(*frames_attempted)
            );
            for (reason, count) in drops {
                text += &format!(", {count} dropped ({})", reason.code());
            }
            if let Some(counted) = counted {
                text += &format!(
                    "; the interface counted {} sent, {} dropped",
                    counted.tx_packets, counted.tx_dropped
                );
            }
            text
        }
    }
}
