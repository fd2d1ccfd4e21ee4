//! A bounded view of a request: method, where to, headers. The body never
//! enters.

use crate::headers::HeaderBlock;

/// One request, as the platform hands it over.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, with the port unless it is the scheme's own, lower case.
    pub host: String,
    /// The path as it came, after what the platform itself resolves.
    pub raw_path: String,
    /// The query as it came, without `?`; `None` where the URL has none.
    pub query: Option<String>,
    pub headers: HeaderBlock,
}

impl Request {
    /// Splits a serialized URL (WHATWG) and takes the rest as it is. `None`
    /// for a text that is no http URL.
    pub fn new(method: &str, url: &str, headers: HeaderBlock) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let rest = rest.strip_prefix("//")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (before_query, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query.to_owned())),
            None => (rest, None),
        };
        let path_at = before_query.find('/').unwrap_or(before_query.len());
        let (authority, path) = before_query.split_at(path_at);
        // What stands before an @ is no part of the host.
        let host = authority.rsplit('@').next().unwrap_or_default();
        // The platform leaves it in where the client wrote it (RFC 3986, section 6.2.3).
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(own_port).unwrap_or(host);
        Some(Self {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            host: host.to_ascii_lowercase(),
            raw_path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query,
            headers,
        })
    }

    /// RFC 9110, section 9.2.1: methods that ask for no change of state.
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// Whether a browser navigates here, so that a page or a redirect to the
    /// login is the answer; anything else gets problem+json. Fetch metadata
    /// says it; where they are absent, an Accept header that names HTML does.
    pub fn is_navigation(&self) -> bool {
        if let Some(mode) = self.headers.get("sec-fetch-mode") {
            return mode == "navigate";
        }
        let has_fetch_metadata =
            ["sec-fetch-site", "sec-fetch-dest", "sec-fetch-user"].iter().any(|name| self.headers.get(name).is_some());
        !has_fetch_metadata && self.headers.get("accept").is_some_and(|accept| accept.contains("text/html"))
    }

    /// Whether the client asks for a WebSocket (RFC 6455, section 4.2.1). No
    /// other protocol is ever changed to: such an offer is not passed on.
    pub fn is_upgrade(&self) -> bool {
        let protocols = |value: &str| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("websocket"));
        self.headers.get("upgrade").is_some_and(protocols)
    }

    /// Whether it may open one. RFC 6455, section 4.1: "The method of the
    /// request MUST be GET". The platform makes a GET of whatever asks for a
    /// WebSocket, so that another method would be judged as what it is not.
    pub fn opens_web_socket(&self) -> bool {
        self.method == "GET" && self.is_upgrade()
    }

    /// A browser's question whether it may send a cross-origin request
    /// (Fetch, section 4.8).
    pub fn is_preflight(&self) -> bool {
        self.method == "OPTIONS" && self.headers.get("access-control-request-method").is_some() && !self.is_upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        Request::new("GET", "https://App.example:8443/a/b?x=1#f", HeaderBlock::from_pairs(headers.iter().copied()))
            .expect("a URL")
    }

    #[test]
    fn a_url_is_taken_apart() {
        let found = request(&[]);
        assert_eq!((found.host.as_str(), found.raw_path.as_str()), ("app.example:8443", "/a/b"));
        assert_eq!(found.query.as_deref(), Some("x=1"));
        let bare = Request::new("GET", "http://h?", HeaderBlock::default()).expect("a URL");
        assert_eq!((bare.raw_path.as_str(), bare.query.as_deref()), ("/", Some("")));
    }

    #[test]
    fn the_schemes_own_port_is_no_part_of_the_host() {
        for (url, host) in [
            ("http://app.test:80/", "app.test"),
            ("https://app.test:443?x", "app.test"),
            ("http://[::1]:80/", "[::1]"),
            ("http://app.test:443/", "app.test:443"),
            ("https://app.test:80/", "app.test:80"),
            ("http://app.test:8080/", "app.test:8080"),
        ] {
            let found = Request::new("GET", url, HeaderBlock::default()).expect("a URL");
            assert_eq!(found.host, host, "{url}");
        }
    }

    #[test]
    fn fetch_metadata_outweigh_accept() {
        assert!(request(&[("sec-fetch-mode", "navigate")]).is_navigation());
        assert!(!request(&[("sec-fetch-mode", "cors"), ("accept", "text/html")]).is_navigation());
        assert!(!request(&[("sec-fetch-site", "same-origin"), ("accept", "text/html")]).is_navigation());
        assert!(request(&[("accept", "text/html,*/*")]).is_navigation());
        assert!(!request(&[("accept", "*/*")]).is_navigation());
    }
}
