//! Asks the shard and the model the same, and plays the platform (the clock,
//! the alarm), the feed, and the browsers (who hold the secrets).

use super::browsers::{Browsers, back};
use super::calls::{AFTER_ALL, EPOCH, HOME, Secret, handle, lead, limit, subject};
use super::model::{Model, PUBLISHED};
use super::operation::{IDLE_MS, Operation, Which as Meant};
use super::warifu;
use super::watch::Watch;
use warifu::revocation::Position;
use warifu::session::{Claims, Device, KillId, Salt, Served, SessionId};
use warifu::store::Sql;
use warifu::store::feed::Appended;
use warifu::store::message::{
    EndAllCall, EndCall, EndOthersCall, Kill, ListCall, Mark, Message, RenewCall, RotateCall, ShardAnswer, ShardCall,
    StartCall, UpdateCall, Which,
};
use warifu::store::session_shard::SessionShard;
use warifu::time::UnixMillis;

pub struct Driver<S> {
    shard: SessionShard<S>,
    model: Model,
    watch: Watch,
    now: UnixMillis,
    /// When the platform will ring.
    alarm: Option<UnixMillis>,
    browsers: Browsers,
    sessions: Vec<SessionId>,
    kills: Vec<KillId>,
    site_kill: Option<KillId>,
    /// Whether the feed can be reached, and how many entries it has.
    has_feed: bool,
    entries: u64,
    /// Numbers of handles, secrets and salts.
    made: u32,
}

impl<S: Sql> Driver<S> {
    pub fn new(shard: SessionShard<S>) -> Self {
        Self {
            shard,
            model: Model::default(),
            watch: Watch::default(),
            now: UnixMillis(1_750_000_000_000),
            alarm: None,
            browsers: Browsers::new(),
            sessions: vec![handle(0)],
            kills: vec![handle(0)],
            site_kill: None,
            has_feed: true,
            entries: 0,
            made: 0,
        }
    }

