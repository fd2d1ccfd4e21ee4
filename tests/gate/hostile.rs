//! Bad input, each with the contract's answer. Names are those of the breaks
//! in other gates that the cases repeat.

use warifu::config::{Access, Commands};
use warifu::headers::HeaderBlock;
use warifu::path::CanonicalPath;
use warifu::policy;
use warifu::request::Request;

use crate::support::world::at_origin;
use crate::support::{World, request, site, site_plus};

#[test]
fn a_bad_token_is_refused_without_asking_any_store() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let (name, token) = cookie.split_once('=').expect("a pair");
    let before = world.shards.calls.get();
    let flipped = |at: usize| {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("ASCII")
    };
    let mut bad: Vec<String> = (0..token.len()).map(flipped).collect();
    bad.extend([
        String::new(),
        token[..71].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("\"{token}\""),
    ]);
    bad.extend(["A".repeat(72), "-".repeat(10_000), token.to_lowercase(), format!(" {token}"), format!("{token} ")]);
    for value in &bad {
        let header = format!("{name}={value}");
        let seen = world.serve(&site, &request("GET", "/account", &[("cookie", &header)]));
        assert_eq!(seen.status, Some(401), "{value}");
        assert_eq!(seen.header("set-cookie"), None, "a dead cookie is left alone");
    }
    assert_eq!(world.shards.calls.get(), before, "no call to any store");
    let seen = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
    assert_eq!(seen.status, None, "the true one still works");
}

#[test]
fn another_sites_token_is_no_token() {
    let (world, ours) = (World::with_login(), site());
    let theirs = crate::support::site_of(
        r#"{"site": "other", "origin": "http://o", "routes": [{"path": "/login", "access": "optional", "commands": true}]}"#,
    );
    let cookie = world.log_in(&theirs);
    let before = world.shards.calls.get();
    assert_eq!(world.serve(&ours, &request("GET", "/account", &[("cookie", &cookie)])).status, Some(401));
    assert_eq!(world.shards.calls.get(), before);
}

#[test]
fn cookie_tossing_two_good_tokens_count_as_none() {
    let (world, site) = (World::with_login(), site());
    let (mine, thiefs) = (world.log_in(&site), world.log_in(&site));
    let get = |header: &str| world.serve(&site, &request("GET", "/account", &[("cookie", header)])).status;
    assert_eq!(get(&format!("{mine}; {thiefs}")), Some(401));
    assert!(world.event_names().contains(&"several_tokens".to_owned()));
    let bad = "__Host-Http-warifu=x";
    assert_eq!(get(&format!("{bad}; {mine}; {bad}; {mine}")), None, "bad ones are ignored, the same one twice is one");
    assert_eq!(get(&format!("{bad}; {bad}; {bad}; {bad}; {mine}")), Some(401), "more than four: none counts");
    assert_eq!(get(&format!("a=1, {mine}")), Some(401), "two Cookie headers, joined by the platform");
    assert_eq!(get(&format!("a=1;  {mine}")), Some(401), "one space is trimmed, not two");
}

#[test]
fn an_oversized_cookie_header_is_refused_on_every_route() {
    let (world, site) = (World::with_login(), site());
    let filler = "a".repeat(16_384 - 2);
    for path in ["/", "/account", "/_warifu/health"] {
        let fits = format!("x={filler}");
        assert_ne!(world.serve(&site, &request("GET", path, &[("cookie", &fits)])).status, Some(431), "{path}");
        let over = format!("x={filler}b");
        let seen = world.serve(&site, &request("GET", path, &[("cookie", &over)]));
        assert_eq!(seen.status, Some(431), "{path}");
        assert!(seen.body.contains("headers_too_large"));
        assert!(seen.body.contains("the Cookie header has 16385 bytes; at most 16384 are accepted"), "{}", seen.body);
    }
}

