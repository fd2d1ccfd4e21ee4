//! The `Set-Cookie` of the application, read as a browser does (RFC 6265,
//! section 5.2), for the cookies that are kept from browsers.

use core::time::Duration;

use crate::time::{SPAN_SECONDS_MAX, UnixMillis, millis};

/// What a browser would keep.
#[derive(Debug, Eq, PartialEq)]
pub struct SetCookie<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub path: Option<&'a str>,
    /// `None`: as long as the browser is open.
    pub expires: Option<UnixMillis>,
}

impl<'a> SetCookie<'a> {
    /// `None`: a browser would not keep it under any name.
    pub fn parse(header: &'a str, now: UnixMillis) -> Option<Self> {
        let mut parts = header.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (mut path, mut expires, mut max_age) = (None, None, None);
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match attribute.trim().to_ascii_lowercase().as_str() {
                "path" => path = value.starts_with('/').then_some(value),
                "expires" => expires = date(value).or(expires),
                "max-age" => max_age = after(value, now).or(max_age),
                _ => {}
            }
        }
        // Section 5.3: "If the cookie-attribute-list contains an attribute with
        // an attribute-name of "Max-Age"", that counts.
        Some(Self { name: name.trim(), value: value.trim(), path, expires: max_age.or(expires) })
    }

    /// Whether it takes the cookie away: over already, or without a value.
    pub fn clears(&self, now: UnixMillis) -> bool {
        self.value.is_empty() || self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Section 5.2.2: a number of seconds, which may be negative.
fn after(value: &str, now: UnixMillis) -> Option<UnixMillis> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.len() < value.len() {
        return Some(UnixMillis(0));
    }
    let seconds = digits.parse().unwrap_or(SPAN_SECONDS_MAX).min(SPAN_SECONDS_MAX);
    Some(if seconds == 0 { UnixMillis(0) } else { now.plus(Duration::from_secs(seconds)) })
}

/// The forms that servers write: `Thu, 01 Jan 1970 00:00:00 GMT`, also with
/// hyphens in the date.
fn date(value: &str) -> Option<UnixMillis> {
    let text = value.replace('-', " ");
    let at = httpdate::parse_http_date(&text).or_else(|_| httpdate::parse_http_date(value)).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixMillis(millis(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, value, Path, end.
    type Read<'a> = (&'a str, &'a str, Option<&'a str>, Option<UnixMillis>);

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    #[test]
    fn a_cookie_is_read_as_a_browser_reads_it() {
        let minute = Some(NOW.plus(Duration::from_secs(60)));
        let cases: [(&str, Option<Read<'_>>); 14] = [
            ("token=a", Some(("token", "a", None, None))),
            (" token = a ; Path=/x; HttpOnly", Some(("token", "a", Some("/x"), None))),
            ("token=a=b; path=x", Some(("token", "a=b", None, None))),
            ("token=a; MAX-AGE=60", Some(("token", "a", None, minute))),
            ("token=a; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some(("token", "a", None, minute))),
            ("token=a; Max-Age=-1", Some(("token", "a", None, Some(UnixMillis(0))))),
            ("token=a; Max-Age=0", Some(("token", "a", None, Some(UnixMillis(0))))),
            ("token=a; Max-Age=soon", Some(("token", "a", None, None))),
            ("token=a; Expires=Thu, 01 Jan 1970 00:00:01 GMT", Some(("token", "a", None, Some(UnixMillis(1_000))))),
            ("token=a; Expires=Thu, 01-Jan-1970 00:00:01 GMT", Some(("token", "a", None, Some(UnixMillis(1_000))))),
            ("token=a; Expires=never", Some(("token", "a", None, None))),
            ("token=", Some(("token", "", None, None))),
            ("token", None),
            ("", None),
        ];
        for (header, expected) in cases {
            let found = SetCookie::parse(header, NOW);
            let expected = expected.map(|(name, value, path, expires)| SetCookie { name, value, path, expires });
            assert_eq!(found, expected, "{header}");
        }
    }

    #[test]
    fn what_is_over_or_empty_clears() {
        for (header, clears) in [
            ("token=a", false),
            ("token=a; Max-Age=1", false),
            ("token=a; Max-Age=0", true),
            ("token=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
            ("token=; Path=/", true),
        ] {
            assert_eq!(SetCookie::parse(header, NOW).is_some_and(|cookie| cookie.clears(NOW)), clears, "{header}");
        }
    }
}
