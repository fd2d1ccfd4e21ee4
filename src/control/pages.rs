//! The operators' console and the users' own page: files of the binding
//! `ASSETS`, under `/_warifu/console/`, `/_warifu/account/` and, for what the two
//! have in common, `/_warifu/shared/`. They call the API as anybody would.
//!
//! The binding holds files and decides nothing: which of them is served to
//! whom, as what, and with which policy, is decided here.

use crate::admission;
use crate::answer::write_cookie;
use crate::audit::Event;
use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::policy::Demand;
use crate::ports::{Asset, Ports};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::sessions::Look;
use crate::site::Site;

/// Where a page's files are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Folder {
    /// On the operators' own host only.
    Console,
    /// For users, where the application is.
    Account,
    Shared,
}

impl Folder {
    /// The folder that a path below `/_warifu/` leads to.
    pub fn of(below: &str) -> Option<Self> {
        match below.split('/').next()? {
            "console" => Some(Self::Console),
            "account" => Some(Self::Account),
            "shared" => Some(Self::Shared),
            _ => None,
        }
    }
}

/// Answers with a page or one of its files.
///
/// # Errors
/// There is none, or it is for others. Whoever is not logged in has no account
/// page.
pub async fn answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    folder: Folder,
    below: &str,
) -> Result<OwnResponse, Failure> {
    let is_admin_host = site.config.admin_host.as_deref() == Some(request.host.as_str());
    let is_for_others = match folder {
        Folder::Console => !is_admin_host,
        Folder::Account => is_admin_host,
        Folder::Shared => false,
    };
    let is_page = below.ends_with('/') || !below.contains('/');
    let file = if is_page { format!("{}/index.html", below.trim_end_matches('/')) } else { below.to_owned() };
    let Some(media_type) = media_type(&file).filter(|_| !is_for_others) else { return Err(Failure::NotFound) };
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Err(Failure::MethodNotAllowed("GET, HEAD".to_owned()));
    }
    let found = ports.asset(&format!("/{file}")).await;
    let asset = found.map_err(|reason| {
        ports.tell(Event::Threw { reason });
        Failure::Internal
    })?;
    let asset = asset.ok_or(Failure::NotFound)?;
    if !is_page {
        return Ok(file_of(request, asset, media_type));
    }
    if !below.ends_with('/') {
        return Ok(OwnResponse::empty(308).with("location", format!("{}/", path.as_str())));
    }
    let mut page = OwnResponse::text(media_type, asset.body)
        .with("content-security-policy", policy_of(request))
        .with("cross-origin-opener-policy", "same-origin")
        .with("referrer-policy", "no-referrer");
    if folder != Folder::Account {
        return Ok(page);
    }
    let presented = admission::presented(site, ports, request, path);
    let caller = admission::identify(site, ports, request, &presented, Demand::UNMATCHED, Look::Use).await?;
    if let Some(set_cookie) = caller.newer_cookie(site, ports, &presented[0]).await {
        write_cookie(site, set_cookie, &presented, &mut page.headers);
    }
    Ok(page)
}

/// A script, a style or a picture. There is nothing in it that is not in the
/// repository, so browsers may keep it, if they ask each time whether it is
/// still the same (RFC 9110, section 13.1.2).
fn file_of(request: &Request, asset: Asset, media_type: &str) -> OwnResponse {
    let Asset { etag, body } = asset;
    let Some(etag) = etag else { return OwnResponse::text(media_type, body) };
    let is_same = request.headers.get("if-none-match").is_some_and(|tags| names(tags, &etag));
    let mut answer =
        if is_same { OwnResponse::empty(304) } else { OwnResponse::text(media_type, body) }.with("etag", etag);
    for (name, value) in &mut answer.headers {
        if name == "cache-control" {
            "no-cache".clone_into(value);
        }
    }
    answer
}

/// Whether If-None-Match names the tag, by the weak comparison (RFC 9110, section
/// 8.8.3.2). Ours have no comma, so no cut through another's makes one of them.
fn names(tags: &str, etag: &str) -> bool {
    let etag = etag.trim_start_matches("W/");
    tags == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// What a file is. Others than these are not served, and none whose name could
/// be read in two ways.
fn media_type(file: &str) -> Option<&'static str> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'/' | b'-' | b'_' | b'.');
    if !file.bytes().all(is_plain) || file.split('/').any(|segment| segment.is_empty() || segment.starts_with('.')) {
        return None;
    }
    match file.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// Scripts and styles only from these folders: on the users' host, the
/// application's own scripts are of the same origin. Text never becomes markup
/// (`trusted-types`).
fn policy_of(request: &Request) -> String {
    let here = format!("{}://{}/_warifu/", request.scheme, request.host);
    format!(
        "default-src 'none'; script-src {here}; style-src {here}; img-src {here}; connect-src {here}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_known_kinds_are_served() {
        for good in ["console/index.html", "shared/text/ja.js", "shared/vendor/uplot.min.css"] {
            assert!(media_type(good).is_some(), "{good}");
        }
        for bad in [
            "shared/README.md",
            "shared/.assetsignore",
            "shared/.x.js",
            "console/%41.js",
            "console/A.js",
            "console//a.js",
            "console/a",
        ] {
            assert_eq!(media_type(bad), None, "{bad}");
        }
    }
}
