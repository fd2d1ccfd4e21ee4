//! The running gateway's API, asked over HTTP.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderValue, Response, Uri};
use ureq::{Agent, Body, RequestBuilder, Timeout};
use warifu::time::{parse_span, show_span};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::text::visible;

/// Where the gateway is.
#[derive(Args)]
pub struct Place {
    /// The gateway's address, such as https://app.example
    #[arg(long, value_name = "URL", env = "WARIFU_URL", hide_env_values = true, value_hint = ValueHint::Url)]
    url: Option<String>,
    /// Use http to another machine, where everybody on the way can read the key
    #[arg(long)]
    insecure_http: bool,
    /// How long each answer may take; 30s if absent
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
}

/// Who asks. The key is no argument: others could see it in the list of processes.
#[derive(Args)]
struct Key {
    /// A file with the admin key in it; without it, the key is taken from the variable WARIFU_ADMIN_KEY
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
}

/// Where a call with a key goes, and how its answer is shown.
#[derive(Args)]
pub struct Asked {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    /// Print what the gateway answers as JSON
    #[arg(long)]
    pub json: bool,
}

impl Asked {
    pub fn gateway(self) -> Result<Gateway, Failure> {
        self.place.with_key(self.key)
    }
}

/// An address and what is needed to ask there.
pub struct Gateway {
    agent: Agent,
    /// Scheme, host and port.
    base: String,
    timeout: Duration,
    patience: Duration,
    key: Option<HeaderValue>,
    /// Where the key came from.
    key_source: String,
}

/// The sentences that only the command can say.
#[derive(Clone, Copy)]
pub struct Hints {
    /// If there is no such thing.
    pub not_found: &'static str,
    /// If nobody knows whether it was done; nothing for what only looks.
    pub unknown: Option<&'static str>,
}

impl Place {
    /// For calls that anyone may make.
    pub fn without_key(self) -> Result<Gateway, Failure> {
        let base = self.base()?;
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        let patience = self.timeout.unwrap_or(TIMEOUT_OF_PATIENT);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_MAX.min(timeout)))
            .timeout_global(Some(timeout))
            .user_agent(concat!("warifu/", env!("CARGO_PKG_VERSION")))
            .accept("application/json");
        let is_encrypted = base.starts_with("https:");
        // Through a tunnel, a proxy sees nothing. Without TLS it would see the key.
        let config = if is_encrypted { config.https_only(true) } else { config.proxy(None) };
        let agent = config.build().new_agent();
        Ok(Gateway { agent, base, timeout, patience, key: None, key_source: String::new() })
    }

    fn with_key(self, key: Key) -> Result<Gateway, Failure> {
        let gateway = self.without_key()?;
        let (text, key_source) = key.read()?;
        let wrong = |found: &str| Failure::Unusable(format!("{key_source}: found {found}; {KEY_FORM}"));
        let text = text.trim();
        if let Some(found) = what_no_key_has(text) {
            return Err(wrong(&found));
        }
        let value = HeaderValue::try_from(&*Zeroizing::new(format!("Bearer {text}")));
        let mut value = value.map_err(|_| wrong("what no header can hold"))?;
        value.set_sensitive(true);
        Ok(Gateway { key: Some(value), key_source, ..gateway })
    }

    /// The address, if it is one to which a key may be sent.
    fn base(&self) -> Result<String, Failure> {
        let Some(text) = self.url.as_deref() else {
            return Err(Failure::Unusable(
                "no address: set the variable WARIFU_URL, or give --url https://app.example".to_owned(),
            ));
        };
        // It is not quoted, since it may have a password in it.
        let wrong = || {
            Failure::Unusable(
                "the address must be https:// and the gateway's host, nothing after it: https://app.example".to_owned(),
            )
        };
        let uri = text.parse::<Uri>().ok().filter(|_| !text.contains(['@', '?', '#'])).ok_or_else(wrong)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
        if !matches!(scheme, "http" | "https") || !matches!(uri.path(), "" | "/") || authority.host().is_empty() {
            return Err(wrong());
        }
        if scheme == "http" && !is_this_machine(authority.host()) && !self.insecure_http {
            return Err(Failure::Unusable(format!(
                "{scheme}://{authority} is not encrypted, and everybody on the way could read the key: use https, or \
                 --insecure-http if you know the way"
            )));
        }
        Ok(format!("{scheme}://{authority}"))
    }
}

