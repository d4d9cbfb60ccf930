//! Reads TOML values with their places; each reader reports what it expected when it finds
//! something else.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use serde_spanned::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config::{
    Diagnostic, Located, Origin,
    literal::{Problem, parse_count},
    names,
};

/// The errors found in a configuration so far.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Diagnostic>);

impl Problems {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// The value of a result; its error is added to the problems.
    pub(super) fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }
}

/// The texts that a document was made of, one after the other: spans count through all of them.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Where the document starts in the file.
    pub(super) start: usize,
    /// Where each `--set` starts, and the whole argument, in order. Bytes before the first are the
    /// file's.
    pub(super) overrides: Vec<(usize, Arc<str>)>,
}

impl Texts {
    /// Where the bytes of `span` were written.
    pub(super) fn place(&self, span: Range<usize>) -> Origin {
        let count = self.overrides.partition_point(|(start, _)| *start <= span.start);
        match self.overrides[..count].last() {
            None => Origin::File(self.start + span.start..self.start + span.end),
            Some((start, argument)) => {
                Origin::in_override(argument.clone(), span.start - start..span.end - start)
            }
        }
    }
}

/// A value and its key.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    /// The value's key; elements of an array have the array's.
    pub(super) key: &'a str,
    pub(super) key_place: Origin,
    pub(super) value: &'a DeValue<'a>,
    pub(super) place: Origin,
    /// The texts that its origins refer to.
    texts: &'a Texts,
}

impl<'a> Value<'a> {
    /// A value outside of any table.
    pub(super) fn alone(key: &'a str, value: &'a Spanned<DeValue<'a>>, texts: &'a Texts) -> Self {
        let place = texts.place(value.span());
        Self { key, key_place: place.clone(), value: value.get_ref(), place, texts }
    }

    /// The error that the value is not `wanted`, such as `a string`.
    pub(super) fn mismatch(&self, wanted: &str, help: &str) -> Diagnostic {
        let found = match self.value {
            DeValue::String(text) => format!("the string {text:?}"),
            DeValue::Integer(integer) => format!("the integer {integer}"),
            DeValue::Float(float) => format!("the float {float}"),
            DeValue::Boolean(boolean) => format!("the boolean {boolean}"),
            DeValue::Datetime(datetime) => format!("the date {datetime}"),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        Diagnostic::new(&self.place, format!("`{}` must be {wanted}, not {found}", self.key))
            .help(help)
    }

    pub(super) fn located<T>(&self, value: T) -> Located<T> {
        Located::new(value, self.place.clone())
    }

    /// A string, read by `parse`.
    pub(super) fn parsed<T>(
        &self,
        wanted: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Located<T>, Diagnostic> {
        let text = self.value.as_str().ok_or_else(|| self.mismatch(wanted, help))?;
        parse(text).map(|value| self.located(value)).map_err(|problem| problem.at(&self.place))
    }

    /// A string that is not empty.
    pub(super) fn name(&self) -> Result<Located<String>, Diagnostic> {
        self.parsed("a string", "write it in quotes", |text| {
            if text.is_empty() {
                return Err(Problem::new(
                    format!("`{}` is empty", self.key),
                    "write a name between the quotes",
                ));
            }
            Ok(text.to_owned())
        })
    }

    /// One of several strings.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<Located<T>, Diagnostic> {
        let words = || choices.iter().map(|(word, _)| *word);
        self.parsed("a string", &format!("write one of {}", names::list(words())), |text| {
            let choice = choices.iter().find(|(word, _)| *word == text);
            choice.map(|(_, value)| *value).ok_or_else(|| {
                Problem::new(
                    format!("unknown {} `{text}`", self.key),
                    names::cure(text, "choices", words()),
                )
            })
        })
    }

    /// An unsigned integer.
    pub(super) fn unsigned(&self) -> Result<u128, Diagnostic> {
        match self.value {
            DeValue::Integer(integer) => {
                unsigned(integer).map_err(|problem| problem.at(&self.place))
            }
            _ => Err(self.mismatch("an integer", "write a number without quotes")),
        }
    }

    /// An integer within `range`; a range up to the type's largest value is shown as `at least`.
    pub(super) fn integer<T>(&self, range: &RangeInclusive<T>) -> Result<Located<T>, Diagnostic>
    where
        T: Copy + PartialOrd + TryFrom<u128> + Into<u128>,
    {
        let number = self.unsigned()?;
        match T::try_from(number).ok().filter(|value| range.contains(value)) {
            Some(value) => Ok(self.located(value)),
            None if number < (*range.start()).into() => {
                Err(Diagnostic::new(&self.place, format!("`{}` is {number}, too small", self.key))
                    .help(format!("write at least {}", (*range.start()).into())))
            }
            None => {
                Err(Diagnostic::new(&self.place, format!("`{}` is {number}, too large", self.key))
                    .help(format!("write at most {}", (*range.end()).into())))
            }
        }
    }

    /// A count above zero: an integer, or a string such as `"1M"`.
    pub(super) fn count(&self) -> Result<Located<u64>, Diagnostic> {
        let text = match self.value {
            DeValue::Integer(_) => return self.integer(&(1..=u64::MAX)),
            DeValue::Float(float) => float.as_str(),
            DeValue::String(text) => text,
            _ => return Err(self.mismatch("a number", "write one such as `1000000` or `\"1M\"`")),
        };
        parse_count(text)
            .map(|count| self.located(count))
            .map_err(|problem| problem.at(&self.place))
    }

    /// The elements of an array.
    pub(super) fn elements(&self, help: &str) -> Result<Vec<Self>, Diagnostic> {
        let array = self.value.as_array().ok_or_else(|| self.mismatch("an array", help))?;
        let element = |item: &'a Spanned<DeValue<'a>>| Self {
            key: self.key,
            key_place: self.key_place.clone(),
            value: item.get_ref(),
            place: self.texts.place(item.span()),
            texts: self.texts,
        };
        Ok(array.iter().map(element).collect())
    }

    /// The entries of a table, in the order of the texts.
    pub(super) fn entries(&self, help: &str) -> Result<Vec<Self>, Diagnostic> {
        let table = self.value.as_table().ok_or_else(|| self.mismatch("a table", help))?;
        Ok(entries(table, self.texts))
    }

    /// A table with a fixed set of keys. `noun` says what it describes, such as `port`.
    pub(super) fn table(&self, noun: &'static str, help: &str) -> Result<Table<'a>, Diagnostic> {
        Ok(Table::new(noun, self.place.clone(), self.entries(help)?))
    }
}

/// The entries of a table, in the order of the texts.
pub(super) fn entries<'a>(table: &'a DeTable<'a>, texts: &'a Texts) -> Vec<Value<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, item): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
        let key_place = texts.place(key.span());
        let key: &'a std::borrow::Cow<'a, str> = key.get_ref();
        Value { key, key_place, value: item.get_ref(), place: texts.place(item.span()), texts }
    };
    entries.into_iter().map(entry).collect()
}

