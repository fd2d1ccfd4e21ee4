//! Event streams whose answer brings another secret, and what becomes of the one before.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use warifu::site::Site;
use warifu::watch::End;

use crate::support::world::Seen;
use crate::support::{World, request, site_of};

const BOUND: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

const CONFIG: &str = r#"{"origin": "http://origin.test", "idle_timeout": "1m", "routes": [
    {"path": "/login", "access": "optional", "commands": true},
    {"path": "/fresh", "access": "required", "commands": true, "max_auth_age": "1m"}
]}"#;

/// An origin that takes 10 s for a stream, which opens with the command of the moment.
fn slow_and_commanding() -> Rc<World> {
    Rc::new_cyclic(|world: &Weak<World>| {
        let world = world.clone();
        World::new(move |outgoing| {
            let world = world.upgrade().expect("the world");
            let command = world.command.get();
            let mut says = Vec::new();
            if outgoing.url.contains("stream") {
                world.pass(10 * SECOND);
                says.push(("Content-Type", "application/x-ndjson"));
            }
            says.extend((!command.is_empty()).then_some(("Warifu-Command", command)));
            Some(says)
        })
    })
}

fn kill(world: &World, site: &Site) {
    let headers = [("authorization", "Bearer hunter2")];
    let seen = world.serve(site, &request("DELETE", "/_warifu/sessions?subject=alice", &headers));
    assert_eq!(seen.status, Some(200), "{}", seen.body);
}

