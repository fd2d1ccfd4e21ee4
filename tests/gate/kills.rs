//! Kills, their way into the feed, and their receipts.

use serde_json::Value;
use warifu::site::Site;

use crate::support::{CONFIG, KEYS, KEYS_DROPPED, World, request, site, site_plus, site_with};

const OPS: (&str, &str) = ("authorization", "Bearer hunter2");

fn call(world: &World, site: &Site, method: &str, path: &str, body: &str) -> (u16, Value) {
    let seen = world.serve_with_body(site, &request(method, path, &[OPS]), body.as_bytes().to_vec());
    (seen.status.expect("our own answer"), serde_json::from_str(&seen.body).unwrap_or_default())
}

fn status(world: &World, site: &Site, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", "/account", &[("cookie", cookie)])).status
}

#[test]
fn a_receipt_goes_from_published_to_quiesced() {
    let (world, site) = (World::with_login(), site());
    world.log_in(&site);
    world.ring();
    let (code, receipt) = call(&world, &site, "DELETE", "/_warifu/sessions?subject=alice", "");
    assert_eq!((code, receipt["state"].as_str()), (200, Some("published")));
    assert_eq!((receipt["epoch"].as_str(), receipt["seq"].as_u64()), (Some("616e2065706f6368"), Some(1)));
    assert_eq!((receipt["scope"].as_str(), receipt["bound_ms"].as_u64()), (Some("subject"), Some(2000)));
    assert_eq!(receipt["accepted_at"], "2025-06-15T15:06:40.000Z");
    assert_eq!(receipt["refused_everywhere_by"], "2025-06-15T15:06:42.052Z", "B, a thousandth of it, and 50 ms");
    let path = format!("/_warifu/revocations/{}", receipt["kill_id"].as_str().expect("an id"));
    world.pass(std::time::Duration::from_secs(3));
    let (code, later) = call(&world, &site, "GET", &path, "");
    assert_eq!((code, later["state"].as_str(), &later["kill_id"]), (200, Some("quiesced"), &receipt["kill_id"]));
    world.pass(std::time::Duration::from_hours(25));
    world.ring();
    assert_eq!(call(&world, &site, "GET", &path, "").0, 404, "kept for a day");
}

#[test]
fn who_waits_is_answered_when_no_edge_can_accept() {
    let (world, site) = (World::with_login(), site());
    world.log_in(&site);
    let before = world.shards.now.get();
    let (code, receipt) = call(&world, &site, "DELETE", "/_warifu/sessions?subject=alice&wait=quiesced", "");
    assert_eq!((code, receipt["state"].as_str()), (200, Some("quiesced")));
    assert_eq!(world.shards.now.get().since(before).as_millis(), 2_052);
    assert_eq!(call(&world, &site, "DELETE", "/_warifu/sessions?subject=alice&wait=soon", "").0, 400);
}