    /// # Errors
    /// The shard did not do what the model does.
    #[allow(clippy::too_many_lines, reason = "one arm for each operation")]
    pub fn go(&mut self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::Start { subject, level, presented, end_others, limit: at_most, lifetime_ms, knows_feed } => {
                let secret = Secret::fresh(self.number());
                let call = StartCall {
                    id: handle(self.number()),
                    key: secret.key(),
                    subject: self::subject(subject),
                    level,
                    claims: None,
                    device: Device::default(),
                    idle_ms: IDLE_MS,
                    lifetime_ms,
                    presented: presented.and_then(|back| self.browsers.presented(back)).map(Secret::key),
                    end_others,
                    limit: at_most.map(limit),
                    lead: lead(self.kill()),
                    since: knows_feed.then_some(AFTER_ALL),
                    adopts: None,
                    hold: None,
                };
                self.start(call, secret)
            }
            Operation::Use { secret, ends_replays } => {
                let Some(secret) = self.browsers.presented(secret) else { return Ok(()) };
                self.check(secret, ends_replays).map(|_| ())
            }
            Operation::Rotate { secret, grace_ms } => {
                let Some(secret) = self.browsers.presented(secret) else { return Ok(()) };
                self.rotate(secret, grace_ms).map(|_| ())
            }
            Operation::Race { secret, times } => {
                let Some(secret) = self.browsers.presented(secret) else { return Ok(()) };
                self.race(secret, times)
            }
            Operation::RotateOn { secret, times } => {
                let Some(mut secret) = self.browsers.presented(secret) else { return Ok(()) };
                for _ in 0..times {
                    let Some(salt) = self.rotate(secret, 15_000)? else { break };
                    secret = secret.successor(salt);
                }
                Ok(())
            }
            Operation::Raise { secret, level } => {
                let Some(secret) = self.browsers.presented(secret) else { return Ok(()) };
                self.raise(secret, level)
            }
            Operation::Update { of, claims, level } => {
                let Some(of) = self.which(of) else { return Ok(()) };
                let claims = Claims::parse(&format!(r#"{{"n":{}}}"#, self.number())).filter(|_| claims);
                let refresh = handle(self.number());
                self.ask(ShardCall::Update(Box::new(UpdateCall { of, claims, level, refresh }))).map(|_| ())
            }
            Operation::Renew { secret, idle_ms, moves } => {
                let Some(secret) = self.browsers.presented(secret) else { return Ok(()) };
                let prefix = moves.then(|| format!("192.0.{}.0/24", self.number() % 256));
                self.ask(ShardCall::Renew(RenewCall { key: secret.key(), idle_ms, prefix })).map(|_| ())
            }
            Operation::End { of, only } => {
                let Some(of) = self.which(of) else { return Ok(()) };
                let call = EndCall { of, only: only.map(subject), kill: self.kill() };
                self.ask(ShardCall::End(call)).map(|_| ())
            }
            Operation::EndOthers { secret } => {
                let Some(secret) = self.browsers.presented(secret) else { return Ok(()) };
                self.end_others(secret)
            }
            Operation::EndAll { subject } => {
                let (kill, subject) = (self.kill(), self::subject(subject));
                self.ask(ShardCall::EndAll(EndAllCall { subject, kill, lead: Some(lead(kill)) })).map(|_| ())
            }
            Operation::EndSite => self.end_site(),
            Operation::TellSite => self.tell_site(),
            Operation::Leave { subject, keep } => {
                let call = ShardCall::Leave { subject: self::subject(subject), keep, kill: self.kill() };
                self.ask(call).map(|_| ())
            }
            Operation::List { subject, page } => self.list(subject, page),
            Operation::Receipt { kill } => {
                let kill = back(&self.kills, kill);
                self.ask(ShardCall::Receipt { kill: *kill }).map(|_| ())
            }
            Operation::Pass { ms } => self.pass(ms),
            Operation::LoseFeed => {
                self.has_feed = false;
                Ok(())
            }
            Operation::FindFeed => self.find_feed(),
            Operation::PassUnheard { ms } => {
                self.ring()?;
                self.now = UnixMillis(self.now.0 + ms);
                Ok(())
            }
            Operation::Wake => self.wake(),
            Operation::NewKey => {
                self.browsers.new_key();
                Ok(())
            }
            Operation::DropKeys => {
                self.browsers.drop_keys();
                Ok(())
            }
        }
    }

    /// Looks at everything once more: all secrets, sessions and lists.
    ///
    /// # Errors
    /// As for [`Driver::go`].
    pub fn audit(&mut self) -> Result<(), String> {
        self.look()?;
        self.find_feed()?;
        self.look()?;
        self.wake()?;
        self.pass(10_000)
    }

    fn look(&mut self) -> Result<(), String> {
        for id in self.sessions.clone() {
            self.ask(ShardCall::Show { id })?;
        }
        for secret in self.browsers.all() {
            self.check(secret, false)?;
        }
        for kill in self.kills.clone() {
            self.ask(ShardCall::Receipt { kill })?;
        }
        for subject in 0..3 {
            self.list(subject, 2)?;
        }
        Ok(())
    }

    fn start(&mut self, call: StartCall, secret: Secret) -> Result<(), String> {
        let (id, limit, subject) = (call.id, call.limit, call.subject.clone());
        if let ShardAnswer::Started { .. } = self.ask(ShardCall::Start(Box::new(call)))? {
            self.sessions.push(id);
            self.browsers.keep(secret);
            if let Some(limit) = limit {
                let call = ShardCall::List(ListCall { subject, after: None, limit: 100 });
                let ShardAnswer::Sessions { sessions, .. } = self.ask(call)? else { return Err("no list".to_owned()) };
                if sessions.len() + limit.elsewhere as usize > limit.max as usize {
                    return Err(format!("{} sessions and {limit:?}", sessions.len()));
                }
            }
        }
        Ok(())
    }

    /// The salt that the secret is offered.
    fn check(&mut self, secret: Secret, ends_replays: bool) -> Result<Option<Salt>, String> {
        let kill = ends_replays.then(|| self.kill());
        let answer = self.ask(ShardCall::Check { key: secret.key(), end_on_replay: kill })?;
        let ShardAnswer::Checked { found, .. } = answer else { return Err("no check".to_owned()) };
        self.watch.see(secret, found.as_ref())?;
        match found.map(|found| found.served) {
            Some(Served::Current) => {
                self.browsers.mint_anew(secret);
                Ok(None)
            }
            Some(Served::InGrace { salt }) => self.offered(secret, salt),
            None => Ok(None),
        }
    }

    fn rotate(&mut self, secret: Secret, grace_ms: u64) -> Result<Option<Salt>, String> {
        let salt = Secret::salt(self.number());
        let (presented, successor) = (secret.key(), secret.successor(salt).key());
        let refresh = handle(self.number());
        let call = RotateCall { presented, successor, salt: Some(salt), level: None, grace_ms, refresh, wrapped: None };
        let call = ShardCall::Rotate(Box::new(call));
        let mut answer = self.ask(call.clone())?;
        // The object answers only once the feed has it, with what the shard says then.
        if matches!(&answer, ShardAnswer::Rotated { rotated: Some(rotated) } if rotated.is_new) {
            if !self.has_feed {
                return Ok(None);
            }
            answer = self.ask(call)?;
        }
        match answer {
            ShardAnswer::Rotated { rotated } => self.offered(secret, rotated.and_then(|rotated| rotated.salt)),
            _ => Err("no rotation".to_owned()),
        }
    }

    /// What a browser is offered has to be the session's newest secret.
    fn offered(&mut self, secret: Secret, salt: Option<Salt>) -> Result<Option<Salt>, String> {
        if let Some(salt) = salt {
            let successor = secret.successor(salt);
            if !self.model.opens_as_newest(&successor.key(), self.now) {
                return Err("what was offered is not the newest secret".to_owned());
            }
            self.browsers.keep(successor);
        }
        Ok(salt)
    }

    fn race(&mut self, secret: Secret, times: u32) -> Result<(), String> {
        let mut salts = Vec::new();
        for time in 0..times {
            let salt = if time % 2 == 0 { self.rotate(secret, 15_000)? } else { self.check(secret, false)? };
            salts.extend(salt);
        }
        if salts.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err("requests that raced got different successors".to_owned());
        }
        Ok(())
    }

