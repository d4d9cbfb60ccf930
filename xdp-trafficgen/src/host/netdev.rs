//! The kernel's `netdev` family of generic netlink: the XDP features and the queues of an
//! interface.
//!
//! Names and numbers are those of include/uapi/linux/netdev.h. The family exists since Linux 6.3
//! (commit d3d854fd6a1d).

use crate::{
    host::{Queues, XdpFeatures},
    sys::genetlink::{Answer, Connection, Family, number},
};

/// `NETDEV_FAMILY_NAME` and `NETDEV_FAMILY_VERSION`.
#[derive(Debug)]
struct NetdevFamily;

impl Family for NetdevFamily {
    const NAME: &'static str = "netdev";
    const VERSION: u8 = 1;
}

const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_CMD_QUEUE_GET: u8 = 10;
const NETDEV_A_QUEUE_IFINDEX: u16 = 2;
const NETDEV_A_QUEUE_TYPE: u16 = 3;
const NETDEV_QUEUE_TYPE_RX: u32 = 0;
const NETDEV_QUEUE_TYPE_TX: u32 = 1;

/// A socket of the network namespace it was opened in.
#[derive(Debug)]
pub(super) struct Netdev(Connection<NetdevFamily>);

impl Netdev {
    /// None where the kernel has no such family.
    pub(super) fn open() -> Option<Self> {
        Connection::open().map(Self)
    }

    /// The XDP features of the interface with this index at this moment.
    pub(super) fn features(&self, interface: u32) -> Option<XdpFeatures> {
        features(
            &self.0.ask(NETDEV_CMD_DEV_GET, vec![number(NETDEV_A_DEV_IFINDEX, interface)]).ok()?,
        )
    }

    /// Its queues in use; none when it is down, and before Linux 6.8 (commit 6b6171db7fc8).
    pub(super) fn queues(&self, interface: u32) -> Option<Queues> {
        queues(
            &self
                .0
                .list(NETDEV_CMD_QUEUE_GET, vec![number(NETDEV_A_QUEUE_IFINDEX, interface)])
                .ok()?,
        )
    }
}

/// The XDP features of the interface with this index, in the calling thread's network namespace, at
/// this moment; none where the kernel does not say.
pub fn xdp_features(interface: u32) -> Option<XdpFeatures> {
    Netdev::open()?.features(interface)
}

/// The queues that the interface with this index, in the calling thread's network namespace, has in
/// use; none when it is down, and where the kernel does not say.
pub fn queues_in_use(interface: u32) -> Option<Queues> {
    Netdev::open()?.queues(interface)
}

fn features(answer: &Answer) -> Option<XdpFeatures> {
    answer.u64(NETDEV_A_DEV_XDP_FEATURES).map(XdpFeatures)
}

/// The kernel lists one entry per queue.
fn queues(entries: &[Answer]) -> Option<Queues> {
    let of =
        |kind| entries.iter().filter(|entry| entry.u32(NETDEV_A_QUEUE_TYPE) == Some(kind)).count();
    let queues = Queues {
        rx: of(NETDEV_QUEUE_TYPE_RX).try_into().ok()?,
        tx: of(NETDEV_QUEUE_TYPE_TX).try_into().ok()?,
    };
    (queues != Queues::default()).then_some(queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
    }

    /// Answers written by hand from Documentation/netlink/specs/netdev.yaml: the index, an empty
    /// attribute that aligns the next one, the features, and attributes that later kernels add
    /// (`xdp-zc-max-segs`, `xdp-rx-metadata-features`).
    #[test]
    fn features_are_the_third_attribute() {
        let index = attribute(1, &2u32.to_ne_bytes());
        let pad = attribute(2, &[]);
        let ndo_xmit_and_redirect = attribute(3, &7u64.to_ne_bytes());
        let segments = attribute(4, &1u32.to_ne_bytes());
        let metadata = attribute(5, &3u64.to_ne_bytes());
        #[track_caller]
        fn check(answer: &[&[u8]], expected: Option<&[&str]>) {
            let features = features(&Answer::parse(&answer.concat()).unwrap());
            let names: Option<Vec<&str>> = features.map(|features| features.names().collect());
            assert_eq!(names.as_deref(), expected);
        }
        check(&[&index, &pad, &ndo_xmit_and_redirect], Some(&["basic", "redirect", "ndo-xmit"]));
        check(
            &[&index, &ndo_xmit_and_redirect, &segments, &pad, &metadata],
            Some(&["basic", "redirect", "ndo-xmit"]),
        );
        check(&[&index, &attribute(3, &0u64.to_ne_bytes())], Some(&[]));
        check(&[&index, &segments], None);
        check(&[&attribute(3, &7u32.to_ne_bytes())], None);
    }

    /// The list of queues: id, index, type, and for some the NAPI instance.
    #[test]
    fn queues_are_counted_by_type() {
        let entry = |id: u32, kind: u32| {
            let attributes = [(1, id), (2, 5), (3, kind), (4, 8193)];
            Answer::parse(
                &attributes.map(|(kind, value)| attribute(kind, &value.to_ne_bytes())).concat(),
            )
            .unwrap()
        };
        let entries = [entry(0, 0), entry(1, 0), entry(0, 1)];
        assert_eq!(queues(&entries), Some(Queues { rx: 2, tx: 1 }));
        assert_eq!(queues(&[]), None);
    }
}
