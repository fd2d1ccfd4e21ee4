//! A session shard: the truth about the sessions of the subjects that live in it.

use core::cell::Cell;

use crate::revocation::{Epoch, Position};
use crate::session::{KillId, SessionId, Subject};
use crate::store::awake::Awake;
use crate::store::feed::{Append, Appended};
use crate::store::message::{Home, Kill, Message, RotateCall, ShardAnswer, ShardCall};
use crate::store::turn::Turn;
use crate::store::{
    Sql, SqlError, adoption, audit, change, ended, ending, held, home, outbox, reading, refresh, rotation, schema,
    start, sweep,
};
use crate::time::UnixMillis;

/// One shard over its database.
pub struct SessionShard<S> {
    sql: S,
    /// What has been read of the database in this object's life.
    opened: Cell<Option<Opened>>,
    /// When the object wants to be woken; taken by [`SessionShard::take_alarm`].
    alarm: Cell<Option<UnixMillis>>,
    awake: Awake,
    /// Whether an alarm that was lost has been looked for.
    has_looked: Cell<bool>,
}

/// The schema is up to date, and this is the shard's row of the map, which
/// never changes once it is there.
#[derive(Clone, Copy)]
struct Opened {
    home: Option<Home>,
}

impl<S: Sql> SessionShard<S> {
    pub fn new(sql: S) -> Self {
        Self {
            sql,
            opened: Cell::new(None),
            alarm: Cell::new(None),
            awake: Awake::default(),
            has_looked: Cell::new(false),
        }
    }

    /// The database itself.
    pub fn sql(&self) -> &S {
        &self.sql
    }

    /// Answers one call. `now` is the object's clock. Every answer touches the
    /// storage: an object that has been replaced and does not know it could
    /// otherwise answer from memory.
    pub fn answer(&self, message: &Message, now: UnixMillis) -> ShardAnswer {
        self.awake.since(now);
        self.try_answer(message, now).unwrap_or_else(|error| ShardAnswer::Failed { reason: error.0 })
    }

    /// What the object's alarm does: removes what is over, a batch at a time.
    /// Plans the next time also where it fails; the error is for the log.
    pub fn wake(&self, now: UnixMillis) -> Result<(), SqlError> {
        self.awake.since(now);
        let next = self.open().and_then(|_| sweep::run(&self.sql, now));
        // The alarm that is ringing is gone: without a new one nobody comes back.
        self.alarm.set(next.as_ref().map_or_else(|_| Some(now.plus(sweep::SOON)), |next| *next));
        next.map(|_| ())
    }

    /// The time for which an alarm is to be set now, in the same turn, so that
    /// it is committed with what made it necessary.
    pub fn take_alarm(&self) -> Option<UnixMillis> {
        self.alarm.take()
    }

    /// What the feed does not have yet and is to get now.
    ///
    /// # Errors
    /// The database failed.
    pub fn waiting(&self, now: UnixMillis) -> Result<Option<Append>, SqlError> {
        self.open()?;
        outbox::waiting(&self.sql, now)
    }

    /// Whether a kill of the call that has this handle is not in the feed yet.
    pub(super) fn has_waiting(&self, call: KillId) -> Result<bool, SqlError> {
        outbox::has_waiting(&self.sql, call)
    }

    /// When a change of this session can go to the feed; `None`: it is there.
    ///
    /// # Errors
    /// The database failed.
    pub fn refresh_due(&self, session: SessionId) -> Result<Option<UnixMillis>, SqlError> {
        refresh::due(&self.sql, session)
    }