    fn raise(&mut self, secret: Secret, level: u8) -> Result<(), String> {
        let successor = Secret::fresh(self.number());
        let (presented, key) = (secret.key(), successor.key());
        let (level, refresh) = (Some(level), handle(self.number()));
        let call =
            RotateCall { presented, successor: key, salt: None, level, grace_ms: 15_000, refresh, wrapped: None };
        match self.ask(ShardCall::Rotate(Box::new(call)))? {
            ShardAnswer::Rotated { rotated: Some(_) } if self.has_feed => self.browsers.keep(successor),
            // If the feed was lost on the way, the answer is: nobody gets it.
            ShardAnswer::Rotated { .. } => {}
            _ => return Err("no rotation".to_owned()),
        }
        Ok(())
    }

    fn end_others(&mut self, secret: Secret) -> Result<(), String> {
        let successor = Secret::fresh(self.number());
        let (presented, key) = (secret.key(), successor.key());
        let kill = self.kill();
        let call = EndOthersCall { presented, successor: key, lead: lead(kill), grace_ms: 15_000, wrapped: None };
        if let ShardAnswer::EndedOthers { session: Some(_), .. } = self.ask(ShardCall::EndOthers(call))? {
            self.browsers.keep(successor);
        }
        Ok(())
    }

    fn end_site(&mut self) -> Result<(), String> {
        let kill = handle(self.number());
        self.site_kill = Some(kill);
        self.ask(ShardCall::EndSite { kill }).map(|_| ())
    }

    fn tell_site(&mut self) -> Result<(), String> {
        let Some(kill) = self.site_kill else { return Ok(()) };
        self.entries += 1;
        let position = Position { epoch: EPOCH, seq: self.entries };
        self.ask(ShardCall::Stands { kill, position }).map(|_| ())
    }

    /// All pages.
    fn list(&mut self, subject: u8, limit: u32) -> Result<(), String> {
        let mut after = None;
        loop {
            let call = ShardCall::List(ListCall { subject: self::subject(subject), after, limit });
            let ShardAnswer::Sessions { sessions, more } = self.ask(call)? else { return Err("no list".to_owned()) };
            let Some(last) = sessions.last().filter(|_| more) else { return Ok(()) };
            after = Some(Mark { created: last.created, id: last.id });
        }
    }

