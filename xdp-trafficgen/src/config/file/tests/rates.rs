//! Rates, profiles, and what goes with them.

use std::{io, time::Duration};

use super::{FLOW, PORT, check, check_flow, check_port, check_set, files, only_flow, parsed};
use crate::{
    config::{
        LatePolicy, Origin, Profile, Rate, RateUnit, Source,
        file::{no_files, parse, parse_rate_option, parse_with},
        rate::Spacing,
        rate::{Burst, Step},
    },
    units::Ratio,
};

/// The files that traces in these tests can name.
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

const fn frames(numerator: u128) -> Rate {
    Rate { amount: Ratio { numerator, denominator: 1 }, unit: RateUnit::Frames }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The same for ports and flows.
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
    let share = Rate { amount: Ratio { numerator: 1, denominator: 8 }, unit: RateUnit::LineShare };
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
    let share = |denominator| Rate {
        amount: Ratio { numerator: 1, denominator },
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

#[test]
fn wrong_literals() {
    check_flow(
        "rate = 1000",
        &[("1000", "not the integer 1000; write its unit, in quotes: `\"1000pps\"`")],
    );
    check_flow(
        "rate = 1.5",
        &[("1.5", "not the float 1.5; write its unit, in quotes: `\"1.5pps\"`")],
    );
    check_flow("rate = '1000'", &[("'1000'", "`1000` has no unit; write its unit: `1000pps`")]);
    check_flow(
        "rate = true",
        &[("true", "`rate` must be a string or a table, not the boolean true")],
    );
    check_flow(
        "rate = []",
        &[("[]", "`rate` must be a string or a table, not an array; write `\"500kpps\"`")],
    );
    check_flow(
        "rate = '0kpps'",
        &[("'0kpps'", "a rate of 0 pps sends nothing; write a rate above zero")],
    );
    check_flow("rate = '-1pps'", &[("'-1pps'", "the rate `-1pps` is negative")]);
    check_flow(
        "rate = '10Mb'",
        &[("'10Mb'", "unknown unit `Mb` of a rate; the units are `pps`, `bps`")],
    );
    check_port(
        "rate = '101%'",
        &[("'101%'", "`101%` is more than the line carries; write at most `100%`; give")],
    );
    check_port(
        "speed = 10\nlate_threshold = 1\nbehind = 5",
        &[
            (
                "10",
                "`speed` must be a string, not the integer 10; write a number and its unit in quotes",
            ),
            ("1", "`late_threshold` must be a string, not the integer 1"),
            ("5", "`behind` must be a string or a table, not the integer 5; write `\"catch_up\"`"),
        ],
    );
    check_port(
        "speed = '10GbpsL1'\nlate_threshold = '1'\nbehind = 'skp'",
        &[
            ("'10GbpsL1'", "`10GbpsL1` is not the speed of a link"),
            ("'1'", "`1` is not a duration"),
            ("'skp'", "`skp` is not a way to deal with overdue frames; write `catch_up`"),
        ],
    );
    check_port("behind = {}", &[("{}", "has no `catch_up`; add `catch_up = \"20ms\"`")]);
    check_port(
        "behind = { catch_up = '0s' }",
        &[("'0s'", "nothing can be caught up in no time; write `skip`")],
    );
    check_port(
        "behind = { catch_up = 5, skip = 1 }",
        &[("5", "`catch_up` must be a string"), ("skip", "unknown key")],
    );
    check_flow("delay = '-1s'", &[("'-1s'", "`-1s` is negative")]);
}

#[test]
fn wrong_forms() {
    check_flow(
        "rate = {}",
        &[("{}", "this rate is empty; write one of `constant`, `poisson`, `burst`, `ramp`")],
    );
    check_flow(
        "rate = { poison = '1pps' }",
        &[("poison", "unknown key `poison` in a rate; did you mean `poisson`?")],
    );
    check_flow(
        "rate = { constant = '1pps', poisson = '1pps' }",
        &[(
            "{ constant = '1pps', poisson = '1pps' }",
            "this rate has several forms at once: `constant`, `poisson`",
        )],
    );
    check_flow(
        "rate = { constant = '1pps', repeat = true }",
        &[("repeat", "unknown key `repeat` in a rate")],
    );
    check_flow("rate = { constant = 5 }", &[("5", "in quotes: `\"5pps\"`")]);
    check_flow("rate = { poisson = '0pps' }", &[("'0pps'", "sends nothing")]);
    check_flow(
        "rate = { poisson = {} }",
        &[("{}", "this Poisson rate has no `mean`; add `mean = \"100kpps\"`")],
    );
    check_flow(
        "rate = { poisson = { mean = 1, seed = -1, sed = 1 } }",
        &[("1", "`\"1pps\"`"), ("-1", "-1 is negative"), ("sed", "unknown key `sed`")],
    );
    check_flow(
        "rate = { burst = 5 }",
        &[("5", "`burst` must be a table, not the integer 5; write `{ packets = 100")],
    );
    check_flow(
        "rate = { burst = {} }",
        &[("{}", "burst has no `packets`"), ("{}", "has no `inter_burst_gap`")],
    );
    check_flow(
        "rate = { burst = { packets = 0, gap = 5, inter_burst_gap = '0s', bursts = 0 } }",
        &[
            ("0", "`packets` is 0, too small"),
            ("5", "`gap` must be a string"),
            ("'0s'", "`inter_burst_gap` is zero; write a time above zero"),
            ("0", "`bursts` is 0, too small"),
        ],
    );
    let both =
        "rate = { burst = { packets = 2, gap = '1us', rate = '317pps', inter_burst_gap = '1ms' } }";
    check_flow(
        both,
        &[("'317pps'", "this burst has both a `gap` and a `rate`; write one of them")],
    );
    let endless = "{ packets = 18446744073709551615, gap = '1us', inter_burst_gap = '1ns' }";
    check_flow(
        &format!("rate = {{ burst = {endless} }}"),
        &[(endless, "more than 584 years; make `packets`")],
    );
    check_flow(
        "rate = { ramp = {} }",
        &[("{}", "has no `from`"), ("{}", "has no `to`"), ("{}", "has no `over`")],
    );
    check_flow(
        "rate = { ramp = { from = '0pps', to = '0bps', over = '1s' } }",
        &[("{ from = '0pps', to = '0bps', over = '1s' }", "all rates of this ramp are zero")],
    );
    check_flow(
        "rate = { ramp = { from = 1, to = 'x', over = '0s' } }",
        &[("1", "`\"1pps\"`"), ("'x'", "`x` is not a rate"), ("'0s'", "`over` is zero")],
    );
    check_flow(
        "rate = { sine = {} }",
        &[("{}", "no `mean`"), ("{}", "no `amplitude`"), ("{}", "no `period`")],
    );
    let sine = |mean: &str, amplitude: &str| {
        format!(
            "rate = {{ sine = {{ mean = '{mean}', amplitude = '{amplitude}', period = '1s' }} }}"
        )
    };
    check_flow(&sine("0pps", "0pps"), &[("'0pps'", "a rate of 0 pps sends nothing")]);
    check_flow(
        &sine("1kpps", "1Mbps"),
        &[("'1Mbps'", "1 kpps and 1 Mbps are of different units; write all")],
    );
    check_flow(
        &sine("1kpps", "1.001kpps"),
        &[("'1.001kpps'", "leads below zero; write at most 1 kpps")],
    );
    check_flow(
        &sine("60%", "40.1%"),
        &[("'40.1%'", "`60 % + 40.1 %` is more than the line carries")],
    );
    only_flow(&sine("60%", "40%"));
}

#[test]
fn wrong_steps() {
    check_flow(
        "rate = { steps = [] }",
        &[("[]", "there are no steps; write each rate with its time")],
    );
    check_flow("rate = { steps = 5 }", &[("5", "`steps` must be an array, not the integer 5")]);
    check_flow(
        "rate = { steps = [{ rate = 5, duration = '0s' }, {}, 7] }",
        &[
            ("5", "`\"5pps\"`"),
            ("'0s'", "`duration` is zero"),
            ("{}", "this step has no `rate`"),
            ("{}", "this step has no `duration`"),
            ("7", "`steps` must be a table, not the integer 7"),
        ],
    );
    let zero = "[{ rate = '0pps', duration = '1s' }]";
    check_flow(
        &format!("rate = {{ steps = {zero} }}"),
        &[(zero, "all rates of these steps are zero")],
    );
    let long =
        "[{ rate = '1pps', duration = '500 years' }, { rate = '1pps', duration = '500 years' }]";
    check_flow(
        &format!("rate = {{ steps = {long} }}"),
        &[(long, "these steps take more than 584 years")],
    );
    check_flow(
        "rate = { steps = [{ rate = '1pps', duration = '1s' }], repeat = 1 }",
        &[("1", "`repeat` must be a boolean, not the integer 1; write `true`")],
    );
}

#[test]
fn wrong_traces() {
    check_flow("rate = { trace = 5 }", &[("5", "`trace` must be a string, an array or a table")]);
    check_flow("rate = { trace = '' }", &[("''", "`trace` is empty")]);
    check_flow("rate = { trace = [] }", &[("[]", "this trace has no points; write a file's name")]);
    check_flow(
        "rate = { trace = [['0s', '1pps']] }",
        &[("[['0s', '1pps']]", "this trace has a single point")],
    );
    check_flow(
        "rate = { trace = [['0s', '0pps'], ['1s', '0pps']] }",
        &[("[['0s', '0pps'], ['1s', '0pps']]", "all rates of this trace are zero")],
    );
    check_flow(
        "rate = { trace = [['1s', '1pps'], ['1s', '2pps'], ['2s', '1bps'], ['3s'], [4, 5], 6] }",
        &[
            (
                "['1s', '1pps']",
                "the first point is not at the start; write a first point at 0 seconds",
            ),
            (
                "['1s', '2pps']",
                "the time 1s is not behind that of the point before, 1s; write points in the order",
            ),
            ("['2s', '1bps']", "1 pps and 1 bps are of different units"),
            ("['3s']", "a point of a trace has two parts, not 1; write a time and a rate"),
            ("4", "`trace` must be a string"),
            ("5", "`\"5pps\"`"),
            ("6", "`trace` must be an array"),
        ],
    );
    check_flow(
        "rate = { trace = {} }",
        &[("{}", "this trace has no `file`; add `file = \"load.csv\"`")],
    );
    check_flow(
        "rate = { trace = { file = 'day.csv', unit = 'kbs', repeat = 'no' } }",
        &[("'kbs'", "unknown unit `kbs`"), ("'no'", "`repeat` must be a boolean")],
    );
    check_flow(
        "rate = { trace = { file = 'day.csv', repeat = true }, repeat = false }",
        &[("repeat", "`repeat` is there twice; keep the one beside `file`")],
    );
}

#[test]
fn wrong_trace_files() {
    check_flow(
        "rate = { trace = 'no.csv' }",
        &[(
            "'no.csv'",
            "cannot read `no.csv`: entity not found; a path starts at the folder of the configuration file",
        )],
    );
    check_flow(
        "rate = { trace = 'wrong.csv' }",
        &[
            ("'wrong.csv'", "line 2 of `wrong.csv`: the first point is not at the start"),
            ("'wrong.csv'", "line 3 of `wrong.csv`: `x` is not a rate"),
            (
                "'wrong.csv'",
                "line 4 of `wrong.csv`: 1 column instead of 2; write the time in seconds, a comma",
            ),
            ("'wrong.csv'", "line 5 of `wrong.csv`: 3 columns instead of 2"),
            ("'wrong.csv'", "line 6 of `wrong.csv`: unknown unit `Gbs` of a rate"),
            ("'wrong.csv'", "line 7 of `wrong.csv`: 5 pps and 10 % are of different units"),
            ("'wrong.csv'", "line 8 of `wrong.csv`: `-1` is negative; count seconds from 0"),
        ],
    );
    check_flow(
        "rate = { trace = 'late.csv' }",
        &[("'late.csv'", "line 5 of `late.csv`: the first point is not at the start")],
    );
    check_flow("rate = { trace = 'empty.csv' }", &[("'empty.csv'", "this trace has no points")]);
    check_flow(
        "rate = { trace = 'zeros.csv' }",
        &[("'zeros.csv'", "all rates of this trace are zero")],
    );
    let mut noise: Vec<_> =
        (2..=11).map(|line| format!("line {line} of `noise.csv`: `a` is not a")).collect();
    noise.push("4 more lines of `noise.csv` are wrong".to_owned());
    let noise: Vec<_> = noise.iter().map(|message| ("'noise.csv'", message.as_str())).collect();
    check_flow("rate = { trace = 'noise.csv' }", &noise);
    check_flow(
        "rate = { trace = 'long.csv' }",
        &[(
            "'long.csv'",
            "all traces and steps together have more than 1000000 points; leave points out",
        )],
    );
    let text = format!("{PORT}{FLOW}rate = {{ trace = 'day.csv' }}");
    let wrong = parse(Source::file("test.toml", &text)).unwrap_err();
    assert!(wrong.to_string().contains("has no folder to read files from"), "{wrong}");
}

#[test]
fn a_port_has_a_rate_or_its_flows_have() {
    let flow = |name: &str, port: &str, more: &str| {
        format!(
            "[[flows]]\nname = '{name}'\nport = '{port}'\npacket = [{{ ethernet = {{}} }}]\n{more}\n"
        )
    };
    let two = format!(
        "{PORT}{}{}",
        flow("a", "west", "rate = '1pps'"),
        flow("b", "west", "rate = '2pps'")
    );
    assert_eq!(parsed(&two).flows.len(), 2);
    let both = format!(
        "{PORT}rate = '1kpps'\n{}{}",
        flow("a", "west", ""),
        flow("b", "west", "rate = '2pps'")
    );
    check(
        &both,
        &[("'2pps'", "flow `b` has a rate, and so has its port `west`; remove one of the two")],
    );
    let some = format!(
        "{PORT}{}{}{}",
        flow("a", "west", "rate = '1pps'"),
        flow("b", "west", ""),
        flow("c", "west", "rate = '1pps'")
    );
    check(
        &some,
        &[(
            "'b'",
            "flow `b` has no rate, but `a` of the same port has; give each flow of port `west` a rate",
        )],
    );
    // Also where the rates themselves are wrong; each port is a case of its own.
    let east = "[[ports]]\nname = 'east'\ninterface = 'veth1'\n";
    let wrong = format!(
        "{PORT}{east}{}{}{}",
        flow("a", "west", "rate = 5"),
        flow("b", "west", ""),
        flow("c", "east", "")
    );
    check(&wrong, &[("5", "`\"5pps\"`"), ("'b'", "flow `b` has no rate, but `a`")]);
}

#[test]
fn overrides() {
    let text = format!("{PORT}{FLOW}");
    let set = |arguments: &[&str]| {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| (*argument).to_owned()).collect();
        parse_with(Source::file("test.toml", &text), &arguments, &files)
            .unwrap_or_else(|wrong| panic!("{wrong}"))
    };
    let rate = |argument| set(&[argument]).flows[0].rate.clone().unwrap().value;
    assert_eq!(rate("flows.dns.rate=500kpps"), Profile::Constant(frames(500_000)));
    assert_eq!(
        rate("flows.*.rate={ poisson = '1kpps' }"),
        Profile::Poisson { mean: frames(1000), seed: None }
    );
    assert_eq!(
        rate("flows.dns.rate.poisson.mean=1kpps"),
        Profile::Poisson { mean: frames(1000), seed: None }
    );
    assert!(matches!(rate("flows.dns.rate.trace=day.csv"), Profile::Trace { .. }));
    let config =
        set(&["ports.west.rate=40%", "ports.west.behind=catch_up=5ms", "ports.west.speed=10Gbps"]);
    assert!(config.ports[0].rate.is_some() && config.ports[0].speed.is_some());
    assert_eq!(config.ports[0].behind.value, LatePolicy::CatchUp(Duration::from_millis(5)));
    check_set(&text, &["flows.dns.rate=1000"], &[("1000", "`\"1000pps\"`")]);
    check_set(
        &text,
        &["flows.dns.rate=1pps", "ports.west.rate=1pps"],
        &[("1pps", "flow `dns` has a rate, and so has its port")],
    );
}

/// Of an option, and the messages about it.
#[track_caller]
fn check_option(text: &str, expected: Result<&Profile, &[&str]>) {
    match (parse_rate_option("--rate", text, &files), expected) {
        (Ok(profile), Ok(expected)) => {
            assert_eq!(
                (&profile.value, &profile.place),
                (expected, &Origin::Option("--rate")),
                "{text}"
            );
        }
        (Err(problems), Err(parts)) => {
            assert_eq!(problems.len(), parts.len(), "{problems:?}");
            for (problem, part) in problems.iter().zip(parts) {
                assert_eq!(problem.place, Origin::Option("--rate"));
                assert!(
                    format!("{}; {}", problem.message, problem.help).contains(part),
                    "{problem:?}"
                );
            }
        }
        (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
    }
}

#[test]
fn options() {
    check_option("1.5Mpps", Ok(&Profile::Constant(frames(1_500_000))));
    check_option(" 10 pps", Ok(&Profile::Constant(frames(10))));
    check_option(
        "{ poisson = '10kpps' }",
        Ok(&Profile::Poisson { mean: frames(10_000), seed: None }),
    );
    let points = vec![(seconds(0), frames(10)), (seconds(1), frames(20))];
    check_option("{ trace = 'excel.csv' }", Ok(&Profile::Trace { points, repeat: false }));
    check_option("1000", Err(&["`1000` has no unit; write its unit: `1000pps`"]));
    check_option("", Err(&["`` is not a rate"]));
    check_option("{ poisson = 10kpps }", Err(&["`{ poisson = 10kpps }` is not a rate"]));
    check_option("{ ramp = { from = 5, to = '1kpps' } }", Err(&["has no `over`", "`\"5pps\"`"]));
    assert!(parse_rate_option("--rate", "{ trace = 'day.csv' }", &no_files).is_err());
}
