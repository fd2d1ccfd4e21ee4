//! The Cookie header, read byte for byte, and the Set-Cookie header.
//!
//! RFC 6265bis, section 5.7: a server sees `name=value` pairs joined by `; `.
//! Parsers that trim or unquote more than that have let one host's cookie pass
//! for another's, so here nothing is trimmed but the one space after `;`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::config::{Config, Cookie, SameSite};
use crate::headers::{holds, is_folded};
use crate::session::Session;
use crate::time::UnixMillis;
use crate::token::{KeyRing, Minted, TOKEN_CHARS, Token};

/// What a Cookie header holds for us.
pub enum Presented {
    /// No session cookie with a good MAC.
    None,
    /// Exactly one token.
    One(Token),
    /// Different tokens with good MACs: none is honoured, since one of them
    /// was put there by somebody else. A logout ends them all.
    Several(Vec<Token>),
}

/// Reads the session cookie out of a Cookie header.
pub fn presented(header: &str, name: &str, ring: &KeyRing) -> Presented {
    let mut values: Vec<&str> = Vec::new();
    for pair in pairs(header) {
        let Some((found, value)) = pair.split_once('=') else { continue };
        if found != name {
            continue;
        }
        if values.len() == SESSION_COOKIES_MAX {
            return Presented::None;
        }
        values.push(value);
    }
    let mut tokens: Vec<Token> = Vec::new();
    for value in values {
        // U+FFFD is what the platform makes of bytes that are no UTF-8.
        if value.len() != TOKEN_CHARS || value.contains('\u{FFFD}') {
            continue;
        }
        let Some(token) = ring.verify(value) else { continue };
        if tokens.iter().all(|earlier| earlier.session_key() != token.session_key()) {
            tokens.push(token);
        }
    }
    if tokens.len() > 1 {
        return Presented::Several(tokens);
    }
    tokens.pop().map_or(Presented::None, Presented::One)
}

/// Whether a session cookie is there whose MAC is wrong under a key that we
/// have: nobody has got it from us. One under another key is just old.
pub fn is_forged(header: Option<&str>, name: &str, ring: &KeyRing) -> bool {
    let Some(header) = header.filter(|header| holds(header, name)) else { return false };
    let values = pairs(header).filter_map(|pair| pair.split_once('=')).filter(|(found, _)| *found == name);
    values.take(SESSION_COOKIES_MAX).any(|(_, value)| ring.has_key_of(value) && ring.verify(value).is_none())
}

/// The value of the one cookie of a name. `None`: there is none, or there are
/// several with different values, of which one was put there by somebody else;
/// or it is empty, or is no UTF-8.
pub fn only<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = pairs(header).filter_map(|pair| pair.split_once('=')).filter(|(found, _)| *found == name);
    let (_, value) = values.next()?;
    let is_alone = values.all(|(_, other)| other == value);
    (is_alone && !value.is_empty() && !value.contains('\u{FFFD}')).then_some(value)
}

/// A cookie's value in the one form that all of its spellings have: lenient parsers trim,
/// unquote (RFC 2109, section 4.1, and octal escapes as Python has them) and percent-decode
/// values, so that a copy can be spelt otherwise and mean the same. Values of letters, digits
/// and what `encodeURIComponent` leaves alone are as they came, and so is what it encodes.
pub fn canonical(value: &str) -> String {
    let mut bytes = value.as_bytes().to_vec();
    for _ in 0..READINGS_MAX {
        let read = read_leniently(&bytes);
        if read == bytes {
            break;
        }
        bytes = read;
    }
    percent_encode(&bytes, AS_COMPONENT).to_string()
}

fn read_leniently(value: &[u8]) -> Vec<u8> {
    let trimmed = value.trim_ascii();
    match trimmed.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(quoted) => percent_decode(&unescaped(quoted)).collect(),
        None => percent_decode(trimmed).collect(),
    }
}

/// Without the backslashes of a quoted string.
fn unescaped(quoted: &[u8]) -> Vec<u8> {
    let mut rest = quoted;
    let mut plain = Vec::with_capacity(quoted.len());
    loop {
        rest = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                plain.push(*escaped);
                rest
            }
            [byte, rest @ ..] => {
                plain.push(*byte);
                rest
            }
            [] => return plain,
        }
    }
}

