//! The plan: what will be sent, worked out completely before anything touches the kernel.
//!
//! A pure function of the configuration and the host's facts. Everything that can be wrong is found here or before;
//! what follows only carries it out.

mod program;
mod rows;

use std::{net::IpAddr, time::Duration};

use xdp_trafficgen_ebpf::abi::FCS_LEN;

pub use program::Program;

use crate::{
    config::{Action, Config, Diagnostic, Diagnostics, FieldSetting, Flow, Header, Located, Place, Port, names},
    host::{Facts, Link, mac_value, show_mac},
    packet::{self, HeaderKind, Layer, StackError, Template},
};

/// Everything that will be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One for each interface that sends.
    pub ports: Vec<PortPlan>,
    /// What was decided for the user, in sentences worth showing.
    pub notes: Vec<String>,
}

/// One interface that sends.
#[derive(Clone, Debug)]
pub struct PortPlan {
    /// The port's name.
    pub name: String,
    /// The egress interface's name.
    pub interface: String,
    /// The egress interface's index.
    pub egress: u32,
    /// Index of the interface frames seem to come from.
    pub ingress: u32,
    /// What happens to a frame.
    pub action: Action,
    /// One worker on each.
    pub cpus: Vec<u32>,
    /// Frames the kernel sends together.
    pub batch_size: u32,
    /// What is sent.
    pub flow: FlowPlan,
}

/// Frames of one layout.
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// The flow's name.
    pub name: String,
    /// Bytes of each frame on the wire, FCS included.
    pub size: u32,
    /// Frames in total over all workers; without end when none.
    pub packets: Option<u64>,
    /// When to end; never when none.
    pub duration: Option<Duration>,
    /// The frame without FCS, every field at its first value.
    pub template: Vec<u8>,
    /// What the kernel's program does to it.
    pub program: Program,
}

impl PortPlan {
    /// How many frames the worker with this index (not its CPU) sends: shares differ by one at most and add up exactly.
    pub fn share(&self, worker: usize) -> Option<u64> {
        let workers = self.cpus.len() as u64;
        self.flow.packets.map(|packets| packets / workers + u64::from((worker as u64) < packets % workers))
    }
}

/// What a user may have to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRoute {
    /// Interfaces that carry a default route must not send.
    Refuse,
    /// They may: `--allow-default-route`.
    Allow,
}

/// The (interface, destination) pairs whose neighbours a plan for `config` wants to find in [`Facts::next_hops`].
pub fn neighbours_wanted(config: &Config) -> Vec<(String, IpAddr)> {
    config
        .flows
        .iter()
        .filter(|flow| !flow.packet.iter().any(|header| setting(header, HeaderKind::Ethernet, "dst").is_some()))
        .filter_map(|flow| {
            let port = config.ports.iter().find(|port| port.name.value == flow.port.value)?;
            Some((port.interface.value.clone(), destination(&flow.packet)?))
        })
        .collect()
}

/// Works out the plan.
///
/// # Errors
/// Everything in the configuration that this host cannot do.
pub fn plan(config: &Config, facts: &Facts, default_route: DefaultRoute) -> Result<Plan, Diagnostics> {
    let mut planner =
        Planner { facts, default_route, diagnostics: Diagnostics::new(config.source.clone()), notes: Vec::new() };
    let ports = config
        .flows
        .iter()
        .filter_map(|flow| {
            let port = config.ports.iter().find(|port| port.name.value == flow.port.value)?;
            planner.port(port, flow)
        })
        .collect();
    let Planner { diagnostics, notes, .. } = planner;
    diagnostics.into_result(Plan { ports, notes })
}

struct Planner<'a> {
    facts: &'a Facts,
    default_route: DefaultRoute,
    diagnostics: Diagnostics,
    notes: Vec<String>,
}

