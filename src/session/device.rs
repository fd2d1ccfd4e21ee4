//! Where a session is used, for the people who look at it: what their browser
//! says of itself, and the place that the platform sees. Never a reason to
//! accept or to refuse.

use core::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use crate::read::{Members, Read, Unread, deserialize_by_read};

/// The browser and the place of a session. Every part may be unknown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Device {
    /// The `User-Agent` header of the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The network of the start: an IPv4 /24 or an IPv6 /48.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_prefix: Option<String>,
    /// The network of the last renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_prefix: Option<String>,
}

impl Read for Device {
    fn read(value: Value) -> Result<Self, Unread> {
        let mut members = Members::of(value)?;
        Ok(Self {
            user_agent: members.take_if_there("user_agent")?,
            country: members.take_if_there("country")?,
            city: members.take_if_there("city")?,
            first_prefix: members.take_if_there("first_prefix")?,
            last_prefix: members.take_if_there("last_prefix")?,
        })
    }
}

deserialize_by_read!(Device);

impl Device {
    /// Cuts what is too long for a row and takes control characters out.
    #[must_use]
    pub fn bounded(self) -> Self {
        let bound = |text: Option<String>, bytes_max| text.and_then(|text| bounded(&text, bytes_max));
        Self {
            user_agent: bound(self.user_agent, USER_AGENT_BYTES_MAX),
            country: bound(self.country, COUNTRY_BYTES_MAX),
            city: bound(self.city, CITY_BYTES_MAX),
            first_prefix: bound(self.first_prefix, PREFIX_BYTES_MAX),
            last_prefix: bound(self.last_prefix, PREFIX_BYTES_MAX),
        }
    }
}

/// The beginning of a text, without control characters, cut between
/// characters; `None` if nothing is left.
fn bounded(text: &str, bytes_max: usize) -> Option<String> {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > bytes_max {
            break;
        }
        kept.push(c);
    }
    (!kept.is_empty()).then_some(kept)
}

/// The network of an address: enough to tell places apart, too little to name
/// a person's line.
pub fn prefix(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Some(format!("{a}.{b}.{c}.0/24"))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return prefix(&v4.to_string());
            }
            let [a, b, c, ..] = v6.segments();
            let network = core::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
            Some(format!("{network}/48"))
        }
    }
}

/// Browsers' own are at most about 150 bytes long.
const USER_AGENT_BYTES_MAX: usize = 160;
const COUNTRY_BYTES_MAX: usize = 2;
const CITY_BYTES_MAX: usize = 48;
/// `ffff:ffff:ffff::/48`.
const PREFIX_BYTES_MAX: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_to_its_network() {
        let cases = [
            ("203.0.113.77", Some("203.0.113.0/24")),
            ("2001:db8:1:2::5", Some("2001:db8:1::/48")),
            ("::ffff:203.0.113.77", Some("203.0.113.0/24")),
            ("::1", Some("::/48")),
            ("ffff:ffff:ffff:ffff::", Some("ffff:ffff:ffff::/48")),
            ("somewhere", None),
            ("", None),
        ];
        for (address, expected) in cases {
            assert_eq!(prefix(address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn what_a_browser_says_is_cut_between_characters() {
        let long = format!("a\r\n{}", "割".repeat(100));
        let device = Device { user_agent: Some(long), city: Some("\u{7}".to_owned()), ..Device::default() }.bounded();
        assert_eq!(device.user_agent.expect("a text").len(), 160);
        assert_eq!(device.city, None);
    }
}
