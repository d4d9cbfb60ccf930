//! Rates, profiles, and the keys beside them.

mod mistakes;
mod options;
mod traces;

use std::{io, time::Duration};

use super::{FLOW, PORT, files, only_flow, parsed};
use crate::{
    config::{
        LatePolicy, Origin, Profile, Rate, RateUnit, Source,
        file::parse_with,
        rate::Spacing,
        rate::{Burst, Step},
    },
    units::Ratio,
};

/// Reads the files that traces in these tests name.
pub(super) fn read(name: &str) -> io::Result<String> {
    let text = match name {
        "day.csv" => "# a day\ntime,load\n0,1\n\n  # noon\n43200.5 , 5kpps\n1d,1\n",
        // As spreadsheets on Windows write it.
        "excel.csv" => "\u{feff}\"time (s)\",\"rate\"\r\n0,\"10\"\r\n1,20\r\n",
        "shares.csv" => "0,10\n1,20%\n",
        "wrong.csv" => "time,rate\n1,5\n0.5,x\n3\n3,4,5\n4,101Gbs\n3s,10%\n-1,4\n",
        "late.csv" => "time\n\n# behind blank lines\n\n1,5\n",
        "empty.csv" => "# nothing\ntime,rate\n",
        "zeros.csv" => "0,0\n1,0\n",
        "noise.csv" => return Ok("a,b\n".repeat(15)),
        "long.csv" => return Ok((0..=1_000_000).map(|time| format!("{time},1\n")).collect()),
        _ => return Err(io::ErrorKind::NotFound.into()),
    };
    Ok(text.to_owned())
}

