//! The values of single keys: hosts, origins, the shard map, the cookie.

use core::time::Duration;

use crate::config::Cookie;
use crate::config::reader::Table;
use crate::headers::holds;
use crate::read::read_record;
use crate::time::show_span;

/// `scheme://host[:port]`, the port absent where it is the scheme's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebOrigin {
    text: String,
    host_at: usize,
}

impl WebOrigin {
    /// Reads an http or https origin: no path but `/`, no query, no user.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix('/').unwrap_or(&lower);
        let (scheme, port) = if lower.starts_with("https://") { ("https://", ":443") } else { ("http://", ":80") };
        let host = lower.strip_prefix(scheme)?;
        let host = host.strip_suffix(port).unwrap_or(host);
        is_host(host).then(|| Self { text: format!("{scheme}{host}"), host_at: scheme.len() })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host, and port unless it is the scheme's own.
    pub fn host(&self) -> &str {
        &self.text[self.host_at..]
    }
}

/// How strictly requests without browser headers are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CrossOrigin {
    /// No `Origin` and no `Sec-Fetch-Site`: no current browser; passes.
    Standard,
    /// An unsafe method needs one of the two headers.
    Strict,
}

/// The cookie's SameSite attribute (RFC 6265bis, section 5.4.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

/// One generation of the map from subjects to shards. Rows are added, never
/// changed: a shard remembers its row and refuses another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub struct MapRow {
    /// 1–255.
    pub generation: u8,
    /// How many shards there are, 1–65,536.
    pub shards: u32,
    /// Code of the location hint, see [`REGIONS`].
    pub region: u8,
}

read_record!(open MapRow { generation, shards, region });

impl MapRow {
    pub const DEFAULT: Self = Self { generation: 1, shards: 64, region: 0 };
}

/// Location hints of Durable Objects by their code in the token; a fixed registry.
pub const REGIONS: [&str; 10] = ["auto", "wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"];

pub fn region_code(name: &str) -> Option<u8> {
    REGIONS.iter().position(|region| *region == name).and_then(|code| u8::try_from(code).ok())
}

pub fn region_name(code: u8) -> Option<&'static str> {
    REGIONS.get(usize::from(code)).copied()
}

/// `site`: 1–64 characters that need no escape in names of objects or keys.
pub(super) fn site(root: &Table<'_>) -> String {
    let site = root.text("site").unwrap_or("default");
    let fits = (1..=SITE_CHARS_MAX).contains(&site.len())
        && site.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !fits {
        root.wrong("site", format!("found {site:?}; it must be 1 to {SITE_CHARS_MAX} of A-Z a-z 0-9 . _ -"));
    }
    site.to_owned()
}

pub(super) fn hosts(root: &Table<'_>, key: &'static str) -> Vec<String> {
    root.texts(key).into_iter().map(|host| host_or_mistake(root, key, host)).collect()
}

pub(super) fn admin_host(root: &Table<'_>) -> Option<String> {
    root.text("admin_host").map(|host| host_or_mistake(root, "admin_host", host))
}

fn host_or_mistake(root: &Table<'_>, key: &str, found: &str) -> String {
    let host = found.to_ascii_lowercase();
    // A browser leaves the scheme's own port out, so such a host never matches.
    if !is_host(&host) || host.ends_with(":443") || host.ends_with(":80") {
        root.wrong(
            key,
            format!(
                "found {found:?}; it must be a host name, with a port only where it is not the scheme's own: \"app.example\", \"localhost:8787\""
            ),
        );
    }
    host
}

pub(super) fn optional_origin(root: &Table<'_>, key: &'static str) -> Option<WebOrigin> {
    let found = root.text(key)?;
    let origin = WebOrigin::parse(found);
    if origin.is_none() {
        // What stands before an @ may be a password, and the message is logged.
        let found = found.rsplit('@').next().unwrap_or_default();
        root.wrong(
            key,
            format!("found {found:?}; it must be scheme, host and port only: \"https://app.internal.example\""),
        );
    }
    origin
}

