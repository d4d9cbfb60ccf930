//! Single values as users write them, in a file or on the command line: text in, checked value out.
//!
//! This module knows no file and no option: the caller adds the place to a [`Problem`].

mod address;
mod dscp;
mod number;
mod time;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use number::digits;
pub(in crate::config) use number::{Decimal, NotDigits};
pub use time::{parse_duration, parse_instant, parse_seconds, parse_time};
pub use {
    address::{parse_ip, parse_mac},
    dscp::parse_dscp,
    number::{is_negative, parse_count, parse_meant_for, parse_within},
};

use crate::{
    config::{Diagnostic, Origin},
    packet::{FieldDef, FieldType},
};

/// Numbers of frames that the kernel can send together (`TEST_XDP_MAX_BATCH` in `net/bpf/test_run.c`).
pub const BATCH_SIZE: RangeInclusive<u32> = 1..=256;

/// Bytes of a frame on the wire, FCS included; the plan checks the host's upper limit.
pub const FRAME_SIZE: RangeInclusive<u32> = 64..=65_535;

/// Numbers a CPU can have: above those of any machine, and few enough that a typing error does not
/// exhaust memory.
pub const CPU: RangeInclusive<u32> = 0..=4095;

/// An error in a value, without the place where the value was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct Problem {
    /// What is wrong, with the offending value; lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Problem {
    /// An error with this message and help.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// The diagnostic of this error for a value at `place`.
    pub fn at(self, place: &Origin) -> Diagnostic {
        Diagnostic::new(place, self.message).help(self.help)
    }
}

/// A value of `field`, in host order (an address is one big-endian number): `02:00:00:00:00:01`,
/// `192.0.2.1`, `2001:db8::1`, `53` or `0x35`, whichever the field takes.
///
/// # Errors
/// When it is none, or does not fit the field.
pub fn parse_value(field: &FieldDef, text: &str) -> Result<u128, Problem> {
    match field.kind {
        FieldType::Number => parse_number(field, text),
        FieldType::Mac => parse_mac(text),
        FieldType::Ipv4 => match text.parse::<Ipv4Addr>() {
            Ok(address) => Ok(u32::from(address).into()),
            Err(_) if text.parse::<Ipv6Addr>().is_ok() => Err(Problem::new(
                format!("`{text}` is an IPv6 address, but this `{}` is of IPv4", field.name),
                "write an address such as `192.0.2.1`, or use the `ipv6` header",
            )),
            Err(_) => Err(address::no_address(
                text,
                "an IPv4 address",
                "write four numbers of 0 to 255, such as `192.0.2.1`",
            )),
        },
        FieldType::Ipv6 => match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.into()),
            Err(_) if text.parse::<Ipv4Addr>().is_ok() => Err(Problem::new(
                format!("`{text}` is an IPv4 address, but this `{}` is of IPv6", field.name),
                "write an address such as `2001:db8::1`, or use the `ipv4` header",
            )),
            Err(_) => {
                Err(address::no_address(text, "an IPv6 address", "write one such as `2001:db8::1`"))
            }
        },
    }
}

/// The distance of two values of `field`: a number, or for an address also one that looks like it,
/// such as `0.0.1.0`.
///
/// # Errors
/// When it is neither, or does not fit the field.
pub fn parse_step(field: &FieldDef, text: &str) -> Result<u128, Problem> {
    let is_number = text.starts_with("0x") || text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { parse_number(field, text) } else { parse_value(field, text) }
}

/// `value`, if it fits `field`.
///
/// # Errors
/// When it does not fit.
pub fn check_fits(field: &FieldDef, value: u128) -> Result<u128, Problem> {
    if value <= field.max() { Ok(value) } else { Err(too_large(field, &value.to_string())) }
}

/// `value` the way users write values of `field`; a plain number when it does not fit.
pub fn show_value(field: &FieldDef, value: u128) -> String {
    match field.kind {
        FieldType::Mac if value <= field.max() => {
            let [.., a, b, c, d, e, f] = value.to_be_bytes();
            format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
        }
        FieldType::Ipv4 => u32::try_from(value)
            .map_or_else(|_| value.to_string(), |bits| Ipv4Addr::from(bits).to_string()),
        FieldType::Ipv6 => Ipv6Addr::from(value).to_string(),
        FieldType::Mac | FieldType::Number => value.to_string(),
    }
}

