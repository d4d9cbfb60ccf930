//! What is measured, as configurations: each case is what a user could have written.

use std::time::Duration;

use crate::cli::BenchCase;

/// When the flows of a case end, and the batches they are sent in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) duration: Duration,
    /// Of each flow.
    pub(super) packets: Option<u64>,
    /// Frames; the default when none.
    pub(super) batch_size: Option<u32>,
}

impl Limits {
    /// An end by time alone.
    pub(super) const fn of(duration: Duration) -> Self {
        Self { duration, packets: None, batch_size: None }
    }
}

/// The flows of a case. `{interface}` is sent out of, the destination MAC address is the
/// receiver's.
pub(super) fn toml(
    case: BenchCase,
    interface: &str,
    receiver: &str,
    cpus: &[u32],
    Limits { duration, packets, batch_size }: Limits,
) -> String {
    let cpus = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let line = |key: &str, value: Option<u64>| {
        value.map_or_else(String::new, |value| format!("{key} = {value}\n"))
    };
    let mut text = format!(
        "[[ports]]\nname = 'p'\ninterface = '{interface}'\ncpus = '{cpus}'\n{}{}",
        line("batch_size", batch_size.map(u64::from)),
        port(case)
    );
    for (number, flow) in flows(case, receiver).into_iter().enumerate() {
        text += &format!(
            "[[flows]]\nname = 'f{number}'\nport = 'p'\nduration = '{}'\n{}{flow}\n",
            humantime::format_duration(duration),
            line("packets", packets),
        );
    }
    text
}

/// How many flows a case has.
pub(super) fn flow_count(case: BenchCase) -> usize {
    flows(case, "02:00:00:00:00:02").len()
}

/// Flows with a rate of their own that can be kept: how many, and frames a second of each.
const fn paced(case: BenchCase) -> Option<(u32, u32)> {
    match case {
        BenchCase::ThousandFlowsPaced => Some((1000, 2000)),
        BenchCase::TwentyThousandFlowsPaced => Some((20_000, 50)),
        BenchCase::SixtyThousandFlowsPaced => Some((60_000, 10)),
        BenchCase::SixtyThousandFlowsSlow => Some((60_000, 1)),
        _ => None,
    }
}

/// Frames that a case with such flows has to send in a time.
pub(super) fn due(case: BenchCase, time: Duration) -> Option<f64> {
    let (flows, rate) = paced(case)?;
    Some(f64::from(flows) * f64::from(rate) * time.as_secs_f64())
}

/// Rates that are never reached and nobody minds, or what counts as late.
fn port(case: BenchCase) -> &'static str {
    match case {
        BenchCase::OneFlowPaced => {
            "rate = '1Tpps'\nlate_threshold = '100 days'\nbehind = { catch_up = '100 days' }\n"
        }
        BenchCase::SixtyFourFlowsPaced => {
            "late_threshold = '100 days'\nbehind = { catch_up = '100 days' }\n"
        }
        BenchCase::ThousandFlowsPaced => "late_threshold = '1us'\n",
        BenchCase::TwentyThousandFlowsPaced
        | BenchCase::SixtyThousandFlowsPaced
        | BenchCase::SixtyThousandFlowsSlow => "late_threshold = '10us'\n",
        _ => "",
    }
}

