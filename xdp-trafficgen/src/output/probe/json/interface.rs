//! The interface and the trial on it.

use serde::Serialize;

use crate::{
    host::{self, AttachedMode, XdpFeatures, show_mac},
    output::probe::{Attachment, Probed, Trial},
    stats::DropReason,
};

/// An interface.
#[derive(Serialize)]
pub(super) struct Interface<'a> {
    /// Its name.
    name: &'a str,
    /// Other names it answers to.
    alt_names: &'a [String],
    /// Its index in this network namespace.
    index: u32,
    /// rtnetlink's kind of a virtual interface.
    kind: Option<&'a str>,
    /// The driver, as `ethtool -i` shows it.
    driver: Option<Driver<'a>>,
    /// Its MAC address.
    mac: Option<String>,
    /// Largest network-layer packet.
    mtu: u32,
    /// Bytes of the largest frame that the MTU and the kernel let pass.
    largest_frame: usize,
    /// Whether it was set up.
    up: bool,
    /// Whether something is plugged in.
    carrier: bool,
    /// Bits a second.
    speed: Option<u64>,
    /// Whether it carries a default route of this machine.
    default_route: bool,
    /// Queues in use.
    queues: Queues,
    /// The most queues the driver could have.
    most_queues: Option<Queues>,
    /// Entries of its rings.
    rings: Option<Rings>,
    /// The NUMA node its device is on.
    numa_node: Option<u32>,
    /// The interrupts of its device.
    interrupts: Vec<Interrupt<'a>>,
    /// `translating`, `identity` or `none`.
    iommu: Option<&'static str>,
    /// Whether generic receive offload is on.
    gro: Option<bool>,
    /// XDP programs that were attached to it before.
    xdp_programs: Vec<Program<'a>>,
    /// What its driver can do with XDP, in the names of Documentation/netlink/specs/netdev.yaml;
    /// `ndo-xmit` is what sending takes.
    xdp_features: Option<Vec<&'static str>>,
    /// The program that lets everything pass, which some drivers need.
    attachment: AttachmentJson<'a>,
    /// Its queueing discipline, which XDP frames bypass.
    qdisc: Option<&'a str>,
    /// The other end of a veth pair.
    peer: Option<Peer<'a>>,
}

/// As `ethtool -i` shows it.
#[derive(Serialize)]
struct Driver<'a> {
    /// Such as `ice`.
    name: &'a str,
    /// Its version.
    version: &'a str,
    /// Where the device is; empty for virtual interfaces.
    bus_info: &'a str,
}

/// Numbers of queues.
#[derive(Serialize)]
struct Queues {
    /// For receiving.
    rx: u32,
    /// For transmitting.
    tx: u32,
}

impl From<host::Queues> for Queues {
    fn from(host::Queues { rx, tx }: host::Queues) -> Self {
        Self { rx, tx }
    }
}

/// Entries of rings, and the most the driver allows.
#[derive(Serialize)]
struct Rings {
    /// Of a receive ring.
    rx: u32,
    /// At most.
    rx_max: u32,
    /// Of a transmit ring.
    tx: u32,
    /// At most.
    tx_max: u32,
}

impl From<host::Rings> for Rings {
    fn from(host::Rings { rx, rx_max, tx, tx_max }: host::Rings) -> Self {
        Self { rx, rx_max, tx, tx_max }
    }
}

/// An interrupt.
#[derive(Serialize)]
struct Interrupt<'a> {
    /// Its number.
    number: u32,
    /// CPUs that may take it.
    cpus: &'a [u32],
}

/// An XDP program.
#[derive(Serialize)]
struct Program<'a> {
    /// `native`, `generic` or `offloaded`.
    mode: &'static str,
    /// Its id.
    id: u32,
    /// Its name.
    name: Option<&'a str>,
    /// Whether it hangs on a BPF link, which only its owner can end.
    on_link: bool,
}

/// The program that lets everything pass.
#[derive(Serialize)]
struct AttachmentJson<'a> {
    /// `not_needed`, `attached` (and detached again), `refused` or `not_tried`.
    state: &'static str,
    /// Why it was refused or not tried.
    why: Option<&'a str>,
    /// What the driver could do while it was attached.
    xdp_features: Option<Vec<&'static str>>,
}

/// The other end of a veth pair. Where it is `elsewhere`, in another network namespace, what the
/// kernel does not tell from here is null.
#[derive(Serialize, Default)]
struct Peer<'a> {
    /// `here` or `elsewhere`.
    place: &'static str,
    /// What `ip netns` calls its network namespace, where that is another.
    namespace: Option<&'a str>,
    /// Its name.
    name: Option<&'a str>,
    /// Whether it was set up.
    up: Option<bool>,
    /// Largest network-layer packet.
    mtu: Option<u32>,
    /// Whether it has a native XDP program.
    native_xdp: Option<bool>,
    /// Whether generic receive offload is on.
    gro: Option<bool>,
    /// Receive queues in use.
    rx_queues: Option<u32>,
}