/// The Cookie header for the origin: without the session cookie. `None` where
/// nothing is left; the same bytes where there was no session cookie.
pub fn without_session(header: &str, name: &str) -> Option<String> {
    // Two Cookie headers arrive joined by a comma, so the session cookie can
    // also stand inside of another pair: that pair goes as a whole.
    if !holds(header, name) {
        return Some(header.to_owned());
    }
    // What is no UTF-8 is lost already, and must not be written anew.
    let kept: Vec<&str> = pairs(header).filter(|pair| !holds(pair, name) && !pair.contains('\u{FFFD}')).collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

/// The same, and without cookies of these names, as the most careless origin
/// reads names ([`is_folded`]).
pub fn for_origin(header: &str, name: &str, kept: &[String]) -> Option<String> {
    let rest = without_session(header, name)?;
    if !pairs(&rest).any(|pair| could_be(pair, kept)) {
        return Some(rest);
    }
    let others: Vec<&str> = pairs(&rest).filter(|pair| !could_be(pair, kept) && !pair.contains('\u{FFFD}')).collect();
    (!others.is_empty()).then(|| others.join("; "))
}

/// Whether some parser would read a cookie of one of these names out of a pair:
/// there are those that split at commas and spaces, decode what is encoded, and
/// map characters to each other. Each `=` costs as much as the name before it, or as
/// a kept one: not all before, of which there may be 16 KiB.
fn could_be(pair: &str, kept: &[String]) -> bool {
    if kept.is_empty() {
        return false;
    }
    let decoded = percent_encoding::percent_decode_str(pair).decode_utf8_lossy();
    let decoded = decoded.trim_start();
    let is_separator = |c: char| c.is_control() || " \"(),/:;<=>?@[\\]{}".contains(c);
    let last = |before: &str| before.rsplit(is_separator).next().is_some_and(|name| is_kept(name, kept));
    // And those that end a name at a NUL: that is the same for all behind it.
    let is_cut = |(nul, _)| decoded[nul..].contains('=') && last(&decoded[..nul]);
    decoded.match_indices('\0').next().is_some_and(is_cut)
        || decoded.match_indices('=').any(|(at, _)| {
            let before = decoded[..at].trim_end();
            is_kept(before, kept) || last(before)
        })
}

fn is_kept(name: &str, kept: &[String]) -> bool {
    kept.iter().any(|kept| is_folded(name, kept))
}

/// Whether a Set-Cookie value of the origin's would write the session cookie.
/// Browsers that are older than the rule against it (RFC 6265bis, section 5.7)
/// keep `=name=value` as a cookie without a name, and send `name=value`.
pub fn is_session_cookie(set_cookie: &str, name: &str) -> bool {
    let pair = set_cookie.split(';').next().unwrap_or_default().trim_start();
    let sent = pair.strip_prefix('=').unwrap_or(pair);
    sent.split('=').next().unwrap_or_default().trim().eq_ignore_ascii_case(name)
}

/// The pairs: split at `;`, one space after it dropped, nothing else.
fn pairs(header: &str) -> impl Iterator<Item = &str> {
    header
        .split(';')
        .enumerate()
        .map(|(index, pair)| if index == 0 { pair } else { pair.strip_prefix(' ').unwrap_or(pair) })
}

/// Set-Cookie value for a token of a session, for as long as that has left. One that holds values
/// ends with the last of them, and goes on with others, with which no cookie is written: where it
/// holds any, for as long as it may.
pub fn set(config: &Config, token: &Minted, session: &Session, now: UnixMillis) -> String {
    let cookie = &config.cookie;
    let ends = match session.held {
        Some(_) => session.absolute_expires.max(session.created.plus(config.absolute_timeout)),
        None => session.absolute_expires,
    };
    let max_age = if cookie.persistent { format!("; Max-Age={}", ends.since(now).as_secs()) } else { String::new() };
    format!("{}={}{}{max_age}", cookie.name, token.expose(), attributes(cookie, cookie.partitioned))
}

/// The token in a Set-Cookie value of ours; `None`: it removes the cookie.
#[cold]
pub fn token_of(set_cookie: &str, ring: &KeyRing) -> Option<Token> {
    set_cookie.split(['=', ';']).nth(1).and_then(|value| ring.verify(value))
}

/// Set-Cookie value that removes the session cookie.
pub fn clear(cookie: &Cookie) -> String {
    format!("{}={}; Max-Age=0", cookie.name, attributes(cookie, cookie.partitioned))
}

/// Set-Cookie value that removes the cookie which an earlier configuration
/// wrote: browsers keep partitioned and other cookies of one name apart, and
/// send both.
pub fn clear_other(cookie: &Cookie) -> String {
    format!("{}={}; Max-Age=0", cookie.name, attributes(cookie, !cookie.partitioned))
}

/// The attributes that `__Host-` asks for (RFC 6265bis, section 4.1.3.2), and
/// no Domain.
fn attributes(cookie: &Cookie, partitioned: bool) -> String {
    let same_site = match cookie.same_site {
        SameSite::Lax => "Lax",
        SameSite::Strict => "Strict",
        SameSite::None => "None",
    };
    let partitioned = if partitioned { "; Partitioned" } else { "" };
    format!("; Path=/; Secure; HttpOnly; SameSite={same_site}{partitioned}")
}

/// A Cookie header longer than this gets 431.
pub const COOKIE_HEADER_BYTES_MAX: usize = 16_384;

/// More session cookies than this are no accident, and each would cost a MAC.
const SESSION_COOKIES_MAX: usize = 4;

/// A value that could be read anew so often is no application's.
const READINGS_MAX: u32 = 8;

/// What `encodeURIComponent` leaves alone (ECMA-262, section 19.2.6.4).
const AS_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_value_are_one() {
        for (spelt, plain) in [
            ("\"old\"", "old"),
            (" old\t", "old"),
            ("%6fld", "old"),
            ("%256F%6c%64", "old"),
            ("%22old%22", "old"),
            ("\"o\\ld\"", "old"),
            ("\"\\157ld\"", "old"),
            ("\"%6fld\"", "old"),
            ("s:a.b+c/d=", "s%3Aa.b%2Bc%2Fd%3D"),
        ] {
            assert_eq!(canonical(spelt), plain, "{spelt}");
        }
    }

    #[test]
    fn what_frameworks_write_is_as_it_came() {
        for value in ["a1-_.!~*'()", "s%3Aab-c_d.e%2Ff%2B", "eyJhIjoxfQ.eyJi.c-_", "\u{fffd}"] {
            let read = canonical(value);
            assert!(read == value || value == "\u{fffd}", "{value}: {read}");
            assert_eq!(canonical(&read), read, "it is its own");
        }
    }

    #[test]
    fn a_value_that_is_encoded_without_end_is_given_up() {
        let deep = format!("%{}41", "25".repeat(4_000));
        assert!(canonical(&deep).len() > 7_000);
    }
}
