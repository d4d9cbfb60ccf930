//! Rates from text, and back to text.

use std::fmt;

use super::*;
use crate::config::rate::{Burst, NotScalable, Profile, Spacing, Step};

/// Checks the rate of `text`, and how that rate is shown.
#[track_caller]
fn check(text: &str, (numerator, denominator): (u128, u128), unit: RateUnit, shown: &str) {
    let rate = parse_rate(text).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(rate, Rate { amount: Ratio::new(numerator, denominator), unit }, "{text}");
    assert_eq!(rate.to_string(), shown);
    assert_eq!(parse_rate(shown), Ok(rate), "what is shown can be written");
}

#[test]
fn rates() {
    use RateUnit::{BitsL1, BitsL2, Frames, LineShare};
    check("1.5Mpps", (1_500_000, 1), Frames, "1.5 Mpps");
    check("500kpps", (500_000, 1), Frames, "500 kpps");
    check(" 500  kpps ", (500_000, 1), Frames, "500 kpps");
    check("10pps", (10, 1), Frames, "10 pps");
    check("0pps", (0, 1), Frames, "0 pps");
    check("0.50pps", (1, 2), Frames, "0.5 pps");
    check("007.0Kpps", (7000, 1), Frames, "7 kpps");
    check("0.001kpps", (1, 1), Frames, "1 pps");
    check("999.999kpps", (999_999, 1), Frames, "999.999 kpps");
    check("1000kpps", (1_000_000, 1), Frames, "1 Mpps");
    check(
        "0.0000000000000000005pps",
        (1, 2_000_000_000_000_000_000),
        Frames,
        "0.0000000000000000005 pps",
    );
    check("18446744073709551615pps", (u64::MAX.into(), 1), Frames, "18446744.073709551615 Tpps");
    check("0.333333333333pps", (333_333_333_333, 1_000_000_000_000), Frames, "0.333333333333 pps");
    check("10Gbps", (10_000_000_000, 1), BitsL2, "10 Gbps");
    check("10GbpsL2", (10_000_000_000, 1), BitsL2, "10 Gbps");
    check("10gbpsl1", (10_000_000_000, 1), BitsL1, "10 GbpsL1");
    check("1.6TBPSL1", (1_600_000_000_000, 1), BitsL1, "1.6 TbpsL1");
    check("56bps", (56, 1), BitsL2, "56 bps");
    check("2.5mbps", (2_500_000, 1), BitsL2, "2.5 Mbps");
    check("80MBPS", (80_000_000, 1), BitsL2, "80 Mbps");
    check("100kbit", (100_000, 1), BitsL2, "100 kbps");
    check("1Gbit/s", (1_000_000_000, 1), BitsL2, "1 Gbps");
    check("1e6pps", (1_000_000, 1), Frames, "1 Mpps");
    check("10_000pps", (10_000, 1), Frames, "10 kpps");
    check("40%", (2, 5), LineShare, "40 %");
    check("12.5%", (1, 8), LineShare, "12.5 %");
    check("100.000 %", (1, 1), LineShare, "100 %");
    check("0%", (0, 1), LineShare, "0 %");
}

#[test]
fn fractions_without_end_are_cut() {
    let rate = Rate { amount: Ratio::new(10_000_000_000u128, 672u128), unit: RateUnit::Frames };
    assert_eq!(rate.to_string(), "14.880952380952 Mpps");
    let rate = Rate { amount: Ratio::new(1u128, u64::MAX), unit: RateUnit::Frames };
    assert_eq!(rate.to_string(), "0.0000000000000000000542101086242 pps");
}

/// Checks message and help of a refusal.
#[track_caller]
fn refused<T: fmt::Debug>(parsed: Result<T, Problem>, message: &str, help: &str) {
    let problem = parsed.unwrap_err();
    assert!(problem.message.contains(message) && problem.help.contains(help), "{problem}");
}

