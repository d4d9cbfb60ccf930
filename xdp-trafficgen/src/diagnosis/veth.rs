//! Veth pairs: whether the other end takes frames.

use super::{Finding, Severity, Situation};
use crate::host::{Interface, Peer, XdpFeatures};

pub(super) fn is_one(situation: &Situation<'_>) -> bool {
    situation.kind() == "veth" || situation.driver() == "veth"
}

/// What keeps the other end of a veth pair from taking frames; none when nothing does, or nobody knows.
///
/// A veth hands XDP frames to its peer's NAPI, which runs while the peer is up and has a native XDP program or GRO
/// (veth_xdp_xmit and veth_napi_enable in the kernel's drivers/net/veth.c). Since Linux 6.3 its features say so from this end
/// too (commits fccca038f300 and 8267fc71abb2); carrier is there when both ends are up.
pub(super) fn peer(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let interface = situation.interface?;
    let deaf = interface.features.is_some_and(|features| !features.has(XdpFeatures::NDO_XMIT));
    let elsewhere = matches!(interface.peer, Some(Peer::Elsewhere));
    let (peer, is_up, no_receiver) = match &interface.peer {
        Some(Peer::Here { name, up, native_xdp, gro, .. }) => {
            (format!("`{name}`"), *up, !native_xdp && *gro != Some(true))
        }
        Some(Peer::Elsewhere) => ("PEER".to_owned(), interface.link.carrier, deaf),
        None => return None,
    };
    let whose = if elsewhere {
        format!("the peer of `{name}`, in another network namespace,")
    } else {
        format!("the peer {peer} of `{name}`")
    };
    let bare = peer.trim_matches('`');
    let up = format!("`ip link set {bare} up`");
    let gro =
        format!("`ethtool -K {bare} gro on`, or attach a native XDP program to it (one in generic mode does not do)");
    let there = if elsewhere { "in its namespace: " } else { "" };
    let wants = "neither a native XDP program nor GRO, so it takes no XDP frames";
    match (is_up, no_receiver) {
        (true, false) if deaf => Some(unnoticed(situation, bare)),
        // Set up again, it would not be noticed either.
        (false, false) if deaf => {
            let cure = format!(
                "{up}, and then `ethtool -K {bare} gro off`, `ethtool -K {bare} gro on`, so that the kernel notices"
            );
            Some(Finding::new("veth_peer_down", Severity::Blocks, format!("{whose} is down"), cure))
        }
        (true, false) => None,
        (true, true) => Some(Finding::new(
            "veth_peer_without_receiver",
            Severity::Blocks,
            format!("{whose} has {wants}"),
            format!("{there}{gro}"),
        )),
        (false, false) => {
            Some(Finding::new("veth_peer_down", Severity::Blocks, format!("{whose} is down"), format!("{there}{up}")))
        }
        (false, true) => Some(Finding::new(
            "veth_peer_down",
            Severity::Blocks,
            format!("{whose} is down, and has {wants}"),
            format!("{there}{up}, and {gro}"),
        )),
    }
}

/// The peer would take frames, but the kernel's features of this end say otherwise, which has the last word (__xdp_enqueue).
///
/// They are worked out when an end is set up or its queues change, and set when GRO is switched on at the peer, though only
/// while the peer is up (veth_set_features). With fewer receive queues here than transmit queues there, there are none
/// (veth_set_xdp_features).
fn unnoticed(situation: &Situation<'_>, peer: &str) -> Finding {
    let Situation { name, .. } = situation;
    let (cause, cure) = match situation.interface {
        Some(Interface { features: Some(features), queues, .. }) if !features.has(XdpFeatures::BASIC) => (
            format!(
                "`{name}` has fewer receive queues than its peer `{peer}` has transmit queues, and so no XDP at all"
            ),
            format!("`ethtool -L {peer} tx {}`, or give `{name}` more with `ethtool -L {name} rx N`", queues.rx.max(1)),
        ),
        _ => (
            format!(
                "the kernel has not noticed that the peer `{peer}` of `{name}` takes XDP frames: GRO was switched \
                 on while it was down"
            ),
            format!(
                "switch GRO off and on again now that `{peer}` is up: `ethtool -K {peer} gro off`, `ethtool -K \
                 {peer} gro on`"
            ),
        ),
    };
    Finding::new("veth_peer_unnoticed", Severity::Blocks, cause, cure)
}

/// A veth that refused frames though nothing is known against its peer: it is not seen, or has changed since.
pub(super) fn unseen(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    if let Some(Peer::Here { name: peer, .. }) = situation.interface.and_then(|interface| interface.peer.as_ref()) {
        return Finding::new(
            "veth_peer_changed",
            Severity::Loses,
            format!(
                "the peer `{peer}` of `{name}` had neither a native XDP program nor GRO for a while, or was down; \
                 now it would take them"
            ),
            format!("leave `{peer}` up, and its XDP program or GRO on, for as long as frames are sent"),
        );
    }
    Finding::new(
        "veth_peer_unseen",
        Severity::Blocks,
        format!(
            "the peer of `{name}`, in another network namespace, is down, or has neither a native XDP program nor \
             GRO, so it takes no \
             XDP frames"
        ),
        "in its namespace: `ip link set PEER up`, and `ethtool -K PEER gro on`",
    )
}
