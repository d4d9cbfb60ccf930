//! Whether an interface takes XDP frames at all: its state, and its driver.

use super::{Finding, Severity, Situation, bond, veth};
use crate::{
    host::{AttachedMode, Interface, XdpFeatures, drivers::needs_program},
    packet::HeaderKind,
};

/// What would keep every frame from leaving, as far as the facts tell.
pub(super) fn foreseen(situation: &Situation<'_>) -> Vec<Finding> {
    let Some(interface) = situation.interface else { return vec![gone(situation)] };
    if !interface.link.up {
        return vec![down(situation)];
    }
    if veth::is_one(situation) {
        return veth::peer(situation).into_iter().collect();
    }
    let mut findings: Vec<Finding> = driver(situation).into_iter().collect();
    if interface.link.carrier {
        return findings;
    }
    findings.push(unopened(situation).unwrap_or_else(|| no_carrier(situation)));
    findings
}

pub(super) fn gone(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    if situation.interface.is_some() {
        return Finding::new(
            "interface_gone",
            Severity::Loses,
            format!(
                "the interface `{name}` was gone for a while, or was being removed; now there \
                     is one"
            ),
            "keep it in place while frames are sent",
        );
    }
    Finding::new(
        "interface_gone",
        Severity::Blocks,
        format!(
            "the interface `{name}` is gone: it was removed, or moved to another network \
                 namespace"
        ),
        "start again when it is back (`xdp-trafficgen daemon` does so by itself)",
    )
}

pub(super) fn down(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    let is = situation.interface.is_some_and(|interface| !interface.link.up);
    Finding::new(
        "interface_down",
        Severity::Blocks,
        format!("the interface `{name}` {} down", if is { "is" } else { "was" }),
        if is {
            format!("`ip link set {name} up`")
        } else {
            "keep it up while frames are sent".to_owned()
        },
    )
}

pub(super) fn no_carrier(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    Finding::new(
        "no_carrier",
        Severity::Loses,
        format!("`{name}` has no carrier: nothing is plugged in, or its other end is down"),
        format!(
            "plug it in, and set the other end up; `ethtool {name}` shows `Link detected: yes` \
                 then"
        ),
    )
}

/// A tap that no process has open.
pub(super) fn unopened(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let closed = situation.driver() == "tun"
        && situation.interface.is_some_and(|interface| interface.queues.tx == 0);
    closed.then(|| {
        Finding::new(
            "tap_unopened",
            Severity::Blocks,
            format!(
                "no program has the tap `{name}` open, so frames that are sent to it would not \
                     be read"
            ),
            format!(
                "start the program that reads it, such as the virtual machine it belongs to, \
                 before sending to `{name}`"
            ),
        )
    })
}

/// What the driver needs: it never sends XDP frames, or only with a program.
pub(super) fn driver(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let Interface { features, .. } = situation.interface?;
    if features.is_some_and(|features| features.has(XdpFeatures::NDO_XMIT)) {
        return None;
    }
    if let Some(finding) = bond::unable(situation) {
        return Some(finding);
    }
    let runs_programs = features.is_some_and(|features| features.has(XdpFeatures::BASIC));
    let with_program = runs_programs || (features.is_none() && needs_program(situation.driver()));
    if !with_program {
        let never = features.is_some()
            || SOFTWARE.iter().any(|kind| *kind == situation.kind())
            || *name == "lo";
        return never.then(|| never_sends(situation));
    }
    let native = situation.program(AttachedMode::Native);
    let generic = situation
        .program(AttachedMode::Generic)
        .filter(|generic| !situation.replaces() || generic.on_link);
    if let (Some(generic), None) = (generic, native) {
        return Some(Finding::new(
            "generic_program_in_the_way",
            Severity::Blocks,
            format!(
                "`{name}` {} with a native XDP program attached, and {generic} is in its place",
                sends_only(situation)
            ),
            generic.out_of_the_way(name),
        ));
    }
    if native.is_some() {
        return features.is_some().then(|| never_sends(situation));
    }
    Some(Finding::new(
        "needs_program",
        Severity::Note,
        format!(
            "{}`{name}` {} while an XDP program is attached; xdp-trafficgen attaches one that \
             passes everything on, until the end",
            whose_driver(situation),
            sends_only(situation)
        ),
        "",
    ))
}

