//! What becomes durable, read from the statements themselves: sessions, kills,
//! changes, and the log of the feed. From here the checkers know the truth
//! without asking the code that they check.

use warifu::revocation::Epoch;
use warifu::session::{Handle, SessionId};
use warifu::store::SqlValue;

use super::check;
use super::disk::Write;
use super::executor::Micros;
use super::history::{History, Published, Scope};
use super::moving;
use super::world::Node;

/// What is recognised, by the beginnings of statements. Each kind is counted: a statement that is
/// written in another way one day would be overlooked here, and the checkers see nothing wrong.
pub const KINDS: [&str; 7] = [ENTRIES, SESSIONS, ENDED, SUBJECTS, REFRESHES, CLAIMS, ROWS];
const ENTRIES: &str = "entries";
const SESSIONS: &str = "sessions";
const ENDED: &str = "ended";
const SUBJECTS: &str = "subjects";
const REFRESHES: &str = "refreshes";
const CLAIMS: &str = "claims";
/// Of the map: the feed hears of one.
const ROWS: &str = "map";

/// The kind of a statement, if it is one of these.
fn kind_of(statement: &str, values: &[SqlValue]) -> Option<&'static str> {
    if statement.starts_with("UPDATE sessions SET claims") {
        return Some(CLAIMS);
    }
    let table = statement.strip_prefix("INSERT INTO ")?.split(' ').next()?;
    let kind = KINDS.into_iter().find(|kind| *kind == table)?;
    // With fewer values it ends nothing.
    (kind != SUBJECTS || values.len() == 2).then_some(kind)
}

/// Takes in what the object there has made durable in one go; `epoch`: of the
/// feed.
pub fn durable(history: &mut History, at: Node, writes: &[Write], epoch: Option<Epoch>, now: Micros) {
    let mut last_kill = None;
    for write in writes {
        let Write::Statement(statement, values) = write else { continue };
        let Some(kind) = kind_of(statement.trim_start(), values) else { continue };
        *history.counts.durable.entry(kind).or_default() += 1;
        match kind {
            ENTRIES => published(history, values, epoch, now),
            SESSIONS => started(history, values, now),
            ENDED => {
                last_kill = handle(&values[1]);
                committed(history, last_kill, at, now);
            }
            SUBJECTS => {
                raised(history, last_kill, at, &values[1]);
                history
                    .note(now, |_| format!("   a shard ends all of {} below {}", text(&values[0]), number(&values[1])));
            }
            REFRESHES => wanted(history, values),
            ROWS => drop(history.feed_rows.insert(number(&values[0]))),
            _ => changed(history, values),
        }
    }
}

fn handle(value: &SqlValue) -> Option<Handle> {
    match value {
        SqlValue::Blob(bytes) => <[u8; 16]>::try_from(bytes.as_slice()).ok().map(Handle::from_bytes),
        _ => None,
    }
}

fn text(value: &SqlValue) -> String {
    match value {
        SqlValue::Text(text) => text.clone(),
        _ => String::new(),
    }
}

