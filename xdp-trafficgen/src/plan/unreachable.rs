//! Sentences about destinations without a next hop: the cause, what was tried, and the cure.

use std::{collections::HashMap, fmt, mem::Discriminant, net::IpAddr, sync::Arc};

use crate::{
    config::Diagnostic,
    host::{Egress, Unreachable, Vlan},
};

/// The most destinations of a flow that have lookups of their own.
pub(super) const MAX_DESTINATIONS: u128 = 1 << 16;

/// How the user avoids the lookup of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    /// The user sets a field in the file.
    Header,
    /// The user gives an option on the command line.
    Option,
}

impl fmt::Display for Cure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Header => "write `dst` in the ethernet header",
            Self::Option => "give --dst-mac",
        })
    }
}

/// Why `destination` is unreachable, and the cure.
pub(super) fn explain(why: &Unreachable, destination: IpAddr, cure: Cure) -> (String, String) {
    let family = if destination.is_ipv4() { "IPv4" } else { "IPv6" };
    match why {
        Unreachable::NoRoute { interface, addressed: true } => (
            format!("no route to {destination} leads out of `{interface}`"),
            format!(
                "add one: `ip route add {destination} dev {interface}`, with `via` and a gateway where one is between; or {cure}"
            ),
        ),
        Unreachable::NoRoute { interface, addressed: false } => (
            format!(
                "no route to {destination} leads out of `{interface}`, which has no {family} address"
            ),
            format!(
                "give it one in the network of {destination}: `ip address add ADDRESS/LENGTH dev {interface}`; or {cure}"
            ),
        ),
        Unreachable::Refused { route } => (
            format!("a route of type {route} refuses {destination}"),
            format!(
                "look for it with `ip route show table all type {route}`, and remove it; or {cure}"
            ),
        ),
        Unreachable::Elsewhere { interface, other } => (
            format!(
                "the kernel's route to {destination} leads out of `{other}`, not of `{interface}`"
            ),
            format!(
                "send out of `{other}`, or add a route: `ip route add {destination} dev {interface}`; or {cure}"
            ),
        ),
        Unreachable::Own => (
            format!(
                "{destination} is an address of this machine, which frames that leave it do not reach"
            ),
            format!("send to the address of another one; or {cure} if a cable leads back"),
        ),
        Unreachable::NoVlan { interface, vlan: Vlan { tpid, id } } => {
            let protocol = match *tpid {
                Vlan::CUSTOMER => Some(""),
                Vlan::SERVICE => Some(" protocol 802.1ad"),
                // The kernel has no interfaces for other protocols (vlan_validate of
                // net/8021q/vlan_netlink.c).
                _ => None,
            };
            let make = protocol.map_or_else(String::new, |protocol| {
                format!(
                    ", or make the interface: `ip link add link {interface} name {interface}.{id} type vlan{protocol} id {id}`, \
                     with an address of that network, and up"
                )
            });
            let of = if *tpid == Vlan::CUSTOMER {
                String::new()
            } else {
                format!(" of protocol 0x{tpid:04x}")
            };
            (
                format!(
                    "who has {destination} in VLAN {id}{of} is not known: no VLAN interface with this id{of} is on `{interface}`"
                ),
                format!("{cure}{make}"),
            )
        }
        Unreachable::VlanDown(interface) => (
            format!(
                "who has {destination} is not known: `{interface}`, the interface of its VLAN, is down"
            ),
            format!("set it up: `ip link set {interface} up`; or {cure}"),
        ),
        Unreachable::NoCarrier { interface, neighbour } => (
            format!(
                "{} cannot be asked for its MAC address: `{interface}` has no carrier",
                who(*neighbour, destination)
            ),
            format!("plug its other end in, and set that up; or {cure}"),
        ),
        Unreachable::NoLinkLocal { interface, neighbour } => (
            format!(
                "{} cannot be asked for its MAC address: `{interface}` has no link-local address",
                who(*neighbour, destination)
            ),
            format!("give it one: `ip address add fe80::1/64 dev {interface}`; or {cure}"),
        ),
        Unreachable::Silent { interface, neighbour, requests, waited } => (
            format!(
                "{} does not answer: {} out of `{interface}` in {:.1} s",
                who(*neighbour, destination),
                asked(*requests, *neighbour),
                waited.as_secs_f64()
            ),
            format!("is it there, and up? `ping -c 1 -I {interface} {neighbour}`; or {cure}"),
        ),
        Unreachable::MayNotAsk { interface, neighbour, errno: libc::ENOBUFS } => {
            // All namespaces share the limit, and only the initial one shows it
            // (neigh_sysctl_register of net/core/neighbour.c).
            let table = if neighbour.is_ipv4() {
                "net.ipv4.neigh.default"
            } else {
                "net.ipv6.neigh.default"
            };
            (
                format!(
                    "{} cannot be asked for its MAC address out of `{interface}`: the kernel's neighbour table is full",
                    who(*neighbour, destination)
                ),
                format!(
                    "let it take more, with twice what `sysctl {table}.gc_thresh3` says, in the machine's own network namespace: \
                     `sysctl -w {table}.gc_thresh3=…`; or {cure}"
                ),
            )
        }
        Unreachable::MayNotAsk { interface, neighbour, errno: libc::ENODEV } => (
            format!(
                "{} cannot be asked for its MAC address: `{interface}` was removed meanwhile",
                who(*neighbour, destination)
            ),
            "put the interface back, and keep it there".to_owned(),
        ),
        Unreachable::MayNotAsk { interface, neighbour, errno } => {
            let message = format!(
                "the MAC address of {} is not in the neighbour table of `{interface}`, and the kernel refuses to ask for it: {}",
                who(*neighbour, destination),
                std::io::Error::from_raw_os_error(*errno)
            );
            let root = if *errno == libc::EPERM { "run this as root, or " } else { "" };
            (
                message,
                format!(
                    "{root}{cure}, or let the kernel learn it: `ping -c 1 -I {interface} {neighbour}`"
                ),
            )
        }
        Unreachable::Each { first } => (
            format!(
                "too many destinations to look up one by one, and those from {first} on have MAC addresses of their own: no \
                 gateway is between"
            ),
            format!("use at most {MAX_DESTINATIONS} in a flow, or {cure}"),
        ),
        Unreachable::Several(one, other) => (
            format!(
                "too many destinations to look up one by one, and some are behind {one}, others behind {other}"
            ),
            format!(
                "use at most {MAX_DESTINATIONS} in a flow, or a flow for each gateway, or {cure}"
            ),
        ),
        Unreachable::NotReached { neighbour } => (
            format!(
                "{} was not asked for its MAC address, for others had not answered",
                who(*neighbour, destination)
            ),
            cure.to_string(),
        ),
    }
}

