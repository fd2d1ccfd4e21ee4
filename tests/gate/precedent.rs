//! Requests that are like one before. What every native test compares beside its requests is
//! in `tests/support/precedents.rs`; here is when a precedent stands, and when it does not.

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use warifu::headers::{HeaderBlock, HeaderEdits};
use warifu::policy::Demand;
use warifu::ports::Outgoing;
use warifu::precedent::{LEFT_OUT, Precedent, Standing, is_answer_of_all};
use warifu::revocation::Known;
use warifu::site::Site;
use warifu::tally::{Outcome, Source};

use crate::signing::verified;
use crate::support::world::at_origin;
use crate::support::{CONFIG, World, request, signing_site, signing_site_of, site, site_of, site_plus};

const SECOND: Duration = Duration::from_secs(1);

/// A world with a session that the isolate of the site has in memory.
fn warm(site: &Site) -> (World, String) {
    let world = World::with_login();
    let cookie = world.log_in(site);
    for _ in 0..2 {
        assert_eq!(get(&world, site, "/account", &cookie), None);
    }
    (world, cookie)
}

fn get(world: &World, site: &Site, path: &str, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", path, &[("cookie", cookie)])).status
}

fn sent(world: &World) -> Outgoing {
    world.origin.seen.borrow().last().cloned().expect("a request")
}

fn precedent(world: &World) -> Precedent {
    sent(world).precedent.expect("a precedent")
}

fn standing(world: &World, site: &Site, precedent: &Precedent) -> Standing {
    precedent.stands(&site.config, &world.memory(site), world.shards.now.get())
}

/// Whether a precedent stood for it.
fn stands(world: &World, site: &Site, path: &str, headers: &[(&str, &str)]) -> bool {
    let before = *world.precedents.stood.borrow();
    world.serve(site, &request("GET", path, headers));
    *world.precedents.stood.borrow() > before
}

#[test]
fn another_query_and_what_is_left_out_make_no_case_of_their_own() {
    let site = site();
    let (world, cookie) = warm(&site);
    let mut headers = vec![("cookie", cookie.as_str()), ("user-agent", "a browser")];
    headers.extend(LEFT_OUT.map(|name| (name, "1")));
    assert!(!stands(&world, &site, "/account", &headers), "the first of its kind");
    for value in &mut headers[2..] {
        value.1 = "2";
    }
    assert!(stands(&world, &site, "/account?page=2", &headers));
    assert!(!stands(&world, &site, "/account/7", &headers), "another path");
    assert!(stands(&world, &site, "/account/7", &headers));
}

#[test]
fn whatever_else_is_sent_makes_one() {
    let site = site();
    let (world, cookie) = warm(&site);
    let usual = [
        ("authorization", "Bearer 1"),
        ("cf-connecting-ip", "203.0.113.7"),
        ("connection", "close"),
        ("forwarded", "for=1"),
        ("origin", "https://app.test"),
        ("sec-fetch-site", "same-origin"),
        ("user-agent", "1"),
        ("warifu-subject", "mallory"),
        ("x-anything", "1"),
    ];
    let with = |headers: &[(&'static str, &'static str)]| [&[("cookie", cookie.as_str())], headers].concat();
    assert!(!stands(&world, &site, "/account", &with(&usual)) && stands(&world, &site, "/account", &with(&usual)));
    for at in 0..usual.len() {
        let mut other = usual;
        other[at].1 = "2";
        assert!(!stands(&world, &site, "/account", &with(&other)), "{}", usual[at].0);
        let fewer: Vec<_> = usual.into_iter().filter(|(name, _)| *name != usual[at].0).collect();
        assert!(!stands(&world, &site, "/account", &with(&fewer)), "without {}", usual[at].0);
    }
    for name in LEFT_OUT {
        assert!(!stands(&world, &site, "/account", &[&with(&usual)[..], &[(name, "1")]].concat()), "{name} is there");
    }
}