#[test]
fn no_more_headers_go_through_than_configured() {
    let (world, site) = (World::with_login(), site_plus(r#""max_header_bytes": 1024"#));
    let filler = "a".repeat(1_024 - 1 - 4);
    for path in ["/", "/account", "/_warifu/health"] {
        assert_ne!(world.serve(&site, &request("GET", path, &[("x", &filler)])).status, Some(431), "{path}");
        let over = request("GET", path, &[("x", &filler[1..]), ("y", "")]);
        let seen = world.serve(&site, &over);
        assert_eq!(seen.status, Some(431), "{path}: each field counts");
        assert!(seen.body.contains("with four for each; max_header_bytes allows 1024"), "{}", seen.body);
        assert!(!seen.body.contains("Cookie"), "{}", seen.body);
    }
}

#[test]
fn paths_that_origins_read_differently_are_refused_on_every_route() {
    let (world, site) = (World::with_login(), site());
    let bad = [
        "/assets/..%2faccount",
        "/assets%2f..%2faccount",
        "/assets/%2e%2e/account",
        "/assets/.%2E/account",
        "/assets/../account",
        "/assets//account",
        "//account",
        "/assets\\..\\account",
        "/assets/%5caccount",
        "/assets/%00",
        "/assets/%0d%0aSet-Cookie:x",
        "/assets/%252e%252e/account",
        "/assets/%25%32%66",
        "/assets/..;/account",
        "/assets/%2e%2e;x=1/account",
        "/assets/%7f",
        "/assets/%",
        "/assets/%zz",
        "/assets/%2",
        "/%2561ccount",
        "/assets/%c0%ae%c0%ae/account",
        "/assets%c0%afaccount",
        "/assets/%c1%9caccount",
        "/assets/%e0%80%ae/x",
        "/assets/%c0%80",
        "/;x/account",
        "/%3bx/account",
        "/assets/./x",
        "/assets/\u{e4}",
    ];
    for path in bad {
        let seen = world.serve(&site, &request("GET", path, &[]));
        assert_eq!(seen.status, Some(400), "{path}");
        assert!(seen.body.contains("bad_request"), "{path}");
    }
    assert!(world.origin.seen.borrow().is_empty(), "none of them was forwarded");
}

#[test]
fn a_host_that_would_break_out_of_a_header_is_refused() {
    let (world, site) = (World::with_login(), site());
    for host in ["a\",for=6.6.6.6;host=\"b", "a;b", "a,b", "a b", "", "a:b", "[::1", "a'b"] {
        let url = format!("https://{host}/");
        let Some(request) = warifu::request::Request::new("GET", &url, warifu::headers::HeaderBlock::default()) else {
            continue;
        };
        assert_eq!(world.serve(&site, &request).status, Some(400), "{host}");
    }
}

#[test]
fn what_is_matched_is_what_is_forwarded() {
    let (world, site) = (World::with_login(), site());
    assert_eq!(world.serve(&site, &request("GET", "/%61ccount", &[])).status, Some(401), "it is /account");
    world.serve(&site, &request("GET", "/%61ssets/%7ea%c3%a4?q=%2f..%2f//", &[]));
    assert_eq!(world.origin.seen.borrow()[0].url, "http://origin.test/assets/~a%C3%A4?q=%2f..%2f//");
}

#[test]
fn a_page_of_another_site_is_answered_with_what_people_can_do() {
    let (world, site) = (World::with_login(), site());
    let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    let seen = world.serve(&site, &request("POST", "/account", &headers));
    assert_eq!(seen.status, Some(403));
    assert!(seen.body.contains("<p>Open the page from the application itself, and try again.</p>"), "{}", seen.body);
}

/// Anybody can have them refused, as often and as long as they like.
#[test]
fn refusals_of_other_origins_do_not_flood_the_log() {
    let (world, site) = (World::with_login(), site());
    let origin = format!("https://{}", "é".repeat(8_000));
    let post = |from: &str, path: &str| {
        let headers = [("origin", origin.as_str()), ("cf-connecting-ip", from)];
        assert_eq!(world.serve(&site, &request("POST", path, &headers)).status, Some(403));
    };
    let path = format!("/{}", "p".repeat(7_000));
    for _ in 0..100 {
        post("203.0.113.7", &path);
        post("203.0.113.200", "/account");
    }
    post("198.51.100.7", "/account");
    let at = world.shards.now.get();
    let lines: Vec<String> =
        world.events.borrow().iter().map(|event| event.to_line(at, &warifu::audit::Whence::default())).collect();
    assert_eq!(lines.len(), 2, "one a minute for each network");
    assert!(lines[0].len() < 1_000 && lines[0].contains(&"p".repeat(250)), "{}", lines[0]);
    assert!(lines[0].contains(r#"é…","at""#), "it says that there was more: {}", lines[0]);
    let counted = world.memory(&site).tally().events();
    assert!(counted.contains(&("cross_origin_refused".to_owned(), 201)), "each is counted: {counted:?}");
    world.pass(std::time::Duration::from_mins(1));
    post("203.0.113.7", "/account");
    assert_eq!(world.event_names().len(), 3);
}

#[test]
fn cross_origin_requests_that_change_something_are_refused() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let post = |headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        world.serve(&site, &request("POST", "/account", &all)).status
    };
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://app.test")],
        &[("origin", "https://evil.test")],
        &[("origin", "https://app.test:8443")],
        &[("origin", "null")],
        &[("origin", "https://friend.test.evil.test")],
    ] {
        assert_eq!(post(headers), Some(403), "{headers:?}");
        // No preflight comes before these (Fetch, section 4.8), and none is counted on.
        for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let simple = [headers, &[("content-type", simple)]].concat();
            assert_eq!(post(&simple), Some(403), "{simple:?}");
        }
    }
    for headers in [
        &[][..],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://app.test")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://friend.test")],
    ] {
        assert_eq!(post(headers), None, "{headers:?}");
    }
    let get = request("GET", "/account", &[("cookie", &cookie), ("sec-fetch-site", "cross-site")]);
    assert_eq!(world.serve(&site, &get).status, None, "a link from elsewhere is no harm");
    let strict = crate::support::site_of(
        r#"{"cross_origin": "strict", "origin": "http://o", "routes": [{"path": "/*", "access": "public"}]}"#,
    );
    assert_eq!(world.serve(&strict, &request("POST", "/x", &[])).status, Some(403));
}

