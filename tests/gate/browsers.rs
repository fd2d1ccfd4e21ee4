//! What browsers are told by answers of warifu's own, and what they are not
//! told by those of the application that go through.

use warifu::control::{CALLS, Call, Who};
use warifu::error::Failure;
use warifu::headers::HeaderBlock;
use warifu::request::Request;
use warifu::response;
use warifu::site::Site;

use crate::support::world::Seen;
use crate::support::{World, request, signing_site, site};

const OPS: (&str, &str) = ("authorization", "Bearer hunter2");
const PAGE: (&str, &str) = ("sec-fetch-mode", "navigate");

fn world() -> World {
    let world = World::with_login();
    *world.assets.borrow_mut() = vec![
        ("/console/index.html", Some("\"c\""), "the console"),
        ("/account/index.html", None, "the account"),
        ("/shared/dom.js", Some("\"d\""), "export {}"),
        ("/shared/base.css", Some("\"b\""), "a{}"),
        ("/shared/mark.svg", Some("\"m\""), "<svg/>"),
    ];
    world
}

/// One answer of each kind that warifu makes, with what it is.
fn answers_of_our_own() -> Vec<(String, Seen)> {
    let (world, site) = (world(), site());
    let mut answers = Vec::new();
    let mut ask = |method: &str, host: &str, path: &str, headers: &[(&str, &str)], body: &str, expected: u16| {
        let block = HeaderBlock::from_pairs(headers.iter().copied());
        let asked = Request::new(method, &format!("https://{host}{path}"), block).expect("a request");
        let seen = world.serve_with_body(&site, &asked, body.as_bytes().to_vec());
        assert_eq!(seen.status, Some(expected), "{method} {path}: {}", seen.body);
        answers.push((format!("{expected} {method} {path}"), seen));
    };
    let (mine, other) = (world.log_in(&site), world.log_in(&site));
    let (mine, other) = (("cookie", mine.as_str()), ("cookie", other.as_str()));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let long = "a".repeat(16_385);
    for page in [&[][..], &[PAGE]] {
        ask("GET", "app.test", "/account", page, "", if page.is_empty() { 401 } else { 302 });
        ask("GET", "app.test", "/a%2fb", page, "", 400);
        ask("GET", "admin.test", "/", page, "", 421);
        ask("GET", "app.test", "/", &[page, &[("cookie", &long)]].concat(), "", 431);
        ask("POST", "app.test", "/account", &[page, &[mine, ("sec-fetch-site", "cross-site")]].concat(), "", 403);
        ask("GET", "app.test", "/_warifu/none", page, "", 404);
        ask("PUT", "app.test", "/_warifu/me", page, "", 405);
        world.shards.is_down.set(true);
        ask("GET", "app.test", "/transfer/x", &[page, &[mine]].concat(), "", 503);
        world.shards.is_down.set(false);
    }
    for (path, headers) in [
        ("health", &[][..]),
        ("openapi.json", &[]),
        ("me", &[mine]),
        ("me/sessions", &[mine]),
        ("sessions?subject=alice", &[OPS]),
        ("audit", &[OPS]),
        ("key", &[OPS]),
        ("metrics", &[OPS]),
    ] {
        ask("GET", "app.test", &format!("/_warifu/{path}"), headers, "", 200);
    }
    ask("GET", "app.test", "/_warifu/verify", &[OPS, mine], "", 204);
    ask("POST", "app.test", "/_warifu/sessions", &[OPS], r#"{"subject":"bob"}"#, 201);
    ask("DELETE", "app.test", "/_warifu/sessions?subject=bob", &[OPS], "", 200);
    ask("GET", "app.test", "/_warifu/account/", &[mine], "", 200);
    ask("GET", "app.test", "/_warifu/account", &[mine], "", 308);
    ask("GET", "admin.test", "/_warifu/console/", &[], "", 200);
    for file in ["dom.js", "base.css", "mark.svg"] {
        ask("GET", "app.test", &format!("/_warifu/shared/{file}"), &[], "", 200);
    }
    ask("GET", "app.test", "/_warifu/shared/dom.js", &[("if-none-match", "\"d\"")], "", 304);
    ask("POST", "app.test", "/_warifu/logout", &[other, form], "return_to=/bye", 303);
    ask("POST", "app.test", "/_warifu/logout", &[other], "", 204);
    ask("POST", "app.test", "/_warifu/me/not-me", &[mine, PAGE], "", 303);
    answers
}

/// The directives of an answer's policy.
fn policy(seen: &Seen) -> Vec<&str> {
    let policy = seen.header("content-security-policy").expect("a policy");
    policy.split("; ").collect()
}

#[test]
fn each_answer_of_our_own_tells_browsers_what_not_to_do_with_it() {
    let answers = answers_of_our_own();
    for (what, seen) in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            let found: Vec<_> = seen.headers.iter().filter(|(found, _)| found == name).map(|(_, v)| v).collect();
            assert_eq!(found, [value], "{what}: {name}");
        }
        let is_file = what.contains("/shared/");
        assert_eq!(seen.header("cache-control"), Some(if is_file { "no-cache" } else { "no-store" }), "{what}");
        let policy = policy(seen);
        for part in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(&part), "{what}: {policy:?}");
        }
        assert!(!policy.iter().any(|part| part.contains("unsafe") || part.contains('*')), "{what}: {policy:?}");
        let is_html = seen.header("content-type") == Some("text/html; charset=utf-8");
        // What is no page is none either if somebody opens it as one.
        assert_eq!(policy.contains(&"sandbox"), !is_html, "{what}: {policy:?}");
        assert_eq!(seen.header("content-type").is_some(), !seen.body.is_empty(), "{what}");
        if is_html {
            assert_eq!(seen.header("cross-origin-opener-policy"), Some("same-origin"), "{what}");
            assert_eq!(seen.header("referrer-policy"), Some("no-referrer"), "{what}");
        } else {
            assert!(!seen.body.contains("<h1"), "{what}");
        }
    }
    let pages = answers.iter().filter(|(_, seen)| seen.header("referrer-policy").is_some()).count();
    assert_eq!((answers.len(), pages), (37, 9), "the account page, the console, and seven refusals");
}