fn flows(case: BenchCase, receiver: &str) -> Vec<String> {
    // Numbers of values whose least common multiple is beyond what can be recorded.
    let long = ["1000", "999", "998", "997", "996", "995", "994", "993"];
    match case {
        BenchCase::Floor | BenchCase::PortRange => {
            vec![udp(receiver, "", &format!("dst_port = {}", counting("1024", "1000")))]
        }
        BenchCase::LongPortRange => {
            vec![udp(receiver, "", &format!("dst_port = {}", counting("1024", "64000")))]
        }
        BenchCase::FourFields => vec![four(receiver, |_, start| counting(start, "1000"))],
        BenchCase::FourFieldsLong => {
            vec![four(receiver, |index, start| counting(start, long[index]))]
        }
        BenchCase::FourFieldsRandom => vec![four(receiver, |_, start| random(start))],
        BenchCase::EightFields => vec![eight(receiver, |_, start| counting(start, "200"))],
        // Shorter ones, for the MAC addresses and the DSCP too.
        BenchCase::EightFieldsLong => {
            let counts = ["250", "249", "248", "247", "246", "245", "244", "64"];
            vec![eight(receiver, |index, start| counting(start, counts[index]))]
        }
        BenchCase::Vxlan => vec![vxlan(receiver, |_, start| counting(start, "500"))],
        BenchCase::VxlanLong => vec![vxlan(receiver, |index, start| counting(start, long[index]))],
        BenchCase::Imix => vec![format!("size = {SIMPLE_IMIX}\n{}", udp(receiver, "", ""))],
        BenchCase::ImixLong => {
            let ports = format!("dst_port = {}", counting("1024", "64000"));
            vec![format!("size = {SIMPLE_IMIX}\n{}", udp(receiver, "", &ports))]
        }
        BenchCase::OneFlow | BenchCase::OneFlowPaced => many(receiver, 1, ""),
        BenchCase::SixtyFourFlows => many(receiver, 64, ""),
        BenchCase::SixtyFourFlowsPaced => many(receiver, 64, "")
            .into_iter()
            .map(|flow| format!("rate = '1Tpps'\n{flow}"))
            .collect(),
        BenchCase::ManyFlows => many(receiver, 4096, ""),
        BenchCase::OneFlowLong => many(receiver, 1, LONG_PORTS),
        BenchCase::SixtyFourFlowsLong => many(receiver, 64, LONG_PORTS),
        BenchCase::ManyFlowsLong => many(receiver, 4096, LONG_PORTS),
        BenchCase::ThousandFlowsPaced
        | BenchCase::TwentyThousandFlowsPaced
        | BenchCase::SixtyThousandFlowsPaced
        | BenchCase::SixtyThousandFlowsSlow => {
            let (count, rate) = paced(case).unwrap_or_default();
            let own_rate = |flow| format!("rate = '{rate}pps'\n{flow}");
            many(receiver, count, "").into_iter().map(own_rate).collect()
        }
        BenchCase::SixtyFourShapesLong => (0..64).map(|number| shape(receiver, number)).collect(),
        BenchCase::TwoShapes => {
            let plain = udp(receiver, "", LONG_PORTS);
            vec![plain.clone(), plain.replace("{ ipv4", "{ vlan = { id = 1 } }, { ipv4")]
        }
    }
}

/// The mix of the Open Traffic Generator model and of most testers.
const SIMPLE_IMIX: &str = "{ weighted = [{ size = 64, weight = 7 }, { size = 570, weight = 4 }, { size = 1518, weight = 1 }] }";

const LONG_PORTS: &str = "src_port = { increment = { start = 1024, count = 60000 } }, ";

fn udp(receiver: &str, ip: &str, udp: &str) -> String {
    format!(
        "packet = [{{ ethernet = {{ dst = '{receiver}' }} }}, {{ ipv4 = {{ {ip} }} }}, {{ udp = {{ {udp} }} }}]"
    )
}

fn four(receiver: &str, pattern: impl Fn(usize, &str) -> String) -> String {
    let ip = format!("src = {}, dst = {}", pattern(0, "'10.0.0.1'"), pattern(1, "'10.1.0.1'"));
    udp(
        receiver,
        &ip,
        &format!("src_port = {}, dst_port = {}", pattern(2, "1024"), pattern(3, "1024")),
    )
}

fn eight(receiver: &str, pattern: impl Fn(usize, &str) -> String) -> String {
    format!(
        "packet = [{{ ethernet = {{ dst = '{receiver}', src = {} }} }}, {{ vlan = {{ id = {} }} }}, \
         {{ ipv4 = {{ src = {}, dst = {}, identification = {}, time_to_live = {} }} }}, \
         {{ udp = {{ src_port = {}, dst_port = {} }} }}]",
        pattern(0, "'02:00:00:00:01:00'"),
        pattern(1, "1"),
        pattern(2, "'10.0.0.1'"),
        pattern(3, "'10.1.0.1'"),
        pattern(4, "0"),
        pattern(7, "1"),
        pattern(5, "1024"),
        pattern(6, "1024"),
    )
}

