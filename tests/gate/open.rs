//! What goes on after its answer has begun: WebSockets and event streams.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use warifu::error::StoreError;
use warifu::site::Site;
use warifu::watch::{End, Watched};

use crate::support::world::at_origin;
use crate::support::{World, request, site_of};

const BOUND: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

/// What happens while the origin takes its time.
type Act = Box<dyn Fn()>;

const CONFIG: &str = r#"{"origin": "http://origin.test", "idle_timeout": "1m", "routes": [
    {"path": "/login", "access": "optional", "commands": true},
    {"path": "/open", "access": "public"},
    {"path": "/kept", "access": "required", "on_end": "keep"},
    {"path": "/maybe", "access": "optional"},
    {"path": "/quiet", "access": "required", "activity": false},
    {"path": "/news", "access": "required", "on_outage": "continue"},
    {"path": "/fresh", "access": "required", "max_auth_age": "5m"}
]}"#;

/// An origin whose answers are event streams, but for the log-in's and /page's.
fn world() -> (World, Site, String) {
    let world = World::new(|outgoing| {
        Some(if outgoing.url.contains("/login") {
            vec![("Warifu-Command", "do=start, sub=\"alice\"")]
        } else if outgoing.url.contains("/page") {
            vec![("Content-Type", "text/html")]
        } else {
            vec![("Content-Type", "Text/Event-Stream ; charset=utf-8")]
        })
    });
    let site = site_of(CONFIG);
    let cookie = world.log_in(&site);
    (world, site, cookie)
}

fn open(world: &World, site: &Site, path: &str, cookie: &str) -> Option<Box<Watched>> {
    let seen = world.serve(site, &request("GET", path, &[("cookie", cookie)]));
    assert_eq!(seen.status, None, "{path}");
    seen.watched
}

#[test]
fn what_lasts_is_watched_where_a_session_has_opened_it() {
    let (world, site, cookie) = world();
    for (path, is_watched) in
        [("/events", true), ("/maybe", true), ("/open", false), ("/kept", false), ("/page", false)]
    {
        assert_eq!(open(&world, &site, path, &cookie).is_some(), is_watched, "{path}");
    }
    assert!(open(&world, &site, "/maybe", "").is_none(), "nobody's session");
    // A parameter is no way round the rule.
    assert!(open(&world, &site, "/kept;x", &cookie).is_some());
}

#[test]
fn an_offer_of_another_protocol_is_not_passed_on() {
    let (world, site, cookie) = world();
    let reaches_origin = |headers: &[(&str, &str)], name: &str| {
        let request = request("GET", "/page", &[headers, &[("cookie", cookie.as_str())]].concat());
        assert_eq!(world.serve(&site, &request).status, None, "{headers:?}");
        let seen = world.origin.seen.borrow();
        at_origin(&request, seen.last().expect("a request")).iter().any(|(found, _)| found == name)
    };
    let offered = [("upgrade", "h2c"), ("http2-settings", "AAMAAABk")];
    assert!(!reaches_origin(&offered, "upgrade"));
    assert!(!reaches_origin(&offered, "http2-settings"));
    assert!(reaches_origin(&[("upgrade", "WebSocket"), ("sec-fetch-site", "same-origin")], "upgrade"));
}

#[test]
fn what_is_open_is_cut_within_the_bound_and_a_second() {
    let (world, site, cookie) = world();
    // Ended at another edge: this one hears of it from the feed.
    let elsewhere = site_of(CONFIG);
    let watched = open(&world, &site, "/events", &cookie).expect("a stream");
    let (looks, ended) = (Cell::new(0), Cell::new(None));
    let end = world.watch(&site, &watched, || {
        looks.set(looks.get() + 1);
        if looks.get() == 30 {
            let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
            let seen = world.serve(&elsewhere, &request("POST", "/_warifu/logout", &headers));
            assert!(seen.status.is_some_and(|status| status < 400));
            ended.set(Some(world.shards.now.get()));
        }
        false
    });
    let after = world.shards.now.get().since(ended.get().expect("an end"));
    assert_eq!(end, End::Over);
    assert!(after <= BOUND + SECOND, "{after:?}");
}

