//! The test of the test: each mistake in the protocol is made on purpose, and
//! the checkers have to see it within the seeds that CI runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use warifu::mutants::{self, Mutant};

use super::report::number;
use super::run::{self, Outcome};
use super::schedules;

/// How a mistake is found.
#[derive(Clone, Copy)]
enum By {
    /// In some seed.
    Chance,
    /// By a schedule that leads to it.
    Schedule(fn() -> Outcome),
}

const MUTANTS: [(Mutant, By); 52] = [
    (Mutant::AcknowledgedEarly, By::Chance),
    (Mutant::PublishedBeforeCommit, By::Chance),
    (Mutant::OneShardOnly, By::Chance),
    (Mutant::TwoRows, By::Chance),
    (Mutant::NumberOfOneShard, By::Chance),
    (Mutant::RowMissing, By::Schedule(schedules::a_kill_under_an_old_row)),
    (Mutant::RowGoneAtOnce, By::Schedule(schedules::kills_while_a_row_is_taken_out)),
    (Mutant::SiteRowMissing, By::Schedule(schedules::a_row_comes_while_the_site_is_ended)),
    (Mutant::QuietTooSoon, By::Chance),
    (Mutant::PollUnfenced, By::Chance),
    (Mutant::ShardUnfenced, By::Chance),
    (Mutant::TickShared, By::Schedule(schedules::asked_with_a_write_in_flight)),
    (Mutant::RepeatedUnfenced, By::Schedule(schedules::a_rotation_is_asked_for_again)),
    (Mutant::EpochKept, By::Chance),
    (Mutant::EpochIgnored, By::Schedule(schedules::another_log_of_the_same_length)),
    (Mutant::NumberSkipped, By::Chance),
    (Mutant::StampedOnReceipt, By::Chance),
    (Mutant::AgeIgnored, By::Chance),
    (Mutant::GapIgnored, By::Chance),
    (Mutant::OutOfOrder, By::Schedule(schedules::answers_cross)),
    (Mutant::WindowNeverOld, By::Chance),
    (Mutant::AnswerNeverOld, By::Chance),
    (Mutant::PollsStop, By::Chance),
    (Mutant::PollTakenInVain, By::Schedule(schedules::a_stream_uses_up_its_calls)),
    (Mutant::StepUnnoticed, By::Schedule(schedules::a_step_with_a_poll_under_way)),
    (Mutant::PositionNotedLate, By::Chance),
    (Mutant::NoAgeLimit, By::Chance),
    (Mutant::OldSecretCached, By::Chance),
    (Mutant::LookIsUse, By::Schedule(schedules::a_stream_is_open_over_a_rotation)),
    (Mutant::NewerAtOnce, By::Schedule(schedules::a_stream_whose_answer_is_lost)),
    (Mutant::AdoptedTwice, By::Chance),
    (Mutant::OldKindForgotten, By::Chance),
    (Mutant::RecordWithoutPosition, By::Chance),
    (Mutant::WindowWithoutEntries, By::Chance),
    (Mutant::DeadForever, By::Schedule(schedules::a_dead_cookie_is_tried_on_and_on)),
    (Mutant::StrictFromMemory, By::Chance),
    (Mutant::OutageEverywhere, By::Chance),
    (Mutant::OpenWithoutProof, By::Chance),
    (Mutant::OpenUnwatched, By::Chance),
    (Mutant::ErrorAsAbsence, By::Chance),
    (Mutant::SilentRotation, By::Chance),
    (Mutant::SilentUpdate, By::Schedule(schedules::claims_change_elsewhere)),
    (Mutant::SuccessorAfterRaise, By::Chance),
    (Mutant::IdleWithoutSlack, By::Schedule(schedules::almost_idle)),
    (Mutant::NoRenewals, By::Schedule(schedules::in_use_for_long)),
    (Mutant::ExpiryMovesBack, By::Chance),
    (Mutant::StartWithoutPosition, By::Chance),
    (Mutant::LateStart, By::Schedule(schedules::a_log_in_of_two_minutes)),
    (Mutant::SpanOverAStep, By::Schedule(schedules::a_log_in_over_a_step)),
    (Mutant::OldRowStart, By::Schedule(schedules::a_start_under_an_old_row)),
    (Mutant::LimitIgnored, By::Chance),
    (Mutant::PrecedentUnchecked, By::Chance),
];

#[test]
fn every_mutant_is_caught() {
    // Who asks for one seed wants only that.
    if number("WARIFU_SEED").is_some() {
        return;
    }
    let seeds = number("WARIFU_MUTANT_SEEDS").unwrap_or(SEEDS);
    let counts_all = number("WARIFU_GO_ON").is_some();
    let only = std::env::var("WARIFU_MUTANT").ok();
    if let Some(only) = &only {
        let is_known = MUTANTS.iter().any(|(mutant, _)| *only == format!("{mutant:?}"));
        assert!(is_known, "WARIFU_MUTANT is {only}, and there is no such mutant");
    }
    let next = AtomicUsize::new(0);
    let uncaught = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((mutant, by)) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if only.as_ref().is_some_and(|only| *only != format!("{mutant:?}")) {
                        continue;
                    }
                    if !is_caught(*mutant, *by, seeds, counts_all) {
                        uncaught.fetch_add(1, Ordering::Relaxed);
                    }
                }
                mutants::activate(None);
            });
        }
    });
    assert_eq!(uncaught.into_inner(), 0, "mutants that nobody has seen");
}

fn is_caught(mutant: Mutant, by: By, seeds: u64, counts_all: bool) -> bool {
    mutants::activate(Some(mutant));
    match by {
        By::Schedule(schedule) => {
            let outcome = schedule();
            let first = outcome.violations.first().map(|violation| violation.invariant);
            eprintln!("{mutant:?}: {} in its schedule", first.unwrap_or("NOT SEEN"));
            mutants::activate(None);
            let without = schedule();
            assert!(without.violations.is_empty(), "{mutant:?}, not made: {:?}", without.violations);
            first.is_some()
        }
        By::Chance => {
            let mut kinds: Vec<&str> = Vec::new();
            let mut first = None;
            for seed in 1..=seeds {
                let outcome = run::run(seed, false);
                if let Some(violation) = outcome.violations.first() {
                    first.get_or_insert(seed);
                    kinds.push(violation.invariant);
                    if !counts_all {
                        break;
                    }
                }
            }
            kinds.sort_unstable();
            let count = kinds.len();
            kinds.dedup();
            match first {
                Some(seed) if counts_all => eprintln!("{mutant:?}: {count} of {seeds} seeds, first {seed}: {kinds:?}"),
                Some(seed) => eprintln!("{mutant:?}: {} in seed {seed}", kinds[0]),
                None => eprintln!("{mutant:?}: NOT SEEN in {seeds} seeds"),
            }
            first.is_some()
        }
    }
}

/// Enough for each of those that chance finds.
const SEEDS: u64 = 500;
