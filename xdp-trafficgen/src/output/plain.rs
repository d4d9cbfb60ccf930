//! Numbers as programs read them: plain decimals only, since `1.7e7` and `1e-5` are strings to some
//! YAML readers.

/// A number with at most so many decimals.
pub fn decimals(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    // Not −0.
    (number * scale).round() / scale + 0.0
}

/// A rate to a thousandth; up to 10¹² it is written as a plain decimal, and nothing is faster.
pub fn rate(pps: f64) -> f64 {
    decimals(pps.clamp(0.0, 1e12), 3)
}

/// A count over a time, as a whole number; 0 over no time.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is shown to far fewer than 53 bits"
)]
pub fn per_second(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_decimals() {
        for (number, text) in
            [(0.000_01, "0.0"), (-0.000_01, "0.0"), (0.0001, "0.0001"), (1.0 / 3.0, "0.3333")]
        {
            assert_eq!(serde_json::to_string(&decimals(number, 4)).unwrap(), text);
        }
        assert_eq!(serde_json::to_string(&rate(1e30)).unwrap(), "1000000000000.0");
        assert_eq!((per_second(10, 4.0), per_second(10, 0.0)), (3, 0));
    }
}
