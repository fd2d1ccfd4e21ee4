//! The protocol of revocation under a seeded world: the production code of the
//! gate, of the session objects and of the feed, with lost, late and repeated
//! messages, drifting clocks, crashes, and copies that do not know that they
//! were replaced.
//!
//! `WARIFU_SEED` runs one seed and prints what happens in it; `WARIFU_SEEDS`
//! says how many are run.
#![cfg(not(target_arch = "wasm32"))]

#[allow(unused_imports, reason = "the world of the other tests is not this one")]
#[path = "../support/mod.rs"]
mod support;

mod check;
mod clients;
mod clock;
mod disk;
mod edge;
mod executor;
mod faults;
mod history;
mod kv;
mod moving;
mod mutants;
mod objects;
mod plan;
mod ports;
mod random;
mod relay;
mod report;
mod run;
mod schedules;
mod sockets;
mod truth;
mod world;

use report::{Total, number};

#[test]
fn the_protocol_holds() {
    if let Some(seed) = number("WARIFU_SEED") {
        let outcome = run::run(seed, true);
        report::print_trace(&outcome, false);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
        return;
    }
    let total = Total::default();
    // To see how often, and of which kinds.
    let goes_on = number("WARIFU_GO_ON").is_some();
    report::for_each_seed(number("WARIFU_SEEDS").unwrap_or(SEEDS), |seed| {
        let outcome = run::run(seed, false);
        total.add(&outcome);
        if outcome.violations.is_empty() {
            return true;
        }
        if goes_on {
            let first = &outcome.violations[0];
            eprintln!("seed {seed}: {} at {}: {}", first.invariant, first.at / 1_000, first.says);
        } else {
            report::print_trace(&run::run(seed, true), true);
            report::print_failure(seed, &outcome);
        }
        goes_on
    });
    total.print();
    total.check();
}

/// Where nothing else is said.
const SEEDS: u64 = 100;
