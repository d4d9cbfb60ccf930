//! Whether the peer of a veth takes frames.

use super::OtherEnd;
use crate::{
    diagnosis::{Finding, Severity, Situation},
    host::{Interface, LinkHistory, Peer, XdpFeatures},
};

/// Why the peer of a veth does not take frames; none when it does, or when that is not known.
///
/// A veth hands XDP frames to its peer's NAPI, which runs while the peer is up and has a native XDP
/// program or GRO (veth_xdp_xmit and veth_napi_enable in the kernel's drivers/net/veth.c). Since
/// Linux 6.3 the features of this end tell it too (commits fccca038f300 and 8267fc71abb2). A pair
/// has carrier when both ends are up.
pub(crate) fn peer(situation: &Situation<'_>) -> Option<Finding> {
    let interface = situation.interface?;
    let deaf = interface.features.is_some_and(|features| !features.has(XdpFeatures::NDO_XMIT));
    // Without queues, the features say nothing about a receiver.
    let too_few_queues =
        interface.features.is_some_and(|features| !features.has(XdpFeatures::BASIC));
    let without_receiver = deaf && !too_few_queues;
    let (is_up, no_receiver) = match &interface.peer {
        Some(Peer::Here { up, native_xdp, gro, .. }) => (*up, !native_xdp && *gro != Some(true)),
        // In another namespace, only the features tell about GRO.
        Some(Peer::There { up, native_xdp, .. }) => (*up, !native_xdp && without_receiver),
        Some(Peer::Elsewhere) => (interface.link.carrier, without_receiver),
        None => return None,
    };
    let end = OtherEnd::of(situation)?;
    let whose = end.words(situation.name);
    let seen = matches!(interface.peer, Some(Peer::Here { .. }));
    let native = "or attach a native XDP program to it (one in generic mode does not do)";
    let wants = "neither a native XDP program nor GRO, so it takes no XDP frames";
    let down =
        |cause: String, cure: String| Finding::new("veth_peer_down", Severity::Blocks, cause, cure);
    match (is_up, no_receiver) {
        (true, false) if deaf => Some(unnoticed(situation, &end)),
        (false, false) if too_few_queues => {
            let cure = format!(
                "{}, and then {}",
                end.commands(&[end.up()], ""),
                more_queues(situation.name, interface, &end)
            );
            Some(down(format!("{whose} is down, and {}", few_queues(situation.name, "it")), cure))
        }
        // Setting the peer up would not make the kernel notice its GRO.
        (false, false) if deaf => {
            let anew = end.commands(&[end.gro("off"), end.gro("on")], ", ");
            let cure = format!(
                "{}, and then {anew}, so that the kernel notices",
                end.commands(&[end.up()], "")
            );
            Some(down(format!("{whose} is down"), cure))
        }
        (true, false) => None,
        (true, true) if seen => Some(Finding::new(
            "veth_peer_without_receiver",
            Severity::Blocks,
            format!("{whose} has {wants}"),
            format!("{}, {native}", end.commands(&[end.gro("on")], "")),
        )),
        // Its GRO cannot be seen from here; if it is on, the kernel may not have noticed it
        // ([`unnoticed`]).
        (true, true) => Some(Finding::new(
            "veth_peer_without_receiver",
            Severity::Blocks,
            format!("either {whose} has {wants}, or its GRO was switched on while it was down"),
            format!("{}, {native}", end.commands(&[end.gro("off"), end.gro("on")], ", ")),
        )),
        (false, false) => Some(down(format!("{whose} is down"), end.commands(&[end.up()], ""))),
        (false, true) => Some(down(
            format!("{whose} is down, and has {wants}"),
            format!("{}, {native}", end.commands(&[end.up(), end.gro("on")], ", and ")),
        )),
    }
}

/// The peer would take frames, but the kernel's features of this end do not say so, and they decide
/// (__xdp_enqueue).
///
/// The kernel sets the features when an end is set up, when its queues change, and when GRO is
/// switched on at the peer while the peer is up (veth_set_features). If this end has fewer receive
/// queues than the peer has transmit queues, there are no features (veth_set_xdp_features).
fn unnoticed(situation: &Situation<'_>, end: &OtherEnd<'_>) -> Finding {
    let Situation { name, .. } = situation;
    let peer = end.words(name);
    let (cause, cure) = match situation.interface {
        Some(interface @ Interface { features: Some(features), .. })
            if !features.has(XdpFeatures::BASIC) =>
        {
            (few_queues(name, &peer), more_queues(name, interface, end))
        }
        _ => (
            format!(
                "the kernel has not noticed that {peer} takes XDP frames: GRO was switched on \
                     while it was down"
            ),
            format!(
                "switch GRO off and on again now that it is up: {}",
                end.commands(&[end.gro("off"), end.gro("on")], ", ")
            ),
        ),
    };
    Finding::new("veth_peer_unnoticed", Severity::Blocks, cause, cure)
}

/// An end has fewer receive queues than its peer has transmit queues.
fn few_queues(name: &str, peer: &str) -> String {
    format!(
        "`{name}` has fewer receive queues than {peer} has transmit queues, and so no XDP at \
             all"
    )
}

fn more_queues(name: &str, Interface { queues, .. }: &Interface, end: &OtherEnd<'_>) -> String {
    let fewer = end.commands(&[format!("ethtool -L {} tx {}", end.name(), queues.rx.max(1))], "");
    format!("{fewer}, or give `{name}` as many receive queues as that has transmit queues")
}

/// Whether this end's features, or the facts of the peer, say that the peer takes frames now.
pub(crate) fn hears(situation: &Situation<'_>) -> bool {
    let Some(interface) = situation.interface else { return false };
    let takes = match interface.peer {
        Some(Peer::Here { .. }) => true,
        Some(Peer::There { .. } | Peer::Elsewhere) => {
            interface.link.carrier
                && interface.features.is_some_and(|features| features.has(XdpFeatures::NDO_XMIT))
        }
        None => false,
    };
    takes && peer(situation).is_none()
}

/// A veth refused frames, and no fact of its peer explains it: the peer has changed since, or
/// cannot be seen.
pub(crate) fn unseen(situation: &Situation<'_>) -> Finding {
    let Situation { name, meanwhile, peer_meanwhile, .. } = situation;
    let Some(end) = OtherEnd::of(situation) else {
        return Finding::new(
            "veth_peer_changed",
            Severity::Loses,
            format!("the peer of `{name}` was gone for a while, or is being removed"),
            "start again when it is back",
        );
    };
    let whose = end.words(name);
    if !hears(situation) {
        return Finding::new(
            "veth_peer_unseen",
            Severity::Blocks,
            format!(
                "either {whose} is down, or it has neither a native XDP program nor GRO, so it \
                 takes no XDP frames"
            ),
            end.commands(&[end.up(), end.gro("on")], ", and "),
        );
    }
    let (was, keep) = match (meanwhile, peer_meanwhile) {
        // No carrier although this end was up: the peer was down.
        (_, Some(LinkHistory { down: true, .. }))
        | (LinkHistory { down: false, unplugged: true, .. }, _) => {
            ("was down for a while, and is up again", "leave it up for as long as frames are sent")
        }
        _ => (
            "either was down for a while, or had neither a native XDP program nor GRO; now it \
             takes frames",
            "leave it up, and its XDP program or GRO on, for as long as frames are sent",
        ),
    };
    Finding::new("veth_peer_changed", Severity::Loses, format!("{whose} {was}"), keep)
}
