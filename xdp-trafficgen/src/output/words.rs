//! A flow's sizes, patterns and rates in words.

use humantime::format_duration;

use crate::{
    config::{
        Advance, FieldSetting, Flow, Located, Pattern, Profile, RateUnit, Size, literal::show_value,
    },
    output::numbers::{self, grouped},
    plan::Pacing,
    units::Pps,
};

/// Values of a list that are named; a longer one is cut short.
const NAMED: usize = 8;

/// How many bytes frames have on the wire: `128 bytes`, `64 to 1518 bytes at random, seed 7`.
pub fn size(size: &Size) -> String {
    match size {
        Size::Fixed(size) => format!("{size} bytes"),
        &Size::Increment { start, end, step: 1 } => format!("{start} to {end} bytes"),
        Size::Increment { start, step, .. } => {
            format!("{start} to {} bytes in steps of {step}", size.largest())
        }
        Size::Random { min, max, seed } => {
            format!("{min} to {max} bytes at random{}", seeded(*seed))
        }
        Size::Weighted(sizes) => {
            let shares = sizes.iter().map(|size| format!("{} × {}", size.weight, size.size));
            format!("{} bytes", shares.collect::<Vec<_>>().join(", "))
        }
        Size::Sequence(sizes) => {
            format!("{} bytes", list(sizes.len(), |index| sizes[index].to_string()))
        }
    }
}

/// What a header is called in paths: `udp`, or `ipv4[1]` for the second of several, outer to inner.
pub fn header(flow: &Flow, index: usize) -> String {
    let kind = flow.packet[index].kind.value;
    let same = || flow.packet.iter().enumerate().filter(|(_, header)| header.kind.value == kind);
    if same().count() == 1 {
        return kind.name().to_owned();
    }
    format!("{}[{}]", kind.name(), same().take_while(|&(other, _)| other != index).count())
}

/// How a field varies from frame to frame; empty when it does not.
pub fn varies(flow: &Flow, setting: &FieldSetting) -> String {
    let FieldSetting { field, pattern, follow } = setting;
    let show = |value| show_value(field, value);
    let mut text = match &pattern.value {
        Pattern::Value(_) => return String::new(),
        Pattern::Values(values) => {
            format!("values: {}", list(values.len(), |index| show(values[index].value)))
        }
        Pattern::Increment(count) => {
            counted(count.count, |index| show(count.start + count.step * index))
        }
        Pattern::Decrement(count) => {
            counted(count.count, |index| show(count.start - count.step * index))
        }
        Pattern::Random { min, max, seed, count } => {
            let again =
                count.map(|count| format!(", the same again after {} values", grouped(count)));
            format!(
                "random {} to {}{}{}",
                show(*min),
                show(*max),
                seeded(*seed),
                again.unwrap_or_default()
            )
        }
    };
    if let Some(follow) = follow {
        let leader = &flow.packet[follow.value.header].fields[follow.value.field].field;
        let advance = match follow.value.advance {
            Advance::Step => "with",
            Advance::Round => "each round of",
        };
        text += &format!("; {advance} {}.{}", header(flow, follow.value.header), leader.name);
    }
    text
}

/// How fast one of a port's flows sends: `50 pps`, `75.0 % of the port's 20 kpps`, `at full speed`.
/// `port`: the rate of the port; `pacing`: what the plan made of all of them.
pub fn rate(
    port: Option<&Profile>,
    flows: &[&Flow],
    index: usize,
    pacing: Option<&Pacing>,
) -> String {
    let requested =
        |index: usize| pacing.and_then(|pacing| pacing.requested.get(index).copied().flatten());
    let Some(flow) = flows.get(index) else { return String::new() };
    match (&flow.rate, port) {
        (_, Some(port)) if flows.len() > 1 => {
            let total = flows.iter().map(|flow| u64::from(flow.weight.value)).sum();
            format!(
                "{} of the port's {}",
                numbers::percent(flow.weight.value.into(), total),
                profile(port, requested(0))
            )
        }
        (_, Some(port)) => profile(port, requested(0)),
        (Some(Located { value, .. }), None) => {
            match (pacing.and_then(|pacing| pacing.total), requested(index)) {
                (Some(total), Some(share)) => {
                    let how = if matches!(value, Profile::Poisson { .. }) {
                        "at random (Poisson), "
                    } else {
                        ""
                    };
                    format!("{how}{} of the port's {total}", numbers::pps(share.to_f64()))
                }
                _ => profile(value, requested(index)),
            }
        }
        (None, None) => "at full speed".to_owned(),
    }
}

