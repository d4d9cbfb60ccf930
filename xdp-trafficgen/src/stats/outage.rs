//! Counts of a port during an outage: the departures of that time count as unsent, and the time
//! counts as one in which the port was due to send.

use std::time::Duration;

use crate::{
    plan::pacing::{
        Streams,
        missed::{Flow, MissedDepartures},
    },
    stats::{
        PortCount, Punctuality,
        due_time::{Window, covered, length},
    },
};

/// The outages of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// How long the port could not send, all outages together.
    pub down: Duration,
    /// How often the port was started again.
    pub restarts: u64,
    /// Departures during outages, none of which had a frame.
    pub unsent: u64,
    /// Why it last failed.
    pub reason: String,
}

impl Outage {
    pub(super) fn add(&mut self, earlier: &Self) {
        let Self { down, restarts, unsent, reason } = earlier;
        self.down += *down;
        self.restarts += restarts;
        self.unsent += unsent;
        if self.reason.is_empty() {
            self.reason.clone_from(reason);
        }
    }
}

/// A port in an outage, and its counts during it.
#[derive(Clone, Debug)]
pub struct StoppedPort {
    /// The counts at the start of the outage.
    count: PortCount,
    missed: MissedDepartures,
    /// The start of the outage, counted from the port's last start.
    from: Duration,
}

impl StoppedPort {
    /// A port that sent as `planned` until `from`, counted from its last start. `count` has all
    /// counts of then, and `before` those from before that start.
    pub fn since(
        planned: MissedDepartures,
        from: Duration,
        count: PortCount,
        before: &PortCount,
    ) -> Self {
        // All are in the configuration's order; flows that had ended before are not planned.
        let mut counted = count.flows.iter().zip(&before.flows);
        let had = |name: &String| {
            let (now, before) = counted.by_ref().find(|(now, _)| now.name == *name)?;
            Some(now.due().saturating_sub(before.due()))
        };
        let had: Vec<u64> = planned.flows().iter().map(|flow| &flow.name).map_while(had).collect();
        Self { count, missed: planned.after(from, &had), from }
    }

