//! What the interfaces say of the frames, beside our own counts.

use std::{cmp::Reverse, fmt::Write as _};

use crate::{
    host::Counters,
    output::{
        numbers::{frames, grouped},
        together,
    },
    stats::PortCount,
};

/// So many ports have a line each, though there is nothing to say of them.
const LISTED: usize = 3;

/// What the interfaces say, of many ports only those that say something else than we do.
pub(super) fn interfaces(ports: &[PortCount]) -> String {
    let counted = ports.iter().filter_map(|port| Some((port, port.interface_count.as_ref()?)));
    let agrees = |(port, counters): &(&PortCount, &Counters)| {
        let same = (counters.tx_packets, counters.tx_dropped, counters.tx_errors)
            == (port.frames_tx, port.frames_dropped(), 0);
        same && !counters.nic.iter().any(|(name, count)| *count > 0 && is_loss(name))
    };
    let (agreeing, mut others): (Vec<_>, Vec<_>) = counted.partition(agrees);
    let mut text = String::new();
    if agreeing.len() > LISTED {
        let names: Vec<&str> = agreeing.iter().map(|(port, _)| port.name.as_str()).collect();
        let _ = writeln!(text, "{}: their interfaces counted the same", together::ports(&names));
    } else {
        others.splice(0..0, agreeing);
    }
    others.iter().for_each(|(port, counters)| text += &interface(port, counters));
    text
}

fn is_of_sending(counter: &str) -> bool {
    counter.contains("tx") || counter.contains("xmit")
}

/// Whether a NIC's own counter, of this name, is of frames that did not leave. Each driver has
/// names of its own; what it lost of what came in (`rx_dropped`) is not meant.
fn is_loss(counter: &str) -> bool {
    let name = counter.to_ascii_lowercase().replace("interrupt", "");
    let lost = ["drop", "discard", "err", "timeout"].iter().any(|part| name.contains(part));
    lost && (is_of_sending(&name) || !name.contains("rx"))
}

/// So many counters of a NIC are worth showing to people.
const NIC_COUNTERS: usize = 4;

/// What the interface says, and its NIC of what was sent.
fn interface(port: &PortCount, counters: &Counters) -> String {
    let Counters { tx_packets, tx_bytes: _, tx_dropped, tx_errors, nic, answers: _ } = counters;
    let mut text = format!(
        "port {}: its interface counted {} sent, {} dropped, {} in error",
        port.name,
        frames(*tx_packets),
        grouped(*tx_dropped),
        grouped(*tx_errors)
    );
    let told = |name: &str| (is_of_sending(name) && !name.contains("byte")) || is_loss(name);
    let mut counted =
        nic.iter().filter(|(name, count)| **count > 0 && told(name)).collect::<Vec<_>>();
    counted.sort_by_key(|(name, count)| Reverse((is_loss(name), **count)));
    for (index, (name, count)) in counted.iter().take(NIC_COUNTERS).enumerate() {
        let _ = write!(
            text,
            "{} {name} {}",
            if index == 0 { "; ethtool -S:" } else { "," },
            grouped(**count)
        );
    }
    let more = counted.len().saturating_sub(NIC_COUNTERS);
    let _ = if more > 0 { writeln!(text, ", … and {more} more") } else { writeln!(text) };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::text::tests::port;

    #[test]
    fn an_interface_that_lost_frames_is_not_among_many_that_agree() {
        let with = |counter: &str| {
            let one = |index: usize| {
                let nic = [
                    ("tx_queue_0_packets", 1000),
                    ("tx_1", 900),
                    ("tx_2", 800),
                    ("tx_3", 700),
                    (counter, 3),
                ];
                let nic = nic.iter().filter(|(name, _)| index == 4 || *name != counter);
                let nic = nic.map(|(name, count)| ((*name).to_owned(), *count)).collect();
                let counters = Counters { tx_packets: 1000, nic, ..Counters::default() };
                PortCount { name: format!("p{index}"), interface_count: Some(counters), ..port(1) }
            };
            interfaces(&(0..5).map(one).collect::<Vec<_>>())
        };
        for loss in [
            "tx_dropped.nic",
            "port.tx_errors",
            "tx_timeout",
            "tx_discards_phy",
            "carrier_errors",
            "ucast_xmit_err",
        ] {
            let text = with(loss);
            assert!(text.contains("ports p0, p1, p2 and 1 more: their"), "{text}");
            assert!(text.contains("port p4: its interface counted 1 000"), "{text}");
            assert!(text.contains(&format!("ethtool -S: {loss} 3, ")), "{text}");
        }
        for other in ["rx_dropped", "tx_interrupts", "tx_xdp_redirect"] {
            assert!(with(other).contains("ports p0, p1, p2 and 2 more: their"), "{other}");
        }
    }
}
