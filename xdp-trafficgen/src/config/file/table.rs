//! Reading TOML values with their places: each reader says what it wanted when it finds something else.

use std::ops::RangeInclusive;

use serde_spanned::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config::{Diagnostic, Located, Place, literal::Problem, names};

/// What is wrong with a file, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Diagnostic>);

impl Problems {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// The value of a result; its error is kept.
    pub(super) fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }
}

/// A value and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    /// The key it was given for; elements of an array have the array's.
    pub(super) key: &'a str,
    pub(super) key_place: Place,
    pub(super) value: &'a DeValue<'a>,
    pub(super) place: Place,
}

impl<'a> Value<'a> {
    /// That it is not what was `wanted`, such as `a string`.
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
        Diagnostic::new(&self.place, format!("`{}` must be {wanted}, not {found}", self.key)).help(help)
    }

    pub(super) fn located<T>(&self, value: T) -> Located<T> {
        Located::new(value, self.place.clone())
    }

    /// A string, as `parse` understands it.
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
                return Err(Problem::new(format!("`{}` is empty", self.key), "write a name between the quotes"));
            }
            Ok(text.to_owned())
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<Located<T>, Diagnostic> {
        let words = || choices.iter().map(|(word, _)| *word);
        self.parsed("a string", &format!("write one of {}", names::list(words())), |text| {
            let choice = choices.iter().find(|(word, _)| *word == text);
            choice.map(|(_, value)| *value).ok_or_else(|| {
                Problem::new(format!("unknown {} `{text}`", self.key), names::cure(text, "choices", words()))
            })
        })
    }

    /// An unsigned integer.
    pub(super) fn unsigned(&self) -> Result<u128, Diagnostic> {
        match self.value {
            DeValue::Integer(integer) => unsigned(integer).map_err(|problem| problem.at(&self.place)),
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
            None => Err(Diagnostic::new(&self.place, format!("`{}` is {number}, too large", self.key))
                .help(format!("write at most {}", (*range.end()).into()))),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(&self, help: &str) -> Result<Vec<Self>, Diagnostic> {
        let array = self.value.as_array().ok_or_else(|| self.mismatch("an array", help))?;
        let element = |item: &'a Spanned<DeValue<'a>>| Self {
            key: self.key,
            key_place: self.key_place.clone(),
            value: item.get_ref(),
            place: Place::File(item.span()),
        };
        Ok(array.iter().map(element).collect())
    }

    /// The entries of a table, in the order of the file.
    pub(super) fn entries(&self, help: &str) -> Result<Vec<Self>, Diagnostic> {
        self.value.as_table().map(entries).ok_or_else(|| self.mismatch("a table", help))
    }

    /// A table with a fixed set of keys. `noun` says what it describes, such as `port`.
    pub(super) fn table(&self, noun: &'static str, help: &str) -> Result<Table<'a>, Diagnostic> {
        Ok(Table::new(noun, self.place.clone(), self.entries(help)?))
    }
}

/// The entries of a table, in the order of the file.
pub(super) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Value<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, item): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
        let key_place = Place::File(key.span());
        let key: &'a std::borrow::Cow<'a, str> = key.get_ref();
        Value { key, key_place, value: item.get_ref(), place: Place::File(item.span()) }
    };
    entries.into_iter().map(entry).collect()
}

/// The number an integer stands for.
fn unsigned(integer: &DeInteger<'_>) -> Result<u128, Problem> {
    let text = integer.as_str();
    u128::from_str_radix(text, integer.radix()).map_err(|_| {
        if text.starts_with('-') {
            Problem::new(format!("{integer} is negative"), "write a number of at least 0")
        } else {
            Problem::new(format!("{integer} has more than 128 bits"), "write a smaller number")
        }
    })
}

/// A table whose keys are known: each key asked for counts as known, the others are reported in the end.
#[derive(Debug)]
pub(super) struct Table<'a> {
    noun: &'static str,
    /// Of its header, or of the whole table when it is inline.
    place: Place,
    entries: Vec<Value<'a>>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, &'static str)>,
}

impl<'a> Table<'a> {
    pub(super) const fn new(noun: &'static str, place: Place, entries: Vec<Value<'a>>) -> Self {
        Self { noun, place, entries, known: Vec::new(), missing: Vec::new() }
    }

    /// The value of `key`, which may be absent.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        self.entries.iter().find(|entry| entry.key == key).cloned()
    }

    /// The value of `key`, which must be there. `example` is what one would write for it, key included.
    pub(super) fn required(&mut self, key: &'static str, example: &'static str) -> Option<Value<'a>> {
        let value = self.optional(key);
        if value.is_none() {
            self.missing.push((key, example));
        }
        value
    }

    /// Reports keys that nobody asked for, and required ones that are absent (but not those that were merely misspelt).
    /// Returns whether all keys were known.
    pub(super) fn finish(self, problems: &mut Problems) -> bool {
        let Self { noun, place, entries, known, mut missing } = self;
        let unknown: Vec<_> = entries.iter().filter(|entry| !known.contains(&entry.key)).collect();
        for entry in &unknown {
            let absent = known.iter().copied().filter(|key| entries.iter().all(|entry| entry.key != *key));
            let help = match names::nearest(entry.key, absent) {
                Some(near) => {
                    missing.retain(|(key, _)| *key != near);
                    format!("did you mean `{near}`?")
                }
                None => format!("the keys of a {noun} are {}", names::list(known.iter().copied())),
            };
            problems
                .push(Diagnostic::new(&entry.key_place, format!("unknown key `{}` in a {noun}", entry.key)).help(help));
        }
        for (key, example) in missing {
            problems
                .push(Diagnostic::new(&place, format!("this {noun} has no `{key}`")).help(format!("add `{example}`")));
        }
        unknown.is_empty()
    }
}