impl Key {
    /// The text, and where it is from.
    fn read(self) -> Result<(Zeroizing<String>, String), Failure> {
        if let Some(path) = self.key_file {
            let shown = path.display().to_string();
            return match std::fs::read_to_string(&path) {
                Ok(text) => Ok((Zeroizing::new(text), shown)),
                Err(error) => Err(Failure::Unusable(format!("{shown} cannot be read: {error}"))),
            };
        }
        match std::env::var(KEY_VARIABLE) {
            Ok(text) => Ok((Zeroizing::new(text), KEY_VARIABLE.to_owned())),
            Err(_) => Err(Failure::Unusable(format!(
                "no admin key: set the variable {KEY_VARIABLE}, or name a file that holds it with --key-file"
            ))),
        }
    }
}

impl Gateway {
    pub fn address(&self) -> &str {
        &self.base
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same for one that is held back.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Asks for what is below `/_warifu/`.
    pub fn get<T: DeserializeOwned>(&self, below: &str, hints: Hints) -> Result<T, Failure> {
        let asked = self.authorized(self.agent.get(self.url(below))).call();
        self.read(asked, self.timeout, hints)
    }

    /// Ends what is below `/_warifu/`. The answer may take so long.
    pub fn delete<T: DeserializeOwned>(
        &self,
        below: &str,
        body: Option<&str>,
        within: Duration,
        hints: Hints,
    ) -> Result<T, Failure> {
        let request = self.authorized(self.agent.delete(self.url(below)));
        let request = request.config().timeout_global(Some(within)).build();
        let asked = match body {
            None => request.call(),
            Some(json) => request.force_send_body().header(CONTENT_TYPE, "application/json").send(json),
        };
        self.read(asked, within, hints)
    }

    fn url(&self, below: &str) -> String {
        format!("{}/_warifu/{below}", self.base)
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, key),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        asked: Result<Response<Body>, ureq::Error>,
        within: Duration,
        hints: Hints,
    ) -> Result<T, Failure> {
        let (head, body) = asked.map_err(|error| self.lost(&error, within, hints))?.into_parts();
        let bytes = body.into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = bytes.map_err(|error| self.lost(&error, within, hints))?;
        if head.status.is_success() {
            return serde_json::from_slice(&bytes)
                .map_err(|_| self.strange(head.status.as_u16(), &head.headers, hints));
        }
        let is_problem = text_of(&head.headers, CONTENT_TYPE).is_some_and(|kind| kind.starts_with(PROBLEM));
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) if is_problem => Err(self.refused(&problem, &head.headers, hints)),
            _ => Err(self.strange(head.status.as_u16(), &head.headers, hints)),
        }
    }

    /// The gateway says no.
    fn refused(&self, problem: &Problem, headers: &HeaderMap, hints: Hints) -> Failure {
        let Problem { title, code, detail } = problem;
        let detail = detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        let later = || {
            let seconds = text_of(headers, RETRY_AFTER).and_then(|text| text.parse::<u32>().ok());
            seconds.map_or_else(|| "a little later".to_owned(), |seconds| format!("in {seconds} s"))
        };
        let hint = match code.as_str() {
            "bad_admin_key" => Some(format!(
                "the key is from {}; its SHA-256 must be in the list WARIFU_ADMIN_KEYS of this gateway (warifu \
                 admin-key new makes a key and its entry)",
                self.key_source
            )),
            "missing_scope" => {
                Some("the key's entry in WARIFU_ADMIN_KEYS must name this scope; add it there, and deploy".to_owned())
            }
            "not_found" => Some(hints.not_found.to_owned()),
            "store_unavailable" => Some(format!(
                "the gateway runs, but not what keeps the sessions; try again {}{}",
                later(),
                hints.unknown.map_or_else(String::new, |unknown| format!("; {unknown}"))
            )),
            "ended_in_part" => Some(
                "nobody goes on with it: give the command once more, until it gets a receipt; if there is none after \
                 two minutes, what is deployed lacks a row of the map that was deployed before"
                    .to_owned(),
            ),
            "rate_limited" => Some(format!("try again {}", later())),
            "misdirected" => Some(
                "is the address right? Its host must be in hosts of the configuration, or be admin_host".to_owned(),
            ),
            "internal" => Some(format!(
                "a defect of the gateway's: the Worker's log has it, at the event panicked or threw; report it{}",
                hints.unknown.map_or_else(String::new, |unknown| format!("; {unknown}"))
            )),
            "misconfigured" => Some("the Worker's log says why; warifu check finds it in the file".to_owned()),
            _ => None,
        };
        Failure::Refused(visible(&format!("{title} ({code}){detail}")), hint.map(|hint| visible(&hint)))
    }

    /// Something answers that does not speak as a gateway does.
    fn strange(&self, status: u16, headers: &HeaderMap, hints: Hints) -> Failure {
        let hint = match text_of(headers, LOCATION) {
            Some(location) if (300..400).contains(&status) => {
                format!("it leads on to {location}, and redirects are not followed; is the address right?")
            }
            _ => "is the address that of a gateway, and of this version?".to_owned(),
        };
        let hint = match hints.unknown.filter(|_| !(300..500).contains(&status)) {
            Some(unknown) => format!("{hint} {unknown}"),
            None => hint,
        };
        let says = format!("{} answered {status}, and not as a gateway does", self.base);
        Failure::Unreachable(visible(&says), Some(visible(&hint)))
    }

    /// There is no answer, or only a part of one.
    fn lost(&self, error: &ureq::Error, within: Duration, hints: Hints) -> Failure {
        let (says, is_sent) = match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                (format!("cannot be reached: no connection within {}", show_span(CONNECT_MAX.min(self.timeout))), false)
            }
            ureq::Error::Timeout(_) => (format!("gave no answer within {}", show_span(within)), true),
            ureq::Error::HostNotFound => ("cannot be reached: no such host".to_owned(), false),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::ConnectProxyFailed(_) => {
                (format!("cannot be reached: {error}"), false)
            }
            ureq::Error::Io(error) if is_before_sending(error) => (format!("cannot be reached: {error}"), false),
            ureq::Error::Io(error) => (format!("gave no answer: {error}"), true),
            other => (format!("gave no answer that can be read: {other}"), true),
        };
        let hint = hints.unknown.filter(|_| is_sent).map(str::to_owned);
        Failure::Unreachable(visible(&format!("{} {says}", self.base)), hint)
    }
}

