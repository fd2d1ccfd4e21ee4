//! The stored form itself: which bytes, how many of them, and what is not there.

use std::time::Duration;

use warifu::session::{Claims, Device};
use warifu::store::message::{Settled, ShardCall, StartCall, Which};

use crate::adoption::adopts;
use crate::audit::by;
use crate::held::hold;
use crate::{Bench, GRACE, handle, id, start, subject};

/// As large as sessions commonly are.
fn common(number: u16) -> StartCall {
    let text = |text: &str| Some(text.to_owned());
    let user_agent = "Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/131.0.6778.135 Mobile Safari/537.36 abc";
    assert_eq!(user_agent.len(), 130);
    let device = Device {
        user_agent: text(user_agent),
        country: text("JP"),
        city: text("Kyoto"),
        first_prefix: text("203.0.113.0/24"),
        last_prefix: text("2001:db8:1::/48"),
    };
    StartCall { device, ..start(number, "0f8fad5b-d9cb-469f-a165-70867728950e") }
}

/// A changed stored form needs a version and a step of migration.
#[test]
fn stored_bytes_are_as_they_were() {
    let bench = Bench::new();
    let claims = Claims::parse(r#"{"plan":"gold"}"#);
    bench.start_as(StartCall { claims, ..start(1, "alice") }).expect("started");
    bench.pass(Duration::from_secs(1));
    bench.start_as(common(2)).expect("started");
    bench.raise(2, 21, 3).expect("raised");
    bench.rotate(21, 22).expect("rotated");
    bench.pass(Duration::from_secs(1));
    bench.is_live(22);
    bench.start(3, "bob");
    bench.end(Which::Id(id(3)), None).expect("alive");
    bench.start(4, "carol");
    bench.start(5, "carol");
    bench.end_others(4, 41).0.expect("alive");
    bench.start(6, "dave");
    bench.ask(ShardCall::Leave { subject: subject("dave"), keep: None, kill: handle(1) });
    bench.has_feed.set(false);
    bench.rotate(6, 61).expect("rotated");
    bench.start(7, "erin");
    bench.end(Which::Id(id(7)), None).expect("alive");
    bench.start_as(StartCall { hold: Some(hold(8)), ..start(8, "frank") }).expect("started");
    bench.claim(90);
    bench.claim(91);
    bench.start_as(StartCall { adopts: Some(adopts(91)), ..start(9, "grace") }).expect("started");
    bench.settle(91, Settled::Exchanged { at: id(9).locator() });
    bench.claim(92);
    bench.settle(92, Settled::Refused);
    bench.close("heidi");
    bench.by.replace(Some(by("admin:ops", "DELETE sessions")));
    bench.start(10, "ivan");
    bench.ask(ShardCall::EndSite { kill: handle(2) });
    assert_eq!(bench.dump(), include_str!("golden_shard_6.txt"));
}

#[test]
fn no_secret_is_stored() {
    let bench = Bench::new();
    bench.start(0xAB, "alice");
    bench.rotate(0xAB, 0xAC).expect("rotated");
    bench.raise(0xAC, 0xAD, 2).expect("raised");
    bench.end_others(0xAD, 0xAE).0.expect("alive");
    assert_eq!(bench.count("secrets"), 4);
    for secret in ["ab", "ac", "ad", "ae"] {
        assert!(!bench.dump().contains(&secret.repeat(32)), "only its hash is");
    }
}

/// Payload of a table or index, in bytes.
fn payload(bench: &Bench, name: &str) -> u64 {
    bench.number(&format!("SELECT coalesce(sum(payload), 0) FROM dbstat WHERE name = '{name}'"))
}

#[test]
fn a_common_session_takes_few_bytes() {
    let bench = Bench::new();
    bench.start_as(common(1)).expect("started");
    let row = payload(&bench, "sessions");
    let names = ["sessions", "sessions_by_subject", "sessions_by_expiry", "secrets", "secrets_by_session"];
    let total: u64 = names.iter().map(|name| payload(&bench, name)).sum();
    println!("a session's row: {row} bytes; with its indexes and its secret: {total} bytes");
    assert!(row <= 400, "{row} bytes");
    assert!(total <= 600, "{total} bytes");
    let secret = payload(&bench, "secrets") + payload(&bench, "secrets_by_session");
    bench.is_live(1);
    bench.pass(GRACE);
    bench.rotate(1, 2).expect("rotated");
    let old = payload(&bench, "secrets") + payload(&bench, "secrets_by_session") - secret;
    println!("an old secret within its grace adds {old} bytes");
    assert!(old <= 200, "{old} bytes");
}

/// A device is cut to what a row may hold, whatever a browser says.
#[test]
fn the_largest_device_takes_bounded_bytes() {
    let bench = Bench::new();
    let long = || Some("\u{5272}".repeat(10_000));
    let device =
        Device { user_agent: long(), country: long(), city: long(), first_prefix: long(), last_prefix: long() };
    bench.start_as(StartCall { device, ..start(1, &"s".repeat(255)) }).expect("started");
    let row = payload(&bench, "sessions");
    assert!(row <= 600, "{row} bytes");
}

#[test]
fn each_thing_is_found_by_an_index() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let plan = |statement: &str| {
        let sql = &bench.shard.sql().connection;
        let mut prepared = sql.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("a statement");
        let steps = prepared.query_map([], |row| row.get::<_, String>(3)).expect("a plan");
        steps.map(|step| step.expect("a step")).collect::<Vec<_>>().join("; ")
    };
    let statements = [
        "SELECT id FROM sessions WHERE subject = 'a' AND (created, id) < (1, x'00') ORDER BY created DESC, id DESC",
        "SELECT id FROM sessions WHERE idle_expires <= 1 ORDER BY idle_expires, id LIMIT 500",
        "SELECT subject FROM subjects WHERE unswept = 1 ORDER BY subject LIMIT 500",
        "SELECT s.id FROM subjects u CROSS JOIN sessions s ON s.subject = u.subject AND s.generation < u.generation
         WHERE u.unswept = 1 AND u.subject <= 'a' ORDER BY u.subject LIMIT 500",
        "DELETE FROM subjects WHERE unswept = 1 AND moved = 0 AND subject <= 'a'",
        "UPDATE subjects SET unswept = 0 WHERE unswept = 1 AND subject <= 'a'",
        "UPDATE secrets SET salt = NULL WHERE salt IS NOT NULL AND waits = 0 AND serves_until <= 1",
        "SELECT serves_until FROM secrets WHERE salt IS NOT NULL AND waits = 0 ORDER BY serves_until LIMIT 1",
        "SELECT id FROM kills WHERE seq IS NULL AND partial = 0 ORDER BY committed, id LIMIT 200",
        "SELECT committed FROM kills WHERE seq IS NULL AND partial = 0 LIMIT 1",
        "SELECT session, id FROM refreshes WHERE id IS NOT NULL AND due <= 1 ORDER BY due, session LIMIT 200",
        "SELECT due FROM refreshes WHERE id IS NOT NULL LIMIT 1",
        "SELECT due FROM refreshes ORDER BY due LIMIT 1",
        "SELECT learnt FROM ended WHERE subject IN ('a', '')",
        "SELECT learnt FROM ended ORDER BY learnt LIMIT 1",
        "UPDATE ended SET seq = 1 WHERE kill = x'00'",
        "SELECT id FROM kills WHERE committed <= 1 ORDER BY committed LIMIT 500",
        "SELECT max(rank) FROM secrets WHERE session = x'00'",
        "SELECT key FROM adopted WHERE forget <= 1 ORDER BY forget LIMIT 500",
        "SELECT min(forget) FROM adopted",
        "SELECT 1 FROM closed WHERE subject IN ('a', '') LIMIT 1",
        "DELETE FROM closed WHERE until <= 1",
        "SELECT 1 FROM secrets k JOIN sessions s ON s.id = k.session WHERE k.key = +x'00'",
    ];
    for statement in statements {
        let plan = plan(statement);
        assert!(!plan.contains("TEMP B-TREE"), "{statement}: {plan}");
        let whole = plan.split("; ").any(|step| step.starts_with("SCAN") && !step.contains("USING"));
        assert!(!whole, "{statement}: {plan}");
    }
}
