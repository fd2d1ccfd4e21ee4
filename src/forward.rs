//! The request that the origin gets: scrubbed, rebuilt, identified.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64ct::{Base64UrlUnpadded, Encoding};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::admission::Admitted;
use crate::config::{Adopt, Config};
use crate::custody::{self, Opened};
use crate::error::Failure;
use crate::headers::{HeaderEdits, Name, folded, folds_to, folds_to_start};
use crate::path::CanonicalPath;
use crate::ports::{Outgoing, Ports, Probe, Random};
use crate::precedent::Precedent;
use crate::request::Request;
use crate::session::Session;
use crate::signature::{self, Signed, Signer};
use crate::site::Site;
use crate::time::UnixMillis;

/// Composes the request to the origin; `nonce` is what a command in its answer
/// has to repeat.
///
/// # Errors
/// It is to be signed, and there is no randomness to be had.
pub fn compose<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    admitted: &Admitted,
    opened: Option<&Opened>,
    nonce: Option<&str>,
) -> Result<Outgoing, Failure> {
    let config = &site.config;
    let mut edits = HeaderEdits { remove: unwanted(config, request), ..HeaderEdits::default() };
    if let Some(nonce) = nonce {
        edits.set("warifu-nonce", nonce);
    }
    forwarding(request, &mut edits);
    custody::attach(config, request, path, opened.map(|opened| (opened, ports.time())), &mut edits);
    let base = base(config, request);
    let authority = authority(config, &request.host);
    let query = request.query.as_ref().map_or_else(String::new, |query| ["?", &*in_query(query)].concat());
    let mut ours = None;
    if admitted.with_identity() {
        let target = Target { method: &request.method, authority, path: path.as_str(), query: &query };
        ours = identify(site, ports, &target, admitted.session(), &mut edits)?;
    }
    let (input, signature) = ours.unzip();
    signature_header(request, "signature-input", input, &mut edits);
    signature_header(request, "signature", signature, &mut edits);
    Ok(Outgoing {
        url: [&*base, path.as_str(), &*query].concat(),
        edits,
        shared_cache: !admitted.with_identity() && is_for_all(site, request),
        timeout: has_small_body(request).then_some(config.origin_timeout),
        body: None,
        precedent: Precedent::of(site, request, path, admitted, ports.time()),
    })
}

/// The question to the application whose a session of its own is: with nothing
/// of the client's but that, and the headers that such sessions are bound to.
///
/// # Errors
/// It is to be signed, and there is no randomness to be had.
pub fn compose_probe<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    adopt: &Adopt,
    cookie: &str,
) -> Result<Probe, Failure> {
    let config = &site.config;
    let mut edits = HeaderEdits::default();
    forwarding(request, &mut edits);
    edits.set("cookie", format!("{}={cookie}", adopt.cookie));
    edits.set("accept", "application/json");
    for name in ["user-agent", "accept-language"] {
        if let Some(value) = request.headers.get(name) {
            edits.set(name, value);
        }
    }
    let authority = authority(config, &request.host);
    let at = adopt.probe.find('?').unwrap_or(adopt.probe.len());
    let (path, query) = adopt.probe.split_at(at);
    let query = &*in_query(query);
    if let Some((input, signature)) =
        identify(site, ports, &Target { method: "GET", authority, path, query }, None, &mut edits)?
    {
        edits.set("signature-input", input);
        edits.set("signature", signature);
    }
    Ok(Probe {
        url: [&*base(config, request), path, query].concat(),
        headers: edits,
        timeout: config.origin_timeout,
        bytes_max: PROBED_BYTES_MAX,
    })
}

/// What of a request is signed beside the identity.
pub struct Target<'a> {
    pub method: &'a str,
    pub authority: &'a str,
    pub path: &'a str,
    /// With its `?`; empty: none.
    pub query: &'a str,
}

/// Sets the identity headers; members for Signature-Input and Signature, where
/// they are signed.
fn identify<P: Ports>(
    site: &Site,
    ports: &P,
    target: &Target<'_>,
    session: Option<&Session>,
    edits: &mut HeaderEdits,
) -> Result<Option<(String, String)>, Failure> {
    let identity = identity(&site.config, session);
    let mut ours = None;
    if let Some(signer) = &site.signer {
        let signed = sign(signer, target, &identity, ports.time(), ports.random()).ok_or(Failure::Internal)?;
        ours = Some((signed.signature_input, signed.signature));
    }
    edits.set.extend(identity);
    Ok(ours)
}

/// Signs a request with its identity headers. `None`: there is no randomness to be had.
pub fn sign(
    signer: &Signer,
    target: &Target<'_>,
    identity: &[(Name, String)],
    now: UnixMillis,
    random: &impl Random,
) -> Option<Signed> {
    let Target { method, authority, path, query } = *target;
    // RFC 9421, section 2.2.7: an absent query is an empty one, "?".
    let query = if query.is_empty() { "?" } else { query };
    let derived = [("@method", method), ("@authority", authority), ("@path", path), ("@query", query)];
    let headers = identity.iter().map(|(name, value)| (&**name, &**value));
    let components: Vec<_> = derived.into_iter().chain(headers).collect();
    signer.sign(&components, now, random)
}

/// The host of the application, as it sees it.
pub fn authority<'a>(config: &'a Config, host: &'a str) -> &'a str {
    config.origin.as_ref().map_or(host, |origin| origin.host())
}

/// Scheme and host of the application.
fn base<'a>(config: &'a Config, request: &Request) -> Cow<'a, str> {
    match &config.origin {
        Some(origin) => origin.as_str().into(),
        None => [&*request.scheme, "://", &*request.host].concat().into(),
    }
}

