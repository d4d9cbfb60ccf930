//! What is measured: the rows of the table, each with its bar.

use super::{
    bar::Bar,
    measure::{Figure, Measurement, Time},
};

/// A row, or several that are read from the same measurement.
pub(super) enum Subject {
    /// The rates of two things, by interleaved pairs.
    Ratio(Side, Side, Bar),
    /// Figures of one thing.
    Alone(Side, &'static [(Figure, Bar)]),
}

/// A thing that is measured.
#[derive(Clone, Copy)]
pub(super) struct Side {
    /// In the table.
    pub(super) name: &'static str,
    pub(super) measurement: Measurement,
    /// Cores that it needs.
    pub(super) cores: usize,
}

/// Says how it is measured, for people who read the JSON.
pub(super) fn how(subject: &Subject) -> String {
    match subject {
        Subject::Ratio(a, b, _) => format!(
            "frames that arrive a second, interleaved pairs: `{}` by `{}`",
            a.measurement.command, b.measurement.command
        ),
        Subject::Alone(side, _) => format!("`{}`, again and again", side.measurement.command),
    }
}

/// A case on CPU 0.
const fn one_core(name: &'static str, command: &'static str) -> Side {
    Side { name, measurement: Measurement { command, time: Time::AsTold }, cores: 1 }
}

/// A case on CPUs 0 and 1.
const fn two_cores(name: &'static str, command: &'static str) -> Side {
    Side { name, measurement: Measurement { command, time: Time::AsTold }, cores: 2 }
}

/// A case that takes its own time.
const fn takes(seconds: f64, side: Side) -> Side {
    let Side { name, measurement: Measurement { command, .. }, cores } = side;
    Side { name, measurement: Measurement { command, time: Time::Seconds(seconds) }, cores }
}

/// A command that has no time.
const fn ends(side: Side) -> Side {
    let Side { name, measurement: Measurement { command, .. }, cores } = side;
    Side { name, measurement: Measurement { command, time: Time::Own }, cores }
}

/// The yardstick: a program that only redirects.
pub(super) const FLOOR: Side = one_core("redirect only, 1 core", "run floor --cpus 0");
/// What other generators are compared with.
pub(super) const PORT_RANGE: Side = one_core("port range, 1 core", "run port-range --cpus 0");
pub(super) const PORT_RANGE_ON_TWO: Side =
    two_cores("port range, 2 cores, 1 queue", "run port-range --cpus 0,1 --queues 1");
/// What other generators are to reach of it, at most: the bars are of xdp-tools' newest.
pub(super) const PEER_BAR: Bar = Bar::AtLeast(1.18);
pub(super) const PEER_BAR_ON_TWO: Bar = Bar::AtLeast(1.0);

const ONE_FLOW: Side = one_core("one flow, 1 core", "run one-flow --cpus 0");
const ONE_FLOW_LONG: Side =
    one_core("one flow, 60 000 ports, 1 core", "run one-flow-long --cpus 0");

/// Everything that is measured, in the table's order.
///
/// The rates' bars are for a bare redirect of 130 ns and of 50 ns. "Long" sequences are those that
/// were too long to be recorded when the bars were set.
pub(super) const SUBJECTS: &[Subject] = {
    use Figure::{
        Arrived, BytesAFlow, CheckSeconds, LatePercent, MissingPercent, RefusedPercent, StartMs,
        StopMs,
    };
    use Subject::{Alone, Ratio};
    &[
        Ratio(PORT_RANGE, FLOOR, Bar::OfRedirect(0.97, 0.95)),
        Ratio(one_core("four fields", "run four-fields --cpus 0"), FLOOR, Bar::AtLeast(0.92)),
        Ratio(one_core("eight fields", "run eight-fields --cpus 0"), FLOOR, Bar::AtLeast(0.88)),
        Ratio(one_core("VXLAN, six fields", "run vxlan --cpus 0"), FLOOR, Bar::AtLeast(0.85)),
        Ratio(
            one_core("64 000 ports", "run long-port-range --cpus 0"),
            FLOOR,
            Bar::OfRedirect(0.96, 0.94),
        ),
        Ratio(
            one_core("four fields, long", "run four-fields-long --cpus 0"),
            FLOOR,
            Bar::OfRedirect(0.95, 0.93),
        ),
        Ratio(
            one_core("four fields, random", "run four-fields-random --cpus 0"),
            FLOOR,
            Bar::OfRedirect(0.92, 0.86),
        ),
        Ratio(
            one_core("eight fields, long", "run eight-fields-long --cpus 0"),
            FLOOR,
            Bar::OfRedirect(0.94, 0.91),
        ),
        Ratio(
            one_core("VXLAN, six fields, long", "run vxlan-long --cpus 0"),
            FLOOR,
            Bar::OfRedirect(0.92, 0.90),
        ),
        Ratio(one_core("IMIX", "run imix --cpus 0"), FLOOR, Bar::OfRedirect(0.90, 0.86)),
        Ratio(
            one_core("IMIX, 64 000 ports", "run imix-long --cpus 0"),
            FLOOR,
            Bar::OfRedirect(0.88, 0.84),
        ),
        Ratio(
            one_core("64 flows", "run sixty-four-flows --cpus 0"),
            ONE_FLOW,
            Bar::OfRedirect(0.964, 0.95),
        ),
        Ratio(
            one_core("4096 flows", "run many-flows --cpus 0"),
            ONE_FLOW,
            Bar::OfRedirect(0.963, 0.93),
        ),
        Ratio(
            one_core("64 flows, 60 000 ports", "run sixty-four-flows-long --cpus 0"),
            ONE_FLOW_LONG,
            Bar::None,
        ),
        Ratio(
            one_core("4096 flows, 60 000 ports", "run many-flows-long --cpus 0"),
            ONE_FLOW_LONG,
            Bar::None,
        ),
        Ratio(
            one_core("2 shapes, 60 000 ports", "run two-shapes --cpus 0"),
            ONE_FLOW_LONG,
            Bar::None,
        ),
        Ratio(
            one_core("64 shapes, 60 000 frames", "run sixty-four-shapes-long --cpus 0"),
            ONE_FLOW_LONG,
            Bar::AtLeast(0.93),
        ),
        Ratio(
            one_core("one flow, a rate out of reach", "run one-flow-paced --cpus 0"),
            ONE_FLOW,
            Bar::None,
        ),
        Ratio(
            PORT_RANGE,
            one_core("port range, uncounted", "run port-range --uncounted --cpus 0"),
            Bar::AtLeast(0.98),
        ),
        Ratio(
            one_core("64 flows", "run sixty-four-flows --cpus 0"),
            one_core("64 flows, uncounted", "run sixty-four-flows --uncounted --cpus 0"),
            Bar::AtLeast(0.98),
        ),
        Ratio(
            two_cores("port range, 2 cores, 2 queues", "run port-range --cpus 0,1"),
            PORT_RANGE,
            Bar::AtLeast(1.85),
        ),
        Ratio(PORT_RANGE_ON_TWO, PORT_RANGE, Bar::AtLeast(1.0)),
        Ratio(
            PORT_RANGE_ON_TWO,
            two_cores("redirect only, 2 cores, 1 queue", "run floor --cpus 0,1 --queues 1"),
            Bar::None,
        ),
        Alone(
            takes(3.0, one_core("1000 × 2 kpps, 1 core", "run thousand-flows-paced --cpus 0")),
            &[(LatePercent, Bar::AtMost(4.0)), (MissingPercent, Bar::AtMost(0.01))],
        ),
        Alone(
            takes(3.0, two_cores("1000 × 2 kpps, 2 cores", "run thousand-flows-paced --cpus 0,1")),
            &[(LatePercent, Bar::AtMost(4.0)), (MissingPercent, Bar::AtMost(0.01))],
        ),
        Alone(
            takes(
                3.0,
                two_cores("20 000 × 50 pps, 2 cores", "run twenty-thousand-flows-paced --cpus 0,1"),
            ),
            &[(LatePercent, Bar::AtMost(5.0)), (MissingPercent, Bar::AtMost(0.01))],
        ),
        Alone(
            takes(
                5.0,
                one_core("60 000 × 1 pps, 1 core", "run sixty-thousand-flows-slow --cpus 0"),
            ),
            &[(LatePercent, Bar::AtMost(5.0)), (MissingPercent, Bar::AtMost(0.0))],
        ),
        Alone(
            takes(
                5.0,
                one_core("60 000 × 10 pps, 1 core", "run sixty-thousand-flows-paced --cpus 0"),
            ),
            &[(LatePercent, Bar::AtMost(5.0)), (MissingPercent, Bar::AtMost(0.0))],
        ),
        Alone(
            takes(
                60.0,
                two_cores(
                    "1 000 000 frames to a third of the speed",
                    "run port-range --packets 1000000 --slow-receiver-ns 300 --queues 1 --cpus 0",
                ),
            ),
            &[(Arrived, Bar::AtLeast(1e6)), (RefusedPercent, Bar::AtMost(0.1))],
        ),
        Alone(
            ends(one_core("check of 60 000 flows", "check sixty-thousand-flows-paced")),
            &[(BytesAFlow, Bar::AtMost(3000.0)), (CheckSeconds, Bar::AtMost(0.6))],
        ),
        Alone(
            ends(two_cores("start of 1 port", "latency --times 20 --cpus 0")),
            &[(StartMs, Bar::AtMost(60.0))],
        ),
        Alone(
            ends(two_cores("stop of 1 port, 99th percentile", "latency --times 100 --cpus 0")),
            &[(StopMs, Bar::AtMost(50.0))],
        ),
        Alone(
            ends(two_cores(
                "start of 60 ports",
                "latency --ports 60 --rate 100pps --times 3 --cpus 0,1",
            )),
            &[(StartMs, Bar::AtMost(1000.0))],
        ),
    ]
};
