//! Who did what to whom, why, and from where: in the log, and at `GET audit`.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use warifu::site::Site;

use crate::support::{World, request, site, site_plus};

const OPS: (&str, &str) = ("authorization", "Bearer hunter2");

fn call(world: &World, site: &Site, method: &str, path: &str, body: &str) -> (u16, Value) {
    let seen = world.serve_with_body(site, &request(method, path, &[OPS]), body.as_bytes().to_vec());
    (seen.status.expect("our own answer"), serde_json::from_str(&seen.body).unwrap_or_default())
}

fn page(world: &World, site: &Site, query: &str) -> (Vec<Value>, Option<String>) {
    let (status, answer) = call(world, site, "GET", &format!("/_warifu/audit?{query}"), "");
    assert_eq!(status, 200, "{answer}");
    let next = answer["next"].as_str().map(str::to_owned);
    assert!(next.is_some() || answer["next"].is_null());
    (answer["events"].as_array().expect("events").clone(), next)
}

/// Every page of a query, and how many there were.
fn pages(world: &World, site: &Site, query: &str) -> (Vec<Value>, usize) {
    let (mut events, mut next) = page(world, site, query);
    let mut count = 1;
    while let Some(cursor) = next {
        let (more, then) = page(world, site, &format!("{query}&cursor={cursor}"));
        events.extend(more);
        (next, count) = (then, count + 1);
        assert!(count < 1_000, "it ends");
    }
    (events, count)
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().expect("a name")).collect()
}

fn mint(world: &World, site: &Site, subject: &str) -> String {
    let (status, answer) = call(world, site, "POST", "/_warifu/sessions", &format!(r#"{{"subject":"{subject}"}}"#));
    assert_eq!(status, 201, "{answer}");
    answer["session"]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_persons_history_says_who_what_why_and_from_where() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    world.pass(Duration::from_secs(1));
    world.address.set("2001:db8:1:2:3:4:5:6");
    world.serve(&site, &request("GET", "/signout", &[("cookie", &cookie)]));
    world.pass(Duration::from_secs(1));
    call(&world, &site, "DELETE", "/_warifu/sessions?subject=alice", "");
    let (events, next) = page(&world, &site, "subject=alice");
    assert_eq!(next, None);
    assert_eq!(names(&events), ["admin_called", "sessions_ended", "session_ended", "session_started"]);
    let start = &events[3];
    let id = start["session"].as_str().expect("an id");
    assert_eq!(
        *start,
        serde_json::json!({
            "at": "2025-06-15T15:06:40.000Z", "event": "session_started", "session": id, "subject": "alice",
            "actor": "origin", "reason": "do=start", "from": "203.0.113.0/24",
        })
    );
    let of = |event: &Value| {
        ["actor", "reason", "from"].map(|name| event[name].as_str().expect("a text").to_owned()).join(" ")
    };
    assert_eq!(of(&events[2]), "origin do=end 2001:db8:1::/48");
    assert_eq!(of(&events[1]), "admin:ops DELETE sessions 2001:db8:1::/48");
    assert_eq!((of(&events[0]).as_str(), &events[0]["session"]), ("admin:ops GET audit 2001:db8:1::/48", &Value::Null));
    let (events, _) = page(&world, &site, &format!("session={id}"));
    assert_eq!(names(&events), ["admin_called", "session_ended", "session_started"]);
}

/// The log has the same of each.
#[test]
fn a_line_of_the_log_says_it_too() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    world.serve(&site, &request("GET", "/signout", &[("cookie", &cookie)]));
    let whence = warifu::audit::Whence::new(Some("203.0.113.77"), None);
    let lines: Vec<Value> = world
        .events
        .borrow()
        .iter()
        .map(|event| serde_json::from_str(&event.to_line(world.shards.now.get(), &whence)).expect("JSON"))
        .collect();
    assert_eq!(names(&lines), ["session_started", "session_ended"]);
    for (line, reason) in lines.iter().zip(["do=start", "do=end"]) {
        let members = ["subject", "actor", "reason", "from", "at"].map(|name| line[name].as_str().unwrap_or("missing"));
        assert_eq!(members, ["alice", "origin", reason, "203.0.113.0/24", "2025-06-15T15:06:40.000Z"]);
        assert_eq!(line["session"].as_str().map(str::len), Some(22));
    }
}

/// Whose key it is that tries more than it may; of one that is not known nothing is written down.
#[test]
fn a_refusal_names_the_key_where_it_is_known() {
    let (world, site) = (World::with_login(), site());
    for key in ["Bearer reader", "Bearer hunter3"] {
        let seen = world.serve(&site, &request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", key)]));
        assert!(matches!(seen.status, Some(401 | 403)), "{}", seen.body);
    }
    let lines: Vec<Value> =
        world.events.borrow().iter().map(|event| serde_json::to_value(event).expect("JSON")).collect();
    let [known, unknown] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&known["event"], &known["key"]), (&"admin_refused".into(), &"reader".into()));
    assert_eq!((&unknown["event"], unknown.get("key")), (&"admin_refused".into(), None));
}

