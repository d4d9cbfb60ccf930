//! Checks of a port and its flows: interfaces, weights and sizes.

use xdp_trafficgen_ebpf::abi::MAX_TURNS;

use super::Planner;
use crate::{
    config::{Diagnostic, Flow, Located, Origin, Port, Size, names},
    host::Link,
    packet::Template,
    plan::{DefaultRoute, schedule},
    units::FrameLen,
};

impl Planner<'_> {
    pub(super) fn check_weights(&mut self, flows: &[&Flow]) {
        if let Some(excess) = flows.get(MAX_TURNS) {
            self.diagnostics.push(
                Diagnostic::new(
                    &excess.name.place,
                    format!("this port has {} flows, more than the {MAX_TURNS} that it has room for", flows.len()),
                )
                .help(format!(
                    "give the flows behind the first {MAX_TURNS} another port, or let fields of fewer flows vary: one flow can go \
                     through any number of addresses and ports"
                )),
            );
            return;
        }
        let weights: Vec<u32> = flows.iter().map(|flow| flow.weight.value).collect();
        let turns = schedule::cycle_len(&weights);
        if let (true, Some(flow)) =
            (turns > MAX_TURNS as u64, flows.iter().max_by_key(|flow| flow.weight.value))
        {
            // Where the user wrote no weight, the flows are too many.
            let written = Some(&flow.weight.place).filter(|place| **place != Origin::Default);
            self.diagnostics.push(
                Diagnostic::new(
                    written.unwrap_or(&flow.name.place),
                    format!("the weights of this port's flows make a cycle of {turns} frames, more than {MAX_TURNS}"),
                )
                .help("use smaller weights in the same proportion"),
            );
        }
        for flow in flows {
            if let Size::Weighted(sizes) = &flow.size.value {
                let weights: Vec<u32> = sizes.iter().map(|size| size.weight).collect();
                let turns = schedule::cycle_len(&weights);
                if turns > MAX_TURNS as u64 {
                    self.diagnostics.push(
                        Diagnostic::new(
                            &flow.size.place,
                            format!("the weights of these sizes make a cycle of {turns} frames, more than {MAX_TURNS}"),
                        )
                        .help("use smaller weights in the same proportion"),
                    );
                }
            }
        }
    }

    pub(super) fn link(&mut self, name: &Located<String>) -> Option<Link> {
        let Some(link) = self.facts.link(&name.value) else {
            let known = self.facts.links.iter().flat_map(Link::names);
            let help = match name.value.split_once('@') {
                Some((own, _)) if self.facts.link(own).is_some() => {
                    format!("write `{own}`: behind the `@`, `ip link` shows what it is linked to")
                }
                _ => names::cure(&name.value, "interfaces", known),
            };
            self.diagnostics.push(
                Diagnostic::new(&name.place, format!("there is no interface `{}`", name.value))
                    .help(help),
            );
            return None;
        };
        if !link.up {
            self.diagnostics.push(
                Diagnostic::new(&name.place, format!("the interface `{}` is down", name.value))
                    .help(format!("set it up: `ip link set {} up`", name.value)),
            );
            return None;
        }
        if link.mac.is_none() {
            self.diagnostics.push(
                Diagnostic::new(
                    &name.place,
                    format!("`{}` is not an Ethernet interface", name.value),
                )
                .help("choose one that `ip link` shows with link/ether"),
            );
            return None;
        }
        if !link.carrier {
            self.notes.push(
                format!("{} has no carrier: is its other end plugged in and up?", name.value)
                    .into(),
            );
        }
        Some(link.clone())
    }

    pub(super) fn check_default_route(&mut self, port: &Port, link: &Link) {
        if self.consent.default_route == DefaultRoute::Refuse
            && self.facts.default_route.contains(&link.index)
        {
            self.diagnostics.push(
                Diagnostic::new(&port.interface.place, format!("`{}` carries this machine's default route", link.name))
                    .help("send out of another interface, or say that you mean it with `--allow-default-route`"),
            );
        }
    }

    /// The kernel sends a frame of up to 4 bytes (a VLAN tag) more than the MTU and the Ethernet
    /// header; receivers may drop a frame whose part after the tags exceeds the MTU.
    pub(super) fn check_size(&mut self, flow: &Flow, template: &Template, link: &Link) {
        let tagged = flow
            .packet
            .iter()
            .zip(&template.offsets)
            .find(|(header, _)| !header.kind.value.def().addressing.is_link());
        let network = tagged.map_or(14, |(_, &offset)| offset);
        let mtu = link.mtu as usize;
        let len = template.bytes.len();
        let most = (mtu + network).min(FrameLen::sent_at_mtu(link.mtu).in_kernel());
        if len > most {
            self.diagnostics.push(
                Diagnostic::new(
                    &flow.size.place,
                    format!(
                        "a frame of {} bytes is too large for the MTU of `{}`, {mtu}",
                        flow.size.value.largest(),
                        link.name
                    ),
                )
                .help(format!(
                    "write at most {}, or raise the MTU: `ip link set {} mtu {}`",
                    FrameLen::of_kernel(most).bytes(),
                    link.name,
                    len - network.min(18)
                )),
            );
        }
    }
}
