//! The answers that warifu makes itself: problems, pages, redirects.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::error::{Failure, Problem, RETRY_AFTER_SECONDS, SetCookie};
use crate::path::CanonicalPath;
use crate::request::Request;
use crate::site::Site;

/// An answer of warifu's own.
#[derive(Clone, Eq, PartialEq)]
pub struct OwnResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl OwnResponse {
    /// An answer without a body. What every answer of warifu's own says to
    /// browsers: do not keep it, do not guess what it is, and let no other
    /// origin embed it.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(HEADERS_EXPECTED), body: String::new() }
            .with("cache-control", "no-store")
            .with("x-content-type-options", "nosniff")
            .with("cross-origin-resource-policy", "same-origin")
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// What is no page says that it is none, should somebody open it as one.
    /// And, over https, that this host is reached by nothing else (RFC 6797,
    /// section 7.2: never over http). Only this host: its neighbours are not
    /// ours.
    #[must_use]
    pub fn hardened(self, request: &Request) -> Self {
        let has_policy = self.headers.iter().any(|(name, _)| name == "content-security-policy");
        let hardened = if has_policy { self } else { self.with("content-security-policy", NO_PAGE_POLICY) };
        if request.scheme == "https" {
            return hardened.with("strict-transport-security", "max-age=31536000");
        }
        hardened
    }

    fn with_body(self, content_type: &str, body: String) -> Self {
        let mut response = self.with("content-type", content_type);
        response.body = body;
        response
    }

    /// # Panics
    /// Never: what is shown has text keys only.
    pub fn json(status: u16, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_string(value).expect("a record has text keys only");
        Self::empty(status).with_body("application/json", body)
    }

    pub fn text(content_type: &str, body: String) -> Self {
        Self::empty(200).with_body(content_type, body)
    }
}

/// What the client gets instead of the origin's answer: a page or the way to
/// the login for a browser that navigates, problem+json for anything else.
pub fn refusal(site: Option<&Site>, request: &Request, failure: &Failure) -> OwnResponse {
    refused(site, request, failure).hardened(request)
}

fn refused(site: Option<&Site>, request: &Request, failure: &Failure) -> OwnResponse {
    let step_up = match failure {
        Failure::StepUp { level, .. } => Some(*level),
        _ => None,
    };
    if (step_up.is_some() || *failure == Failure::NoSession)
        && request.is_navigation()
        && let Some(location) = site.and_then(|site| to_login(site, request, step_up))
    {
        return OwnResponse::empty(302).with("location", location);
    }
    if !request.is_navigation() {
        return problem(failure);
    }
    let Problem { status, title, .. } = failure.problem();
    let advice = advice(failure);
    head(failure)
        .with("content-security-policy", PAGE_POLICY)
        .with("cross-origin-opener-policy", "same-origin")
        .with("referrer-policy", "no-referrer")
        .with_body("text/html; charset=utf-8", page(status, title, advice.as_deref().or(failure.detail())))
}