    /// The newest of this session's secrets whose grace waits for the edges to be
    /// told, by its rank.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn left_behind(&self, session: SessionId) -> Result<Option<u32>, SqlError> {
        refresh::left_behind(&self.sql, session)
    }

    /// They have been told of it and of all before it.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn note_told(&self, session: SessionId, rank: u32, now: UnixMillis) -> Result<(), SqlError> {
        refresh::told(&self.sql, session, rank, now)
    }

    /// Whether a rotation would make a secret: not where nobody is served, or where
    /// the successor is there already.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn makes_secret(&self, call: &RotateCall, now: UnixMillis) -> Result<bool, SqlError> {
        self.open()?;
        rotation::makes_secret(&self.sql, call, now)
    }

    /// The ends of all that a subject had, of which it takes a word from the feed
    /// to know if this start is later.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn of_another_epoch(&self, subject: &Subject, since: Position) -> Result<Vec<KillId>, SqlError> {
        self.open()?;
        ended::of_another_epoch(&self.sql, subject, since.epoch)
    }

    /// Notes that word.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn note_epoch(&self, kills: &[KillId], current: Epoch) -> Result<(), SqlError> {
        ended::precede(&self.sql, kills, current)
    }

    /// The kill of the site that holds log-ins up here though no start can be
    /// older than it any more: this shard has not been told where it stands.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn untold(&self, now: UnixMillis) -> Result<Option<KillId>, SqlError> {
        self.open()?;
        ended::untold(&self.sql, now)
    }

    /// Nobody will tell it.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn forget_untold(&self, kill: KillId, now: UnixMillis) -> Result<(), SqlError> {
        ended::forget_untold(&self.sql, kill, now)
    }

    /// It stands there.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn note_place(&self, kill: KillId, position: Position, now: UnixMillis) -> Result<(), SqlError> {
        ended::stands(&self.sql, kill, position, now)
    }

    /// The write that an object which has been replaced cannot confirm.
    pub(super) fn tick(&self) -> Result<(), SqlError> {
        self.open()?;
        self.sql.run("UPDATE meta SET value = value + 1 WHERE name = 'tick'", &[]).map(|_| ())
    }

    /// Notes that the feed has what was sent, as these entries of `epoch`;
    /// `bound_ms` is the largest bound that any edge goes by.
    ///
    /// # Errors
    /// The database failed: it is noted the next time, since the feed takes
    /// each entry once.
    pub fn note_published(
        &self,
        epoch: Epoch,
        bound_ms: u64,
        sent: &Append,
        entries: &[Appended],
        now: UnixMillis,
    ) -> Result<(), SqlError> {
        self.awake.since(now);
        outbox::published(&self.sql, epoch, bound_ms, sent, entries, now)
    }

    pub(super) fn kill(&self, id: KillId, now: UnixMillis) -> Result<Option<Kill>, SqlError> {
        self.open()?;
        outbox::kill(&self.sql, id, self.awake.since(now), now)
    }

    fn open(&self) -> Result<Option<Home>, SqlError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.home);
        }
        schema::open(&self.sql)?;
        let home = home::read(&self.sql)?;
        self.opened.set(Some(Opened { home }));
        Ok(home)
    }

    fn try_answer(&self, message: &Message, now: UnixMillis) -> Result<ShardAnswer, SqlError> {
        let sql = &self.sql;
        let known = self.open()?;
        if known.is_some() && message.home.is_some() && known != message.home {
            return Ok(ShardAnswer::WrongRow);
        }
        let turn = Turn { sql, now, by: message.by.as_ref(), alarm: &self.alarm };
        if !self.has_looked.replace(true) && sweep::is_lost(sql, now)? {
            turn.wake_by(now.plus(sweep::SOON))?;
        }
        match &message.call {
            ShardCall::Probe => sql.run("SELECT count(*) FROM meta", &[]).map(|_| ShardAnswer::Alive),
            ShardCall::Check { key, end_on_replay } => reading::check(&turn, key, *end_on_replay),
            // What an administrator looks at is written down.
            ShardCall::Show { .. } | ShardCall::List(_) | ShardCall::Audit(_) if audit::is_admins(&turn) => {
                self.change(&turn, message, known)
            }
            ShardCall::Show { id } => reading::show(&turn, *id),
            ShardCall::List(list) => reading::list(&turn, list),
            ShardCall::Audit(audit) => audit::page(&turn, audit),
            ShardCall::Receipt { kill } => {
                let kill = outbox::kill(sql, *kill, self.awake.since(now), now)?;
                // Whoever asks for it waits for what the alarm does.
                if kill.as_ref().is_some_and(|kill| kill.published.is_none() && !kill.is_partial) {
                    turn.wake_by(now.plus(sweep::SOON))?;
                }
                Ok(ShardAnswer::Receipt { kill })
            }
            _ => self.change(&turn, message, known),
        }
    }

    /// What writes: whole, or not at all.
    fn change(&self, turn: &Turn<'_, S>, message: &Message, known: Option<Home>) -> Result<ShardAnswer, SqlError> {
        let Some(home) = message.home else {
            return Err(SqlError("a change without a place in the map".to_owned()));
        };
        let answer = self.sql.atomically(|| {
            if known.is_none() {
                home::write(&self.sql, home)?;
            }
            match &message.call {
                ShardCall::Start(start) => start::begin(turn, start),
                ShardCall::Rotate(rotate) => rotation::rotate(turn, rotate),
                ShardCall::Update(update) => change::update(turn, update),
                ShardCall::Renew(renew) => change::renew(turn, renew),
                ShardCall::End(end) => ending::end(turn, end),
                ShardCall::EndOthers(others) => ending::end_others(turn, others),
                ShardCall::EndAll(all) => ending::end_all(turn, all),
                ShardCall::Hold(hold) => held::hold(turn, hold),
                ShardCall::Claim(claim) => adoption::claim(turn, claim),
                ShardCall::Settle(settle) => adoption::settle(turn, settle),
                ShardCall::Close { subject, until } => adoption::close(turn, subject, *until),
                ShardCall::IsClosed { subject } => {
                    adoption::is_closed(turn.sql, subject).map(|closed| ShardAnswer::Closed { closed })
                }
                ShardCall::EndSite { kill } => ending::end_site(turn, *kill),
                ShardCall::Leave { subject, keep, kill } => ending::leave(turn, subject, *keep, *kill),
                ShardCall::Stands { kill, position } => {
                    ended::stands(turn.sql, *kill, *position, turn.now).map(|()| ShardAnswer::Noted)
                }
                ShardCall::Show { id } => {
                    let shown = reading::show(turn, *id)?;
                    let ShardAnswer::Shown { session } = &shown else { return Ok(shown) };
                    audit::note(turn, "admin_called", Some(*id), session.as_ref().map(|session| &session.subject))?;
                    Ok(shown)
                }
                ShardCall::List(list) => {
                    audit::note(turn, "admin_called", None, Some(&list.subject))?;
                    reading::list(turn, list)
                }
                ShardCall::Audit(call) => {
                    let reason = turn.by.map_or("", |by| &by.reason);
                    audit::note_rarely(turn, "admin_called", reason, call.session, call.subject.as_ref())?;
                    audit::page(turn, call)
                }
                ShardCall::Probe | ShardCall::Check { .. } | ShardCall::Receipt { .. } => {
                    Err(SqlError("no change".to_owned()))
                }
            }
        })?;
        self.opened.set(Some(Opened { home: Some(home) }));
        Ok(answer)
    }
}