#[test]
fn what_a_user_does_is_the_users_doing() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let mine = |method, path: &str| world.serve(&site, &request(method, path, &[("cookie", &cookie)])).status;
    assert_eq!(mine("GET", "/_warifu/me/sessions"), Some(200));
    assert_eq!(mine("POST", "/_warifu/me/not-me"), Some(200));
    let (events, _) = page(&world, &site, "subject=alice");
    let ended = &events[1];
    assert_eq!((names(&events)[1], ended["actor"].as_str()), ("sessions_ended", Some("user")));
    assert_eq!(ended["reason"], "POST me/not-me");
    assert_eq!(events.len(), 3, "to look at one's own is no event");
}

/// Each event once, and the newest first within 32 shards.
#[test]
fn all_shards_are_read_in_groups() {
    let (world, site) = (World::with_login(), site());
    let mut started = Vec::new();
    for number in 0..300 {
        started.push(mint(&world, &site, &format!("user-{number}")));
        world.pass(Duration::from_millis(7));
    }
    for query in ["limit=100", "limit=7", "limit=1"] {
        let calls = world.shards.calls.get();
        let (events, pages) = pages(&world, &site, query);
        let asked = world.shards.calls.get() - calls;
        assert!(asked as usize <= 32 * pages, "{asked} calls for {pages} pages");
        assert_eq!(events.len(), 300, "a look at everybody's history is in the log only");
        let seen: HashSet<_> = events.iter().map(|event| event["session"].as_str().expect("an id")).collect();
        assert_eq!(seen.len(), 300);
        assert!(started.iter().all(|id| seen.contains(id.as_str())));
        assert_eq!(steps_back(&events), 1, "where the second group begins");
    }
}

/// How often a later event comes after an earlier one.
fn steps_back(events: &[Value]) -> usize {
    let at: Vec<_> = events.iter().map(|event| event["at"].as_str().expect("a time")).collect();
    at.windows(2).filter(|pair| pair[0] < pair[1]).count()
}

#[test]
fn what_happens_meanwhile_disturbs_no_page() {
    let (world, site) = (World::with_login(), site());
    for number in 0..40 {
        mint(&world, &site, &format!("user-{number}"));
        world.pass(Duration::from_secs(1));
    }
    let (mut events, mut next) = page(&world, &site, "limit=10");
    while let Some(cursor) = next {
        mint(&world, &site, &format!("late-{}", events.len()));
        let (more, then) = page(&world, &site, &format!("limit=10&cursor={cursor}"));
        events.extend(more);
        next = then;
    }
    let subjects: Vec<_> = events.iter().map(|event| event["subject"].as_str().expect("a subject")).collect();
    let old = subjects.iter().filter(|subject| subject.starts_with("user-")).count();
    let distinct: HashSet<_> = subjects.iter().collect();
    assert_eq!((old, distinct.len()), (40, subjects.len()), "each once");
    // What comes late to shards that are being read stands in no later page of theirs.
    assert_eq!(steps_back(&events), 1, "where the second group begins");
}