fn who(neighbour: IpAddr, destination: IpAddr) -> String {
    if neighbour == destination {
        return destination.to_string();
    }
    format!("{neighbour}, the gateway to {destination},")
}

fn asked(requests: u32, neighbour: IpAddr) -> String {
    let question = if neighbour.is_ipv4() { "ARP request" } else { "neighbour solicitation" };
    match requests {
        0 => format!("the kernel could send no {question}"),
        1 => format!("1 {question}"),
        _ => format!("{requests} {question}s"),
    }
}

/// Why a flow cannot be addressed.
#[derive(Debug)]
pub(super) enum AddressingFault {
    /// A fault of this flow alone.
    Own(Diagnostic),
    /// Destinations without a next hop, which other flows may share. The diagnostic names the first
    /// one.
    Unreachable {
        /// Where the frames would leave.
        egress: Arc<Egress>,
        /// Why they are unreachable.
        why: Discriminant<Unreachable>,
        /// The diagnostic.
        first: Diagnostic,
        /// How many destinations.
        count: usize,
        /// Whether the kernel asked none of their neighbours, because others were silent.
        not_reached: bool,
    },
}

/// All addressing faults of a plan. Thousands of flows often share a fault, which is reported once.
#[derive(Debug, Default)]
pub(super) struct AddressingFaults {
    /// The faults in the order of the flows.
    all: Vec<AddressingFault>,
    /// The index in `all` of each fault that flows may share.
    shared: HashMap<(Arc<Egress>, Discriminant<Unreachable>), usize>,
}

impl AddressingFaults {
    pub(super) fn add(&mut self, fault: AddressingFault) {
        if let AddressingFault::Unreachable { egress, why, count, .. } = &fault {
            let known = *self.shared.entry((Arc::clone(egress), *why)).or_insert(self.all.len());
            if let Some(AddressingFault::Unreachable { count: known, .. }) = self.all.get_mut(known)
            {
                *known += count;
                return;
            }
        }
        self.all.push(fault);
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let reached = |fault: &AddressingFault| {
            matches!(fault, AddressingFault::Unreachable { not_reached: false, .. })
        };
        let any_reached = self.all.iter().any(reached);
        let mut waiting: usize = 0;
        let mut diagnostics = Vec::new();
        let mut first_reached = None;
        for fault in self.all {
            match fault {
                AddressingFault::Own(diagnostic) => diagnostics.push(diagnostic),
                // The user has to put the silent neighbours right first.
                AddressingFault::Unreachable { not_reached: true, count, .. } if any_reached => {
                    waiting += count
                }
                AddressingFault::Unreachable { mut first, count, .. } => {
                    if count > 1 {
                        first.message +=
                            &format!("; and {} more likewise", destinations(count - 1));
                    }
                    first_reached = first_reached.or(Some(diagnostics.len()));
                    diagnostics.push(first);
                }
            }
        }
        if let (Some(first), true) = (first_reached, waiting > 0) {
            diagnostics[first].message +=
                &format!("; {} were not asked any more", destinations(waiting));
        }
        diagnostics
    }
}

