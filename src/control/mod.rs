//! warifu's own API, under `/_warifu/`.

mod health;
mod logout;

use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::ports::{BodyOf, Ports};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::site::Site;

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