#[test]
fn a_late_stream_that_comes_with_a_new_secret_is_watched_by_that() {
    for command in ["do=end-others", "do=start, sub=\"alice\"", "do=rotate, level=2", "do=rotate"] {
        for is_in in [true, false] {
            if !is_in && command != "do=start, sub=\"alice\"" {
                continue;
            }
            let world = slow_and_commanding();
            let config = CONFIG.replacen('{', r#"{"rotation_grace": "1s", "#, 1);
            let (site, elsewhere) = (site_of(&config), site_of(&config));
            world.command.set("do=start, sub=\"alice\"");
            let old = if is_in { world.log_in(&site) } else { String::new() };
            world.command.set(command);
            let headers = [("cookie", old.as_str()), ("sec-fetch-site", "same-origin")];
            let seen = world.serve(&site, &request("POST", "/login?stream", &headers));
            assert_eq!(seen.status, None, "{command}: {}", seen.body);
            world.command.set("");
            let new = seen.cookie().expect("a new secret").to_owned();
            let watched = seen.watched.expect("a stream");
            let (looks, ended) = (Cell::new(0), Cell::new(None));
            let end = world.watch(&site, &watched, || {
                looks.set(looks.get() + 1);
                // The browser goes on with the new one, and the old one's grace is over.
                if looks.get() == 2 {
                    assert_eq!(world.serve(&site, &request("GET", "/page", &[("cookie", &new)])).status, None);
                }
                if looks.get() == 60 {
                    kill(&world, &elsewhere);
                    ended.set(Some(world.shards.now.get()));
                }
                false
            });
            let after = world.shards.now.get().since(ended.get().expect("it lasts until the session ends"));
            assert!(end == End::Over && after <= BOUND + SECOND, "{command}: {end:?} {after:?}");
            assert!(watched.session().is_some(), "{command}");
            assert!(!world.event_names().contains(&"token_replayed".to_owned()), "{command}");
        }
    }
}

#[test]
fn a_late_stream_is_not_lost_with_what_its_command_has_done() {
    for (command, cookie) in [("do=end", true), ("do=end-all", false), ("do=update, claims=:e30=:", false)] {
        let (world, site) = (slow_and_commanding(), site_of(CONFIG));
        world.command.set("do=start, sub=\"alice\"");
        let old = world.log_in(&site);
        world.command.set(command);
        // Nobody can say any more, once the command is carried out.
        let headers = [("cookie", old.as_str()), ("sec-fetch-site", "same-origin")];
        let seen = world.serve(&site, &request("POST", "/login?stream", &headers));
        assert_eq!((seen.status, seen.cookie().is_some()), (None, cookie), "{command}: {}", seen.body);
        let watched = seen.watched.expect("a stream");
        let start = world.shards.now.get();
        if command.starts_with("do=update") {
            world.shards.is_down.set(true);
            world.shards.is_feed_down.set(true);
        }
        let end = world.watch(&site, &watched, || false);
        let after = world.shards.now.get().since(start);
        assert_eq!(end, if command.starts_with("do=update") { End::Unknown } else { End::Over }, "{command}");
        assert!(after <= BOUND + SECOND, "{command}: {after:?}");
    }
}

#[test]
fn a_stream_of_who_missed_a_rotation_is_watched_by_the_secret_that_its_answer_brings() {
    let world = slow_and_commanding();
    let site = site_of(&CONFIG.replacen('{', r#"{"rotation_grace": "1s", "#, 1));
    world.command.set("do=start, sub=\"alice\"");
    let old = world.log_in(&site);
    world.command.set("do=rotate");
    world.serve(&site, &request("POST", "/login", &[("cookie", &old)]));
    world.command.set("");
    let seen = world.serve(&site, &request("GET", "/stream", &[("cookie", &old)]));
    let new = seen.cookie().expect("the successor").to_owned();
    let watched = seen.watched.expect("a stream");
    let start = world.shards.now.get();
    let passed = || world.shards.now.get().since(start);
    let end = world.watch(&site, &watched, || {
        // For as long as its session is in use.
        if passed() < 5 * 60 * SECOND {
            world.serve(&site, &request("GET", "/page", &[("cookie", &new)]));
        }
        false
    });
    assert_eq!(end, End::Over);
    assert!(passed() > 5 * 60 * SECOND, "{:?}", passed());
}

/// The answers to a rotation and to the stream after it, or to a stream that comes with one.
const LOST: [(&str, &str); 3] = [("do=rotate", ""), ("", "do=rotate"), ("", "do=rotate, level=2")];

/// The secret that a stream was opened with, after `before` was commanded, and its answer.
fn opened_with_a_newer_one(world: &World, site: &Site, before: &'static str, with_it: &'static str) -> (String, Seen) {
    world.command.set("do=start, sub=\"alice\"");
    let old = world.log_in(site);
    world.command.set(before);
    world.serve(site, &request("POST", "/login", &[("cookie", &old)]));
    world.command.set(with_it);
    let seen = world.serve(site, &request("POST", "/login?stream", &[("cookie", &old)]));
    world.command.set("");
    (old, seen)
}

#[test]
fn a_stream_whose_answer_is_lost_logs_nobody_out() {
    for (before, with_it) in LOST {
        for back_after in [20, 100, 280] {
            let world = slow_and_commanding();
            let site = site_of(&CONFIG.replacen('{', r#"{"on_replay": "end", "#, 1).replace("\"1m\"", "\"1h\""));
            let (old, seen) = opened_with_a_newer_one(&world, &site, before, with_it);
            assert!(seen.status.is_none() && seen.cookie().is_some(), "{before} {with_it}");
            let start = world.shards.now.get();
            let back = Cell::new(None);
            world.watch(&site, &seen.watched.expect("a stream"), || {
                if back.get().is_none() && world.shards.now.get().since(start) >= back_after * SECOND {
                    let seen = world.serve(&site, &request("GET", "/page", &[("cookie", &old)]));
                    back.set(Some((seen.status, seen.cookie().is_some())));
                    kill(&world, &site);
                }
                false
            });
            // What a raise leaves behind is served, and leads nowhere.
            let expected = Some((None, !with_it.contains("level")));
            assert_eq!(back.get(), expected, "{before} {with_it} after {back_after} s");
            assert!(!world.event_names().contains(&"token_replayed".to_owned()), "{before} {with_it}");
        }
    }
}

#[test]
fn a_stream_turns_to_the_new_secret_where_the_old_one_is_over_and_the_browser_is_elsewhere() {
    for (before, with_it) in LOST {
        let world = slow_and_commanding();
        let config = CONFIG.replacen('{', r#"{"rotation_grace": "3s", "on_replay": "end", "#, 1);
        let (site, elsewhere) = (site_of(&config), site_of(&config));
        let (_, seen) = opened_with_a_newer_one(&world, &site, before, with_it);
        let new = seen.cookie().expect("a new secret").to_owned();
        let watched = seen.watched.expect("a stream");
        assert!(watched.session().is_some(), "it is known whose it is");
        let (start, ended) = (world.shards.now.get(), Cell::new(None));
        let end = world.watch(&site, &watched, || {
            let passed = world.shards.now.get().since(start);
            if ended.get().is_none() && passed < 60 * SECOND {
                world.serve(&elsewhere, &request("GET", "/page", &[("cookie", &new)]));
            } else if ended.get().is_none() {
                kill(&world, &elsewhere);
                ended.set(Some(world.shards.now.get()));
            }
            false
        });
        let after = world.shards.now.get().since(ended.get().expect("it lasts until the session ends"));
        assert!(end == End::Over && after <= BOUND + SECOND, "{before} {with_it}: {end:?} {after:?}");
        assert!(!world.event_names().contains(&"token_replayed".to_owned()), "{before} {with_it}");
    }
}

#[test]
fn a_stream_of_a_new_session_goes_by_that_one_though_the_old_one_lives() {
    let world = slow_and_commanding();
    let site = site_of(&CONFIG.replace("\"1m\"", "\"1h\""));
    world.command.set("do=start, sub=\"alice\"");
    let old = world.log_in(&site);
    world.command.set("do=start, sub=\"bob\"");
    let headers = [("cookie", old.as_str()), ("sec-fetch-site", "same-origin")];
    let seen = world.serve(&site, &request("POST", "/login?stream", &headers));
    world.command.set("");
    let watched = seen.watched.expect("a stream");
    let (start, ended) = (world.shards.now.get(), Cell::new(None));
    let end = world.watch(&site, &watched, || {
        let passed = world.shards.now.get().since(start);
        if passed < 30 * SECOND {
            let alice = world.serve(&site, &request("GET", "/page", &[("cookie", &old)]));
            assert_eq!(alice.status, None, "another person's session goes on");
        } else if ended.get().is_none() {
            let headers = [("authorization", "Bearer hunter2")];
            world.serve(&site, &request("DELETE", "/_warifu/sessions?subject=bob", &headers));
            ended.set(Some(world.shards.now.get()));
        }
        false
    });
    let after = world.shards.now.get().since(ended.get().expect("it lasts until bob's session ends"));
    assert!(end == End::Over && after <= BOUND + SECOND, "{end:?} {after:?}");
}

#[test]
fn a_stream_turns_to_the_new_secret_where_the_log_in_of_the_old_one_is_too_old() {
    let (world, site) = (slow_and_commanding(), site_of(CONFIG));
    world.command.set("do=start, sub=\"alice\"");
    let old = world.log_in(&site);
    world.pass(30 * SECOND);
    world.command.set("do=rotate, level=1");
    let seen = world.serve(&site, &request("POST", "/fresh?stream", &[("cookie", &old)]));
    assert_eq!(seen.status, None, "{}", seen.body);
    world.command.set("");
    let new = seen.cookie().expect("a new secret").to_owned();
    let start = world.shards.now.get();
    let end = world.watch(&site, &seen.watched.expect("a stream"), || {
        world.serve(&site, &request("GET", "/page", &[("cookie", &new)]));
        false
    });
    let after = world.shards.now.get().since(start);
    assert_eq!(end, End::Over);
    assert!(after >= 59 * SECOND && after <= 60 * SECOND + BOUND + SECOND, "{after:?}");
}
