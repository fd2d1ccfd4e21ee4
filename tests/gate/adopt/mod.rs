//! Sessions of the application's old kind move in.

mod careful;
mod over;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use warifu::error::OriginError;
use warifu::ports::Probed;
use warifu::site::Site;

use crate::support::world::at_origin;
use crate::support::{World, request, site_of};

const CONFIG: &str = r#"{"origin": "http://origin.test",
    "adopt": {"cookie": "sid", "probe": "/api/me?x=1", "subject": "/user/id", "until": "2025-07-01"},
    "routes": [
        {"path": "/open", "access": "public"},
        {"path": "/maybe", "access": "optional"},
        {"path": "/strict", "access": "strict"}
    ]}"#;

struct App {
    world: World,
    site: Rc<Site>,
    /// Isolates that are still there: what they remember goes by their place.
    others: Vec<Rc<Site>>,
}

/// What came of one request.
struct Visit {
    status: Option<u16>,
    set: Vec<String>,
    got: Vec<(String, String)>,
}

impl App {
    fn new(config: &str) -> Self {
        let app = Self { world: World::new(|_| Some(Vec::new())), site: Rc::new(site_of(config)), others: Vec::new() };
        app.says(200, r#"{"user": {"id": "alice"}}"#);
        app
    }

    fn says(&self, status: u16, body: &str) {
        *self.world.origin.probed.borrow_mut() = Ok(Probed { status, body: Some(body.as_bytes().to_vec()) });
    }

    fn get(&self, path: &str, cookie: &str) -> Visit {
        self.ask("GET", path, &[("cookie", cookie)])
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Visit {
        let request = request(method, path, headers);
        self.world.origin.seen.borrow_mut().clear();
        let seen = self.world.serve(&self.site, &request);
        let outgoing = self.world.origin.seen.borrow();
        Visit {
            status: seen.status,
            set: seen.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, set)| set.clone()).collect(),
            got: outgoing.last().map(|outgoing| at_origin(&request, outgoing)).unwrap_or_default(),
        }
    }

    /// At another isolate, which knows nothing of this one but what is told.
    fn elsewhere(&mut self, config: &str) {
        self.others.push(std::mem::replace(&mut self.site, Rc::new(site_of(config))));
    }

    fn probes(&self) -> usize {
        self.world.origin.probes.borrow().len()
    }
}

impl Visit {
    fn got(&self, name: &str) -> Option<&str> {
        self.got.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn session(&self) -> &str {
        let set = self.set.iter().rfind(|set| set.starts_with("__Host-")).expect("a session");
        set.split(';').next().expect("a pair")
    }
}

#[test]
fn the_first_request_exchanges_it() {
    let app = App::new(CONFIG);
    let from = [("cookie", "sid=old; theme=dark"), ("cf-connecting-ip", "203.0.113.9"), ("x-real-ip", "6.6.6.6")];
    let visit = app.ask("GET", "/account", &from);
    assert_eq!((visit.status, visit.got("warifu-subject")), (None, Some("alice")));
    assert_eq!(visit.got("cookie"), Some("theme=dark"), "the old cookie is worth nothing any more");
    assert!(visit.set.contains(&"sid=; Path=/; Secure; Max-Age=0".to_owned()), "{:?}", visit.set);
    let session = visit.session().to_owned();
    let visit = app.get("/account", &session);
    assert_eq!((visit.status, visit.set.len()), (None, 0));
    let probes = app.world.origin.probes.borrow();
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].url, "http://origin.test/api/me?x=1");
    let sent =
        |name: &str| probes[0].headers.set.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!((sent("cookie"), sent("x-forwarded-host")), (Some("sid=old"), Some("app.test")));
    assert_eq!(sent("x-real-ip"), Some("203.0.113.9"));
    assert_eq!(app.world.event_names(), ["session_started"]);
}

#[test]
fn all_that_race_get_one_session_and_the_application_is_asked_once() {
    let mut app = App::new(CONFIG);
    let mut sessions = Vec::new();
    for path in ["/account", "/maybe", "/strict", "/account", "/strict"] {
        sessions.push(app.get(path, "sid=old").session().to_owned());
        // Each at another edge.
        app.elsewhere(CONFIG);
    }
    sessions.dedup();
    assert_eq!((sessions.len(), app.probes()), (1, 1));
    assert_eq!(app.world.event_names().iter().filter(|name| *name == "session_started").count(), 1);
}

