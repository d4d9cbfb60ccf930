//! An interface in another network namespace, as far as rtnetlink tells of it from here, and the
//! name that `ip netns` has for its namespace.
//!
//! Since Linux 4.15 the kernel answers if this process may administer that namespace (CAP_NET_ADMIN
//! of its user namespace). Drivers are not asked: `ethtool` only sees the namespace of its own
//! socket.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
};

use rtnetlink::{
    packet_core::{DefaultNla, NLM_F_REQUEST},
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkMessage},
        nsid::{NsidAttribute, NsidMessage},
    },
    sys::{Socket, protocols::NETLINK_ROUTE},
};

use crate::sys::netlink::{self, receive, send, unexpected};

/// Of include/uapi/linux/if_link.h: the namespace that the request is about, by its number in this
/// one.
const IFLA_TARGET_NETNSID: u16 = 46;
/// The directory where `ip netns` keeps a file per namespace that has a name.
const NAMED: &str = "/run/netns";

/// rtnetlink's description of the interface with this index in the namespace that has this number
/// here; none where this process may not look.
pub(super) fn link(namespace: i32, index: u32) -> Option<LinkMessage> {
    let socket = netlink::open(NETLINK_ROUTE).ok()?;
    let mut wanted = LinkMessage::default();
    wanted.header.index = index;
    let target = DefaultNla::new(IFLA_TARGET_NETNSID, namespace.to_ne_bytes().to_vec());
    wanted.attributes.push(LinkAttribute::Other(target));
    match ask(&socket, RouteNetlinkMessage::GetLink(wanted)).ok()? {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    }
}

/// The name that `ip netns` has for the namespace with this number here; none when it has none, as
/// for containers.
pub(super) fn name(namespace: i32) -> Option<String> {
    let socket = netlink::open(NETLINK_ROUTE).ok()?;
    let mut names: Vec<_> =
        fs::read_dir(NAMED).ok()?.flatten().map(|entry| entry.file_name()).collect();
    names.sort_unstable();
    let known_by = |name: &std::ffi::OsString| {
        // The kernel refuses files whose namespace is gone.
        let file = File::open(std::path::Path::new(NAMED).join(name)).ok()?;
        let mut wanted = NsidMessage::default();
        wanted.attributes.push(NsidAttribute::Fd(file.as_raw_fd().cast_unsigned()));
        let RouteNetlinkMessage::NewNsId(answer) =
            ask(&socket, RouteNetlinkMessage::GetNsId(wanted)).ok()?
        else {
            return None;
        };
        answer.attributes.contains(&NsidAttribute::Id(namespace)).then_some(())
    };
    names.into_iter().find(|name| known_by(name).is_some())?.into_string().ok()
}

fn ask(socket: &Socket, request: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
    send(socket, request, NLM_F_REQUEST)?;
    receive(socket)?.answers.into_iter().next().ok_or_else(unexpected)
}
