//! `tcp-syn`: what a host sends first.

use etherparse::TcpHeader;

use super::{HeaderLength, header, range};
use crate::{
    cli,
    config::{Config, Diagnostics, Located, Pattern},
    packet::HeaderKind,
};

/// That of Linux for an MTU of 1500 bytes.
const WINDOW: u128 = 64_240;
/// Maximum segment size: kind 2, 4 bytes, 1460 (RFC 9293 section 3.2).
const MSS: [u8; 4] = [2, 4, 0x05, 0xb4];

/// The configuration the options stand for.
pub(in crate::commands) fn config(options: &cli::TcpSyn) -> Result<Config, Diagnostics> {
    let cli::TcpSyn { quick, dst_port, src_port } = options;
    let fields = [
        ("src_port", "--src-port", Some(range(*src_port))),
        ("dst_port", "--dst-port", Some(range(*dst_port))),
        ("ctl_syn", "tcp-syn", Some(Pattern::Value(1))),
        ("window", "tcp-syn", Some(Pattern::Value(WINDOW))),
    ];
    let mut header = header(HeaderKind::Tcp, fields);
    header.options = Located::default(MSS.to_vec());
    super::config(quick, "tcp-syn", |_| HeaderLength {
        header,
        len: TcpHeader::MIN_LEN + MSS.len(),
    })
}
