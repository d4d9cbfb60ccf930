//! `icmp`: echo requests.

use etherparse::{Icmpv4Header, icmpv4, icmpv6};

use super::{HeaderLength, header};
use crate::{
    cli,
    config::{Config, Diagnostics, Pattern, pattern::Count},
    packet::HeaderKind,
};

/// The configuration the options stand for.
pub(in crate::commands) fn config(options: &cli::Icmp) -> Result<Config, Diagnostics> {
    let cli::Icmp { quick, identifier } = options;
    super::config(quick, "icmp", |ip| {
        let is_icmpv6 = HeaderKind::Icmpv6.follows().any(|below| below == ip);
        let (kind, echo_request) = if is_icmpv6 {
            (HeaderKind::Icmpv6, icmpv6::TYPE_ECHO_REQUEST)
        } else {
            (HeaderKind::Icmp, icmpv4::TYPE_ECHO_REQUEST)
        };
        let sequence = Pattern::Increment(Count { start: 0, step: 1, count: 1 << 16 });
        let fields = [
            ("type", "icmp", Some(Pattern::Value(echo_request.into()))),
            ("code", "icmp", Some(Pattern::Value(0))),
            ("identifier", "--identifier", Some(Pattern::Value((*identifier).into()))),
            ("sequence_number", "icmp", Some(sequence)),
        ];
        // As long in both.
        HeaderLength { header: header(kind, fields), len: Icmpv4Header::MIN_LEN }
    })
}