    fn find_feed(&mut self) -> Result<(), String> {
        self.has_feed = true;
        self.publish()
    }

    /// The feed takes all that waits, however close together it comes.
    fn publish(&mut self) -> Result<(), String> {
        let later = UnixMillis(self.now.0 + 1_000);
        while let Some(append) = self.shard.waiting(later).map_err(|error| error.0)? {
            let mut taken = Vec::new();
            for entry in &append.entries {
                self.entries += 1;
                taken.push(Appended { id: entry.id, seq: self.entries, accepted: self.now, is_whole: true });
            }
            self.shard.note_published(EPOCH, 5_000, &append, &taken, self.now).map_err(|error| error.0)?;
        }
        self.model.publish(self.now);
        Ok(())
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        self.ring()?;
        let until = UnixMillis(self.now.0 + ms);
        // Without the feed the alarm rings every other second, or late: there
        // is no end to it.
        let step = if self.has_feed { 0 } else { ms / 8 };
        while let Some(at) = self.alarm.filter(|at| *at <= until) {
            self.now = UnixMillis(self.now.0 + step).min(until).max(at);
            self.ring()?;
        }
        self.now = until;
        // All alarms were heard, so nothing is overdue that may not be.
        Watch::no_salt_is_overdue(self.shard.sql(), until)
    }

    /// The alarms that are due, however late.
    fn ring(&mut self) -> Result<(), String> {
        while self.alarm.is_some_and(|at| at <= self.now) {
            self.wake()?;
        }
        Ok(())
    }

    fn wake(&mut self) -> Result<(), String> {
        self.shard.wake(self.now).map_err(|error| error.0)?;
        self.alarm = self.shard.take_alarm();
        if self.alarm.is_some_and(|at| at <= self.now) {
            return Err("a sweep wants to be woken at once".to_owned());
        }
        // Where one sweep was not enough, the next comes within two seconds.
        let is_done = self.alarm.is_none_or(|at| at.0 > self.now.0 + 2_000);
        let expected = self.model.rows(self.now);
        Watch::is_swept(self.shard.sql(), self.now, is_done.then_some(expected), self.alarm.is_some())
    }

    /// The shard's answer, which is the model's too.
    fn ask(&mut self, call: ShardCall) -> Result<ShardAnswer, String> {
        let expected = self.model.answer(&call, self.now);
        let message = Message { home: Some(HOME), is_fenced: false, by: None, call };
        let found = self.shard.answer(&message, self.now);
        if let Some(at) = self.shard.take_alarm() {
            self.alarm = Some(at);
        }
        if let Some(expected) = expected.map(|expected| format!("{expected:?}"))
            && expected != format!("{:?}", placed_anywhere(found.clone()))
        {
            return Err(format!("asked {:?}\n  it is not {expected}\n  but       {found:?}", message.call));
        }
        if self.has_feed {
            self.publish()?;
        }
        Ok(found)
    }

    fn which(&self, which: Meant) -> Option<Which> {
        match which {
            Meant::Secret(count) => self.browsers.presented(count).map(|secret| Which::Key(secret.key())),
            Meant::Session(count) => Some(Which::Id(*back(&self.sessions, count))),
        }
    }

    fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    fn kill(&mut self) -> KillId {
        let kill = handle(self.number());
        self.kills.push(kill);
        kill
    }
}

/// The same answer, whatever the place of its kill in the feed.
fn placed_anywhere(mut answer: ShardAnswer) -> ShardAnswer {
    let anywhere = |kill: &mut Kill| {
        if let Some(published) = &mut kill.published {
            *published = PUBLISHED;
        }
    };
    // What was ended before: tests/store/again.rs has it.
    match &mut answer {
        ShardAnswer::Ended { session: None, earlier } => *earlier = None,
        ShardAnswer::EndedAll { earlier, .. } => *earlier = None,
        _ => {}
    }
    match &mut answer {
        ShardAnswer::Ended { session: Some(placed), .. } => anywhere(&mut placed.kill),
        ShardAnswer::EndedOthers { kill: Some(kill), .. }
        | ShardAnswer::EndedAll { kill: Some(kill), .. }
        | ShardAnswer::Receipt { kill: Some(kill) } => anywhere(kill),
        _ => {}
    }
    answer
}
