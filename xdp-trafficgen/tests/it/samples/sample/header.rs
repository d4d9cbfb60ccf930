//! A header of a sample: its length by the RFCs, and which of its fields are set.

use super::{hex, values::Values};

pub(crate) struct Header {
    pub(crate) kind: String,
    pub(crate) bytes: usize,
    pub(crate) fields: Vec<Field>,
    /// What the file says of its checksum, where it has one.
    pub(crate) checksum: Option<Checksum>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Good,
    Bad,
    /// A number, which is sent unchanged.
    Given,
}

pub(crate) struct Field {
    /// The name as in a path: `src`, or `bits[0]`.
    pub(crate) name: String,
    /// For a field that only the raw bytes show: the header's bytes it lies in, and its bits in
    /// them.
    pub(crate) bits: Option<(usize, Vec<u8>)>,
    pub(crate) values: Values,
}

impl Header {
    pub(crate) fn read(element: &toml::Value) -> Self {
        let (kind, table) = element.as_table().unwrap().iter().next().unwrap();
        let table = table.as_table().unwrap();
        let has = |key: &str| table.contains_key(key);
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str);
        let options = match table.get("options") {
            Some(toml::Value::Array(options)) => options.iter().map(tcp_option).sum(),
            _ => text("options").map_or(0, |options| hex(options).len()),
        };
        let bytes = match kind.as_str() {
            "ethernet" => 14,
            "vlan" | "mpls" => 4,
            "arp" => 28,
            "ipv4" | "tcp" => 20 + options.next_multiple_of(4),
            "ipv6" => 40,
            "ipv6_hop_by_hop" | "ipv6_destination" => (2 + options).next_multiple_of(8),
            "ipv6_routing" => (4 + options).next_multiple_of(8),
            "ipv6_fragment" | "udp" | "icmp" | "icmpv6" | "vxlan" | "pppoe" => 8,
            "gre" => {
                4 + 4 * ["checksum", "key", "sequence_number"]
                    .into_iter()
                    .filter(|part| has(part))
                    .count()
            }
            "gtpv1" => 8 + 4 * usize::from(has("sequence_number")),
            "custom" => hex(text("bytes").unwrap()).len(),
            other => panic!("teach this test the header {other}"),
        };
        let checksum = match kind.as_str() {
            "ipv4" => Some("header_checksum"),
            "udp" | "tcp" | "icmp" | "icmpv6" => Some("checksum"),
            "gre" if has("checksum") => Some("checksum"),
            _ => None,
        };
        let checksum = checksum.map(|name| match table.get(name).map(toml::Value::as_str) {
            None | Some(Some("good")) => Checksum::Good,
            Some(Some("bad")) => Checksum::Bad,
            Some(_) => Checksum::Given,
        });
        let not_fields = ["options", "bytes", "bits", "checksum", "header_checksum"];
        let named = table.iter().filter(|(key, _)| !not_fields.contains(&key.as_str()));
        let named = named.map(|(key, value)| Field {
            name: key.clone(),
            bits: None,
            values: Values::read(value),
        });
        let bits = table.get("bits").map_or(&[][..], |bits| bits.as_array().unwrap());
        let bits = bits.iter().enumerate().map(|(index, value)| Field {
            name: format!("bits[{index}]"),
            bits: Some((
                usize::try_from(value["offset"].as_integer().unwrap()).unwrap(),
                hex(value["mask"].as_str().unwrap()),
            )),
            values: Values::read(value),
        });
        // For tshark, a provider's tag is another protocol.
        let provider = table.get("tpid").is_some_and(|tpid| tpid.as_integer() == Some(0x88a8));
        let kind = if provider { "ieee8021ad".to_owned() } else { kind.clone() };
        Self { kind, bytes, fields: named.chain(bits).collect(), checksum }
    }
}

/// Bytes of a TCP option (RFC 9293 section 3.2, RFC 7323, RFC 2018).
fn tcp_option(option: &toml::Value) -> usize {
    let name = match option {
        toml::Value::String(name) => name,
        table => table.as_table().unwrap().keys().next().unwrap(),
    };
    match name.as_str() {
        "nop" => 1,
        "sack_permitted" => 2,
        "window_scale" => 3,
        "mss" => 4,
        "timestamp" => 10,
        other => panic!("teach this test the option {other}"),
    }
}