/// The number of an integer.
fn unsigned(integer: &DeInteger<'_>) -> Result<u128, Problem> {
    let text = integer.as_str();
    u128::from_str_radix(text, integer.radix()).map_err(|_| {
        if text.starts_with('-') {
            Problem::new(format!("{integer} is negative"), "write a number of at least 0")
        } else if text.chars().all(|letter| letter.is_digit(integer.radix())) {
            Problem::new(format!("{integer} has more than 128 bits"), "write a smaller number")
        } else {
            // The toml crate does not check the digits.
            Problem::new(
                format!("`{integer}` is not a number"),
                "write digits alone, such as `1000`",
            )
        }
    })
}

/// A table with a fixed set of keys. Each key that was read is known; [`finish`](Self::finish)
/// reports the others.
#[derive(Debug)]
pub(super) struct Table<'a> {
    noun: &'static str,
    /// The origin of its header, or of the whole table when it is inline.
    place: Origin,
    entries: Vec<Value<'a>>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, &'static str)>,
}

impl<'a> Table<'a> {
    pub(super) const fn new(noun: &'static str, place: Origin, entries: Vec<Value<'a>>) -> Self {
        Self { noun, place, entries, known: Vec::new(), missing: Vec::new() }
    }

    /// Whether the table has `key`, without making it a known one.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// The value of `key`, which may be absent.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        self.entries.iter().find(|entry| entry.key == key).cloned()
    }

    /// The value of `key`, which is required. `example` is a line for it, key included.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        example: &'static str,
    ) -> Option<Value<'a>> {
        let value = self.optional(key);
        if value.is_none() {
            self.missing.push((key, example));
        }
        value
    }

    /// The values of those `keys` that the table has, in the order of `keys`.
    pub(super) fn given(&mut self, keys: &[&'static str]) -> Vec<Value<'a>> {
        keys.iter().filter_map(|key| self.optional(key)).collect()
    }

    /// The value of the one of `forms` that the table has. None or several of them, and unknown keys,
    /// are errors. This ends the table, whose other keys were read before. `what` names the table
    /// in errors, such as `` the pattern of `src` ``.
    pub(super) fn one_of(
        mut self,
        forms: &'static [&'static str],
        what: &str,
        problems: &mut Problems,
    ) -> Option<Value<'a>> {
        let given = self.given(forms);
        let place = self.place.clone();
        let all_known = self.finish(problems);
        match given.as_slice() {
            [form] => return Some(form.clone()),
            // The unknown key most likely is a misspelt form.
            [] if !all_known => {}
            [] => problems.push(
                Diagnostic::new(&place, format!("{what} is empty"))
                    .help(format!("write one of {}", names::list(forms.iter().copied()))),
            ),
            several => {
                // Most likely a `--set` added one form to another.
                let added =
                    several.iter().find(|form| matches!(form.key_place, Origin::Override(..)));
                let keys = names::list(several.iter().map(|form| form.key));
                problems.push(
                    Diagnostic::new(
                        added.map_or(&place, |form| &form.key_place),
                        format!("{what} has several forms at once: {keys}"),
                    )
                    .help(match added {
                        Some(form) => format!(
                            "set all of it, not just its `{}`: `…={{ {} = … }}`",
                            form.key, form.key
                        ),
                        None => "keep one of them".to_owned(),
                    }),
                );
            }
        }
        None
    }

    /// Reports unknown keys, and required keys that are absent, except misspelt ones. Returns whether
    /// all keys were known.
    pub(super) fn finish(self, problems: &mut Problems) -> bool {
        let Self { noun, place, entries, known, mut missing } = self;
        let unknown: Vec<_> = entries.iter().filter(|entry| !known.contains(&entry.key)).collect();
        for entry in &unknown {
            let absent =
                known.iter().copied().filter(|key| entries.iter().all(|entry| entry.key != *key));
            let help = match names::nearest(entry.key, absent) {
                Some(near) => {
                    missing.retain(|(key, _)| *key != near);
                    format!("did you mean `{near}`?")
                }
                None => format!("the keys of a {noun} are {}", names::list(known.iter().copied())),
            };
            problems.push(
                Diagnostic::new(
                    &entry.key_place,
                    format!("unknown key `{}` in a {noun}", entry.key),
                )
                .help(help),
            );
        }
        for (key, example) in missing {
            problems.push(
                Diagnostic::new(&place, format!("this {noun} has no `{key}`"))
                    .help(format!("add `{example}`")),
            );
        }
        unknown.is_empty()
    }
}