/// CPU numbers in the order given: `0,2-3`.
///
/// # Errors
/// When the list is empty, has a part that is neither number nor range, a range backwards, a CPU twice,
/// or one outside of [`CPU`].
pub fn parse_cpus(text: &str) -> Result<Vec<u32>, Problem> {
    let malformed = |part: &str| {
        // Other programs write ranges and lists in these forms.
        let usual = text.replace("..=", "-").replace("..", "-").replace(':', "-");
        let usual = usual.split_whitespace().collect::<Vec<_>>().join(",").replace(",,", ",");
        let help = if usual != text && parse_cpus(&usual).is_ok() {
            format!("write `{usual}`")
        } else {
            "write CPUs as numbers and ranges: `0,2-3`".to_owned()
        };
        Problem::new(format!("`{part}` is not a CPU number or range"), help)
    };
    let mut cpus = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| digits(text.trim(), 10).map_err(|_| malformed(part));
        let (first, last) = (check_cpu(number(first)?)?, check_cpu(number(last)?)?);
        if first > last {
            return Err(Problem::new(
                format!("the range of CPUs `{part}` runs backwards"),
                format!("write `{last}-{first}`"),
            ));
        }
        for cpu in first..=last {
            add_cpu(&mut cpus, cpu)?;
        }
    }
    Ok(cpus)
}

/// `number` as the number of a CPU.
///
/// # Errors
/// When it is outside of [`CPU`].
pub fn check_cpu(number: u128) -> Result<u32, Problem> {
    u32::try_from(number).ok().filter(|cpu| CPU.contains(cpu)).ok_or_else(|| {
        Problem::new(
            format!("there is no CPU {number}"),
            format!("CPUs have numbers from 0 to {}", CPU.end()),
        )
    })
}

/// Adds `cpu` to the list.
///
/// # Errors
/// When it is there already.
pub fn add_cpu(cpus: &mut Vec<u32>, cpu: u32) -> Result<(), Problem> {
    if cpus.contains(&cpu) {
        return Err(Problem::new(
            format!("CPU {cpu} is listed twice"),
            "list each CPU once: there is one worker on each",
        ));
    }
    cpus.push(cpu);
    Ok(())
}

/// Bytes as pairs of hexadecimal digits, with or without spaces: `dead beef`. At least one.
///
/// # Errors
/// When the text has other characters, an odd number of digits, or no digit.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, Problem> {
    const HELP: &str = "write two hexadecimal digits for each byte: `de ad be ef`";
    let nibbles: Vec<u8> = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| {
            letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(|| {
                Problem::new(format!("`{letter}` in `{text}` is not a hexadecimal digit"), HELP)
            })
        })
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Problem::new(
            format!("`{text}` has an odd number of digits, {}", nibbles.len()),
            HELP,
        ));
    }
    if pairs.is_empty() {
        return Err(Problem::new(format!("there are no bytes in `{text}`"), HELP));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The bits that a mask selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The number of bits before the first selected one.
    pub skipped: u32,
    /// The number of selected bits; at least 1, and at most 128 together with those skipped.
    pub bits: u32,
}

/// A mask of whole bytes, in hexadecimal digits, whose ones are in one piece: `1fff`.
///
/// # Errors
/// When it is no mask, is longer than 16 bytes, has no ones, or has ones in several pieces.
pub fn parse_mask(text: &str) -> Result<Mask, Problem> {
    const HELP: &str =
        "write ones where the bits are, in one piece: `1fff` for the last 13 of two bytes";
    let bytes = parse_hex(text)?;
    if bytes.len() > 16 {
        return Err(Problem::new(
            format!("the mask `{text}` has {} bytes", bytes.len()),
            "write 16 bytes at most, and more `bits` for more",
        ));
    }
    let value = bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte));
    let ones = value.count_ones();
    if ones == 0 {
        return Err(Problem::new(format!("the mask `{text}` picks no bits"), HELP));
    }
    if value.leading_zeros() + ones + value.trailing_zeros() != u128::BITS {
        return Err(Problem::new(
            format!("the ones of the mask `{text}` are not in one piece"),
            HELP,
        ));
    }
    let before =
        bytes.iter().take_while(|byte| **byte == 0).map(|byte| byte.leading_zeros()).sum::<u32>();
    let skipped =
        bytes.iter().find(|byte| **byte != 0).map_or(before, |byte| before + byte.leading_zeros());
    Ok(Mask { skipped, bits: ones })
}

fn parse_number(field: &FieldDef, text: &str) -> Result<u128, Problem> {
    let parsed = match (text.strip_prefix("0x"), &*field.name) {
        (Some(hexadecimal), _) => digits(hexadecimal, 16),
        (None, "dscp") => dscp::named(text).map_or_else(|| digits(text, 10), Ok),
        (None, _) => digits(text, 10),
    };
    match parsed {
        Ok(value) if value <= field.max() => Ok(value),
        Ok(_) | Err(NotDigits::Overflow) => Err(too_large(field, text)),
        Err(NotDigits::Other) => Err(Problem::new(
            format!("`{text}` is not a number"),
            format!(
                "`{}` takes 0 to {}, decimal or hexadecimal with `0x`",
                field.name,
                field.max()
            ),
        )),
    }
}

fn too_large(field: &FieldDef, shown: &str) -> Problem {
    let unit = if field.bits == 1 { "bit" } else { "bits" };
    Problem::new(
        format!("{shown} is too large for `{}`", field.name),
        format!(
            "`{}` has {} {unit}: its largest value is {}",
            field.name,
            field.bits,
            show_value(field, field.max())
        ),
    )
}
