//! Rates of `--set` and of options.

use std::time::Duration;

use super::{frames, read, seconds};
use crate::config::{
    LatePolicy, Origin, Profile, Source,
    file::{
        no_files, parse_rate_option, parse_with,
        tests::{FLOW, PORT, check_set},
    },
};

#[test]
fn overrides() {
    let text = format!("{PORT}{FLOW}");
    let set = |arguments: &[&str]| {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| (*argument).to_owned()).collect();
        parse_with(Source::file("test.toml", &text), &arguments, &read)
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

/// Checks the rate of an option, or the messages about it.
#[track_caller]
fn check_option(text: &str, expected: Result<&Profile, &[&str]>) {
    match (parse_rate_option("--rate", text, &read), expected) {
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