#[test]
fn what_changes_something_is_heard_each_time() {
    let of = |site: &Site, method: &str, path: &str, headers: &[(&str, &str)]| {
        let (world, cookie) = warm(site);
        let headers = [&[("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")], headers].concat();
        for _ in 0..2 {
            assert_eq!(world.serve(site, &request(method, path, &headers)).status, None, "{method} {path}");
        }
        sent(&world).precedent.is_some()
    };
    let plain = site();
    for (method, path) in
        [("GET", "/account"), ("HEAD", "/account"), ("GET", "/echo/x"), ("GET", "/transfer/1"), ("GET", "/poll")]
    {
        assert!(of(&plain, method, path, &[]), "{method} {path}");
    }
    for (method, path) in [("POST", "/account"), ("POST", "/transfer/1"), ("GET", "/login"), ("GET", "/a%63count")] {
        assert!(!of(&plain, method, path, &[]), "{method} {path}");
    }
    for header in [("upgrade", "websocket"), ("content-length", "0"), ("transfer-encoding", "chunked")] {
        assert!(!of(&plain, "GET", "/account", &[header]), "{header:?}");
    }
    let custody = r#""custody": {"cookies": ["app"]}"#;
    for (members, makes_one) in [
        (r#""bound": "0s""#, true),
        (r#""max_header_bytes": 14999"#, false),
        (r#""max_header_bytes": 15000"#, true),
        (custody, false),
    ] {
        assert_eq!(of(&site_plus(members), "GET", "/account", &[]), makes_one, "{members}");
    }
    // A client that signs too has members of its own beside ours.
    assert!(
        of(&signing_site(), "GET", "/account", &[]) && of(&plain, "GET", "/account", &[("signature", "sig1=:AA==:")])
    );
    assert!(!of(&signing_site(), "GET", "/account", &[("signature", "sig1=:AA==:")]));
}

#[test]
fn nobody_makes_one_where_nobody_is_let_through_but_not_with_what_is_no_session_of_ours() {
    let site = site();
    let (world, cookie) = warm(&site);
    let forged = format!("{}{}", &cookie[..cookie.len() - 2], if cookie.ends_with("AA") { "BA" } else { "AA" });
    assert!(!stands(&world, &site, "/echo/x", &[]) && stands(&world, &site, "/echo/x", &[]));
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(&site, &call).status, Some(200));
    for cookie in [forged.as_str(), &cookie] {
        for _ in 0..2 {
            assert!(!stands(&world, &site, "/echo/x", &[("cookie", cookie)]), "{cookie}");
        }
    }
}

#[test]
fn a_kill_ends_it_at_once_where_it_was_made_and_within_the_bound_elsewhere() {
    let (here, there) = (site(), site());
    let (world, cookie) = warm(&here);
    for _ in 0..2 {
        assert_eq!(get(&world, &there, "/account", &cookie), None);
    }
    let elsewhere = precedent(&world);
    assert_eq!(get(&world, &here, "/account", &cookie), None);
    let at_home = precedent(&world);
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(&here, &call).status, Some(200));
    assert_ne!(standing(&world, &here, &at_home), Standing::Same);
    let mut stood = Duration::ZERO;
    for step in 0..300 {
        if standing(&world, &there, &elsewhere) == Standing::Same {
            stood = Duration::from_millis(10) * step;
        }
        world.pass(Duration::from_millis(10));
    }
    assert!(stood > Duration::ZERO && stood <= 2 * SECOND, "{stood:?}");
    assert_eq!(get(&world, &there, "/account", &cookie), Some(401));
    assert_ne!(standing(&world, &there, &elsewhere), Standing::Same);
}

#[test]
fn it_has_the_verdict_that_it_was_made_by() {
    let site = site();
    let (world, cookie) = warm(&site);
    let before = precedent(&world);
    assert_eq!(standing(&world, &site, &before), Standing::Same);
    // A verdict is confirmed once a minute.
    let asked = world.shards.calls.get();
    for _ in 0..70 {
        world.pass(SECOND);
        assert_eq!(get(&world, &site, "/account", &cookie), None);
    }
    assert_eq!(get(&world, &site, "/account", &cookie), None);
    assert_eq!((world.shards.calls.get() - asked, standing(&world, &site, &before)), (1, Standing::Same));
    // So has one that has asked itself.
    world.pass(10 * SECOND);
    let asked = world.shards.calls.get();
    assert_eq!(get(&world, &site, "/account", &cookie), None);
    let kept = precedent(&world);
    assert_eq!((world.shards.calls.get() - asked, standing(&world, &site, &kept)), (1, Standing::NotNow), "to poll");
    assert_eq!(get(&world, &site, "/account", &cookie), None);
    assert_eq!((world.shards.calls.get() - asked, standing(&world, &site, &kept)), (1, Standing::Same));
    // Once it has been used for a while, that is written down, and the verdict is another.
    for _ in 0..180 {
        world.pass(SECOND);
        assert_eq!(get(&world, &site, "/account", &cookie), None);
    }
    assert_eq!(standing(&world, &site, &before), Standing::Over);
    assert_eq!(standing(&world, &site, &precedent(&world)), Standing::Same);
}

#[test]
fn what_is_due_is_done_by_a_request_that_is_heard() {
    let site = site();
    let (world, cookie) = warm(&site);
    let kept = precedent(&world);
    let memory = world.memory(&site);
    // A poll of the feed, where requests come often.
    let polls = world.shards.polls.get();
    world.pass(Duration::from_millis(600));
    assert_eq!(get(&world, &site, "/account", &cookie), None);
    world.pass(Duration::from_millis(600));
    assert_eq!(standing(&world, &site, &kept), Standing::NotNow);
    assert_eq!(get(&world, &site, "/account", &cookie), None);
    assert_eq!(world.shards.polls.get(), polls + 1);
    assert_eq!(standing(&world, &site, &kept), Standing::Same);
    // What has been counted is told of once a minute.
    world.pass(Duration::from_mins(1));
    assert_eq!(standing(&world, &site, &kept), Standing::NotNow);
    assert_eq!(get(&world, &site, "/account", &cookie), None);
    assert_eq!(world.figures.borrow().len(), 1);
    // Rest is no reason to poll.
    for _ in 0..2 {
        world.pass(Duration::from_millis(100));
        assert_eq!(get(&world, &site, "/account", &cookie), None);
    }
    let kept = precedent(&world);
    let polls = world.shards.polls.get();
    world.pass(Duration::from_millis(1_500));
    assert_eq!(standing(&world, &site, &kept), Standing::Same);
    assert_eq!(world.shards.polls.get(), polls);
    assert!(!memory.is_poll_wanted(world.shards.now.get(), 2 * SECOND));
}

#[test]
fn a_use_is_written_down_as_often_as_without_it() {
    let site = site_plus(r#""idle_timeout": "10m""#);
    let (world, cookie) = warm(&site);
    let mut heard = 0;
    for _ in 0..1_200 {
        world.pass(Duration::from_millis(500));
        let before = *world.precedents.stood.borrow();
        assert_eq!(get(&world, &site, "/account", &cookie), None);
        heard += usize::from(*world.precedents.stood.borrow() == before);
    }
    // A third of the requests find a poll due. Ten renewals, as many confirmations.
    assert!((400..440).contains(&heard), "{heard} of 1,200");
    let memory = world.memory(&site);
    let known = memory.look(&key_of(&cookie, &site), world.shards.now.get(), 2 * SECOND, Duration::from_mins(10));
    let Known::Live(session, _) = known else { panic!("it lives") };
    assert!(world.shards.now.get().since(session.last_seen) <= Duration::from_secs(70), "{:?}", session.last_seen);
}

fn key_of(cookie: &str, site: &Site) -> warifu::token::SessionKey {
    let value = cookie.split_once('=').expect("a cookie").1;
    site.ring.verify(value).expect("our own").session_key()
}

#[test]
fn a_log_in_that_is_too_old_is_heard() {
    let site = site_of(
        r#"{"origin": "http://origin.test", "routes": [
            {"path": "/login", "access": "optional", "commands": true},
            {"path": "/account", "access": "required", "max_auth_age": "45s"}]}"#,
    );
    let (world, cookie) = warm(&site);
    for at in 0..300 {
        let expected = if at <= 150 { None } else { Some(403) };
        assert_eq!(get(&world, &site, "/account", &cookie), expected, "after {at} times 300 ms");
        world.pass(Duration::from_millis(300));
    }
}

