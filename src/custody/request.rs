//! The request that the application gets: with what is held, and without what
//! a client may have copied of it.

use serde_json::Value as Json;

use crate::config::{Bearer, Config};
use crate::cookie;
use crate::custody::{Opened, stands_for};
use crate::error::Failure;
use crate::headers::HeaderEdits;
use crate::path::CanonicalPath;
use crate::ports::{Body, BodyError};
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
    if config.custody.bearer.is_empty() {
        return;
    }
    // Where the page sends no token, the browser would have been nobody: what a
    // link elsewhere leads to must not become somebody's.
    if request.headers.get("authorization").is_some_and(is_bearer) {
        match opened.and_then(|(opened, now)| opened.holding.bearer(now)) {
            Some(token) => edits.set("authorization", format!("Bearer {token}")),
            None => edits.remove.push("authorization".to_owned()),
        }
    }
}

/// RFC 6750, section 2.1; the platform joins repeated fields with a comma.
fn is_bearer(header: &str) -> bool {
    header
        .split(',')
        .any(|one| one.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("bearer")))
}

/// The request's body with the tokens in the place of their placeholders;
/// `None`: it is none of those that have any.
///
/// # Errors
/// It is too large, or not what can be looked into.
pub async fn fill<B: Body>(
    config: &Config,
    request: &Request,
    path: &CanonicalPath,
    opened: Option<&Opened>,
    body: impl FnOnce() -> B,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(bearer) = config.custody.bearer_at(path, config.case_insensitive) else { return Ok(None) };
    if bearer.body.is_empty() || request.is_safe() {
        return Ok(None);
    }
    let bytes = body().read(BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLong => Failure::BodyTooLarge,
        BodyError::TooSlow => Failure::BodyTimeout,
        BodyError::Broken => Failure::BadRequest("the body broke off"),
    })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let essence = request.headers.get("content-type").and_then(|found| found.split(';').next()).unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Some(fill_form(bearer, opened, &bytes)));
    }
    fill_json(bearer, opened, &bytes).map(Some).ok_or(Failure::BadRequest("the body must be JSON here, or a form"))
}

/// What a client sends where a token belongs, and is no placeholder, is a copy
/// of somebody's token: it goes.
fn real(opened: Option<&Opened>, found: &str) -> String {
    let held = stands_for(found).and_then(|name| opened?.holding.token(&name));
    held.unwrap_or_default().to_owned()
}

fn fill_json(bearer: &Bearer, opened: Option<&Opened>, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut document: Json = serde_json::from_slice(bytes).ok()?;
    for pointer in &bearer.body {
        if let Some(found) = document.pointer_mut(pointer) {
            *found = found.as_str().map_or(Json::Null, |text| real(opened, text).into());
        }
    }
    serde_json::to_vec(&document).ok()
}

/// Fields by the last part of the pointers.
fn fill_form(bearer: &Bearer, opened: Option<&Opened>, bytes: &[u8]) -> Vec<u8> {
    let names: Vec<String> = bearer.body.iter().map(|pointer| crate::config::name_of(pointer)).collect();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(bytes) {
        if names.iter().any(|known| *known == name) {
            form.append_pair(&name, &real(opened, &value));
        } else {
            form.append_pair(&name, &value);
        }
    }
    form.finish().into_bytes()
}

/// Of a body that is looked into.
pub const BODY_BYTES_MAX: usize = 64 << 10;
