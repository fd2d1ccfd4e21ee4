//! The audit table: what is written down, with what, for how long, and how it
//! is read.

use std::time::Duration;

use warifu::store::Sql;
use warifu::store::message::{AuditCall, Audited, By, ListCall, ShardAnswer, ShardCall, StartCall, Which};

use crate::{Bench, DAY, EPOCH, GRACE, NOW, end_all_here, handle, id, key, limit, millis, start, subject, update_call};

const KEEP: Duration = Duration::from_hours(30 * 24);

pub fn by(actor: &str, reason: &str) -> By {
    let from = Some("203.0.113.0/24".to_owned());
    By { actor: actor.to_owned(), reason: reason.to_owned(), from, keep_ms: millis(KEEP) }
}

/// A shard that is asked by the application.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.by.replace(Some(by("origin", "do=what")));
    bench
}

fn page(bench: &Bench, call: AuditCall) -> (Vec<Audited>, u64) {
    let asked_by = bench.by.take();
    let answer = bench.ask(ShardCall::Audit(call));
    bench.by.replace(asked_by);
    match answer {
        ShardAnswer::Audit { events, reached } => (events, reached),
        other => panic!("{other:?}"),
    }
}

const ALL: AuditCall = AuditCall { subject: None, session: None, before: None, limit: 100 };

/// What is there, the oldest first: event, session, subject, actor, reason.
fn told(bench: &Bench) -> Vec<String> {
    let number = |audited: &Audited| audited.session.map_or(0, |id| id.as_bytes()[15]);
    let line = |audited: Audited| {
        let of = audited.subject.as_deref().unwrap_or("-");
        format!("{} {} {of} {} {}", audited.event, number(&audited), audited.actor, audited.reason)
    };
    let mut lines: Vec<_> = page(bench, ALL).0.into_iter().map(line).collect();
    lines.reverse();
    lines
}

#[test]
fn what_happens_is_written_down_with_what_it_is() {
    let bench = bench();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.raise(2, 3, 2).expect("raised");
    bench.update(update_call(Which::Id(id(1)), None, Some(1))).expect("changed");
    bench.renew(3);
    assert!(bench.is_live(3));
    bench.start_as(StartCall { presented: Some(key(3)), ..start(4, "alice") }).expect("started");
    bench.start_as(StartCall { limit: Some(limit(1, true)), ..start(5, "alice") }).expect("started");
    bench.end_others(5, 6).0.expect("alive");
    bench.start_as(StartCall { end_others: true, ..start(7, "alice") }).expect("started");
    bench.end(Which::Id(id(7)), None).expect("alive");
    bench.end_all("alice");
    bench.ask(ShardCall::EndSite { kill: handle(9) });
    assert_eq!(
        told(&bench),
        [
            "session_started 1 alice origin do=what",
            "session_rotated 1 alice origin do=what",
            "session_rotated 1 alice origin do=what",
            "session_updated 1 alice origin do=what",
            "session_replaced 1 alice origin do=what",
            "session_started 4 alice origin do=what",
            "session_ended 4 alice limit max_sessions",
            "session_started 5 alice origin do=what",
            "sessions_ended 5 alice origin do=what",
            "sessions_ended 7 alice origin do=what",
            "session_started 7 alice origin do=what",
            "session_ended 7 alice origin do=what",
            "sessions_ended 0 alice origin do=what",
            "site_ended 0 - origin do=what",
        ]
    );
    let (events, _) = page(&bench, ALL);
    assert!(events.iter().all(|event| event.at == NOW && event.from.as_deref() == Some("203.0.113.0/24")));
}

/// Who has an account can do it without end, and would push out everybody's history.
#[test]
fn an_end_of_others_where_there_are_none_is_noted_once_an_hour() {
    for (actor, expected) in [("user", 2), ("admin:ops", 20)] {
        let bench = bench();
        bench.by.replace(Some(by(actor, "DELETE me/sessions")));
        bench.start(1, "alice");
        for number in 1..=10 {
            bench.end_others(number, number + 1).0.expect("alive");
        }
        for _ in 0..10 {
            bench.ask(end_all_here("bob", handle(1)));
        }
        let ends = told(&bench).iter().filter(|line| line.starts_with("sessions_ended")).count();
        assert_eq!(ends, expected, "{actor}; what administrators do is all there");
        bench.start(30, "alice");
        bench.end_others(11, 12).0.expect("alive");
        let ends = told(&bench).iter().filter(|line| line.starts_with("sessions_ended")).count();
        assert_eq!(ends, expected + 1, "and what has ended something is");
    }
}

