//! What is taken out of the application's answer, before anybody gets it.

use core::time::Duration;

use serde_json::Value as Json;

use crate::answer::Visit;
use crate::audit::Event;
use crate::command::Command;
use crate::config::{Access, Bearer, Config, name_of};
use crate::custody::jwt::plain_placeholder;
use crate::custody::request::BODY_BYTES_MAX;
use crate::custody::{Change, Jwt, Kind, Opened, SetCookie, Value, refuse, whose};
use crate::error::Failure;
use crate::headers::{HeaderBlock, folded, is_json};
use crate::path::CanonicalPath;
use crate::ports::{Answer, BodyError, Ports};
use crate::request::Request;
use crate::site::Site;
use crate::time::UnixMillis;

/// What an answer says about what is held.
#[derive(Default)]
pub struct Taken {
    pub change: Change,
    pub log_out: LogOut,
    /// Whether the path and the answer say that the person's other sessions are
    /// to end.
    pub ends_others: bool,
    /// The body for the client, where tokens were in it.
    pub body: Option<Vec<u8>>,
}

/// Whether the application has logged the person out.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub enum LogOut {
    #[default]
    No,
    /// It has cleared the value that says who it is.
    Cleared {
        /// Whether that can be about nothing but the session. Else it may be a
        /// refusal of an older value, which an edge has sent.
        is_sure: bool,
    },
    /// The path is for that.
    ByPath,
}

impl Taken {
    /// Whether there is nothing to be put away.
    pub fn is_nothing(&self) -> bool {
        self.change.is_empty() && self.log_out == LogOut::No && !self.ends_others
    }

    pub fn without_body(mut self) -> (Self, Option<Vec<u8>>) {
        let body = self.body.take();
        (self, body)
    }
}

/// Takes the values out of an answer that are to be held.
///
/// # Errors
/// They are there, and cannot be held as they should: the client must not get
/// the answer.
pub async fn take<P: Ports>(
    visit: &Visit<'_, P>,
    command: Option<&Command>,
    opened: Option<&Opened>,
    answer: &impl Answer,
) -> Result<Taken, Failure> {
    let Visit { site, ports, request, path, admitted, .. } = *visit;
    let custody = &site.config.custody;
    let mut finds = Taken::default();
    let is_good = (200..400).contains(&answer.status());
    let is_done = is_good && !request.is_safe();
    finds.ends_others = is_done && custody.ends_others_at(path);
    let now = ports.time();
    take_cookies(&site.config, path, answer.headers(), now, &mut finds);
    let bearer = custody.bearer_at(path);
    let is_end = matches!(command, Some(Command::End | Command::EndAll));
    if let Some(bearer) = bearer.filter(|bearer| !bearer.ends) {
        let taken = take_tokens(site, ports, request, bearer, answer, &mut finds).await;
        // Who logs out does so whatever else the answer holds, and gets none of it.
        match taken {
            Err(_) if is_end => finds.body = Some(Vec::new()),
            taken => taken?,
        }
    }
    // Nothing is kept beside an end: nobody need know whose it would be.
    if is_end {
        return Ok(Taken { body: finds.body, ..Taken::default() });
    }
    if admitted.demand().access == Access::Public && !finds.change.is_empty() {
        ports.tell(Event::CustodyIgnored { path: path.as_str().into(), reason: "the route is public" });
        return Ok(Taken { body: finds.body, ..Taken::default() });
    }
    whose::name(site, ports, request, opened, &mut finds.change).await?;
    let is_for_it = bearer.is_some_and(|bearer| bearer.ends);
    let cleared = custody.cookies.first().filter(|name| finds.change.cleared.contains(name));
    finds.log_out = match cleared.filter(|_| finds.change.subject.is_none()) {
        _ if is_done && is_for_it => LogOut::ByPath,
        Some(name) => {
            // A link that logs out is told from one that was followed with what is void by now
            // where another value comes with another secret: then the browser sends that.
            let is_link = || request.is_navigation() && opened.is_some_and(|opened| !opened.holding.is_jwt(name));
            LogOut::Cleared { is_sure: is_good && (is_done || is_for_it || is_link()) }
        }
        None => LogOut::No,
    };
    Ok(finds)
}

/// The last word on each name counts, as in a browser.
fn take_cookies(config: &Config, path: &CanonicalPath, headers: &HeaderBlock, now: UnixMillis, finds: &mut Taken) {
    for (_, header) in headers.iter().filter(|(name, _)| *name == "set-cookie") {
        let Some(cookie) = SetCookie::parse(header, now) else { continue };
        let Some(name) = config.custody.cookies.iter().find(|name| *name == cookie.name) else { continue };
        let Change { set, cleared, .. } = &mut finds.change;
        set.retain(|value| value.name != *name);
        cleared.retain(|other| other != name);
        if cookie.clears(now) {
            cleared.push(name.clone());
            continue;
        }
        let mut value = Value::new(Kind::Cookie, name, cookie.value, cookie.expires);
        let under = cookie.path.unwrap_or_else(|| default_path(path.as_str()));
        value.path = (under != "/").then(|| under.to_owned());
        set.push(value);
    }
}

/// RFC 6265, section 5.1.4: up to the last slash of the request's path.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

