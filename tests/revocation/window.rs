use std::time::Duration;

use proptest::prelude::*;
use warifu::revocation::{Applied, EntryKey, FeedAnswer, Window};
use warifu::session::SessionId;
use warifu::time::UnixMillis;

use crate::{NOW, answer, at, epoch, id, position, session, subject};

const B: Duration = Duration::from_secs(2);

/// A window that has begun at seq 10 of epoch 1 with a poll sent at `NOW`.
fn begun() -> Window {
    let mut window = Window::default();
    assert_eq!(window.apply(NOW, None, answer(1, 10, 10, &[])), Applied::Restarted);
    window
}

#[test]
fn nothing_counts_before_the_first_answer() {
    let window = Window::default();
    assert_eq!((window.position(), window.age(NOW), window.is_fresh(NOW, B)), (None, None, false));
    assert!(!window.lets_stand(position(1, 10), &session(1)));
}

#[test]
fn a_proof_is_as_old_as_the_sending_of_its_poll() {
    let mut window = begun();
    assert!(window.is_fresh(at(1_950), B) && !window.is_fresh(at(1_951), B), "B less ε");
    let mut relayed = answer(1, 0, 10, &[]);
    relayed.age_ms = 500;
    assert_eq!(window.apply(at(1_000), Some(position(1, 10)), relayed), Applied::Advanced);
    // 500 ms by a clock that may be slow by a thousandth.
    assert_eq!(window.age(at(2_000)), Some(Duration::from_millis(1_501)));
    assert!(!begun().is_fresh(NOW, Duration::ZERO), "B = 0: never from the cache");
}

#[test]
fn each_kind_of_entry_speaks_against_what_it_names_and_nothing_else() {
    let kinds = [
        (EntryKey::Session(id(1)), true, false),
        (EntryKey::Refresh(id(1)), true, false),
        (EntryKey::Subject(subject(1)), true, false),
        (EntryKey::Site, true, true),
    ];
    for (key, of_one, of_two) in kinds {
        let mut window = begun();
        let applied = window.apply(at(1), Some(position(1, 10)), answer(1, 0, 10, std::slice::from_ref(&key)));
        assert_eq!(applied, Applied::Advanced);
        assert_eq!(!window.lets_stand(position(1, 10), &session(1)), of_one, "{key:?}");
        assert_eq!(!window.lets_stand(position(1, 10), &session(2)), of_two, "{key:?}");
        assert!(window.lets_stand(position(1, 11), &session(1)), "asked after it: {key:?}");
    }
}

#[test]
fn a_verdict_of_another_epoch_of_before_the_window_or_of_the_future_does_not_stand() {
    let window = begun();
    assert!(window.lets_stand(position(1, 10), &session(1)));
    for bad in [position(2, 10), position(1, 9), position(1, 11)] {
        assert!(!window.lets_stand(bad, &session(1)), "{bad:?}");
    }
}

#[test]
fn an_answer_to_an_earlier_poll_is_dropped() {
    let mut window = begun();
    let kill = [EntryKey::Session(id(1))];
    assert_eq!(window.apply(at(200), Some(position(1, 10)), answer(1, 0, 10, &kill)), Applied::Advanced);
    assert_eq!(window.apply(at(100), Some(position(1, 10)), answer(1, 0, 10, &[])), Applied::Late);
    assert!(!window.lets_stand(position(1, 10), &session(1)));
    assert_eq!(window.age(at(300)), Some(Duration::from_millis(100)), "its freshness does not count either");
}

#[test]
fn polls_that_cross_are_applied_together() {
    let mut window = begun();
    let (first, both) = ([EntryKey::Session(id(1))], [EntryKey::Session(id(1)), EntryKey::Session(id(2))]);
    assert_eq!(window.apply(at(100), Some(position(1, 10)), answer(1, 0, 10, &first)), Applied::Advanced);
    assert_eq!(window.apply(at(200), Some(position(1, 10)), answer(1, 0, 10, &both)), Applied::Advanced);
    assert_eq!((window.position(), window.len()), (Some(position(1, 12)), 2));
}

#[test]
fn a_new_epoch_a_gap_and_a_step_back_begin_anew() {
    let kill = [EntryKey::Session(id(1))];
    let anew = [(answer(2, 10, 10, &kill), 1), (answer(1, 12, 12, &[]), 0), (answer(1, 9, 9, &[]), 0)];
    for (news, held) in anew {
        let mut window = begun();
        let high = news.high;
        let number = news.epoch.0[0];
        assert_eq!(window.apply(at(1), Some(position(1, 10)), news), Applied::Restarted);
        assert_eq!((window.position(), window.len()), (Some(position(number, high)), held));
        assert!(!window.lets_stand(position(1, 10), &session(2)), "nothing of before counts");
        assert!(window.lets_stand(position(number, high), &session(1)));
    }
}

