//! A session object: its shard, and what a shard alone cannot do, since it
//! waits for others: for the feed, and for its own writes to be confirmed.

use core::cell::Cell;
use core::time::Duration;

use crate::mutants::{self, Mutant};
use crate::revocation::Position;
use crate::session::{KillId, SessionId, Subject};
use crate::store::feed::{Append, FeedReply};
use crate::store::fence::{Confirm, Fence};
use crate::store::flight::Flight;
use crate::store::message::{Kill, Message, Published, ShardAnswer, ShardCall};
use crate::store::session_shard::SessionShard;
use crate::store::{Sql, SqlError, refresh};
use crate::time::UnixMillis;

/// What a session object needs of its surroundings.
// The futures never leave the object's one thread, so they need not be Send.
#[allow(async_fn_in_trait)]
pub trait ObjectPorts: Confirm {
    fn now(&self) -> UnixMillis;
    /// Wakes the object then; issued in the turn in which it is called.
    fn set_alarm(&self, at: UnixMillis);
    /// Resolves after so long.
    async fn sleep(&self, span: Duration);
    /// Sends a call to the site's feed and waits for its answer.
    async fn append(&self, append: &Append) -> Result<FeedReply, String>;
    /// Asks the site's feed how far a kill of the site has come.
    async fn receipt(&self, kill: KillId) -> Result<FeedReply, String>;
}

/// What an alarm could not do, and why; it is tried again.
#[derive(Debug)]
pub enum NotDone {
    Sweeping(String),
    Publishing(String),
}

/// One shard as an object.
pub struct SessionObject<S> {
    shard: SessionShard<S>,
    /// Appends to the feed go one at a time, so that they arrive in order.
    publishing: Flight,
    /// When the feed was last found out of reach.
    failed: Cell<Option<UnixMillis>>,
    /// When the feed last answered, if it has not failed since.
    heard: Cell<Option<UnixMillis>>,
    /// The feed is asked for a kill of the site by one log-in at a time.
    asking: Flight,
    /// When it last said that the kill is under way.
    under_way: Cell<Option<UnixMillis>>,
    fence: Fence,
}

impl<S: Sql> SessionObject<S> {
    pub fn new(sql: S) -> Self {
        Self {
            shard: SessionShard::new(sql),
            publishing: Flight::default(),
            failed: Cell::new(None),
            heard: Cell::new(None),
            asking: Flight::default(),
            under_way: Cell::new(None),
            fence: Fence::default(),
        }
    }

    pub fn shard(&self) -> &SessionShard<S> {
        &self.shard
    }

    /// Answers a call.
    ///
    /// A kill is answered once the feed has it, or, where the feed cannot be
    /// reached, as committed only: the alarm goes on with it. A rotation is
    /// answered only once the feed has it: the new secret's first use ends the
    /// old one's grace, and no edge may then still hold the old one for the
    /// newest.
    pub async fn answer(&self, message: &Message, ports: &impl ObjectPorts) -> ShardAnswer {
        if let ShardCall::Start(start) = &message.call {
            self.place_site(ports).await;
            if let Some(since) = start.since {
                self.place(&start.subject, since, ports).await;
            }
        }
        let answered = match &message.call {
            ShardCall::Rotate(call) => self.rotate(message, call.level.is_some(), ports).await,
            ShardCall::Update(_) => self.update(message, ports).await,
            ShardCall::Hold(_) => self.hold(message, ports).await,
            call => match call.kill() {
                Some(kill) => Ok(self.kill(message, kill, ports).await),
                None => Ok(self.ask(message, ports)),
            },
        };
        let answer = answered.unwrap_or_else(|reason| ShardAnswer::Failed { reason });
        let is_repeated = matches!(&answer, ShardAnswer::Rotated { rotated: Some(rotated) } if !rotated.is_new);
        if message.is_fenced
            && !mutants::is(Mutant::ShardUnfenced)
            && !(is_repeated && mutants::is(Mutant::RepeatedUnfenced))
            && let Err(SqlError(reason)) = self.fence.pass(|| self.shard.tick(), ports).await
        {
            return ShardAnswer::Failed { reason };
        }
        answer
    }

    /// What the object's alarm does. Plans the next time also where something
    /// fails; the errors are for the log.
    pub async fn wake(&self, ports: &impl ObjectPorts) -> Result<(), NotDone> {
        let swept = self.shard.wake(ports.now()).map_err(|error| NotDone::Sweeping(error.0));
        self.plan(ports);
        self.publish_all(ports).await.map_err(NotDone::Publishing)?;
        swept
    }

    /// Asks the shard. What it wants of the alarm is set before anything is
    /// awaited, so that it is committed with what the shard has just written.
    fn ask(&self, message: &Message, ports: &impl ObjectPorts) -> ShardAnswer {
        let answer = self.shard.answer(message, ports.now());
        self.plan(ports);
        answer
    }