#[test]
fn those_that_follow_are_counted_as_those_that_are_heard() {
    let site = site();
    let (world, _) = warm(&site);
    let (memory, kept) = (world.memory(&site), precedent(&world));
    let before = memory.tally().checks(Source::Memory, Outcome::Live);
    let timed = (0..160).filter(|_| kept.follow(&memory, world.shards.now.get())).count();
    assert_eq!(memory.tally().checks(Source::Memory, Outcome::Live), before + 160);
    assert_eq!(timed, 10, "one in sixteen");
}

#[test]
fn each_that_follows_has_a_signature_of_its_own() {
    let site = signing_site();
    let (world, cookie) = warm(&site);
    let asked = request("GET", "/account?a=1", &[("cookie", &cookie)]);
    world.serve(&site, &asked);
    let (mut outgoing, now) = (sent(&world), world.shards.now.get());
    let kept = outgoing.precedent.clone().expect("a precedent");
    let mut nonces = Vec::new();
    for query in ["", "?a=1", "?a=1", "?%27=2"] {
        let signed = kept.sign(&site, ("GET", "/account", query), now, &world.random).expect("a signature");
        outgoing.edits.set.retain(|(name, _)| !name.starts_with("signature"));
        outgoing.edits.set("signature-input", signed.signature_input);
        outgoing.edits.set("signature", signed.signature);
        let headers = at_origin(&asked, &outgoing);
        let url = format!("http://origin.test/account{query}");
        let params = verified("GET", &url, &headers).expect("it fits");
        assert!(verified("GET", "http://origin.test/account?b", &headers).is_none());
        nonces.push(params.split("nonce=").nth(1).expect("a nonce").to_owned());
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
}

/// What came while its secret was served is no replay because the application takes long; nor
/// is its answer a use of the session.
#[test]
fn an_answer_that_comes_late_is_the_answer_to_who_asked() {
    let site = site_plus(r#""rotation_grace": "1s", "on_replay": "end""#);
    let world = World::commanding("do=start, sub=\"alice\"");
    let old = world.log_in(&site);
    world.command.set("");
    for _ in 0..2 {
        assert_eq!(get(&world, &site, "/account", &old), None);
    }
    let (kept, sought) = (precedent(&world), world.reading(&site));
    let asked = request("GET", "/account", &[("cookie", &old)]);
    world.command.set("do=rotate");
    let seen = world.serve(&site, &request("POST", "/login", &[("cookie", &old), ("sec-fetch-site", "same-origin")]));
    world.command.set("");
    let new = seen.cookie().expect("a successor").to_owned();
    world.pass(2 * SECOND);
    assert_eq!(get(&world, &site, "/account", &new), None);
    world.pass(2 * SECOND);
    let calls = world.shards.calls.get();
    let late = world.serve_answer(&site, &asked, (&kept, sought), &[("content-type", "text/html")]);
    assert_eq!((late.status, late.header("cache-control")), (None, Some("no-store")));
    assert_eq!(world.shards.calls.get(), calls, "nobody is asked");
    assert_eq!(get(&world, &site, "/account", &new), None, "the session lives");
    assert!(!world.event_names().contains(&"token_replayed".to_owned()));
}

#[test]
fn what_goes_on_is_watched_from_when_it_was_asked_for() {
    let site = site();
    let (world, cookie) = warm(&site);
    let (kept, sought) = (precedent(&world), world.reading(&site));
    let asked = request("GET", "/account", &[("cookie", &cookie)]);
    let stream = [("content-type", "text/event-stream")];
    let at_once = world.serve_answer(&site, &asked, (&kept, sought), &stream);
    assert!(at_once.status.is_none() && at_once.watched.is_some());
    // A late one is looked at once more before it opens.
    world.pass(3 * SECOND);
    let polls = world.shards.polls.get();
    assert!(world.serve_answer(&site, &asked, (&kept, sought), &stream).watched.is_some());
    assert_eq!(world.shards.polls.get(), polls + 1);
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(&site, &call).status, Some(200));
    world.pass(3 * SECOND);
    assert_eq!(world.serve_answer(&site, &asked, (&kept, sought), &stream).status, Some(401));
    // What has been asked for before the end, and does not go on, is answered.
    assert_eq!(world.serve_answer(&site, &asked, (&kept, sought), &[]).status, None);
    // As is what was asked for before the clock stepped back, if it is no stream.
    let nobody = request("GET", "/account", &[]);
    assert_eq!(world.serve_answer(&site, &nobody, (&kept, sought), &[]).status, Some(500), "not whose precedent it is");
}

/// Where one route lets streams go on and another does not, answers of both look alike.
#[test]
fn no_answer_that_goes_on_is_like_another() {
    for media_type in ["text/event-stream", "text/event-stream; charset=utf-8", "application/x-ndjson"] {
        let headers = HeaderBlock::from_pairs([("content-type", media_type), ("cache-control", "no-store")]);
        assert!(!is_answer_of_all(&headers, &HeaderEdits::default()), "{media_type}");
    }
    for (name, is_of_all) in [
        ("cache-control", true),
        ("content-type", true),
        ("set-cookie", false),
        ("warifu-x-cache-control", false),
        ("signature", false),
        ("upgrade", false),
    ] {
        let headers = HeaderBlock::from_pairs([(name, "1")]);
        assert_eq!(is_answer_of_all(&headers, &HeaderEdits::default()), is_of_all, "{name}");
    }
}

const NAMES: [&str; 24] = [
    "accept",
    "authorization",
    "cf-connecting-ip",
    "cf-ray",
    "connection",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "if-none-match",
    "origin",
    "range",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "signature",
    "signature-input",
    "te",
    "traceparent",
    "user-agent",
    "warifu-session",
    "x-forwarded-for",
    "x-http-method",
];
const VALUES: [&str; 8] = [
    "1",
    "close, cf-ray",
    "text/html",
    "same-origin",
    "cross-site",
    "https://friend.test",
    "warifu=:AA==:, b=:AA==:",
    "navigate",
];
const PATHS: [&str; 11] = [
    "/",
    "/account",
    "/account/",
    "/account/x",
    "/echo/a",
    "/assets/a",
    "/poll",
    "/login",
    "/transfer/a",
    "/keep/a",
    "/account/stream",
];
const SITES: [&str; 6] = [
    "{",
    r#"{"bound": "0s","#,
    r#"{"hosts": ["app.test"],"#,
    r#"{"cross_origin": "strict","#,
    r#"{"case_insensitive": true,"#,
    r#"{"idle_timeout": "2m","#,
];

/// The world compares each request with what the gate comes to.
#[test]
fn whatever_stands_comes_to_the_same() {
    let fields = prop::collection::vec((0..NAMES.len(), 0..VALUES.len()), 0..4);
    let kinds = prop::collection::vec((0..PATHS.len(), fields), 1..4);
    let steps = prop::collection::vec((0_usize..8, 0_u64..1_200, 0_u8..60), 10..60);
    let stood = Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) });
    let run = runner.run(&(0..SITES.len(), any::<bool>(), kinds, steps), |(of_site, signs, kinds, steps)| {
        let config = CONFIG.replacen('{', SITES[of_site], 1).replacen(
            r#""routes": ["#,
            r#""routes": [{"path": "/keep/*", "access": "required", "on_end": "keep"},"#,
            1,
        );
        let site = if signs { signing_site_of(&config) } else { site_of(&config) };
        let world = World::new(|outgoing| {
            let says = |what: &[&str]| what.iter().any(|part| outgoing.url.contains(part));
            Some(match () {
                () if says(&["/login"]) => vec![("Warifu-Command", "do=start, sub=\"alice\"")],
                () if says(&["/keep", "stream"]) => vec![("Content-Type", "text/event-stream")],
                () if says(&["/echo"]) => vec![("Cache-Control", "max-age=1"), ("Set-Cookie", "a=1")],
                () => vec![("Cache-Control", "max-age=1")],
            })
        });
        let mut cookie = world.log_in(&site);
        for (at, (kind, pause, event)) in steps.into_iter().enumerate() {
            world.pass(Duration::from_millis(pause));
            happens(&world, &site, event, &mut cookie);
            let (path, fields) = &kinds[kind % kinds.len()];
            let path = if event % 3 == 0 { format!("{}?{at}", PATHS[*path]) } else { PATHS[*path].to_owned() };
            let counter = at.to_string();
            let mut headers: Vec<(&str, &str)> = Vec::new();
            for (name, value) in fields {
                let name = NAMES[*name];
                headers.push((name, if LEFT_OUT.contains(&name) { &counter } else { VALUES[*value] }));
            }
            if kind < 6 {
                headers.push(("cookie", &cookie));
            }
            headers.sort_unstable();
            headers.dedup_by_key(|(name, _)| *name);
            world.serve(&site, &request(if event == 7 { "HEAD" } else { "GET" }, &path, &headers));
        }
        stood.set(stood.get() + *world.precedents.stood.borrow());
        Ok(())
    });
    run.expect("each comes to what its precedent says");
    assert!(stood.get() > 200, "only {} had one that stood", stood.get());
}

