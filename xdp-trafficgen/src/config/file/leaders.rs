//! Finds the leader of each field that has `follow`, and checks that the follower fits it.

use super::{
    follow::HELP,
    header::{ReadField, ReadHeader},
    table::Problems,
};
use crate::{
    config::{
        Advance, Diagnostic, Follow, Located, Pattern,
        literal::Problem,
        names,
        path::{self, Segment},
    },
    packet::HeaderKind,
};

/// The leader of each field of each header; errors are among `problems`. Headers that could not be
/// read are none.
pub(super) fn resolve(
    headers: &[Option<ReadHeader>],
    problems: &mut Problems,
) -> Vec<Vec<Option<Located<Follow>>>> {
    let packet = Packet::new(headers);
    let leaders: Vec<Option<usize>> = packet
        .fields
        .iter()
        .map(|(_, _, field)| {
            let follower = field.follower.as_ref()?;
            let found = packet
                .leader(&follower.leader.value)
                .map_err(|problem| problem.at(&follower.leader.place));
            problems.take(found)?
        })
        .collect();
    let circles = packet.find_circles(&leaders, problems);
    let mut follows: Vec<Vec<_>> = headers
        .iter()
        .map(|header| header.iter().flat_map(|header| &header.fields).map(|_| None).collect())
        .collect();
    for (index, &(header, field, read)) in packet.fields.iter().enumerate() {
        let (Some(leader), Some(follower)) = (leaders[index], &read.follower) else { continue };
        let checked = packet.check(index, leader, follower.advance);
        let checked = checked.and_then(|()| {
            // In a circle the walk along the leaders would not end.
            if circles || follower.advance == Advance::Step {
                Ok(())
            } else {
                packet.check_period(index, &leaders)
            }
        });
        problems.take(checked.map_err(|problem| problem.at(&follower.leader.place)));
        let (leader_header, leader_field, _) = packet.fields[leader];
        let follow =
            Follow { header: leader_header, field: leader_field, advance: follower.advance };
        follows[header][field] = Some(Located::new(follow, follower.leader.place.clone()));
    }
    follows
}

/// All headers of a packet, and their fields in one list.
struct Packet<'a> {
    headers: &'a [Option<ReadHeader>],
    /// Indices of header and field, and the field.
    fields: Vec<(usize, usize, &'a ReadField)>,
}

impl<'a> Packet<'a> {
    fn new(headers: &'a [Option<ReadHeader>]) -> Self {
        let of_header = |(index, header): (usize, &'a Option<ReadHeader>)| {
            let fields = header.as_ref().map_or(&[][..], |header| header.fields.as_slice());
            fields.iter().enumerate().map(move |(field, read)| (index, field, read))
        };
        Self { headers, fields: headers.iter().enumerate().flat_map(of_header).collect() }
    }

    /// The headers of one kind, outer to inner.
    fn headers_of(&self, kind: HeaderKind) -> Vec<(usize, &'a ReadHeader)> {
        let read = self
            .headers
            .iter()
            .enumerate()
            .filter_map(|(index, header)| Some((index, header.as_ref()?)));
        read.filter(|(_, header)| header.kind.value == kind).collect()
    }

    /// The path of a field: `ipv4.src`, or `ipv4[1].src` where there are several.
    fn name(&self, index: usize) -> String {
        let (header, _, read) = self.fields[index];
        let Some(own) = &self.headers[header] else { return read.field.name.to_string() };
        let kind = own.kind.value;
        let alike = self.headers_of(kind);
        match alike.iter().position(|(index, _)| *index == header) {
            Some(which) if alike.len() > 1 => {
                format!("{}[{which}].{}", kind.name(), read.field.name)
            }
            _ => format!("{}.{}", kind.name(), read.field.name),
        }
    }

    /// The field that a path names; none when errors in the packet may be the reason that it is not
    /// found.
    fn leader(&self, path: &str) -> Result<Option<usize>, Problem> {
        let (segments, end) = path::parse(path).map_err(|(problem, _)| problem)?;
        let ([header, field], true) = (segments.as_slice(), end == path.len()) else {
            return Err(Problem::new(format!("`{path}` is not a header and its field"), HELP));
        };
        let Some((header_index, header)) = self.header(header)? else { return Ok(None) };
        let name = match field.index {
            Some(index) => format!("{}[{index}]", field.name),
            None => field.name.to_owned(),
        };
        let found = self
            .fields
            .iter()
            .position(|(index, _, read)| *index == header_index && read.field.name == name);
        if found.is_some() || !header.all_known {
            return Ok(found);
        }
        let kind = header.kind.value;
        if kind.field(&name).is_some() {
            return Err(Problem::new(
                format!("`{path}` is not among the fields this packet sets"),
                format!("give it values that vary: `{name} = {{ increment = {{ … }} }}`"),
            ));
        }
        let known = kind.fields().iter().map(|field| &*field.name);
        let bits = header
            .fields
            .iter()
            .map(|read| &*read.field.name)
            .filter(|name| name.starts_with("bits["));
        Err(Problem::new(
            format!("`{}` has no field `{name}`", kind.name()),
            names::cure(&name, "fields", known.chain(bits)),
        ))
    }

