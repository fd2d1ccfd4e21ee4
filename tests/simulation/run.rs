//! One seed, from the beginning to the verdict.

use std::rc::Rc;

use super::check::{open, settled};
use super::clients;
use super::executor::{FOREVER, Micros};
use super::faults;
use super::history::{Counts, Violation};
use super::plan::Plan;
use super::world::World;

/// What came of a seed.
pub struct Outcome {
    pub plan: Plan,
    pub violations: Vec<Violation>,
    pub counts: Counts,
    pub trace: Vec<(Micros, String)>,
}

pub fn run(seed: u64, is_traced: bool) -> Outcome {
    run_plan(Plan::draw(seed), is_traced)
}

pub fn run_plan(plan: Plan, is_traced: bool) -> Outcome {
    let world = World::new(plan, is_traced);
    let (length, healing) = (world.plan.length, world.plan.healing);
    clients::populate(&world, length);
    faults::inject(&world);
    if world.plan.rows.len() > 1 {
        let world = Rc::clone(&world);
        world.clone().exec.spawn(FOREVER, async move {
            world.exec.sleep(length / 3).await;
            add_a_row(&world);
        });
    }
    // One violation says it all.
    advance(&world, length);
    faults::heal(&world);
    clients::be_steady(&world, length + healing);
    advance(&world, length + healing - clients::REST);
    world.edges.borrow().iter().for_each(|edge| edge.lately.set((0, 0)));
    advance(&world, length + healing);
    if world.history.borrow().violations.is_empty() {
        settled::at_rest(&world);
        settled::i8_memory_serves_again(&world);
    }
    finish(&world)
}

/// Goes on until this time, or until something is wrong.
pub fn advance(world: &World, until: Micros) {
    while world.exec.now() < until && world.history.borrow().violations.is_empty() {
        world.exec.run_until((world.exec.now() + STEP).min(until));
        open::i17_none_is_open_for_long(&mut world.history.borrow_mut(), &world.plan, world.exec.now());
    }
}

pub fn finish(world: &Rc<World>) -> Outcome {
    world.end();
    let mut history = world.history.borrow_mut();
    Outcome {
        plan: world.plan.clone(),
        violations: history.violations.clone(),
        counts: history.counts.clone(),
        trace: history.trace.take().unwrap_or_default(),
    }
}

/// A row of the map comes into use only when no edge is left that does not
/// know it.
fn add_a_row(world: &Rc<World>) {
    world.note(|| "-- a row of the map is added".to_owned());
    world.rows.set(2);
    for seat in 0..world.plan.edges {
        let edge = world.new_edge(seat, seat);
        let old = core::mem::replace(&mut world.edges.borrow_mut()[seat], edge);
        world.exec.end(old.group);
    }
}

const STEP: Micros = 100_000;