#[test]
fn who_begins_anew_may_hold_entries_of_before() {
    let mut window = Window::default();
    let kills = [EntryKey::Session(id(1)), EntryKey::Session(id(2))];
    assert_eq!(window.apply(NOW, None, answer(1, 10, 10, &kills)), Applied::Restarted);
    assert_eq!((window.position(), window.len()), (Some(position(1, 12)), 2));
    assert!(window.lets_stand(position(1, 10), &session(3)) && !window.lets_stand(position(1, 9), &session(3)));
    assert!(!window.lets_stand(position(1, 10), &session(1)) && window.lets_stand(position(1, 11), &session(1)));
    let gap = answer(1, 9, 10, &kills);
    assert_eq!(Window::default().apply(NOW, None, gap), Applied::Refused, "one is missing");
}

type Spoil = fn(&mut FeedAnswer);

#[test]
fn what_the_feed_cannot_say_empties_the_window() {
    let good = answer(1, 0, 10, &[EntryKey::Session(id(1)), EntryKey::Session(id(2))]);
    let spoil: [(&str, Spoil); 8] = [
        ("skips", |answer| answer.entries[1].seq = 13),
        ("repeats", |answer| answer.entries[1].seq = 11),
        ("swaps", |answer| answer.entries.swap(0, 1)),
        ("leaves out", |answer| drop(answer.entries.pop())),
        ("claims more", |answer| answer.high = 13),
        ("low above high", |answer| answer.low = 13),
        ("at the end of all numbers", |answer| {
            (answer.low, answer.high) = (u64::MAX, u64::MAX);
            answer.entries.clear();
        }),
        ("older than time", |answer| answer.age_ms = u64::MAX),
    ];
    for (what, spoil) in spoil {
        let mut window = begun();
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_eq!(window.apply(at(1), Some(position(1, 10)), bad), Applied::Refused, "{what}");
        assert_eq!((window.position(), window.is_fresh(at(1), B)), (None, false), "{what}");
    }
}

/// An entry about somebody else.
fn other() -> [EntryKey; 1] {
    [EntryKey::Session(id(9))]
}

#[test]
fn what_this_isolate_has_changed_counts_at_once() {
    let mut window = begun();
    assert!(window.lets_stand(position(1, 10), &session(1)));
    window.mark(&EntryKey::Session(id(1)), NOW);
    assert!(!window.lets_stand(position(1, 10), &session(1)));
    assert!(window.lets_stand(position(1, 10), &session(2)), "the others stand");
    // The feed tells of something else first.
    window.apply(at(1), Some(position(1, 10)), answer(1, 0, 10, &other()));
    assert!(!window.lets_stand(position(1, 10), &session(1)));
    assert!(!window.lets_answer_stand(position(1, 10), NOW, &session(1)));
    assert!(window.lets_answer_stand(position(1, 10), at(1), &session(1)), "asked for after the change");
}

#[test]
fn a_record_counts_again_when_it_is_of_after_all_that_the_feed_had_then() {
    let mut window = begun();
    window.mark(&EntryKey::Session(id(1)), at(5));
    // Who wrote a record at 11 may have known that entry before the change was made.
    window.apply(at(6), Some(position(1, 10)), answer(1, 0, 10, &other()));
    assert!(!window.lets_stand(position(1, 11), &session(1)), "an entry about somebody else came first");
    assert!(window.lets_stand(position(1, 11), &session(2)));
    window.apply(at(7), Some(position(1, 11)), answer(1, 0, 11, &[EntryKey::Session(id(1))]));
    assert!(!window.lets_stand(position(1, 11), &session(1)));
    assert!(window.lets_stand(position(1, 12), &session(1)), "told of, and the record is of after that");
}

#[test]
fn a_poll_of_before_a_change_says_nothing_of_it() {
    let mut window = begun();
    window.mark(&EntryKey::Subject(subject(1)), at(5));
    // An earlier entry about the same, and a relay's answer of before.
    window.apply(at(5), Some(position(1, 10)), answer(1, 0, 10, &[EntryKey::Subject(subject(1))]));
    let mut relayed = answer(1, 0, 11, &other());
    relayed.age_ms = 100;
    window.apply(at(50), Some(position(1, 11)), relayed);
    assert!((10..=12).all(|seq| !window.lets_stand(position(1, seq), &session(1))));
    window.apply(at(60), Some(position(1, 12)), answer(1, 0, 12, &other()));
    window.apply(at(70), Some(position(1, 13)), answer(1, 0, 13, &other()));
    assert!(!window.lets_stand(position(1, 13), &session(1)) && window.lets_stand(position(1, 14), &session(1)));
}