#[test]
fn a_preflight_of_a_trusted_origin_is_forwarded_without_identity() {
    let (world, site) = (World::with_login(), site());
    let preflight = |origin| {
        let headers = [("origin", origin), ("access-control-request-method", "POST"), ("cookie", "a=b")];
        world.serve(&site, &request("OPTIONS", "/account", &headers)).status
    };
    assert_eq!(preflight("https://evil.test"), Some(401));
    assert_eq!(preflight("https://friend.test"), None);
    let seen = world.origin.seen.borrow();
    assert!(!seen[0].edits.set.iter().any(|(name, _)| name.starts_with("warifu-")));
}

#[test]
fn an_upgrade_needs_to_say_where_it_comes_from() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let upgrade = |path, origin| {
        let headers = [("cookie", cookie.as_str()), ("upgrade", "websocket"), ("origin", origin)];
        world.serve(&site, &request("GET", path, &headers)).status
    };
    assert_eq!(upgrade("/account", "https://app.test"), None);
    assert_eq!(upgrade("/account", "https://evil.test"), Some(403), "cross-site WebSocket");
    let bare = request("GET", "/account", &[("cookie", &cookie), ("upgrade", "websocket")]);
    assert_eq!(world.serve(&site, &bare).status, Some(403), "upgrades need Origin or Sec-Fetch-Site");
}

