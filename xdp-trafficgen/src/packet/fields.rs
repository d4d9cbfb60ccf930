//! The field tables: one a header, in the order of the wire, under the names of the Open Traffic Generator model.
//!
//! Offsets are those of the header with all of its optional parts; `parts` says which of them can be absent.

use std::borrow::Cow;

use super::header::{FieldDef, FieldType};

const fn field(name: &'static str, bit_offset: i32, bits: u32, kind: FieldType) -> FieldDef {
    FieldDef { name: Cow::Borrowed(name), bit_offset, bits, kind }
}

const fn number(name: &'static str, bit_offset: i32, bits: u32) -> FieldDef {
    field(name, bit_offset, bits, FieldType::Number)
}

pub(super) static ETHERNET: &[FieldDef] =
    &[field("dst", 0, 48, FieldType::Mac), field("src", 48, 48, FieldType::Mac), number("ether_type", 96, 16)];

pub(super) static VLAN: &[FieldDef] = &[
    // The EtherType of the header before, which is what makes this a tag.
    number("tpid", -16, 16),
    number("priority", 0, 3),
    number("cfi", 3, 1),
    number("id", 4, 12),
    number("ether_type", 16, 16),
];

pub(super) static MPLS: &[FieldDef] = &[
    number("label", 0, 20),
    number("traffic_class", 20, 3),
    number("bottom_of_stack", 23, 1),
    number("time_to_live", 24, 8),
];

pub(super) static ARP: &[FieldDef] = &[
    number("hardware_type", 0, 16),
    number("protocol_type", 16, 16),
    number("hardware_length", 32, 8),
    number("protocol_length", 40, 8),
    number("operation", 48, 16),
    field("sender_hardware_addr", 64, 48, FieldType::Mac),
    field("sender_protocol_addr", 112, 32, FieldType::Ipv4),
    field("target_hardware_addr", 144, 48, FieldType::Mac),
    field("target_protocol_addr", 192, 32, FieldType::Ipv4),
];

pub(super) static IPV4: &[FieldDef] = &[
    number("version", 0, 4),
    number("header_length", 4, 4),
    number("dscp", 8, 6),
    number("ecn", 14, 2),
    number("total_length", 16, 16),
    number("identification", 32, 16),
    number("reserved", 48, 1),
    number("dont_fragment", 49, 1),
    number("more_fragments", 50, 1),
    number("fragment_offset", 51, 13),
    number("time_to_live", 64, 8),
    number("protocol", 72, 8),
    number("header_checksum", 80, 16),
    field("src", 96, 32, FieldType::Ipv4),
    field("dst", 128, 32, FieldType::Ipv4),
];

pub(super) static IPV6: &[FieldDef] = &[
    number("version", 0, 4),
    number("traffic_class", 4, 8),
    number("flow_label", 12, 20),
    number("payload_length", 32, 16),
    number("next_header", 48, 8),
    number("hop_limit", 56, 8),
    field("src", 64, 128, FieldType::Ipv6),
    field("dst", 192, 128, FieldType::Ipv6),
];

pub(super) static IPV6_OPTIONS: &[FieldDef] = &[number("next_header", 0, 8), number("length", 8, 8)];

pub(super) static IPV6_ROUTING: &[FieldDef] = &[
    number("next_header", 0, 8),
    number("length", 8, 8),
    number("routing_type", 16, 8),
    number("segments_left", 24, 8),
];

pub(super) static IPV6_FRAGMENT: &[FieldDef] = &[
    number("next_header", 0, 8),
    number("reserved", 8, 8),
    number("fragment_offset", 16, 13),
    number("reserved2", 29, 2),
    number("more_fragments", 31, 1),
    number("identification", 32, 32),
];

pub(super) static UDP: &[FieldDef] =
    &[number("src_port", 0, 16), number("dst_port", 16, 16), number("length", 32, 16), number("checksum", 48, 16)];

pub(super) static TCP: &[FieldDef] = &[
    number("src_port", 0, 16),
    number("dst_port", 16, 16),
    number("seq_num", 32, 32),
    number("ack_num", 64, 32),
    number("data_offset", 96, 4),
    number("reserved", 100, 3),
    number("ecn_ns", 103, 1),
    number("ecn_cwr", 104, 1),
    number("ecn_echo", 105, 1),
    number("ctl_urg", 106, 1),
    number("ctl_ack", 107, 1),
    number("ctl_psh", 108, 1),
    number("ctl_rst", 109, 1),
    number("ctl_syn", 110, 1),
    number("ctl_fin", 111, 1),
    number("window", 112, 16),
    number("checksum", 128, 16),
    number("urgent_pointer", 144, 16),
];

/// ICMP and ICMPv6: the echo messages' layout, whatever the type.
pub(super) static ICMP: &[FieldDef] = &[
    number("type", 0, 8),
    number("code", 8, 8),
    number("checksum", 16, 16),
    number("identifier", 32, 16),
    number("sequence_number", 48, 16),
];

/// RFC 2784 with the key and sequence number of RFC 2890.
pub(super) static GRE: &[FieldDef] = &[
    number("checksum_present", 0, 1),
    number("reserved", 1, 1),
    number("key_present", 2, 1),
    number("sequence_present", 3, 1),
    number("reserved0", 4, 9),
    number("version", 13, 3),
    number("protocol", 16, 16),
    number("checksum", 32, 16),
    number("reserved1", 48, 16),
    number("key", 64, 32),
    number("sequence_number", 96, 32),
];

pub(super) static VXLAN: &[FieldDef] =
    &[number("flags", 0, 8), number("reserved0", 8, 24), number("vni", 32, 24), number("reserved1", 56, 8)];

pub(super) static GTPV1: &[FieldDef] = &[
    number("version", 0, 3),
    number("protocol_type", 3, 1),
    number("reserved", 4, 1),
    number("e_flag", 5, 1),
    number("s_flag", 6, 1),
    number("pn_flag", 7, 1),
    number("message_type", 8, 8),
    number("message_length", 16, 16),
    number("teid", 32, 32),
    number("sequence_number", 64, 16),
    number("n_pdu_number", 80, 8),
    number("next_extension_header_type", 88, 8),
];