fn number(value: &SqlValue) -> u64 {
    match value {
        SqlValue::Integer(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

/// The version in claims such as `{"v":7}`.
pub fn version(claims: &str) -> u64 {
    claims.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

fn started(history: &mut History, values: &[SqlValue], now: Micros) {
    let Some(id) = handle(&values[0]) else { return };
    let version = version(&text(&values[8]));
    if let Some(lineage) = history.lineages.get_mut(&id) {
        lineage.committed.get_or_insert(now);
        lineage.versions.push(version);
    }
    history.note(now, |history| format!("   {} is durable", history.name(id)));
    moving::begun(history, id, now);
}

fn changed(history: &mut History, values: &[SqlValue]) {
    if let (Some(id), SqlValue::Text(claims)) = (handle(&values[0]), &values[1])
        && let Some(lineage) = history.lineages.get_mut(&id)
    {
        lineage.versions.push(version(claims));
    }
}

/// A shard has committed that the edges are to be told of its newest version.
fn wanted(history: &mut History, values: &[SqlValue]) {
    let (Some(session), Some(id)) = (handle(&values[0]), handle(&values[1])) else { return };
    let Some(lineage) = history.lineages.get(&session) else { return };
    history.refreshes.insert(id, (session, lineage.versions.len().saturating_sub(1)));
}

/// The first time counts, also where the call comes twice.
fn committed(history: &mut History, kill: Option<Handle>, at: Node, now: Micros) {
    if let Some(kill) = kill.and_then(|id| history.kills.get_mut(&id)) {
        kill.committed.entry(at).or_insert(now);
    }
}

/// A call that comes twice raises the number twice; the receipt is of the
/// first.
fn raised(history: &mut History, kill: Option<Handle>, at: Node, generation: &SqlValue) {
    if let Some(kill) = kill.and_then(|id| history.kills.get_mut(&id)) {
        kill.raised.entry(at).or_insert_with(|| number(generation));
    }
}

/// The feed's commit: from here the bound is counted.
fn published(history: &mut History, values: &[SqlValue], epoch: Option<Epoch>, now: Micros) {
    let (Some(id), Some(epoch)) = (handle(&values[1]), epoch) else { return };
    let (kind, target) = (text(&values[2]), text(&values[3]));
    let committed = history.kills.get(&id).and_then(|kill| kill.committed.values().max().copied()).unwrap_or(now);
    let entry = Published { at: now, committed, epoch, seq: number(&values[0]), id, kind, target, is_repeated: false };
    history.note(now, |history| {
        let target = SessionId::parse(&entry.target).map_or_else(|| entry.target.clone(), |id| history.name(id));
        format!("   feed {}/{}: {} {target}", &epoch.to_text()[..4], entry.seq, entry.kind)
    });
    let minimum = match &values[4] {
        SqlValue::Integer(minimum) => u64::try_from(*minimum).ok(),
        _ => None,
    };
    check::feed::at_publication(history, &entry, minimum);
    history.feed_high = entry.seq;
    // Whoever begins under a row that the feed knows by now may have begun before this.
    if let Some(kill) = history.kills.get_mut(&id).filter(|kill| kill.scope == Scope::Site) {
        kill.rows.extend(history.feed_rows.iter().filter_map(|row| u8::try_from(*row).ok()));
    }
    match (entry.kind.as_str(), SessionId::parse(&entry.target)) {
        ("session", Some(target)) => {
            if let Some(lineage) = history.lineages.get_mut(&target) {
                lineage.killed.get_or_insert(now);
            }
        }
        ("refresh", Some(_)) => {
            if let Some((session, version)) = history.refreshes.get(&id).copied()
                && let Some(lineage) = history.lineages.get_mut(&session)
            {
                lineage.told.push((now, version));
            }
        }
        // One that comes again, after the feed has forgotten it, ends nothing new.
        _ if history.kills.get(&id).is_some_and(|kill| kill.published.is_some()) => {}
        _ => kill_many(history, &entry),
    }
    if let Some(kill) = history.kills.get_mut(&id) {
        kill.published.get_or_insert(now);
    }
    let is_repeated = history.published.iter().any(|earlier| earlier.id == id);
    history.published.push(Published { is_repeated, ..entry });
}

/// A kill of a subject or of the site covers all log-ins that had reached the
/// origin before the last shard has committed it.
fn kill_many(history: &mut History, entry: &Published) {
    let kill = history.kills.get(&entry.id).cloned();
    let kept = kill.as_ref().and_then(|kill| kill.kept);
    let reaches = |id| kill.as_ref().is_none_or(|kill| History::reaches(kill, id));
    let committed = entry.committed;
    for (id, lineage) in &mut history.lineages {
        let is_meant = entry.kind == "site" || lineage.subject == entry.target;
        if is_meant && kept != Some(*id) && lineage.forwarded < committed && reaches(*id) {
            lineage.killed.get_or_insert(entry.at);
        }
    }
    for cookie in kill.map(|kill| kill.cut).unwrap_or_default() {
        history.cookies[cookie].killed.get_or_insert(entry.at);
    }
}
