//! Arbitrary text, and very many flows.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{FLOW, PORT, files, parsed};
use crate::config::{Source, file::parse_with};

/// A file with everything in it.
const FULL: &str = r#"
[[ports]]
name = "west"
interface = "xtg0"
cpus = "0,2-3"
speed = "10Gbps"
behind = { catch_up = "20ms" }
late_threshold = "1us"

[[flows]]
name = "dns"
port = "west"
weight = 3
delay = "5ms"
rate = { trace = [["0s", "1kpps"], ["10s", "5.5kpps"]], repeat = true }
size = { weighted = [{ size = 64, weight = 7 }, { size = 1518, weight = 1 }] }
payload = { text = "hello" }
packet = [
  { ethernet = { src = { random = { min = "02:00:00:00:00:00", max = "02:00:00:00:00:ff", seed = 1, count = 9 } } } },
  { ipv4 = { src = ["10.0.0.1", "10.0.0.2"], dst = { increment = { start = "10.0.0.9", count = 4 }, follow = { field = "ipv4.src", pace = "round" } }, options = "94040000" } },
  { udp = { checksum = "bad", dst_port = { values = [1, 2], follow = "ipv4.src" }, bits = [{ offset = 6, mask = "1fff", decrement = { start = 5, count = 3 } }] } },
]

[[flows]]
name = "web"
port = "west"
size = { genome = "aaz", z = 1400 }
rate = { burst = { packets = 100, gap = "200ns", inter_burst_gap = "1ms", bursts = 10 } }
payload.random.seed = 3
packet = [{ ethernet = {} }, { ipv6 = { flow_label = { random = {} } } }]
"#;

/// Parses a text and renders its errors, which must not panic.
fn survives(text: &str, overrides: &[String]) {
    if let Err(wrong) = parse_with(Source::file("any.toml", text), overrides, &files) {
        wrong.to_string();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_rate(rate in any::<String>(), number in "[0-9]{0,50}[.]?[0-9]{0,50}", unit in "[kMGTx]?(pps|bps|bpsL1|%|)", file in any::<String>()) {
        let text = format!("{PORT}{FLOW}rate = {{ trace = 'any' }}");
        for rate in [rate, format!("{number}{unit}")] {
            survives(FULL, &[format!("flows.dns.rate={rate}")]);
            let file = format!("0,{rate}\n{rate},1\n{file}");
            if let Err(wrong) = parse_with(Source::file("any.toml", &text), &[], &|_| Ok(file.clone())) {
                wrong.to_string();
            }
        }
    }

    #[test]
    fn any_text(text in any::<String>(), argument in any::<String>()) {
        survives(&text, &[]);
        survives(FULL, &[argument]);
    }

    #[test]
    fn any_value(value in any::<String>(), path in "(ports.west|flows.(dns|\\*))(.[a-z_]{1,9}(\\[[0-9]\\])?){1,4}") {
        survives(FULL, &[format!("{path}={value}")]);
    }

    /// Pieces of the file are left out, doubled and swapped for others, at any byte.
    #[test]
    fn mutated(edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..20, any::<prop::sample::Index>(), 0usize..20), 1..6)) {
        let mut bytes = FULL.as_bytes().to_vec();
        for (at, removed, from, len) in edits {
            let (at, from) = (at.index(bytes.len()), from.index(bytes.len()));
            let piece = bytes[from..(from + len).min(bytes.len())].to_vec();
            bytes.splice(at..(at + removed).min(bytes.len()), piece);
            if bytes.is_empty() {
                bytes.push(b'\n');
            }
        }
        survives(&String::from_utf8_lossy(&bytes), &[]);
    }
}

#[test]
fn the_file_is_right() {
    assert_eq!(parsed(FULL).flows.len(), 2);
}

/// This takes well under a second in a release build. A quadratic step would take minutes.
#[test]
fn many_flows() {
    let flow = |index: usize| {
        let packet = "[{ ethernet = {} }, { ipv4 = { src = ['10.0.0.1', '10.0.0.2'] } }, { udp = { dst_port = 9 } }]";
        format!("[[flows]]\nname = 'flow {index}'\nport = 'west'\npacket = {packet}\n")
    };
    let text: String = std::iter::once(PORT.to_owned()).chain((0..16_384).map(flow)).collect();
    let start = Instant::now();
    assert_eq!(parsed(&text).flows.len(), 16_384);
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}
