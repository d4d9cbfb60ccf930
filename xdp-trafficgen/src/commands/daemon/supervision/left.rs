//! What is left to send of a configuration after some time.

use std::time::Duration;

use crate::{
    config::{Config, Flow, Located, WhenFull},
    stats::{DropReason, FlowCount, PortCount},
};

/// What is left to send after this time: numbers of frames and durations are kept, while rates that
/// change (ramps, steps, traces, bursts and their number) begin anew. None: nothing.
pub(super) fn left(config: &Config, counts: &PortCount, elapsed: Duration) -> Option<Config> {
    let flows = config.flows.iter().zip(&counts.flows);
    let flows: Vec<Flow> =
        flows.filter_map(|(flow, count)| rest(flow, over(config, count), elapsed)).collect();
    (!flows.is_empty()).then(|| Config { flows, ..config.clone() })
}

/// Frames of a flow's number that are over: those that the driver had no room for are made up for,
/// unless the port floods.
fn over(config: &Config, count: &FlowCount) -> u64 {
    let floods = config.ports.iter().any(|port| port.when_full.value == WhenFull::Flood);
    let refused = |(reason, count): &(DropReason, u64)| {
        if *reason == DropReason::QueueFull && !floods { *count } else { 0 }
    };
    count.due().saturating_sub(count.drops.iter().map(refused).sum())
}

/// What is left of a flow that has been attempted so often in this time; none when it is over. Its
/// time counts from its beginning, which is the delay later than the start.
fn rest(flow: &Flow, frames_attempted: u64, elapsed: Duration) -> Option<Flow> {
    let mut flow = flow.clone();
    if let Some(Located { value, .. }) = &mut flow.packets {
        *value = value.checked_sub(frames_attempted).filter(|&left| left > 0)?;
    }
    if let Some(Located { value, .. }) = &mut flow.duration {
        let sent = elapsed.saturating_sub(flow.delay.value);
        *value = value.checked_sub(sent).filter(|left| !left.is_zero())?;
    }
    flow.delay.value = flow.delay.value.saturating_sub(elapsed);
    Some(flow)
}

/// The counts of a run, with a zero for each flow of `all` that was over before it and took no
/// part. Both are in the order of the configuration.
pub(super) fn every_flow(counted: Vec<FlowCount>, all: &[FlowCount]) -> Vec<FlowCount> {
    let mut counted = counted.into_iter().peekable();
    let count = |FlowCount { name, .. }: &FlowCount| {
        counted.next_if(|count| count.name == *name).unwrap_or_else(|| FlowCount::none(name))
    };
    all.iter().map(count).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        cli,
        commands::replace_rates,
        config::{Source, file},
        host::{Facts, Link},
        plan::{self, DefaultRoute, PortPlan},
    };

    fn flow(lines: &str) -> Flow {
        let text = format!(
            "[[ports]]\nname = 'p'\ninterface = 'e'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [{{ ethernet = {{}} }}]\n{lines}"
        );
        file::parse(Source::file("test.toml", &text))
            .unwrap_or_else(|wrong| panic!("{wrong}"))
            .flows
            .remove(0)
    }

    #[test]
    fn each_flow_keeps_its_own_end() {
        let second = Duration::from_secs(1);
        let left = |lines, frames_attempted, elapsed| {
            rest(&flow(lines), frames_attempted, elapsed).map(|flow| {
                (
                    flow.packets.map(|packets| packets.value),
                    flow.duration.map(|duration| duration.value),
                )
            })
        };
        assert_eq!(left("", 1_000_000, second), Some((None, None)));
        assert_eq!(left("packets = 10", 3, second), Some((Some(7), None)));
        assert_eq!(left("packets = 10", 10, second), None);
        assert_eq!(left("duration = '3s'", 10, second), Some((None, Some(2 * second))));
        assert_eq!(left("duration = '1s'", 10, second), None);
    }

    #[test]
    fn a_delay_goes_on_and_duration_counts_from_its_end() {
        let left = |delay, duration, elapsed| {
            let lines = format!("delay = '{delay}s'\nduration = '{duration}s'");
            rest(&flow(&lines), 0, Duration::from_secs(elapsed)).map(|flow| {
                (flow.delay.value.as_secs(), flow.duration.map(|duration| duration.value.as_secs()))
            })
        };
        assert_eq!(left(10, 5, 3), Some((7, Some(5))));
        assert_eq!(left(10, 5, 10), Some((0, Some(5))));
        assert_eq!(left(10, 5, 12), Some((0, Some(3))));
        assert_eq!(left(10, 5, 15), None);
    }

    #[test]
    fn flows_that_are_over_stay_in_the_counts() {
        let count = |name: &str, frames| FlowCount {
            name: name.to_owned(),
            frames_attempted: frames,
            frames_tx: frames,
            bytes_tx: frames * 64,
            ..FlowCount::default()
        };
        let all = [count("a", 1), count("b", 2), count("c", 3)];
        let counted = vec![count("a", 10), count("c", 30)];
        assert_eq!(every_flow(counted, &all), [count("a", 10), count("b", 0), count("c", 30)]);
        assert_eq!(every_flow(Vec::new(), &all[..1]), [count("a", 0)]);
    }

    /// What `--rate` makes of three flows, the first of which is over after a second; on one CPU of
    /// no machine.
    pub(in crate::commands::daemon::supervision) fn shared_rates() -> Config {
        let text = "[[ports]]\nname = 'p'\ninterface = 'veth0'\n".to_owned()
            + &["28pps'\nduration = '1s", "16pps", "4pps"].map(|rate| {
                format!("[[flows]]\nname = '{rate:.4}'\nport = 'p'\nrate = '{rate}'\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}]\n")
            }).concat();
        let mut config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let options =
            cli::RateOptions { rate: Some("4800pps".to_owned()), ..cli::RateOptions::default() };
        replace_rates(&mut config, &options, cli::Scale::default()).unwrap();
        config
    }

    pub(in crate::commands::daemon::supervision) fn planned(config: &Config) -> PortPlan {
        let link = Link {
            name: "veth0".to_owned(),
            alt_names: Vec::new(),
            index: 3,
            mtu: 1500,
            up: true,
            carrier: true,
            mac: Some([2, 0, 0, 0, 0, 1]),
            speed: None,
            bus: None,
        };
        let facts =
            Facts { links: vec![link], cpus: vec![0], allowed_cpus: vec![0], ..Facts::default() };
        let plan = plan::plan(config, &facts, DefaultRoute::Allow)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        plan.ports.into_iter().next().unwrap()
    }

    fn requested(port: &PortPlan) -> Vec<f64> {
        let requested = &port.pacing.as_ref().unwrap().requested;
        requested.iter().map(|rate| rate.unwrap().to_f64()).collect()
    }

    /// After an outage, 16 and 4 of 48 parts became 16 and 4 of 20.
    #[test]
    fn flows_that_are_over_leave_their_shares_to_nobody() {
        let config = shared_rates();
        let port = planned(&config);
        assert_eq!(requested(&port), [2800.0, 1600.0, 400.0]);
        let rest = left(&config, &PortCount::none(&port), Duration::from_secs(2)).unwrap();
        assert_eq!(requested(&planned(&rest)), [1600.0, 400.0]);
    }
}