pub(super) fn trusted_origins(root: &Table<'_>) -> Vec<WebOrigin> {
    let found = root.texts("trusted_origins");
    found
        .into_iter()
        .filter_map(|text| {
            let origin = WebOrigin::parse(text);
            if origin.is_none() {
                root.wrong(
                    "trusted_origins",
                    format!("found {text:?}; each must be a web origin such as \"https://www.example\""),
                );
            }
            origin
        })
        .collect()
}

/// `login`: a path that warifu itself would forward unchanged.
pub(super) fn login(root: &Table<'_>) -> String {
    let login = root.text("login").unwrap_or("/login");
    let path = login.split('?').next().unwrap_or_default();
    let canonical = crate::path::CanonicalPath::parse(path).is_ok_and(|parsed| parsed.as_str() == path);
    let query_is_plain = login.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let ours = crate::path::CanonicalPath::parse(path).is_ok_and(|parsed| parsed.is_ours());
    if !canonical || !query_is_plain || ours {
        root.wrong(
            "login",
            format!("found {login:?}; it must be a path of this site in canonical form, such as \"/login\""),
        );
    }
    login.to_owned()
}

/// `rotation_grace`: no longer than an old secret is served at all.
pub(super) fn rotation_grace(root: &Table<'_>) -> Duration {
    let grace = root.span("rotation_grace", Duration::from_secs(15));
    if !(GRACE_MIN..=GRACE_MAX).contains(&grace) {
        root.wrong_value(
            "rotation_grace",
            "from \"1s\" to \"5m\": without it, requests that race would log people out",
        );
    }
    grace
}

/// `bound`: nothing, or long enough that edges need not poll all the time.
pub(super) fn bound(root: &Table<'_>) -> Duration {
    let bound = root.span("bound", Duration::from_secs(2));
    if !bound.is_zero() && !(BOUND_MIN..=BOUND_MAX).contains(&bound) {
        root.wrong_value("bound", "from \"250ms\" to \"1m\", or \"0s\", which makes every route strict");
    }
    bound
}

/// A span from the first to the second, both included.
pub(super) fn span_within(
    root: &Table<'_>,
    key: &'static str,
    default: Duration,
    (min, max): (Duration, Duration),
) -> Duration {
    let span = root.span(key, default);
    if !(min..=max).contains(&span) {
        root.wrong_value(key, &format!("from {:?} to {:?}", show_span(min), show_span(max)));
    }
    span
}

/// The same, or nothing at all.
pub(super) fn span_or_nothing(
    root: &Table<'_>,
    key: &'static str,
    default: Duration,
    (min, max): (Duration, Duration),
) -> Duration {
    let span = root.span(key, default);
    if !span.is_zero() && !(min..=max).contains(&span) {
        root.wrong_value(key, &format!("from {:?} to {:?}, or \"0s\"", show_span(min), show_span(max)));
    }
    span
}

pub(super) fn map(root: &Table<'_>) -> Vec<MapRow> {
    let Some(tables) = root.tables("map") else { return vec![MapRow::DEFAULT] };
    let mut rows: Vec<MapRow> = Vec::with_capacity(tables.len());
    for table in tables {
        let generation = table.integer("generation", 1, 255, 1);
        let shards = table.integer("shards", 1, SHARDS_MAX, 64);
        let region = table.text("region").unwrap_or("auto");
        let code = region_code(region);
        if code.is_none() {
            table.wrong("region", format!("found {region:?}; it must be one of {}", REGIONS.join(", ")));
        }
        let row = MapRow {
            generation: u8::try_from(generation).unwrap_or(1),
            shards: u32::try_from(shards).unwrap_or(64),
            region: code.unwrap_or(0),
        };
        if rows.iter().any(|earlier| earlier.generation >= row.generation) {
            table.wrong("generation", format!("found {generation}; each row's generation must be greater than the one before: rows are added, never changed"));
        }
        table.finish();
        rows.push(row);
    }
    if rows.is_empty() {
        root.wrong("map", "found no row; leave the key out or give one row");
    }
    rows
}