/// RFC 9457, and the member that programs read.
#[derive(Deserialize)]
struct Problem {
    title: String,
    code: String,
    detail: Option<String>,
}

/// What keeps the text from being a bearer token (RFC 6750, section 2.1), without quoting it: it
/// may hold a secret. All that `warifu setup` printed must not be sent in the place of the key.
#[allow(clippy::zero_sized_map_values, reason = "the values are secrets, and are not copied")]
fn what_no_key_has(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("nothing".to_owned());
    }
    if let Ok(object) = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text) {
        let member = [KEY_VARIABLE, "key"].into_iter().find(|name| object.contains_key(*name));
        let out = member.map_or_else(String::new, |name| format!(", of which the key is one member (jq -r .{name})"));
        return Some(format!("a JSON object{out}"));
    }
    let is_wrong = |c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c));
    let at = text.trim_end_matches('=').chars().position(is_wrong);
    match at {
        Some(at) => Some(format!("what no key has at character {}", at + 1)),
        None => text.starts_with('=').then(|| "no more than =".to_owned()),
    }
}

fn text_of(headers: &HeaderMap, name: ureq::http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Where this is false, the request may have arrived.
fn is_before_sending(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable)
        // std has no kind for a host that has no address, nor for a certificate that is not believed: with that,
        // the handshake has ended before anything of the request is sent.
        || ["failed to lookup address", "invalid peer certificate"].iter().any(|says| error.to_string().starts_with(says))
}

fn is_this_machine(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6.and_then(|host| host.parse::<Ipv6Addr>().ok()).is_some_and(|address| address.is_loopback())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| "it must be a number and a unit, such as 500ms, 30s or 2m".to_owned())
}

const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the longest `bound` and `continue_for`, as another clock counts them.
const TIMEOUT_OF_PATIENT: Duration = Duration::from_mins(11);
const KEY_VARIABLE: &str = "WARIFU_ADMIN_KEY";
const KEY_FORM: &str = "it must hold one admin key and nothing else: A-Z a-z 0-9 - . _ ~ + /, and = at its end only";
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A page of 100 sessions with claims and every character escaped is smaller.
const ANSWER_BYTES_MAX: u64 = 4 * 1_048_576;
const PROBLEM: &str = "application/problem+json";
