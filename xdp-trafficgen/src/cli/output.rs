//! The options that choose the format of a report.

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

use crate::output::{Format, Formats};

/// Options of all commands that end with a report.
#[derive(Args, Clone, Copy, Debug)]
pub struct Output<R: Formats> {
    /// Write the report in this format
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = R::FORMATS[0].name,
        default_value_if("json", "true", "json"),
        value_parser = format::<R>()
    )]
    pub output: &'static Format<R>,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl<R: Formats> Default for Output<R> {
    fn default() -> Self {
        Self { output: &R::FORMATS[0], json: false }
    }
}

/// Takes the names of a report's formats, and refuses any other with a list of them.
pub(super) fn format<R: Formats>() -> impl TypedValueParser<Value = &'static Format<R>> {
    let names = R::FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.help));
    PossibleValuesParser::new(names)
        .try_map(|name| R::format(&name).ok_or("no format of this report"))
}

#[cfg(test)]
mod tests {
    use clap::{Parser as _, error::ErrorKind};

    use crate::cli::{Cli, Command};

    /// The format that a command line asks for, or why it is refused.
    fn asked(line: &str) -> Result<Option<&'static str>, ErrorKind> {
        let line = std::iter::once("xdp-trafficgen").chain(line.split(' '));
        match Cli::try_parse_from(line).map_err(|error| error.kind())?.command {
            Command::Run(options) => Ok(Some(options.output.output.name)),
            Command::Udp(options) => Ok(Some(options.quick.output.output.name)),
            Command::Probe(options) => Ok(Some(options.output.output.name)),
            Command::Daemon(options) => Ok(options.output.map(|format| format.name)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_is_short_for_its_format() {
        for command in ["run x.toml", "udp e", "probe"] {
            assert_eq!(asked(command), Ok(Some("text")), "{command}");
        }
        assert_eq!(asked("daemon --config x.toml"), Ok(None));
        for command in ["run x.toml", "udp e", "probe", "daemon --config x.toml"] {
            for option in ["--json", "--output json", "-o json", "-ojson"] {
                assert_eq!(
                    asked(&format!("{command} {option}")),
                    Ok(Some("json")),
                    "{command} {option}"
                );
            }
            assert_eq!(
                asked(&format!("{command} --json -o text")),
                Err(ErrorKind::ArgumentConflict),
                "{command}"
            );
            assert_eq!(
                asked(&format!("{command} -o yaml")),
                Err(ErrorKind::InvalidValue),
                "{command}"
            );
        }
    }
}
