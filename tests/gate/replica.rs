//! The copy of session records in KV.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use warifu::site::Site;
use warifu::tally::{Outcome, Source};
use warifu::token::KeyRing;

use crate::support::{CONFIG, KEYS, KEYS_DROPPED, KEYS_ROTATED, World, request, site_plus, site_with};

/// The sessions' region is far from where requests enter (AS).
const FAR: &str = r#""replica": "away", "map": [{"generation": 1, "shards": 4, "region": "weur"}]"#;

fn status(world: &World, site: &Site, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", "/account", &[("cookie", cookie)])).status
}

/// Another isolate, whose window is fresh and whose memory knows no session.
fn begun(world: &World, config: &str) -> &'static Site {
    begun_with(world, config, KEYS)
}

fn begun_with(world: &World, config: &str, keys: &str) -> &'static Site {
    // A world knows its isolates by the addresses of their sites.
    let site = Box::leak(Box::new(site_with(&CONFIG.replacen('{', &format!("{{{config},"), 1), keys)));
    world.log_in(site);
    site
}

/// How many records of KV an isolate has gone by, and how many it has passed over,
/// of those that were given out since this was last asked.
fn went_by(world: &World, site: &Site) -> (u64, u64) {
    let gone_by = from_kv(world, site);
    (gone_by, world.shards.records.take() - gone_by)
}

fn from_kv(world: &World, site: &Site) -> u64 {
    world.memory(site).tally().checks(Source::Kv, Outcome::Live)
}

/// A record as whoever has the site's keys would write it.
fn vouched(site: &Site, name: &str, text: &str) -> String {
    let voucher = site.ring.voucher();
    format!("{}.{}.{text}", voucher.kid, Base64UrlUnpadded::encode_string(&voucher.mac(name, text)))
}

fn records(world: &World) -> Vec<(String, String)> {
    world.shards.kv.borrow().iter().map(|(name, record)| (name.clone(), record.clone())).collect()
}

#[test]
fn a_record_answers_where_the_request_enters_far_from_the_session() {
    let world = World::with_login();
    let first = site_plus(FAR);
    let cookie = world.log_in(&first);
    assert_eq!(records(&world).len(), 1, "written at the start");
    let second = begun(&world, FAR);
    let before = world.shards.calls.get();
    assert_eq!(status(&world, second, &cookie), None);
    assert_eq!((world.shards.calls.get(), from_kv(&world, second)), (before, 1));
    assert_eq!(status(&world, second, &cookie), None);
    assert_eq!(from_kv(&world, second), 1, "then memory has it");
}

#[test]
fn near_sessions_and_those_of_no_region_are_asked_for() {
    for config in [
        r#""replica": "away", "map": [{"generation": 1, "shards": 4, "region": "apac"}]"#,
        r#""replica": "away""#,
        r#""replica": "off", "map": [{"generation": 1, "shards": 4, "region": "weur"}]"#,
    ] {
        let world = World::with_login();
        let first = site_plus(config);
        let cookie = world.log_in(&first);
        let second = begun(&world, config);
        assert_eq!(status(&world, second, &cookie), None);
        assert_eq!(from_kv(&world, second), 0, "{config}");
    }
}

#[test]
fn a_record_of_before_a_kill_proves_nothing() {
    let world = World::with_login();
    let (first, killer) = (site_plus(FAR), site_plus(FAR));
    let cookie = world.log_in(&first);
    let kept = records(&world);
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(&killer, &call).status, Some(200));
    // KV still shows it, for as long as it likes.
    world.shards.kv.borrow_mut().extend(kept);
    let second = begun(&world, FAR);
    assert_eq!(status(&world, second, &cookie), Some(401));
    assert_eq!(went_by(&world, second), (0, 1));
}

