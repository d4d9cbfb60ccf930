//! Facts of a network interface beyond its [`Link`]: driver, queues, rings, XDP programs and
//! features.

use crate::host::{AttachedMode, Driver, Link, Queues, Rings};

/// Facts of one interface. A fact that the kernel or the driver does not tell is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name, index, MTU, state, speed.
    pub link: Link,
    /// rtnetlink's kind of a virtual interface, such as `veth`, `bridge`, `tun`; none for hardware
    /// and `lo`.
    pub kind: Option<String>,
    /// The driver, as `ethtool -i` shows it.
    pub driver: Option<Driver>,
    /// Queues in use.
    pub queues: Queues,
    /// The most queues the driver could have (`ethtool -l`).
    pub most_queues: Option<Queues>,
    /// Entries of a queue's ring (`ethtool -g`).
    pub rings: Option<Rings>,
    /// The NUMA node its device is on.
    pub numa_node: Option<u32>,
    /// The interrupts of its device's queues, and the CPUs that they go to
    /// (/proc/irq/N/effective_affinity_list).
    pub interrupts: Vec<Interrupt>,
    /// How its device reaches memory.
    pub iommu: Option<Iommu>,
    /// Whether generic receive offload is on (`ethtool -k`).
    pub gro: Option<bool>,
    /// The XDP programs attached to it.
    pub xdp: Vec<AttachedXdp>,
    /// What the driver can do with XDP at this moment (generic netlink family `netdev`, Linux
    /// 6.3); some drivers can do more when a program is attached.
    pub features: Option<XdpFeatures>,
    /// The other end of a veth pair.
    pub peer: Option<Peer>,
    /// The settings of a bond.
    pub bond: Option<Bond>,
    /// Whether a process captures there, as tcpdump does.
    pub captured: bool,
    /// Its queueing discipline (`tc qdisc show`), which XDP frames bypass.
    pub qdisc: Option<String>,
}

/// How a bond shares frames among its slaves, in the names that `ip -d link` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bond {
    /// Such as `802.3ad`.
    pub mode: String,
    /// Such as `layer3+4`.
    pub hash_policy: Option<String>,
    /// The names of its slaves.
    pub slaves: Vec<String>,
}

/// An interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Its number.
    pub number: u32,
    /// CPUs that may take it, in order.
    pub cpus: Vec<u32>,
}

/// How a device reaches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iommu {
    /// Every buffer is mapped for it (`DMA`, `DMA-FQ` in /sys/kernel/iommu_groups/N/type).
    Translating,
    /// It uses physical addresses (`identity`).
    Identity,
    /// It has no IOMMU.
    None,
}

/// An XDP program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedXdp {
    /// Where it runs.
    pub mode: AttachedMode,
    /// Its id (`bpftool prog show id N`).
    pub program: u32,
    /// Its name; none where this process may not look.
    pub name: Option<String>,
    /// Whether it is on a BPF link, which only its owner can remove; false where this process may
    /// not look.
    pub on_link: bool,
}

/// `enum netdev_xdp_act` of include/uapi/linux/netdev.h, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpFeatures(pub u64);

impl XdpFeatures {
    /// XDP programs can be attached, and abort, drop, pass and send back.
    pub const BASIC: Self = Self(1);
    /// Programs can redirect.
    pub const REDIRECT: Self = Self(2);
    /// Frames that are redirected to it are sent: what a generator needs.
    pub const NDO_XMIT: Self = Self(4);
    /// `AF_XDP` without copies.
    pub const XSK_ZEROCOPY: Self = Self(8);
    /// Programs can run on the NIC.
    pub const HW_OFFLOAD: Self = Self(16);
    /// Frames of several buffers can be received.
    pub const RX_SG: Self = Self(32);
    /// Frames of several buffers can be sent.
    pub const NDO_XMIT_SG: Self = Self(64);

    /// Names of the bits, as in the kernel's documentation
    /// (Documentation/netlink/specs/netdev.yaml).
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::BASIC, "basic"),
        (Self::REDIRECT, "redirect"),
        (Self::NDO_XMIT, "ndo-xmit"),
        (Self::XSK_ZEROCOPY, "xsk-zerocopy"),
        (Self::HW_OFFLOAD, "hw-offload"),
        (Self::RX_SG, "rx-sg"),
        (Self::NDO_XMIT_SG, "ndo-xmit-sg"),
    ];

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the bits that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| name)
    }
}

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// In this network namespace.
    Here {
        /// Its name.
        name: String,
        /// Its index.
        index: u32,
        /// Whether it was set up.
        up: bool,
        /// Its MTU.
        mtu: u32,
        /// Whether it has a native XDP program.
        native_xdp: bool,
        /// Whether generic receive offload is on.
        gro: Option<bool>,
        /// Receive queues in use.
        rx_queues: u32,
        /// The most it could have; none where its driver does not say.
        most_rx_queues: Option<u32>,
    },
    /// In another network namespace that this process may look into. Its queues and GRO cannot be
    /// seen from here.
    There {
        /// Its name there.
        name: String,
        /// The number of that namespace in this one.
        nsid: i32,
        /// Its index there.
        index: u32,
        /// Whether it was set up.
        up: bool,
        /// Its MTU.
        mtu: u32,
        /// Whether it has a native XDP program.
        native_xdp: bool,
        /// The name that `ip netns` has for that namespace; none when it has none.
        namespace: Option<String>,
    },
    /// In another network namespace that this process may not look into.
    Elsewhere,
}

impl Interface {
    /// An interface of which only the link is known.
    pub fn of(link: Link) -> Self {
        Self {
            link,
            kind: None,
            driver: None,
            queues: Queues::default(),
            most_queues: None,
            rings: None,
            numa_node: None,
            interrupts: Vec::new(),
            iommu: None,
            gro: None,
            xdp: Vec::new(),
            features: None,
            peer: None,
            bond: None,
            captured: false,
            qdisc: None,
        }
    }

    /// The driver's name; empty when it is not known.
    pub fn driver_name(&self) -> &str {
        self.driver.as_ref().map_or("", |driver| driver.name.as_str())
    }

    /// The program that is attached in this way.
    pub fn xdp_in(&self, mode: AttachedMode) -> Option<&AttachedXdp> {
        self.xdp.iter().find(|attached| attached.mode == mode)
    }
}