#[test]
fn a_change_is_remembered_without_a_window_and_over_a_new_one() {
    let all = [10, 11].map(|seq| position(1, seq));
    let stand = |window: &Window, who| all.map(|at| window.lets_stand(at, &session(who)));
    let mut window = Window::default();
    window.mark(&EntryKey::Session(id(1)), at(5));
    // Of a poll that was under way then.
    window.apply(at(4), None, answer(1, 10, 10, &other()));
    assert_eq!((stand(&window, 1), stand(&window, 2)), ([false, false], [true, true]));
    // The feed cannot go on from there: it has forgotten what came between.
    window.apply(at(6), Some(position(1, 9)), answer(1, 10, 10, &other()));
    assert_eq!((stand(&window, 1), stand(&window, 2)), ([false, false], [true, true]));
    // What the feed cannot say.
    assert_eq!(window.apply(at(7), Some(position(1, 11)), answer(1, 12, 11, &[])), Applied::Refused);
    window.apply(at(8), None, answer(1, 10, 10, &other()));
    assert_eq!((stand(&window, 1), stand(&window, 2)), ([false, false], [true, true]));
    // Nor does anybody know how old it is when the clock has stepped back.
    window.clock_stepped(NOW);
    window.apply(at(1), None, answer(1, 10, 10, &other()));
    assert_eq!(stand(&window, 1), [false, false]);
    assert!(window.lets_answer_stand(position(1, 11), at(1), &session(1)));
}

#[test]
fn changes_are_forgotten_when_no_record_of_before_them_counts() {
    let mut window = begun();
    window.mark(&EntryKey::Session(id(1)), NOW);
    let mut poll = |at| {
        window.apply(at, Some(position(1, 10)), answer(1, 0, 10, &[]));
        window.lets_stand(position(1, 10), &session(1))
    };
    // The horizon is ten minutes at most, and two clocks differ by two seconds.
    assert_eq!([1, 602_000, 700_000].map(|ms| poll(at(ms))), [false, false, true]);
}

