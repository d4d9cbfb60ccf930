//! Rates with mistakes.

use crate::config::file::tests::{PORT, check, check_flow, check_port, only_flow, parsed};

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
    // The same holds where rates themselves are wrong. Each port is checked separately.
    let east = "[[ports]]\nname = 'east'\ninterface = 'veth1'\n";
    let wrong = format!(
        "{PORT}{east}{}{}{}",
        flow("a", "west", "rate = 5"),
        flow("b", "west", ""),
        flow("c", "east", "")
    );
    check(&wrong, &[("5", "`\"5pps\"`"), ("'b'", "flow `b` has no rate, but `a`")]);
}
