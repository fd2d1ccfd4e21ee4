//! The feed object: the log, its fence, and the kills of the site that it
//! carries from shard to shard.

use crate::mutants::{self, Mutant};
use crate::revocation::{Epoch, Position};
use crate::store::feed::{Feed, FeedCall, FeedReply, Round};
use crate::store::fence::{Confirm, Fence};
use crate::store::message::{By, Home, Kill, Message, ShardAnswer, ShardCall};
use crate::store::sweep::SOON;
use crate::store::{Sql, SqlError};
use crate::time::UnixMillis;

/// What the feed object needs of its surroundings.
// The futures never leave the object's one thread, so they need not be Send.
#[allow(async_fn_in_trait)]
pub trait FeedPorts: Confirm {
    fn now(&self) -> UnixMillis;
    /// Wakes the object then; issued in the turn in which it is called.
    fn set_alarm(&self, at: UnixMillis);
    async fn ask_shard(&self, home: Home, message: &Message) -> Result<ShardAnswer, String>;
}

/// The feed of one site as an object.
pub struct FeedObject<S> {
    feed: Feed<S>,
    fence: Fence,
}

impl<S: Sql> FeedObject<S> {
    /// `epoch` is drawn at random by whoever wakes the object; `bound_ms` is the
    /// larger of the configured bound and the longest answer in an outage.
    pub fn new(sql: S, epoch: Epoch, bound_ms: u64) -> Self {
        Self { feed: Feed::new(sql, epoch, bound_ms), fence: Fence::default() }
    }

    pub fn feed(&self) -> &Feed<S> {
        &self.feed
    }

    /// Answers a call, behind a confirmed write that was issued after it had
    /// arrived: an object that has been replaced must not say how things stand.
    pub async fn answer(&self, call: &FeedCall, ports: &impl FeedPorts) -> FeedReply {
        let fence = || self.fence.pass(|| self.feed.tick(), ports);
        // What came before the write is in the answer, what is written with the
        // call is confirmed with it.
        let (answer, proven) = if matches!(call, FeedCall::Poll(_)) {
            let proven = if mutants::is(Mutant::PollUnfenced) { Ok(()) } else { fence().await };
            (self.feed.answer(call, ports.now()), proven)
        } else {
            let answer = self.feed.answer(call, ports.now());
            // Whoever asks for a kill of the site, or about one, wakes what carries it
            // out: an alarm can be lost, and nobody else would come back.
            if matches!(&answer, FeedReply::Receipt { kill: Some(Kill { published: None, .. }) }) {
                ports.set_alarm(ports.now());
            }
            (answer, fence().await)
        };
        match proven {
            Ok(()) => answer,
            Err(SqlError(reason)) => FeedReply::Failed { reason },
        }
    }

    /// What the object's alarm does: a round of a kill, or, where none is under way,
    /// to forget what is kept no longer. Plans the next one also where this one
    /// fails; the error is for the log.
    pub async fn wake(&self, ports: &impl FeedPorts) -> Result<(), String> {
        let next = self.feed.next_round();
        // Set before anything can fail: whoever is stopped here is woken again.
        if !matches!(next, Ok(None)) {
            ports.set_alarm(ports.now().plus(SOON));
        }
        if let Some(round) = next.map_err(text)? {
            self.carry(&round, ports).await?;
            if self.feed.next_round().map_err(text)?.is_some() {
                ports.set_alarm(ports.now());
                return Ok(());
            }
        }
        let next = self.feed.forget_kills(ports.now());
        match &next {
            Ok(Some(at)) => ports.set_alarm(*at),
            Ok(None) => {}
            Err(_) => ports.set_alarm(ports.now().plus(SOON)),
        }
        next.map(|_| ()).map_err(text)
    }

    async fn carry(&self, round: &Round, ports: &impl FeedPorts) -> Result<(), String> {
        match round.position {
            None => {
                let generation = end_in_each(round, ports).await?;
                self.feed.end_round(round, generation, ports.now()).map_err(text)
            }
            Some(position) => {
                tell_each(round, position, ports).await?;
                self.feed.told_round(round).map_err(text)
            }
        }
    }
}

fn text(error: SqlError) -> String {
    error.0
}

/// Ends everything in the shards of a round; the largest number they raised.
async fn end_in_each(round: &Round, ports: &impl FeedPorts) -> Result<u64, String> {
    let mut largest = 0;
    for home in &round.homes {
        match ask(*home, ShardCall::EndSite { kill: round.kill }, round.by.clone(), ports).await? {
            ShardAnswer::EndedSite { generation } => largest = largest.max(generation),
            other => return Err(format!("an answer of another kind: {}", other.kind())),
        }
    }
    Ok(largest)
}

/// Tells the shards of a round where the kill stands, so that they take log-ins
/// again that began after it.
async fn tell_each(round: &Round, position: Position, ports: &impl FeedPorts) -> Result<(), String> {
    for home in &round.homes {
        match ask(*home, ShardCall::Stands { kill: round.kill, position }, None, ports).await? {
            ShardAnswer::Noted => {}
            other => return Err(format!("an answer of another kind: {}", other.kind())),
        }
    }
    Ok(())
}

/// Fenced: an object that has been replaced must not seem to have done it.
async fn ask(home: Home, call: ShardCall, by: Option<By>, ports: &impl FeedPorts) -> Result<ShardAnswer, String> {
    ports.ask_shard(home, &Message { home: Some(home), is_fenced: true, by, call }).await
}