#[test]
fn more_changes_than_are_remembered_speak_against_everything() {
    let mut window = begun();
    let many = |window: &mut Window, count: u32, now| {
        for number in 0..count {
            let mut bytes = [200; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            window.mark(&EntryKey::Session(SessionId::from_bytes(bytes)), now);
        }
    };
    window.mark(&EntryKey::Session(id(1)), NOW);
    many(&mut window, 4_000, NOW);
    let stand = |window: &Window, who| window.lets_stand(position(1, 10), &session(who));
    assert_eq!((stand(&window, 1), stand(&window, 2)), (false, true));
    // Two of one hash of 32 bits are one: in each five-hundredth run there are such.
    assert!((3_990..=4_001).contains(&window.marks()), "{}", window.marks());
    many(&mut window, 100_000, at(1));
    assert_eq!((stand(&window, 1), stand(&window, 2)), (false, false), "which they were is not known");
    assert!(window.marks() <= 4_096, "{}", window.marks());
    assert!(!window.lets_answer_stand(position(1, 10), at(1), &session(2)));
    assert!(window.lets_answer_stand(position(1, 10), at(2), &session(2)), "asked for since then");
    window.apply(at(700_000), Some(position(1, 10)), answer(1, 0, 10, &[]));
    assert_eq!((window.marks(), stand(&window, 1)), (0, true));
}

#[test]
fn what_the_feed_has_forgotten_is_forgotten_here() {
    let mut window = begun();
    let keys: Vec<EntryKey> = (1..=5).map(|number| EntryKey::Session(id(number))).collect();
    window.apply(at(1), Some(position(1, 10)), answer(1, 0, 10, &keys));
    assert_eq!(window.len(), 5);
    window.apply(at(2), Some(position(1, 15)), answer(1, 13, 15, &[]));
    assert_eq!(window.len(), 2);
    assert!(!window.lets_stand(position(1, 12), &session(9)), "before low");
    assert!(window.lets_stand(position(1, 13), &session(1)) && !window.lets_stand(position(1, 13), &session(4)));
}

/// One thing that happens between a feed and a window.
#[derive(Clone, Debug)]
enum Step {
    /// Entries are added about these.
    Append(Vec<u8>),
    /// The feed forgets its oldest entries.
    Compact(u8),
    /// The feed begins a new epoch; whether it lost its last entries.
    Restart(bool),
    /// A poll is sent; its answer comes after so many other steps, or never.
    Poll(Option<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(1..6u8, 0..4).prop_map(Step::Append),
        1 => (0..6u8).prop_map(Step::Compact),
        1 => any::<bool>().prop_map(Step::Restart),
        4 => prop::option::weighted(0.9, 0..5u8).prop_map(Step::Poll),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever is late, lost or begins anew: a verdict that stands was asked
    /// for after everything that the feed had said of its session by the time
    /// at which the newest applied poll was sent.
    #[test]
    fn a_verdict_that_stands_has_missed_nothing(steps in steps()) {
        let (mut window, mut number, mut low, mut log) = (Window::default(), 1u8, 0u64, Vec::<(u64, u8)>::new());
        let mut flying: Vec<(usize, UnixMillis, Option<_>, FeedAnswer)> = Vec::new();
        // What had been said when a poll was sent, by its time of sending.
        let mut said = std::collections::HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            let now = at(10 * (index as u64 + 1));
            let high = |log: &[(u64, u8)], low| log.last().map_or(low, |(seq, _)| *seq);
            match step {
                Step::Append(about) => for who in about {
                    log.push((high(&log, low) + 1, *who));
                },
                Step::Compact(count) => {
                    let gone = usize::from(*count).min(log.len());
                    low = log[..gone].last().map_or(low, |(seq, _)| *seq);
                    log.drain(..gone);
                }
                Step::Restart(lost) => {
                    number = number.wrapping_add(1);
                    if *lost {
                        log.truncate(log.len() / 2);
                    }
                }
                Step::Poll(delay) => {
                    let since = window.position();
                    let high = high(&log, low);
                    let goes_on = since.filter(|p| p.epoch == epoch(number) && (low..=high).contains(&p.seq));
                    let (low, from) = goes_on.map_or((high, high), |p| (low, p.seq));
                    let entries: Vec<_> = log.iter().filter(|(seq, _)| *seq > from).collect();
                    let answer = FeedAnswer {
                        epoch: epoch(number), low, high, age_ms: 0,
                        entries: entries.iter().map(|(seq, who)| warifu::revocation::Entry {
                            seq: *seq, key: EntryKey::Session(id(*who)),
                        }).collect(),
                    };
                    said.insert(now.0, (epoch(number), log.clone()));
                    if let Some(delay) = delay {
                        flying.push((index + usize::from(*delay), now, since, answer));
                    }
                }
            }
            let (due, rest): (Vec<_>, Vec<_>) = flying.into_iter().partition(|(when, ..)| *when <= index);
            flying = rest;
            for (_, sent, since, answer) in due {
                prop_assert_ne!(window.apply(sent, since, answer), Applied::Refused, "all of it is what a feed says");
            }
            let Some(here) = window.position() else { continue };
            let age = window.age(now).expect("it has begun");
            let (proved_epoch, proved) = &said[&(now.0 - u64::try_from(age.as_millis()).expect("small"))];
            prop_assert_eq!(*proved_epoch, here.epoch);
            for who in 1..6u8 {
                for seq in 0..=here.seq {
                    let asked = warifu::revocation::Position { epoch: here.epoch, seq };
                    if window.lets_stand(asked, &session(who)) {
                        let missed = proved.iter().any(|(said, about)| *about == who && *said > seq);
                        prop_assert!(!missed, "{who} at {seq}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_window_holds_so_many_entries_and_trusts_nothing_from_before_them() {
    let mut window = begun();
    let unlike = |number: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        EntryKey::Session(SessionId::from_bytes(bytes))
    };
    for round in 0..121_u32 {
        let since = 10 + u64::from(round) * 1_000;
        let keys: Vec<EntryKey> = (1..=1_000).map(|number| unlike(round * 1_000 + number)).collect();
        assert_eq!(
            window.apply(at(u64::from(round) + 1), Some(position(1, since)), answer(1, 0, since, &keys)),
            Applied::Advanced
        );
    }
    assert_eq!(window.len(), 120_000);
    assert!(!window.lets_stand(position(1, 1_009), &session(9)), "asked before the first entry that is left");
    assert!(window.lets_stand(position(1, 1_010), &session(9)));
}
