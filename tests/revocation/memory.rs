//! How long an isolate goes by what it remembers. Its clock may stand still, so
//! each span ends that much sooner.

use std::rc::Rc;
use std::time::Duration;

use warifu::revocation::{EntryKey, Known, Memory};
use warifu::session::{Served, Session};
use warifu::token::SessionKey;

use crate::{NOW, answer, at, session, subject};

const IDLE: Duration = Duration::from_mins(30);
const SPAN: Duration = Duration::from_secs(30);
/// The last millisecond in which a span of so long counts.
const LAST: u64 = 30_000 - 50;

fn key() -> SessionKey {
    SessionKey::from_bytes([1; 32])
}

/// A verdict, and a window that was proved at the same time.
fn memory() -> Memory {
    let memory = Memory::default();
    memory.observe(NOW);
    let sent = memory.poll(NOW);
    assert!(memory.polled(&sent, answer(1, 10, 10, &[])));
    memory.keep(&memory.question(NOW), key(), Rc::new(session(1)), Served::Current);
    memory
}

#[test]
fn memory_counts_for_the_bound_less_what_a_clock_stands_still() {
    for (now, counts) in [(LAST, true), (LAST + 1, false)] {
        let is_live = matches!(memory().look(&key(), at(now), SPAN, IDLE), Known::Live(..));
        assert_eq!(is_live, counts, "{now}");
    }
}

#[test]
fn an_answer_is_a_proof_as_a_poll_is() {
    let asked = 40_000;
    for (now, counts) in [(asked + LAST, true), (asked + LAST + 1, false)] {
        let memory = memory();
        memory.observe(at(asked));
        assert!(matches!(memory.look(&key(), at(asked), SPAN, IDLE), Known::Nothing));
        memory.keep(&memory.question(at(asked)), key(), Rc::new(session(1)), Served::Current);
        let Known::Live(_, proof) = memory.look(&key(), at(now), SPAN, IDLE) else {
            assert!(!counts, "{now}");
            continue;
        };
        assert!(counts && proof == at(asked), "{now}");
    }
}

#[test]
fn it_is_none_where_the_feed_may_have_forgotten_the_bound() {
    let hour = 3_600_000;
    for (asked, counts) in [(hour - 1_000, true), (hour, true), (hour + 1, false)] {
        let memory = memory();
        let lasting = Session { idle_expires: at(3 * hour), ..session(1) };
        memory.keep(&memory.question(at(asked)), key(), Rc::new(lasting), Served::Current);
        assert_eq!(matches!(memory.look(&key(), at(asked), SPAN, IDLE), Known::Live(..)), counts, "{asked}");
    }
}

#[test]
fn an_answer_of_before_an_end_that_is_known_is_none() {
    let memory = memory();
    memory.keep(&memory.question(at(40_000)), key(), Rc::new(session(1)), Served::Current);
    memory.changed_session(session(1).id);
    assert!(matches!(memory.look(&key(), at(40_001), SPAN, IDLE), Known::Nothing));
}

/// What is noted of an end that the next poll tells of.
#[test]
fn how_late_an_end_was_heard_of_goes_by_what_was_relied_upon() {
    let noted = |relied: &[(u64, u64)], polled: u64| {
        let memory = memory();
        for (asked, looked) in relied {
            memory.keep(&memory.question(at(*asked)), key(), Rc::new(session(1)), Served::Current);
            assert!(matches!(memory.look(&key(), at(*looked), SPAN, IDLE), Known::Live(..)));
        }
        memory.observe(at(polled));
        let sent = memory.poll(at(polled));
        assert!(memory.polled(&sent, answer(1, 10, 10, &[EntryKey::Subject(subject(9))])));
        memory.tally().kill_delay.sum_ms()
    };
    assert_eq!(noted(&[], 50_000), 0, "nobody was let in");
    assert_eq!(noted(&[(40_000, 41_000)], 50_000), 1_000, "by an answer that was so old");
    assert_eq!(noted(&[(40_000, 42_000), (49_000, 50_000)], 50_000), 2_000, "the longest");
}

/// What a restart of the feed has made of before is nothing that the next poll tells of.
#[test]
fn what_was_relied_upon_before_a_poll_is_not_held_against_the_next() {
    for (epoch, low) in [(1, 10), (2, 0)] {
        let memory = memory();
        assert!(memory.look_in_outage(&key(), at(25_000), SPAN).is_some());
        let next = |now, entries: &[EntryKey], epoch, low| {
            memory.observe(at(now));
            let sent = memory.poll(at(now));
            let since = sent.since.filter(|since| since.epoch == crate::epoch(epoch)).map_or(low, |since| since.seq);
            assert!(memory.polled(&sent, answer(epoch, low, since, entries)));
            memory.tally().kill_delay.sum_ms()
        };
        assert_eq!(next(26_000, &[], epoch, low), 0);
        assert_eq!(next(27_000, &[EntryKey::Subject(subject(9))], epoch, low), 0, "epoch {epoch}");
    }
}

#[test]
fn an_earlier_question_that_is_answered_later_takes_nothing_back() {
    let memory = memory();
    let (first, second) = (memory.question(at(40_000)), memory.question(at(41_000)));
    let newer = memory.keep(&second, key(), Rc::new(session(1)), Served::Current);
    let older = memory.keep(&first, key(), Rc::new(session(1)), Served::Current);
    assert!(Rc::ptr_eq(&newer, &older), "it is the same");
    let used = memory.keep(&first, key(), Rc::new(Session { last_seen: at(3), ..session(1) }), Served::Current);
    assert_eq!(used.last_seen, at(3), "and has its own answer");
    assert!(matches!(memory.look(&key(), at(40_000 + LAST + 1), SPAN, IDLE), Known::Live(..)));
    // One without a window neither, but for an old secret.
    let blind = Memory::default().question(at(42_000));
    memory.keep(&blind, key(), Rc::new(session(1)), Served::Current);
    assert!(matches!(memory.look(&key(), at(42_000), SPAN, IDLE), Known::Live(..)));
    memory.keep(&blind, key(), Rc::new(session(1)), Served::InGrace { salt: None });
    assert!(matches!(memory.look(&key(), at(42_000), SPAN, IDLE), Known::Nothing));
}

#[test]
fn a_verdict_that_is_kept_anew_and_is_the_same_stays_the_same() {
    let memory = memory();
    let keep = |now, session: Session| memory.keep(&memory.question(at(now)), key(), Rc::new(session), Served::Current);
    let first = keep(1, session(1));
    assert!(Rc::ptr_eq(&first, &keep(2, session(1))));
    let used = keep(3, Session { last_seen: at(3), ..session(1) });
    assert!(!Rc::ptr_eq(&first, &used));
    let Known::Live(found, _) = memory.look(&key(), at(4), SPAN, IDLE) else { panic!("it lives") };
    assert!(Rc::ptr_eq(&found, &used));
}

#[test]
fn in_an_outage_it_counts_for_that_much_less_too() {
    for (now, counts) in [(LAST, true), (LAST + 1, false)] {
        assert_eq!(memory().look_in_outage(&key(), at(now), SPAN).is_some(), counts, "{now}");
    }
    assert!(memory().look_in_outage(&key(), NOW, Duration::from_millis(49)).is_none());
}

#[test]
fn an_answer_that_took_as_long_does_not_count() {
    let memory = memory();
    let question = memory.question(NOW);
    for (now, counts) in [(LAST, true), (LAST + 1, false)] {
        assert_eq!(memory.is_timely(&question, at(now), SPAN), counts, "{now}");
    }
}
