//! Rates of the command line, in the place of the file's.

use std::path::Path;

use super::{CommandError, input};
use crate::{
    cli,
    config::{
        Config, Diagnostic, Diagnostics, Flow, Located, Origin, Profile, Total, WhenFull, file,
        rate::NotScalable,
    },
    units::Ratio,
};

/// Puts the rate of the command line in the place of the file's, or multiplies those, and the
/// policy too. Flows with rates of their own keep their shares of the new one. The files a rate
/// names are those of the working directory.
pub(crate) fn replace_rates(
    config: &mut Config,
    options: &cli::RateOptions,
    scale: cli::Scale,
) -> Result<(), CommandError> {
    let cli::RateOptions { rate, behind, flood } = options;
    let mut wrong = Diagnostics::new(config.source.clone());
    if let Some(text) = rate {
        match file::parse_rate_option("--rate", text, &|name| input::read_file(Path::new(name))) {
            Ok(rate) => share_rate(config, &rate, &mut wrong),
            Err(problems) => problems.into_iter().for_each(|problem| wrong.push(problem)),
        }
    }
    if let Some(factor) = scale.scale {
        multiply_rates(config, factor, &mut wrong);
    }
    if let Some(behind) = behind {
        let behind = Located::new(*behind, Origin::Option("--behind"));
        config.ports.iter_mut().for_each(|port| port.behind = behind.clone());
    }
    if *flood {
        let flood = Located::new(WhenFull::Flood, Origin::Option("--flood"));
        config.ports.iter_mut().for_each(|port| port.when_full = flood.clone());
    }
    wrong.into_result(()).map_err(CommandError::Config)
}

/// Every port sends at this rate; where several flows have rates of their own, they come to it
/// together.
fn share_rate(config: &mut Config, rate: &Located<Profile>, wrong: &mut Diagnostics) {
    let Config { ports, flows, .. } = config;
    for port in ports {
        let own = |flow: &&mut Flow| flow.port.value == port.name.value && flow.rate.is_some();
        let mut own: Vec<&mut Flow> = flows.iter_mut().filter(own).collect();
        if own.len() < 2 {
            own.iter_mut().for_each(|flow| flow.rate = None);
            port.rate = Some(rate.clone());
            continue;
        }
        let Profile::Constant(total) = rate.value else {
            let message = format!(
                "the flows of port `{}` have rates of their own, and none is `{}`",
                port.name.value, rate.value
            );
            wrong.push(
                Diagnostic::new(&rate.place, message)
                    .help("write what they come to together, such as `10kpps`: each keeps its share; or multiply them: `--scale 2x`"),
            );
            continue;
        };
        let share = |flow: &&mut Flow| match flow.rate.as_ref().map(|rate| &rate.value) {
            Some(Profile::Constant(rate) | Profile::Poisson { mean: rate, .. }) => {
                Ok((*rate, flow.size.value.clone()))
            }
            _ => Err((flow.name.value.clone(), flow.rate.as_ref().map(|rate| rate.place.clone()))),
        };
        match own.iter().map(share).collect() {
            Ok(among) => {
                port.total = Some(Located::new(Total { rate: total, among }, rate.place.clone()))
            }
            Err((name, place)) => {
                let place = place.as_ref().unwrap_or(&rate.place);
                let message = format!(
                    "the flow `{name}` has no constant rate, and so no share of the {total} of `--rate`"
                );
                let help = format!(
                    "multiply all rates: `--scale 2x`; or give it one: `--set flows.{name}.rate=1kpps`"
                );
                wrong.push(Diagnostic::new(place, message).help(help));
            }
        }
    }
}