    /// Learns whether a log-in is later than an end that the feed has published
    /// under another incarnation than the one that the log-in's edge knew. It is,
    /// if the feed is in that incarnation now. Where the feed is out of reach it
    /// stays unknown, and the start is refused.
    async fn place(&self, subject: &Subject, since: Position, ports: &impl ObjectPorts) {
        // Where reading fails, so does the start.
        let Ok(kills) = self.shard.of_another_epoch(subject, since) else { return };
        if kills.is_empty() {
            return;
        }
        // An append, even of nothing, is answered by the current feed only.
        if let Ok(FeedReply::Appended { epoch, .. }) = self.append(&Append { entries: Vec::new() }, ports).await
            && epoch == since.epoch
        {
            // Where that fails, so does the start.
            self.shard.note_epoch(&kills, epoch).ok();
        }
    }

    /// Learns how it stands with a kill of the site that this shard has committed
    /// and not been told the place of for long. The feed goes on with it until it
    /// has told all; but one that was lost, or set back, knows of no such kill, and
    /// all log-ins would be refused for ever.
    async fn place_site(&self, ports: &impl ObjectPorts) {
        let now = ports.now();
        // Where reading fails, so does the start.
        let Ok(Some(kill)) = self.shard.untold(now) else { return };
        if self.under_way.get().is_some_and(|at| now >= at && now.since(at) < UNDER_WAY_FOR) {
            return;
        }
        let Some(_in_flight) = self.asking.begin() else { return self.asking.ended().await };
        match self.receipt(kill, ports).await {
            Ok(FeedReply::Receipt { kill: None }) => self.shard.forget_untold(kill, now).unwrap_or(()),
            Ok(FeedReply::Receipt { kill: Some(Kill { published: Some(Published { epoch, seq, .. }), .. }) }) => {
                self.shard.note_place(kill, Position { epoch, seq }, ports.now()).unwrap_or(());
            }
            Ok(FeedReply::Receipt { .. }) => self.under_way.set(Some(now)),
            // The start is refused, and the next one asks.
            _ => {}
        }
    }

    async fn kill(&self, message: &Message, id: KillId, ports: &impl ObjectPorts) -> ShardAnswer {
        let mut answer = self.ask(message, ports);
        // What has ended before has its receipt from then.
        let id = if let ShardAnswer::Ended { earlier: Some(kill), .. } = &answer { kill.id } else { id };
        while let Ok(Some(kill)) = self.shard.kill(id, ports.now()) {
            // A call may end more than goes in one batch.
            let is_done =
                (kill.published.is_some() || kill.is_partial) && matches!(self.shard.has_waiting(id), Ok(false));
            if let Some(told) = answer.kill_mut() {
                *told = kill;
            }
            // Where the feed is out of reach, the alarm goes on.
            if is_done || self.publish(ports).await.is_err() {
                break;
            }
        }
        answer
    }

    /// A new secret is not made where the feed is out of reach: nobody would get
    /// it, and once the feed is back the grace of the one before would run out all
    /// the same. With a level, it is for this answer only. Without one, it can be
    /// asked for again, and is given once the feed has it.
    async fn rotate(&self, message: &Message, raises: bool, ports: &impl ObjectPorts) -> Result<ShardAnswer, String> {
        if let ShardCall::Rotate(call) = &message.call
            && self.shard.makes_secret(call, ports.now()).map_err(text)?
        {
            self.reach(ports).await?;
        }
        let first = self.ask(message, ports);
        let ShardAnswer::Rotated { rotated: Some(rotated) } = &first else { return Ok(first) };
        let was_waiting = self.tell_edges(rotated.session.id, ports).await?;
        if raises || !was_waiting {
            return Ok(first);
        }
        // Now that the edges can know, the shard gives the salt; to all that race.
        match self.ask(message, ports) {
            ShardAnswer::Rotated { rotated: Some(again) } => {
                let rotated = crate::store::message::Rotated { is_new: rotated.is_new, ..again };
                Ok(ShardAnswer::Rotated { rotated: Some(rotated) })
            }
            other => Ok(other),
        }
    }

    /// Where the feed is out of reach, the change is answered all the same: no
    /// edge that cannot reach it serves from memory for longer than the bound,
    /// and the alarm goes on.
    async fn update(&self, message: &Message, ports: &impl ObjectPorts) -> Result<ShardAnswer, String> {
        let answer = self.ask(message, ports);
        if let ShardAnswer::Updated { session: Some(session) } = &answer {
            self.tell_edges(session.id, ports).await.ok();
        }
        Ok(answer)
    }

    /// The same, but for a session whose last change is in the feed since a
    /// moment ago: an application may renew its token with every answer, and
    /// the one before is good for a while. What is used up comes with a
    /// rotation, which waits.
    async fn hold(&self, message: &Message, ports: &impl ObjectPorts) -> Result<ShardAnswer, String> {
        let answer = self.ask(message, ports);
        if let ShardAnswer::Holding { session: Some(session) } = &answer
            && let Some(due) = self.shard.refresh_due(session.id).map_err(text)?
            && refresh::time_to(due, ports.now()).is_zero()
        {
            self.publish(ports).await.ok();
        }
        Ok(answer)
    }

