//! What must be in the databases: when a kill is answered, when a session
//! starts, and when all has come to rest.

use std::collections::BTreeSet;

use warifu::session::{KillId, SessionId};

use super::receipt;
use crate::executor::{MILLI, SECOND};
use crate::history::{History, Scope};
use crate::world::World;

/// The sessions of these that live in what is durable of any shard, and under a
/// row of the map that some edge still has.
fn living(world: &World, ids: impl Iterator<Item = SessionId>) -> Vec<SessionId> {
    let edges = world.edges.borrow();
    let rows: BTreeSet<u8> = edges.iter().flat_map(|edge| &edge.site.config.map).map(|row| row.generation).collect();
    let is_live = |id: &SessionId| {
        rows.contains(&id.locator().generation)
            && world.shards().iter().any(|slot| {
                let database = slot.durable.read();
                match database.connection.query_row(LIVE, [id.as_bytes().as_slice()], |_| Ok(())) {
                    Ok(()) => true,
                    Err(rusqlite::Error::QueryReturnedNoRows) => false,
                    // Before the first commit there is no such table. Anything else is no answer: were it
                    // taken for one, all would be dead, and nothing ever wrong.
                    Err(error) if error.to_string().starts_with("no such table: sessions") => false,
                    Err(error) => panic!("whether a session lives: {error}"),
                }
            })
    };
    ids.filter(is_live).collect()
}

const LIVE: &str = "SELECT 1 FROM sessions s WHERE s.id = ?1
    AND s.generation >= coalesce((SELECT u.generation FROM subjects u WHERE u.subject = s.subject), 0)
    AND s.generation >= coalesce((SELECT m.value FROM meta m WHERE m.name = 'site_generation'), 0)";

/// A kill's receipt leaves an edge.
pub fn at_receipt(world: &World, body: &str) {
    let receipt: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| receipt[name].as_str().map(str::to_owned);
    let (Some(id), Some(state)) = (text("kill_id").and_then(|id| KillId::parse(&id)), text("state")) else { return };
    let now = world.exec.now();
    world.history.borrow_mut().acknowledged(id, &state, now);
    receipt::i19_receipts_say_what_the_log_says(&mut world.history.borrow_mut(), &world.plan, &receipt, now);
    if let Some(says) = i2_what_is_acknowledged_is_durable(world, id, &state) {
        world.history.borrow_mut().violate(now, "I2", says);
    }
}

/// I2: a kill that is said to be published is in the feed, and one that is
/// said to be committed in every shard that it concerns.
fn i2_what_is_acknowledged_is_durable(world: &World, id: KillId, state: &str) -> Option<String> {
    let history = world.history.borrow();
    let kill = history.kills.get(&id)?;
    if state != "committed" && kill.published.is_none() {
        return Some(format!("a kill of {:?} is {state}, and the feed has never had it", kill.scope));
    }
    if state == "committed" && kill.scope == Scope::Site {
        return None;
    }
    let covered = history.lineages.iter().filter(|(id, lineage)| History::covers(kill, **id, lineage));
    let living = living(world, covered.map(|(id, _)| *id));
    living.first().map(|id| format!("{} lives on though a kill of it is {state}", history.name(*id)))
}

/// I14: over all rows of the map, no more sessions of a subject live than may.
pub fn i14_no_more_sessions_than_allowed(world: &World, subject: Option<&str>) {
    let Some(subject) = subject else { return };
    let history = world.history.borrow();
    let ids: Vec<SessionId> =
        history.lineages.iter().filter(|(_, lineage)| lineage.subject == subject).map(|(id, _)| *id).collect();
    drop(history);
    let living = living(world, ids.into_iter()).len();
    // Expired sessions are swept late: with a short idle time, they are not counted apart.
    let can_tell = world.plan.idles.iter().all(|idle| *idle > 60);
    if can_tell && living > world.plan.max_sessions as usize {
        let says = format!("{living} sessions of {subject} live, of {}", world.plan.max_sessions);
        world.history.borrow_mut().violate(world.exec.now(), "I14", says);
    }
}

/// When all has come to rest.
pub fn at_rest(world: &World) {
    let found = i7_i13_nothing_that_was_killed_lives(world);
    for (invariant, says) in found {
        world.history.borrow_mut().violate(world.exec.now(), invariant, says);
    }
}

/// I7: what a kill has ended is dead for good. I13: a start that was on its way
/// when its subject was ended does not outlive that.
fn i7_i13_nothing_that_was_killed_lives(world: &World) -> Vec<(&'static str, String)> {
    let history = world.history.borrow();
    let killed = history.lineages.iter().filter(|(_, lineage)| lineage.killed.is_some());
    living(world, killed.map(|(id, _)| *id))
        .into_iter()
        .map(|id| {
            let lineage = &history.lineages[&id];
            let was_late = lineage.committed > lineage.killed;
            let invariant = if was_late { "I13" } else { "I7" };
            (invariant, format!("{} of {} was killed, and lives", lineage.name, lineage.subject))
        })
        .collect()
}

/// I8: once all is well again, every edge serves from memory again. With a bound that
/// is shorter than the way to the feed and back there is little of it, or none.
pub fn i8_memory_serves_again(world: &World) {
    if world.plan.bounds.iter().any(|bound| bound * MILLI < SECOND) {
        return;
    }
    for edge in world.edges.borrow().iter() {
        let (cached, all) = edge.lately.get();
        if all >= 20 && cached * 4 < all {
            let says = format!("{} accepted {cached} of {all} from memory, with all well again", edge.name);
            world.history.borrow_mut().violate(world.exec.now(), "I8", says);
        }
    }
}