fn destinations(count: usize) -> String {
    if count == 1 { "1 destination".to_owned() } else { format!("{count} destinations") }
}

#[cfg(test)]
mod tests {
    use std::{mem::discriminant, time::Duration};

    use super::*;
    use crate::config::Origin;

    #[test]
    fn an_error_names_the_next_hop_and_what_was_tried() {
        #[track_caller]
        fn check(why: &Unreachable, message: &str, help: &str) {
            let said = explain(why, "198.51.100.7".parse().unwrap(), Cure::Option);
            assert!(said.0.contains(message) && said.1.contains(help), "{said:?}");
        }
        let silent = |neighbour: &str, requests| Unreachable::Silent {
            interface: "eth1".into(),
            neighbour: neighbour.parse().unwrap(),
            requests,
            waited: Duration::from_millis(3060),
        };
        let gateway = "192.0.2.254, the gateway to 198.51.100.7, does not answer: 3 ARP requests out of `eth1` in 3.1 s";
        check(
            &silent("192.0.2.254", 3),
            gateway,
            "`ping -c 1 -I eth1 192.0.2.254`; or give --dst-mac",
        );
        check(&silent("198.51.100.7", 1), "198.51.100.7 does not answer: 1 ARP request out of", "");
        check(&silent("fe80::1", 0), "the kernel could send no neighbour solicitation", "");
        let vlan =
            |tpid| Unreachable::NoVlan { interface: "eth1".into(), vlan: Vlan { tpid, id: 7 } };
        check(
            &vlan(0x8100),
            "in VLAN 7 is not known: no VLAN interface with this id is on `eth1`",
            "type vlan id 7`",
        );
        check(
            &vlan(0x88a8),
            "in VLAN 7 of protocol 0x88a8 is not known",
            "type vlan protocol 802.1ad id 7`",
        );
        check(&vlan(0x9100), "with this id of protocol 0x9100 is on `eth1`", "give --dst-mac");
        let refused = |neighbour: &str, errno| Unreachable::MayNotAsk {
            interface: "eth1".into(),
            neighbour: neighbour.parse().unwrap(),
            errno,
        };
        let full = "198.51.100.7 cannot be asked for its MAC address out of `eth1`: the kernel's neighbour table is full";
        check(
            &refused("198.51.100.7", libc::ENOBUFS),
            full,
            "`sysctl -w net.ipv4.neigh.default.gc_thresh3=…`",
        );
        let gateway = "fe80::1, the gateway to 198.51.100.7, cannot be asked";
        check(
            &refused("fe80::1", libc::ENOBUFS),
            gateway,
            "`sysctl net.ipv6.neigh.default.gc_thresh3`",
        );
        check(
            &refused("198.51.100.7", libc::ENODEV),
            "`eth1` was removed meanwhile",
            "put the interface back",
        );
        let refused = refused("198.51.100.7", libc::EPERM);
        check(
            &refused,
            "not in the neighbour table of `eth1`",
            "run this as root, or give --dst-mac",
        );
    }

    #[test]
    fn faults_that_destinations_share_are_reported_once() {
        let fault = |interface: &str, why: &Unreachable, count| AddressingFault::Unreachable {
            egress: Arc::new(Egress { interface: interface.to_owned(), vlans: Vec::new() }),
            why: discriminant(why),
            first: Diagnostic::new(&Origin::Default, "it cannot"),
            count,
            not_reached: matches!(why, Unreachable::NotReached { .. }),
        };
        let not_reached = Unreachable::NotReached { neighbour: "192.0.2.1".parse().unwrap() };
        let mut faults = AddressingFaults::default();
        faults.add(fault("a", &not_reached, 5));
        faults.add(fault("a", &Unreachable::Own, 1));
        faults.add(AddressingFault::Own(Diagnostic::new(&Origin::Default, "of its own")));
        faults.add(fault("a", &Unreachable::Own, 2));
        faults.add(fault("b", &Unreachable::Own, 1));
        let said: Vec<_> = faults.into_diagnostics().into_iter().map(|said| said.message).collect();
        let first =
            "it cannot; and 2 destinations more likewise; 5 destinations were not asked any more";
        assert_eq!(said, [first, "of its own", "it cannot"]);
        let mut alone = AddressingFaults::default();
        alone.add(fault("a", &not_reached, 1));
        assert_eq!(
            alone.into_diagnostics().len(),
            1,
            "what is wrong is never passed over in silence"
        );
    }
}
