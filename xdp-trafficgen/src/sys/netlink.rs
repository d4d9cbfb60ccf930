//! One request on a netlink socket, and its answers, without waiting: the kernel has answered when
//! the request returns.
//!
//! This needs no runtime, so it can be used inside of one.

use std::{
    io::{self, IoSliceMut},
    os::fd::AsRawFd as _,
};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnknownCmsg, recvmsg};

use rtnetlink::{
    packet_core::{
        NetlinkBuffer, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
    },
    sys::{Socket, SocketAddr},
};

/// A socket of the calling thread's network namespace, to talk to the kernel.
pub(crate) fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // A missing answer is a bug of ours: the socket returns an error at once instead of waiting for
    // it.
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// Sends a request.
pub(crate) fn send<R>(socket: &Socket, request: R, flags: u16) -> io::Result<()>
where
    R: NetlinkSerializable + Into<NetlinkPayload<R>>,
{
    let mut message = NetlinkMessage::from(request);
    message.header.flags = flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0).map(|_| ())
}

/// The answers of one message.
#[derive(Debug)]
pub(crate) struct Received<A> {
    pub(crate) answers: Vec<A>,
    /// Whether the list ended with these answers.
    pub(crate) ended: bool,
}

/// Receives the answers of one message.
pub(crate) fn receive<A: NetlinkDeserializable>(socket: &Socket) -> io::Result<Received<A>> {
    let (bytes, _) = socket.recv_from_full()?;
    parse(&bytes)
}

/// As [`receive`], with the network namespace that the answers are about: its number in the
/// socket's own namespace, or none for the socket's own namespace. Only for sockets that listen to
/// several namespaces (`NETLINK_LISTEN_ALL_NSID`).
pub(crate) fn receive_from<A: NetlinkDeserializable>(
    socket: &Socket,
) -> io::Result<(Option<i32>, Vec<A>)> {
    let length = socket.recv(&mut Vec::new(), libc::MSG_PEEK | libc::MSG_TRUNC)?;
    let (mut bytes, mut control) = (vec![0; length], nix::cmsg_space!(i32));
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let namespace = message.cmsgs()?.find_map(namespace);
    Ok((namespace, parse(&bytes)?.answers))
}

fn namespace(control: ControlMessageOwned) -> Option<i32> {
    let ControlMessageOwned::Unknown(UnknownCmsg { cmsg_header, data_bytes }) = control else {
        return None;
    };
    let tells = (cmsg_header.cmsg_level, cmsg_header.cmsg_type)
        == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID);
    data_bytes.first_chunk().filter(|_| tells).map(|number| i32::from_ne_bytes(*number))
}

/// The end of a list comes in the message of its last entries where there is room for it
/// (netlink_dump of net/netlink/af_netlink.c), and otherwise in a message of its own.
fn parse<A: NetlinkDeserializable>(bytes: &[u8]) -> io::Result<Received<A>> {
    let mut answers = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        match NetlinkMessage::deserialize(rest).map_err(io::Error::other)?.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            // The end of a list may carry the error that ended it.
            NetlinkPayload::Done(done) if done.code < 0 => {
                return Err(io::Error::from_raw_os_error(-done.code));
            }
            NetlinkPayload::Done(_) => return Ok(Received { answers, ended: true }),
            _ => return Err(unexpected()),
        }
        let length = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?.length() as usize;
        // Messages start at multiples of four bytes.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(Received { answers, ended: false })
}

pub(crate) fn unexpected() -> io::Error {
    io::Error::other("netlink: an unexpected answer")
}

#[cfg(test)]
mod tests {
    use netlink_packet_generic::GenlMessage;

    use super::*;
    use crate::sys::genetlink::Answer;

    /// `NLMSG_ERROR` and `NLMSG_DONE` of include/uapi/linux/netlink.h, and a number that a family
    /// might have.
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    const FAMILY: u16 = 30;

    /// A `struct nlmsghdr` (length, type, flags, sequence, port) and what follows it.
    fn message(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + content.len()).unwrap();
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], content].concat()
    }

    /// A `struct genlmsghdr` (command, version), and attribute 1 with this number.
    fn entry(number: u32) -> Vec<u8> {
        let length = 8u16.to_ne_bytes();
        message(
            FAMILY,
            &[&[10, 1, 0, 0], &length[..], &1u16.to_ne_bytes(), &number.to_ne_bytes()].concat(),
        )
    }

    fn done(code: i32) -> Vec<u8> {
        message(DONE, &code.to_ne_bytes())
    }

    #[test]
    fn a_list_ends_beside_its_last_entries_or_alone() {
        #[track_caller]
        fn check(messages: &[Vec<u8>], expected: &[u32], ended: bool) {
            let received = parse::<GenlMessage<Answer>>(&messages.concat()).unwrap();
            let numbers: Vec<u32> =
                received.answers.iter().filter_map(|answer| answer.payload.u32(1)).collect();
            assert_eq!((numbers.as_slice(), received.ended), (expected, ended));
        }
        check(&[entry(7)], &[7], false);
        check(&[entry(7), entry(8)], &[7, 8], false);
        check(&[entry(7), entry(8), done(0)], &[7, 8], true);
        check(&[done(0)], &[], true);
        // Kernels may leave the code out.
        check(&[entry(7), message(DONE, &[])], &[7], true);
    }

    #[test]
    fn what_a_list_ended_for_is_an_error() {
        #[track_caller]
        fn check(messages: &[Vec<u8>]) {
            let error = parse::<GenlMessage<Answer>>(&messages.concat()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(19), "{error}");
        }
        check(&[entry(7), done(-19)]);
        // The request's header comes back with it.
        check(&[message(ERROR, &[&(-19i32).to_ne_bytes()[..], &[0; 16]].concat())]);
    }
}
