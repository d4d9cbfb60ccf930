//! Reads a header's part of variable length: hexadecimal digits, or a list of TCP options. The
//! packet model checks its length.

use etherparse::{TcpOptionElement, TcpOptions};
use toml::de::DeValue;

use super::table::{Problems, Value};
use crate::{
    config::{Diagnostic, Located, literal::parse_hex, names},
    packet::headers::OptionForm,
};

const HEX_HELP: &str = "write its bytes as hexadecimal digits: `\"0101 0000\"`";
const TCP_HELP: &str = "write them as a list, such as `[\"sack_permitted\", { mss = 1460 }]`, or as hexadecimal digits";

/// The bytes without padding; none when they cannot be read, and the errors are then among `problems`.
pub(super) fn options(
    form: OptionForm,
    value: &Value<'_>,
    problems: &mut Problems,
) -> Option<Located<Vec<u8>>> {
    match (form, value.value) {
        (OptionForm::TcpOptions, DeValue::Array(_)) => {
            tcp_options(value, problems).map(|bytes| value.located(bytes))
        }
        (OptionForm::TcpOptions, _) => problems.take(value.parsed("a string", TCP_HELP, parse_hex)),
        (OptionForm::Hex, _) => problems.take(value.parsed("a string", HEX_HELP, parse_hex)),
    }
}

/// The TCP options of a list, padded to whole words.
fn tcp_options(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    let elements = problems.take(value.elements(TCP_HELP))?;
    let parsed: Vec<_> = elements.iter().map(|element| tcp_option(element, problems)).collect();
    if let Some((_, before)) = parsed.split_last()
        && let Some(end) = before.iter().position(|option| *option == Some(TcpOption::End))
    {
        problems.push(
            Diagnostic::new(&elements[end].place, "there are options behind `end`")
                .help("`end` must be the last one"),
        );
        return None;
    }
    let parsed: Vec<TcpOption> = parsed.into_iter().collect::<Option<_>>()?;
    let ends = parsed.last() == Some(&TcpOption::End);
    // etherparse has no element for the end: encode a no-op, also a single byte, and overwrite it.
    let elements: Vec<_> = parsed
        .into_iter()
        .map(|option| match option {
            TcpOption::Element(element) => element,
            TcpOption::End => TcpOptionElement::Noop,
        })
        .collect();
    match TcpOptions::try_from_elements(&elements) {
        Ok(options) => {
            let mut bytes = options.as_slice().to_vec();
            if let Some(end) = bytes.iter().rposition(|byte| *byte != 0).filter(|_| ends) {
                bytes[end] = 0;
            }
            Some(bytes)
        }
        Err(etherparse::TcpOptionWriteError::NotEnoughSpace(len)) => {
            let message = format!("these TCP options have {len} bytes together");
            problems.push(
                Diagnostic::new(&value.place, message)
                    .help("remove some: there is room for 40 bytes"),
            );
            None
        }
    }
}

/// An element of etherparse, or the end of the list, for which it has no element.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TcpOption {
    Element(TcpOptionElement),
    End,
}

fn tcp_option(value: &Value<'_>, problems: &mut Problems) -> Option<TcpOption> {
    const WORDS: [(&str, TcpOption); 3] = [
        ("nop", TcpOption::Element(TcpOptionElement::Noop)),
        ("sack_permitted", TcpOption::Element(TcpOptionElement::SelectiveAcknowledgementPermitted)),
        ("end", TcpOption::End),
    ];
    const FORMS: &[&str] = &["mss", "window_scale", "timestamp", "sack"];
    if let Some(word) = value.value.as_str() {
        let option =
            WORDS.iter().find(|(known, _)| *known == word).map(|(_, option)| option.clone());
        if option.is_none() {
            let known = WORDS.iter().map(|(word, _)| *word).chain(FORMS.iter().copied());
            problems.push(
                Diagnostic::new(&value.place, format!("unknown TCP option `{word}`"))
                    .help(names::cure(word, "TCP options", known)),
            );
        }
        return option;
    }
    let table = problems.take(value.table("TCP option", TCP_HELP))?;
    let form = table.one_of(FORMS, "this TCP option", problems)?;
    let element = match form.key {
        "mss" => TcpOptionElement::MaximumSegmentSize(
            problems.take(form.integer(&(0..=u16::MAX)))?.value,
        ),
        "window_scale" => {
            TcpOptionElement::WindowScale(problems.take(form.integer(&(0..=u8::MAX)))?.value)
        }
        "timestamp" => {
            let mut table =
                problems.take(form.table("TCP timestamp", "write `{ value = 1, echo = 0 }`"))?;
            let (value, echo) = (table.required("value", "value = 1"), table.optional("echo"));
            table.finish(problems);
            let value = value.and_then(|value| problems.take(value.integer(&(0..=u32::MAX))));
            let echo = match echo {
                Some(echo) => problems.take(echo.integer(&(0..=u32::MAX)))?.value,
                None => 0,
            };
            TcpOptionElement::Timestamp(value?.value, echo)
        }
        _ => sack(&form, problems)?,
    };
    Some(TcpOption::Element(element))
}

fn sack(form: &Value<'_>, problems: &mut Problems) -> Option<TcpOptionElement> {
    const HELP: &str = "write one to four pairs of sequence numbers: `[[1, 1000], [2000, 3000]]`";
    let elements = problems.take(form.elements(HELP))?;
    let mut block = |element: &Value<'_>| {
        let edges = problems.take(element.elements(HELP))?;
        let edges: Vec<_> =
            edges.iter().map(|edge| problems.take(edge.integer(&(0..=u32::MAX)))).collect();
        let edges: Vec<_> = edges.into_iter().collect::<Option<_>>()?;
        match edges.as_slice() {
            [left, right] => Some((left.value, right.value)),
            _ => {
                let message = format!("a block of `sack` is a pair, not {} numbers", edges.len());
                problems.push(Diagnostic::new(&element.place, message).help(HELP));
                None
            }
        }
    };
    let blocks: Vec<_> = elements.iter().map(&mut block).collect();
    let blocks: Vec<(u32, u32)> = blocks.into_iter().collect::<Option<_>>()?;
    if let [first, rest @ ..] = blocks.as_slice()
        && rest.len() <= 3
    {
        let rest = [0, 1, 2].map(|index| rest.get(index).copied());
        return Some(TcpOptionElement::SelectiveAcknowledgement(*first, rest));
    }
    let message = format!("`sack` has {} blocks", blocks.len());
    problems.push(Diagnostic::new(&form.place, message).help(HELP));
    None
}