/// The platform opens one with GET, whatever method the request had that asked for it.
#[test]
fn only_a_get_opens_a_web_socket() {
    let (world, site) = (World::with_login(), site());
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let preflight = [("origin", "https://friend.test"), ("access-control-request-method", "POST")];
    let preflight = request("OPTIONS", "/account", &[upgrade, preflight].concat());
    assert_eq!(world.serve(&site, &preflight).status, Some(401), "no browser asks for both");
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let ours = request(method, "/", &[upgrade.as_slice(), &[("origin", "https://app.test")]].concat());
        assert_eq!(world.serve(&site, &ours).status, None, "{method}");
        let headers = at_origin(&ours, world.origin.seen.borrow().last().expect("forwarded"));
        assert_eq!(headers.iter().any(|(name, _)| name == "upgrade"), method == "GET", "{method}");
        for theirs in [&[("origin", "https://evil.test")][..], &[]] {
            let theirs = request(method, "/", &[upgrade.as_slice(), theirs].concat());
            assert_eq!(world.serve(&site, &theirs).status, Some(403), "{method}");
        }
    }
}

/// Most frameworks serve `/pay/` by what `/pay` is routed to, or the other way round.
#[test]
fn a_slash_at_the_end_leads_past_no_rule() {
    let site = crate::support::site_of(
        r#"{"origin": "http://o", "routes": [
            {"path": "/login", "access": "optional", "commands": true},
            {"path": "/pay", "methods": ["POST"], "access": "strict", "level": 2},
            {"path": "/safe/", "access": "required"},
            {"path": "/docs", "access": "public"},
            {"path": "/api/*", "access": "required"},
            {"path": "/open", "access": "public"},
            {"path": "/*", "access": "public"}
        ]}"#,
    );
    let demand = |method, path| policy::demand(&site.config, &CanonicalPath::parse(path).expect("a path"), method);
    for path in ["/pay", "/pay/", "/pay;x/", "/pay%3Fa/"] {
        let demand = demand("POST", path);
        assert_eq!((demand.access, demand.level), (Access::Strict, 2), "{path}");
    }
    assert_eq!(demand("GET", "/pay/").access, Access::Public, "the rule is for POST");
    for path in ["/safe", "/safe/", "/api", "/api/"] {
        assert_eq!(demand("GET", path).access, Access::Required, "{path}");
    }
    let log_ins = ["/login", "/login/"].map(|path| demand("POST", path));
    assert_eq!(log_ins.map(|demand| demand.access), [Access::Optional; 2]);
    assert_eq!(log_ins.map(|demand| demand.commands), [Commands::Yes, Commands::No], "of two rules the stricter");
    let world = World::with_login();
    assert_eq!(world.serve(&site, &request("POST", "/pay/", &[])).status, Some(401));
}

/// RFC 9110, section 9.3.8: what an application sends back of a TRACE would show the browser what
/// only the gateway and the application may know.
#[test]
fn a_request_that_would_come_back_as_it_arrived_is_refused() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let sent = world.origin.seen.borrow().len();
    for method in ["TRACE", "TRACK"] {
        for path in ["/", "/account", "/echo/x", "/unknown"] {
            let seen = world.serve(&site, &request(method, path, &[("cookie", &cookie)]));
            assert_eq!(seen.status, Some(405), "{method} {path}");
            assert!(seen.body.contains("method_not_allowed"), "{}", seen.body);
            assert_eq!(seen.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
    }
    assert_eq!(world.origin.seen.borrow().len(), sent);
}

/// Who sits on the way can make any page at `http://`, and no fetch metadata come from there.
#[test]
fn an_origin_without_tls_is_another_one() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let post = |scheme: &str, origin: &str, more: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str()), ("origin", origin)], more].concat();
        let headers = HeaderBlock::from_pairs(headers);
        let request = Request::new("POST", &format!("{scheme}://app.test/account"), headers).expect("a request");
        world.serve(&site, &request).status
    };
    assert_eq!(post("https", "http://app.test", &[]), Some(403));
    assert_eq!(post("https", "http://app.test", &[("upgrade", "websocket")]), Some(403));
    assert_eq!(post("https", "https://app.test", &[]), None);
    // Where something before the gateway ends TLS, the page's origin is what the browser sees.
    for origin in ["http://app.test", "https://app.test"] {
        assert_eq!(post("http", origin, &[]), None, "{origin}");
    }
}
