//! The values of options that are more than a number or an address.

use crate::config::{
    Payload, Size,
    literal::{BATCH_SIZE, FRAME_SIZE, Problem, parse_hex},
    size,
};

/// `128`, `imix` or `genome:aaafg`.
pub(super) fn size(text: &str) -> Result<Size, Problem> {
    if let Some(letters) = text.strip_prefix("genome:") {
        return size::genome(letters, None);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let (least, most) = (FRAME_SIZE.start(), FRAME_SIZE.end());
        let size = text.parse().ok().filter(|size| FRAME_SIZE.contains(size));
        return size.map(Size::Fixed).ok_or_else(|| {
            Problem::new(
                format!("there cannot be {text} bytes in a frame"),
                format!("give {least} to {most}"),
            )
        });
    }
    size::predefined(text).map_err(|problem| {
        let is_cure = problem.help.starts_with("write") || problem.help.starts_with("for a range");
        let help = match is_cure {
            true => problem.help,
            false => format!(
                "give a number of bytes, a genome such as `genome:aaafg`, or a mix: {}",
                problem.help
            ),
        };
        Problem::new(format!("`{text}` is not a size"), help)
    })
}

/// `zeros`, `increment`, `random`, `text:…`, `hex:…` or `pattern:…`.
pub(super) fn payload(text: &str) -> Result<Payload, Problem> {
    match (text, text.split_once(':')) {
        ("zeros", _) => Ok(Payload::Zeros),
        ("increment", _) => Ok(Payload::Increment(0)),
        ("random", _) => Ok(Payload::Random { seed: 0 }),
        (_, Some(("text", text))) if !text.is_empty() => Ok(Payload::Bytes(text.into())),
        (_, Some(("hex", hex))) => parse_hex(hex).map(Payload::Bytes),
        (_, Some(("pattern", hex))) => parse_hex(hex).map(Payload::Pattern),
        _ => Err(Problem::new(
            format!("`{text}` is not a payload"),
            "give `zeros`, `increment`, `random`, `text:hello`, `hex:dead beef` or `pattern:dead beef`",
        )),
    }
}

/// Frames the kernel sends together.
pub(super) fn batch_size(frames: u32) -> Result<u32, Problem> {
    let (least, most) = (BATCH_SIZE.start(), BATCH_SIZE.end());
    if BATCH_SIZE.contains(&frames) {
        return Ok(frames);
    }
    Err(Problem::new(
        format!("there cannot be {frames} frames in a batch"),
        format!("give {least} to {most}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Debug>(parsed: Result<T, Problem>, message: &str, help: &str) {
        let problem = parsed.unwrap_err();
        assert!(problem.message.contains(message) && problem.help.contains(help), "{problem}");
    }

    #[test]
    fn sizes() {
        assert_eq!(size("1518"), Ok(Size::Fixed(1518)));
        assert!(matches!(size("imix"), Ok(Size::Weighted(_))));
        assert_eq!(size("genome:aaaf"), Ok(Size::Sequence(vec![64, 64, 64, 1280])));
        check(size("63"), "there cannot be 63 bytes", "give 64 to 65535");
        check(size("99999999999"), "there cannot be 99999999999 bytes", "give 64 to 65535");
        check(size("imx"), "`imx` is not a size", "did you mean `imix`?");
        check(size("huge"), "`huge` is not a size", "`tcp_imix`");
        check(size(""), "`` is not a size", "a number of bytes");
    }

    #[test]
    fn payloads() {
        assert_eq!(payload("zeros"), Ok(Payload::Zeros));
        assert_eq!(payload("increment"), Ok(Payload::Increment(0)));
        assert_eq!(payload("random"), Ok(Payload::Random { seed: 0 }));
        assert_eq!(payload("text:a: b"), Ok(Payload::Bytes(b"a: b".to_vec())));
        assert_eq!(payload("hex:dead be"), Ok(Payload::Bytes(vec![0xde, 0xad, 0xbe])));
        assert_eq!(payload("pattern:01"), Ok(Payload::Pattern(vec![1])));
        check(payload("text:"), "`text:` is not a payload", "`text:hello`");
        check(payload("ones"), "`ones` is not a payload", "`zeros`");
        check(payload("hex:xy"), "`x`", "two hexadecimal digits");
    }
}
