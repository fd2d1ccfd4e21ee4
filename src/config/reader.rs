//! Reads the tables of the configuration strictly, and collects every mistake
//! rather than stopping at the first, so that one deploy shows them all.

use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

use serde_json::{Map, Value};

use crate::time::parse_span;

/// One thing that is wrong in the configuration: the key, dotted and indexed
/// (`routes[1].access`), and a sentence with what was found and what is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    pub key: String,
    pub says: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.says)
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    pub fn add(&self, key: impl Into<String>, says: impl Into<String>) {
        self.0.borrow_mut().push(Mistake { key: key.into(), says: says.into() });
    }

    pub fn into_vec(self) -> Vec<Mistake> {
        self.0.into_inner()
    }
}

/// One table and where it stands. Each accessor names its key; what no
/// accessor has named by [`Table::finish`] is an unknown key.
pub struct Table<'a> {
    at: String,
    entries: &'a Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
    mistakes: &'a Mistakes,
}

impl<'a> Table<'a> {
    /// The outermost table.
    pub fn root(entries: &'a Map<String, Value>, mistakes: &'a Mistakes) -> Self {
        Self { at: String::new(), entries, known: RefCell::default(), mistakes }
    }

    /// `key` with the path to this table before it; one without a character is
    /// shown in quotes.
    pub fn name(&self, key: &str) -> String {
        let key = if key.is_empty() { "\"\"" } else { key };
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// Notes that the value of `key` will not do.
    #[cold]
    pub fn wrong(&self, key: &str, says: impl Into<String>) {
        self.mistakes.add(self.name(key), says);
    }

    /// Notes that the value of `key` must be something else than what was found.
    #[cold]
    pub fn wrong_value(&self, key: &str, wanted: &str) {
        match self.entries.get(key) {
            Some(found) => self.wrong_type(key, found, wanted),
            None => self.wrong(key, format!("found nothing; it must be {wanted}")),
        }
    }

    fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(key);
        self.entries.get(key)
    }

    /// Whether the key is there at all.
    pub fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    #[cold]
    fn wrong_type(&self, key: &str, found: &Value, wanted: &str) {
        self.wrong(key, format!("found {}; it must be {wanted}", show(found)));
    }

    /// A string that may be absent.
    pub fn text(&self, key: &'static str) -> Option<&'a str> {
        let found = self.value(key)?;
        if found.as_str().is_none() {
            self.wrong_type(key, found, "a string");
        }
        found.as_str()
    }

    /// `true` or `false`; absent where the default depends on something else.
    pub fn optional_flag(&self, key: &'static str) -> Option<bool> {
        let found = self.value(key)?;
        if found.as_bool().is_none() {
            self.wrong_type(key, found, "true or false");
        }
        found.as_bool()
    }

    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        self.optional_flag(key).unwrap_or(default)
    }

    /// `true`, `false`, which is the default, or a word for a third thing.
    pub fn flag_or<T>(&self, key: &'static str, (word, third): (&str, T), (no, yes): (T, T)) -> T {
        match self.value(key) {
            None | Some(Value::Bool(false)) => no,
            Some(Value::Bool(true)) => yes,
            Some(Value::String(found)) if found == word => third,
            Some(found) => {
                self.wrong_type(key, found, &format!("true, false or {word:?}"));
                no
            }
        }
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&self, key: &'static str, min: u64, max: u64, default: u64) -> u64 {
        let Some(found) = self.value(key) else { return default };
        // A JSON binding has passed through JavaScript, where 64 may be 64.0.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
        let number = found
            .as_u64()
            .or_else(|| found.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64));
        match number {
            Some(number) if (min..=max).contains(&number) => number,
            _ => {
                self.wrong_type(key, found, &format!("a whole number from {min} to {max}"));
                default
            }
        }
    }

    /// A span such as `"30m"`.
    pub fn optional_span(&self, key: &'static str) -> Option<Duration> {
        let found = self.value(key)?;
        let span = found.as_str().and_then(parse_span);
        if span.is_none() {
            self.wrong_type(
                key,
                found,
                "a duration with a unit, such as \"500ms\", \"2s\", \"30m\", \"12h\" or \"30d\" (at most 3650d)",
            );
        }
        span
    }

    pub fn span(&self, key: &'static str, default: Duration) -> Duration {
        self.optional_span(key).unwrap_or(default)
    }

    /// One of a fixed list of words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        self.optional_choice(key, words).unwrap_or(default)
    }

    pub fn optional_choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let found = self.value(key)?;
        let chosen = found.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if chosen.is_none() {
            let allowed: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.wrong_type(key, found, &format!("one of {}", allowed.join(", ")));
        }
        chosen.map(|(_, value)| *value)
    }

    /// A list of strings; absent is empty.
    pub fn texts(&self, key: &'static str) -> Vec<&'a str> {
        let Some(found) = self.value(key) else { return Vec::new() };
        let texts = found.as_array().and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        if texts.is_none() {
            self.wrong_type(key, found, "a list of strings");
        }
        texts.unwrap_or_default()
    }

    /// The table under `key`; an empty one if it is absent.
    pub fn table(&self, key: &'static str) -> Table<'a> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let entries = match self.value(key) {
            None => &EMPTY,
            Some(Value::Object(entries)) => entries,
            Some(found) => {
                self.wrong_type(key, found, &format!("a table: [vars.WARIFU.{key}]"));
                &EMPTY
            }
        };
        self.nested(self.name(key), entries)
    }

    /// The tables of a list such as `[[vars.WARIFU.routes]]`; `None` if absent.
    pub fn tables(&self, key: &'static str) -> Option<Vec<Table<'a>>> {
        let found = self.value(key)?;
        let Some(items) = found.as_array() else {
            self.wrong_type(key, found, &format!("a list of tables: [[vars.WARIFU.{key}]]"));
            return None;
        };
        let mut tables = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("{}[{index}]", self.name(key));
            match item {
                Value::Object(entries) => tables.push(self.nested(at, entries)),
                other => self.mistakes.add(at, format!("found {}; it must be a table", show(other))),
            }
        }
        Some(tables)
    }

    fn nested(&self, at: String, entries: &'a Map<String, Value>) -> Table<'a> {
        Table { at, entries, known: RefCell::default(), mistakes: self.mistakes }
    }

    /// Reports every key that nothing has asked for.
    pub fn finish(self) {
        self.finish_beside("");
    }

    /// The same, where the message names one more key, which is read elsewhere.
    pub fn finish_beside(self, more: &str) {
        let mut known = self.known.take();
        known.sort_unstable();
        known.dedup();
        for key in self.entries.keys().filter(|key| !known.contains(&key.as_str())) {
            self.mistakes.add(self.name(key), format!("unknown key; allowed here: {}{more}", known.join(", ")));
        }
    }
}

/// A found value for a message: at most [`SHOWN_CHARS_MAX`] characters of it.
pub fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

const SHOWN_CHARS_MAX: usize = 80;
