//! What is logged: the directives of `RUST_LOG`, each of which must mean something.

use std::env::{self, VarError};

use tracing_subscriber::{EnvFilter, filter::Directive};

use super::ends;
use crate::config::{Diagnostic, Diagnostics, Origin, Source};

/// The filter for a log that `RUST_LOG` chooses no levels of.
pub(super) fn usual() -> EnvFilter {
    EnvFilter::new(always("info"))
}

/// These directives, and that the end of the daemon is logged at whatever level.
fn always(directives: &str) -> String {
    format!("{directives},{}=warn", ends::TARGET)
}

/// The filter of the environment.
pub(super) fn chosen() -> Result<EnvFilter, Diagnostics> {
    let text = match env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) if !text.is_empty() => text,
        Ok(_) | Err(VarError::NotPresent) => "info".to_owned(),
        Err(VarError::NotUnicode(bytes)) => {
            let mut wrong =
                Diagnostics::new(Source::file(EnvFilter::DEFAULT_ENV, &bytes.to_string_lossy()));
            wrong.push(
                Diagnostic::new(&Origin::Option(EnvFilter::DEFAULT_ENV), "it is not UTF-8")
                    .help(DIRECTIVES),
            );
            return Err(wrong);
        }
    };
    checked(&text)?;
    let of_all = |error| {
        let mut wrong = Diagnostics::new(Source::file(EnvFilter::DEFAULT_ENV, &text));
        wrong.push(
            Diagnostic::new(&Origin::File(0..text.len()), format!("{error}")).help(DIRECTIVES),
        );
        wrong
    };
    EnvFilter::builder().parse(always(&text)).map_err(of_all)
}

const DIRECTIVES: &str = "write a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or `TARGET=LEVEL` such as \
                          `xdp_trafficgen=debug`, several with commas between";

/// Each directive means something. A name alone would be one more target, all of whose levels are
/// logged, and nothing of any other: a misspelt level would silence the log.
fn checked(text: &str) -> Result<(), Diagnostics> {
    let mut wrong = Diagnostics::new(Source::file(EnvFilter::DEFAULT_ENV, text));
    let mut start = 0;
    for directive in text.split(',') {
        let place = Origin::File(start..start + directive.len());
        start += directive.len() + 1;
        let name_alone = !directive.contains(['=', '[']) && !is_level(directive);
        let ours = ["xdp_trafficgen", "aya"].iter().any(|known| directive.starts_with(known));
        if directive.is_empty() {
            continue;
        } else if let Err(error) = directive.parse::<Directive>() {
            wrong.push(
                Diagnostic::new(&place, format!("`{directive}` is no directive: {error}"))
                    .help(DIRECTIVES),
            );
        } else if name_alone && !ours {
            wrong.push(
                Diagnostic::new(&place, format!("`{directive}` is no level")).help(DIRECTIVES),
            );
        }
    }
    wrong.into_result(())
}

fn is_level(text: &str) -> bool {
    text.parse::<tracing::level_filters::LevelFilter>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong, and where.
    fn wrong(text: &str) -> Vec<(String, Option<String>)> {
        let Err(wrong) = checked(text) else { return Vec::new() };
        wrong.lines().into_iter().map(|(error, place, _)| (error, place)).collect()
    }

    #[test]
    fn directives_mean_something() {
        for right in [
            "info",
            "WARN",
            "off",
            "debug,aya=warn",
            "xdp_trafficgen",
            "xdp_trafficgen::daemon=trace,,info",
            "[x]=info",
        ] {
            assert_eq!(wrong(right), [], "{right}");
        }
        let place = |column| Some(format!("RUST_LOG:1:{column}"));
        let two = wrong("info,aya=loud,verbose");
        assert!(two[0].0.starts_with("`aya=loud` is no directive: "), "{two:?}");
        assert_eq!(
            (&two[0].1, &two[1]),
            (&place(6), &("`verbose` is no level".to_owned(), place(15)))
        );
        assert_eq!(wrong("xdp-trafficgen").len(), 1);
    }
}
