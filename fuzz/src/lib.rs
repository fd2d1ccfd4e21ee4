//! What the fuzz targets share: counters of what they have reached, and the
//! gateway that they ask.

pub mod feed;
pub mod json;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use warifu::config::Config;
use warifu::site::{Secrets, Site, Sites};

/// Two keys of nobody: the newest signs.
pub const KEYS: &str = r#"[{"kid":2,"key":"_cTXNanGb421YN1CvaJZTi4kvb9bbWpyIU3n2oGX5ks"},{"kid":1,"key":"vs6DaqSkFPjC5YKC4DqkzypiMfgy8gyUMfNwSmCxhPA"}]"#;
/// The same, as if the older were the newest.
pub const KEYS_BEFORE: &str = r#"[{"kid":1,"key":"vs6DaqSkFPjC5YKC4DqkzypiMfgy8gyUMfNwSmCxhPA"}]"#;
/// The session cookie.
pub const NAME: &str = "__Host-Http-warifu";

/// How often a place has been reached. It tells at each doubling, so that a
/// run's log shows it without a word from the fuzzer, which ends without
/// warning; scripts/fuzz fails where a place never was.
pub struct Reached {
    name: &'static str,
    count: AtomicU64,
}

impl Reached {
    pub const fn new(name: &'static str) -> Self {
        Self { name, count: AtomicU64::new(0) }
    }

    pub fn note(&self) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            eprintln!("reached {} {count}", self.name);
        }
    }
}

/// Notes that a target has come here.
#[macro_export]
macro_rules! reached {
    ($name:literal) => {{
        static HERE: $crate::Reached = $crate::Reached::new($name);
        HERE.note();
    }};
}

/// A text that begins with `~` stands for one that is put together of pieces,
/// one for each byte that follows: what takes several bytes to say is one change
/// away. Any other is itself.
pub fn assembled<'a>(text: &'a str, pieces: &[&str]) -> Cow<'a, str> {
    match text.strip_prefix('~') {
        Some(recipe) => recipe.bytes().map(|byte| pieces[usize::from(byte) % pieces.len()]).collect(),
        None => Cow::Borrowed(text),
    }
}

/// A site of this configuration.
pub fn site(binding: &str) -> Site {
    let secrets = Secrets { keys: Some(KEYS), ..Secrets::default() };
    Sites::read(binding, secrets).expect("a configuration").into_first().expect("a site")
}

/// Its configuration alone.
pub fn config(binding: &str) -> Config {
    site(binding).config
}