    fn header(&self, segment: &Segment<'_>) -> Result<Option<(usize, &'a ReadHeader)>, Problem> {
        let Segment { name, index, .. } = segment;
        let kind = HeaderKind::ALL.into_iter().find(|kind| kind.name() == *name);
        let alike = kind.map(|kind| self.headers_of(kind)).unwrap_or_default();
        match (alike.as_slice(), index) {
            ([only], None) => Ok(Some(*only)),
            (several, Some(index)) if *index < several.len() => Ok(Some(several[*index])),
            // The missing header may be one that could not be read.
            _ if self.headers.iter().any(Option::is_none) => Ok(None),
            ([], _) => {
                let kinds: Vec<_> =
                    self.headers.iter().flatten().map(|header| header.kind.value.name()).collect();
                Err(Problem::new(
                    format!("this packet has no `{name}` header"),
                    names::cure(name, "headers of this packet", kinds),
                ))
            }
            (several, None) => Err(Problem::new(
                format!("this packet has {} `{name}` headers", several.len()),
                format!(
                    "say which, from the outside in: `{name}[0]` to `{name}[{}]`",
                    several.len() - 1
                ),
            )),
            (several, Some(index)) => Err(Problem::new(
                format!("this packet has no `{name}[{index}]`"),
                format!("the last one from the outside in is `{name}[{}]`", several.len() - 1),
            )),
        }
    }

    /// Reports each circle once. Returns whether there is one.
    fn find_circles(&self, leaders: &[Option<usize>], problems: &mut Problems) -> bool {
        // For each field, the start of the first walk that visited it.
        let mut seen: Vec<Option<usize>> = vec![None; leaders.len()];
        let mut found = false;
        for start in 0..leaders.len() {
            let mut at = start;
            while let (None, Some(leader)) = (seen[at], leaders[at]) {
                seen[at] = Some(start);
                at = leader;
            }
            let (Some(follower), true) = (&self.fields[at].2.follower, seen[at] == Some(start))
            else {
                continue;
            };
            found = true;
            let round =
                std::iter::successors(leaders[at], |next| leaders[*next].filter(|_| *next != at));
            let names: Vec<_> = round.map(|index| format!("`{}`", self.name(index))).collect();
            let message = match names.as_slice() {
                [own] => format!("{own} follows itself"),
                _ => format!(
                    "`{}` follows itself in a circle: it follows {}",
                    self.name(at),
                    names.join(", which follows ")
                ),
            };
            problems.push(
                Diagnostic::new(&follower.leader.place, message)
                    .help("follow a field that goes by its own pattern, or remove `follow`"),
            );
        }
        found
    }

    /// Checks that follower and leader fit together.
    fn check(&self, follower: usize, leader: usize, advance: Advance) -> Result<(), Problem> {
        let (Some(own), Some(other)) =
            (&self.fields[follower].2.pattern, &self.fields[leader].2.pattern)
        else {
            // The error in the pattern is among the problems already.
            return Ok(());
        };
        let (own, other) = (&own.value, &other.value);
        let (name, leader) = (self.name(follower), self.name(leader));
        if other.value_count() == 1 {
            return Err(Problem::new(
                format!("`{leader}` has a single value, so there is nothing to go along with"),
                "give it values that vary, or remove `follow`",
            ));
        }
        let problem = match advance {
            Advance::Step if endless(own) && !endless(other) => Problem::new(
                format!(
                    "`{name}` takes random values without end, `{leader}` only {}",
                    shown_count(other)
                ),
                give_count(&shown_count(other)),
            ),
            Advance::Step if own.value_count() != other.value_count() => Problem::new(
                format!(
                    "`{name}` has {} values, `{leader}` has {}",
                    shown_count(own),
                    shown_count(other)
                ),
                "give both the same number of values, or let it move on more slowly: \
                 `follow = { field = …, pace = \"round\" }`",
            ),
            Advance::Round if endless(own) => {
                Problem::new(format!("`{name}` takes random values without end"), give_count("100"))
            }
            Advance::Round if own.value_count() == 1 => Problem::new(
                format!("`{name}` has a single value, so there is nothing to move on to"),
                "give it values that vary, or remove `follow`",
            ),
            Advance::Step | Advance::Round => return Ok(()),
        };
        Err(problem)
    }

    /// Checks that a follower in rounds moves on at all: its leaders must go through their values
    /// within 2⁶⁴ frames. The leaders form no circle.
    fn check_period(&self, follower: usize, leaders: &[Option<usize>]) -> Result<(), Problem> {
        let mut frames: u128 = 1;
        let mut next = leaders[follower];
        while let Some(at) = next {
            let (_, _, read) = self.fields[at];
            let pattern = read.pattern.as_ref().map(|pattern| &pattern.value);
            if pattern.is_some_and(endless) {
                return Err(Problem::new(
                    format!(
                        "`{}` takes random values without end, so there is none to wait for",
                        self.name(at)
                    ),
                    give_count("100"),
                ));
            }
            let advance = read.follower.as_ref().map(|follower| follower.advance);
            // A follower in step takes as many frames as its leader.
            if advance != Some(Advance::Step) || leaders[at].is_none() {
                frames = frames.saturating_mul(pattern.map_or(1, Pattern::value_count));
            }
            next = leaders[at];
        }
        if frames <= u128::from(u64::MAX) {
            return Ok(());
        }
        Err(Problem::new(
            format!("`{}` would move on after more than 2⁶⁴ frames", self.name(follower)),
            "give the fields it follows fewer values",
        ))
    }
}

fn endless(pattern: &Pattern) -> bool {
    matches!(pattern, Pattern::Random { count: None, .. })
}

fn give_count(count: &str) -> String {
    format!("give it a count: `random = {{ …, count = {count} }}`")
}

/// The number of values as text; 2¹²⁸ does not fit a `u128`.
fn shown_count(pattern: &Pattern) -> String {
    match pattern.value_count() {
        0 => "2¹²⁸".to_owned(),
        count => count.to_string(),
    }
}
