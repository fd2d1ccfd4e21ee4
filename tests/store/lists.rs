//! The sessions of a subject, a page at a time.

use std::time::Duration;

use warifu::session::SessionId;
use warifu::store::message::{Mark, Which};

use crate::{Bench, id};

/// 230 sessions of alice, several to a millisecond, among some of bob's.
fn crowded() -> Bench {
    let bench = Bench::new();
    for number in 1..=230 {
        bench.start(number, "alice");
        if number % 7 == 0 {
            bench.start(1_000 + number, "bob");
            bench.pass(Duration::from_millis(1));
        }
    }
    bench
}

/// All pages of so many, with something done after each.
fn pages(bench: &Bench, limit: u32, after_each: impl Fn(&[SessionId])) -> Vec<SessionId> {
    let (mut all, mut mark) = (Vec::new(), None);
    loop {
        let (sessions, more) = bench.page("alice", mark, limit);
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        assert!(sessions.len() <= 100 && sessions.iter().all(|session| session.subject.as_str() == "alice"));
        all.extend(&ids);
        after_each(&ids);
        let Some(last) = sessions.last().filter(|_| more) else { return all };
        mark = Some(Mark { created: last.created, id: last.id });
    }
}

#[test]
fn pages_hold_each_session_once_the_newest_first() {
    let bench = crowded();
    let all = pages(&bench, 100, |_| ());
    let ordered = bench.shard.sql();
    let rows = warifu::store::Sql::run(
        ordered,
        "SELECT id FROM sessions WHERE subject = 'alice' ORDER BY created DESC, id DESC",
        &[],
    );
    let expected: Vec<_> =
        rows.expect("rows").iter().map(|row| SessionId::from_bytes(row.bytes(0).expect("an id"))).collect();
    assert_eq!(all.len(), 230);
    assert_eq!(all, expected);
    for limit in [1, 7, 99, 230] {
        assert_eq!(pages(&bench, limit, |_| ()), expected, "{limit} a page");
    }
    assert_eq!(bench.page("alice", None, 0).0.len(), 1, "a page has one at least");
    assert_eq!(bench.page("alice", None, u32::MAX).0.len(), 100, "and a hundred at most");
}

#[test]
fn a_page_that_is_just_full_is_not_followed_by_an_empty_one() {
    let bench = Bench::new();
    for number in 1..=4 {
        bench.start(number, "alice");
    }
    assert!(!bench.page("alice", None, 4).1);
    assert!(bench.page("alice", None, 3).1);
}

#[test]
fn sessions_that_end_between_two_pages_move_no_other() {
    let bench = crowded();
    let before = pages(&bench, 100, |_| ());
    // Of each page the last one, which is the mark, the first, and one in the middle.
    let all = pages(&bench, 50, |page| {
        for ended in [page.len() - 1, 0, page.len() / 2] {
            bench.end(Which::Id(page[ended]), None).expect("alive");
        }
    });
    assert_eq!(all, before, "none twice and none left out");
    assert_eq!(bench.page("alice", None, 100).0.len(), 100);
    assert_eq!(pages(&bench, 100, |_| ()).len(), 230 - 3 * 5);
}

#[test]
fn what_ends_before_its_page_is_not_on_it_and_what_starts_is_on_none() {
    let bench = crowded();
    let first = bench.page("alice", None, 100).0;
    let mark = Mark { created: first[99].created, id: first[99].id };
    let following = bench.page("alice", Some(mark), 100).0;
    bench.end(Which::Id(following[10].id), None).expect("alive");
    bench.pass(Duration::from_secs(1));
    bench.start(500, "alice");
    let now: Vec<_> = bench.page("alice", Some(mark), 99).0;
    assert_eq!(now.len(), 99);
    assert!(now.iter().all(|session| session.id != following[10].id && session.id != id(500)));
    assert_eq!(now[10], following[11]);
    assert_eq!(bench.page("alice", None, 1).0[0].id, id(500), "it is on the first");
}

#[test]
fn a_list_knows_nothing_of_the_dead_and_of_others() {
    let bench = crowded();
    assert!(bench.list("carol").is_empty());
    bench.end_all("alice");
    assert!(bench.list("alice").is_empty());
    assert_eq!(bench.list("bob").len(), 32);
}