fn happens(world: &World, site: &Site, event: u8, cookie: &mut String) {
    let is_up = !world.shards.is_down.get() && !world.shards.is_feed_down.get();
    match event {
        0 => {
            let ops = [("authorization", "Bearer hunter2")];
            world.serve(site, &request("DELETE", "/_warifu/sessions?subject=alice", &ops));
        }
        1 | 2 if is_up => {
            // There is a limit.
            let seen = world.serve(site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
            *cookie = seen.cookie().map_or_else(|| cookie.clone(), str::to_owned);
        }
        3 => world.pass(Duration::from_secs(70)),
        4 => world.shards.is_down.set(true),
        5 => world.shards.is_feed_down.set(true),
        _ => {
            world.shards.is_down.set(false);
            world.shards.is_feed_down.set(false);
        }
    }
}

/// Two rules that demand the same are one class, so that a session has one case for both.
#[test]
fn what_is_demanded_tells_classes_apart() {
    let site = site();
    let (world, cookie) = warm(&site);
    let headers = [("cookie", cookie.as_str()), ("user-agent", "1")];
    assert!(!stands(&world, &site, "/account", &headers) && !stands(&world, &site, "/other", &headers));
    assert!(stands(&world, &site, "/other", &headers));
    assert_eq!(precedent(&world).demand, Demand::UNMATCHED);
    assert!(!stands(&world, &site, "/poll", &headers), "its path is new");
    assert!(stands(&world, &site, "/poll", &headers));
}
