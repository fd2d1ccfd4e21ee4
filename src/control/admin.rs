//! Who administers: a bearer key (RFC 6750) with the scope that a call needs.

use crate::admin_keys::{AdminKey, Scope};
use crate::admission::refuse_cross_origin;
use crate::audit::Event;
use crate::error::Failure;
use crate::limit::{self, Limit};
use crate::path::CanonicalPath;
use crate::ports::Ports;
use crate::request::Request;
use crate::site::Site;

/// The caller's key, if it is good for the call; `None`: any key is.
///
/// # Errors
/// It may not.
pub async fn authorize<'s, P: Ports>(
    site: &'s Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    scope: Option<Scope>,
) -> Result<&'s AdminKey, Failure> {
    let call = || format!("{} {}", request.method, path.as_str());
    let refusal = match authorized(site, ports, request, path, scope) {
        Ok(key) => {
            // Each request behind another proxy asks for this; its outcome is
            // logged where it is a refusal.
            if scope != Some(Scope::Verify) {
                ports.tell(Event::AdminCalled { call: call().as_str().into(), key: key.id().to_owned() });
            }
            return Ok(key);
        }
        Err(refusal) => refusal,
    };
    // Who has the right key is never refused for others of the same network. Of
    // those who have not, so many are written down.
    limit::count(site, ports, request, Limit::AdminFailures).await?;
    let Refusal { reason, key, failure } = refusal;
    if let Some(reason) = reason {
        let key = key.map(|key| key.id().to_owned());
        ports.tell(Event::AdminRefused { call: call().as_str().into(), reason, key });
    }
    Err(failure)
}

/// Why a call is refused: for the log, where that is not written down yet, and
/// for the caller.
struct Refusal<'s> {
    reason: Option<&'static str>,
    key: Option<&'s AdminKey>,
    failure: Failure,
}

fn refusal<'s>(reason: &'static str, failure: Failure) -> Refusal<'s> {
    Refusal { reason: Some(reason), key: None, failure }
}

/// The key; or why not.
fn authorized<'s, P: Ports>(
    site: &'s Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    scope: Option<Scope>,
) -> Result<&'s AdminKey, Refusal<'s>> {
    // A page of the application must not call with a key that it got hold of.
    if is_from_browser(request) {
        if site.config.admin_host.as_deref() != Some(request.host.as_str()) {
            return Err(refusal("from a browser, and not on admin_host", Failure::AdminHostOnly));
        }
        refuse_cross_origin(site, ports, request, path).map_err(|failure| Refusal {
            reason: None,
            key: None,
            failure,
        })?;
    }
    let key = request.headers.get("authorization").and_then(bearer).and_then(|key| site.admins.find(key));
    let Some(key) = key else { return Err(refusal("no valid key", Failure::BadAdminKey)) };
    if let Some(scope) = scope.filter(|scope| !key.is_good_for(*scope)) {
        let refusal = refusal("the key lacks the scope", Failure::MissingScope(scope.name()));
        return Err(Refusal { key: Some(key), ..refusal });
    }
    Ok(key)
}

/// RFC 7235, section 2.1: the scheme is case-insensitive.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start_matches(' '))
}

/// Browsers that have fetch metadata send this one of it with every request. Node's
/// own `fetch` sends `Sec-Fetch-Mode`, and is no browser.
fn is_from_browser(request: &Request) -> bool {
    ["origin", "sec-fetch-site"].iter().any(|name| request.headers.get(name).is_some())
}
