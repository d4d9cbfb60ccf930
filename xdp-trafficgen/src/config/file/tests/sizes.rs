//! Frame sizes and payloads.

use super::{check_flow, only_flow};
use crate::config::{Payload, Size, SizeWeight};

#[track_caller]
fn check_size(size: &str, expected: &Size) {
    assert_eq!(only_flow(&format!("size = {size}")).size.value, *expected, "{size}");
}

fn weighted(pairs: &[(u32, u32)]) -> Size {
    Size::Weighted(pairs.iter().map(|&(size, weight)| SizeWeight { size, weight }).collect())
}

#[test]
fn forms() {
    check_size("128", &Size::Fixed(128));
    check_size("'imix'", &weighted(&[(64, 7), (570, 4), (1518, 1)]));
    check_size("'ipsec_imix'", &weighted(&[(90, 5867), (92, 200), (594, 2366), (1418, 1567)]));
    check_size(
        "{ increment = { start = 64, end = 1518 } }",
        &Size::Increment { start: 64, end: 1518, step: 1 },
    );
    check_size(
        "{ increment = { start = 64, end = 64, step = 9 } }",
        &Size::Increment { start: 64, end: 64, step: 9 },
    );
    check_size(
        "{ random = { min = 64, max = 1518 } }",
        &Size::Random { min: 64, max: 1518, seed: None },
    );
    check_size(
        "{ random = { min = 64, max = 65535, seed = 3 } }",
        &Size::Random { min: 64, max: 65535, seed: Some(3) },
    );
    check_size(
        "{ weighted = [{ size = 9000, weight = 1 }, { size = 64, weight = 4294967295 }] }",
        &weighted(&[(9000, 1), (64, u32::MAX)]),
    );
    check_size("{ genome = 'aaafg' }", &Size::Sequence(vec![64, 64, 64, 1280, 1518]));
    check_size(
        "{ genome = 'zabcdefghij', z = 1400 }",
        &Size::Sequence(vec![1400, 64, 128, 256, 512, 1024, 1280, 1518, 2112, 9000, 16000]),
    );
}

/// The mixes in hundredths of percent add up to all frames.
#[test]
fn predefined_mixes_are_whole() {
    for mix in ["ipsec_imix", "ipv6_imix", "standard_imix", "tcp_imix"] {
        let Size::Weighted(pairs) = only_flow(&format!("size = '{mix}'")).size.value else {
            panic!("{mix}")
        };
        assert_eq!(pairs.iter().map(|pair| pair.weight).sum::<u32>(), 10_000, "{mix}");
        assert!(pairs.iter().all(|pair| pair.size >= 64), "{mix}");
    }
}

#[test]
fn wrong_sizes() {
    check_flow("size = 'imux'", &[("'imux'", "unknown mix of sizes `imux`; did you mean `imix`?")]);
    check_flow(
        "size = 'big'",
        &[(
            "'big'",
            "the mixes are `imix`, `ipsec_imix`, `ipv6_imix`, `standard_imix`, `tcp_imix`",
        )],
    );
    check_flow(
        "size = 1.5",
        &[("1.5", "`size` must be a number, a string or a table, not the float 1.5")],
    );
    check_flow(
        "size = {}",
        &[("{}", "this size is empty; write one of `increment`, `random`, `weighted`, `genome`")],
    );
    check_flow(
        "size = { randm = {} }",
        &[("randm", "unknown key `randm` in a size; did you mean `random`?")],
    );
    check_flow(
        "size = { random = { min = 64, max = 65 }, genome = 'a' }",
        &[(
            "{ random = { min = 64, max = 65 }, genome = 'a' }",
            "this size has several forms at once: `random`, `genome`",
        )],
    );
    check_flow(
        "size = { increment = { start = 63, end = 65536, step = 0 } }",
        &[
            ("63", "`start` is 63, too small"),
            ("65536", "`end` is 65536, too large"),
            ("0", "`step` is 0, too small"),
        ],
    );
    check_flow(
        "size = { increment = { start = 65, end = 64 } }",
        &[("65", "the smallest size, 65, is above the largest, 64; swap the two")],
    );
    check_flow(
        "size = { increment = {} }",
        &[("{}", "this size increment has no `start`"), ("{}", "has no `end`")],
    );
    check_flow(
        "size = { random = { min = 1000, max = 64, seed = 'x' } }",
        &[("'x'", "`seed` must be an integer")],
    );
    check_flow(
        "size = { random = { min = 1000, max = 64 } }",
        &[("1000", "is above the largest, 64")],
    );
    check_flow(
        "size = { random = {} }",
        &[("{}", "this random size has no `min`"), ("{}", "no `max`")],
    );
    check_flow("size = { weighted = [] }", &[("[]", "this mix has no sizes")]);
    check_flow("size = { weighted = 64 }", &[("64", "`weighted` must be an array")]);
    check_flow(
        "size = { weighted = [{ size = 60, weight = 0 }, { size = 64 }, 7] }",
        &[
            ("60", "`size` is 60, too small"),
            ("0", "`weight` is 0, too small; write at least 1"),
            ("{ size = 64 }", "this weighted size has no `weight`"),
            ("7", "`weighted` must be a table, not the integer 7"),
        ],
    );
    check_flow("size = { genome = '' }", &[("''", "this genome has no letters")]);
    check_flow(
        "size = { genome = 'aak' }",
        &[(
            "'aak'",
            "`k` in the genome `aak` is no letter of RFC 6985; the letters are `a` = 64, `b`",
        )],
    );
    check_flow(
        "size = { genome = 'az' }",
        &[("'az'", "`z` in the genome `az` has no size; write its size beside")],
    );
    check_flow("size = { genome = 'a', z = 1400 }", &[("'a'", "the genome `a` has no `z`")]);
    check_flow("size = { genome = 'z', z = 63 }", &[("63", "too small")]);
    check_flow(
        "size = { random = { min = 64, max = 64 }, z = 1400 }",
        &[("z", "unknown key `z` in a size; the keys of a size are")],
    );
}

#[test]
fn payloads() {
    assert_eq!(
        only_flow("payload = { text = 'hi' }").payload.value,
        Payload::Bytes(b"hi".to_vec())
    );
    assert_eq!(
        only_flow("payload = { increment = { start = 7 } }").payload.value,
        Payload::Increment(7)
    );
    assert_eq!(only_flow("payload.increment = {}").payload.value, Payload::Increment(0));
    assert_eq!(
        only_flow("payload = { random = { seed = 9 } }").payload.value,
        Payload::Random { seed: 9 }
    );
    assert_eq!(only_flow("payload.random = {}").payload.value, Payload::Random { seed: 0 });
    check_flow("payload = { text = '' }", &[("''", "`text` is empty")]);
    check_flow("payload = { text = 5 }", &[("5", "`text` must be a string")]);
    check_flow(
        "payload = { increment = { start = 256 } }",
        &[("256", "`start` is 256, too large")],
    );
    check_flow("payload = { increment = 1 }", &[("1", "`increment` must be a table")]);
    check_flow("payload = { random = { sed = 1 } }", &[("sed", "did you mean `seed`?")]);
}
