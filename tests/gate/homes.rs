//! Several rows of the shard map, and the limit on sessions across them.

use std::time::Duration;

use warifu::audit::Event;

use crate::support::{World, request, site, site_plus};

const ONE: &str = r#""map": [{"generation": 1, "shards": 64}]"#;
const TWO: &str = r#""map": [{"generation": 1, "shards": 64}, {"generation": 2, "shards": 128, "region": "weur"}]"#;

fn status(world: &World, site: &warifu::site::Site, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", "/account", &[("cookie", cookie)])).status
}

#[test]
fn a_new_row_takes_new_sessions_and_the_old_ones_live_on() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let world = World::commanding("do=start, sub=\"alice\"");
    let (old, new) = (world.log_in(&one), world.log_in(&two));
    world.command.set("");
    assert_eq!((status(&world, &two, &old), status(&world, &two, &new)), (None, None));
    let rows: Vec<u8> = world.shards.databases.borrow().keys().map(|at| at.generation).collect();
    assert!(rows.contains(&1) && rows.contains(&2), "{rows:?}");
}

#[test]
fn a_kill_of_a_subject_reaches_every_row() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    for (command, renews) in [("do=end-all", false), ("do=end-others", true)] {
        for asks_in_the_older_row in [true, false] {
            let world = World::commanding("do=start, sub=\"alice\"");
            let (older, newer) = (world.log_in(&one), world.log_in(&two));
            world.command.set(command);
            let cookie = if asks_in_the_older_row { &older } else { &newer };
            let reply = world.serve(&two, &request("POST", "/login", &[("cookie", cookie)]));
            assert_eq!(reply.status, None, "{}", reply.body);
            world.command.set("");
            assert_eq!((status(&world, &two, &older), status(&world, &two, &newer)), (Some(401), Some(401)));
            let renewed = reply.cookie().map(|cookie| status(&world, &two, cookie));
            assert_eq!(renewed, renews.then_some(None), "{command}");
        }
    }
}

#[test]
fn a_kill_that_cannot_reach_a_row_is_not_acknowledged() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let world = World::commanding("do=start, sub=\"alice\"");
    world.log_in(&one);
    world.log_in(&two);
    let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    world.shards.fails_from_call.set(Some(world.shards.calls.get() + 2));
    assert_eq!(world.serve(&two, &kill).status, Some(503));
    world.shards.fails_from_call.set(None);
    assert_eq!(world.serve(&two, &kill).status, Some(200), "and can be repeated");
}

/// Whoever does as `ended_in_part` and `store_unavailable` say gets what tells that it is done.
#[test]
fn the_call_that_makes_a_kill_whole_gets_its_receipt() {
    let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let later = site_plus(r#""map": [{"generation": 2, "shards": 128, "region": "weur"}]"#);
    // All that lived has ended in the first row; the second gives no answer.
    let world = World::with_login();
    let cookie = world.log_in(&one);
    world.shards.fails_from_call.set(Some(world.shards.calls.get() + 2));
    assert_eq!(world.serve(&two, &kill).status, Some(503));
    world.shards.fails_from_call.set(None);
    assert_eq!((world.serve(&two, &kill).status, status(&world, &two, &cookie)), (Some(200), Some(401)));
    // All that this version knows of has ended; another one may know of more.
    let world = World::with_login();
    world.log_in(&two);
    world.log_in(&later);
    assert_eq!(world.serve(&later, &kill).status, Some(503));
    world.pass(Duration::from_secs(70));
    world.ring();
    for _ in 0..2 {
        let seen = world.serve(&later, &kill);
        assert!(seen.status == Some(200) && seen.body.contains("published"), "{}", seen.body);
    }
}

#[test]
fn a_list_goes_through_all_rows_newest_first() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let world = World::commanding("do=start, sub=\"alice\"");
    for index in 0..250 {
        world.pass(Duration::from_millis(1));
        world.log_in(if index < 130 { &one } else { &two });
    }
    let mut ids: Vec<String> = Vec::new();
    let mut created: Vec<String> = Vec::new();
    let mut pages = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/_warifu/sessions?subject=alice{cursor}");
        let seen = world.serve(&two, &request("GET", &path, &[("authorization", "Bearer reader")]));
        assert_eq!(seen.status, Some(200), "{}", seen.body);
        let page: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
        for session in page["sessions"].as_array().expect("a list") {
            ids.push(session["id"].as_str().expect("an id").to_owned());
            created.push(session["created"].as_str().expect("a time").to_owned());
        }
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((ids.len(), pages), (250, 3));
    assert!(created.is_sorted_by(|a, b| a > b), "newest first");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 250);
}