/// The feed tells the isolate of something else before it tells of the end.
#[test]
fn what_an_isolate_has_ended_it_lets_in_by_no_record() {
    let (world, first, third) = (World::commanding("do=start, sub=\"alice\""), site_plus(FAR), site_plus(FAR));
    let cookie = world.log_in(&first);
    let record: serde_json::Value =
        serde_json::from_str(records(&world)[0].1.splitn(3, '.').nth(2).expect("a text")).expect("JSON");
    let id = record["session"]["id"].as_str().expect("an id");
    world.command.set("do=start, sub=\"bob\"");
    let second = begun(&world, FAR);
    let kill = |site: &Site, path: &str| {
        world.serve(site, &request("DELETE", path, &[("authorization", "Bearer hunter2")])).status
    };
    kill(&third, "/_warifu/sessions?subject=carol");
    world.pass(Duration::from_mins(4));
    world.log_in(&first);
    let before = records(&world);
    assert_eq!(status(&world, &first, &cookie), None);
    assert!(records(&world).iter().any(|record| !before.contains(record)), "renewed, by an edge that knows the entry");
    world.shards.is_feed_down.set(true);
    assert_eq!(kill(second, &format!("/_warifu/sessions/{id}")), Some(202), "committed");
    world.shards.is_feed_down.set(false);
    world.log_in(second);
    assert_eq!(status(&world, second, &cookie), Some(401));
    assert_eq!(from_kv(&world, second), 0);
}

#[test]
fn a_record_from_a_time_that_the_window_does_not_hold_proves_nothing() {
    let world = World::with_login();
    let first = site_plus(FAR);
    let cookie = world.log_in(&first);
    world.pass(Duration::from_secs(601));
    let second = begun(&world, FAR);
    assert_eq!(status(&world, second, &cookie), None);
    assert_eq!(went_by(&world, second), (0, 1), "older than the horizon");
}

#[test]
fn what_cannot_be_read_or_is_foreign_is_passed_over() {
    let world = World::with_login();
    let first = site_plus(FAR);
    let cookie = world.log_in(&first);
    let (name, good) = records(&world).remove(0);
    let text = good.splitn(3, '.').nth(2).expect("a text");
    let vouched = |text: &str| vouched(&first, &name, text);
    assert_eq!(vouched(text), good);
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        text.to_owned(),
        good.replace('.', ","),
        vouched("{"),
        vouched(&text.replace("\"v\":2", "\"v\":1")),
        vouched(&text.replace("\"position\"", "\"place\"")),
        vouched(&text.replace('}', ",\"more\":1}")),
        vouched(&"x".repeat(1 << 20)),
    ] {
        world.shards.kv.borrow_mut().insert(name.clone(), bad);
        let second = begun(&world, FAR);
        assert_eq!(status(&world, second, &cookie), None, "the object knows");
        assert_eq!(went_by(&world, second), (0, 1));
    }
}