/// The outer source port, the VNI, inner addresses and ports.
fn vxlan(receiver: &str, pattern: impl Fn(usize, &str) -> String) -> String {
    format!(
        "size = 128\npacket = [{{ ethernet = {{ dst = '{receiver}' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{ src_port = {} }} }}, \
         {{ vxlan = {{ vni = {} }} }}, {{ ethernet = {{}} }}, {{ ipv4 = {{ src = {}, dst = {} }} }}, \
         {{ udp = {{ src_port = {}, dst_port = {} }} }}]",
        pattern(0, "49152"),
        pattern(1, "1"),
        pattern(2, "'10.0.0.1'"),
        pattern(3, "'10.1.0.1'"),
        pattern(4, "1024"),
        pattern(5, "1024"),
    )
}

/// So many flows, each with addresses and a port of its own.
fn many(receiver: &str, count: u32, source_port: &str) -> Vec<String> {
    (0..count)
        .map(|number| {
            let [_, _, high, low] = number.to_be_bytes();
            let ip = format!("src = '10.0.{high}.{low}', dst = '10.1.{high}.{low}'");
            udp(receiver, &ip, &format!("{source_port}dst_port = {}", 1024 + number))
        })
        .collect()
}

/// One of 64 flows of 60 000 frames each whose headers or varying fields no other has: bits of the
/// number say which VLAN tags it has, whether it is IPv4 or IPv6 and UDP or TCP, and what varies
/// beside the source port.
fn shape(receiver: &str, number: u32) -> String {
    let has = |bit: u32| number & 1 << bit != 0;
    let tags = match number & 3 {
        0 => "",
        1 => "{ vlan = { id = 1 } }, ",
        2 => "{ vlan = { id = 1 } }, { vlan = { id = 2 } }, ",
        _ => "{ vlan = { id = { increment = { start = 1, count = 100 } } } }, ",
    };
    let source = |start, count| {
        if has(4) { format!("src = {}", counting(start, count)) } else { String::new() }
    };
    let ip = if has(2) {
        format!("{{ ipv6 = {{ {} }} }}", source("'2001:db8::1'", "250"))
    } else {
        format!("{{ ipv4 = {{ {} }} }}", source("'10.0.0.1'", "250"))
    };
    let l4 = if has(3) { "tcp" } else { "udp" };
    let destination = if has(5) { counting("2048", "1000") } else { "2048".to_owned() };
    format!(
        "size = 90\npacket = [{{ ethernet = {{ dst = '{receiver}' }} }}, {tags}{ip}, {{ {l4} = {{ {LONG_PORTS}dst_port = {destination} }} }}]"
    )
}

fn counting(start: &str, count: &str) -> String {
    format!("{{ increment = {{ start = {start}, count = {count} }} }}")
}

/// Out of a thousand values.
fn random(start: &str) -> String {
    let max = match start {
        "'10.0.0.1'" => "'10.0.3.232'",
        "'10.1.0.1'" => "'10.1.3.232'",
        _ => "2023",
    };
    format!("{{ random = {{ min = {start}, max = {max} }} }}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum as _;

    use super::*;
    use crate::config::{Source, file};

    const RECEIVER: &str = "02:00:00:00:00:02";

    #[test]
    fn cases_are_configurations() {
        for &case in BenchCase::value_variants() {
            // Those with more flows differ in numbers alone.
            if paced(case).is_some_and(|(flows, _)| flows > 1000) {
                continue;
            }
            let limits = Limits {
                duration: Duration::from_millis(500),
                packets: Some(1_000_000),
                batch_size: Some(32),
            };
            let text = toml(case, "xtg0", RECEIVER, &[0, 1], limits);
            let config = file::parse(Source::file("bench", &text));
            let config = config.unwrap_or_else(|errors| panic!("{case:?}: {errors}"));
            assert_eq!(config.flows.len(), flow_count(case), "{case:?}");
        }
    }

    #[test]
    fn no_two_shapes_are_the_same() {
        let shapes: BTreeSet<String> =
            flows(BenchCase::SixtyFourShapesLong, RECEIVER).into_iter().collect();
        assert_eq!(shapes.len(), 64);
    }

    #[test]
    fn what_is_due_is_flows_by_rate_by_time() {
        let due = due(BenchCase::TwentyThousandFlowsPaced, Duration::from_millis(500));
        assert_eq!(due, Some(500_000.0));
        assert_eq!(super::due(BenchCase::Imix, Duration::from_secs(1)), None);
    }
}