impl Planner<'_> {
    /// None when something is wrong, which is then in the diagnostics.
    fn port(&mut self, port: &Port, flow: &Flow) -> Option<PortPlan> {
        let egress = self.link(&port.interface);
        let ingress = match &port.ingress {
            Some(name) => self.link(name),
            None => egress.clone(),
        };
        let cpus = self.cpus(port);
        let (egress, ingress) = (egress?, ingress?);
        let leaves_by = match port.action.value {
            Action::Redirect => Some(&egress),
            Action::Tx => Some(&ingress),
            Action::Pass | Action::Drop => None,
        };
        if let Some(link) = leaves_by {
            self.check_default_route(port, link);
        }
        let template = self.template(port, flow, &egress)?;
        if let Some(link) = leaves_by {
            self.check_size(flow, &template, link);
        }
        let workers = cpus?;
        let program = match program::compile(flow, &template, port.action.value, &workers) {
            Ok(program) => program,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        Some(PortPlan {
            name: port.name.value.clone(),
            interface: egress.name,
            egress: egress.index,
            ingress: ingress.index,
            action: port.action.value,
            cpus: workers,
            batch_size: port.batch_size.value,
            flow: FlowPlan {
                name: flow.name.value.clone(),
                size: flow.size.value,
                packets: flow.packets.as_ref().map(|packets| packets.value),
                duration: flow.duration.as_ref().map(|duration| duration.value),
                template: template.bytes,
                program,
            },
        })
    }

    fn link(&mut self, name: &Located<String>) -> Option<Link> {
        let Some(link) = self.facts.link(&name.value) else {
            let known = self.facts.links.iter().map(|link| link.name.as_str());
            self.diagnostics.push(
                Diagnostic::new(&name.place, format!("there is no interface `{}`", name.value)).help(names::cure(
                    &name.value,
                    "interfaces",
                    known,
                )),
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
                Diagnostic::new(&name.place, format!("`{}` is not an Ethernet interface", name.value))
                    .help("choose one that `ip link` shows with link/ether"),
            );
            return None;
        }
        if !link.carrier {
            self.notes.push(format!("{} has no carrier: is its other end plugged in and up?", name.value));
        }
        Some(link.clone())
    }

    fn check_default_route(&mut self, port: &Port, link: &Link) {
        if self.default_route == DefaultRoute::Refuse && self.facts.default_route.contains(&link.index) {
            self.diagnostics.push(
                Diagnostic::new(&port.interface.place, format!("`{}` carries this machine's default route", link.name))
                    .help("send out of another interface, or say that you mean it with `--allow-default-route`"),
            );
        }
    }

    fn cpus(&mut self, port: &Port) -> Option<Vec<u32>> {
        let Some(cpus) = &port.cpus else {
            // One, so that nobody's machine is taken over unasked.
            return Some(vec![self.facts.allowed_cpus.first().copied().unwrap_or(0)]);
        };
        let absent: Vec<String> =
            cpus.value.iter().filter(|cpu| !self.facts.cpus.contains(cpu)).map(u32::to_string).collect();
        if absent.is_empty() {
            return Some(cpus.value.clone());
        }
        let present = self.facts.cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        self.diagnostics.push(
            Diagnostic::new(&cpus.place, format!("there is no CPU {}", absent.join(", ")))
                .help(format!("the CPUs that are online are {present}")),
        );
        None
    }

    fn template(&mut self, port: &Port, flow: &Flow, egress: &Link) -> Option<Template> {
        let mut layers: Vec<Layer> = flow.packet.iter().map(layer).collect();
        self.complete(port, flow, egress, &mut layers)?;
        // FRAME_SIZE keeps it at 64 or more, the kernel's limit is checked next.
        let frame_len = (flow.size.value - FCS_LEN) as usize;
        if let Some(largest) = self.facts.largest_frame
            && frame_len > largest
        {
            self.diagnostics.push(
                Diagnostic::new(
                    &flow.size.place,
                    format!("a frame of {} bytes is too large for the kernel", flow.size.value),
                )
                .help(format!("live frames end at {} bytes on this kernel, FCS included", largest + 4)),
            );
            return None;
        }
        packet::assemble(&layers, frame_len, &flow.payload.value)
            .map_err(|error| self.diagnostics.push(stack_diagnostic(flow, &error)))
            .ok()
    }

    /// Fills in what the user left to us: addresses of both ends.
    fn complete(&mut self, port: &Port, flow: &Flow, egress: &Link, layers: &mut [Layer]) -> Option<()> {
        let next_hop = destination(&flow.packet)
            .and_then(|destination| self.facts.next_hops.get(&(port.interface.value.clone(), destination)));
        for (layer, header) in layers.iter_mut().zip(&flow.packet) {
            match layer.kind {
                HeaderKind::Ethernet => {
                    default(layer, "src", egress.mac.map(mac_value));
                    if !is_set(layer, "dst") {
                        let Some((hop, mac)) = next_hop.and_then(|hop| Some((hop, hop.mac?))) else {
                            self.unknown_neighbour(port, flow, header);
                            return None;
                        };
                        default(layer, "dst", Some(mac_value(mac)));
                        self.notes.push(format!(
                            "flow {}: destination MAC {} is that of {} in the neighbour table",
                            flow.name.value,
                            show_mac(mac),
                            hop.neighbour
                        ));
                    }
                }
                HeaderKind::Ipv4 => {
                    let source = next_hop.and_then(|hop| hop.source).unwrap_or(BENCHMARK_SOURCE_V4);
                    default(layer, "src", ip_value(source, layer.kind));
                    default(layer, "dst", ip_value(BENCHMARK_DESTINATION_V4, layer.kind));
                }
                HeaderKind::Ipv6 => {
                    let source = next_hop.and_then(|hop| hop.source).unwrap_or(BENCHMARK_SOURCE_V6);
                    default(layer, "src", ip_value(source, layer.kind));
                    default(layer, "dst", ip_value(BENCHMARK_DESTINATION_V6, layer.kind));
                }
                HeaderKind::Udp => {
                    default(layer, "src_port", Some(DEFAULT_SOURCE_PORT));
                    default(layer, "dst_port", Some(DISCARD_PORT));
                }
                HeaderKind::Vlan => {}
            }
        }
        Some(())
    }

    fn unknown_neighbour(&mut self, port: &Port, flow: &Flow, ethernet: &Header) {
        let interface = &port.interface.value;
        let (how, place) = match &ethernet.kind.place {
            place @ Place::File(_) => ("write `dst` in the ethernet header", place),
            _ => ("give --dst-mac", &port.interface.place),
        };
        let diagnostic = match destination(&flow.packet) {
            Some(destination) => Diagnostic::new(
                place,
                format!("the MAC address of {destination} is not in the neighbour table of `{interface}`"),
            )
            .help(format!("{how}, or let the kernel learn it: `ping -c 1 -I {interface} {destination}`")),
            None => Diagnostic::new(place, "this frame has no destination MAC address").help(how.to_owned()),
        };
        self.diagnostics.push(diagnostic);
    }

    /// The kernel lets a frame pass that is 4 bytes (a VLAN tag) above the MTU with the Ethernet header; what is above
    /// the MTU behind the tags, receivers may drop.
    fn check_size(&mut self, flow: &Flow, template: &Template, link: &Link) {
        let tagged = flow
            .packet
            .iter()
            .zip(&template.offsets)
            .find(|(header, _)| !matches!(header.kind.value, HeaderKind::Ethernet | HeaderKind::Vlan));
        let network = tagged.map_or(14, |(_, &offset)| offset);
        let mtu = link.mtu as usize;
        let len = template.bytes.len();
        let most = (mtu + network).min(mtu + 14 + 4);
        if len > most {
            self.diagnostics.push(
                Diagnostic::new(
                    &flow.size.place,
                    format!("a frame of {} bytes is too large for the MTU of `{}`, {mtu}", flow.size.value, link.name),
                )
                .help(format!(
                    "write at most {}, or raise the MTU: `ip link set {} mtu {}`",
                    most + FCS_LEN as usize,
                    link.name,
                    len - network.min(18)
                )),
            );
        }
    }
}

