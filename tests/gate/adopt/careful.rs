//! What other sites, other cookies and the application itself cannot do with
//! the old kind.

use std::rc::Rc;
use std::time::Duration;

use super::{App, CONFIG};
use crate::support::world::at_origin;
use crate::support::{World, request, site_of};

#[test]
fn on_public_routes_it_neither_moves_in_nor_goes_through() {
    let app = App::new(CONFIG);
    let visit = app.get("/open", "sid=old");
    assert_eq!((visit.got("cookie"), visit.set.len(), app.probes()), (None, 0, 0));
}

#[test]
fn a_cookie_that_another_site_causes_to_be_sent_alone_says_nothing() {
    let (image, page) = (("no-cors", "image"), ("navigate", "document"));
    let strict = CONFIG.replacen('{', r#"{"cookie": {"same_site": "strict"}, "#, 1);
    for (config, (mode, dest), from, counts) in [
        (CONFIG, image, "cross-site", false),
        (CONFIG, page, "cross-site", true),
        (CONFIG, image, "same-site", true),
        (CONFIG, image, "same-origin", true),
        (&strict, page, "cross-site", false),
        (&strict, page, "none", true),
    ] {
        let app = App::new(config);
        let session = app.get("/account", "sid=old").session().to_owned();
        app.get("/account", &session);
        app.world.pass(Duration::from_secs(60));
        let fetch = [("sec-fetch-site", from), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        let headers: Vec<_> = fetch.into_iter().chain([("cookie", "sid=old")]).collect();
        assert!(matches!(app.ask("GET", "/account", &headers).status, Some(401 | 302)));
        let replayed = app.world.event_names().contains(&"token_replayed".to_owned());
        assert_eq!(replayed, counts, "{mode} {from}: nobody is logged out by a picture elsewhere");
    }
}

#[test]
fn of_two_different_ones_none_counts() {
    let app = App::new(CONFIG);
    for cookie in ["sid=old; sid=planted", "sid=planted; sid=old", "sid=", "sid=a\u{FFFD}b"] {
        assert_eq!(app.get("/account", cookie).status, Some(401), "{cookie}");
    }
    assert_eq!(app.probes(), 0);
    assert_eq!(app.get("/account", "sid=old; a=b; sid=old").got("warifu-subject"), Some("alice"));
}

#[test]
fn a_dead_session_beside_it_does_not_keep_it_out() {
    let app = App::new(CONFIG);
    let dead = app.get("/account", "sid=one").session().to_owned();
    let headers = [("cookie", dead.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(app.ask("POST", "/_warifu/logout", &headers).status, Some(204));
    let both = format!("{dead}; sid=two");
    let visit = app.get("/account", &both);
    assert_eq!((visit.status, visit.got("warifu-subject")), (None, Some("alice")));
    assert_ne!(visit.session(), dead);
    // A live one comes first, and nothing is asked.
    let live = format!("{}; sid=three", visit.session());
    assert_eq!((app.get("/account", &live).set.len(), app.probes()), (0, 2));
}

#[test]
fn the_application_starts_no_more_of_them() {
    let app = App {
        world: World::new(|_| {
            let set = ["sid=new; HttpOnly", "theme=dark", "SID=odd", "sid=; Max-Age=0"];
            Some(set.map(|set| ("set-cookie", set)).to_vec())
        }),
        site: Rc::new(site_of(CONFIG)),
        others: Vec::new(),
    };
    assert_eq!(app.get("/open", "").set, ["theme=dark"]);
    assert_eq!(app.world.event_names(), ["old_cookie_refused"]);
    // Where custody takes the cookie, it is no matter of this one.
    let held = site_of(&CONFIG.replacen('{', r#"{"custody": {"cookies": ["sid"]}, "#, 1));
    let held = App { site: Rc::new(held), ..app };
    held.world.events.borrow_mut().clear();
    assert_eq!(held.get("/open", "").set, ["theme=dark"]);
    assert!(!held.world.event_names().contains(&"old_cookie_refused".to_owned()));
}

#[test]
fn it_is_removed_from_where_it_was_set() {
    let app = App::new(&CONFIG.replace(r#""cookie": "sid""#, r#""cookie": "sid", "domain": "test", "path": "/app""#));
    let visit = app.get("/account", "sid=old");
    assert!(visit.set.contains(&"sid=; Path=/app; Domain=test; Secure; Max-Age=0".to_owned()), "{:?}", visit.set);
}

#[test]
fn the_question_is_signed_like_everything_else_that_comes_through_the_gateway() {
    // Beside each probe what a URL makes of it (URL Standard, section 1.3).
    for (probe, arrives) in [
        ("/api/me?x=1", "/api/me?x=1"),
        ("/api/me", "/api/me"),
        ("/api/me?", "/api/me?"),
        ("/api/me?f='id'", "/api/me?f=%27id%27"),
        (r#"/api/me?f=\"id\"&g=<a|b>{c}^`%27%zz?"#, "/api/me?f=%22id%22&g=%3Ca|b%3E{c}^`%27%zz?"),
    ] {
        let mut app = App::new(CONFIG);
        let config = CONFIG.replacen('{', r#"{"identity": {"user_header": "Remote-User"}, "#, 1);
        app.site = Rc::new(crate::support::signing_site_of(&config.replace("/api/me?x=1", probe)));
        app.get("/account", "sid=old; theme=dark");
        let probes = app.world.origin.probes.borrow();
        let nothing = request("GET", "/", &[("user-agent", "Firefox"), ("cookie", "a=b")]);
        let mut outgoing = app.world.origin.seen.borrow().last().cloned().expect("a request");
        outgoing.edits = probes[0].headers.clone();
        let headers = at_origin(&nothing, &outgoing);
        let url = format!("http://origin.test{arrives}");
        assert_eq!(probes[0].url, url);
        assert!(crate::signing::verified("GET", &url, &headers).is_some(), "{headers:?}");
        let subject = headers.iter().find(|(name, _)| name == "warifu-subject").map(|(_, value)| value.as_str());
        assert_eq!(subject, Some(""), "it is nobody's yet");
    }
}
