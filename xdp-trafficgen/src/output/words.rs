//! A flow's sizes and patterns in words.

use crate::{
    config::{FieldSetting, Flow, Pace, Pattern, Size, literal::show_value},
    output::text::grouped,
};

/// So many values of a list are named before it is cut short.
const NAMED: usize = 8;

/// How many bytes frames have on the wire: `128 bytes`, `64 to 1518 bytes at random, seed 7`.
pub fn size(size: &Size) -> String {
    match size {
        Size::Fixed(size) => format!("{size} bytes"),
        &Size::Increment { start, end, step: 1 } => format!("{start} to {end} bytes"),
        Size::Increment { start, step, .. } => format!("{start} to {} bytes in steps of {step}", size.largest()),
        Size::Random { min, max, seed } => format!("{min} to {max} bytes at random{}", seeded(*seed)),
        Size::Weighted(sizes) => {
            let shares = sizes.iter().map(|size| format!("{} × {}", size.weight, size.size));
            format!("{} bytes", shares.collect::<Vec<_>>().join(", "))
        }
        Size::Sequence(sizes) => format!("{} bytes", list(sizes.len(), |index| sizes[index].to_string())),
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
        Pattern::Values(values) => format!("values: {}", list(values.len(), |index| show(values[index].value))),
        Pattern::Increment(count) => counted(count.count, |index| show(count.start + count.step * index)),
        Pattern::Decrement(count) => counted(count.count, |index| show(count.start - count.step * index)),
        Pattern::Random { min, max, seed, count } => {
            let again = count.map(|count| format!(", the same again after {} values", grouped(count)));
            format!("random {} to {}{}{}", show(*min), show(*max), seeded(*seed), again.unwrap_or_default())
        }
    };
    if let Some(follow) = follow {
        let leader = &flow.packet[follow.value.header].fields[follow.value.field].field;
        let pace = match follow.value.pace {
            Pace::Step => "with",
            Pace::Round => "each round of",
        };
        text += &format!("; {pace} {}.{}", header(flow, follow.value.header), leader.name);
    }
    text
}

fn seeded(seed: Option<u64>) -> String {
    seed.map_or_else(String::new, |seed| format!(", seed {seed}"))
}

/// All of them, or the first ones and how many there are.
fn list(len: usize, value: impl Fn(usize) -> String) -> String {
    let named: Vec<String> = (0..len.min(NAMED)).map(value).collect();
    let rest = if len > NAMED { format!(", … {} values", grouped(len as u64)) } else { String::new() };
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
    use super::*;
    use crate::{
        config::{Follow, Located, SizeWeight, Source, file, pattern::Count},
        packet::HeaderKind,
    };

    #[track_caller]
    fn check_size(given: &Size, expected: &str) {
        assert_eq!(size(given), expected);
    }

    #[test]
    fn sizes() {
        check_size(&Size::Fixed(128), "128 bytes");
        check_size(&Size::Increment { start: 64, end: 1518, step: 1 }, "64 to 1518 bytes");
        check_size(&Size::Increment { start: 64, end: 200, step: 100 }, "64 to 164 bytes in steps of 100");
        check_size(&Size::Random { min: 64, max: 99, seed: Some(7) }, "64 to 99 bytes at random, seed 7");
        check_size(&Size::Random { min: 64, max: 99, seed: None }, "64 to 99 bytes at random");
        let weighted = [(64, 7), (570, 4)].map(|(size, weight)| SizeWeight { size, weight });
        check_size(&Size::Weighted(weighted.into()), "7 × 64, 4 × 570 bytes");
        check_size(&Size::Sequence(vec![64, 64, 1518]), "64, 64, 1518 bytes");
        check_size(&Size::Sequence(vec![64; 9]), "64, 64, 64, 64, 64, 64, 64, 64, … 9 values bytes");
    }

    /// A flow with two IPv4 headers and a UDP one; `ipv4[1].src` varies.
    fn flow() -> Flow {
        let text = "[[ports]]\nname = 'p'\ninterface = 'e'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [{ ethernet = {} }, \
                    { ipv4 = {} }, { ipv4 = { src = ['10.0.0.1', '10.0.0.2'] } }, { udp = {} }]";
        file::parse(Source::file("test.toml", text)).unwrap_or_else(|wrong| panic!("{wrong}")).flows.remove(0)
    }

    #[track_caller]
    fn check(kind: HeaderKind, field: &str, pattern: Pattern, pace: Option<Pace>, expected: &str) {
        let setting = FieldSetting {
            field: kind.field(field).unwrap().clone(),
            pattern: Located::default(pattern),
            follow: pace.map(|pace| Located::default(Follow { header: 2, field: 0, pace })),
        };
        assert_eq!(varies(&flow(), &setting), expected);
    }

    #[test]
    fn patterns() {
        use HeaderKind::{Ipv4, Udp};
        let up = |start, step, count| Pattern::Increment(Count { start, step, count });
        let values = |values: &[u128]| Pattern::Values(values.iter().copied().map(Located::default).collect());
        let random = |seed, count| Pattern::Random { min: 0x0a01_0000, max: 0x0a01_ffff, seed, count };
        check(Udp, "dst_port", Pattern::Value(5), None, "");
        check(Udp, "dst_port", values(&[53, 123, 443]), None, "values: 53, 123, 443");
        check(Udp, "dst_port", values(&[5; 1000]), None, "values: 5, 5, 5, 5, 5, 5, 5, 5, … 1 000 values");
        check(Udp, "dst_port", up(1024, 1, 64_000), None, "1024, 1025, … 65023, 64 000 values");
        check(Udp, "dst_port", up(1, 2, 3), None, "1, 3, 5");
        check(Ipv4, "src", up(0x0a00_0001, 256, 5), None, "10.0.0.1, 10.0.1.1, … 10.0.4.1, 5 values");
        let down = Pattern::Decrement(Count { start: 9, step: 3, count: 4 });
        check(Udp, "dst_port", down, None, "9, 6, 3, 0");
        check(Ipv4, "dst", random(Some(42), None), None, "random 10.1.0.0 to 10.1.255.255, seed 42");
        let again = "random 10.1.0.0 to 10.1.255.255, the same again after 1 000 values";
        check(Ipv4, "dst", random(None, Some(1000)), None, again);
        check(Udp, "src_port", up(1, 1, 2), Some(Pace::Step), "1, 2; with ipv4[1].src");
        check(Udp, "src_port", up(1, 1, 2), Some(Pace::Round), "1, 2; each round of ipv4[1].src");
    }
}
