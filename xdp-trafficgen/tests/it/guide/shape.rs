//! The part of a printed line that is the same on another day: its words.

/// The words, with `#` for numbers and their units; none for empty lines and for drawings.
pub(crate) fn shape(line: &str) -> Option<String> {
    let is_drawn = line.contains(['┤', '│', '└', '…']) || line.trim_start().starts_with('−');
    if is_drawn || line.trim().is_empty() {
        return None;
    }
    let mut shape: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let word = match word {
            "CPUs" => "CPU",
            word if is_number(word) => "#",
            word => word,
        };
        let follows_number = shape.last() == Some(&"#");
        if !(follows_number && (word == "#" || is_unit(word))) {
            shape.push(word);
        }
    }
    Some(shape.join(" "))
}

fn bare(word: &str) -> &str {
    word.trim_matches(['(', ')', ',', ';', ':', '.', '+', '-', '−', '±', '<'])
}

/// Whether a word is digits, with a unit at most.
fn is_number(word: &str) -> bool {
    let word = bare(word);
    let unit =
        word.trim_start_matches(|letter: char| letter.is_ascii_digit() || ".,:".contains(letter));
    unit != word && (unit.is_empty() || is_unit(unit))
}

fn is_unit(word: &str) -> bool {
    ["ns", "µs", "ms", "s", "m", "h", "%", "pps", "kpps", "Mpps", "Gpps"].contains(&bare(word))
}

#[test]
fn numbers_differ_and_words_do_not() {
    #[track_caller]
    fn check(one: &str, other: &str, alike: bool) {
        assert_eq!(shape(one) == shape(other), alike, "{:?} {:?}", shape(one), shape(other));
    }
    check("duration: 5.000 s", "duration: 0.5 s", true);
    check(" redirect  1 000 frames, on CPUs 0, 1", "redirect 7 frames, on CPU 0", true);
    check(
        "asked for 40 Mpps, late 5.3ms (27.60 %)",
        "asked for 400 kpps, late 176.5µs (1.2 %)",
        true,
    );
    check("measured 500.0 pps (+0.0079 %)", "measured 426.1 pps (-14.7834 %)", true);
    check("xtg0: sent 5", "xtg1: sent 5", false);
    check("sent 5", "accepted 5", false);
}
