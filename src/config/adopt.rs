//! `adopt`: sessions of the application's old kind that move in.

use super::custody::{is_token, pointer};
use super::reader::Table;
use crate::headers::holds;
use crate::path::CanonicalPath;
use crate::time::{UnixMillis, parse_day};

/// How a session of the old kind is exchanged for one of ours.
#[derive(Debug)]
pub struct Adopt {
    /// The cookie by which the application knows its old sessions.
    pub cookie: String,
    /// The path, with its query, at which it says whose one is.
    pub probe: String,
    /// Where its JSON answer says so: a JSON pointer (RFC 6901).
    pub subject: String,
    /// From then on the old kind is refused.
    pub until: UnixMillis,
    /// Whether custody takes the cookie: then answers that set it are in order.
    is_held: bool,
    /// Attributes by which a browser finds the cookie that is to go.
    place: String,
}

impl Adopt {
    /// The Set-Cookie value that takes the cookie from the browser (RFC 6265,
    /// section 5.3: it is found by its name, domain and path). `Secure`, since
    /// one whose name begins with `__Host-` or `__Secure-` is else ignored
    /// (RFC 6265bis, section 5.5).
    pub fn clear(&self) -> String {
        format!("{}=; {}; Secure; Max-Age=0", self.cookie, self.place)
    }

    /// Whether the browser may have one, by the Cookie header of a request: one for
    /// another path does not come with it.
    pub fn may_be_with(&self, header: Option<&str>) -> bool {
        let is_for_all_paths = self.place.split(';').next() == Some("Path=/");
        !is_for_all_paths || header.is_some_and(|header| holds(header, &self.cookie))
    }

    /// Whether a Set-Cookie of the application's would start a session of the
    /// old kind, which no browser gets any more.
    pub fn is_set_by(&self, set_cookie: &str) -> bool {
        let pair = set_cookie.split(';').next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        !self.is_held && name.trim() == self.cookie && !value.trim().is_empty()
    }
}

pub(super) fn adopt(root: &Table<'_>, session_cookie: &str, held: &[String]) -> Option<Adopt> {
    root.has("adopt").then(|| read(root.table("adopt"), session_cookie, held))
}

#[inline(never)]
fn read(table: Table<'_>, session_cookie: &str, held: &[String]) -> Adopt {
    let cookie = table.text("cookie").unwrap_or_default();
    if !is_token(cookie) || cookie.eq_ignore_ascii_case(session_cookie) {
        table.wrong_value("cookie", "the name of the cookie that the application knows its sessions by");
    }
    let probe = table.text("probe").unwrap_or_default();
    let path = probe.split('?').next().unwrap_or_default();
    let fits = CanonicalPath::parse(path).is_ok_and(|parsed| parsed.as_str() == path && !parsed.is_ours());
    if !fits || !probe.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        table.wrong_value("probe", "a path of the application that says who somebody is, such as \"/api/me\"");
    }
    if !table.has("subject") {
        table.wrong_value("subject", "a JSON pointer into the answer of the probe, such as \"/id\"");
    }
    let subject = pointer(&table, "subject").unwrap_or_default();
    let until = table.text("until").and_then(parse_day);
    if until.is_none() {
        table.wrong_value("until", "a day, such as \"2027-03-31\": from its beginning (UTC) the old kind is refused");
    }
    let place = place(&table);
    table.finish();
    Adopt {
        cookie: cookie.to_owned(),
        probe: probe.to_owned(),
        subject,
        until: until.unwrap_or(UnixMillis(0)),
        is_held: held.iter().any(|name| name == cookie),
        place,
    }
}

/// Where the application has set its cookie.
fn place(table: &Table<'_>) -> String {
    let path = table.text("path").unwrap_or("/");
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if !path.starts_with('/') || !path.bytes().all(fits) {
        table.wrong_value("path", "the Path of the application's cookie, such as \"/\"");
    }
    let mut place = format!("Path={path}");
    if let Some(domain) = table.text("domain") {
        let is_host = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if domain.trim_start_matches('.').is_empty() || !is_host(domain) {
            table.wrong_value("domain", "the Domain of the application's cookie, such as \"example.com\"");
        }
        place.push_str("; Domain=");
        place.push_str(domain);
    }
    place
}
