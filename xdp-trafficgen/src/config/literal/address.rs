//! Addresses as users write them, and cures for text that looks like one: a network, a range, a name.

use std::net::IpAddr;

use super::{NotDigits, Problem, digits};

/// An IPv4 or IPv6 address.
///
/// # Errors
/// When it is none.
pub fn parse_ip(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        no_address(text, "an IP address", "write one such as `192.0.2.1` or `2001:db8::1`")
    })
}

/// The error that `text` is not `what`, with a cure for what it looks like, or else `otherwise`.
pub(super) fn no_address(text: &str, what: &str, otherwise: &str) -> Problem {
    let is_address = |text: &str| text.trim().parse::<IpAddr>().is_ok();
    let wrong = |help: String| Problem::new(format!("`{text}` is not {what}"), help);
    if let Some((address, _)) = text.split_once('/').filter(|(address, _)| is_address(address)) {
        return Problem::new(
            format!(
                "`{text}` is a network, or has a prefix length, for which frames have no place"
            ),
            format!("write the address alone: `{address}`"),
        );
    }
    if let Some((first, last)) =
        text.split_once('-').filter(|(first, last)| is_address(first) && is_address(last))
    {
        return Problem::new(
            format!("`{text}` is a range of addresses, and a value is a single one"),
            format!(
                "write `{first}`; in a configuration file a field goes from there to `{last}` with \
                 `{{ increment = {{ start = \"{first}\", count = … }} }}`"
            ),
        );
    }
    if let Some((address, _)) = text.split_once('%').filter(|(address, _)| is_address(address)) {
        return wrong(format!(
            "write it without its zone, which is no part of frames: `{address}`"
        ));
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Some(address) = inner.filter(|address| is_address(address)) {
        return wrong(format!("write it without brackets: `{address}`"));
    }
    let octets: Vec<&str> = text.split('.').collect();
    let is_octet = |octet: &&str| matches!(digits(octet, 10), Ok(0..=255));
    if octets.len() == 4 && octets.iter().all(is_octet) {
        let plain = octets.iter().map(|octet| octet.trim_start_matches('0'));
        let plain: Vec<&str> =
            plain.map(|octet| if octet.is_empty() { "0" } else { octet }).collect();
        return wrong(format!(
            "write it without leading zeros, which some take for octal numbers: `{}`",
            plain.join(".")
        ));
    }
    let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_');
    if text.chars().all(is_name) && text.chars().any(char::is_alphabetic) {
        return Problem::new(
            format!(
                "`{text}` is a name, and names are not looked up: frames are to be the same wherever and whenever they are sent"
            ),
            format!("write its address, which `getent ahosts {text}` tells"),
        );
    }
    wrong(otherwise.to_owned())
}

/// A MAC address as a number: `02:00:00:00:00:01`, `02-00-00-00-00-01` or `0200.0000.0001`.
///
/// # Errors
/// When it is none.
pub fn parse_mac(text: &str) -> Result<u128, Problem> {
    let parts = |separator: char, count: usize, widths: std::ops::RangeInclusive<usize>| {
        let parts: Result<Vec<u128>, NotDigits> = text
            .split(separator)
            .map(|part| {
                digits(part, 16).and_then(|value| {
                    widths.contains(&part.len()).then_some(value).ok_or(NotDigits::Other)
                })
            })
            .collect();
        let bits = 48 / count;
        parts
            .ok()
            .filter(|parts| parts.len() == count)
            .map(|parts| parts.into_iter().fold(0, |all, part| all << bits | part))
    };
    let known = [(':', 6, 2..=2), ('-', 6, 2..=2), ('.', 3, 4..=4)];
    if let Some(value) =
        known.into_iter().find_map(|(separator, count, widths)| parts(separator, count, widths))
    {
        return Ok(value);
    }
    // Octets of one digit, or no separators: understandable, but most likely a mistake.
    let meant = parts(':', 6, 1..=2)
        .or_else(|| parts('-', 6, 1..=2))
        .or_else(|| digits(text, 16).ok().filter(|_| text.len() == 12));
    let help = meant.map_or_else(
        || "write six pairs of hexadecimal digits, such as `02:00:00:00:00:01`".to_owned(),
        |value| {
            let [.., a, b, c, d, e, f] = value.to_be_bytes();
            format!("write `{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}`")
        },
    );
    Err(Problem::new(format!("`{text}` is not a MAC address"), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_like_an_address() {
        #[track_caller]
        fn check(text: &str, message: &str, help: &str) {
            let problem = parse_ip(text).unwrap_err();
            assert!(problem.message.contains(message) && problem.help.contains(help), "{problem}");
        }
        assert_eq!(parse_ip("::1"), Ok(IpAddr::V6(1.into())));
        check("10.0.0.2/24", "is a network", "alone: `10.0.0.2`");
        check("10.0.0.1-10.0.0.9", "is a range of addresses", "increment");
        check("fe80::1%va", "is not an IP address", "`fe80::1`");
        check("[::1]", "is not an IP address", "brackets: `::1`");
        check("010.000.0.1", "is not an IP address", "`10.0.0.1`");
        check("host.example", "names are not looked up", "`getent ahosts host.example`");
        check("10.0.0", "is not an IP address", "`192.0.2.1`");
        check("10.0.0.256", "is not an IP address", "`192.0.2.1`");
        check("::g", "is not an IP address", "`2001:db8::1`");
        check("", "is not an IP address", "`192.0.2.1`");
    }

    #[test]
    fn mac_addresses() {
        for text in ["02:00:5e:10:00:0a", "02-00-5E-10-00-0A", "0200.5e10.000a"] {
            assert_eq!(parse_mac(text), Ok(0x0200_5e10_000a), "{text}");
        }
        for text in ["2:0:5e:10:0:a", "2-0-5e-10-0-a", "02005e10000a"] {
            assert_eq!(parse_mac(text).unwrap_err().help, "write `02:00:5e:10:00:0a`", "{text}");
        }
        for text in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "02:00-00:00:00:01",
            "0200.0000",
            "host",
            "+2:00:00:00:00:01",
        ] {
            assert!(parse_mac(text).unwrap_err().help.contains("six pairs"), "{text}");
        }
    }
}
