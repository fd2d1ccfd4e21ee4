//! How long an isolate goes by what it remembers. Its clock may stand still, so
//! each span ends that much sooner.

use std::rc::Rc;
use std::time::Duration;

use warifu::revocation::{Known, Memory};
use warifu::session::Served;
use warifu::token::SessionKey;

use crate::{NOW, answer, at, session};

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
    memory.keep(&memory.question(NOW), key(), &Rc::new(session(1)), Served::Current);
    memory
}

#[test]
fn memory_counts_for_the_bound_less_what_a_clock_stands_still() {
    for (now, counts) in [(LAST, true), (LAST + 1, false)] {
        let is_live = matches!(memory().look(&key(), at(now), SPAN, IDLE), Known::Live(_));
        assert_eq!(is_live, counts, "{now}");
    }
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
