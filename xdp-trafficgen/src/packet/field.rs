//! What a field of a header is: where its bits are, what they mean to the packet, and what it has
//! where nobody sets it.

use std::{
    borrow::Cow,
    ops::{Deref, Range},
    sync::Arc,
};

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

/// A field that is set: tens of thousands of flows set the same ones.
#[derive(Clone, Debug)]
pub enum FieldRef {
    /// A field of a header's table.
    OfTable(&'static FieldDef),
    /// Bits that a user named.
    Bits(Arc<FieldDef>),
}

impl Deref for FieldRef {
    type Target = FieldDef;

    fn deref(&self) -> &FieldDef {
        match self {
            Self::OfTable(field) => field,
            Self::Bits(field) => field,
        }
    }
}

impl From<&'static FieldDef> for FieldRef {
    fn from(field: &'static FieldDef) -> Self {
        Self::OfTable(field)
    }
}

impl From<FieldDef> for FieldRef {
    fn from(field: FieldDef) -> Self {
        Self::Bits(Arc::new(field))
    }
}

/// What a field means for the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A value that nothing else depends on.
    Plain,
    /// Names the header behind this one.
    NextHeader,
    /// Names this header; its bits are those of the header before that name what is behind it.
    OwnNumber,
    /// Counts the bytes from this one of the header to the frame's end, in 16 bits.
    FrameLength { counted_from: usize },
    /// The length of the header itself in units of so many bytes; `less` of them are not counted.
    HeaderLength { unit: usize, less: usize },
    /// An Internet checksum (RFC 1071), in 16 bits.
    Checksum(Coverage),
    /// A flag that tells whether the header has the bytes of `part`. Fields that start in the bytes
    /// of `fields` are those it stands for; several flags may share a part.
    Presence { fields: Range<usize>, part: Range<usize> },
}

/// What a checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// The header, as far as its own length says.
    Header,
    /// The header and all behind it, as far as the lengths of the packet say.
    Message {
        /// The protocol in the pseudo header, where there is one.
        pseudo: Option<u8>,
        /// Whether a zero result is sent as 0xffff.
        zero_is_ones: bool,
    },
}

/// The value of a field that the user does not set and that its role does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldDefault {
    /// A constant. For [`Role::NextHeader`] it is used where the header behind has no number.
    Number(u128),
    /// The sender's MAC address.
    SourceMac,
    /// The MAC address of the next hop.
    DestinationMac,
    /// The source MAC address of the Ethernet header before.
    SenderMac,
    /// The sender's IP address.
    Source,
    /// Like `Source`, but only in a frame without an IP header the host's own.
    Sender,
    /// The IP address that the packet is sent to, or asks for.
    Destination,
}

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    Decimal,
    /// `0x0800`: the customary form of Ethernet types and checksums.
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

    /// The byte of its first bit, for a field that lies in its own header.
    pub(super) const fn byte(&self) -> usize {
        self.first_bit() / 8
    }

    /// Its first bit, for a field that lies in its own header.
    pub(super) const fn first_bit(&self) -> usize {
        self.bit_offset.unsigned_abs() as usize
    }

    /// The first bit behind it.
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

/// Builders for the tables of headers.
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