/// What people can do about it. What the operators should know is in the
/// problem and in the log.
fn advice(failure: &Failure) -> Option<String> {
    let advice = match failure {
        Failure::RateLimited { seconds, .. } => return Some(format!("Try again in {seconds} seconds.")),
        Failure::StoreUnavailable | Failure::OriginUnreachable | Failure::OriginTimeout => {
            "Nothing is wrong with your account. Try again in a moment."
        }
        Failure::CrossOrigin => "Open the page from the application itself, and try again.",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// A failure as problem details (RFC 9457). Section 3.1.1: an absent `type` is
/// `about:blank`; `code` is the extension member that programs read.
pub fn problem(failure: &Failure) -> OwnResponse {
    let Problem { status, code, title, .. } = failure.problem();
    // Most have nothing that would have to be escaped, and many are given at a time.
    if failure.detail().is_none() && !matches!(failure, Failure::StepUp { .. }) {
        let body = format!(r#"{{"code":"{code}","status":{status},"title":"{title}"}}"#);
        return head(failure).with_body("application/problem+json", body);
    }
    let mut body = json!({ "status": status, "title": title, "code": code });
    if let Some(detail) = failure.detail() {
        body["detail"] = detail.into();
    }
    if let Failure::StepUp { level, max_auth_age } = failure {
        body["level"] = (*level).into();
        body["max_auth_age"] = max_auth_age.map(|age| age.as_secs()).into();
    }
    head(failure).with_body("application/problem+json", body.to_string())
}

/// Status and headers of a failure.
fn head(failure: &Failure) -> OwnResponse {
    let response = OwnResponse::empty(failure.problem().status);
    match failure {
        Failure::StoreUnavailable | Failure::EndedInPart(None) => {
            response.with("retry-after", RETRY_AFTER_SECONDS.to_string())
        }
        Failure::EndedInPart(Some(SetCookie(cookies))) => {
            let response = response.with("retry-after", RETRY_AFTER_SECONDS.to_string());
            cookies.iter().fold(response, |response, cookie| response.with("set-cookie", cookie))
        }
        Failure::RateLimited { seconds, .. } => response.with("retry-after", seconds.to_string()),
        Failure::MethodNotAllowed(allow) => response.with("allow", allow),
        // RFC 9110, section 15.5.2: "The server generating a 401 response MUST
        // send a WWW-Authenticate header field".
        Failure::NoSession => response.with("www-authenticate", "Cookie"),
        // RFC 6750, section 3.
        Failure::BadAdminKey => response.with("www-authenticate", "Bearer"),
        _ => response,
    }
}

/// The login page with the way back: path and query only, so it stays on this
/// origin. `None` where the login page itself asks for a session: sending the
/// browser there again would never end.
fn to_login(site: &Site, request: &Request, step_up: Option<u8>) -> Option<String> {
    if is_login_page(site, request) {
        return None;
    }
    let path = CanonicalPath::parse(&request.raw_path).ok()?;
    let mut location = site.config.login.clone();
    let mut add = |name: &str, value: &str| {
        let joint = if location.contains('?') { '&' } else { '?' };
        location.push(joint);
        location.push_str(name);
        location.push('=');
        location.push_str(value);
    };
    // The way back must not make a URL that the platform refuses.
    if let Some(here) = way_back(request, &path).filter(|here| here.len() <= RETURN_TO_BYTES_MAX) {
        add("return_to", &utf8_percent_encode(&here, IN_QUERY_VALUE).to_string());
    }
    if let Some(level) = step_up {
        add("step_up", &level.to_string());
    }
    Some(location)
}

/// Where a browser is to be after the log-in. It comes back with a GET: from a form that
/// was sent, to the page that the form is on.
fn way_back(request: &Request, path: &CanonicalPath) -> Option<String> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        let here = [&*request.scheme, "://", &*request.host].concat();
        return request.headers.get("referer")?.strip_prefix(&here).and_then(safe_return_to).map(str::to_owned);
    }
    Some(match &request.query {
        Some(query) => format!("{}?{query}", path.as_str()),
        None => path.as_str().to_owned(),
    })
}

/// Whether the request is for the login page. If that needs a session, nobody
/// can log in: its route is missing.
pub fn is_login_page(site: &Site, request: &Request) -> bool {
    let path = CanonicalPath::parse(&request.raw_path);
    let login = site.config.login.split('?').next().unwrap_or_default();
    // Applications lead from one to the other with and without a `/` at the end.
    let bare = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
    path.is_ok_and(|path| {
        let (path, login) = (bare(path.as_str()), bare(login));
        path == login || (site.config.case_insensitive && path.eq_ignore_ascii_case(&login))
    })
}

/// A path and query of this origin to send a browser back to, or `None`.
/// Browsers read `\` as `/` and drop tabs and line breaks, so none may be in it.
pub fn safe_return_to(text: &str) -> Option<&str> {
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    (is_path && is_plain && text.len() <= RETURN_TO_BYTES_MAX).then_some(text)
}

fn page(status: u16, title: &str, detail: Option<&str>) -> String {
    let detail = detail.map_or_else(String::new, |detail| format!("<p>{}</p>", escape(detail)));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{PAGE_STYLE}</style><main><h1>{title}</h1>{detail}<p><small>{status}</small></p></main></html>\n",
        title = escape(title),
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const PAGE_STYLE: &str = ":root{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}\
body{margin:0}main{max-width:34rem;margin:18vh auto;padding:0 1.5rem}h1{font-size:1.5rem}";

/// The hash is that of [`PAGE_STYLE`]; a test compares.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'sha256-Ww/3MO0M7QmOUvwn0+dWupyjnaMGqvFZ9zPB3PXDQfA='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Of answers that are no page. A sandbox without scripts also where a browser
/// shows them: a picture, or JSON that somebody navigates to.
const NO_PAGE_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

const HEADERS_EXPECTED: usize = 8;

const IN_QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const RETURN_TO_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style_of_the_page() {
        let hash = Base64::encode_string(&Sha256::digest(PAGE_STYLE));
        assert!(PAGE_POLICY.contains(&format!("'sha256-{hash}'")), "the hash is {hash}");
    }

    #[test]
    fn a_return_stays_on_this_origin() {
        for good in ["/", "/a/b?x=1&y=%2F", "/a;b=1"] {
            assert_eq!(safe_return_to(good), Some(good));
        }
        let bad = [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: x=1",
            "/\t/evil.example",
            "/ä",
        ];
        for bad in bad {
            assert_eq!(safe_return_to(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_page_shows_text_as_text() {
        assert!(page(400, "<b>", Some("\"'&")).contains("<h1>&lt;b&gt;</h1><p>&quot;&#39;&amp;</p>"));
    }
}
