//! `custody`: which of the application's own values warifu keeps from browsers.

use super::reader::Table;
use crate::path::CanonicalPath;

/// What is kept; nothing by default.
#[derive(Debug, Default)]
pub struct Custody {
    /// Names of cookies. The first is the one that says who it is.
    pub cookies: Vec<String>,
    /// Where the claims of that cookie, or of the first token, say who it is: a
    /// JSON pointer (RFC 6901).
    pub subject: String,
    pub bearer: Vec<Bearer>,
    /// Paths, as in [`Bearer::path`], where a good answer means that the person's
    /// other sessions are to end, such as that of a new password.
    pub ends_others: Vec<Vec<u8>>,
}

/// A path whose JSON answers hold tokens.
#[derive(Debug)]
pub struct Bearer {
    /// Percent-decoded, without a `/` at the end.
    pub path: Vec<u8>,
    /// Pointers to the tokens. The first is what goes with requests.
    pub tokens: Vec<String>,
    /// Pointers to where the body of a request may have their placeholders.
    pub body: Vec<String>,
    /// Whether a good answer means that the person has logged out.
    pub ends: bool,
}

impl Custody {
    pub fn is_off(&self) -> bool {
        self.cookies.is_empty() && self.bearer.is_empty()
    }

    /// Whether tokens of JSON answers are kept.
    pub fn has_tokens(&self) -> bool {
        self.bearer.iter().any(|bearer| !bearer.tokens.is_empty())
    }

    /// The entry for a path, in whichever of its readings: what an origin might
    /// take for the path of a log-in must not get past.
    pub fn bearer_at(&self, path: &CanonicalPath) -> Option<&Bearer> {
        self.bearer.iter().find(|bearer| is_at(&bearer.path, path))
    }

    /// Whether a good answer there ends the person's other sessions.
    pub fn ends_others_at(&self, path: &CanonicalPath) -> bool {
        self.ends_others.iter().any(|named| is_at(named, path))
    }
}

fn is_at(named: &[u8], path: &CanonicalPath) -> bool {
    let mut readings = path.other_readings().iter().map(Vec::as_slice).chain([path.decoded()]);
    readings.any(|reading| is_same(named, reading))
}

/// Many frameworks take a path with a slash at its end for the same, and one in
/// other case.
fn is_same(path: &[u8], found: &[u8]) -> bool {
    found.strip_suffix(b"/").unwrap_or(found).eq_ignore_ascii_case(path)
}

/// The name of a token: the last part of the pointer to it (RFC 6901, section 4).
pub fn name_of(pointer: &str) -> String {
    pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~")
}

pub(super) fn custody(root: &Table<'_>, session_cookie: &str) -> Custody {
    if root.has("custody") {
        return read(root.table("custody"), session_cookie);
    }
    Custody { subject: SUBJECT_DEFAULT.to_owned(), ..Custody::default() }
}

const SUBJECT_DEFAULT: &str = "/sub";

#[inline(never)]
fn read(table: Table<'_>, session_cookie: &str) -> Custody {
    let cookies = cookies(&table, "cookies", session_cookie);
    let subject = pointer(&table, "subject").unwrap_or_else(|| SUBJECT_DEFAULT.to_owned());
    let bearer: Vec<Bearer> = table.tables("bearer").unwrap_or_default().into_iter().map(bearer).collect();
    for (index, one) in bearer.iter().enumerate() {
        if bearer[..index].iter().any(|earlier| earlier.path == one.path) {
            table.wrong("bearer", format!("found {:?} twice", String::from_utf8_lossy(&one.path)));
        }
    }
    let ends_others = table.texts("ends_others");
    if ends_others.len() > NAMES_MAX {
        table.wrong("ends_others", format!("found {} paths; at most {NAMES_MAX} are allowed", ends_others.len()));
    }
    let ends_others = ends_others.into_iter().map(|found| path(&table, "ends_others", Some(found))).collect();
    let custody = Custody { cookies, subject, bearer, ends_others };
    for (key, why) in [
        ("subject", "there is nothing that could say who it is"),
        ("ends_others", "commands are for applications that can be changed"),
    ] {
        if custody.is_off() && table.has(key) {
            table.wrong(key, format!("found without cookies or bearer; {why}"));
        }
    }
    table.finish();
    custody
}

