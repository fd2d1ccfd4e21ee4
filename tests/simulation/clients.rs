//! Who sends requests: browsers with a cookie, an administrator who ends
//! sessions, and a thief who has a copy of every cookie there ever was.

use std::cell::RefCell;
use std::rc::Rc;

use base64ct::{Base64, Encoding};

use super::executor::{FOREVER, MILLI, Micros, SECOND};
use super::history::Route;
use super::moving;
use super::random::Dice;
use super::world::{Ask, Seen, SetCookie, World};

impl Ask {
    /// A visit of a page.
    pub fn get(who: &str, route: Route, cookie: Option<usize>) -> Self {
        Self {
            who: who.to_owned(),
            route,
            method: "GET",
            path: String::new(),
            cookie,
            body: "",
            command: None,
            subject: None,
            opens: false,
            origin_takes: 10 * MILLI,
        }
    }

    /// A WebSocket or an event stream.
    pub fn open(who: &str, route: Route, cookie: usize) -> Self {
        Self { opens: true, ..Self::get(who, route, Some(cookie)) }
    }

    pub fn log_in(who: &str, subject: &str, cookie: Option<usize>) -> Self {
        let claims = claims(0);
        Self {
            method: "POST",
            command: Some(format!("do=start, sub=\"{subject}\", claims={claims}")),
            subject: Some(subject.to_owned()),
            ..Self::get(who, Route::Login, cookie)
        }
    }

    /// A request to which the origin answers with a command.
    pub fn act(who: &str, cookie: Option<usize>, command: &str) -> Self {
        Self { method: "POST", command: Some(command.to_owned()), ..Self::get(who, Route::Act, cookie) }
    }

    /// A call of an administrator.
    pub fn call(method: &'static str, path: String, body: &'static str) -> Self {
        Self { method, path, body, ..Self::get("admin", Route::Own, None) }
    }

    pub fn kill_site() -> Self {
        Self::call("DELETE", "/sessions".to_owned(), "{\"confirm\":\"default\"}")
    }

    pub fn kill_subject(subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..Self::call("DELETE", format!("/sessions?subject={subject}"), "") }
    }
}

/// A Structured Field.
pub fn claims(version: u64) -> String {
    format!(":{}:", Base64::encode_string(format!("{{\"v\":{version}}}").as_bytes()))
}

/// One browser, which sends several requests at a time now and then.
pub struct Browser {
    pub world: Rc<World>,
    pub name: String,
    pub subject: String,
    pub home: usize,
    pub dice: Dice,
    pub cookie: RefCell<Option<usize>>,
}

impl Browser {
    pub fn new(world: &Rc<World>, name: String, subject: String) -> Rc<Self> {
        let dice = world.dice.fork();
        let home = dice.index(world.plan.edges);
        Rc::new(Self { world: Rc::clone(world), name, subject, home, dice, cookie: RefCell::default() })
    }

    fn seat(&self) -> usize {
        if self.dice.chance(800) { self.home } else { self.dice.index(self.world.plan.edges) }
    }

    /// Sends a request and keeps the cookie that comes with the answer.
    pub async fn send(&self, ask: Ask) -> Seen {
        let had = ask.cookie;
        let seen = self.world.request(self.seat(), ask).await;
        let mut cookie = self.cookie.borrow_mut();
        match seen.cookie {
            SetCookie::Set(new) => *cookie = Some(new),
            SetCookie::Cleared => *cookie = None,
            // Who is sent to the log-in goes there, unless it has been meanwhile.
            SetCookie::Nothing if seen.status == Some(401) && *cookie == had => *cookie = None,
            SetCookie::Nothing => {}
        }
        seen
    }

    pub async fn live(self: Rc<Self>, until: Micros) {
        while self.world.exec.now() < until {
            let pause = if self.dice.chance(40) { self.dice.within(500, 3_500) } else { self.dice.within(15, 180) };
            self.world.exec.sleep(pause * MILLI).await;
            let cookie = *self.cookie.borrow();
            match cookie {
                None => self.log_in(None).await,
                Some(cookie) if self.is_old(cookie) => self.move_in(cookie).await,
                Some(cookie) => self.use_it(cookie).await,
            }
        }
    }

    fn is_old(&self, cookie: usize) -> bool {
        self.world.history.borrow().olds.has(cookie)
    }