/// Addresses set aside for benchmarks: RFC 2544 appendix C.2.2 (198.18.0.0/15) and RFC 5180 section 8 (2001:2::/48).
const BENCHMARK_SOURCE_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1));
const BENCHMARK_DESTINATION_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 19, 0, 1));
const BENCHMARK_SOURCE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1));
const BENCHMARK_DESTINATION_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1));
/// The first of the dynamic ports (RFC 6335).
const DEFAULT_SOURCE_PORT: u128 = 49152;
/// Discard (RFC 863).
const DISCARD_PORT: u128 = 9;

fn layer(header: &Header) -> Layer {
    let set = header.fields.iter().map(|setting| (setting.field, setting.pattern.value.first())).collect();
    Layer { kind: header.kind.value, set }
}

fn is_set(layer: &Layer, name: &str) -> bool {
    layer.set.iter().any(|(field, _)| field.name == name)
}

fn default(layer: &mut Layer, name: &str, value: Option<u128>) {
    if !is_set(layer, name)
        && let (Some(field), Some(value)) = (layer.kind.field(name), value)
    {
        layer.set.push((field, value));
    }
}

fn setting<'a>(header: &'a Header, kind: HeaderKind, name: &str) -> Option<&'a FieldSetting> {
    (header.kind.value == kind).then(|| header.fields.iter().find(|setting| setting.field.name == name)).flatten()
}

