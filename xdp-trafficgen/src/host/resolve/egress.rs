//! The interface of an egress: the one that it names, or that of the innermost VLAN above it.

use std::sync::Arc;

use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::host::{Egress, Link, Unreachable, Vlan};

/// The interface whose routes and neighbours apply to an egress.
pub(super) struct EgressInterface {
    pub(super) index: u32,
    pub(super) name: Arc<str>,
    pub(super) carrier: bool,
    /// Why frames cannot leave this way: the VLAN has no interface, or its interface is down.
    pub(super) lacking: Option<Unreachable>,
}

impl EgressInterface {
    /// None when the egress interface does not exist or is down.
    pub(super) fn of(egress: &Egress, messages: &[LinkMessage], links: &[Link]) -> Option<Self> {
        let link = links.iter().find(|link| link.answers_to(&egress.interface))?;
        let up = |message: &LinkMessage| message.header.flags.contains(LinkFlags::Up);
        let mut message = messages.iter().find(|message| message.header.index == link.index)?;
        if !up(message) {
            return None;
        }
        let mut lacking = None;
        // A tag with VLAN 0 carries only a priority (IEEE 802.1Q clause 6.9).
        for &vlan in egress.vlans.iter().filter(|vlan| vlan.id != 0) {
            match messages.iter().find(|above| is_vlan(above, message.header.index, vlan)) {
                Some(above) => message = above,
                None => {
                    let interface = name(message).unwrap_or_default().into();
                    lacking = Some(Unreachable::NoVlan { interface, vlan });
                    break;
                }
            }
        }
        let interface: Arc<str> = name(message).unwrap_or_default().into();
        if lacking.is_none() && !up(message) {
            lacking = Some(Unreachable::VlanDown(Arc::clone(&interface)));
        }
        let carrier = message.header.flags.contains(LinkFlags::LowerUp);
        Some(Self { index: message.header.index, name: interface, carrier, lacking })
    }
}

fn name(message: &LinkMessage) -> Option<&str> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// Whether this is the interface of that VLAN above the interface with the index `below`.
fn is_vlan(message: &LinkMessage, below: u32, vlan: Vlan) -> bool {
    let (mut is_above, mut kind, mut has_id, mut has_tpid) = (false, false, false, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Link(index) => is_above = *index == below,
            // The index belongs to another namespace.
            LinkAttribute::LinkNetNsId(_) => return false,
            LinkAttribute::LinkInfo(parts) => {
                for part in parts {
                    match part {
                        LinkInfo::Kind(InfoKind::Vlan) => kind = true,
                        LinkInfo::Data(InfoData::Vlan(settings)) => {
                            has_id = settings.contains(&InfoVlan::Id(vlan.id));
                            has_tpid = settings.iter().any(|setting| match setting {
                                InfoVlan::Protocol(protocol) => u16::from(*protocol) == vlan.tpid,
                                _ => false,
                            });
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    is_above && kind && has_id && has_tpid
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::VlanProtocol;

    use super::*;

    /// rtnetlink's descriptions of `eth0` (2), of VLAN 100 above it and VLAN 7 above that, of a
    /// VLAN 8 that is down, and of a service VLAN 100.
    fn messages() -> Vec<LinkMessage> {
        let message = |index: u32, name: &str, flags: LinkFlags, attributes: &[LinkAttribute]| {
            let mut message = LinkMessage::default();
            message.header.index = index;
            message.header.flags = flags;
            message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
            message.attributes.extend_from_slice(attributes);
            message
        };
        let tagged = |below: u32, protocol: VlanProtocol, id: u16| {
            let settings = vec![InfoVlan::Protocol(protocol), InfoVlan::Id(id)];
            let info =
                vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(settings))];
            [LinkAttribute::Link(below), LinkAttribute::LinkInfo(info)]
        };
        let vlan = |below, id| tagged(below, VlanProtocol::Ieee8021Q, id);
        let up = LinkFlags::Up | LinkFlags::LowerUp;
        let elsewhere = [&vlan(2, 9)[..], &[LinkAttribute::LinkNetNsId(0)]].concat();
        vec![
            message(2, "eth0", up, &[]),
            message(3, "other", up, &vlan(5, 100)),
            message(9, "service", up, &tagged(2, VlanProtocol::Ieee8021Ad, 100)),
            message(4, "lan", up, &vlan(2, 100)),
            message(6, "inner", up, &vlan(4, 7)),
            message(7, "quiet", LinkFlags::empty(), &vlan(2, 8)),
            message(8, "moved", up, &elsewhere),
        ]
    }

    #[test]
    fn a_vlan_s_way_leads_through_its_own_interface() {
        #[track_caller]
        fn check(interface: &str, vlans: &[Vlan], expected: Option<(u32, Option<Unreachable>)>) {
            let links = [Link {
                name: "eth0".to_owned(),
                alt_names: vec!["enp1s0".to_owned()],
                index: 2,
                mtu: 1500,
                up: true,
                carrier: true,
                mac: Some([2, 0, 0, 0, 0, 1]),
                speed: None,
                bus: None,
            }];
            let egress = Egress { interface: interface.to_owned(), vlans: vlans.to_vec() };
            let exit = EgressInterface::of(&egress, &messages(), &links);
            assert_eq!(exit.map(|exit| (exit.index, exit.lacking)), expected, "{egress:?}");
        }
        let lacking =
            |interface: &str, vlan| Some(Unreachable::NoVlan { interface: interface.into(), vlan });
        let vlan = |id| Vlan { tpid: Vlan::CUSTOMER, id };
        let service = |id| Vlan { tpid: Vlan::SERVICE, id };
        check("eth0", &[], Some((2, None)));
        check("enp1s0", &[], Some((2, None)));
        check("eth0", &[vlan(100)], Some((4, None)));
        check("eth0", &[vlan(100), vlan(7)], Some((6, None)));
        // Under another protocol the same number is another VLAN.
        check("eth0", &[service(100)], Some((9, None)));
        check("eth0", &[service(100), vlan(7)], Some((9, lacking("service", vlan(7)))));
        check("eth0", &[service(8)], Some((2, lacking("eth0", service(8)))));
        let old = Vlan { tpid: 0x9100, id: 100 };
        check("eth0", &[old], Some((2, lacking("eth0", old))));
        // A priority tag belongs to no VLAN.
        check("eth0", &[vlan(0)], Some((2, None)));
        check("eth0", &[vlan(7)], Some((2, lacking("eth0", vlan(7)))));
        check("eth0", &[vlan(100), vlan(8)], Some((4, lacking("lan", vlan(8)))));
        check("eth0", &[vlan(8)], Some((7, Some(Unreachable::VlanDown("quiet".into())))));
        // The index of the interface below is one of another namespace.
        check("eth0", &[vlan(9)], Some((2, lacking("eth0", vlan(9)))));
        check("eth1", &[], None);
    }
}