    /// A page of several requests, by somebody who was logged in before.
    async fn move_in(self: &Rc<Self>, cookie: usize) {
        for _ in 0..self.dice.below(4) {
            let (browser, span) = (Rc::clone(self), self.dice.below(300) * MILLI);
            let route = *self.dice.pick(&[Route::Account, Route::Strict, Route::News]);
            self.world.exec.spawn(FOREVER, async move {
                browser.world.exec.sleep(span).await;
                browser.send(Ask::get(&browser.name, route, Some(cookie))).await;
            });
        }
        self.send(Ask::get(&self.name, Route::Account, Some(cookie))).await;
    }

    async fn log_in(&self, cookie: Option<usize>) {
        let mut ask = Ask::log_in(&self.name, &self.subject, cookie);
        ask.origin_takes = match self.dice.below(20) {
            0 => self.dice.within(1_000, 6_000) * MILLI,
            _ => self.dice.within(5, 60) * MILLI,
        };
        let ends_others = self.dice.chance(80);
        let doom = if ends_others {
            ask.command = ask.command.map(|command| format!("{command}, end-others"));
            Some(self.world.history.borrow_mut().doom(Some(&self.subject), None))
        } else {
            self.doom_own(cookie);
            None
        };
        self.send(ask).await;
        self.settle(doom);
    }

    async fn use_it(self: &Rc<Self>, cookie: usize) {
        let get = |route| Ask::get(&self.name, route, Some(cookie));
        let act = |command: &str| Ask::act(&self.name, Some(cookie), command);
        match self.dice.below(200) {
            0..=3 => self.rotate(cookie).await,
            4 => self.change(act("do=rotate, level=2")).await,
            5..=7 => {
                let version = self.world.exec.now() / MILLI;
                self.change(act(&format!("do=update, claims={}", claims(version)))).await;
            }
            8 => {
                self.doom_own(Some(cookie));
                self.send(act("do=end")).await;
            }
            9 => {
                self.doom_own(Some(cookie));
                let path = "/logout".to_owned();
                self.send(Ask { method: "POST", path, ..get(Route::Own) }).await;
            }
            10 => self.end_others(cookie).await,
            11 => {
                let doom = self.world.history.borrow_mut().doom(Some(&self.subject), None);
                self.send(act("do=end-all")).await;
                self.settle(Some(doom));
            }
            12 => self.log_in(Some(cookie)).await,
            13..=24 => drop(self.send(get(Route::Poll)).await),
            25..=38 => drop(self.send(get(Route::News)).await),
            39..=42 => {
                let route = *self.dice.pick(&[Route::Account, Route::Account, Route::News, Route::Strict]);
                drop(self.send(Ask::open(&self.name, route, cookie)).await);
            }
            43..=50 => drop(self.send(get(Route::Strict)).await),
            _ => drop(self.send(get(Route::Account)).await),
        }
    }

    async fn change(&self, ask: Ask) {
        self.send(ask).await;
    }

    /// A rotation, and requests that race with it.
    async fn rotate(self: &Rc<Self>, cookie: usize) {
        for _ in 0..self.dice.below(4) {
            let (browser, span) = (Rc::clone(self), self.dice.below(400) * MILLI);
            let route = *self.dice.pick(&[Route::Account, Route::Strict, Route::News]);
            self.world.exec.spawn(FOREVER, async move {
                browser.world.exec.sleep(span).await;
                browser.send(Ask::get(&browser.name, route, Some(cookie))).await;
            });
        }
        self.send(Ask::act(&self.name, Some(cookie), "do=rotate")).await;
    }

    async fn end_others(&self, cookie: usize) {
        let doom = {
            let mut history = self.world.history.borrow_mut();
            let own = history.cookies[cookie].session;
            for cookie in history.cookies.iter_mut().filter(|cookie| cookie.session == own) {
                cookie.is_doomed = true;
            }
            history.doom(Some(&self.subject), Some(own))
        };
        self.send(Ask::act(&self.name, Some(cookie), "do=end-others")).await;
        self.settle(Some(doom));
    }

    fn doom_own(&self, cookie: Option<usize>) {
        let mut history = self.world.history.borrow_mut();
        if let Some(session) = cookie.map(|cookie| history.cookies[cookie].session)
            && let Some(lineage) = history.lineages.get_mut(&session)
        {
            lineage.is_doomed = true;
        }
    }

    fn settle(&self, doom: Option<usize>) {
        if let Some(doom) = doom {
            self.world.history.borrow_mut().doom_settles(doom, self.world.exec.now());
        }
    }