/// Whoever can write into KV, and has an account, is nobody else by it.
#[test]
fn a_record_that_no_key_has_vouched_for_is_passed_over() {
    let world = World::commanding("do=start, sub=\"alice\", level=3");
    let first = site_plus(FAR);
    world.log_in(&first);
    world.command.set("do=start, sub=\"mallory\"");
    let known = records(&world);
    let cookie = world.log_in(&first);
    let (_, alices) = known[0].clone();
    let (name, good) = records(&world).into_iter().find(|record| !known.contains(record)).expect("another record");
    let others = site_plus(&format!(r#"{FAR}, "site": "other""#));
    let other_name = name.replace("2/default/", "2/other/");
    let text = good.splitn(3, '.').nth(2).expect("a text");
    let mut tag = good.clone().into_bytes();
    tag[4] = if tag[4] == b'A' { b'B' } else { b'A' };
    for bad in [
        alices,
        good.replace("mallory", "alice"),
        good.replace("\"level\":1", "\"level\":255"),
        good.replacen("1.", "2.", 1),
        good.replacen("1.", "01x.", 1),
        format!("{good} "),
        String::from_utf8(tag).expect("a text"),
        format!("1.{}.{text}", "A".repeat(43)),
        format!("1..{text}"),
        vouched(&others, &other_name, text),
    ] {
        assert_ne!(bad, good);
        world.shards.kv.borrow_mut().insert(name.clone(), bad);
        let second = begun(&world, FAR);
        let asked = world.origin.seen.borrow().len();
        assert_eq!(status(&world, second, &cookie), None, "the object knows");
        let sent = &world.origin.seen.borrow()[asked];
        let header = |name: &str| sent.edits.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.clone());
        assert_eq!(
            (header("warifu-subject").as_deref(), header("warifu-level").as_deref()),
            (Some("mallory"), Some("1"))
        );
        assert_eq!(went_by(&world, second), (0, 1));
    }
}

#[test]
fn a_record_counts_as_long_as_its_key_is_there() {
    let world = World::with_login();
    let cookie = world.log_in(&site_plus(FAR));
    let rotated = begun_with(&world, FAR, KEYS_ROTATED);
    assert_eq!((status(&world, rotated, &cookie), went_by(&world, rotated)), (None, (1, 0)));
    // The token was minted anew, and its record was not.
    let (name, token) = cookie.split_once('=').expect("a pair");
    let token = rotated.ring.verify(token).expect("a token");
    let newer = KeyRing::read(KEYS_DROPPED, "default").expect("keys").mint(token.locator(), token.secret());
    let dropped = begun_with(&world, FAR, KEYS_DROPPED);
    assert_eq!(status(&world, dropped, &format!("{name}={}", newer.expose())), None, "the object knows");
    assert_eq!(went_by(&world, dropped), (0, 1));
}

/// Records of the version before are under other names: each would else be told
/// of as one that cannot be read, while both versions run.
#[test]
fn records_of_the_version_before_are_not_looked_at() {
    let world = World::with_login();
    let cookie = world.log_in(&site_plus(FAR));
    let (name, good) = records(&world).remove(0);
    let text = good.splitn(3, '.').nth(2).expect("a text").replace("\"v\":2", "\"v\":1");
    world.shards.kv.borrow_mut().clear();
    world.shards.kv.borrow_mut().insert(name.replacen('2', "1", 1), text);
    let second = begun(&world, FAR);
    assert_eq!(status(&world, second, &cookie), None);
    assert_eq!(went_by(&world, second), (0, 0));
}

#[test]
fn a_log_out_removes_the_record_and_nothing_secret_stands_in_it() {
    let world = World::with_login();
    let site = site_plus(FAR);
    let cookie = world.log_in(&site);
    let token = cookie.split('=').nth(1).expect("a token");
    let (name, record) = records(&world).remove(0);
    assert!(name.starts_with("2/default/"));
    for part in [&token[8..50], &token[20..40]] {
        assert!(!record.contains(part) && !name.contains(part));
    }
    let out = request("POST", "/_warifu/logout", &[("cookie", &cookie)]);
    assert_eq!(world.serve(&site, &out).status, Some(204));
    assert!(records(&world).is_empty());
}

#[test]
fn the_stored_form_is_what_the_documents_say() {
    let world = World::with_login();
    let site = site_plus(FAR);
    world.log_in(&site);
    let (name, sealed) = records(&world).remove(0);
    let [kid, mac, record] = *sealed.splitn(3, '.').collect::<Vec<_>>() else { panic!("{sealed}") };
    let key: Vec<u8> = (0..32).collect();
    let said = ["warifu/2 record", "\0", &name, "\0", record].concat();
    let expected = Hmac::<Sha256>::new_from_slice(&key).expect("a key").chain_update(said).finalize().into_bytes();
    assert_eq!((kid, mac), ("1", &*Base64UrlUnpadded::encode_string(&expected)));
    let expected = r#"{"v":2,"position":{"epoch":"616e2065706f6368","seq":0},"confirmed":1750000000000,"session":"#;
    assert!(record.starts_with(expected), "{record}");
    let parsed: serde_json::Value = serde_json::from_str(record).expect("JSON");
    let members: Vec<&String> = parsed["session"].as_object().expect("an object").keys().collect();
    let listed = [
        "absolute_expires",
        "auth_time",
        "claims",
        "created",
        "device",
        "generation",
        "held",
        "id",
        "idle_expires",
        "last_seen",
        "level",
        "subject",
    ];
    assert_eq!(members, listed);
}
