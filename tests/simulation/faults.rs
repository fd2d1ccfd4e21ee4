//! What goes wrong, each kind by itself and at times of its own.

use std::rc::Rc;

use super::executor::{FOREVER, MILLI, Micros, SECOND};
use super::objects;
use super::world::{Link, Node, World};

type Act = fn(&Rc<World>);

/// Lets things go wrong until the world begins to heal.
pub fn inject(world: &Rc<World>) {
    let faults = world.plan.faults;
    let kinds: [(Micros, Act); 8] = [
        (faults.crashes, crash),
        (faults.replacements, replace),
        (faults.partitions, cut_off),
        (faults.feed_losses, lose_the_feed),
        (faults.restarts, restart),
        (faults.steps, step_a_clock),
        (faults.disks, break_a_disk),
        (faults.compactions, compact),
    ];
    for (every, act) in kinds.into_iter().filter(|(every, _)| *every > 0) {
        let world = Rc::clone(world);
        world.clone().exec.spawn(FOREVER, async move {
            loop {
                world.exec.sleep(world.dice.within(every / 4, 2 * every)).await;
                if !world.is_faulty() {
                    return;
                }
                act(&world);
            }
        });
    }
}

fn note(world: &World, kind: &'static str, says: impl FnOnce() -> String) {
    world.history.borrow_mut().fault(world.exec.now(), kind, says);
}

/// The feed more often than any one shard.
fn some_object(world: &World) -> Node {
    if world.dice.chance(400) { Node::Feed } else { Node::Shard(world.dice.index(world.shards().len())) }
}

fn crash(world: &Rc<World>) {
    let node = some_object(world);
    note(world, "crash", || format!("{node:?}"));
    objects::crash(world, world.slot(node));
}

fn replace(world: &Rc<World>) {
    let node = some_object(world);
    // Without a fence, the platform's word is taken that this does not happen.
    if node != Node::Feed && !world.plan.is_fenced {
        return;
    }
    note(world, "replacement", || format!("{node:?}"));
    let span = world.dice.within(500, 6_000) * MILLI;
    objects::replace(world, world.slot(node), world.some_callers(), span);
}

fn cut_off(world: &Rc<World>) {
    let dice = &world.dice;
    let from = match dice.below(3) {
        0 => Node::Shard(dice.index(world.shards().len())),
        _ => Node::Edge(dice.index(world.plan.edges)),
    };
    let to = if matches!(from, Node::Shard(_)) { Node::Feed } else { some_object(world) };
    let (there, back) = *dice.pick(&[(true, true), (true, false), (false, true)]);
    note(world, "partition", || format!("{from:?} and {to:?}: {there}, {back}"));
    let links: Vec<_> = [(there, (from, to)), (back, (to, from))].into_iter().filter(|(is_cut, _)| *is_cut).collect();
    for (_, link) in &links {
        world.links.borrow_mut().insert(*link, Link { is_down: true, takes: None });
    }
    let (world, span) = (Rc::clone(world), dice.within(300, 6_000) * MILLI);
    world.clone().exec.spawn(FOREVER, async move {
        world.exec.sleep(span).await;
        for (_, link) in &links {
            world.links.borrow_mut().remove(link);
        }
    });
}

/// It is gone, or comes back as it was a while ago.
fn lose_the_feed(world: &Rc<World>) {
    if world.dice.chance(400) {
        note(world, "feed lost", String::new);
        objects::restore(world, world.slot(Node::Feed), None);
        return;
    }
    let earlier = world.slot(Node::Feed).durable.copy();
    let (world, span) = (Rc::clone(world), world.dice.within(200, 4_000) * MILLI);
    world.clone().exec.spawn(FOREVER, async move {
        world.exec.sleep(span).await;
        if world.is_faulty() {
            note(&world, "feed restored", || format!("as it was {} ms ago", span / MILLI));
            objects::restore(&world, world.slot(Node::Feed), Some(&earlier));
        }
    });
}

/// A new isolate, perhaps of the other version.
fn restart(world: &Rc<World>) {
    let seat = world.dice.index(world.plan.edges);
    let edge = world.new_edge(seat, world.dice.index(2));
    note(world, "restart", || edge.name.clone());
    let old = core::mem::replace(&mut world.edges.borrow_mut()[seat], edge);
    world.exec.end(old.group);
}

fn step_a_clock(world: &Rc<World>) {
    let edge = Rc::clone(world.dice.pick(&world.edges.borrow()));
    let by = world.dice.within(1, 1_500);
    note(world, "step back", || format!("{} by {by} ms", edge.name));
    edge.clock.step_back(by);
    let (world, span) = (Rc::clone(world), world.dice.within(1, 5) * SECOND);
    world.clone().exec.spawn(FOREVER, async move {
        world.exec.sleep(span).await;
        edge.clock.step_forward(by);
    });
}

fn break_a_disk(world: &Rc<World>) {
    let node = some_object(world);
    let Some(instance) = world.slot(node).current() else { return };
    if world.dice.chance(500) {
        note(world, "statement fails", || format!("{node:?}"));
        instance.disk().fail_next(u32::try_from(world.dice.within(1, 3)).expect("few"));
        return;
    }
    note(world, "disk breaks", || format!("{node:?}"));
    instance.disk().break_down();
    objects::crash(world, world.slot(node));
}

/// The feed forgets all but its newest entries.
fn compact(world: &Rc<World>) {
    let Some(instance) = world.slot(Node::Feed).current() else { return };
    let kept = world.dice.below(4);
    note(world, "compaction", || format!("to {kept} entries"));
    let end = format!("(SELECT value FROM meta WHERE name = 'high') - {kept}");
    instance.maintain(&format!("DELETE FROM entries WHERE seq <= {end}"));
    instance.maintain(&format!("UPDATE meta SET value = max(value, {end}) WHERE name = 'low'"));
}

/// From now on nothing goes wrong any more.
pub fn heal(world: &Rc<World>) {
    world.has_faults.set(false);
    world.links.borrow_mut().clear();
    for slot in world.slots() {
        objects::end_old_copies(world, slot);
    }
    world.note(|| "-- all is well from now on".to_owned());
}
