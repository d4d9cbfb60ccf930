//! What a field of a header is: where its bits are, what they mean to the packet, and what it has
//! where nobody sets it.

use std::{borrow::Cow, ops::Range};

/// How a field's values are written by users, and shown to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `02:00:00:00:00:01`
    Mac,
    /// `192.0.2.1`
    Ipv4,
    /// `2001:db8::1`
    Ipv6,
    /// A number, decimal or `0x` hexadecimal.
    Number,
}

/// A field of a header: one of the header's table, or bits at any offset that a user named.
///
/// Anything that is not in the header's table ([`HeaderKind::fields`](super::HeaderKind::fields))
/// is bits: their offset is taken as it is, from where the header starts in the frame. A field of
/// the table moves up when optional parts before it are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDef {
    /// As users write it.
    pub name: Cow<'static, str>,
    /// Bits from the header's start to the field's first (most significant) bit, where the header
    /// has all of its optional parts. Negative for a field that lies in the header before (the
    /// `tpid` of a VLAN tag).
    pub bit_offset: i32,
    /// 1 to 128.
    pub bits: u32,
    /// How its values are written.
    pub kind: FieldType,
    pub(crate) role: Role,
    pub(crate) default: FieldDefault,
    pub(crate) notation: Notation,
}

/// What a field says of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing that the packet model looks at.
    Plain,
    /// Which header is behind this one.
    NextHeader,
    /// Which header this one is: bits of the header before, which it says in its own way.
    OwnNumber,
    /// The number of bytes to the frame's end, in 16 bits, counted from this byte of the header.
    FrameLength { counted_from: usize },
    /// The length of the header itself: units of so many bytes, of which `less` are not counted.
    HeaderLength { unit: usize, less: usize },
    /// The Internet checksum (RFC 1071) of this, in 16 bits.
    Checksum(Coverage),
    /// A flag: whether the header has the bytes of `part`, where the fields that start in the bytes
    /// of `fields` are. Several flags may share a part.
    Presence { fields: Range<usize>, part: Range<usize> },
}

/// What a checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// The header, up to where its length says that it ends.
    Header,
    /// The header and what is behind it, up to where the lengths say that the packet ends.
    Message {
        /// The protocol in the pseudo header, where there is one.
        pseudo: Option<u8>,
        /// Whether a zero result is sent as 0xffff.
        zero_is_ones: bool,
    },
}

/// What a field has that nobody sets, unless its role decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldDefault {
    /// Always the same. Of [`Role::NextHeader`]: where nothing is behind that has a number.
    Number(u128),
    /// The MAC address of whoever sends the frame.
    SourceMac,
    /// The MAC address of the next hop.
    DestinationMac,
    /// The source MAC address of the frame's innermost Ethernet header so far.
    SenderMac,
    /// The IP address of whoever sends the packet.
    Source,
    /// Like `Source`, unless the frame has an IP header.
    Sender,
    /// The IP address the packet goes to, or asks for.
    Destination,
}

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    Decimal,
    /// As everyone writes Ethernet types and checksums.
    Hexadecimal,
}

impl FieldDef {
    const fn new(name: Cow<'static, str>, bit_offset: i32, bits: u32, kind: FieldType) -> Self {
        let (role, default) = (Role::Plain, FieldDefault::Number(0));
        Self { name, bit_offset, bits, kind, role, default, notation: Notation::Decimal }
    }

    /// Bits at any offset.
    pub const fn bits(name: Cow<'static, str>, bit_offset: i32, bits: u32) -> Self {
        Self::new(name, bit_offset, bits, FieldType::Number)
    }

    /// The largest value that fits.
    pub const fn max(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// The byte of the header that its first bit is in; of a field that lies in its own header.
    pub(super) const fn byte(&self) -> usize {
        self.first_bit() / 8
    }

    /// Its first bit in the header; of a field that lies in its own header.
    pub(super) const fn first_bit(&self) -> usize {
        self.bit_offset.unsigned_abs() as usize
    }

    /// The bit of the header behind its last.
    pub(super) const fn end_bit(&self) -> i32 {
        self.bit_offset + self.bits.cast_signed()
    }
}

/// A number.
pub(super) const fn number(name: &'static str, bit_offset: i32, bits: u32) -> FieldDef {
    FieldDef::bits(Cow::Borrowed(name), bit_offset, bits)
}

/// A MAC address.
pub(super) const fn mac(name: &'static str, bit_offset: i32) -> FieldDef {
    FieldDef::new(Cow::Borrowed(name), bit_offset, 48, FieldType::Mac)
}

/// An IPv4 address.
pub(super) const fn ipv4(name: &'static str, bit_offset: i32) -> FieldDef {
    FieldDef::new(Cow::Borrowed(name), bit_offset, 32, FieldType::Ipv4)
}

/// An IPv6 address.
pub(super) const fn ipv6(name: &'static str, bit_offset: i32) -> FieldDef {
    FieldDef::new(Cow::Borrowed(name), bit_offset, 128, FieldType::Ipv6)
}

/// The tables of headers are written with these.
impl FieldDef {
    const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(super) const fn hex(mut self) -> Self {
        self.notation = Notation::Hexadecimal;
        self
    }

    pub(super) const fn default(mut self, number: u128) -> Self {
        self.default = FieldDefault::Number(number);
        self
    }

    pub(super) const fn from(mut self, default: FieldDefault) -> Self {
        self.default = default;
        self
    }

    /// [`Role::NextHeader`]; `unnamed` is for a next header without a number, or none.
    pub(super) const fn next_header(self, unnamed: u128) -> Self {
        self.role(Role::NextHeader).default(unnamed)
    }

    pub(super) const fn own_number(self) -> Self {
        self.role(Role::OwnNumber)
    }

    pub(super) const fn frame_length(self, counted_from: usize) -> Self {
        self.role(Role::FrameLength { counted_from })
    }

    pub(super) const fn header_length(self, unit: usize, less: usize) -> Self {
        self.role(Role::HeaderLength { unit, less })
    }

    pub(super) const fn checksum(self, coverage: Coverage) -> Self {
        self.role(Role::Checksum(coverage)).hex()
    }

    pub(super) const fn presence(self, fields: Range<usize>, part: Range<usize>) -> Self {
        self.role(Role::Presence { fields, part })
    }
}