#[test]
fn what_changes_nothing_is_not_written_down() {
    let bench = bench();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    // All that race are given the same.
    bench.rotate(1, 9).expect("repeated");
    assert_eq!(bench.end(Which::Id(id(8)), None), None);
    bench.check(2);
    bench.list("alice");
    assert_eq!(told(&bench).len(), 2);
}

#[test]
fn an_event_and_what_it_tells_of_are_one_commit() {
    for fails_after in 0.. {
        let bench = bench();
        bench.start(1, "alice");
        bench.shard.sql().fails_after.set(Some(fails_after));
        let answer = bench.ask_alone(ShardCall::Start(Box::new(start(2, "alice"))));
        bench.shard.sql().fails_after.set(None);
        let is_started = bench.show(2).is_some();
        assert_eq!(told(&bench).len() == 2, is_started, "statement {fails_after} failed");
        if matches!(answer, ShardAnswer::Started { .. }) {
            assert!(is_started && fails_after > 8);
            break;
        }
    }
}

/// Whoever has an old token, or a password, can cause it without an end.
#[test]
fn a_replay_and_a_refused_start_are_noted_once_an_hour() {
    let bench = bench();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.is_live(2);
    bench.pass(GRACE);
    let refused = || StartCall { limit: Some(limit(1, false)), ..start(3, "alice") };
    for _ in 0..10 {
        assert!(bench.is_replay(1));
        assert!(matches!(bench.start_as(refused()), Err(ShardAnswer::LimitReached)));
        bench.pass(Duration::from_mins(1));
    }
    assert_eq!(
        told(&bench)[2..],
        ["token_replayed 1 alice origin replay", "start_refused 0 alice origin max_sessions"]
    );
    for _ in 0..3 {
        bench.pass(Duration::from_mins(20));
        bench.renew(2);
    }
    assert!(bench.is_replay(1));
    assert_eq!(told(&bench).len(), 5);
}

#[test]
fn the_end_of_a_replayed_session_is_noted_too() {
    let bench = bench();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.is_live(2);
    bench.pass(GRACE);
    assert!(bench.check_with(1, Some(handle(5))).2);
    assert_eq!(told(&bench)[2..], ["token_replayed 1 alice origin replay", "session_ended 1 alice replay on_replay"]);
}

#[test]
fn a_log_in_that_a_kill_overtook_is_noted() {
    let bench = bench();
    bench.end_all("alice");
    let since = Some(warifu::revocation::Position { epoch: EPOCH, seq: 0 });
    assert!(matches!(bench.start_as(StartCall { since, ..start(1, "alice") }), Err(ShardAnswer::KilledMeanwhile)));
    assert_eq!(
        told(&bench),
        ["sessions_ended 0 alice origin do=what", "start_refused 0 alice origin killed_meanwhile"]
    );
}

#[test]
fn what_an_administrator_looks_at_is_written_down() {
    let bench = bench();
    bench.start(1, "alice");
    bench.by.replace(Some(by("admin:ops", "GET sessions")));
    let list = ShardCall::List(ListCall { subject: subject("alice"), after: None, limit: 10 });
    assert!(matches!(bench.ask(list), ShardAnswer::Sessions { sessions, .. } if sessions.len() == 1));
    assert!(matches!(bench.ask(ShardCall::Show { id: id(1) }), ShardAnswer::Shown { session: Some(_) }));
    let audit = ShardCall::Audit(AuditCall { subject: Some(subject("bob")), ..ALL });
    assert!(matches!(bench.ask(audit), ShardAnswer::Audit { events, .. } if events.len() == 1));
    assert_eq!(
        told(&bench)[1..],
        [
            "admin_called 0 alice admin:ops GET sessions",
            "admin_called 1 alice admin:ops GET sessions",
            "admin_called 0 bob admin:ops GET sessions",
        ]
    );
}

