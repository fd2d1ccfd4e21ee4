//! What the shards' audit tables have, put together.
//!
//! Shards are asked in groups, so that one page stays within the platform's
//! number of subrequests. Within a group events are merged, the newest first;
//! the groups follow each other.

use core::future::{Future, poll_fn};
use core::task::Poll;

use super::{Sessions, home_of};
use crate::audit::Cause;
use crate::error::Failure;
use crate::ports::Ports;
use crate::session::{SessionId, Subject};
use crate::store::message::{AuditCall, Audited, Home, ShardAnswer, ShardCall};

/// What somebody wants to know.
pub struct Trail {
    pub subject: Option<Subject>,
    pub session: Option<SessionId>,
}

/// Where a page ended: in which group, and how far each of its shards was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrailMark {
    /// How many shards come before the group.
    pub passed: u32,
    /// For each shard of the group, older than which event comes next; 0: none.
    pub marks: Vec<u64>,
}

impl<P: Ports> Sessions<'_, P> {
    /// A page of events; `after` is where the one before ended.
    ///
    /// # Errors
    /// A shard gave no answer, or the mark is of another map.
    pub async fn trail(
        &self,
        trail: &Trail,
        after: Option<TrailMark>,
        limit: u32,
        cause: Cause<'_>,
    ) -> Result<(Vec<Audited>, Option<TrailMark>), Failure> {
        let homes = self.homes_of(trail);
        let passed = after.as_ref().map_or(0, |after| after.passed as usize);
        let group: Vec<Home> = homes.iter().copied().skip(passed).take(GROUP_SHARDS).collect();
        let mut marks = after.map_or_else(|| vec![TOP; group.len()], |after| after.marks);
        if marks.len() != group.len() {
            return Err(Failure::BadInput("cursor is of another shard map".to_owned()));
        }
        // A look at one person's history is itself noted; one at everybody's would be a
        // row in each shard, and stands in the log. So it is at each page: a cursor can
        // be made up, and then no page is the first.
        let is_noted = trail.subject.is_some() || trail.session.is_some();
        let asked = group.iter().zip(&marks).map(|(home, mark)| async {
            if *mark == 0 {
                return Ok((Vec::new(), 0));
            }
            let Trail { subject, session } = trail;
            let call = AuditCall { subject: subject.clone(), session: *session, before: Some(*mark), limit };
            let by = self.by(cause).filter(|_| is_noted);
            match self.ask_unfenced(*home, ShardCall::Audit(call), by).await? {
                ShardAnswer::Audit { events, reached } => Ok((events, reached)),
                other => Err(self.unexpected(&other)),
            }
        });
        let read = all(asked).await.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        let events = merge(read, &mut marks, limit as usize);
        let passed = if marks.iter().all(|mark| *mark == 0) {
            let passed = passed + group.len();
            marks = vec![TOP; homes.len().saturating_sub(passed).min(GROUP_SHARDS)];
            passed
        } else {
            passed
        };
        let next = (!marks.is_empty()).then(|| TrailMark { passed: u32::try_from(passed).unwrap_or(u32::MAX), marks });
        Ok((events, next))
    }

    /// The shards that may know something of it.
    fn homes_of(&self, trail: &Trail) -> Vec<Home> {
        match (trail.session, &trail.subject) {
            (Some(session), _) => self.home_by_handle(session).into_iter().collect(),
            (None, Some(subject)) => self.site.config.map.iter().rev().map(|row| home_of(*row, subject)).collect(),
            (None, None) => {
                let shards = self.site.config.map.iter().flat_map(|row| (0..row.shards).map(move |shard| (row, shard)));
                shards.map(|(row, shard)| Home { row: *row, shard: u16::try_from(shard).unwrap_or(u16::MAX) }).collect()
            }
        }
    }
}

/// Takes the newest of what the shards have, and moves their marks. Stops where
/// a shard has not read far enough to say what its next one is.
fn merge(read: Vec<(Vec<Audited>, u64)>, marks: &mut [u64], limit: usize) -> Vec<Audited> {
    let mut lists: Vec<_> =
        read.into_iter().map(|(events, reached)| (events.into_iter().peekable(), reached)).collect();
    let mut merged = Vec::new();
    // A shard's events stay in its own order, whatever its clock did.
    while merged.len() < limit && !lists.iter_mut().any(|(events, reached)| events.peek().is_none() && *reached > 0) {
        let heads = lists.iter_mut().enumerate().filter_map(|(index, (events, _))| Some((events.peek()?.at, index)));
        let Some((_, index)) = heads.max_by_key(|(at, index)| (*at, core::cmp::Reverse(*index))) else { break };
        merged.extend(lists[index].0.next());
    }
    for (mark, (events, reached)) in marks.iter_mut().zip(&mut lists) {
        *mark = events.peek().map_or(*reached, |next| next.seq + 1);
    }
    merged
}

/// Resolves when all do, each in its place.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Some(Box::pin(future)), None)).collect();
    poll_fn(move |context| {
        let mut is_done = true;
        for (future, output) in &mut waiting {
            let Some(running) = future else { continue };
            match running.as_mut().poll(context) {
                Poll::Ready(value) => (*future, *output) = (None, Some(value)),
                Poll::Pending => is_done = false,
            }
        }
        if !is_done {
            return Poll::Pending;
        }
        Poll::Ready(waiting.iter_mut().filter_map(|(_, output)| output.take()).collect())
    })
    .await
}

/// Shards that one page asks: the platform allows 50 subrequests on its free
/// plan.
const GROUP_SHARDS: usize = 32;

/// Newer than any event.
const TOP: u64 = (1 << 53) - 1;