/// All rates of the file, so many times as high.
fn multiply_rates(config: &mut Config, factor: Ratio, wrong: &mut Diagnostics) {
    let ports = config.ports.iter_mut().filter_map(|port| port.rate.as_mut());
    let rates: Vec<&mut Located<Profile>> =
        ports.chain(config.flows.iter_mut().filter_map(|flow| flow.rate.as_mut())).collect();
    if rates.is_empty() {
        let message = "the file has no rate to multiply: all of it leaves as fast as it can";
        wrong.push(
            Diagnostic::new(&Origin::Option("--scale"), message)
                .help("say how fast: `--rate 10kpps`"),
        );
    }
    for rate in rates {
        match rate.value.scaled(factor) {
            Ok(scaled) => rate.value = scaled,
            Err(error) => {
                let help = match error {
                    NotScalable::Burst => {
                        "leave `--scale` out, and set the burst's `inter_burst_gap` or its `packets` with `--set`"
                    }
                    NotScalable::AboveTheLine | NotScalable::TooLong => "use a smaller factor",
                };
                wrong.push(Diagnostic::new(&rate.place, error.to_string()).help(help));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::RateOptions,
        config::{LatePolicy, Source},
    };

    const FILE: &str = "
        ports = [{ name = 'p', interface = 'e', behind = 'skip' }, { name = 'q', interface = 'f', rate = '5pps' }]
        flows = [
          { name = 'a', port = 'p', rate = '1pps', packet = [{ ethernet = {} }] },
          { name = 'b', port = 'q', packet = [{ ethernet = {} }] },
        ]";

    /// Rates and policies of the ports and rates of the flows, in words.
    fn replaced(
        rate: Option<&str>,
        behind: Option<LatePolicy>,
    ) -> Result<(Vec<String>, Vec<String>), CommandError> {
        let mut config =
            file::parse(Source::file("test.toml", FILE)).unwrap_or_else(|wrong| panic!("{wrong}"));
        replace_rates(
            &mut config,
            &RateOptions { rate: rate.map(str::to_owned), behind, flood: false },
            cli::Scale::default(),
        )?;
        let shown = |rate: &Option<Located<crate::config::Profile>>| {
            rate.as_ref().map_or_else(|| "none".to_owned(), |rate| rate.value.to_string())
        };
        let ports = config
            .ports
            .iter()
            .map(|port| format!("{}, {:?}", shown(&port.rate), port.behind.value));
        Ok((ports.collect(), config.flows.iter().map(|flow| shown(&flow.rate)).collect()))
    }

    const SHARES: &str = "
        ports = [{ name = 'p', interface = 'e' }, { name = 'q', interface = 'f', rate = '5pps' }]
        flows = [
          { name = 'a', port = 'p', rate = '28pps', packet = [{ ethernet = {} }] },
          { name = 'b', port = 'p', rate = { poisson = '4pps' }, packet = [{ ethernet = {} }] },
          { name = 'c', port = 'q', packet = [{ ethernet = {} }] },
        ]";

    /// Totals and rates of the ports, and rates of the flows, in words; or what is said.
    fn changed(
        text: &str,
        rate: Option<&str>,
        factor: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let mut config =
            file::parse(Source::file("test.toml", text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let scale = cli::Scale {
            scale: factor.map(|factor| crate::config::rate::parse_factor(factor).unwrap()),
        };
        let options = RateOptions { rate: rate.map(str::to_owned), ..RateOptions::default() };
        replace_rates(&mut config, &options, scale).map_err(|error| error.render())?;
        let shown =
            |rate: &Option<Located<Profile>>| rate.as_ref().map(|rate| rate.value.to_string());
        let total = |port: &crate::config::Port| {
            port.total.as_ref().map(|total| format!("{} in all", total.value.rate))
        };
        let ports = config.ports.iter().flat_map(|port| [total(port), shown(&port.rate)]);
        Ok(ports.chain(config.flows.iter().map(|flow| shown(&flow.rate))).flatten().collect())
    }

    #[test]
    fn flows_with_rates_of_their_own_keep_their_shares() {
        let poisson = "at random (Poisson), 4 pps on average";
        assert_eq!(
            changed(SHARES, Some("48kpps"), None).unwrap(),
            ["48 kpps in all", "48 kpps", "28 pps", poisson]
        );
        let twice = changed(SHARES, None, Some("2x")).unwrap();
        assert_eq!(twice, ["10 pps", "56 pps", "at random (Poisson), 8 pps on average"]);
        #[track_caller]
        fn refused(text: &str, rate: Option<&str>, factor: Option<&str>, parts: &[&str]) {
            let said = changed(text, rate, factor).unwrap_err();
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
        refused(
            SHARES,
            Some("{ poisson = '1kpps' }"),
            None,
            &["port `p` have rates of their own", "`--scale 2x`"],
        );
        let burst =
            SHARES.replace("'28pps'", "{ burst = { packets = 2, inter_burst_gap = '1ms' } }");
        refused(
            &burst,
            Some("1kpps"),
            None,
            &["the flow `a` has no constant rate", "--set flows.a.rate=1kpps"],
        );
        refused(
            &burst,
            None,
            Some("2x"),
            &[
                "how often bursts come is said by gaps",
                "set the burst's `inter_burst_gap`",
                "test.toml:4:",
            ],
        );
        let line = SHARES.replace("'28pps'", "'60%'");
        refused(&line, None, Some("2x"), &["more than the line carries", "use a smaller factor"]);
        let free = SHARES
            .replace("rate = '28pps', ", "")
            .replace("rate = { poisson = '4pps' }, ", "")
            .replace(", rate = '5pps'", "");
        refused(&free, None, Some("2x"), &["no rate to multiply", "--rate 10kpps"]);
    }

    #[test]
    fn rates_of_the_command_line_replace_all_of_the_file() {
        let words = |ports: [&str; 2], flows: [&str; 2]| {
            (ports.map(str::to_owned).to_vec(), flows.map(str::to_owned).to_vec())
        };
        let unchanged = replaced(None, None).unwrap();
        assert_eq!(unchanged, words(["none, Skip", "5 pps, CatchUp(100ms)"], ["1 pps", "none"]));
        let slow = replaced(Some("40%"), None).unwrap();
        assert_eq!(slow, words(["40 %, Skip", "40 %, CatchUp(100ms)"], ["none", "none"]));
        let skipping = replaced(None, Some(LatePolicy::Skip)).unwrap();
        assert_eq!(skipping, words(["none, Skip", "5 pps, Skip"], ["1 pps", "none"]));
        let wrong = replaced(Some("{ ramp = { over = 1 } }"), None).unwrap_err();
        let text = wrong.render();
        assert!(
            text.contains("--rate: this ramp has no `from`") && text.contains("no `to`"),
            "{text}"
        );
        assert_eq!(wrong.exit_code(), 2);
    }
}