#[test]
fn texts_that_are_no_rate() {
    refused(parse_rate("1000"), "`1000` has no unit", "`1000pps` for frames a second");
    refused(parse_rate("10G"), "only a prefix", "`10Gbps` for bits a second, or `10Gpps`");
    refused(parse_rate("2.5 m"), "only a prefix", "`2.5Mbps`");
    refused(parse_rate("100"), "`100` has no unit", "`100Mbps`");
    refused(parse_rate("10MB/s"), "unknown unit `MB/s`", "eight for each byte");
    for bytes in ["80MBps", "10kBps", "1 GBpsL1", "5Bps"] {
        refused(parse_rate(bytes), "unknown unit `", "eight for each byte");
    }
    refused(parse_rate("10kp/s"), "unknown unit `kp/s`", "`kpps`");
    refused(parse_rate("10Mbs"), "unknown unit `Mbs`", "the units are `pps`");
    refused(parse_rate("10Ppps"), "unknown unit `Ppps`", "`k`, `M`, `G` or `T`");
    refused(parse_rate("10k%"), "unknown unit `k%`", "`%` of the line rate");
    refused(parse_rate("1,5Mpps"), "unknown unit `,5Mpps`", "with a point: `1.5Mpps`");
    refused(parse_rate("-5pps"), "the rate `-5pps` is negative", "`500kpps`");
    for text in ["", "fast", "pps", ".5pps", "5.pps", "1.2.3pps", "+5pps", "-pps", "%"] {
        refused(parse_rate(text), &format!("`{text}` is not a rate"), "`40%`");
    }
    refused(parse_rate("100.1%"), "`100.1%` is more than the line carries", "`speed`");
    refused(parse_rate("18446744073709551616pps"), "too large", "fewer digits");
    refused(parse_rate(&format!("{}pps", "9".repeat(60))), "too large", "fewer digits");
    refused(parse_rate(&format!("0.{}1pps", "0".repeat(60))), "too many digits", "fewer digits");
}

#[test]
fn numbers_of_a_unit() {
    let thousand = parse_unit("kpps").unwrap();
    let frames = |numerator: u128| Rate { amount: Ratio::whole(numerator), unit: RateUnit::Frames };
    assert_eq!(parse_rate_in("1.5", thousand), Ok(frames(1500)));
    assert_eq!(parse_rate_in("2 Mpps", thousand), Ok(frames(2_000_000)));
    refused(parse_rate_in("x", thousand), "`x` is not a rate", "`500kpps`");
    refused(
        parse_rate_in("101", parse_unit("%").unwrap()),
        "`101` is more than the line carries",
        "",
    );
    refused(parse_unit("5pps"), "unknown unit `5pps`", "");
}

#[test]
fn speeds() {
    for (text, bits) in [
        ("10Gbps", 10_000_000_000),
        ("100 mbps", 100_000_000),
        ("2.5Gbps", 2_500_000_000),
        ("9bps", 9),
    ] {
        assert_eq!(parse_speed(text), Ok(bits), "{text}");
    }
    for text in ["10GbpsL1", "10GbpsL2", "10kpps", "40%"] {
        refused(parse_speed(text), &format!("`{text}` is not the speed of a link"), "`10Gbps`");
    }
    refused(parse_speed("0Gbps"), "`0Gbps` is no speed", "`10Gbps`");
    refused(parse_speed("0.5bps"), "no whole number of bits", "`10Gbps`");
    refused(parse_speed("10"), "`10` has no unit", "`10Gbps`");
}

#[test]
fn factors() {
    for (text, numerator, denominator) in
        [("2x", 2u128, 1u128), ("0.5x", 1, 2), ("1.25X", 5, 4), (" 10 x", 10, 1)]
    {
        assert_eq!(parse_factor(text), Ok(Ratio::new(numerator, denominator)), "{text}");
    }
    for text in ["2", "x", "-1x", "50%", "2xx", "1,5x"] {
        refused(parse_factor(text), &format!("`{text}` is not a factor"), "`0.5x`");
    }
    refused(parse_factor("0x"), "sends nothing", "");
    refused(parse_factor(&format!("{}x", "9".repeat(30))), "too many digits", "");
}

