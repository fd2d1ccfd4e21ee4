//! The request that the origin gets: scrubbed, rebuilt, identified.

use std::collections::BTreeSet;

use base64ct::{Base64UrlUnpadded, Encoding};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::admission::Admitted;
use crate::config::Config;
use crate::cookie;
use crate::headers::{HeaderEdits, folded};
use crate::path::CanonicalPath;
use crate::ports::Outgoing;
use crate::request::Request;
use crate::session::Session;
use crate::site::Site;

/// Composes the request to the origin.
pub fn compose(site: &Site, request: &Request, path: &CanonicalPath, admitted: &Admitted) -> Outgoing {
    let config = &site.config;
    let mut edits = HeaderEdits { remove: unwanted(config, request), ..HeaderEdits::default() };
    forwarding(request, &mut edits);
    session_cookie_out(config, request, &mut edits);
    if admitted.with_identity() {
        edits.set.extend(identity(config, admitted.session()));
    }
    let base = match &config.origin {
        Some(origin) => origin.as_str().to_owned(),
        None => format!("{}://{}", request.scheme, request.host),
    };
    let query = request.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
    Outgoing { url: format!("{base}{}{query}", path.as_str()), edits, shared_cache: !admitted.with_identity() }
}

/// Names of the client's headers that must not reach the origin. Origins fold
/// names (`warifu_subject`), so they are compared folded; the whole
/// `Warifu-` and `X-Forwarded-` families go.
fn unwanted(config: &Config, request: &Request) -> Vec<String> {
    let user_header = config.user_header.as_deref().map(folded);
    let nominated: BTreeSet<String> = request
        .headers
        .get("connection")
        .map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()).collect())
        .unwrap_or_default();
    let is_unwanted = |name: &str| {
        let folded = folded(name);
        folded.starts_with("warifu-")
            || folded.starts_with("x-forwarded-")
            || DROPPED.contains(&folded.as_str())
            || user_header.as_ref() == Some(&folded)
            // RFC 9110, section 7.6.1: "Intermediaries MUST parse a received
            // Connection header field … and, for each connection-option in
            // this field, remove any header field(s) … with the same name".
            // An upgrade that was let through is passed on as one.
            || (name != "upgrade" && nominated.contains(name))
    };
    request.headers.iter().map(|(name, _)| name).filter(|name| is_unwanted(name)).map(str::to_owned).collect()
}

/// `X-Forwarded-*` and `Forwarded` (RFC 7239), rebuilt and not extended: what
/// the client said of itself is worth nothing.
fn forwarding(request: &Request, edits: &mut HeaderEdits) {
    let client = request.headers.get("cf-connecting-ip").filter(|ip| ip.parse::<core::net::IpAddr>().is_ok());
    if let Some(client) = client {
        edits.set("x-forwarded-for", client);
    }
    edits.set("x-forwarded-host", &*request.host);
    edits.set("x-forwarded-proto", &*request.scheme);
    // RFC 7239, section 6: an IPv6 address is bracketed and quoted.
    let node = match client {
        Some(client) if client.contains(':') => format!("\"[{client}]\""),
        Some(client) => client.to_owned(),
        None => "unknown".to_owned(),
    };
    edits.set("forwarded", format!("for={node};host=\"{}\";proto={}", request.host, request.scheme));
}

/// On every route: the origin has no use for the token, and its logs neither.
fn session_cookie_out(config: &Config, request: &Request, edits: &mut HeaderEdits) {
    let Some(header) = request.headers.get("cookie") else { return };
    match cookie::without_session(header, &config.cookie.name) {
        Some(rest) if rest == header => {}
        Some(rest) => edits.set("cookie", rest),
        None => edits.remove.push("cookie".to_owned()),
    }
}

/// The identity headers: always the full list, empty where unknown.
pub fn identity(config: &Config, session: Option<&Session>) -> Vec<(String, String)> {
    let subject = session.map(|s| utf8_percent_encode(s.subject.as_str(), IN_HEADERS).to_string()).unwrap_or_default();
    let claims = session.and_then(|s| s.claims.as_ref());
    let mut headers = vec![
        ("warifu-session".to_owned(), session.map(|s| s.id.to_text()).unwrap_or_default()),
        ("warifu-level".to_owned(), session.map(|s| s.level.to_string()).unwrap_or_default()),
        ("warifu-auth-time".to_owned(), session.map(|s| s.auth_time.as_unix_seconds().to_string()).unwrap_or_default()),
        (
            "warifu-claims".to_owned(),
            claims.map(|c| Base64UrlUnpadded::encode_string(c.as_str().as_bytes())).unwrap_or_default(),
        ),
    ];
    if let Some(name) = &config.user_header {
        headers.push((name.to_ascii_lowercase(), subject.clone()));
    }
    headers.push(("warifu-subject".to_owned(), subject));
    headers
}

/// Folded names of headers that some origins take for the request's method or
/// URL, and of those that are rebuilt.
const DROPPED: [&str; 7] = [
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
];

/// Everything outside %x21–7E, and `%`.
const IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