    /// The counts at `to`, counted from the port's last start. Later calls must not have earlier
    /// times.
    pub fn counts(&mut self, to: Duration, reason: &str) -> PortCount {
        let mut count = self.count.clone();
        count.outage.down += to.saturating_sub(self.from);
        reason.clone_into(&mut count.outage.reason);
        let (streams, requested) = (self.missed.streams(), self.missed.requested());
        self.missed.by(to);
        let within = |(begin, end): Window| {
            let begin = begin.max(self.from);
            (begin, end.min(to).max(begin))
        };
        let windows: Vec<Window> =
            self.missed.flows().iter().map(|flow| within(flow.window())).collect();
        let due_time = covered(windows.iter().copied());
        count.due_time += due_time;
        let missed = self.missed.flows();
        let mut flows = count.flows.iter_mut();
        for (index, (flow, window)) in missed.iter().zip(windows).enumerate() {
            let Some(counted) = flows.by_ref().find(|counted| counted.name == flow.name) else {
                break;
            };
            counted.due_time += length(window);
            let own =
                requested.get(index).copied().flatten().filter(|_| streams == Some(Streams::Flows));
            let nothing_sent = Punctuality::of_nothing_sent(flow.missed(), own, length(window));
            let nothing_sent = nothing_sent.filter(|_| streams.is_some());
            counted.punctuality = Punctuality::of_both(nothing_sent, counted.punctuality);
        }
        if let Some(streams) = streams {
            let unsent = missed.iter().map(Flow::missed).sum();
            // Where some flows pause, the requested rate follows from the departures alone.
            let all_send = streams == Streams::Port || missed.iter().all(Flow::goes_on);
            let requested = requested.iter().copied().sum::<Option<f64>>().filter(|_| all_send);
            let nothing_sent = Punctuality::of_nothing_sent(unsent, requested, due_time);
            count.punctuality = Punctuality::of_both(nothing_sent, count.punctuality);
            count.outage.unsent += unsent;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::{Source, file},
        plan::{DefaultRoute, PortPlan, plan, tests::facts},
    };

    /// A port with this rate, if any, and a flow with each of these lines.
    fn port(rate: Option<u32>, flows: &[String]) -> PortPlan {
        let rate = rate.map_or(String::new(), |rate| format!("rate = '{rate}pps'\n"));
        let mut text = format!("[[ports]]\nname = 'p'\ninterface = 'veth0'\n{rate}");
        for (index, lines) in flows.iter().enumerate() {
            text += &format!(
                "[[flows]]\nname = 'f{index}'\nport = 'p'\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}]\n{lines}\n"
            );
        }
        let config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let plan = plan(&config, &facts(), DefaultRoute::Refuse);
        plan.unwrap_or_else(|wrong| panic!("{wrong}")).ports.remove(0)
    }

    /// The counts of a port that attempted this number of frames of each flow.
    fn sent(plan: &PortPlan, had: &[u64]) -> PortCount {
        let mut count = PortCount { frames_attempted: had.iter().sum(), ..PortCount::none(plan) };
        count.flows.iter_mut().zip(had).for_each(|(flow, had)| flow.frames_attempted = *had);
        count
    }

    fn unsent(punctuality: Option<Punctuality>) -> u64 {
        punctuality.map_or(0, |punctuality| punctuality.unsent)
    }

    fn unsent_of_flows(count: &PortCount) -> Vec<u64> {
        count.flows.iter().map(|flow| unsent(flow.punctuality)).collect()
    }

    /// Checks what holds at every time, at each of these times in milliseconds. Returns the last
    /// counts.
    #[track_caller]
    fn look(plan: &PortPlan, had: &[u64], from: u64, times: &[u64]) -> PortCount {
        let none = PortCount::none(plan);
        let mut down = StoppedPort::since(
            MissedDepartures::of(plan),
            Duration::from_millis(from),
            sent(plan, had),
            &none,
        );
        let mut last = sent(plan, had);
        for time in times {
            let count = down.counts(Duration::from_millis(*time), "");
            assert_eq!(
                unsent(count.punctuality),
                unsent_of_flows(&count).iter().sum::<u64>(),
                "{count:?}"
            );
            assert_eq!(count.outage.unsent, unsent(count.punctuality), "{count:?}");
            assert_eq!(count.outage.down, Duration::from_millis(time - from));
            assert!(count.due_time >= last.due_time, "{last:?}, {count:?}");
            for ((flow, before), planned) in count.flows.iter().zip(&last.flows).zip(&plan.flows) {
                assert!(
                    flow.due() >= before.due() && flow.due_time >= before.due_time,
                    "{last:?}, {count:?}"
                );
                assert!(planned.packets.is_none_or(|packets| flow.due() <= packets), "{count:?}");
            }
            last = count;
        }
        last
    }

    /// A flow that ends during an outage keeps its unsent departures in all later counts.
    #[test]
    fn unsent_departures_stay_when_a_flow_has_ended() {
        let flows = ["packets = 2000".to_owned(), "packets = 1000\nweight = 2".to_owned()];
        let shared = port(Some(1000), &flows);
        let count = look(&shared, &[200, 400], 600, &[1000, 1500, 2000, 2500, 3000, 3500, 4000]);
        assert_eq!(unsent_of_flows(&count), [1800, 600]);
        // The port was due for 3 s in all, 0.6 of them before the outage.
        assert_eq!(count.due_time, Duration::from_millis(2400));
        assert_eq!(
            count.flows.iter().map(|flow| flow.due_time.as_millis()).collect::<Vec<_>>(),
            [2400, 900]
        );
        let own = port(
            None,
            &["packets = 2000\nrate = '1kpps'".to_owned(), "rate = '500pps'".to_owned()],
        );
        let count = look(&own, &[600, 300], 600, &[1000, 1500, 2000, 2500, 3000, 3500, 4000]);
        assert_eq!(unsent_of_flows(&count), [1400, 1700]);
        assert_eq!(count.flows[0].due_time, Duration::from_millis(1400));
    }

    proptest! {
        /// For any flows, any time of the outage, and any number of readings.
        #[test]
        fn unsent_departures_of_a_port_are_those_of_its_flows(
            (shares, rate) in (any::<bool>(), 1u32..5000),
            flows in proptest::collection::vec((1u32..5, 1u64..8000, 0usize..4, 1u32..2000), 1..5),
            (from, mut times) in (0u64..3000, proptest::collection::vec(0u64..6000, 1..12)),
            had in 0u64..=8,
        ) {
            times.sort_unstable();
            times.iter_mut().for_each(|time| *time += from);
            let kinds = ["delay = '0s'", "delay = '700ms'", "delay = '0s'\nduration = '1300ms'", "delay = '0s'"];
            let lines = |&(weight, packets, kind, own): &(u32, u64, usize, u32)| {
                let rate = if shares { format!("weight = {weight}") } else { format!("rate = '{own}pps'") };
                let end = if kind < 2 { format!("packets = {packets}") } else { String::new() };
                format!("{}\n{end}\n{rate}", kinds[kind])
            };
            let plan = port(shares.then_some(rate), &flows.iter().map(lines).collect::<Vec<_>>());
            let due: Vec<u64> = MissedDepartures::of(&plan).by(Duration::from_millis(from)).iter().map(Flow::missed).collect();
            let had: Vec<u64> = due.iter().map(|due| due * had / 8).collect();
            let count = look(&plan, &had, from, &times);
            let until = times[times.len() - 1];
            let once = look(&plan, &had, from, &[until]);
            prop_assert_eq!(unsent_of_flows(&count), unsent_of_flows(&once));
            // Departures at k / rate before then, k = 0….
            let plain = |rate: u32, delay: u64, end: u64| (u64::from(rate) * until.min(end).saturating_sub(delay)).div_ceil(1000);
            for (index, (&(_, packets, kind, own), flow)) in flows.iter().zip(&count.flows).enumerate().filter(|_| !shares) {
                let (delay, end) = [(0, u64::MAX), (700, u64::MAX), (0, 1300), (0, u64::MAX)][kind];
                let most = if kind < 2 { packets } else { u64::MAX };
                prop_assert_eq!(flow.due(), plain(own, delay, end).min(most), "flow {}: {:?}", index, count);
            }
            if shares && flows.iter().all(|flow| flow.2 == 0) {
                let most: u64 = flows.iter().map(|flow| flow.1).sum();
                let due: u64 = count.flows.iter().map(super::super::FlowCount::due).sum();
                prop_assert_eq!(due, plain(rate, 0, u64::MAX).min(most));
            }
        }
    }

    #[test]
    fn outages_add_up() {
        let outage = |seconds, restarts, unsent, reason: &str| Outage {
            down: Duration::from_secs(seconds),
            restarts,
            unsent,
            reason: reason.to_owned(),
        };
        let mut later = outage(2, 1, 10, "");
        later.add(&outage(3, 2, 5, "gone"));
        assert_eq!(later, outage(5, 3, 15, "gone"));
        later.add(&outage(0, 0, 0, "another"));
        assert_eq!(later.reason, "gone");
    }
}