fn cookies(table: &Table<'_>, key: &'static str, session_cookie: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in table.texts(key) {
        if !is_token(name) {
            table.wrong(key, format!("found {name:?}; each must be the name of a cookie (RFC 6265, section 4.1.1)"));
        } else if name.eq_ignore_ascii_case(session_cookie) {
            table.wrong(key, format!("found {name:?}, which is the session cookie itself"));
        } else if names.iter().any(|earlier| earlier == name) {
            table.wrong(key, format!("found {name:?} twice"));
        }
        names.push(name.to_owned());
    }
    if names.len() > NAMES_MAX {
        table.wrong(key, format!("found {} names; at most {NAMES_MAX} are allowed", names.len()));
    }
    names
}

fn bearer(table: Table<'_>) -> Bearer {
    let path = path(&table, "path", table.text("path"));
    let tokens = pointers(&table, "tokens");
    let ends = table.flag("ends", false);
    if ends && !tokens.is_empty() {
        table.wrong("ends", "found true beside tokens; an answer cannot both log in and log out");
    }
    if tokens.is_empty() && !ends {
        table.wrong_value("tokens", "a list of JSON pointers to the tokens, such as [\"/access_token\"]");
    }
    let body = pointers(&table, "body");
    table.finish();
    Bearer { path, tokens, body, ends }
}

/// One path of the application, percent-decoded and without a `/` at its end.
fn path(table: &Table<'_>, key: &'static str, found: Option<&str>) -> Vec<u8> {
    let parsed = found.and_then(|path| CanonicalPath::parse(path).ok().filter(|parsed| parsed.as_str() == path));
    let fits = parsed.as_ref().is_some_and(|parsed| !parsed.is_ours() && !parsed.as_str().contains('*'));
    if !fits {
        let found = found.map_or_else(|| "nothing".to_owned(), |path| format!("{path:?}"));
        table.wrong(key, format!("found {found}; it must be one path of the application, such as \"/api/login\""));
    }
    let path = parsed.map(|parsed| parsed.decoded().to_vec()).unwrap_or_default();
    path.strip_suffix(b"/").map(<[u8]>::to_vec).unwrap_or(path)
}

fn pointers(table: &Table<'_>, key: &'static str) -> Vec<String> {
    let found = table.texts(key);
    if found.len() > NAMES_MAX {
        table.wrong(key, format!("found {} pointers; at most {NAMES_MAX} are allowed", found.len()));
    }
    let mut names = Vec::new();
    for pointer in &found {
        if !is_pointer(pointer) {
            table.wrong(key, format!("found {pointer:?}; each must be a JSON pointer, such as \"/data/token\""));
        }
        let name = name_of(pointer);
        if names.contains(&name) {
            table.wrong(key, format!("found two pointers that end in {name:?}, by which tokens are told apart"));
        }
        names.push(name);
    }
    found.into_iter().map(str::to_owned).collect()
}

/// One pointer, if the key is there.
pub(super) fn pointer(table: &Table<'_>, key: &'static str) -> Option<String> {
    let found = table.text(key)?;
    if !is_pointer(found) {
        table.wrong(key, format!("found {found:?}; it must be a JSON pointer (RFC 6901), such as \"/user/id\""));
    }
    Some(found.to_owned())
}

/// RFC 6901, section 3: `~` stands only before 0 or 1. The empty pointer, which
/// is the whole document, points at no value here.
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && text.len() <= POINTER_BYTES_MAX && escapes && !text.ends_with('/')
}

/// RFC 6265, section 4.1.1: a cookie's name is a token.
pub(super) fn is_token(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
    !name.is_empty() && name.len() <= COOKIE_BYTES_MAX && name.bytes().all(is_part)
}

/// Cookies, tokens of an answer: more are no plan.
const NAMES_MAX: usize = 8;
const POINTER_BYTES_MAX: usize = 128;
const COOKIE_BYTES_MAX: usize = 128;