/// A profile, with its rate in frames a second where it is written in another unit: `20 Mbps
/// (1.6469 kpps)`.
fn profile(profile: &Profile, requested: Option<Pps>) -> String {
    let unit = match profile {
        Profile::Constant(rate) | Profile::Poisson { mean: rate, .. } => rate.unit,
        // Changes with time, or has no rate: nothing is requested on average.
        Profile::Burst(_)
        | Profile::Ramp { .. }
        | Profile::Steps { .. }
        | Profile::Sine { .. }
        | Profile::Trace { .. } => return profile.to_string(),
    };
    match requested {
        Some(rate) if unit != RateUnit::Frames => {
            format!("{profile} ({})", numbers::pps(rate.to_f64()))
        }
        _ => profile.to_string(),
    }
}

/// When a flow begins and ends: `begins after 200ms, 50 frames, for 10s`; `without end`.
pub fn extent(flow: &Flow) -> String {
    let mut parts = Vec::new();
    if !flow.delay.value.is_zero() {
        parts.push(format!("begins after {}", format_duration(flow.delay.value)));
    }
    if let Some(packets) = &flow.packets {
        parts.push(numbers::frames(packets.value));
    }
    if let Some(duration) = &flow.duration {
        parts.push(format!("for {}", format_duration(duration.value)));
    }
    if flow.packets.is_none() && flow.duration.is_none() {
        parts.push("without end".to_owned());
    }
    parts.join(", ")
}

fn seeded(seed: Option<u64>) -> String {
    seed.map_or_else(String::new, |seed| format!(", seed {seed}"))
}

/// All of them, or the first ones and how many there are.
fn list(len: usize, value: impl Fn(usize) -> String) -> String {
    let named: Vec<String> = (0..len.min(NAMED)).map(value).collect();
    let rest =
        if len > NAMED { format!(", … {} values", grouped(len as u64)) } else { String::new() };
    named.join(", ") + &rest
}