fn frames(numerator: u128) -> Rate {
    Rate { amount: Ratio::whole(numerator), unit: RateUnit::Frames }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Checks a rate of a port and of a flow.
#[track_caller]
fn check_rate(rate: &str, expected: &Profile) {
    let text = format!("{PORT}{FLOW}rate = {rate}");
    let flow = parse_with(Source::file("test.toml", &text), &[], &files)
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(flow.flows[0].rate.as_ref().unwrap().value, *expected, "{rate}");
    let text = format!("{PORT}rate = {rate}\n{FLOW}");
    let port = parse_with(Source::file("test.toml", &text), &[], &files)
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(port.ports[0].rate.as_ref().unwrap().value, *expected, "{rate}");
}

#[test]
fn simple_forms() {
    check_rate("'1.5Mpps'", &Profile::Constant(frames(1_500_000)));
    check_rate("{ constant = '500 kpps' }", &Profile::Constant(frames(500_000)));
    let share = Rate { amount: Ratio::new(1u128, 8u128), unit: RateUnit::LineShare };
    check_rate("'12.5%'", &Profile::Constant(share));
    check_rate("{ poisson = '100kpps' }", &Profile::Poisson { mean: frames(100_000), seed: None });
    check_rate(
        "{ poisson = { mean = '100kpps' } }",
        &Profile::Poisson { mean: frames(100_000), seed: None },
    );
    check_rate(
        "{ poisson = { mean = '1kpps', seed = 7 } }",
        &Profile::Poisson { mean: frames(1000), seed: Some(7) },
    );
    check_rate(
        "{ burst = { packets = 100, inter_burst_gap = '1ms' } }",
        &Profile::Burst(Burst {
            packets: 100,
            spacing: Spacing::Link,
            inter_burst_gap: Duration::from_millis(1),
            bursts: None,
        }),
    );
    check_rate(
        "{ burst = { packets = 1, gap = '200ns', inter_burst_gap = '1us', bursts = 10 } }",
        &Profile::Burst(Burst {
            packets: 1,
            spacing: Spacing::Gap(Duration::from_nanos(200)),
            inter_burst_gap: Duration::from_micros(1),
            bursts: Some(10),
        }),
    );
    check_rate(
        "{ burst = { packets = 3, rate = '317pps', inter_burst_gap = '1us' } }",
        &Profile::Burst(Burst {
            packets: 3,
            spacing: Spacing::Rate(frames(317)),
            inter_burst_gap: Duration::from_micros(1),
            bursts: None,
        }),
    );
    check_rate(
        "{ ramp = { from = '0pps', to = '1Mpps', over = '10s' } }",
        &Profile::Ramp { from: frames(0), to: frames(1_000_000), over: seconds(10) },
    );
    check_rate(
        "{ sine = { mean = '1kpps', amplitude = '1kpps', period = '24h' } }",
        &Profile::Sine { mean: frames(1000), amplitude: frames(1000), period: seconds(86_400) },
    );
}

#[test]
fn lists() {
    let steps = "steps = [{ rate = '1kpps', duration = '5s' }, { rate = '0pps', duration = '1s' }]";
    let expected = vec![
        Step { rate: frames(1000), duration: seconds(5) },
        Step { rate: frames(0), duration: seconds(1) },
    ];
    check_rate(
        &format!("{{ {steps} }}"),
        &Profile::Steps { steps: expected.clone(), repeat: false },
    );
    check_rate(
        &format!("{{ {steps}, repeat = true }}"),
        &Profile::Steps { steps: expected, repeat: true },
    );

    let points = vec![(seconds(0), frames(1000)), (seconds(10), frames(5000))];
    let inline = "trace = [['0s', '1kpps'], ['10s', '5kpps']]";
    check_rate(
        &format!("{{ {inline} }}"),
        &Profile::Trace { points: points.clone(), repeat: false },
    );
    check_rate(&format!("{{ {inline}, repeat = true }}"), &Profile::Trace { points, repeat: true });

    let day = |low| {
        let noon = Duration::from_millis(43_200_500);
        vec![(seconds(0), frames(low)), (noon, frames(5000)), (seconds(86_400), frames(low))]
    };
    check_rate("{ trace = 'day.csv' }", &Profile::Trace { points: day(1), repeat: false });
    check_rate(
        "{ trace = 'day.csv', repeat = true }",
        &Profile::Trace { points: day(1), repeat: true },
    );
    check_rate(
        "{ trace = { file = 'day.csv', unit = 'kpps', repeat = true } }",
        &Profile::Trace { points: day(1000), repeat: true },
    );
    check_rate(
        "{ trace = 'excel.csv' }",
        &Profile::Trace {
            points: vec![(seconds(0), frames(10)), (seconds(1), frames(20))],
            repeat: false,
        },
    );
    let share = |denominator: u128| Rate {
        amount: Ratio::new(1u128, denominator),
        unit: RateUnit::LineShare,
    };
    check_rate(
        "{ trace = { file = 'shares.csv', unit = '%' } }",
        &Profile::Trace {
            points: vec![(seconds(0), share(10)), (seconds(1), share(5))],
            repeat: false,
        },
    );
}

#[test]
fn beside_the_rate() {
    let port = |lines: &str| parsed(&format!("{PORT}{lines}\n{FLOW}")).ports.remove(0);
    let default = port("");
    assert!(default.rate.is_none() && default.speed.is_none());
    assert_eq!(default.behind.value, LatePolicy::CatchUp(Duration::from_millis(100)));
    assert_eq!(default.late_threshold.value, Duration::from_micros(1));
    assert_eq!(port("speed = '2.5Gbps'").speed.unwrap().value, 2_500_000_000);
    assert_eq!(port("late_threshold = '0ns'").late_threshold.value, Duration::ZERO);
    for (written, behind) in [
        ("'catch_up'", LatePolicy::DEFAULT),
        ("'skip'", LatePolicy::Skip),
        ("{ catch_up = '20ms' }", LatePolicy::CatchUp(Duration::from_millis(20))),
    ] {
        assert_eq!(port(&format!("behind = {written}")).behind.value, behind, "{written}");
    }
    assert_eq!(only_flow("delay = '1m 5s'").delay.value, seconds(65));
    assert_eq!(only_flow("delay = '0s'").delay.value, Duration::ZERO);
    let default = only_flow("");
    assert!(
        default.rate.is_none()
            && default.delay.value.is_zero()
            && default.delay.place == Origin::Default
    );
}
