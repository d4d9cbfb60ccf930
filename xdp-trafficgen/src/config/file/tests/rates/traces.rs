//! Traces with mistakes, in the text and in files of their own.

use crate::config::{
    Source,
    file::{
        parse,
        tests::{FLOW, PORT, check_flow},
    },
};

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