    /// Logs in and goes from page to page without a pause.
    pub async fn be_steady(self: Rc<Self>, until: Micros) {
        while self.world.exec.now() < until {
            self.world.exec.sleep(80 * MILLI).await;
            let cookie = *self.cookie.borrow();
            let ask = match cookie {
                None => Ask::log_in(&self.name, &self.subject, None),
                Some(_) => Ask::get(&self.name, Route::Account, cookie),
            };
            self.send(ask).await;
        }
    }
}

/// Ends sessions of all kinds, and asks what became of it.
pub async fn administer(world: Rc<World>, until: Micros) {
    let dice = world.dice.fork();
    let mut receipts: Vec<String> = Vec::new();
    while world.exec.now() < until {
        world.exec.sleep(dice.within(150, 1_300) * MILLI).await;
        let wait = if dice.chance(250) { "wait=quiesced" } else { "" };
        let subject = format!("u{}", dice.index(world.plan.subjects));
        let (ask, doom) = match dice.below(20) {
            0..=7 => {
                let target = {
                    let mut history = world.history.borrow_mut();
                    let mut living: Vec<_> =
                        history.lineages.iter_mut().filter(|(_, lineage)| lineage.killed.is_none()).collect();
                    if living.is_empty() {
                        continue;
                    }
                    let index = dice.index(living.len());
                    living[index].1.is_doomed = true;
                    living[index].0.to_text()
                };
                (Ask::call("DELETE", format!("/sessions/{target}?{wait}"), ""), None)
            }
            8..=14 => {
                let doom = world.history.borrow_mut().doom(Some(&subject), None);
                let mut ask = Ask::kill_subject(&subject);
                if !wait.is_empty() {
                    ask.path = format!("{}&{wait}", ask.path);
                }
                (ask, Some(doom))
            }
            15 => {
                // How long it takes until it has reached each shard is not known here.
                world.history.borrow_mut().doom(None, None);
                (Ask { path: format!("/sessions?{wait}"), ..Ask::kill_site() }, None)
            }
            _ if !receipts.is_empty() => (Ask::call("GET", format!("/revocations/{}", dice.pick(&receipts)), ""), None),
            _ => continue,
        };
        world.history.borrow_mut().counts.kills += u64::from(ask.method == "DELETE");
        let seat = dice.index(world.plan.edges);
        let seen = world.request(seat, ask).await;
        let receipt: serde_json::Value = serde_json::from_str(&seen.body).unwrap_or_default();
        receipts.extend(receipt["kill_id"].as_str().map(str::to_owned));
        if let Some(doom) = doom {
            world.history.borrow_mut().doom_settles(doom, world.exec.now());
        }
    }
}

/// Tries cookies of all ages, of the living and the dead.
pub async fn steal(world: Rc<World>, until: Micros) {
    let dice = world.dice.fork();
    while world.exec.now() < until {
        world.exec.sleep(dice.within(10, 120) * MILLI).await;
        let count = world.history.borrow().cookies.len();
        if count == 0 {
            continue;
        }
        // Mostly young ones: what has just ended is what matters.
        let cookie = if dice.chance(700) { count - 1 - dice.index(count.min(12)) } else { dice.index(count) };
        let route = *dice.pick(&[Route::Account, Route::Account, Route::News, Route::Strict, Route::Poll]);
        let seat = dice.index(world.plan.edges);
        let world = Rc::clone(&world);
        world.clone().exec.spawn(FOREVER, async move {
            world.request(seat, Ask::get("thief", route, Some(cookie))).await;
        });
    }
}

/// Everybody, until this time.
pub fn populate(world: &Rc<World>, until: Micros) {
    for index in 0..world.plan.browsers {
        let subject = format!("u{}", index % world.plan.subjects);
        let browser = Browser::new(world, format!("browser{index}"), subject);
        if world.plan.adopts {
            let old = moving::logged_in(&mut world.history.borrow_mut(), &world.plan, &browser.subject);
            browser.cookie.replace(Some(old));
        }
        world.exec.spawn(FOREVER, browser.live(until));
    }
    world.exec.spawn(FOREVER, administer(Rc::clone(world), until));
    world.exec.spawn(FOREVER, steal(Rc::clone(world), until));
}

/// When all is well: one browser at each edge.
pub fn be_steady(world: &Rc<World>, until: Micros) {
    for seat in 0..world.plan.edges {
        let dice = world.dice.fork();
        let name = format!("steady{seat}");
        let browser = Browser {
            world: Rc::clone(world),
            subject: name.clone(),
            name,
            home: seat,
            dice,
            cookie: RefCell::default(),
        };
        world.exec.spawn(FOREVER, Rc::new(browser).be_steady(until));
    }
}

/// A span for the quiet end.
pub const REST: Micros = 3 * SECOND;
