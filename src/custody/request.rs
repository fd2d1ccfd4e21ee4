//! The request that the application gets: with what is held, and without what
//! a client may have copied of it.

use serde_json::Value as Json;

use crate::config::{Bearer, Config, name_of};
use crate::cookie;
use crate::custody::{Jwt, Opened, stands_for};
use crate::error::Failure;
use crate::headers::{HeaderEdits, folded, is_json};
use crate::path::CanonicalPath;
use crate::ports::Body;
use crate::read;
use crate::request::Request;
use crate::time::UnixMillis;

/// The cookies and the `Authorization` of the request. On every route the
/// session cookie goes, and the client's own of what is kept: a copy of it
/// opens nothing here.
pub fn attach(
    config: &Config,
    request: &Request,
    path: &CanonicalPath,
    opened: Option<(&Opened, UnixMillis)>,
    edits: &mut HeaderEdits,
) {
    let held = opened.map(|(opened, now)| opened.holding.cookies(path.as_str(), now)).unwrap_or_default();
    let header = request.headers.get("cookie");
    let theirs = header.and_then(|header| cookie::for_origin(header, &config.cookie.name, &config.kept_cookies));
    let whole: Vec<String> = held.into_iter().chain(theirs).collect();
    if whole.is_empty() {
        edits.remove.extend(header.map(|_| "cookie".to_owned()));
    } else if whole.len() > 1 || header != whole.first().map(String::as_str) {
        edits.set("cookie", whole.join("; "));
    }
    if !config.custody.has_tokens() {
        return;
    }
    // A part of an answer would hold a part of a token.
    if config.custody.bearer_at(path).is_some() {
        edits.remove.extend(["range", "if-range"].map(str::to_owned));
    }
    let Some(theirs) = request.headers.get("authorization") else { return };
    // Where the page sends no token, the browser would have been nobody: what a
    // link elsewhere leads to must not become somebody's.
    match opened.and_then(|(opened, now)| opened.holding.bearer(now)).filter(|_| is_bearer(theirs)) {
        Some(token) => edits.set("authorization", format!("Bearer {token}")),
        None if may_hold_a_token(theirs) => edits.remove.push("authorization".to_owned()),
        None => {}
    }
}

/// RFC 6750, section 2.1; the platform joins repeated fields with a comma.
fn is_bearer(header: &str) -> bool {
    header
        .split(',')
        .any(|one| one.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("bearer")))
}

/// Whether some application would find a token of ours in it: there are those
/// that take the second word of whatever it is.
fn may_hold_a_token(header: &str) -> bool {
    let mut words = header.split(|c: char| c.is_whitespace() || ",:=\"".contains(c)).filter(|word| !word.is_empty());
    let scheme = words.next().unwrap_or_default().to_ascii_lowercase();
    let is_other = ["basic", "digest", "negotiate"].contains(&scheme.as_str());
    !is_other || words.any(|word| word.eq_ignore_ascii_case("bearer") || Jwt::read(word).is_some())
}

/// The request's body, on a path of `bearer`; `None`: it is none of those that
/// have placeholders.
///
/// # Errors
/// It is too large, or does not end.
pub async fn read_body<B: Body>(
    bearer: &Bearer,
    request: &Request,
    body: impl FnOnce() -> B,
) -> Result<Option<Vec<u8>>, Failure> {
    if bearer.body.is_empty() || matches!(request.method.as_str(), "GET" | "HEAD") {
        return Ok(None);
    }
    Ok(Some(body().read(BODY_BYTES_MAX).await?))
}

/// The same with the tokens in the place of their placeholders.
///
/// # Errors
/// It is not what can be looked into.
pub fn fill(bearer: &Bearer, request: &Request, opened: Option<&Opened>, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if bytes.is_empty() {
        return Ok(bytes);
    }
    let media_type = request.headers.media_type().unwrap_or_default();
    if media_type == "application/x-www-form-urlencoded" {
        return Ok(fill_form(bearer, opened, &bytes));
    }
    let filled = if is_json(&media_type) { fill_json(bearer, opened, &bytes) } else { None };
    filled.ok_or(Failure::BadRequest("the body must be JSON here, or a form, and say so"))
}

/// What a client sends where a token belongs, and is no placeholder, is a copy
/// of somebody's token: it goes.
fn real(opened: Option<&Opened>, found: &str) -> String {
    let held = stands_for(found).and_then(|name| opened?.holding.token(&name));
    held.unwrap_or_default().to_owned()
}

fn fill_json(bearer: &Bearer, opened: Option<&Opened>, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut document: Json = read::bytes(bytes).ok()?;
    for pointer in &bearer.body {
        let path: Vec<String> = pointer.split('/').skip(1).map(|part| careless(&name_of(part))).collect();
        fill_at(&mut document, &path, opened);
    }
    serde_json::to_vec(&document).ok()
}

/// All fields that some parser would take for the one at this path.
fn fill_at(value: &mut Json, path: &[String], opened: Option<&Opened>) {
    let Some((first, rest)) = path.split_first() else {
        *value = value.as_str().map_or(Json::Null, |text| real(opened, text).into());
        return;
    };
    match value {
        Json::Object(fields) => {
            let same = fields.iter_mut().filter(|(name, _)| careless(name) == *first);
            same.for_each(|(_, field)| fill_at(field, rest, opened));
        }
        Json::Array(items) => {
            let at = first.parse().ok().and_then(|index: usize| items.get_mut(index));
            if let Some(item) = at {
                fill_at(item, rest, opened);
            }
        }
        _ => {}
    }
}

/// A name as the most careless parser compares it. Go takes U+212A for `k`.
fn careless(name: &str) -> String {
    folded(&name.to_lowercase())
}

/// Fields by the last part of the pointers; some parsers read `a[b]` and `a.b`
/// as nested.
fn fill_form(bearer: &Bearer, opened: Option<&Opened>, bytes: &[u8]) -> Vec<u8> {
    let names: Vec<String> = bearer.body.iter().map(|pointer| careless(&name_of(pointer))).collect();
    let is_one = |name: &str| {
        let parts = name.split(['[', ']', '.']).filter(|part| !part.is_empty());
        parts.chain([name]).any(|part| names.contains(&careless(part)))
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(bytes) {
        if is_one(&name) {
            form.append_pair(&name, &real(opened, &value));
        } else {
            form.append_pair(&name, &value);
        }
    }
    form.finish().into_bytes()
}

/// Of a body that is looked into.
pub const BODY_BYTES_MAX: usize = 64 << 10;
