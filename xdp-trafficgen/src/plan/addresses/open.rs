//! What a flow leaves to this host: the source address, the destination's MAC address, and the
//! destinations that both depend on.

use std::{iter, net::IpAddr};

use super::destination_mac::{DestinationMac, cure, origin};
use crate::{
    config::{
        Action, Advance, Diagnostic, FieldSetting, Flow, Follow, Header, Located, Origin, Pattern,
        Port,
    },
    host::{Destinations, Egress, Vlan},
    packet::{FieldDef, FieldType, HeaderKind, headers::Addressing},
    plan::{
        stack::{benchmark_addresses, first_value, is_ip},
        unreachable::MAX_DESTINATIONS,
    },
};

/// What a flow leaves to this host.
pub(super) struct OpenAddresses<'a> {
    pub(super) egress: Egress,
    pub(super) ethernet: &'a Header,
    /// The header that has the destination, and its place in the packet.
    pub(super) header: &'a Header,
    pub(super) layer: usize,
    /// The destination's pattern and its place among the fields; none where it is a default.
    pub(super) destination: Option<(usize, &'a Located<Pattern>)>,
    pub(super) next_hop: bool,
    pub(super) source: bool,
    /// The header's fields for the source and the destination.
    pub(super) ends: (&'static FieldDef, &'static FieldDef),
    /// The pattern of a VLAN's id or protocol that varies.
    varying_vlan: Option<&'a Origin>,
}

impl<'a> OpenAddresses<'a> {
    /// None where the flow leaves nothing open.
    pub(super) fn of(port: &Port, flow: &'a Flow) -> Option<Self> {
        let [ethernet, rest @ ..] = flow.packet.as_slice() else { return None };
        if ethernet.kind.value != HeaderKind::Ethernet {
            return None;
        }
        let tags = rest.iter().map_while(|header| match header.kind.value.def().addressing {
            Addressing::Tag { protocol, id } => Some((header, protocol, id)),
            Addressing::Link
            | Addressing::NextHop
            | Addressing::Session
            | Addressing::Everybody => None,
        });
        let (mut vlans, mut varying_vlan) = (Vec::new(), None);
        for (tag, protocol, id) in tags.clone() {
            let setting = |name| tag.fields.iter().find(|setting| setting.field.name == name);
            let (tpid, id) = (setting(protocol), setting(id));
            let varies = |setting: &&FieldSetting| setting.pattern.value.value_count() != 1;
            if let Some(setting) = [id, tpid].into_iter().flatten().find(varies) {
                varying_vlan = varying_vlan.or(Some(&setting.pattern.place));
            }
            let number = |setting: &FieldSetting| u16::try_from(setting.pattern.value.first()).ok();
            if let (Some(id), None) = (id.and_then(number), varying_vlan) {
                vlans.push(Vlan { tpid: tpid.and_then(number).unwrap_or(Vlan::CUSTOMER), id });
            }
        }
        // A header with a destination in a packet without IP, like ARP, comes right after the tags.
        let layer = flow.packet.iter().position(is_ip).unwrap_or(1 + tags.count());
        let header = flow.packet.get(layer)?;
        // The addresses in a session are none of this host's: its routes do not lead there.
        let is_session =
            |header: &Header| header.kind.value.def().addressing == Addressing::Session;
        if flow.packet[..layer].iter().any(is_session) {
            return None;
        }
        let ends @ (source, destination) = header.kind.value.def().ends()?;
        let destination = header
            .fields
            .iter()
            .enumerate()
            .find(|(_, setting)| setting.field.name == destination.name);
        let next_hop = matches!(DestinationMac::of(&flow.packet), DestinationMac::NextHop);
        let source = first_value(header, &source.name).is_none();
        let interface = match port.action.value {
            Action::Tx => port.ingress.as_ref().unwrap_or(&port.interface),
            Action::Redirect | Action::Pass | Action::Drop => &port.interface,
        };
        (next_hop || source).then(|| Self {
            egress: Egress { interface: interface.value.clone(), vlans },
            ethernet,
            header,
            layer,
            destination: destination.map(|(index, setting)| (index, &setting.pattern)),
            next_hop,
            source,
            ends,
            varying_vlan,
        })
    }

