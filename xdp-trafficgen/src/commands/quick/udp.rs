//! `udp`.

use etherparse::UdpHeader;

use super::{HeaderLength, header, range};
use crate::{
    cli,
    config::{Config, Diagnostics},
    packet::HeaderKind,
};

/// The configuration the options stand for.
pub(in crate::commands) fn config(options: &cli::Udp) -> Result<Config, Diagnostics> {
    let cli::Udp { quick, dst_port, src_port } = options;
    let fields = [
        ("src_port", "--src-port", Some(range(*src_port))),
        ("dst_port", "--dst-port", Some(range(*dst_port))),
    ];
    super::config(quick, "udp", |_| HeaderLength {
        header: header(HeaderKind::Udp, fields),
        len: UdpHeader::LEN,
    })
}