/// Whether a Set-Cookie is for a name that no browser is to have, however it is
/// spelt.
pub fn is_kept(config: &Config, set_cookie: &str) -> bool {
    let pair = set_cookie.split(';').next().unwrap_or_default();
    let name = pair.trim_start().trim_start_matches('=').split('=').next().unwrap_or_default().trim();
    !config.kept_cookies.is_empty() && config.kept_cookies.contains(&folded(name))
}

async fn take_tokens<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    bearer: &Bearer,
    answer: &impl Answer,
    finds: &mut Taken,
) -> Result<(), Failure> {
    // Without a body, or not the answer of a log-in: nothing is in it.
    let status = answer.status();
    if !(200..300).contains(&status) || matches!(status, 204 | 205) || request.method == "HEAD" {
        return Ok(());
    }
    if status == 206 {
        return Err(refuse(ports, "the answer is a part of one".to_owned()));
    }
    if !answer.headers().media_type().is_some_and(|found| is_json(&found)) {
        // A page that a person goes to, which no script can pretend to do.
        let is_page = request.method == "GET" && request.is_navigation();
        return if is_page { Ok(()) } else { Err(refuse(ports, "the answer is not JSON".to_owned())) };
    }
    let read = answer.read(BODY_BYTES_MAX, site.config.origin_timeout).await;
    let bytes = read.map_err(|error| refuse(ports, unreadable(error, site.config.origin_timeout)))?;
    let text = String::from_utf8(bytes).map_err(|_| refuse(ports, "the answer is not UTF-8".to_owned()))?;
    let mut document: Json =
        serde_json::from_str(&text).map_err(|_| refuse(ports, "the answer is not JSON".to_owned()))?;
    let mut replaced = Vec::new();
    for (index, pointer) in bearer.tokens.iter().enumerate() {
        let Some(found) = document.pointer(pointer).filter(|found| !found.is_null()) else { continue };
        let Some(token) = found.as_str().filter(|token| !token.is_empty()).map(str::to_owned) else {
            return Err(refuse(ports, format!("{pointer} is no text")));
        };
        let name = name_of(pointer);
        let placeholder = Jwt::read(&token).map_or_else(|| plain_placeholder(&name), |jwt| jwt.placeholder(&name));
        let kind = if index == 0 { Kind::Bearer } else { Kind::Token };
        finds.change.set.push(Value::new(kind, name, &token, None));
        replaced.push((token, placeholder));
    }
    let shown = shown(text, &mut document, &replaced);
    // It has been read, so the client gets it from here also where nothing was in it.
    finds.body = Some(shown.into_bytes());
    Ok(())
}

/// The answer for the page: as it was written, where that leaves no copy of a
/// token in it, however it is spelt; else written anew.
fn shown(text: String, document: &mut Json, replaced: &[(String, String)]) -> String {
    let is_plain = |(token, _): &(String, String)| is_plain(token);
    if replaced.iter().all(is_plain) && colons(&text) == members(document) {
        let shown = replaced.iter().fold(text, |text, (token, placeholder)| text.replace(token, placeholder));
        let is_clean = |read: &Json| !replaced.iter().any(|(token, _)| holds(read, token));
        if serde_json::from_str(&shown).is_ok_and(|read| is_clean(&read)) {
            return shown;
        }
    }
    for (token, placeholder) in replaced {
        take_out(document, token, placeholder);
    }
    document.to_string()
}

/// Replaces a token in all texts of a document.
fn take_out(value: &mut Json, token: &str, placeholder: &str) {
    match value {
        Json::String(text) if text.contains(token) => *text = text.replace(token, placeholder),
        Json::Array(items) => items.iter_mut().for_each(|item| take_out(item, token, placeholder)),
        Json::Object(fields) => {
            fields.iter_mut().for_each(|(_, field)| take_out(field, token, placeholder));
            fields.retain(|name, _| !name.contains(token));
        }
        _ => {}
    }
}

fn holds(value: &Json, token: &str) -> bool {
    match value {
        Json::String(text) => text.contains(token),
        Json::Array(items) => items.iter().any(|item| holds(item, token)),
        Json::Object(fields) => fields.iter().any(|(name, field)| name.contains(token) || holds(field, token)),
        _ => false,
    }
}

/// Members of all objects: fewer than there are colons where a name is there
/// twice, of which only the last was read.
fn members(value: &Json) -> usize {
    match value {
        Json::Array(items) => items.iter().map(members).sum(),
        Json::Object(fields) => fields.len() + fields.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Colons of a JSON text that are not within strings.
fn colons(text: &str) -> usize {
    let (mut count, mut is_string, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b':' if !is_string => count += 1,
            _ => {}
        }
    }
    count
}

fn unreadable(error: BodyError, within: Duration) -> String {
    match error {
        BodyError::TooLong => format!("the answer is longer than {BODY_BYTES_MAX} bytes"),
        BodyError::TooSlow => {
            format!("the answer did not end within {} (origin_timeout)", crate::time::show_span(within))
        }
        BodyError::Broken => "the answer broke off".to_owned(),
    }
}

/// A token that is long enough to stand for nothing else, and is written the
/// same within JSON.
fn is_plain(token: &str) -> bool {
    token.len() >= TOKEN_CHARS_MIN
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+=".contains(&byte))
}

const TOKEN_CHARS_MIN: usize = 16;
