//! warifu's own API, under `/_warifu/`.

mod health;
mod logout;

use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::ports::{BodyOf, Ports};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::site::Site;

/// Whether a path is warifu's own and never the application's, whichever way
/// the application would read its parameters or its case.
pub fn is_ours(path: &CanonicalPath) -> bool {
    let is_below = |decoded: &[u8]| {
        decoded.split_at_checked(PREFIX.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(PREFIX) && (rest.is_empty() || rest.starts_with(b"/"))
        })
    };
    is_below(path.decoded()) || path.without_parameters().is_some_and(|bare| is_below(&bare))
}

/// Answers a call.
///
/// # Errors
/// Why the call is refused.
pub async fn answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    body: BodyOf<P>,
) -> Result<OwnResponse, Failure> {
    let method = request.method.as_str();
    match (path.as_str().strip_prefix("/_warifu/").unwrap_or_default(), method) {
        ("health", "GET" | "HEAD") => health::answer(ports).await,
        ("health", _) => Err(Failure::MethodNotAllowed("GET, HEAD")),
        ("logout", "POST") => logout::answer(site, ports, request, path, body).await,
        ("logout", _) => Err(Failure::MethodNotAllowed("POST")),
        _ => Err(Failure::NotFound),
    }
}

const PREFIX: &[u8] = b"/_warifu";