/// The console asks for a subject's history every ten seconds.
#[test]
fn a_look_at_a_history_is_noted_once_an_hour_for_each_who_looks_and_why() {
    let bench = bench();
    bench.start(1, "alice");
    let look = |actor: &str, reason: &str, name: &str| {
        bench.by.replace(Some(by(actor, reason)));
        let audit = ShardCall::Audit(AuditCall { subject: Some(subject(name)), ..ALL });
        assert!(matches!(bench.ask(audit), ShardAnswer::Audit { .. }));
    };
    for _ in 0..10 {
        look("admin:ops", "GET audit", "alice");
        bench.pass(Duration::from_mins(1));
    }
    look("admin:other", "GET audit", "alice");
    look("admin:ops", "GET audit", "bob");
    look("admin:ops", "GET else", "alice");
    // Somebody else may have the key.
    bench.by.replace(Some(By { from: Some("198.51.100.0/24".to_owned()), ..by("admin:ops", "GET audit") }));
    bench.ask(ShardCall::Audit(AuditCall { subject: Some(subject("alice")), ..ALL }));
    assert_eq!(
        told(&bench)[1..],
        [
            "admin_called 0 alice admin:ops GET audit",
            "admin_called 0 alice admin:other GET audit",
            "admin_called 0 bob admin:ops GET audit",
            "admin_called 0 alice admin:ops GET else",
            "admin_called 0 alice admin:ops GET audit",
        ]
    );
    bench.pass(Duration::from_mins(50));
    look("admin:ops", "GET audit", "alice");
    assert_eq!(told(&bench).len(), 7);
}

#[test]
fn pages_are_of_one_subject_or_session_newest_first() {
    let bench = bench();
    for number in 1..=30 {
        bench.start(number, ["alice", "bob"][usize::from(number % 2)]);
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let (events, reached) = page(&bench, AuditCall { subject: Some(subject("bob")), before, limit: 4, ..ALL });
        seen.extend(events.iter().map(|event| event.session.expect("one").as_bytes()[15]));
        if reached == 0 {
            break;
        }
        before = Some(reached);
    }
    assert_eq!(seen, (1..=30).rev().filter(|number| number % 2 == 1).collect::<Vec<u8>>());
    let (events, reached) = page(&bench, AuditCall { session: Some(id(7)), ..ALL });
    assert_eq!((events.len(), events[0].session, reached), (1, Some(id(7)), 0));
    let (events, reached) = page(&bench, AuditCall { before: Some(5), limit: 2, ..ALL });
    assert_eq!((events[0].seq, events[1].seq, reached), (4, 3, 3));
}

/// An end of all names no session, but the one that it leaves.
#[test]
fn a_session_comes_with_the_ends_of_the_site_and_with_ends_of_all_that_left_it() {
    let bench = bench();
    bench.start(1, "alice");
    bench.start(2, "alice");
    bench.start(3, "bob");
    bench.end_others(2, 4).0.expect("alive");
    bench.ask(ShardCall::EndSite { kill: handle(9) });
    let of = |session| {
        let (events, reached) = page(&bench, AuditCall { session: Some(id(session)), ..ALL });
        assert_eq!(reached, 0);
        events.into_iter().map(|audited| audited.event).collect::<Vec<_>>()
    };
    assert_eq!(of(1), ["site_ended", "session_started"], "who ended it is among the subject's");
    assert_eq!(of(2), ["site_ended", "sessions_ended", "session_started"]);
    assert_eq!(of(3), ["site_ended", "session_started"]);
    let call = AuditCall { session: Some(id(2)), subject: Some(subject("bob")), ..ALL };
    assert_eq!(page(&bench, call).0.len(), 1, "a session of somebody else's is not shown, the end of the site is");
}

/// Whoever looks for one among many reads a bounded number of rows at a time.
#[test]
fn a_page_reads_past_a_bounded_number_of_rows() {
    let bench = bench();
    bench.start(1, "alice");
    bench.run(
        "INSERT INTO audit (at, event, subject, actor, reason)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
         SELECT 1750000000000, 'session_started', 'bob', 'origin', 'do=start' FROM n",
    );
    let (mut before, mut pages, mut seen) = (None, 0, 0);
    loop {
        let (events, reached) = page(&bench, AuditCall { subject: Some(subject("alice")), before, ..ALL });
        (pages, seen) = (pages + 1, seen + events.len());
        if reached == 0 {
            break;
        }
        before = Some(reached);
    }
    assert_eq!((pages, seen), (3, 1));
}