/// Where the Worker answers before a site is chosen, or after a panic.
#[test]
fn what_is_answered_outside_of_the_gate_says_the_same() {
    for failure in [Failure::Internal, Failure::Misconfigured, Failure::Misdirected] {
        for headers in [&[][..], &[PAGE]] {
            let own = response::refusal(None, &request("GET", "/", headers), &failure);
            let header = |name: &str| own.headers.iter().find(|(found, _)| found == name).map(|(_, v)| v.as_str());
            assert_eq!(header("strict-transport-security"), Some("max-age=31536000"), "{failure:?}");
            assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"), "{failure:?}");
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{failure:?}");
            assert!(header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors 'none'")));
        }
    }
}

/// RFC 6797, section 7.2: not over http.
#[test]
fn over_http_nothing_is_said_of_https() {
    let plain = Request::new("GET", "http://app.test/account", HeaderBlock::default()).expect("a request");
    let seen = world().serve(&site(), &plain);
    assert_eq!((seen.status, seen.header("strict-transport-security")), (Some(401), None));
}

#[test]
fn no_answer_of_ours_is_for_scripts_of_another_origin() {
    let (world, site) = (world(), site());
    let cookie = world.log_in(&site);
    let allows = |seen: &Seen| seen.headers.iter().any(|(name, _)| name.starts_with("access-control-"));
    for (what, seen) in answers_of_our_own() {
        assert!(!allows(&seen), "{what}");
    }
    for origin in ["https://evil.test", "https://friend.test", "https://app.test", "null"] {
        for (method, path, _, _) in CALLS {
            let path = format!("/_warifu/{}", path.replace('*', "AQAAAAAAAAAAAAAAAAAAAA"));
            let asks = ("access-control-request-method", method);
            for (method, more) in [(method, &[OPS][..]), (method, &[("cookie", &cookie)]), ("OPTIONS", &[asks])] {
                let headers = [&[("origin", origin)], more].concat();
                assert!(!allows(&world.serve(&site, &request(method, &path, &headers))), "{method} {path}");
            }
        }
    }
}

/// `<script src="…?callback=f">` gets nothing that runs.
#[test]
fn no_answer_of_ours_is_a_script_with_somebodys_data() {
    let (world, site) = (world(), site());
    let cookie = world.log_in(&site);
    for (_, path, who, _) in CALLS.into_iter().filter(|(method, ..)| *method == "GET") {
        let path = path.replace('*', "AQAAAAAAAAAAAAAAAAAAAA");
        for query in ["", "?callback=f", "?jsonp=f", "?subject=alice&callback=f"] {
            let headers = if who == Who::User { ("cookie", cookie.as_str()) } else { OPS };
            let seen = world.serve(&site, &request("GET", &format!("/_warifu/{path}{query}"), &[headers]));
            let media_type = seen.header("content-type").unwrap_or_default();
            assert!(!media_type.contains("script") && !seen.body.contains("f("), "{path}{query}: {media_type}");
            if query.contains("callback") && who != Who::Anyone {
                assert_eq!(seen.status, Some(400), "{path}{query}: an unknown parameter");
            }
        }
    }
    for path in ["account/", "shared/dom.js"] {
        let seen = world.serve(&site, &request("GET", &format!("/_warifu/{path}"), &[("cookie", &cookie)]));
        assert!(!seen.body.contains("alice"), "{path}: the same for everybody");
    }
}

#[test]
fn no_call_that_only_asks_changes_anything() {
    let (world, site) = (world(), site());
    let cookies = [world.log_in(&site), world.log_in(&site)];
    let before = world.event_names();
    for (method, path, _, _) in CALLS.into_iter().filter(|(method, ..)| *method == "GET") {
        for path in [path.replace('*', "AQAAAAAAAAAAAAAAAAAAAA"), format!("{path}?subject=alice")] {
            for method in [method, "HEAD"] {
                for from in ["cross-site", "same-origin"] {
                    let headers = [("cookie", cookies[0].as_str()), OPS, ("sec-fetch-site", from)];
                    world.serve(&site, &request(method, &format!("/_warifu/{path}"), &headers));
                    let headers = [("cookie", cookies[0].as_str()), OPS];
                    world.serve(&site, &request(method, &format!("/_warifu/{path}"), &headers));
                }
            }
        }
    }
    let told = world.event_names();
    let others: Vec<_> = told[before.len()..]
        .iter()
        .filter(|name| {
            !["admin_called", "admin_refused", "cross_origin_refused", "rate_limited"].contains(&name.as_str())
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");
    for cookie in cookies {
        let seen = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
        assert_eq!((seen.status, seen.header("set-cookie")), (None, None), "it lives, with the same secret");
    }
}

/// Whoever redirects elsewhere is the application: warifu itself never does.
#[test]
fn a_redirect_of_ours_stays_on_this_origin() {
    let mut count = 0;
    for (what, seen) in answers_of_our_own() {
        let is_redirect = seen.status.is_some_and(|status| (300..400).contains(&status) && status != 304);
        assert_eq!(seen.header("location").is_some(), is_redirect, "{what}");
        if let Some(location) = seen.header("location") {
            assert!(response::safe_return_to(location).is_some(), "{what}: {location}");
            count += 1;
        }
    }
    assert_eq!(count, 4);
}

#[test]
fn what_browsers_are_told_by_the_application_is_left_to_it() {
    const SAID: [(&str, &str); 9] = [
        ("Strict-Transport-Security", "max-age=1"),
        ("Content-Security-Policy", "default-src *"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Content-Type-Options", "x"),
        ("Referrer-Policy", "unsafe-url"),
        ("Cross-Origin-Opener-Policy", "unsafe-none"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Clear-Site-Data", "\"storage\""),
        ("Location", "https://elsewhere.test/"),
    ];
    for says in [&SAID[..], &[]] {
        let sites: [Site; 2] = [site(), signing_site()];
        for site in sites {
            let world = World::new(move |outgoing| {
                let command = outgoing.url.contains("/login").then_some(("Warifu-Command", "do=start, sub=\"alice\""));
                Some(says.iter().copied().chain(command).collect())
            });
            let cookie = world.log_in(&site);
            for path in ["/", "/echo/x", "/account", "/transfer/x", "/login"] {
                let seen = world.serve(&site, &request("GET", path, &[("cookie", &cookie), PAGE]));
                assert_eq!(seen.status, None, "{path}");
                for (name, _) in &seen.headers {
                    assert!(["cache-control", "set-cookie"].contains(&name.as_str()), "{path}: {name} is set");
                }
                assert!(seen.removed.iter().all(|name| name.starts_with("warifu-")), "{path}: {:?}", seen.removed);
            }
        }
    }
}

/// But for the one call that is for a program: `POST sessions`.
#[test]
fn the_value_of_the_cookie_stands_in_set_cookie_alone() {
    let (world, site) = (world(), site());
    let secret = |cookie: &str| cookie.split_once('=').expect("a pair").1[8..50].to_owned();
    let mut renewed = 0;
    let pages = [("GET", "account/"), ("GET", "account"), ("GET", "none")];
    let calls = CALLS.into_iter().filter(|(.., call)| *call != Call::Mint).map(|(method, path, ..)| (method, path));
    for (method, path) in calls.chain(pages) {
        let cookie = world.log_in(&site);
        let path = format!("/_warifu/{}", path.replace('*', "AQAAAAAAAAAAAAAAAAAAAA"));
        let seen = world.serve(&site, &request(method, &path, &[("cookie", &cookie), OPS]));
        let fresh = seen.cookie().map(str::to_owned).filter(|cookie| !cookie.ends_with('='));
        renewed += usize::from(fresh.is_some());
        for secret in [Some(&cookie), fresh.as_ref()].into_iter().flatten().map(|cookie| secret(cookie)) {
            let others = seen.headers.iter().filter(|(name, _)| name != "set-cookie");
            assert!(!format!("{:?}{}", others.collect::<Vec<_>>(), seen.body).contains(&secret), "{method} {path}");
        }
        world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
        let outgoing = format!("{:?}", world.origin.seen.borrow().last().expect("forwarded").edits.set);
        assert!(!outgoing.contains(&secret(&cookie)), "the application could give it back");
    }
    assert_eq!(renewed, 1, "who ends the others gets a fresh one");
}