    /// Resolves once the feed has the session's changes up to now; whether it had
    /// not. There may be others all the time, and nobody is to wait for those.
    async fn tell_edges(&self, session: SessionId, ports: &impl ObjectPorts) -> Result<bool, String> {
        let due = || self.shard.refresh_due(session).map_err(text);
        if due()?.is_none() {
            return Ok(false);
        }
        let left_behind = self.shard.left_behind(session).map_err(text)?;
        // What is on its way may have been sent before the change.
        self.publishing.ended().await;
        let first = due()?;
        // Each entry of the session that the feed has taken moves it.
        while let Some(at) = due()?.filter(|at| Some(*at) == first) {
            let left = refresh::time_to(at, ports.now());
            if left.is_zero() {
                self.publish(ports).await?;
            } else {
                ports.sleep(left).await;
            }
        }
        if let Some(rank) = left_behind {
            self.shard.note_told(session, rank, ports.now()).map_err(text)?;
        }
        Ok(true)
    }

    async fn publish_all(&self, ports: &impl ObjectPorts) -> Result<(), String> {
        while self.shard.waiting(ports.now()).map_err(text)?.is_some() {
            self.publish(ports).await?;
        }
        Ok(())
    }

    /// Publishes a batch, or waits for the one that is being published.
    async fn publish(&self, ports: &impl ObjectPorts) -> Result<(), String> {
        let Some(_in_flight) = self.publishing.begin() else {
            self.publishing.ended().await;
            // Of what failed for another, this one need not find out anew.
            return self.reachable(ports);
        };
        // Where it fails, the alarm that was planned with what waits goes on.
        self.publish_batch(ports).await
    }

    /// Finds out whether the feed can be reached; another's append tells it too.
    async fn reach(&self, ports: &impl ObjectPorts) -> Result<(), String> {
        if is_recent(self.heard.get(), ports.now()) {
            return Ok(());
        }
        let Some(_in_flight) = self.publishing.begin() else {
            self.publishing.ended().await;
            return self.reachable(ports);
        };
        self.append(&Append { entries: Vec::new() }, ports).await.map(|_| ())
    }

    fn plan(&self, ports: &impl ObjectPorts) {
        if let Some(at) = self.shard.take_alarm() {
            ports.set_alarm(at);
        }
    }

    async fn publish_batch(&self, ports: &impl ObjectPorts) -> Result<(), String> {
        let Some(append) = self.shard.waiting(ports.now()).map_err(text)? else { return Ok(()) };
        match self.append(&append, ports).await? {
            FeedReply::Appended { epoch, bound_ms, entries }
                if entries.iter().map(|entry| entry.id).eq(append.entries.iter().map(|entry| entry.id)) =>
            {
                self.shard.note_published(epoch, bound_ms, &append, &entries, ports.now()).map_err(text)
            }
            other => Err(format!("an answer of another kind from the feed: {}", other.kind())),
        }
    }

    /// Asks the feed, unless it was out of reach a moment ago: many who wait for
    /// it would else each wait in turn.
    async fn append(&self, append: &Append, ports: &impl ObjectPorts) -> Result<FeedReply, String> {
        self.reachable(ports)?;
        self.heard(ports.append(append).await, ports)
    }

    async fn receipt(&self, kill: KillId, ports: &impl ObjectPorts) -> Result<FeedReply, String> {
        self.reachable(ports)?;
        self.heard(ports.receipt(kill).await, ports)
    }

    fn heard(&self, answered: Result<FeedReply, String>, ports: &impl ObjectPorts) -> Result<FeedReply, String> {
        let reply = answered.and_then(|reply| reply.heard().map_err(|error| error.to_string()));
        let (heard, failed) = if reply.is_ok() { (&self.heard, &self.failed) } else { (&self.failed, &self.heard) };
        heard.set(Some(ports.now()));
        failed.set(None);
        reply
    }

    fn reachable(&self, ports: &impl ObjectPorts) -> Result<(), String> {
        if is_recent(self.failed.get(), ports.now()) {
            return Err("the feed was out of reach a moment ago".to_owned());
        }
        Ok(())
    }
}

/// Not after a step back of the clock, which would make a moment of minutes.
fn is_recent(at: Option<UnixMillis>, now: UnixMillis) -> bool {
    at.is_some_and(|at| now >= at && now.since(at) < PAUSE)
}

fn text(error: SqlError) -> String {
    error.0
}

/// The feed is left alone for so long after it failed, and taken to be within reach for
/// so long after it answered.
const PAUSE: Duration = Duration::from_secs(1);

/// A kill that is under way is taken to be for so long: it goes through all
/// shards, and log-ins come to each of them meanwhile.
const UNDER_WAY_FOR: Duration = Duration::from_mins(1);