#[test]
fn profiles_are_multiplied() {
    let half = parse_factor("0.5x").unwrap();
    let rate = |text| parse_rate(text).unwrap();
    let ramp =
        Profile::Ramp { from: rate("0pps"), to: rate("3kpps"), over: Duration::from_secs(1) };
    assert_eq!(ramp.scaled(half).unwrap().to_string(), "ramp from 0 pps to 1.5 kpps over 1s");
    let poisson = Profile::Poisson { mean: rate("10Mbps"), seed: Some(7) };
    assert_eq!(
        poisson.scaled(half).unwrap().to_string(),
        "at random (Poisson), 5 Mbps on average, seed 7"
    );
    let share = Profile::Constant(rate("60%"));
    assert_eq!(share.scaled(half).unwrap().to_string(), "30 %");
    assert_eq!(share.scaled(parse_factor("2x").unwrap()), Err(NotScalable::AboveTheLine));
    let period = Duration::from_secs(1);
    let sine = Profile::Sine { mean: rate("50%"), amplitude: rate("25%"), period };
    assert_eq!(sine.scaled(parse_factor("1.5x").unwrap()), Err(NotScalable::AboveTheLine));
    let huge = Profile::Constant(Rate { amount: Ratio::whole(u64::MAX), ..rate("1pps") });
    assert_eq!(huge.scaled(parse_factor("2x").unwrap()), Err(NotScalable::TooLong));
}

#[test]
fn late_policies() {
    assert_eq!(parse_behind("catch_up"), Ok(LatePolicy::CatchUp(Duration::from_millis(100))));
    assert_eq!(parse_behind("catch_up=20ms"), Ok(LatePolicy::CatchUp(Duration::from_millis(20))));
    assert_eq!(parse_behind("skip"), Ok(LatePolicy::Skip));
    refused(parse_behind("catchup"), "`catchup` is not", "`catch_up=20ms`");
    refused(parse_behind("skip=5ms"), "`skip=5ms` is not", "`skip`");
    refused(parse_behind("catch_up=0s"), "in no time", "`skip`");
    refused(parse_behind("catch_up=20"), "`20` is not a duration", "`20ms`");
}

#[test]
fn profiles_in_words() {
    let rate = |text| parse_rate(text).unwrap();
    let seconds = Duration::from_secs;
    let step = |text, duration| Step { rate: rate(text), duration: seconds(duration) };
    let burst = Burst {
        packets: 100,
        spacing: Spacing::Gap(Duration::from_nanos(200)),
        inter_burst_gap: Duration::from_millis(1),
        bursts: Some(10),
    };
    for (profile, shown) in [
        (Profile::Constant(rate("500kpps")), "500 kpps"),
        (
            Profile::Poisson { mean: rate("1kpps"), seed: Some(7) },
            "at random (Poisson), 1 kpps on average, seed 7",
        ),
        (Profile::Burst(burst), "10 bursts of 100 frames, 200ns apart, with 1ms between bursts"),
        (
            Profile::Burst(Burst { packets: 1, spacing: Spacing::Link, bursts: None, ..burst }),
            "bursts of 1 frame, with 1ms between bursts",
        ),
        (
            Profile::Burst(Burst { spacing: Spacing::Rate(rate("317pps")), ..burst }),
            "10 bursts of 100 frames at 317 pps, with 1ms between bursts",
        ),
        (Profile::Burst(Burst { bursts: Some(1), ..burst }), "a burst of 100 frames, 200ns apart"),
        (
            Profile::Ramp { from: rate("1kpps"), to: rate("1Mpps"), over: seconds(10) },
            "ramp from 1 kpps to 1 Mpps over 10s",
        ),
        (
            Profile::Steps { steps: vec![step("1kpps", 5), step("0pps", 1)], repeat: true },
            "steps: 1 kpps for 5s, 0 pps for 1s, over and over",
        ),
        (
            Profile::Steps { steps: vec![step("1%", 1); 6], repeat: false },
            "steps: 1 % for 1s, 1 % for 1s, 1 % for 1s, 1 % for 1s, … and 2 more",
        ),
        (
            Profile::Sine { mean: rate("10Mbps"), amplitude: rate("5Mbps"), period: seconds(90) },
            "sine around 10 Mbps, up and down by 5 Mbps every 1m 30s",
        ),
        (
            Profile::Trace {
                points: vec![
                    (seconds(0), rate("2kpps")),
                    (seconds(3), rate("500pps")),
                    (seconds(9), rate("1kpps")),
                ],
                repeat: true,
            },
            "trace of 3 points over 9s, 500 pps to 2 kpps, over and over",
        ),
    ] {
        assert_eq!(profile.to_string(), shown);
    }
}
