//! A TOML document in which everything knows its place.

use core::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed document; places are ranges of bytes of its text.
pub struct Document<'t>(Spanned<DeTable<'t>>);

impl<'t> Document<'t> {
    /// # Errors
    /// What is no TOML, and where.
    pub fn parse(text: &'t str) -> Result<Self, (Range<usize>, String)> {
        DeTable::parse(text)
            .map(Self)
            .map_err(|error| (error.span().unwrap_or_default(), error.message().replace('\n', ", ")))
    }

    /// As much of it as can be made out, where it is no TOML.
    pub fn recovered(text: &'t str) -> Self {
        Self(DeTable::parse_recoverable(text).0)
    }

    pub fn root(&self) -> &DeTable<'t> {
        self.0.get_ref()
    }

    /// The value under these keys, one table inside the other.
    pub fn get(&self, keys: &[&str]) -> Option<&DeValue<'t>> {
        let (last, tables) = keys.split_last()?;
        let mut table = self.0.get_ref();
        for key in tables {
            table = table.get(*key)?.get_ref().as_table()?;
        }
        table.get(*last).map(Spanned::get_ref)
    }

    /// Where a key such as `vars.WARIFU.routes[1].access` stands; if it does
    /// not, where the innermost table or list stands in which it is missing.
    pub fn place(&self, key: &str) -> Range<usize> {
        place_in(self.0.get_ref(), key, 0..0)
    }
}

/// Keys may have dots of their own, so the longest that fits is taken.
fn place_in(table: &DeTable<'_>, path: &str, outside: Range<usize>) -> Range<usize> {
    let fitting = table.iter().filter_map(|(key, value)| {
        let rest = path.strip_prefix(&**key.get_ref())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((key, value, rest))
    });
    match fitting.min_by_key(|(.., rest)| rest.len()) {
        Some((key, value, rest)) => place_below(value.get_ref(), rest, key.span()),
        None => outside,
    }
}

fn place_below(value: &DeValue<'_>, path: &str, at: Range<usize>) -> Range<usize> {
    match value {
        DeValue::Table(table) => match path.strip_prefix('.') {
            Some(path) => place_in(table, path, at),
            None => at,
        },
        DeValue::Array(items) => {
            let index = path.strip_prefix('[').and_then(|path| path.split_once(']'));
            match index.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest))) {
                Some((item, rest)) => place_below(item.get_ref(), rest, item.span()),
                None => at,
            }
        }
        _ => at,
    }
}

/// The JSON that wrangler makes of a value.
pub fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            Err(_) => Value::String(number.to_string()),
        },
        // JSON has no infinity.
        DeValue::Float(number) => {
            number.as_str().parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref())))
                .collect::<Map<_, _>>(),
        ),
    }
}
