//! Bonds: which of them carry XDP frames.

use super::{Finding, Severity, Situation};
use crate::host::{Bond, Interface, XdpFeatures};

/// Whether a bond of this mode and hash policy carries XDP frames: bond_xdp_check of the kernel's
/// drivers/net/bonding/bond_main.c (Linux 5.15, commit 9e2ee5c7e7c3). Hardware removes VLAN tags
/// from frames, so XDP has no `vlan+srcmac`.
fn carries_xdp(Bond { mode, hash_policy, .. }: &Bond) -> bool {
    match mode.as_str() {
        "balance-rr" | "active-backup" => true,
        "balance-xor" | "802.3ad" => hash_policy.as_deref() != Some("vlan+srcmac"),
        _ => false,
    }
}

/// Why a bond cannot send XDP frames; none when it can, when the kernel does not tell, and for
/// other interfaces.
pub(super) fn unable(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let Interface { bond, features, .. } = situation.interface?;
    let bond = bond.as_ref()?;
    if !carries_xdp(bond) {
        return Some(without_xdp(name, Some(bond)));
    }
    // A bond has the features that all of its slaves have (bond_xdp_set_features).
    let silent = features.is_some_and(|features| !features.has(XdpFeatures::BASIC));
    if !silent {
        return None;
    }
    let slaves =
        bond.slaves.iter().map(|slave| format!("`{slave}`")).collect::<Vec<_>>().join(", ");
    Some(if bond.slaves.is_empty() {
        Finding::new(
            "bond_without_slave",
            Severity::Blocks,
            format!("the bond `{name}` has no slave that could send"),
            format!("give it one (`ip link set SLAVE down`, `ip link set SLAVE master {name}`)"),
        )
    } else {
        Finding::new(
            "bond_slave_without_xdp",
            Severity::Blocks,
            format!(
                "the bond `{name}` sends XDP frames only if all of its slaves do, and one of \
                     {slaves} does not"
            ),
            "take that one out of the bond (`xdp-trafficgen probe` tells which it is), or send out \
             of another by itself",
        )
    })
}

/// The mode or the hash policy has no XDP. Without the bond's settings, the kernel's text is the
/// source.
pub(super) fn without_xdp(name: &str, bond: Option<&Bond>) -> Finding {
    let slave = match bond.and_then(|bond| bond.slaves.first()) {
        Some(slave) => format!("send out of a slave by itself, such as `{slave}`"),
        None => "send out of a slave by itself".to_owned(),
    };
    let (cause, other) = match bond {
        Some(Bond { mode, hash_policy: Some(policy), .. })
            if mode == "balance-xor" || mode == "802.3ad" =>
        {
            (
                format!("the bond `{name}` sends no XDP frames with the xmit_hash_policy {policy}"),
                format!(
                    "use another policy (`ip link set {name} type bond xmit_hash_policy layer2+3`)"
                ),
            )
        }
        bond => {
            let mode = bond.map_or_else(|| "that it has".to_owned(), |bond| bond.mode.clone());
            (
                format!("the bond `{name}` sends no XDP frames in the mode {mode}"),
                "use the mode active-backup, balance-rr, balance-xor or 802.3ad".to_owned(),
            )
        }
    };
    Finding::new("bond_without_xdp", Severity::Blocks, cause, format!("{other}, or {slave}"))
}