#[test]
fn a_kill_of_the_site_stands_in_every_shard_with_who_wanted_it() {
    let (world, site) = (World::with_login(), site_plus(r#""map": [{"generation": 1, "shards": 3}]"#));
    world.log_in(&site);
    assert_eq!(call(&world, &site, "DELETE", "/_warifu/sessions", r#"{"confirm":"default"}"#).0, 202);
    world.ring();
    let (events, _) = pages(&world, &site, "");
    let ended: Vec<_> = events.iter().filter(|event| event["event"] == "site_ended").collect();
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|event| event["actor"] == "admin:ops" && event["reason"] == "DELETE sessions"));
    let (events, _) = page(&world, &site, "subject=alice");
    assert_eq!(names(&events), ["admin_called", "site_ended", "session_started"], "it ended alice's too");
}

#[test]
fn a_cursor_or_parameter_of_something_else_is_refused() {
    let (world, site) = (World::with_login(), site());
    for number in 0..3 {
        mint(&world, &site, "alice");
        mint(&world, &site, &format!("user-{number}"));
    }
    let cursor = page(&world, &site, "subject=alice&limit=1").1.expect("there is more");
    assert_eq!(page(&world, &site, &format!("subject=alice&cursor={cursor}")).0.len(), 3);
    let status = |query: &str| call(&world, &site, "GET", &format!("/_warifu/audit?{query}"), "").0;
    for bad in [
        format!("cursor={cursor}"),
        format!("subject=bob&cursor={cursor}"),
        "subject=alice&cursor=AAAA".to_owned(),
        "limit=0".to_owned(),
        "limit=101".to_owned(),
        "limit=%2B1".to_owned(),
        "session=alice".to_owned(),
        "who=alice".to_owned(),
    ] {
        assert_eq!(status(&bad), 400, "{bad}");
    }
    let other_map = site_plus(r#""map": [{"generation": 1, "shards": 3}]"#);
    let everybody = page(&world, &site, "limit=1").1.expect("there is more");
    let (status, _) = call(&world, &other_map, "GET", &format!("/_warifu/audit?cursor={everybody}"), "");
    assert_eq!(status, 400, "of another map");
}

#[test]
fn only_who_may_read_sessions_reads_it() {
    let (world, site) = (World::with_login(), site());
    let status = |key: &str| {
        let header = [("authorization", key)];
        world.serve(&site, &request("GET", "/_warifu/audit", &header)).status
    };
    assert_eq!(status("Bearer wrong"), Some(401));
    assert_eq!(status("Bearer hunter2"), Some(200));
    world.shards.is_down.set(true);
    assert_eq!(status("Bearer hunter2"), Some(503), "a page with a hole would be no history");
}

#[test]
fn without_a_retention_nothing_is_kept() {
    let (world, site) = (World::with_login(), site_plus(r#""audit_retention": "0s""#));
    world.log_in(&site);
    assert_eq!(pages(&world, &site, "").0, [] as [Value; 0]);
    assert_eq!(world.event_names(), ["session_started", "admin_called", "admin_called"], "the log has it");
}

#[test]
fn no_secret_is_written_down() {
    let (world, site) = (World::with_login(), site_plus(r#""on_replay": "end""#));
    let cookie = world.log_in(&site);
    let token = cookie.split_once('=').expect("a cookie").1;
    world.serve(&site, &request("POST", "/_warifu/logout", &[("cookie", &cookie), ("sec-fetch-site", "same-origin")]));
    let (events, _) = page(&world, &site, "subject=alice");
    let text = serde_json::to_string(&events).expect("JSON");
    assert!(names(&events).contains(&"session_ended") && !text.contains(&token[8..20]), "{text}");
}

/// Anybody can make up a cursor, so that a first page cannot be told from others.
#[test]
fn who_looks_at_somebodys_history_is_noted_whichever_page_it_is() {
    let (world, site) = (World::with_login(), site());
    let id = mint(&world, &site, "alice");
    mint(&world, &site, "alice");
    for query in ["subject=alice".to_owned(), format!("session={id}")] {
        let cursor = page(&world, &site, &format!("{query}&limit=1")).1.expect("there is more");
        // Noted once an hour for each who looks.
        world.pass(Duration::from_secs(3_601));
        let looked = world.shards.now.get().to_rfc3339();
        page(&world, &site, &format!("{query}&limit=1&cursor={cursor}"));
        world.pass(Duration::from_secs(60));
        let events = pages(&world, &site, &query).0;
        let last = events.iter().find(|event| event["event"] == "admin_called").expect("a look");
        assert_eq!(last["at"], looked, "{query}: a cursor can be made up");
        world.pass(Duration::from_secs(3_601));
    }
}