/// All of them when they are few, otherwise the first two and the last.
fn counted(count: u64, value: impl Fn(u128) -> String) -> String {
    match count {
        0..=4 => (0..count).map(|index| value(index.into())).collect::<Vec<_>>().join(", "),
        _ => {
            let last = value(u128::from(count - 1));
            format!("{}, {}, … {last}, {} values", value(0), value(1), grouped(count))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        config::{Follow, SizeWeight, Source, file, pattern::Count},
        packet::HeaderKind,
        plan::pacing::Streams,
    };

    #[track_caller]
    fn check_size(given: &Size, expected: &str) {
        assert_eq!(size(given), expected);
    }

    #[test]
    fn sizes() {
        check_size(&Size::Fixed(128), "128 bytes");
        check_size(&Size::Increment { start: 64, end: 1518, step: 1 }, "64 to 1518 bytes");
        check_size(
            &Size::Increment { start: 64, end: 200, step: 100 },
            "64 to 164 bytes in steps of 100",
        );
        check_size(
            &Size::Random { min: 64, max: 99, seed: Some(7) },
            "64 to 99 bytes at random, seed 7",
        );
        check_size(&Size::Random { min: 64, max: 99, seed: None }, "64 to 99 bytes at random");
        let weighted = [(64, 7), (570, 4)].map(|(size, weight)| SizeWeight { size, weight });
        check_size(&Size::Weighted(weighted.into()), "7 × 64, 4 × 570 bytes");
        check_size(&Size::Sequence(vec![64, 64, 1518]), "64, 64, 1518 bytes");
        check_size(
            &Size::Sequence(vec![64; 9]),
            "64, 64, 64, 64, 64, 64, 64, 64, … 9 values bytes",
        );
    }

    /// A flow with two IPv4 headers and a UDP one; `ipv4[1].src` varies.
    fn flow() -> Flow {
        let text = "[[ports]]\nname = 'p'\ninterface = 'e'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [{ ethernet = {} }, \
                    { ipv4 = {} }, { ipv4 = { src = ['10.0.0.1', '10.0.0.2'] } }, { udp = {} }]";
        file::parse(Source::file("test.toml", text))
            .unwrap_or_else(|wrong| panic!("{wrong}"))
            .flows
            .remove(0)
    }

    #[track_caller]
    fn check(
        kind: HeaderKind,
        field: &str,
        pattern: Pattern,
        advance: Option<Advance>,
        expected: &str,
    ) {
        let setting = FieldSetting {
            field: kind.field(field).unwrap().into(),
            pattern: Located::default(pattern),
            follow: advance
                .map(|advance| Located::default(Follow { header: 2, field: 0, advance })),
        };
        assert_eq!(varies(&flow(), &setting), expected);
    }

    #[test]
    fn patterns() {
        use HeaderKind::{Ipv4, Udp};
        let up = |start, step, count| Pattern::Increment(Count { start, step, count });
        let values = |values: &[u128]| {
            Pattern::Values(values.iter().copied().map(Located::default).collect())
        };
        let random =
            |seed, count| Pattern::Random { min: 0x0a01_0000, max: 0x0a01_ffff, seed, count };
        check(Udp, "dst_port", Pattern::Value(5), None, "");
        check(Udp, "dst_port", values(&[53, 123, 443]), None, "values: 53, 123, 443");
        check(
            Udp,
            "dst_port",
            values(&[5; 1000]),
            None,
            "values: 5, 5, 5, 5, 5, 5, 5, 5, … 1 000 values",
        );
        check(Udp, "dst_port", up(1024, 1, 64_000), None, "1024, 1025, … 65023, 64 000 values");
        check(Udp, "dst_port", up(1, 2, 3), None, "1, 3, 5");
        check(
            Ipv4,
            "src",
            up(0x0a00_0001, 256, 5),
            None,
            "10.0.0.1, 10.0.1.1, … 10.0.4.1, 5 values",
        );
        let down = Pattern::Decrement(Count { start: 9, step: 3, count: 4 });
        check(Udp, "dst_port", down, None, "9, 6, 3, 0");
        check(
            Ipv4,
            "dst",
            random(Some(42), None),
            None,
            "random 10.1.0.0 to 10.1.255.255, seed 42",
        );
        let again = "random 10.1.0.0 to 10.1.255.255, the same again after 1 000 values";
        check(Ipv4, "dst", random(None, Some(1000)), None, again);
        check(Udp, "src_port", up(1, 1, 2), Some(Advance::Step), "1, 2; with ipv4[1].src");
        check(
            Udp,
            "src_port",
            up(1, 1, 2),
            Some(Advance::Round),
            "1, 2; each round of ipv4[1].src",
        );
    }

    /// A port with these lines and two flows, 15 and 5 of 20 turns, with this line each; what the
    /// plan would find requested.
    #[track_caller]
    fn check_rate(port: &str, flow: &str, requested: &[Option<(u64, u64)>], expected: [&str; 2]) {
        let flow = |name: &str, weight: u32| {
            format!(
                "[[flows]]\nname = '{name}'\nport = 'p'\nweight = {weight}\npacket = [{{ ethernet = {{}} }}]\n{flow}\n"
            )
        };
        let text = format!(
            "[[ports]]\nname = 'p'\ninterface = 'e'\n{port}\n{}{}",
            flow("f", 15),
            flow("g", 5)
        );
        let config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let pacing = Pacing {
            streams: Streams::Flows,
            departures: crate::units::PerWorker::of_one(Vec::new()),
            shares: crate::plan::shares::Shares::of_all(1),
            segments: [].into(),
            calendars: Vec::new(),
            give_up: Duration::ZERO,
            late: Duration::ZERO,
            total: None,
            peaks: Vec::new(),
            steady: 0.0,
            requested: requested
                .iter()
                .map(|rate| {
                    rate.map(|(numerator, denominator): (u64, u64)| {
                        Pps::new(crate::units::Ratio::new(numerator, denominator))
                    })
                })
                .collect(),
        };
        let flows: Vec<&Flow> = config.flows.iter().collect();
        let port = config.ports[0].rate.as_ref().map(|rate| &rate.value);
        for (index, expected) in expected.into_iter().enumerate() {
            assert_eq!(rate(port, &flows, index, Some(&pacing)), expected);
        }
    }

    #[test]
    fn rates() {
        check_rate("", "", &[], ["at full speed"; 2]);
        check_rate("", "rate = '50pps'", &[Some((50, 1)); 2], ["50 pps"; 2]);
        // 14.88 Mpps: ten gigabit Ethernet's.
        check_rate(
            "",
            "rate = '100%'",
            &[Some((10_000_000_000, 672)); 2],
            ["100 % (14.881 Mpps)"; 2],
        );
        let shares = ["75.0 % of the port's 20 kpps", "25.0 % of the port's 20 kpps"];
        check_rate("rate = '20kpps'", "", &[Some((20_000, 1))], shares);
        let shares =
            ["75.0 % of the port's 672 kbps (1 kpps)", "25.0 % of the port's 672 kbps (1 kpps)"];
        check_rate("rate = '672kbps'", "", &[Some((1000, 1))], shares);
        let ramp = "ramp from 1 kpps to 5 Mbps over 1s";
        check_rate(
            "",
            "rate = { ramp = { from = '1kpps', to = '5Mbps', over = '1s' } }",
            &[None; 2],
            [ramp; 2],
        );
    }

    #[track_caller]
    fn check_extent(lines: &str, expected: &str) {
        let text = format!(
            "[[ports]]\nname = 'p'\ninterface = 'e'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [{{ ethernet = {{}} }}]\n{lines}"
        );
        let config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(extent(&config.flows[0]), expected);
    }

    #[test]
    fn beginnings_and_ends() {
        check_extent("", "without end");
        check_extent("packets = 1", "1 frame");
        check_extent("delay = '200ms'", "begins after 200ms, without end");
        check_extent(
            "delay = '1s'\npackets = 2000\nduration = '90s'",
            "begins after 1s, 2 000 frames, for 1m 30s",
        );
    }
}
