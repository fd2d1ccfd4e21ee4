//! Only in builds for tests: the comparisons of secrets, one at a time, as
//! `tests/timing` traces them.

use std::cell::RefCell;

use wasm_bindgen::prelude::wasm_bindgen;

use crate as warifu;

#[path = "../../tests/timing/subjects.rs"]
mod subjects;

use subjects::{Compare, SUBJECTS};

thread_local! {
    static PREPARED: RefCell<Option<Compare>> = const { RefCell::new(None) };
}

/// How many there are.
#[wasm_bindgen]
pub fn test_timing_subjects() -> usize {
    SUBJECTS.len()
}

/// In how many places what is sent to one of them can be wrong.
#[wasm_bindgen]
pub fn test_timing_places(subject: usize) -> usize {
    SUBJECTS[subject].places
}

/// Prepares one of them; from `places` on, what is sent is wrong nowhere.
#[wasm_bindgen]
pub fn test_timing_prepare(subject: usize, wrong: usize) {
    let subject = &SUBJECTS[subject];
    PREPARED.set(Some((subject.prepare)((wrong < subject.places).then_some(wrong))));
}

/// Runs what was prepared, and nothing else: whether it was accepted.
#[wasm_bindgen]
pub fn test_timing_run() -> bool {
    PREPARED.with_borrow(|prepared| prepared.as_ref().is_some_and(|compare| compare()))
}