    fn address(&self, value: u128) -> IpAddr {
        let (_, destination) = self.ends;
        match (destination.kind, u32::try_from(value)) {
            (FieldType::Ipv4, Ok(bits)) => IpAddr::V4(bits.into()),
            (FieldType::Ipv4 | FieldType::Ipv6 | FieldType::Mac | FieldType::Number, _) => {
                IpAddr::V6(value.into())
            }
        }
    }

    pub(super) fn first(&self) -> IpAddr {
        self.destination.map_or_else(
            || benchmark_addresses(self.header.kind.value).1,
            |(_, pattern)| self.address(pattern.value.first()),
        )
    }

    /// The range from the lowest destination to the highest.
    pub(super) fn row(&self) -> Destinations {
        let (first, last) = match self.destination.map(|(_, pattern)| &pattern.value) {
            None => return Destinations::one(self.first()),
            Some(Pattern::Value(value)) => (*value, *value),
            Some(Pattern::Values(values)) => {
                let values = || values.iter().map(|value| value.value);
                (values().min().unwrap_or(0), values().max().unwrap_or(0))
            }
            Some(Pattern::Increment(count)) => {
                (count.start, count.start + count.step * u128::from(count.count - 1))
            }
            Some(Pattern::Decrement(count)) => {
                (count.start - count.step * u128::from(count.count - 1), count.start)
            }
            Some(&Pattern::Random { min, max, .. }) => (min, max),
        };
        Destinations { first: self.address(first), last: self.address(last) }
    }

    /// How many destinations the flow has; none when they are too many for single lookups.
    pub(super) fn count(&self) -> Option<u128> {
        let count = match self.destination.map(|(_, pattern)| &pattern.value) {
            Some(Pattern::Random { min, max, .. }) => (max - min).checked_add(1)?,
            Some(pattern) => pattern.value_count(),
            None => 1,
        };
        (count <= MAX_DESTINATIONS).then_some(count)
    }

    /// The destinations in the order of the pattern's values; random ones in ascending order.
    pub(super) fn destinations(&self) -> impl Iterator<Item = IpAddr> {
        let values: Box<dyn Iterator<Item = u128> + '_> =
            match self.destination.map(|(_, pattern)| &pattern.value) {
                None => Box::new(iter::once(ip_value(self.first()))),
                Some(Pattern::Value(value)) => Box::new(iter::once(*value)),
                Some(Pattern::Values(values)) => Box::new(values.iter().map(|value| value.value)),
                Some(Pattern::Increment(count)) => Box::new(
                    (0..u128::from(count.count)).map(|index| count.start + index * count.step),
                ),
                Some(Pattern::Decrement(count)) => Box::new(
                    (0..u128::from(count.count)).map(|index| count.start - index * count.step),
                ),
                Some(&Pattern::Random { min, max, .. }) => Box::new(min..=max),
            };
        values.map(|value| self.address(value))
    }

    pub(super) fn origin(&self, port: &'a Port) -> &'a Origin {
        origin(port, self.ethernet, self.destination.map(|(_, pattern)| &pattern.place))
    }

    /// Whether the next hop can be looked up at all.
    pub(super) fn check(&self) -> Result<(), Diagnostic> {
        if let Some(origin) = self.varying_vlan {
            return Err(Diagnostic::new(
                origin,
                "this VLAN varies, and with it who takes the frames",
            )
            .help(cure(self.ethernet).to_string()));
        }
        Ok(())
    }

    pub(super) fn unknown(&self, port: &Port) -> Diagnostic {
        Diagnostic::new(
            self.origin(port),
            format!("who takes the frames for {} is not known", self.first()),
        )
        .help(cure(self.ethernet).to_string())
    }

    /// A field that follows the destinations value by value. None where no field can.
    pub(super) fn following(
        &self,
        kind: HeaderKind,
        name: &str,
        values: impl Iterator<Item = u128>,
        port: &Port,
    ) -> Option<FieldSetting> {
        let origin = self.origin(port);
        let (field, pattern) = self.destination?;
        if let Pattern::Random { count: Some(_), .. } = pattern.value {
            return None;
        }
        let values = values.map(|value| Located::new(value, origin.clone())).collect();
        let follow = Follow { header: self.layer, field, advance: Advance::Step };
        Some(FieldSetting {
            field: kind.field(name)?.into(),
            pattern: Located::new(Pattern::Values(values), origin.clone()),
            follow: Some(Located::new(follow, origin.clone())),
        })
    }
}

pub(super) fn ip_value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}
