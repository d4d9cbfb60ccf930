//! Names in messages: the name nearest to a typing error, and the list of valid names.

/// The candidate that `name` most likely stands for; none when none is near.
///
/// Near is an edit distance of a third of the longer name (at least one letter), or a candidate
/// that `name` begins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let allowed = (name.len().max(candidate.len()) / 3).max(1);
            let near = *distance <= allowed && *distance < name.len();
            near || (name.len() >= 2 && candidate.starts_with(&name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Help for an unknown `name`: the nearest candidate, or else all of them. `noun` is their plural,
/// such as `ports`.
pub fn cure<'a>(
    name: &str,
    noun: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match nearest(name, candidates.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the {noun} are {}", list(candidates)),
    }
}

/// Names in back quotes: `` `a`, `b` ``.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