/// As [`driver`], for an interface that has refused frames.
pub(super) fn driver_refused(situation: &Situation<'_>) -> Finding {
    match driver(situation) {
        Some(finding) if finding.code == "needs_program" => without_program(situation),
        Some(finding) => finding,
        None => never_sends(situation),
    }
}

/// No program was attached when frames were sent.
pub(super) fn without_program(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    Finding::new(
        "needs_program",
        Severity::Blocks,
        format!(
            "{}`{name}` {} while an XDP program is attached in it, and there was none",
            whose_driver(situation),
            sends_only(situation)
        ),
        "keep one attached while frames are sent: xdp-trafficgen attaches one that passes \
         everything on, unless another is attached",
    )
}

fn never_sends(situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    let pair = "send into a veth pair: `ip link add a type veth peer name b`, both up, and \
                `ethtool -K b gro on`";
    let beneath = format!(
        "send out of the interface beneath it, which `ip -d link show {name}` \
                           names"
    );
    let tunnel = |header: HeaderKind| {
        let cure = format!(
            "{beneath}, with the tunnel's headers in the frames (header `{}` of a \
             configuration file)",
            header.name()
        );
        ("a tunnel", cure)
    };
    let (what, cure) = match situation.kind() {
        "bridge" => (
            "a bridge",
            format!(
                "send out of one of its ports, which `ip link show master \
                                          {name}` lists"
            ),
        ),
        "vlan" => {
            ("a VLAN interface", format!("{beneath}, and let frames have the tag (`--vlan`)"))
        }
        "macvlan" | "macvtap" | "ipvlan" | "ipvtap" | "team" | "hsr" => {
            ("an interface on top of others", beneath)
        }
        "vxlan" => tunnel(HeaderKind::Vxlan),
        "gretap" | "ip6gretap" => tunnel(HeaderKind::Gre),
        // No header is theirs: a file has their bytes.
        "geneve" | "erspan" => tunnel(HeaderKind::Custom),
        "dummy" | "ifb" | "nlmon" => ("a software interface", pair.to_owned()),
        _ if *name == "lo" => ("the loopback interface", pair.to_owned()),
        _ => (
            "",
            "send out of another interface: `xdp-trafficgen probe` tells which of them do; newer \
             kernels have more drivers that do"
                .to_owned(),
        ),
    };
    let cause = match what {
        "" => format!(
            "{}`{name}` cannot send XDP frames: it has no `ndo_xdp_xmit`",
            whose_driver(situation)
        ),
        what => format!("`{name}` is {what}, which cannot send XDP frames"),
    };
    Finding::new("driver_cannot_send", Severity::Blocks, cause, cure)
}

/// Kinds of interfaces without `ndo_xdp_xmit`. Needed before Linux 6.3, where the kernel does not
/// tell.
const SOFTWARE: [&str; 10] =
    ["bridge", "vlan", "macvlan", "macvtap", "ipvlan", "vxlan", "geneve", "dummy", "ifb", "gretap"];

/// Of some drivers it is known that they send with a program attached. Other drivers that run
/// programs and do not send may.
fn sends_only(situation: &Situation<'_>) -> &'static str {
    if needs_program(situation.driver()) {
        "sends XDP frames only"
    } else {
        "sends no XDP frames as it is, and may do so only"
    }
}

/// `the driver e1000e of `.
fn whose_driver(situation: &Situation<'_>) -> String {
    match situation.driver() {
        "" => "the driver of ".to_owned(),
        driver => format!("the driver {driver} of "),
    }
}
