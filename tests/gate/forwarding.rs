use crate::support::world::at_origin;
use crate::support::{World, request, site};

/// What the origin sees under a name, folded as a careless origin would.
fn seen_as(headers: &[(String, String)], folded: &str) -> Vec<String> {
    let fold = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    headers.iter().filter(|(name, _)| fold(name) == folded).map(|(_, value)| value.clone()).collect()
}

#[test]
fn a_live_session_reaches_the_origin_as_identity() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let both = format!("theme=dark; {cookie}; lang=ja");
    let request = request("GET", "/account", &[("cookie", &both), ("remote-user", "admin"), ("x-test", "kept")]);
    let reply = world.serve(&site, &request);
    assert_eq!(reply.status, None);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let seen = world.origin.seen.borrow();
    let outgoing = seen.last().expect("forwarded");
    let headers = at_origin(&request, outgoing);
    let one = |name: &str| seen_as(&headers, name);
    assert_eq!(one("warifu-subject"), ["alice"]);
    assert_eq!(one("remote-user"), ["alice"]);
    assert_eq!(one("warifu-session")[0].len(), 22);
    assert_eq!(one("warifu-level"), ["1"]);
    assert_eq!(one("warifu-auth-time"), ["1750000000"]);
    assert_eq!(one("warifu-claims"), [""]);
    assert_eq!(one("cookie"), ["theme=dark; lang=ja"], "the session cookie never reaches the origin");
    assert_eq!(one("x-test"), ["kept"]);
    assert_eq!(outgoing.url, "http://origin.test/account");
    assert!(!outgoing.shared_cache);
    let (_, token) = cookie.split_once('=').expect("a pair");
    assert!(!format!("{headers:?}").contains(token));
}

/// How long a body takes is up to the client, but for one that comes at once.
#[test]
fn the_application_has_its_time_from_when_it_has_the_request() {
    let (world, site) = (World::with_login(), site());
    for (header, is_limited) in [
        (None, true),
        (Some(("content-length", "0")), true),
        (Some(("content-length", "16384")), true),
        (Some(("content-length", "16385")), false),
        (Some(("content-length", "18446744073709551616")), false),
        (Some(("transfer-encoding", "chunked")), false),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        world.serve(&site, &request("POST", "/echo/x", &headers));
        let seen = world.origin.seen.borrow();
        assert_eq!(seen.last().expect("forwarded").timeout.is_some(), is_limited, "{header:?}");
    }
}

