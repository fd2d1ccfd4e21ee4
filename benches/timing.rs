//! Whether the time of a comparison tells what was compared, in the manner of
//! dudect (Reparaz, Balasch, Verbauwhede: Dude, is my code constant time? 2017):
//! what is wrong in a fixed place, the last, against what is wrong in a random
//! one, in random turns; Welch's t-test over all times, and over those below each
//! of a hundred thresholds, since what is long was interrupted.
//!
//! `make timing`. It fails where a comparison leaks, and where a planted mistake is
//! not found: then the machine is too busy to tell.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times, and places among them"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;
use std::{array, env};

use average::Variance;

#[path = "../tests/model/shared/random.rs"]
#[allow(dead_code, reason = "the model wants more of it")]
mod random;
#[path = "../tests/timing/subjects.rs"]
mod subjects;

extern crate warifu;

use random::Random;
use subjects::{Compare, PLANTED, SUBJECTS, Subject};

/// Of dudect: beyond that, it leaks.
const T_MAX: f64 = 10.0;
const CROPS: u32 = 100;
const TIMES: u32 = 40_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // `cargo test --benches` only looks whether it runs.
    let is_measured = arguments.iter().any(|argument| argument == "--bench");
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let (rounds, times) = if is_measured { (rounds, TIMES) } else { (1, 100) };
    println!(
        "{rounds} rounds of {times} comparisons each; the largest |t| of a round, of which the median counts; limit {T_MAX}"
    );
    let mut is_good = true;
    for (index, subject) in SUBJECTS.iter().enumerate() {
        let is_planted = index >= SUBJECTS.len() - PLANTED;
        let mut found: Vec<f64> = (0..rounds).map(|round| largest_t(&measure(subject, times, round))).collect();
        let listed: Vec<String> = found.iter().map(|t| format!("{t:.1}")).collect();
        found.sort_by(f64::total_cmp);
        let leaks = found[found.len() / 2] > T_MAX;
        // The C library may compare sixteen bytes at once: in wasm it does not.
        let is_expected = leaks == is_planted || subject.name == "planted: ==";
        is_good &= is_expected;
        let verdict = match (leaks, is_expected) {
            (true, true) => "leaks, as it should",
            (true, false) => "LEAKS",
            (false, false) => "NOT FOUND: the machine is too busy",
            (false, true) => "nothing found",
        };
        println!("{:32} {:40} {verdict}", subject.name, listed.join(" "));
    }
    if is_good || !is_measured { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Nanoseconds, by class.
fn measure(subject: &Subject, times: u32, seed: u64) -> [Vec<f64>; 2] {
    let places: Vec<Compare> = (0..subject.places).map(|place| (subject.prepare)(Some(place))).collect();
    let last = places.len() - 1;
    let mut random = Random::new(seed);
    let mut took: [Vec<f64>; 2] = array::from_fn(|_| Vec::new());
    for turn in 0..times + times / 10 {
        let class = usize::from(random.is_one_in(2));
        // Drawn for both, so that both do the same before.
        let place = random.below(u32::try_from(places.len()).expect("a few")) as usize;
        let compare = &places[if class == 0 { last } else { place }];
        let began = Instant::now();
        let is_accepted = black_box(compare());
        let nanoseconds = began.elapsed().as_nanos() as f64;
        assert!(!is_accepted, "{}: what is wrong is accepted", subject.name);
        // The first ones fill caches.
        if turn >= times / 10 {
            took[class].push(nanoseconds);
        }
    }
    took
}

fn largest_t(took: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = took.concat();
    all.sort_by(f64::total_cmp);
    // Of dudect: denser, the larger the times are.
    let threshold = |crop: u32| {
        all[((all.len() - 1) as f64 * (1.0 - 0.5_f64.powf(10.0 * f64::from(crop) / f64::from(CROPS)))) as usize]
    };
    let thresholds = (1..=CROPS).map(threshold).chain([f64::INFINITY]);
    thresholds.map(|threshold| welch(took, threshold).abs()).fold(0.0, f64::max)
}

/// Welch's t of the times that are not above the threshold.
fn welch(took: &[Vec<f64>; 2], threshold: f64) -> f64 {
    let [one, other] = took.each_ref().map(|took| took.iter().filter(|time| **time <= threshold).collect::<Variance>());
    let error = one.error().hypot(other.error());
    if error > 0.0 { (one.mean() - other.mean()) / error } else { 0.0 }
}
