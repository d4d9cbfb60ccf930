//! One request on a netlink socket, and its answers, without waiting: the kernel has answered when the request returns.
//!
//! For what [`Netlink`](super::Netlink) cannot do, because it has a runtime of its own and so cannot be used within another.

use std::io;

use rtnetlink::{
    packet_core::{NetlinkBuffer, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable},
    sys::{Socket, SocketAddr},
};

/// A socket of the calling thread's network namespace, to talk to the kernel.
pub(super) fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // An answer that is missing is a mistake of ours, not something to wait for.
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// Sends a request.
pub(super) fn send<R>(socket: &Socket, request: R, flags: u16) -> io::Result<()>
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

/// The answers that come together; none when a list has ended.
pub(super) fn receive<A: NetlinkDeserializable>(socket: &Socket) -> io::Result<Vec<A>> {
    let (bytes, _) = socket.recv_from_full()?;
    let mut answers = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match NetlinkMessage::deserialize(rest).map_err(io::Error::other)?.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            // A list may also end with the error that it ended for.
            NetlinkPayload::Done(done) if done.code < 0 => return Err(io::Error::from_raw_os_error(-done.code)),
            NetlinkPayload::Done(_) => break,
            _ => return Err(unasked()),
        }
        let length = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?.length() as usize;
        // Messages start at multiples of four bytes.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(answers)
}

pub(super) fn unasked() -> io::Error {
    io::Error::other("netlink: an answer to nothing that was asked")
}