/// While it waited, the person's other tabs would come with the old secret, which is refused at
/// once, and is a replay after the grace.
#[test]
fn who_ends_all_others_gets_the_new_cookie_at_once() {
    let (world, site) = (World::with_login(), site_plus(r#""on_replay": "end""#));
    let cookie = world.log_in(&site);
    let before = world.shards.now.get();
    let ask = |path: &str| {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
        world.serve(&site, &request("DELETE", path, &headers))
    };
    assert_eq!(ask("/_warifu/me/sessions?wait=soon").status, Some(400));
    let seen = ask("/_warifu/me/sessions?wait=quiesced");
    assert_eq!((seen.status, world.shards.now.get()), (Some(200), before));
    assert!(seen.body.contains(r#""state":"published""#), "{}", seen.body);
    assert_eq!(status(&world, &site, seen.cookie().expect("a new cookie")), None);
}

#[test]
fn without_the_feed_a_kill_is_committed_and_published_later() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    world.shards.is_feed_down.set(true);
    let (code, receipt) = call(&world, &site, "DELETE", "/_warifu/sessions?subject=alice&wait=quiesced", "");
    assert_eq!((code, receipt["state"].as_str()), (202, Some("committed")));
    assert!(receipt["accepted_at"].is_null() && receipt["refused_everywhere_by"].is_null());
    assert_eq!(status(&world, &site, &cookie), Some(401), "the shard refuses at once");
    assert!(world.shards.alarm.get().is_some());
    world.ring();
    let path = format!("/_warifu/revocations/{}", receipt["kill_id"].as_str().expect("an id"));
    assert_eq!(call(&world, &site, "GET", &path, "").1["state"], "committed");
    world.shards.is_feed_down.set(false);
    world.pass(std::time::Duration::from_secs(2));
    world.ring();
    assert_eq!(call(&world, &site, "GET", &path, "").1["state"], "published");
}

/// "A moment ago" is nothing that a clock can be set back to: else a shard would
/// leave the feed alone for as long as the clock was ahead.
#[test]
fn a_clock_that_steps_back_does_not_keep_the_feed_out_of_reach() {
    let (world, site) = (World::with_login(), site());
    let first = world.log_in(&site);
    world.log_in(&site);
    world.shards.is_feed_down.set(true);
    let headers = [("cookie", first.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(world.serve(&site, &request("POST", "/_warifu/logout", &headers)).status, Some(204));
    world.shards.is_feed_down.set(false);
    world.shards.now.set(world.shards.now.get().minus(std::time::Duration::from_mins(5)).expect("later than 1970"));
    let (code, receipt) = call(&world, &site, "DELETE", "/_warifu/sessions?subject=alice", "");
    assert_eq!((code, receipt["state"].as_str()), (200, Some("published")));
}

#[test]
fn every_end_reaches_the_feed_once() {
    let (world, site) = (World::with_login(), site());
    let cookies = [world.log_in(&site), world.log_in(&site)];
    world.serve(&site, &request("POST", "/_warifu/logout", &[("cookie", &cookies[0])]));
    let login = request("POST", "/login", &[("cookie", &cookies[1]), ("sec-fetch-site", "same-origin")]);
    world.serve(&site, &login);
    for _ in 0..3 {
        world.ring();
    }
    let feed = world.shards.feed.feed().sql();
    let entries = warifu::store::Sql::run(feed, "SELECT kind FROM entries", &[]).expect("entries").len();
    assert_eq!(entries, 2, "the log-out, and the session that the new log-in replaced");
}

#[test]
fn a_kill_of_the_site_needs_its_name_and_reaches_every_shard() {
    let one = r#""map": [{"generation": 1, "shards": 64}]"#;
    let two = r#""map": [{"generation": 1, "shards": 64}, {"generation": 2, "shards": 70}]"#;
    let (one, two) = (site_plus(one), site_plus(two));
    let world = World::commanding("do=start, sub=\"alice\"");
    let older = world.log_in(&one);
    world.command.set("do=start, sub=\"bob\"");
    let newer = world.log_in(&two);
    world.command.set("");
    for body in ["", "{}", r#"{"confirm":"other"}"#, r#"{"confirm":"default","x":1}"#] {
        assert_eq!(call(&world, &two, "DELETE", "/_warifu/sessions", body).0, 400, "{body}");
    }
    assert_eq!((status(&world, &two, &older), status(&world, &two, &newer)), (None, None));
    for body in ["[]", "{}", r#"{"confirm":1}"#] {
        let path = "/_warifu/sessions?subject=alice";
        assert_eq!(
            call(&world, &two, "DELETE", path, body).0,
            400,
            "what it has no use for is no reason to guess: {body}"
        );
    }
    let (code, receipt) = call(&world, &two, "DELETE", "/_warifu/sessions", r#"{"confirm":"default"}"#);
    assert_eq!((code, receipt["state"].as_str(), receipt["scope"].as_str()), (202, Some("committed"), Some("site")));
    assert_eq!(receipt["progress"], serde_json::json!({"done": 0, "total": 134}));
    let path = format!("/_warifu/revocations/{}", receipt["kill_id"].as_str().expect("an id"));
    // Forty shards at a time; one round fails in its middle and is repeated.
    for (round, done) in [40, 40, 80, 120].into_iter().enumerate() {
        if round == 1 {
            world.shards.fails_from_call.set(Some(world.shards.calls.get() + 5));
        }
        let _ = pollster::block_on(world.shards.feed.wake(&world.shards));
        world.shards.fails_from_call.set(None);
        let told = call(&world, &two, "GET", &path, "").1;
        assert_eq!((told["progress"]["done"].as_u64(), &told["state"]), (Some(done), &Value::from("committed")));
    }
    world.ring();
    let told = call(&world, &two, "GET", &path, "").1;
    assert_eq!((told["progress"]["done"].as_u64(), told["state"].as_str()), (Some(134), Some("published")));
    assert_eq!((status(&world, &two, &older), status(&world, &two, &newer)), (Some(401), Some(401)));
    world.command.set("do=start, sub=\"bob\"");
    let login = request("POST", "/login", &[("sec-fetch-site", "same-origin")]);
    let early = world.serve(&two, &login);
    assert!(early.status == Some(409) && early.body.contains("killed_meanwhile"), "its shard has not been told yet");
    // All shards are told where the kill stands, as many at a time.
    for _ in 0..4 {
        world.ring();
    }
    let again = world.log_in(&two);
    assert_eq!(status(&world, &two, &again), None, "who logs in now is let in");
}

/// The id of alice's newest session.
fn newest(world: &World, site: &Site) -> String {
    let (code, page) = call(world, site, "GET", "/_warifu/sessions?subject=alice", "");
    assert_eq!(code, 200);
    page["sessions"][0]["id"].as_str().expect("an id").to_owned()
}

/// The answer to an end can be lost on its way. Whoever does it again must not
/// be told that there is nothing, while an edge still lets it in.
#[test]
fn an_end_that_is_done_again_gets_a_receipt() {
    const ALL: &str = "/_warifu/sessions?subject=alice";
    let (world, site) = (World::with_login(), site());
    assert_eq!(call(&world, &site, "DELETE", ALL, "").0, 404, "there never was any");
    assert_eq!(call(&world, &site, "DELETE", ALL, "").0, 404, "nor by having looked");
    let told = |method: &str, path: &str| {
        let before = world.shards.now.get();
        let (code, receipt) = call(&world, &site, method, path, "");
        let text = |name: &str| receipt[name].as_str().unwrap_or_default().to_owned();
        (code, text("state"), text("kill_id"), world.shards.now.get().since(before).as_millis())
    };
    for by_id in [false, true] {
        world.log_in(&site);
        let path = if by_id { format!("/_warifu/sessions/{}", newest(&world, &site)) } else { ALL.to_owned() };
        let quiet = format!("{path}{}wait=quiesced", if by_id { '?' } else { '&' });
        world.shards.is_feed_down.set(true);
        let (code, state, first, _) = told("DELETE", &path);
        assert_eq!((code, state.as_str()), (202, "committed"));
        let (code, state, again, took) = told("DELETE", &quiet);
        assert_eq!((code, state.as_str(), took), (202, "committed", 0), "{path}");
        assert_eq!(again == first, by_id, "a subject's is committed anew: a log-in on its way is refused");
        world.shards.is_feed_down.set(false);
        world.pass(std::time::Duration::from_secs(2));
        let (code, state, _, took) = told("DELETE", &quiet);
        assert_eq!((code, state.as_str(), took), (200, "quiesced", 2_052), "{path}");
        // By the object's clock it is over, which may have stepped.
        world.pass(std::time::Duration::from_secs(1));
        let (code, state, _, took) = told("DELETE", &quiet);
        assert_eq!((code, state.as_str(), took), (200, "quiesced", 2_052), "{path}");
        for hours in [23, 2] {
            world.pass(std::time::Duration::from_hours(hours));
            world.ring();
            assert_eq!(told("DELETE", &path).0, if hours == 23 { 200 } else { 404 }, "{path}");
        }
    }
    let ended = world.event_names().iter().filter(|name| *name == "session_ended").count();
    assert_eq!(ended, 1, "it has ended once");
}

#[test]
fn who_ends_a_session_of_ones_own_again_gets_its_receipt() {
    let site = site_plus(r#""map": [{"generation": 1, "shards": 1}]"#);
    let world = World::commanding("do=start, sub=\"alice\"");
    let mut cookies = vec![world.log_in(&site)];
    world.pass(std::time::Duration::from_millis(1));
    cookies.push(world.log_in(&site));
    let id = newest(&world, &site);
    world.command.set("do=start, sub=\"bob\"");
    cookies.push(world.log_in(&site));
    let end = |cookie: &str| {
        let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
        let seen = world.serve(&site, &request("DELETE", &format!("/_warifu/me/sessions/{id}"), &headers));
        let receipt: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        (seen.status, receipt["kill_id"].as_str().map(str::to_owned))
    };
    assert_eq!(end(&cookies[2]).0, Some(404), "somebody else's");
    let first = end(&cookies[0]);
    assert!(first.0 == Some(200) && first.1.is_some());
    assert_eq!(end(&cookies[0]), first);
    assert_eq!(end(&cookies[2]), (Some(404), None), "it is not bob's by having ended");
    call(&world, &site, "GET", &format!("/_warifu/audit?subject=bob&session={id}"), "");
    assert_eq!(end(&cookies[2]).0, Some(404), "nor by what an administrator has asked");
}

/// After the loss of a key, which docs/operations/keys.md has.
#[test]
fn sessions_that_nobody_can_present_count_until_the_site_is_ended() {
    let config = CONFIG.replacen('{', r#"{"max_sessions": 1, "on_limit": "refuse","#, 1);
    let (before, after) = (site_with(&config, KEYS), site_with(&config, KEYS_DROPPED));
    let world = World::with_login();
    let cookie = world.log_in(&before);
    let log_in = || {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
        world.serve(&after, &request("POST", "/login", &headers)).status
    };
    assert_eq!(log_in(), Some(409));
    assert_eq!(call(&world, &after, "DELETE", "/_warifu/sessions", r#"{"confirm":"default"}"#).0, 202);
    for _ in 0..6 {
        world.ring();
    }
    assert_eq!(log_in(), None);
}