#[test]
fn a_copy_of_the_old_cookie_is_a_replay_after_the_grace() {
    // What KV has of the new session must not hide its first use from the shard.
    for config in [CONFIG.to_owned(), CONFIG.replacen('{', r#"{"replica": "always", "#, 1)] {
        let app = App::new(&config);
        let session = app.get("/account", "sid=old").session().to_owned();
        assert_eq!(app.get("/account", &session).status, None);
        app.world.pass(Duration::from_secs(16));
        app.world.ring();
        let copy = app.get("/account", "sid=old");
        assert_eq!((copy.status, copy.set.len()), (Some(401), 0), "{config}");
        assert!(app.world.event_names().contains(&"token_replayed".to_owned()));
        assert_eq!(app.get("/account", &session).status, None);
        app.world.pass(Duration::from_secs(2));
        assert_eq!(app.get("/maybe", "sid=old").got("warifu-subject"), Some(""));
        assert_eq!(app.probes(), 1);
    }
}

#[test]
fn a_copy_that_is_spelt_otherwise_is_the_same_old_cookie() {
    for spelt in ["\"old\"", "%6fld", "%256Fld", "\"o\\ld\"", "\"\\157ld\"", " old", "old\t"] {
        let app = App::new(CONFIG);
        let session = app.get("/account", "sid=old").session().to_owned();
        assert_eq!(app.get("/account", &session).status, None);
        app.world.pass(Duration::from_secs(16));
        app.world.ring();
        let copy = app.get("/account", &format!("sid={spelt}"));
        assert_eq!((copy.status, copy.set.len(), app.probes()), (Some(401), 0, 1), "{spelt}");
    }
    // The application gets it as it came.
    let app = App::new(CONFIG);
    app.get("/account", "sid=s%3Aa.b");
    let probes = app.world.origin.probes.borrow();
    assert!(probes[0].headers.set.iter().any(|(name, value)| name == "cookie" && value == "sid=s%3Aa.b"));
}

#[test]
fn a_lost_answer_logs_nobody_out() {
    let app = App::new(CONFIG);
    let lost = app.get("/account", "sid=old").session().to_owned();
    for pause in [240, 600, 1500] {
        app.world.pass(Duration::from_secs(pause));
        app.world.ring();
        let again = app.get("/account", "sid=old");
        assert_eq!((again.status, again.session()), (None, &*lost));
    }
    // From the first use of the new one on, the old one has its grace.
    app.get("/account", &lost);
    app.world.pass(Duration::from_secs(16));
    assert_eq!(app.get("/account", "sid=old").status, Some(401));
}

#[test]
fn who_is_nobody_to_the_application_is_nobody_here() {
    for (status, body) in [
        (401, "{}"),
        (302, ""),
        (404, ""),
        (200, "<html>"),
        (200, r#"{"user": null}"#),
        (200, r#"{"user": {"id": " "}}"#),
        (200, r#"{"user": {"id": 1.5}}"#),
    ] {
        let mut app = App::new(CONFIG);
        app.says(status, body);
        for _ in 0..2 {
            assert_eq!(app.get("/account", "sid=old").status, Some(401), "{status} {body}");
            assert_eq!(app.get("/maybe", "sid=old").got("warifu-subject"), Some(""));
            app.elsewhere(CONFIG);
        }
        assert_eq!(app.probes(), 1, "and is not asked about again and again");
        app.says(200, r#"{"user": {"id": 42}}"#);
        app.world.pass(Duration::from_secs(601));
        assert_eq!(app.get("/account", "sid=old").got("warifu-subject"), Some("42"));
    }
}

#[test]
fn no_answer_is_not_no_session() {
    for (probed, status) in [
        (Err(OriginError::Unreachable("refused".to_owned())), 502),
        (Err(OriginError::TimedOut), 504),
        (Ok(Probed { status: 503, body: None }), 502),
        (Ok(Probed { status: 521, body: None }), 502),
        (Ok(Probed { status: 522, body: None }), 504),
        (Ok(Probed { status: 524, body: None }), 504),
        (Ok(Probed { status: 408, body: None }), 502),
        (Ok(Probed { status: 425, body: None }), 502),
        (Ok(Probed { status: 429, body: None }), 502),
    ] {
        let app = App::new(CONFIG);
        *app.world.origin.probed.borrow_mut() = probed;
        let visit = app.get("/account", "sid=old");
        assert_eq!((visit.status, visit.set.len()), (Some(status), 0));
        assert_eq!(app.get("/maybe", "sid=old").status, None, "as anybody");
        app.says(200, r#"{"user": {"id": "alice"}}"#);
        assert_eq!(app.get("/account", "sid=old").got("warifu-subject"), Some("alice"), "the next one may ask");
    }
    let app = App::new(CONFIG);
    app.world.shards.is_down.set(true);
    assert_eq!(app.get("/account", "sid=old").status, Some(503));
    assert_eq!(app.probes(), 0);
}

#[test]
fn who_asked_and_was_never_heard_of_again_is_followed_by_the_next() {
    // Each call of the exchange is the last one that the store answers.
    for fails_from in 1..8 {
        let app = App::new(CONFIG);
        app.world.shards.fails_from_call.set(Some(fails_from));
        let first = app.get("/account", "sid=old");
        app.world.shards.fails_from_call.set(None);
        app.world.pass(Duration::from_secs(70));
        let second = app.get("/account", "sid=old");
        assert_eq!((second.status, second.got("warifu-subject")), (None, Some("alice")), "{fails_from}");
        if first.status.is_none() && !first.set.is_empty() {
            assert_eq!(second.session(), first.session());
        }
        let started = app.world.event_names().iter().filter(|name| *name == "session_started").count();
        assert_eq!(started, 1, "{fails_from}");
    }
}

/// Else who loads the page once more waits until the right to ask the application is over.
#[test]
fn who_asks_the_application_does_so_to_the_end_also_without_a_client() {
    let app = App::new(CONFIG);
    app.get("/account", "sid=old");
    assert_eq!(*app.world.shards.claims.borrow(), [true], "from before anybody else has to wait for it");
    app.get("/account", "other=old");
    assert!(!app.world.shards.outlives_client.get(), "who asks nothing is given up with its client");
}

/// Whoever got it has used nothing yet: the old cookie is all that the browser has.
#[test]
fn a_stream_that_moves_in_and_whose_answer_is_lost_leaves_the_old_cookie_good() {
    let config = CONFIG.replacen('{', r#"{"on_replay": "end", "#, 1);
    let mut app = App::new(&config);
    app.world = World::new(|_| Some(vec![("Content-Type", "text/event-stream")]));
    app.says(200, r#"{"user": {"id": "alice"}}"#);
    let seen = app.world.serve(&app.site, &request("GET", "/events", &[("cookie", "sid=old")]));
    assert!(seen.status.is_none() && seen.cookie().is_some());
    let (start, calls) = (app.world.shards.now.get(), app.world.shards.calls.get());
    let asked = Cell::new(0);
    let back = Cell::new(None);
    app.world.watch(&app.site, &seen.watched.expect("a stream"), || {
        if back.get().is_none() && app.world.shards.now.get().since(start) >= Duration::from_secs(600) {
            asked.set(app.world.shards.calls.get() - calls);
            let seen = app.world.serve(&app.site, &request("GET", "/account", &[("cookie", "sid=old")]));
            back.set(Some((seen.status, seen.cookie().is_some())));
            app.world.serve(
                &app.site,
                &request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]),
            );
        }
        false
    });
    assert_eq!(back.get(), Some((None, true)));
    // An old secret's yes is not remembered: half a bound it counts.
    assert!((300..=620).contains(&asked.get()), "{} questions in ten minutes", asked.get());
}

#[test]
fn many_requests_with_one_old_cookie_wait_for_the_first_of_them() {
    let app = App::new(CONFIG);
    app.world.origin.probe_takes.set(100);
    let requests = vec![request("GET", "/account", &[("cookie", "sid=old")]); 200];
    let seen = app.world.serve_all(&app.site, &requests);
    let served = seen.iter().filter(|seen| seen.status.is_none()).count();
    let too_many = seen.iter().filter(|seen| seen.status == Some(503)).count();
    assert_eq!((served, too_many, app.probes()), (100, 100, 1));
    let first = seen.iter().find_map(|seen| seen.cookie()).expect("a session");
    assert!(seen.iter().all(|seen| seen.status.is_some() || seen.cookie() == Some(first)));
    // One at first, and one of each when it is over.
    assert_eq!(app.world.shards.claims.borrow().len(), 100);
    let told = app.world.event_names().iter().filter(|name| *name == "store_unavailable").count();
    assert_eq!(told, 1, "not for each");
    assert_eq!(app.get("/account", "sid=old").status, None, "when the crowd has gone");
}

#[test]
fn who_waits_for_an_application_that_fails_asks_it_too() {
    let app = App::new(CONFIG);
    app.world.origin.probe_takes.set(10);
    *app.world.origin.probed.borrow_mut() = Err(OriginError::TimedOut);
    let requests = vec![request("GET", "/account", &[("cookie", "sid=old")]); 5];
    let seen = app.world.serve_all(&app.site, &requests);
    assert!(seen.iter().all(|seen| seen.status == Some(504)));
    assert_eq!(app.probes(), 5, "one after the other");
    app.world.origin.probe_takes.set(0);
    app.says(200, r#"{"user": {"id": "alice"}}"#);
    assert_eq!(app.get("/account", "sid=old").got("warifu-subject"), Some("alice"));
}

#[test]
fn what_moves_in_can_be_held() {
    let config = CONFIG.replacen('{', r#"{"custody": {"cookies": ["sid"]}, "#, 1);
    let app = App::new(&config);
    let visit = app.get("/account", "sid=old");
    assert_eq!(visit.got("cookie"), Some("sid=old"), "from the gateway's keeping");
    let session = visit.session().to_owned();
    assert_eq!(app.get("/account", &session).got("cookie"), Some("sid=old"));
    assert_eq!(app.get("/account", "sid=old").got("cookie"), Some("sid=old"), "also in the grace");
    assert_eq!(app.get("/open", "sid=old").got("cookie"), None);
}

#[test]
fn elsewhere_is_another_isolate() {
    let mut app = App::new(CONFIG);
    let mut memories = vec![app.world.memory(&app.site)];
    for _ in 0..3 {
        app.elsewhere(CONFIG);
        let memory = app.world.memory(&app.site);
        assert!(!memories.iter().any(|other| Rc::ptr_eq(other, &memory)), "the helper of these tests");
        memories.push(memory);
    }
}
