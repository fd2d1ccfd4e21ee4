//! warifu's own API, under `/_warifu/`: one table of the calls, which the
//! published description is made from too. The pages over it are files, and
//! have a room of their own.

mod admin;
mod audit;
mod health;
mod input;
mod key;
mod logout;
mod me;
mod metrics;
mod pages;
mod receipt;
mod record;
mod sessions;
mod verify;

use crate::admin_keys::Scope;
use crate::audit::Cause;
use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::ports::{BodyOf, Ports};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::site::Site;

use self::input::Query;
pub use self::metrics::isolate;

/// A call of the API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    Health,
    Description,
    Verify,
    Logout,
    Me,
    MySessions,
    EndMySession,
    EndMyOthers,
    NotMe,
    Mint,
    List,
    Show,
    Change,
    End,
    EndAll,
    Receipt,
    Key,
    Audit,
    Metrics,
}

/// Who may make a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    Anyone,
    /// Whoever has the cookie, on this origin.
    User,
    /// Whoever has an admin key that is good for this.
    Admin(Scope),
    /// Whoever has an admin key, whatever it is good for.
    AnyAdmin,
}

/// Method, path below `/_warifu/` (`*` is one segment), who, and what.
pub const CALLS: [(&str, &str, Who, Call); 19] = [
    ("GET", "health", Who::Anyone, Call::Health),
    ("GET", "openapi.json", Who::Anyone, Call::Description),
    ("GET", "verify", Who::Admin(Scope::Verify), Call::Verify),
    ("POST", "logout", Who::User, Call::Logout),
    ("GET", "me", Who::User, Call::Me),
    ("GET", "me/sessions", Who::User, Call::MySessions),
    ("DELETE", "me/sessions", Who::User, Call::EndMyOthers),
    ("DELETE", "me/sessions/*", Who::User, Call::EndMySession),
    ("POST", "me/not-me", Who::User, Call::NotMe),
    ("POST", "sessions", Who::Admin(Scope::Mint), Call::Mint),
    ("GET", "sessions", Who::Admin(Scope::SessionsRead), Call::List),
    ("DELETE", "sessions", Who::Admin(Scope::Revoke), Call::EndAll),
    ("GET", "sessions/*", Who::Admin(Scope::SessionsRead), Call::Show),
    ("PATCH", "sessions/*", Who::Admin(Scope::SessionsWrite), Call::Change),
    ("DELETE", "sessions/*", Who::Admin(Scope::Revoke), Call::End),
    ("GET", "revocations/*", Who::Admin(Scope::Revoke), Call::Receipt),
    ("GET", "key", Who::AnyAdmin, Call::Key),
    ("GET", "audit", Who::Admin(Scope::SessionsRead), Call::Audit),
    ("GET", "metrics", Who::Admin(Scope::Metrics), Call::Metrics),
];

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
    let below = path.as_str().strip_prefix("/_warifu/").unwrap_or_default();
    if let Some(folder) = pages::Folder::of(below) {
        return pages::answer(site, ports, request, path, folder, below).await;
    }
    let (who, call, handle, reason) = find(&request.method, below)?;
    let key = match who {
        Who::Admin(scope) => Some(admin::authorize(site, ports, request, path, Some(scope)).await?),
        Who::AnyAdmin => Some(admin::authorize(site, ports, request, path, None).await?),
        Who::Anyone | Who::User => None,
    };
    let actor = key.map_or_else(|| "user".to_owned(), |key| format!("admin:{}", key.id()));
    let cause = Cause { actor: &actor, reason: &reason };
    match call {
        Call::Health => health::answer(ports, request).await,
        Call::Description => {
            Query::read(request, &[])?;
            Ok(OwnResponse::text("application/json", DESCRIPTION.to_owned()))
        }
        Call::Logout => logout::answer(site, ports, request, path, body, cause).await,
        Call::Verify => verify::answer(site, ports, request, path).await,
        Call::Me | Call::MySessions | Call::EndMySession | Call::EndMyOthers | Call::NotMe => {
            me::answer(site, ports, request, path, call, handle, cause).await
        }
        Call::Mint => sessions::mint(site, ports, request, body, cause).await,
        Call::List => sessions::list(site, ports, request, cause).await,
        Call::Show => sessions::show(site, ports, request, handle, cause).await,
        Call::Change => sessions::change(site, ports, request, body, handle, cause).await,
        Call::End => sessions::end(site, ports, request, handle, cause).await,
        Call::EndAll => sessions::end_all(site, ports, request, body, cause).await,
        Call::Receipt => sessions::show_receipt(site, ports, request, handle).await,
        Call::Key => key::answer(site, request, key.ok_or(Failure::BadAdminKey)?),
        Call::Audit => audit::answer(site, ports, request, cause).await,
        Call::Metrics => metrics::answer(ports, request),
    }
}

/// The call, what stands for its `*`, and its name.
fn find<'p>(method: &str, below: &'p str) -> Result<(Who, Call, &'p str, String), Failure> {
    let mut is_path_known = false;
    for (known, pattern, who, call) in CALLS {
        let Some(handle) = matched(pattern, below) else { continue };
        is_path_known = true;
        if known == method || (known == "GET" && method == "HEAD") {
            return Ok((who, call, handle, [known, " ", pattern].concat()));
        }
    }
    Err(if is_path_known { Failure::MethodNotAllowed(allowed(below)) } else { Failure::NotFound })
}

fn matched<'p>(pattern: &str, below: &'p str) -> Option<&'p str> {
    match pattern.strip_suffix('*') {
        Some(parent) => below.strip_prefix(parent).filter(|rest| !rest.is_empty() && !rest.contains('/')),
        None => (pattern == below).then_some(""),
    }
}

/// The methods of a path, for the Allow header.
fn allowed(below: &str) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for (method, pattern, ..) in CALLS {
        if matched(pattern, below).is_some() {
            methods.push(method);
            if method == "GET" {
                methods.push("HEAD");
            }
        }
    }
    methods.join(", ")
}

/// An `OpenAPI` document. A test makes it anew from the table above and compares.
const DESCRIPTION: &str = include_str!("openapi.json");