#[test]
fn the_limit_holds_across_rows() {
    let limits = [(r#""max_sessions": 3"#, 3), (r#""max_sessions": 3, "on_limit": "refuse""#, 3)];
    for (limit, expected) in limits {
        let (one, two) = (site_plus(&format!("{ONE}, {limit}")), site_plus(&format!("{TWO}, {limit}")));
        let world = World::commanding("do=start, sub=\"alice\"");
        let mut cookies = vec![world.log_in(&one), world.log_in(&one)];
        for _ in 0..4 {
            world.command.set("do=start, sub=\"alice\"");
            let seen = world.serve(&two, &request("POST", "/login", &[]));
            match seen.cookie() {
                Some(cookie) => cookies.push(cookie.to_owned()),
                None => assert!(seen.status == Some(409) && seen.body.contains("session_limit"), "{}", seen.body),
            }
            world.command.set("");
            let live = cookies.iter().filter(|cookie| status(&world, &two, cookie).is_none()).count();
            assert!(live <= expected, "{live} live under {limit}");
            assert_eq!(status(&world, &two, cookies.last().expect("a cookie")), None, "the newest lives");
        }
        let live = cookies.iter().filter(|cookie| status(&world, &two, cookie).is_none()).count();
        assert_eq!(live, expected, "{limit}");
        world.command.set("do=start, sub=\"alice\"");
        let left = world.serve(&one, &request("POST", "/login", &[]));
        assert_eq!(left.status, Some(503), "the older row has left the subject to the newer one");
    }
}

/// What has been ended on the way holds at once where it was, also where the rest fails.
#[test]
fn what_was_ended_before_a_failure_is_refused_at_once() {
    let (ops, same) = (("authorization", "Bearer hunter2"), ("sec-fetch-site", "same-origin"));
    // Who asks, and from which call on the shards are out of reach.
    for (limit, command, ask, fails_from, expected) in [
        (r#""max_sessions": 1, "on_limit": "refuse""#, "do=start, sub=\"alice\"", ("POST", "/login"), None, 409),
        (r#""max_sessions": 0"#, "do=start, sub=\"alice\", end-others", ("POST", "/login"), Some(2), 503),
        (r#""max_sessions": 2"#, "do=start, sub=\"alice\"", ("POST", "/login"), Some(4), 503),
        (r#""max_sessions": 0"#, "", ("DELETE", "/_warifu/sessions?subject=alice"), Some(2), 503),
    ] {
        let (one, two) = (site_plus(ONE), site_plus(&format!("{TWO}, {limit}")));
        let world = World::commanding("do=start, sub=\"alice\"");
        let old = world.log_in(&one);
        world.pass(Duration::from_millis(1));
        world.log_in(&one);
        world.command.set("do=start, sub=\"bob\"");
        world.log_in(&two);
        world.command.set("");
        assert_eq!(status(&world, &two, &old), None);
        let calls = world.shards.calls.get();
        assert_eq!(status(&world, &two, &old), None);
        assert_eq!(world.shards.calls.get(), calls, "from memory");
        world.command.set(command);
        world.shards.fails_from_call.set(fails_from.map(|from| calls + from));
        let headers = match (ask.0, expected) {
            ("DELETE", _) => vec![ops],
            (_, 409) => vec![same, ("cookie", &*old)],
            _ => vec![same],
        };
        let seen = world.serve(&two, &request(ask.0, ask.1, &headers));
        assert_eq!(seen.status, Some(expected), "{}", seen.body);
        world.command.set("");
        world.shards.fails_from_call.set(None);
        let polls = world.shards.polls.get();
        assert_eq!(status(&world, &two, &old), Some(401), "{command} {ask:?} {limit}");
        assert_eq!(world.shards.polls.get(), polls);
    }
}

#[test]
fn a_row_that_is_gone_ends_its_sessions_and_a_later_one_is_not_known() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let later = site_plus(r#""map": [{"generation": 2, "shards": 128, "region": "weur"}]"#);
    let world = World::commanding("do=start, sub=\"alice\"");
    let (old, new) = (world.log_in(&one), world.log_in(&two));
    world.command.set("");
    assert_eq!((status(&world, &later, &old), status(&world, &later, &new)), (Some(401), None));
    assert_eq!(status(&world, &one, &new), Some(503), "an edge that does not know the row cannot know");
}

/// What docs/upgrading.md says of a table that goes back, and of the ways out.
#[test]
fn a_table_that_goes_back_past_a_row_has_to_go_on() {
    const THREE: &str = r#""map": [{"generation": 1, "shards": 64}, {"generation": 3, "shards": 64}]"#;
    let limit = r#""max_sessions": 5"#;
    let of = |rows: &str| site_plus(&format!("{rows}, {limit}"));
    let (one, two, back, three) = (of(ONE), of(TWO), of(ONE), of(THREE));
    let world = World::commanding("do=start, sub=\"alice\"");
    world.log_in(&one);
    let cookie = world.log_in(&two);
    world.command.set("");
    let kill = |site| {
        let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
        let seen = world.serve(site, &kill);
        (seen.status, seen.body.contains("ended_in_part"))
    };
    let log_in = |site, cookie: Option<&str>| {
        world.command.set("do=start, sub=\"alice\"");
        let same = ("sec-fetch-site", "same-origin");
        let headers: Vec<_> = cookie.map(|cookie| ("cookie", cookie)).into_iter().chain([same]).collect();
        let seen = world.serve(site, &request("POST", "/login", &headers));
        world.command.set("");
        (seen.status, seen.cookie().map(str::to_owned))
    };
    let log_out = request("POST", "/_warifu/logout", &[("cookie", &cookie), ("sec-fetch-site", "same-origin")]);
    for _ in 0..3 {
        world.pass(Duration::from_mins(5));
        assert_eq!(status(&world, &back, &cookie), Some(503));
        let left = world.serve(&back, &log_out);
        assert_eq!((left.status, left.cookie()), (Some(503), None), "nobody is told of an end that was none");
        assert_eq!(log_in(&back, Some(&cookie)), (Some(503), None));
        assert_eq!(log_in(&back, None), (Some(503), None), "the subject has left the first row");
        assert_eq!(kill(&back), (Some(503), true), "and it never becomes true");
    }
    let told = |says| {
        let is_told = |event: &Event| matches!(event, Event::StoreUnavailable { reason } if reason.contains(says));
        world.events.borrow().iter().any(is_told)
    };
    assert!(told("lacks generation 2 of the map") && told("a row of the map that this one lacks"));
    // The code of before, with the table of after.
    let with_table = of(TWO);
    assert_eq!(status(&world, &with_table, &cookie), None);
    let (none, again) = log_in(&with_table, Some(&cookie));
    assert_eq!(none, None);
    assert_eq!(status(&world, &with_table, &cookie), Some(401), "it was ended by the log-in");
    assert_eq!(kill(&with_table), (Some(200), false));
    assert_eq!(status(&world, &with_table, &again.expect("a cookie")), Some(401));
    // Or without the row, for good.
    let (_, cookie) = log_in(&with_table, None);
    let cookie = cookie.expect("a cookie");
    assert_eq!(status(&world, &three, &cookie), Some(401));
    for (after, expected) in [(120, (Some(503), true)), (69, (Some(503), true)), (1, (Some(200), false))] {
        world.pass(Duration::from_secs(after));
        let (none, newer) = log_in(&three, Some(&cookie));
        assert_eq!(none, None);
        assert_eq!(kill(&three), expected, "the minute begins with the first of them");
        assert_eq!(status(&world, &three, &newer.expect("a cookie")), Some(401));
    }
}

/// What docs/operations/incidents.md says of a feed that was lost.
#[test]
fn a_feed_that_was_lost_learns_of_a_row_from_whoever_has_it() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    for two_ends in [false, true] {
        let world = World::commanding("do=start, sub=\"alice\"");
        let (old, new) = (world.log_in(&one), world.log_in(&two));
        for statement in ["DELETE FROM map", "DELETE FROM meta WHERE name LIKE 'row%'"] {
            world.shards.feed.feed().sql().connection.execute(statement, []).expect("a loss");
        }
        world.command.set("do=start, sub=\"bob\"");
        if !two_ends {
            world.log_in(&two);
        }
        world.command.set("");
        let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
        let seen = world.serve(if two_ends { &two } else { &one }, &kill);
        assert_eq!(seen.status, Some(if two_ends { 200 } else { 503 }), "{}", seen.body);
        assert_eq!((status(&world, &two, &old), status(&world, &two, &new).is_some()), (Some(401), two_ends));
    }
}

#[test]
fn what_ends_all_of_a_subject_is_acknowledged_a_minute_after_a_row_was_taken_out() {
    let two = site_plus(TWO);
    let later = site_plus(r#""map": [{"generation": 2, "shards": 128, "region": "weur"}]"#);
    let world = World::commanding("do=start, sub=\"alice\"");
    let kill = |site| {
        let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
        world.serve(site, &kill).status
    };
    let log_in = |site| {
        world.command.set("do=start, sub=\"alice\"");
        let cookie = world.log_in(site);
        world.command.set("");
        cookie
    };
    let ends_all = |path, command| {
        let cookie = log_in(&later);
        world.command.set(command);
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
        let seen = world.serve(&later, &request("POST", path, &headers)).status;
        world.command.set("");
        (seen, status(&world, &later, &cookie))
    };
    log_in(&two);
    assert_eq!(kill(&later), Some(503), "a version that has the row may run still");
    world.pass(Duration::from_secs(40));
    log_in(&two);
    world.pass(Duration::from_secs(40));
    assert_eq!(kill(&later), Some(503), "one does");
    log_in(&two);
    assert_eq!(kill(&two), Some(200));
    world.pass(Duration::from_secs(70));
    log_in(&later);
    assert_eq!(kill(&later), Some(200));
    assert_eq!(ends_all("/login", "do=end-all"), (None, Some(401)));
    assert_eq!(ends_all("/_warifu/me/not-me", ""), (Some(200), Some(401)));
    log_in(&two);
    assert_eq!(ends_all("/login", "do=end-all"), (Some(503), Some(401)), "it was ended where this one knows");
}

/// A version that has a row still may let in what the others had there.
#[test]
fn what_ends_all_others_is_not_acknowledged_while_a_version_with_another_row_may_run() {
    let two = site_plus(TWO);
    let later = site_plus(r#""map": [{"generation": 2, "shards": 128, "region": "weur"}]"#);
    for (method, path, command) in [("POST", "/login", "do=end-others"), ("DELETE", "/_warifu/me/sessions", "")] {
        let world = World::commanding("do=start, sub=\"alice\"");
        world.log_in(&two);
        let cookie = world.log_in(&later);
        world.command.set(command);
        let ask = |cookie: &str| {
            let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
            world.serve(&later, &request(method, path, &headers))
        };
        let seen = ask(&cookie);
        assert_eq!(seen.status, Some(503), "{}", seen.body);
        assert!(seen.body.contains("ended_in_part") && seen.header("retry-after").is_some());
        let renewed = seen.cookie().expect("the new secret, without which the person is logged out").to_owned();
        let first = seen.header("set-cookie").expect("a cookie of another configuration is removed first");
        assert!(first.contains("=; ") && first.contains("; Partitioned"), "{first}");
        world.pass(Duration::from_secs(70));
        let again = ask(&renewed);
        assert!(matches!(again.status, None | Some(200)), "{}", again.body);
        let last = again.cookie().expect("another new secret").to_owned();
        world.command.set("");
        let seen = [&cookie, &renewed, &last].map(|cookie| status(&world, &later, cookie));
        assert_eq!(seen, [Some(401), Some(401), None], "{path}");
    }
}

#[test]
fn a_log_in_that_ends_others_is_not_done_by_half() {
    let two = site_plus(TWO);
    let later = site_plus(r#""map": [{"generation": 2, "shards": 128, "region": "weur"}]"#);
    let world = World::commanding("do=start, sub=\"alice\"");
    let other = world.log_in(&two);
    world.command.set("do=start, sub=\"alice\", end-others");
    let seen = world.serve(&later, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    assert_eq!((seen.status, seen.cookie()), (Some(503), None), "{}", seen.body);
    world.pass(Duration::from_secs(70));
    let cookie = world.log_in(&later);
    world.command.set("");
    assert_eq!((status(&world, &later, &cookie), status(&world, &later, &other)), (None, Some(401)));
}

/// The feed was out of reach at first, and then has found out.
#[test]
fn a_receipt_of_what_cannot_be_published_as_a_whole_says_so() {
    let two = site_plus(TWO);
    let later = site_plus(r#""map": [{"generation": 2, "shards": 128, "region": "weur"}]"#);
    let world = World::commanding("do=start, sub=\"alice\"");
    world.log_in(&two);
    world.command.set("");
    let call = |method, path: &str| world.serve(&later, &request(method, path, &[("authorization", "Bearer hunter2")]));
    world.shards.is_feed_down.set(true);
    let seen = call("DELETE", "/_warifu/sessions?subject=alice");
    assert_eq!(seen.status, Some(202), "{}", seen.body);
    let receipt: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
    let receipt = format!("/_warifu/revocations/{}", receipt["kill_id"].as_str().expect("a handle"));
    assert!(call("GET", &receipt).body.contains(r#""state":"committed""#), "the shard tries again");
    world.shards.is_feed_down.set(false);
    world.pass(Duration::from_secs(2));
    world.ring();
    assert_eq!(call("GET", &receipt).status, Some(503), "and nobody does any more");
}

#[test]
fn a_changed_row_is_refused() {
    let (one, changed) = (site(), site_plus(r#""map": [{"generation": 1, "shards": 65}]"#));
    let world = World::commanding("do=start, sub=\"alice\"");
    let cookie = world.log_in(&one);
    world.command.set("");
    assert_eq!(status(&world, &changed, &cookie), Some(500));
    assert!(world.event_names().contains(&"misconfigured".to_owned()));
}
