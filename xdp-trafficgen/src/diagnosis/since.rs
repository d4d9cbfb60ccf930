//! Findings of earlier drops, in the words of the end of the run: some causes are gone by then, and
//! their cures would mislead.

use super::{Finding, Situation, mtu::too_long, veth};
use crate::host::{Peer, XdpFeatures};

/// What became of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// It was an event, or follows from what was asked for: its text still holds.
    AsTrue,
    /// Its fact was checked, and has changed.
    PutRight,
    /// Its fact cannot be checked.
    Unknown,
}

/// The finding `then` of earlier drops, in the words of the end. `now` is what such drops would
/// mean at the end, in this `situation`.
pub fn at_the_end(then: &Finding, now: &Finding, situation: &Situation<'_>) -> Finding {
    if then.code == now.code {
        return now.clone();
    }
    let Finding { code, severity, cause, cure } = then;
    let (cause, cure) = match since(code, situation) {
        Since::AsTrue => return then.clone(),
        Since::PutRight => (
            format!("{cause} (as it was when they were dropped; it is not so any more)"),
            "it is put right by now: leave it as it is while frames are sent".to_owned(),
        ),
        Since::Unknown => (
            format!("{cause} (as it was when they were dropped)"),
            format!("if it is still so: {cure}"),
        ),
    };
    let cure = if then.cure.is_empty() { String::new() } else { cure };
    Finding { code, severity: *severity, cause, cure }
}

fn since(code: &str, situation: &Situation<'_>) -> Since {
    // Without the interface nothing can be checked, and the text stays as it is.
    let Some(interface) = situation.interface else { return Since::AsTrue };
    let checked = match code {
        "interface_gone" => true,
        "interface_down" => interface.link.up,
        "no_carrier" => interface.link.carrier,
        "frame_above_peer_mtu" => match interface.peer {
            Some(Peer::Here { mtu, .. } | Peer::There { mtu, .. }) => {
                !too_long(situation.largest, mtu)
            }
            Some(Peer::Elsewhere) | None => false,
        },
        "veth_peer_down" | "veth_peer_without_receiver" | "veth_peer_unnoticed" => {
            veth::hears(situation)
        }
        "tap_unopened" => interface.queues.tx > 0,
        "needs_program"
        | "generic_program_in_the_way"
        | "driver_cannot_send"
        | "bond_without_xdp"
        | "bond_slave_without_xdp" => {
            interface.features.is_some_and(|features| features.has(XdpFeatures::NDO_XMIT))
        }
        "bond_without_slave" | "cpu_above_queues" | "veth_peer_unseen" => false,
        _ => return Since::AsTrue,
    };
    if checked { Since::PutRight } else { Since::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Action, WhenFull},
        diagnosis::Severity,
        host::{Interface, Link, LinkHistory, System},
        plan::RequiredProgram,
    };

    fn finding(code: &'static str) -> Finding {
        Finding::new(code, Severity::Loses, "it is so".to_owned(), "`change it`")
    }

    #[track_caller]
    fn check(code: &'static str, interface: Option<&Interface>, cause: &str, cure: &str) {
        let situation = Situation {
            system: &System::default(),
            interface,
            name: "va",
            meanwhile: LinkHistory::default(),
            peer_meanwhile: None,
            action: Action::Redirect,
            cpus: &[0],
            allowed_cpus: &[0],
            batch_size: 64,
            when_full: WhenFull::Flood,
            largest: 1000,
            attach: RequiredProgram::Nothing,
        };
        let Finding { cause: said, cure: cured, .. } =
            at_the_end(&finding(code), &finding("another"), &situation);
        assert_eq!((said.as_str(), cured.as_str()), (cause, cure), "{code}");
    }

    #[test]
    fn only_what_was_looked_at_is_said_to_be_put_right() {
        let link = Link {
            name: "va".to_owned(),
            alt_names: Vec::new(),
            index: 2,
            mtu: 1500,
            up: true,
            carrier: false,
            mac: None,
            speed: None,
            bus: None,
        };
        let bare = Interface::of(link);
        let peer = |mtu| Peer::There {
            name: "vb".to_owned(),
            nsid: 0,
            index: 2,
            up: true,
            mtu,
            native_xdp: true,
            namespace: None,
        };
        let with = |peer| Interface { peer: Some(peer), ..bare.clone() };
        let so = ("it is so", "`change it`");
        let right = (
            "it is so (as it was when they were dropped; it is not so any more)",
            "it is put right by now: leave it as it is while frames are sent",
        );
        let unknown =
            ("it is so (as it was when they were dropped)", "if it is still so: `change it`");
        for (code, interface, (cause, cure)) in [
            ("frame_above_peer_mtu", &with(peer(1500)), right),
            ("frame_above_peer_mtu", &with(peer(500)), unknown),
            ("frame_above_peer_mtu", &with(Peer::Elsewhere), unknown),
            ("interface_gone", &bare, right),
            ("interface_down", &bare, right),
            ("no_carrier", &bare, unknown),
            ("bond_without_slave", &bare, unknown),
            // A full queue was an event, and its cure still holds.
            ("queue_full", &with(peer(500)), so),
            ("batch_above_ring", &with(peer(500)), so),
        ] {
            check(code, Some(interface), cause, cure);
        }
        // Nothing can be checked.
        check("frame_above_peer_mtu", None, so.0, so.1);
        check("interface_down", None, so.0, so.1);
    }
}