#[test]
fn rows_leave_when_they_have_been_kept_for_long_enough() {
    let bench = bench();
    bench.start(1, "alice");
    bench.end(Which::Id(id(1)), None).expect("alive");
    bench.pass(DAY);
    bench.start(2, "alice");
    bench.end(Which::Id(id(2)), None).expect("alive");
    let mut at = bench.wake().expect("there is something to remove");
    while at < NOW.plus(KEEP) {
        bench.now.set(at);
        assert_eq!(bench.count("audit"), 4);
        at = bench.wake().expect("there is something to remove");
    }
    assert_eq!(at, NOW.plus(KEEP), "not long after");
    bench.now.set(at);
    let next = bench.wake().expect("there is more");
    assert_eq!((bench.count("audit"), next), (2, NOW.plus(DAY).plus(KEEP)));
    bench.now.set(next);
    assert_eq!((bench.wake(), bench.count("audit")), (None, 0), "the alarm rests");
}

/// As the newest call has it.
#[test]
fn a_shorter_retention_is_for_what_is_there_too() {
    let bench = bench();
    bench.start(1, "alice");
    bench.pass(DAY);
    let short = By { keep_ms: millis(Duration::from_hours(1)), ..by("origin", "do=what") };
    bench.by.replace(Some(short));
    bench.start(2, "alice");
    bench.wake();
    assert_eq!(told(&bench), ["session_started 2 alice origin do=what"]);
    bench.by.replace(Some(By { keep_ms: 0, ..by("origin", "do=what") }));
    bench.start(3, "alice");
    assert_eq!(told(&bench).len(), 1, "no table is wanted");
    bench.by.replace(None);
    bench.start(4, "alice");
    assert_eq!(told(&bench).len(), 1, "an older version does not say who it is");
}

#[test]
fn a_sweep_removes_a_batch_at_a_time() {
    let bench = bench();
    bench.start(1, "alice");
    bench.run(
        "INSERT INTO audit (at, event, subject, actor, reason)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         SELECT 1750000000000, 'session_started', 'bob', 'origin', 'do=start' FROM n",
    );
    bench.now.set(NOW.plus(KEEP));
    let mut left = Vec::new();
    for _ in 0..3 {
        bench.wake();
        left.push(bench.count("audit"));
    }
    assert_eq!(left, [701, 201, 0]);
}

#[test]
fn a_shard_has_a_bounded_number_of_rows() {
    let bench = bench();
    bench.run("SELECT 1");
    bench.start(1, "alice");
    bench.run(
        "INSERT INTO audit (at, event, subject, actor, reason)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
         SELECT 1750000000000, 'session_started', 'bob', 'origin', 'do=start' FROM n",
    );
    for number in 2..7 {
        bench.start(number, "alice");
        assert_eq!(bench.count("audit"), 100_000);
    }
    assert_eq!(bench.number("SELECT min(seq) FROM audit"), 6, "the oldest leave");
}

/// What an event costs: one row, and one more when it leaves.
#[test]
fn an_event_is_one_row() {
    let rows_of = |has_by: bool| {
        let bench = Bench::new();
        let who = || has_by.then(|| by("origin", "do=rotate"));
        bench.by.replace(who());
        bench.start(1, "alice");
        let changes = || bench.shard.sql().connection.total_changes();
        let mut counts = Vec::new();
        let mut counted = |work: &dyn Fn()| {
            let before = changes();
            work();
            counts.push(changes() - before);
        };
        counted(&|| assert!(bench.start_as(start(2, "alice")).is_ok()));
        counted(&|| assert!(bench.rotate(1, 3).is_some()));
        counted(&|| bench.renew(3));
        counted(&|| assert!(bench.end(Which::Id(id(2)), None).is_some()));
        counts
    };
    let (without, with) = (rows_of(false), rows_of(true));
    let more: Vec<_> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
    assert_eq!(more, [1, 1, 0, 1], "start, rotation, renewal, end");
    let bench = bench();
    bench.start(1, "alice");
    let plan = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit'";
    assert_eq!(bench.number(plan), 0, "an index is a row for each event");
    let _ = bench.shard.sql().run("SELECT 1", &[]);
}