pub(super) fn cookie(root: &Table<'_>) -> Cookie {
    let table = root.table("cookie");
    let name = table.text("name").unwrap_or(COOKIE_NAME_DEFAULT);
    let is_token = name.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b));
    if !name.starts_with("__Host-") || name.len() > COOKIE_NAME_BYTES_MAX || !is_token {
        table.wrong("name", format!("found {name:?}; it must begin with \"__Host-\", so that no other host can set it, and be an RFC 6265 token of at most {COOKIE_NAME_BYTES_MAX} bytes"));
    }
    let same_site = table.choice(
        "same_site",
        &[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)],
        SameSite::Lax,
    );
    let cookie = Cookie {
        name: name.to_owned(),
        same_site,
        partitioned: table.flag("partitioned", false),
        persistent: table.flag("persistent", true),
    };
    table.finish();
    cookie
}

/// `identity`; returns `user_header`, and whether forwarded requests are signed.
pub(super) fn identity(root: &Table<'_>, has_origin_keys: bool) -> (Option<String>, bool) {
    let table = root.table("identity");
    let header = table.text("user_header");
    if let Some(name) = header {
        let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let lower = name.to_ascii_lowercase();
        let has_a_meaning = RESERVED_HEADERS.contains(&lower.as_str())
            || RESERVED_FAMILIES.iter().any(|family| lower.starts_with(family));
        if !is_token || has_a_meaning || lower.starts_with('-') {
            table.wrong(
                "user_header",
                format!(
                    "found {name:?}; it must be a header name of letters, digits and -, such as \"Remote-User\", and not one \
                     with another meaning: {}, or what begins with {}",
                    RESERVED_HEADERS.join(", "),
                    RESERVED_FAMILIES.join(", ")
                ),
            );
        }
    }
    // The default is to sign as soon as there are keys to sign with: to have
    // them and not sign would be a promise that is not kept.
    let sign = table.optional_flag("sign").unwrap_or(has_origin_keys);
    if sign && !has_origin_keys {
        table.wrong("sign", "found true, and there is nothing to sign with: set the secret WARIFU_ORIGIN_KEYS");
    }
    table.finish();
    (header.map(str::to_owned), sign)
}

/// Host and optional port: what a Host header can say, lower case.
pub fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            // In the one form that URLs are serialized to.
            if address.parse::<core::net::Ipv6Addr>().ok().map(|parsed| parsed.to_string()).as_deref() != Some(address)
            {
                return false;
            }
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    (1..=253).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && !name.starts_with('.')
        && !holds(name, "..")
        && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Headers that carry something else; the subject must not overwrite them.
const RESERVED_HEADERS: [&str; 18] = [
    "authorization",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "signature",
    "signature-input",
    "te",
    "trailer",
    "upgrade",
    "x-real-ip",
];

/// Beginnings of such headers.
const RESERVED_FAMILIES: [&str; 12] = [
    "accept",
    "cache-",
    "cf-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "transfer-",
    "warifu-",
    "x-forwarded-",
    "x-http-method",
    "x-method-",
];

const GRACE_MIN: Duration = Duration::from_secs(1);
/// The shortest and the longest bound, but for none.
pub const BOUND_MIN: Duration = Duration::from_millis(250);
pub const BOUND_MAX: Duration = Duration::from_mins(1);

/// The longest that an old secret is served: its successor may never arrive.
pub const GRACE_MAX: Duration = Duration::from_mins(5);
const SITE_CHARS_MAX: usize = 64;
/// Browsers that know the prefix `__Host-Http-` accept such a cookie only from
/// HTTP and never from script; the others treat it as `__Host-`.
const COOKIE_NAME_DEFAULT: &str = "__Host-Http-warifu";

const COOKIE_NAME_BYTES_MAX: usize = 64;
const SHARDS_MAX: u64 = 65_536;