/// The first value of the outermost IP header's destination, defaults included.
fn destination(packet: &[Header]) -> Option<IpAddr> {
    let ip = packet.iter().find(|header| matches!(header.kind.value, HeaderKind::Ipv4 | HeaderKind::Ipv6))?;
    let kind = ip.kind.value;
    let default = if kind == HeaderKind::Ipv4 { BENCHMARK_DESTINATION_V4 } else { BENCHMARK_DESTINATION_V6 };
    let Some(setting) = setting(ip, kind, "dst") else { return Some(default) };
    let value = setting.pattern.value.first();
    match kind {
        HeaderKind::Ipv4 => u32::try_from(value).ok().map(|bits| IpAddr::V4(bits.into())),
        _ => Some(IpAddr::V6(value.into())),
    }
}

fn ip_value(address: IpAddr, kind: HeaderKind) -> Option<u128> {
    match (address, kind) {
        (IpAddr::V4(v4), HeaderKind::Ipv4) => Some(u32::from(v4).into()),
        (IpAddr::V6(v6), HeaderKind::Ipv6) => Some(v6.into()),
        _ => None,
    }
}

fn stack_diagnostic(flow: &Flow, error: &StackError) -> Diagnostic {
    match *error {
        StackError::Order { layer, kind, .. } => {
            let place = flow.packet.get(layer).map_or(&flow.name.place, |header| &header.kind.place);
            let cure = match kind {
                HeaderKind::Ethernet => "`ethernet` is the first header, and the only one of its kind",
                HeaderKind::Vlan => "`vlan` follows `ethernet` or another `vlan`",
                HeaderKind::Ipv4 | HeaderKind::Ipv6 => "an IP header follows `ethernet` or `vlan`",
                HeaderKind::Udp => "`udp` follows `ipv4` or `ipv6`",
            };
            Diagnostic::new(place, error.to_string()).help(cure)
        }
        StackError::TooSmall { headers, .. } => Diagnostic::new(&flow.size.place, error.to_string())
            .help(format!("write a size of at least {}", headers + FCS_LEN as usize)),
        StackError::PayloadTooLong { payload, room } => Diagnostic::new(&flow.payload.place, error.to_string())
            .help(format!("write a size of at least {}", flow.size.value as usize + payload - room)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, file};

    /// What the plan says of a port with these settings, where `eth0` carries the default route and `veth0` nothing.
    fn said(port: &str, flow: &str) -> String {
        let link = |name: &str, index| Link {
            name: name.to_owned(),
            index,
            mtu: 1500,
            up: true,
            carrier: true,
            mac: (name != "tun0").then_some([2, 0, 0, 0, 0, 1]),
        };
        let facts = Facts {
            links: vec![link("eth0", 2), link("veth0", 3), link("tun0", 4)],
            default_route: [2].into(),
            cpus: vec![0],
            allowed_cpus: vec![0],
            ..Facts::default()
        };
        let text = format!("[[ports]]\nname = 'p'\n{port}\n[[flows]]\nname = 'f'\nport = 'p'\n{flow}\n");
        let config = file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        plan(&config, &facts, DefaultRoute::Refuse).err().map_or(String::new(), |wrong| wrong.to_string())
    }

    const UDP: &str = "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { ipv4 = {} }, { udp = {} }]";

    #[track_caller]
    fn check(port: &str, flow: &str, expected: &str) {
        let said = said(port, flow);
        assert!(if expected.is_empty() { said.is_empty() } else { said.contains(expected) }, "{said}");
    }

    #[test]
    fn the_default_route_is_guarded_where_frames_leave() {
        check("interface = 'eth0'", UDP, "default route");
        check("interface = 'veth0'", UDP, "");
        check("interface = 'veth0'\ningress = 'eth0'", UDP, "");
        check("interface = 'veth0'\ningress = 'eth0'\naction = 'tx'", UDP, "default route");
        check("interface = 'eth0'\naction = 'drop'", UDP, "");
    }

    #[test]
    fn the_advised_mtu_is_enough() {
        let qinq = "size = 1526\npacket = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { vlan = {} }, { vlan = {} }, \
                    { ipv4 = {} }, { udp = {} }]";
        // 1522 bytes without the FCS; the kernel takes 18 more than the MTU.
        check("interface = 'veth0'", qinq, "mtu 1504");
        check("interface = 'tun0'", UDP, "not an Ethernet interface");
    }
}
