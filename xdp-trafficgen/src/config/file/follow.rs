//! Reads `follow`; [`leaders`](super::leaders) finds the field that it names.

use toml::de::DeValue;

use super::table::{Problems, Value};
use crate::config::{Advance, Located};

pub(super) const HELP: &str = "write the field to go along with: `follow = \"ipv4.src\"`";
const ADVANCES: [(&str, Advance); 2] = [("step", Advance::Step), ("round", Advance::Round)];

/// The value of `follow`.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    /// The leader's path, such as `ipv4[1].src`.
    pub(super) leader: Located<String>,
    pub(super) advance: Advance,
}

/// `"ipv4.src"` or `{ field = "ipv4.src", pace = "round" }`.
pub(super) fn follower(value: &Value<'_>, problems: &mut Problems) -> Option<Follower> {
    if !matches!(value.value, DeValue::Table(_)) {
        let leader =
            problems.take(value.parsed("a string or a table", HELP, |text| Ok(text.to_owned())))?;
        return Some(Follower { leader, advance: Advance::Step });
    }
    let mut table = problems.take(value.table("follow", HELP))?;
    let leader = table.required("field", "field = \"ipv4.src\"");
    let advance = table.optional("pace");
    table.finish(problems);
    let leader = leader.and_then(|leader| problems.take(leader.name()));
    let advance = match advance {
        Some(advance) => problems.take(advance.choice(&ADVANCES))?.value,
        None => Advance::Step,
    };
    Some(Follower { leader: leader?, advance })
}