#[test]
fn what_is_open_when_the_secret_is_replaced_is_cut_and_ends_nobodys_session() {
    for on_replay in ["observe", "end"] {
        let config = CONFIG.replacen('{', &format!(r#"{{"on_replay": "{on_replay}", "rotation_grace": "1s", "#), 1);
        let (site, elsewhere) = (site_of(&config), site_of(&config));
        let world = World::new(|outgoing| {
            Some(if outgoing.url.contains("again") {
                vec![("Warifu-Command", "do=rotate")]
            } else if outgoing.url.contains("/login") {
                vec![("Warifu-Command", "do=start, sub=\"alice\"")]
            } else {
                vec![("Content-Type", "text/event-stream")]
            })
        });
        let old = world.log_in(&site);
        let watched = open(&world, &site, "/events", &old).expect("a stream");
        let new = world.serve(&site, &request("POST", "/login?again", &[("cookie", &old)]));
        let new = new.cookie().expect("a successor").to_owned();
        // From now on the browser uses the new one, here and elsewhere.
        let end = world.watch(&site, &watched, || {
            open(&world, &site, "/events", &new);
            true
        });
        assert_eq!(end, End::Over);
        assert!(!world.event_names().contains(&"token_replayed".to_owned()), "{on_replay}");
        assert!(open(&world, &elsewhere, "/events", &new).is_some(), "{on_replay}: nobody has copied anything");
        // A copy that comes now is seen at once, where the stream was too.
        assert_eq!(world.serve(&site, &request("GET", "/events", &[("cookie", &old)])).status, Some(401));
        assert!(world.event_names().contains(&"token_replayed".to_owned()), "{on_replay}");
    }
}

#[test]
fn looking_for_long_asks_the_feed_and_hardly_ever_a_shard() {
    let (world, site, cookie) = world();
    let watched = open(&world, &site, "/events", &cookie).expect("a stream");
    let start = world.shards.now.get();
    let (calls, polls) = (world.shards.calls.get(), world.shards.polls.get());
    // It is sent to, so its session does not idle, until it does.
    let passed = || world.shards.now.get().since(start);
    assert_eq!(world.watch(&site, &watched, || passed() < 10 * 60 * SECOND), End::Over);
    assert!(passed() > 10 * 60 * SECOND && passed() < 12 * 60 * SECOND, "{:?}", passed());
    let (calls, polls) = (world.shards.calls.get() - calls, world.shards.polls.get() - polls);
    // A renewal each six seconds, with this short idle timeout, and a question.
    assert!(calls <= 250, "{calls} calls of shards in eleven minutes");
    assert!((400..=700).contains(&polls), "{polls} polls in eleven minutes");
}

#[test]
fn to_listen_is_not_to_use() {
    for (path, sends) in [("/events", false), ("/quiet", true)] {
        let (world, site, cookie) = world();
        let watched = open(&world, &site, path, &cookie).expect("a stream");
        let start = world.shards.now.get();
        assert_eq!(world.watch(&site, &watched, || sends), End::Over, "{path}");
        let after = world.shards.now.get().since(start);
        assert!(after >= 60 * SECOND && after <= 70 * SECOND, "{path}: {after:?}");
    }
}

#[test]
fn nobody_to_ask_is_another_end_and_comes_in_time() {
    for (path, patience) in [("/events", BOUND), ("/news", Duration::from_secs(60))] {
        let (world, site, cookie) = world();
        let watched = open(&world, &site, path, &cookie).expect("a stream");
        let (looks, down) = (Cell::new(0), Cell::new(None));
        let end = world.watch(&site, &watched, || {
            looks.set(looks.get() + 1);
            if looks.get() == 10 {
                world.shards.is_down.set(true);
                world.shards.is_feed_down.set(true);
                down.set(Some(world.shards.now.get()));
            }
            true
        });
        let after = world.shards.now.get().since(down.get().expect("an outage"));
        assert_eq!(end, End::Unknown, "{path}");
        assert!(after > patience / 2 && after <= patience + SECOND, "{path}: {after:?}");
        assert_eq!(end.close().0, 1013);
    }
}

#[test]
fn a_log_in_that_has_become_too_old_for_the_route_ends_it() {
    let (world, site, cookie) = world();
    let watched = open(&world, &site, "/fresh", &cookie).expect("a stream");
    let start = world.shards.now.get();
    assert_eq!(world.watch(&site, &watched, || true), End::Over);
    let after = world.shards.now.get().since(start);
    assert!(after >= 299 * SECOND && after <= 300 * SECOND + BOUND + SECOND, "{after:?}");
}

#[test]
fn what_the_origin_grants_late_is_not_opened_for_who_has_gone() {
    // Ended at another edge while the origin took its time, and then nobody to ask.
    for (ends, refused) in [(true, 401), (false, 503)] {
        let meanwhile: Rc<RefCell<Option<Act>>> = Rc::default();
        let hook = Rc::clone(&meanwhile);
        let world = Rc::new(World::new(move |outgoing| {
            if outgoing.url.contains("/login") {
                return Some(vec![("Warifu-Command", "do=start, sub=\"alice\"")]);
            }
            if let Some(act) = hook.take() {
                act();
            }
            Some(vec![("Content-Type", "text/event-stream")])
        }));
        let (site, elsewhere) = (site_of(CONFIG), site_of(CONFIG));
        let cookie = world.log_in(&site);
        let (there, token) = (Rc::downgrade(&world), cookie.clone());
        meanwhile.replace(Some(Box::new(move || {
            let world = there.upgrade().expect("the world");
            if ends {
                let headers = [("cookie", token.as_str()), ("sec-fetch-site", "same-origin")];
                world.serve(&elsewhere, &request("POST", "/_warifu/logout", &headers));
            } else {
                world.shards.is_down.set(true);
                world.shards.is_feed_down.set(true);
            }
            world.shards.now.set(world.shards.now.get().plus(10 * SECOND));
        })));
        let seen = world.serve(&site, &request("GET", "/events", &[("cookie", cookie.as_str())]));
        assert_eq!(seen.status, Some(refused));
        assert!(seen.watched.is_none());
    }
}

#[test]
fn what_has_used_up_its_calls_is_cut_by_itself() {
    let (world, site, cookie) = world();
    let others = world.log_in(&site);
    let first = open(&world, &site, "/events", &cookie).expect("a stream");
    let second = open(&world, &site, "/events", &others).expect("a stream");
    let start = world.shards.now.get();
    world.shards.calls_left.set(Some(30));
    let end = world.watch(&site, &first, || true);
    let after = world.shards.now.get().since(start);
    assert!(after >= 10 * SECOND && after <= 40 * SECOND, "{after:?}");
    // "Service Restart", and not that somebody cannot be asked.
    assert_eq!((end, end.close().0), (End::UsedUp, 1012));
    assert_eq!(world.event_names(), ["session_started"; 2], "nothing is wrong with the store");
    // Its last poll was none: whoever else is there sends one at once.
    let (memory, polls) = (world.memory(&site), world.shards.polls.get());
    assert!(memory.is_poll_due(world.shards.now.get(), BOUND));
    world.shards.calls_left.set(None);
    world.shards.is_used_up.set(false);
    let looks = Cell::new(0);
    let end = world.watch(&site, &second, || {
        looks.set(looks.get() + 1);
        assert!(world.shards.polls.get() > polls && memory.window_age(world.shards.now.get()) <= Some(BOUND));
        if looks.get() == 20 {
            let headers = [("cookie", others.as_str()), ("sec-fetch-site", "same-origin")];
            world.serve(&site, &request("POST", "/_warifu/logout", &headers));
        }
        true
    });
    assert_eq!((end, looks.get()), (End::Over, 20));
}

#[test]
fn that_calls_are_used_up_is_told_by_the_words_of_the_platform() {
    for says in
        ["Too many subrequests.", "Too many subrequests by single Worker invocation. To configure this limit, …"]
    {
        assert_eq!(StoreError::thrown(says.to_owned()), StoreError::UsedUp);
    }
    let lost = "Network connection lost.".to_owned();
    assert_eq!(StoreError::thrown(lost.clone()), StoreError::Unreachable(lost));
}