/// What became of the frames of `--send`. Where the trial was not made, the counts are null.
#[derive(Serialize, Default)]
pub(super) struct TrialJson<'a> {
    /// Whether it was made.
    made: bool,
    /// Why not.
    why: Option<&'a str>,
    /// Repetitions of the program.
    frames_attempted: Option<u64>,
    /// Frames the driver accepted.
    frames_tx: Option<u64>,
    /// Frames that went nowhere.
    frames_dropped: Option<u64>,
    /// Dropped frames by reason.
    drops: Option<Vec<Drop>>,
    /// Frames the interface counted as sent during the trial, those of other senders included.
    interface_tx_packets: Option<u64>,
    /// Frames the interface counted as dropped or failed during the trial.
    interface_tx_dropped: Option<u64>,
}

/// Frames that went nowhere for the same reason.
#[derive(Serialize)]
struct Drop {
    /// A name that stays the same.
    reason: String,
    /// How many.
    count: u64,
}

/// An interface.
pub(super) fn interface(probed: &Probed) -> Interface<'_> {
    let Probed { interface, default_route, largest_frame, attachment, trial: _ } = probed;
    let host::Interface {
        link,
        kind,
        driver,
        queues,
        most_queues,
        rings,
        numa_node,
        interrupts,
        iommu,
        gro,
        xdp,
        features,
        peer,
        bond: _,
        captured: _,
        qdisc,
    } = interface;
    let host::Link { name, alt_names, index, mtu, up, carrier, mac, speed, bus: _ } = link;
    Interface {
        name,
        alt_names,
        index: *index,
        kind: kind.as_deref(),
        driver: driver.as_ref().map(|host::Driver { name, version, bus_info }| Driver {
            name,
            version,
            bus_info,
        }),
        mac: mac.map(show_mac),
        mtu: *mtu,
        largest_frame: largest_frame.bytes(),
        up: *up,
        carrier: *carrier,
        speed: *speed,
        default_route: *default_route,
        queues: (*queues).into(),
        most_queues: most_queues.map(Queues::from),
        rings: rings.map(Rings::from),
        numa_node: *numa_node,
        interrupts: interrupts
            .iter()
            .map(|host::Interrupt { number, cpus }| Interrupt { number: *number, cpus })
            .collect(),
        iommu: iommu.map(|iommu| match iommu {
            host::Iommu::Translating => "translating",
            host::Iommu::Identity => "identity",
            host::Iommu::None => "none",
        }),
        gro: *gro,
        xdp_programs: xdp
            .iter()
            .map(|host::AttachedXdp { mode, program, name, on_link }| Program {
                mode: mode_name(*mode),
                id: *program,
                name: name.as_deref(),
                on_link: *on_link,
            })
            .collect(),
        xdp_features: features.map(names),
        attachment: match attachment {
            Attachment::NotNeeded => {
                AttachmentJson { state: "not_needed", why: None, xdp_features: None }
            }
            Attachment::Attached { features } => {
                AttachmentJson { state: "attached", why: None, xdp_features: features.map(names) }
            }
            Attachment::Refused(why) => {
                AttachmentJson { state: "refused", why: Some(why), xdp_features: None }
            }
            Attachment::NotTried(why) => {
                AttachmentJson { state: "not_tried", why: Some(why), xdp_features: None }
            }
        },
        qdisc: qdisc.as_deref(),
        peer: peer.as_ref().map(|peer| match peer {
            host::Peer::Elsewhere => Peer { place: "elsewhere", ..Peer::default() },
            host::Peer::There { name, nsid: _, index: _, up, mtu, native_xdp, namespace } => Peer {
                place: "elsewhere",
                namespace: namespace.as_deref(),
                name: Some(name),
                up: Some(*up),
                mtu: Some(*mtu),
                native_xdp: Some(*native_xdp),
                gro: None,
                rx_queues: None,
            },
            host::Peer::Here {
                name,
                index: _,
                up,
                mtu,
                native_xdp,
                gro,
                rx_queues,
                most_rx_queues: _,
            } => Peer {
                place: "here",
                namespace: None,
                name: Some(name),
                up: Some(*up),
                mtu: Some(*mtu),
                native_xdp: Some(*native_xdp),
                gro: *gro,
                rx_queues: Some(*rx_queues),
            },
        }),
    }
}

fn names(features: XdpFeatures) -> Vec<&'static str> {
    features.names().collect()
}

/// Where a program runs.
const fn mode_name(mode: AttachedMode) -> &'static str {
    match mode {
        AttachedMode::Native => "native",
        AttachedMode::Generic => "generic",
        AttachedMode::Offloaded => "offloaded",
    }
}

/// A trial.
pub(super) fn trial(trial: &Trial) -> TrialJson<'_> {
    match trial {
        Trial::NotMade(why) => TrialJson { why: Some(why), ..TrialJson::default() },
        Trial::Made { frames_attempted, frames_tx, drops, counted } => TrialJson {
            made: true,
            why: None,
            frames_attempted: Some(*frames_attempted),
            frames_tx: Some(*frames_tx),
            frames_dropped: Some(drops.iter().map(|(_, count)| count).sum()),
            drops: Some(
                drops
                    .iter()
                    .map(|&(reason, count)| Drop { reason: DropReason::code(reason), count })
                    .collect(),
            ),
            interface_tx_packets: counted.as_ref().map(|counted| counted.tx_packets),
            interface_tx_dropped: counted
                .as_ref()
                .map(|counted| counted.tx_dropped + counted.tx_errors),
        },
    }
}
