//! Generic netlink: finds a family, sends it requests, and returns the attributes of its answers.
//! Synchronous, so it can be used inside and outside of a runtime.

use std::{io, marker::PhantomData};

use netlink_packet_generic::{
    GenlFamily, GenlHeader, GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use rtnetlink::{
    packet_core::{
        DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NLM_F_DUMP, NLM_F_REQUEST, NlaBuffer,
        NlasIterator, ParseableParametrized,
    },
    sys::{Socket, protocols::NETLINK_GENERIC},
};

use crate::sys::netlink::{self, Received, receive, send, unexpected};

/// A family of generic netlink. Name and version are in the family's header in include/uapi/linux.
pub(crate) trait Family {
    const NAME: &'static str;
    const VERSION: u8;
}

/// A socket to one family, in the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Connection<F> {
    socket: Socket,
    /// The number the kernel gave the family.
    family: u16,
    _family: PhantomData<F>,
}

impl<F: Family + std::fmt::Debug> Connection<F> {
    /// None where the kernel has no such family.
    pub(crate) fn open() -> Option<Self> {
        let socket = netlink::open(NETLINK_GENERIC).ok()?;
        let request = GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(F::NAME.to_owned())],
        };
        send(&socket, GenlMessage::from_payload(request), NLM_F_REQUEST).ok()?;
        let answer: GenlMessage<GenlCtrl> = receive(&socket).ok()?.answers.into_iter().next()?;
        let family = answer.payload.nlas.iter().find_map(|attribute| match attribute {
            GenlCtrlAttrs::FamilyId(family) => Some(*family),
            _ => None,
        })?;
        Some(Self { socket, family, _family: PhantomData })
    }

    /// Sends a request that has one answer.
    pub(crate) fn ask(&self, command: u8, attributes: Vec<DefaultNla>) -> io::Result<Answer> {
        self.send(command, attributes, NLM_F_REQUEST)?;
        let Received { answers, .. } = receive::<GenlMessage<Answer>>(&self.socket)?;
        answers.into_iter().next().map(|answer| answer.payload).ok_or_else(unexpected)
    }

    /// Sends a request whose answer is a list.
    pub(crate) fn list(&self, command: u8, attributes: Vec<DefaultNla>) -> io::Result<Vec<Answer>> {
        self.send(command, attributes, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut entries = Vec::new();
        loop {
            // The kernel sends a long list in several messages, the next one when the one before it
            // was received.
            let Received { answers, ended } = receive::<GenlMessage<Answer>>(&self.socket)?;
            entries.extend(answers.into_iter().map(|answer| answer.payload));
            if ended {
                return Ok(entries);
            }
        }
    }

    fn send(&self, command: u8, attributes: Vec<DefaultNla>, flags: u16) -> io::Result<()> {
        let request = Request::<F> { command, attributes, _family: PhantomData };
        let mut request = GenlMessage::from_payload(request);
        request.set_resolved_family_id(self.family);
        send(&self.socket, request, flags)
    }
}

/// An attribute with a number as its value.
pub(crate) fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

/// An attribute with attributes as its value.
pub(crate) fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    DefaultNla::new(kind | NLA_F_NESTED, bytes)
}

/// A command of a family, with its attributes.
#[derive(Debug)]
struct Request<F> {
    command: u8,
    attributes: Vec<DefaultNla>,
    _family: PhantomData<F>,
}

impl<F: Family> GenlFamily for Request<F> {
    fn family_name() -> &'static str {
        F::NAME
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        F::VERSION
    }
}

impl<F> Emitable for Request<F> {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

/// Attributes by kind.
#[derive(Debug)]
pub(crate) struct Answer(Vec<(u16, Vec<u8>)>);

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let attribute = |attribute: Result<NlaBuffer<&[u8]>, DecodeError>| {
            attribute.map(|attribute| (attribute.kind(), attribute.value().to_vec()))
        };
        NlasIterator::new(bytes).map(attribute).collect::<Result<_, _>>().map(Self)
    }

    /// The number in the attribute of this kind; none where there is no such attribute.
    pub(crate) fn u32(&self, kind: u16) -> Option<u32> {
        self.bytes(kind).map(u32::from_ne_bytes)
    }

    /// As [`Self::u32`].
    pub(crate) fn u64(&self, kind: u16) -> Option<u64> {
        self.bytes(kind).map(u64::from_ne_bytes)
    }

    fn bytes<const N: usize>(&self, wanted: u16) -> Option<[u8; N]> {
        self.0
            .iter()
            .find(|(kind, _)| *kind == wanted)
            .and_then(|(_, value)| value.as_slice().try_into().ok())
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Answer {
    fn parse_with_param(bytes: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        Self::parse(bytes)
    }
}