#[test]
fn forged_identity_never_arrives_on_any_route() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let forged = [
        ("Warifu-Subject", "admin"),
        ("warifu_subject", "admin"),
        ("WARIFU.SUBJECT", "admin"),
        ("Warifu-Session", "x"),
        ("Warifu-Level", "255"),
        ("warifu_claims", "x"),
        ("Warifu-Anything", "x"),
        ("Remote-User", "admin"),
        ("remote_user", "admin"),
        ("X-Original-URL", "/admin"),
        ("X_Rewrite_URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("SCRIPT_NAME", "/admin"),
        ("Script-Name", "/admin"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X_Forwarded_Host", "evil"),
        ("X-Forwarded-Uri", "/admin"),
        ("X-Forwarded-Proto", "gopher"),
        ("Forwarded", "for=6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("X_Real_IP", "6.6.6.6"),
        ("X.Real-IP", "6.6.6.6"),
        ("Connection", "close, X-Secret"),
        ("X-Secret", "x"),
        ("cf-connecting-ip", "2001:db8::1"),
    ];
    for path in ["/", "/assets/x.css", "/echo/x", "/account"] {
        let mut headers = forged.to_vec();
        if path == "/account" {
            headers.push(("cookie", &cookie));
        }
        let request = request("GET", path, &headers);
        assert_eq!(world.serve(&site, &request).status, None, "{path}");
        let seen = world.origin.seen.borrow();
        let headers = at_origin(&request, seen.last().expect("forwarded"));
        let everything = format!("{headers:?}");
        for lie in ["admin", "DELETE", "6.6.6.6", "evil", "gopher", "255"] {
            assert!(!everything.contains(lie), "{lie} on {path}: {everything}");
        }
        assert!(seen_as(&headers, "x-secret").is_empty(), "nominated in Connection");
        assert!(seen_as(&headers, "warifu-anything").is_empty());
        let subject = seen_as(&headers, "warifu-subject");
        match path {
            "/account" => assert_eq!(subject, ["alice"]),
            "/echo/x" => assert_eq!(subject, [""], "empty where unknown"),
            _ => assert!(subject.is_empty(), "no identity on public routes"),
        }
        assert_eq!(seen_as(&headers, "x-forwarded-for"), ["2001:db8::1"]);
        assert_eq!(seen_as(&headers, "x-real-ip"), ["2001:db8::1"]);
        assert_eq!(seen_as(&headers, "x-forwarded-host"), ["app.test"]);
        assert_eq!(seen_as(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(seen_as(&headers, "forwarded"), [r#"for="[2001:db8::1]";host="app.test";proto=https"#]);
    }
}

/// W3C Trace Context, section 3.4: whoever takes no part in a trace passes both
/// headers on as they are.
#[test]
fn a_trace_goes_through_untouched() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let trace = [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        ("baggage", "user=1"),
    ];
    for path in ["/", "/echo/x", "/account"] {
        let request = request("GET", path, &[trace.as_slice(), &[("cookie", &cookie)]].concat());
        assert_eq!(world.serve(&site, &request).status, None, "{path}");
        let seen = world.origin.seen.borrow();
        let headers = at_origin(&request, seen.last().expect("forwarded"));
        for (name, value) in trace {
            assert_eq!(seen_as(&headers, name), [value], "{path}");
        }
    }
}

#[test]
fn the_session_cookie_never_reaches_the_origin_on_public_routes_either() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let (_, token) = cookie.split_once('=').expect("a pair");
    for header in [cookie.clone(), format!("a=1; {cookie}"), format!("a=1, {cookie}"), format!("{cookie}; {cookie}")] {
        let request = request("GET", "/", &[("cookie", &header)]);
        world.serve(&site, &request);
        let headers = at_origin(&request, world.origin.seen.borrow().last().expect("forwarded"));
        assert!(!format!("{headers:?}").contains(token), "{header}");
    }
    let request_of = |header: &str| {
        let request = request("GET", "/", &[("cookie", header)]);
        world.serve(&site, &request);
        seen_as(&at_origin(&request, world.origin.seen.borrow().last().expect("forwarded")), "cookie")
    };
    // A space before the `=`: some read the name without it.
    let spaced = cookie.replacen('=', " =", 1);
    assert_eq!(request_of(&format!("a=1; {spaced}")), ["a=1"]);
    let odd = "a=1;b=2;  c; \u{fffd}";
    let request = request("GET", "/", &[("cookie", odd)]);
    world.serve(&site, &request);
    let headers = at_origin(&request, world.origin.seen.borrow().last().expect("forwarded"));
    assert_eq!(seen_as(&headers, "cookie"), [odd], "other cookies pass byte for byte");
}

#[test]
fn answers_of_public_routes_are_left_alone() {
    let site = site();
    let world = World::new(|_| Some(vec![("Cache-Control", "public, max-age=60"), ("Warifu-Anything", "x")]));
    let reply = world.serve(&site, &request("GET", "/assets/x.css", &[]));
    assert_eq!(reply.header("cache-control"), None, "the origin's caching is kept");
    assert_eq!(reply.removed, ["warifu-anything"]);
}

#[test]
fn a_private_answer_says_so_itself() {
    let site = site();
    let world = World::new(|outgoing| {
        let login = outgoing.url.contains("/login").then_some(("Warifu-Command", "do=start, sub=\"alice\""));
        Some(Vec::from([login.unwrap_or(("Cache-Control", "Private, max-age=1"))]))
    });
    let cookie = world.log_in(&site);
    let reply = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
    assert_eq!((reply.status, reply.header("cache-control")), (None, None));
}

#[test]
fn only_private_and_no_store_keep_caches_out() {
    let site = site();
    for (said, set) in [
        ("public", Some("no-store")),
        ("no-cache", Some("no-store")),
        ("max-age=0, No-Store", None),
        ("private", None),
        ("x-private", Some("no-store")),
        // RFC 9110, section 7.7: whoever is in between leaves the content alone.
        ("no-cache, no-transform", Some("no-store, no-transform")),
        ("No-Transform", Some("no-store, no-transform")),
        ("no-store, no-transform", None),
        // RFC 9111, section 5.2.2.3: who understands that ignores the no-store beside it.
        ("must-understand, no-store, max-age=3600, public", Some("no-store")),
        ("no-store, Must-Understand, no-transform", Some("no-store, no-transform")),
        ("must-understand, no-store, private", None),
    ] {
        let world = World::new(move |outgoing| {
            let login = outgoing.url.contains("/login").then_some(("Warifu-Command", "do=start, sub=\"alice\""));
            Some(vec![login.unwrap_or(("Cache-Control", said))])
        });
        let cookie = world.log_in(&site);
        let reply = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
        assert_eq!(reply.header("cache-control"), set, "{said}");
    }
}

#[test]
fn a_client_address_that_is_none_is_not_passed_on() {
    let (world, site) = (World::with_login(), site());
    let request = request("GET", "/", &[("cf-connecting-ip", "1.2.3.4, 6.6.6.6"), ("x-real-ip", "6.6.6.6")]);
    world.serve(&site, &request);
    let headers = at_origin(&request, world.origin.seen.borrow().last().expect("forwarded"));
    assert!(seen_as(&headers, "x-forwarded-for").is_empty() && seen_as(&headers, "x-real-ip").is_empty());
    assert_eq!(seen_as(&headers, "forwarded"), [r#"for=unknown;host="app.test";proto=https"#]);
}

#[test]
fn without_an_origin_the_request_goes_to_its_own_url() {
    let world = World::with_login();
    let site = crate::support::site_of(r#"{"routes": [{"path": "/*", "access": "public"}]}"#);
    world.serve(&site, &request("GET", "/a?b", &[]));
    assert_eq!(world.origin.seen.borrow()[0].url, "https://app.test/a?b");
}

#[test]
fn an_origin_out_of_reach_is_502() {
    let (world, site) = (World::new(|_| None), site());
    let program = world.serve(&site, &request("GET", "/", &[]));
    assert_eq!(program.status, Some(502));
    assert!(program.body.contains("origin_unreachable") && !program.body.contains("refused"));
    let browser = world.serve(&site, &request("GET", "/", &[("sec-fetch-mode", "navigate")]));
    assert!(browser.body.contains("Nothing is wrong with your account."));
    assert!(browser.header("content-security-policy").is_some());
}

/// RFC 9213, section 2.2: a targeted field is what its caches go by, whatever Cache-Control says.
#[test]
fn what_only_some_caches_read_does_not_let_them_store_it() {
    const TARGETED: [&str; 3] = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"];
    let site = site();
    for said in ["public", "private", "no-store"] {
        let world = World::new(move |outgoing| {
            let login = outgoing.url.contains("/login").then_some(("Warifu-Command", "do=start, sub=\"alice\""));
            Some(
                TARGETED
                    .map(|name| (name, "max-age=60"))
                    .into_iter()
                    .chain([("Cache-Control", said)])
                    .chain(login)
                    .collect(),
            )
        });
        let removed = |path: &str, cookie: &str| {
            let reply = world.serve(&site, &request("GET", path, &[("cookie", cookie)]));
            assert_eq!(reply.status, None, "{path}");
            TARGETED.map(|name| reply.removed.iter().any(|removed| removed == name))
        };
        assert_eq!(removed("/login", ""), [true; 3], "it says who has logged in");
        let cookie = world.log_in(&site);
        assert_eq!(removed("/account", &cookie), [true; 3], "{said}");
        assert_eq!((removed("/assets/x", &cookie), removed("/echo/x", "")), ([false; 3], [false; 3]), "to nobody");
    }
}

/// Else a browser would show the page of before the log-in after it.
#[test]
fn what_is_given_to_nobody_where_it_could_be_somebodys_varies_by_the_cookie() {
    let site = site();
    for said in [None, Some("Accept-Encoding, Warifu-Subject"), Some("*")] {
        let world = World::new(move |outgoing| {
            let login = outgoing.url.contains("/login").then_some(("Warifu-Command", "do=start, sub=\"alice\""));
            Some([("Cache-Control", "max-age=60")].into_iter().chain(login).chain(said.map(|v| ("Vary", v))).collect())
        });
        let cookie = world.log_in(&site);
        let seen = |path: &str, cookie: &str| {
            let seen = world.serve(&site, &request("GET", path, &[("cookie", cookie)]));
            assert!(seen.status.is_none() && seen.removed.iter().all(|name| name != "vary"), "{path}");
            (seen.header("vary").map(str::to_owned), seen.header("cache-control").map(str::to_owned))
        };
        let (varied, no_store) = (Some("Cookie".to_owned()), Some("no-store".to_owned()));
        assert_eq!(seen("/echo/x", ""), (varied.clone(), None), "{said:?}");
        assert_eq!(seen("/echo/x", "theme=dark"), (varied, None), "{said:?}");
        assert_eq!(seen("/echo/x", &cookie), (None, no_store), "{said:?}: it is stored nowhere");
        assert_eq!(seen("/assets/x", ""), (None, None), "{said:?}: the same for all");
    }
}

/// The platform keeps answers by the application's URL, and X-Forwarded-Host and -Proto go into
/// what the application makes.
#[test]
fn what_differs_by_host_or_scheme_is_in_no_shared_cache() {
    const PUBLIC: &str = r#""routes": [{"path": "/*", "access": "public"}]"#;
    let shared = |config: &str, url: &str| {
        let (world, site) = (World::with_login(), crate::support::site_of(&format!("{{{config}{PUBLIC}}}")));
        let headers = warifu::headers::HeaderBlock::default();
        let request = warifu::request::Request::new("GET", url, headers).expect("a request");
        assert_eq!(world.serve(&site, &request).status, None, "{url}");
        world.origin.seen.borrow()[0].shared_cache
    };
    let (origin, one, two) =
        (r#""origin": "https://o", "#, r#""hosts": ["a.test"], "#, r#""hosts": ["a.test", "b.test"], "#);
    for hosts in ["", one] {
        assert!(shared(&[origin, hosts].concat(), "https://a.test/"), "{hosts}");
        assert!(!shared(&[origin, hosts].concat(), "http://a.test/"), "{hosts}");
    }
    assert!(!shared(&[origin, two].concat(), "https://a.test/"));
    assert!(!shared(r#""origin": "http://o", "#, "https://a.test/"));
    assert!(shared(r#""origin": "http://o", "#, "http://a.test/"));
    for url in ["https://a.test/", "http://b.test/"] {
        assert!(shared(two, url), "to its own URL, which is the visitor's");
    }
    let sites = |second: &str| {
        let sites = [("a", "https://o"), ("b", second)]
            .map(|(name, origin)| format!(r#"{{"site": "{name}", "hosts": ["{name}.test"], "origin": "{origin}"}}"#));
        shared(&format!(r#""sites": [{}], "#, sites.join(", ")), "https://a.test/")
    };
    assert!(sites("https://p") && !sites("https://o"), "two sites of one application");
}