/// As the platform's fetch writes it: what is signed is what arrives.
fn in_query(query: &str) -> Cow<'_, str> {
    utf8_percent_encode(query, IN_QUERY).into()
}

/// Whether all that gets to a URL of the application says the same of where it comes
/// from. The platform's cache knows answers by that URL, and the application makes
/// them by `X-Forwarded-Host` and `X-Forwarded-Proto`.
fn is_for_all(site: &Site, request: &Request) -> bool {
    let is_own = |rest: &str| rest.starts_with(':');
    let has_scheme = |origin: &str| origin.strip_prefix(&*request.scheme).is_some_and(is_own);
    site.config.origin.as_ref().is_none_or(|origin| site.has_one_host && has_scheme(origin.as_str()))
}

/// Whether the whole request can be taken to reach the origin at once, so that the
/// time to its answer is its own: the body is a stream, and how long it takes is up
/// to the client.
fn has_small_body(request: &Request) -> bool {
    if request.headers.get("transfer-encoding").is_some() {
        return false;
    }
    let length = request.headers.get("content-length").map_or(Some(0), |length| length.parse::<u64>().ok());
    length.is_some_and(|length| length <= SMALL_BODY_BYTES_MAX)
}

/// The client's own members stay, on every route without those that could pass
/// for ours; ours comes last.
fn signature_header(request: &Request, name: &'static str, ours: Option<String>, edits: &mut HeaderEdits) {
    let theirs = request.headers.get(name);
    let kept = theirs.and_then(signature::without_ours);
    match (theirs, kept, ours) {
        (Some(theirs), Some(kept), None) if theirs == kept => {}
        (None, _, None) => {}
        (Some(_), None, None) => edits.remove.push(name.to_owned()),
        (_, kept, ours) => edits.set(name, kept.into_iter().chain(ours).collect::<Vec<_>>().join(", ")),
    }
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
    let opens_web_socket = request.opens_web_socket();
    let is_unwanted = |name: &str| {
        folds_to_start(name, "warifu-")
            || folds_to_start(name, "x-forwarded-")
            || DROPPED.iter().any(|dropped| folds_to(name, dropped))
            || user_header.as_ref().is_some_and(|header| folds_to(name, header))
            // RFC 9110, section 7.6.1: "Intermediaries MUST parse a received
            // Connection header field … and, for each connection-option in
            // this field, remove any header field(s) … with the same name".
            || (name == "upgrade" && !opens_web_socket)
            // An upgrade that was let through is passed on as one.
            || (name != "upgrade" && nominated.contains(name))
    };
    request.headers.iter().map(|(name, _)| name).filter(|name| is_unwanted(name)).map(str::to_owned).collect()
}

/// `X-Forwarded-*`, `Forwarded` (RFC 7239) and `X-Real-IP`, rebuilt and not extended: what
/// the client said of itself is worth nothing. Of `X-Real-IP` Cloudflare makes the
/// `CF-Connecting-IP` of a request to the Worker's own zone, where nobody else can set it.
fn forwarding(request: &Request, edits: &mut HeaderEdits) {
    let client = request.headers.get("cf-connecting-ip").filter(|ip| ip.parse::<core::net::IpAddr>().is_ok());
    if let Some(client) = client {
        edits.set("x-forwarded-for", client);
        edits.set("x-real-ip", client);
    }
    edits.set("x-forwarded-host", &*request.host);
    edits.set("x-forwarded-proto", &*request.scheme);
    // RFC 7239, section 6: an IPv6 address is bracketed and quoted.
    let node = match client {
        Some(client) if client.contains(':') => ["\"[", client, "]\""].concat().into(),
        Some(client) => Cow::from(client),
        None => Cow::from("unknown"),
    };
    edits.set("forwarded", ["for=", &*node, ";host=\"", &*request.host, "\";proto=", &*request.scheme].concat());
}

/// The identity headers: always the full list, empty where unknown.
pub fn identity(config: &Config, session: Option<&Session>) -> Vec<(Name, String)> {
    let encoded = |s: &Session| Cow::from(utf8_percent_encode(s.subject.as_str(), IN_HEADERS)).into_owned();
    let subject = session.map(encoded).unwrap_or_default();
    let claims = session.and_then(|s| s.claims.as_ref());
    let mut headers = vec![
        ("warifu-session".into(), session.map(|s| s.id.to_text()).unwrap_or_default()),
        ("warifu-level".into(), session.map(|s| s.level.to_string()).unwrap_or_default()),
        ("warifu-auth-time".into(), session.map(|s| s.auth_time.as_unix_seconds().to_string()).unwrap_or_default()),
        (
            "warifu-claims".into(),
            claims.map(|c| Base64UrlUnpadded::encode_string(c.as_str().as_bytes())).unwrap_or_default(),
        ),
    ];
    if let Some(name) = &config.user_header {
        headers.push((name.to_ascii_lowercase().into(), subject.clone()));
    }
    headers.push(("warifu-subject".into(), subject));
    headers
}

/// About what TCP sends before it waits for an answer (RFC 6928: ten segments).
const SMALL_BODY_BYTES_MAX: u64 = 16 << 10;

/// Of the application's answer to a question of ours.
const PROBED_BYTES_MAX: usize = 64 << 10;

/// Folded names of headers that some origins take for the request's method or
/// URL, and of those that are rebuilt.
const DROPPED: [&str; 9] = [
    "forwarded",
    // Goes with `Upgrade: h2c` (RFC 7540, section 3.2.1), which is not passed on.
    "http2-settings",
    // gunicorn takes what `SCRIPT_NAME` says off the path, from a peer that it believes.
    "script-name",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
];

/// URL Standard, section 1.3: the special-query percent-encode set.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');

/// Everything outside %x21–7E, and `%`.
const IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
