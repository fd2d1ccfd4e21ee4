//! Precedents for the JavaScript beside this file, which knows them by number.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::Env;
use worker::worker_sys::Context;

use crate::config::Config;
use crate::edge::fetch::{Followed, Prepared, has_waited, prepared, respond_after_asking, respond_to_answer};
use crate::edge::glue;
use crate::edge::ports::{PlatformClock, PlatformRandom};
use crate::edge::turn;
use crate::lookup;
use crate::policy::Demand;
use crate::ports::{Clock, Reading};
use crate::precedent::{CHARS_MAX, LEFT_OUT, Precedent, Standing};
use crate::revocation::Memory;
use crate::site::Site;
use crate::time::{UnixMillis, millis};

/// What this isolate keeps.
#[derive(Default)]
struct Kept {
    /// That of the request which is being sent on, with its site's place.
    offered: Option<(usize, Precedent)>,
    /// Of requests that are told apart by nothing but their header fields.
    classes: Vec<Class>,
    /// The newest ones; the number of the first is `first`.
    precedents: VecDeque<(usize, Rc<Precedent>)>,
    first: u32,
}

/// Site, scheme, host and what is demanded.
#[derive(Eq, PartialEq)]
struct Class(usize, Box<str>, Box<str>, Demand);

thread_local! {
    static KEPT: RefCell<Kept> = {
        // It only keeps it, and says which numbers it has had from an instance before this one.
        let had = glue::leave_out(&LEFT_OUT.join(" "), CHARS_MAX).and_then(|()| glue::lend_precedents(Precedents(()))).unwrap_or(0);
        RefCell::new(Kept { first: had.saturating_add(1), ..Kept::default() })
    };
}

/// For the time that a request is sent on, so that the JavaScript can [`Precedents::keep`]
/// what it makes. Returns whether it makes one.
pub fn offer(site: usize, precedent: Option<&Precedent>) -> bool {
    KEPT.with_borrow_mut(|kept| kept.offered = precedent.map(|precedent| (site, precedent.clone())));
    precedent.is_some()
}

impl Kept {
    /// Its numbers; none where nothing is to be kept.
    fn keep(&mut self) -> Option<Vec<u32>> {
        let (site, precedent) = self.offered.take()?;
        let Prepared { sites, .. } = &*prepared()?;
        let site_of = sites.as_slice().get(site)?;
        let class = Class(site, precedent.scheme.clone(), precedent.host.clone(), precedent.demand);
        let known = self.classes.iter().position(|known| *known == class);
        let place = match known {
            Some(place) => place,
            // Where any host leads here, a client can make up as many as it likes.
            // Those who wait need their precedents, which know of no class.
            None if self.classes.len() >= CLASSES_MAX => {
                self.classes.clear();
                return Some(vec![0, 1]);
            }
            None => {
                self.classes.push(class);
                self.classes.len() - 1
            }
        };
        let of_answers =
            site * 4 + usize::from(precedent.with_identity()) * 2 + usize::from(precedent.caller().is_some());
        let is_signed = site_of.signer.is_some() && precedent.with_identity();
        let ms_max = u32::try_from(millis(site_of.config.origin_timeout)).unwrap_or(u32::MAX);
        if self.precedents.len() >= PRECEDENTS_MAX {
            self.precedents.pop_front();
            self.first = self.first.checked_add(1)?;
        }
        let number = self.first.checked_add(u32::try_from(self.precedents.len()).ok()?)?;
        self.precedents.push_back((site, Rc::new(precedent)));
        let numbers = [place, of_answers].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Some(vec![number, numbers[0], numbers[1], ms_max.min(i32::MAX as u32), u32::from(is_signed)])
    }

    fn get(&self, number: u32) -> Option<(usize, Rc<Precedent>)> {
        let place = number.checked_sub(self.first)?;
        self.precedents.get(usize::try_from(place).ok()?).cloned()
    }
}

/// What JavaScript asks, of whatever instance of the WebAssembly there is: an object of one
/// would be a pointer into another, where that was begun anew.
#[wasm_bindgen]
pub struct Precedents(());

#[wasm_bindgen]
impl Precedents {
    /// Keeps what the request makes that is being sent on: the numbers of the precedent,
    /// of the class of requests and of the class of answers, how many milliseconds the
    /// application has, and 1 where it is signed. The first is 0 where nothing is kept; a 1
    /// behind that: nothing at all is any more.
    pub fn keep() -> Vec<u32> {
        let kept = KEPT.with_borrow_mut(Kept::keep);
        #[cfg(feature = "test-panic")]
        count(0, kept.is_some());
        kept.unwrap_or_else(|| vec![0])
    }

    /// Whether a request is let through that is like the one of this number: a [`Standing`],
    /// or, from [`Standing::Same`] on, how often the clock has stepped back, twice, and one
    /// more where the time to its answer is taken. It is counted then.
    pub fn stands(number: u32) -> u32 {
        let said = following(number, |_, precedent, config, memory| {
            let now = PlatformClock.now();
            let standing = precedent.stands(config, memory, now);
            if standing == Standing::Same {
                same(precedent, memory, memory.steps(), now)
            } else {
                Some(standing as u32)
            }
        });
        said.unwrap_or(Standing::Over as u32)
    }

    /// Asks the session object whether it is let through, where [`Self::stands`] says so: the
    /// number that it else has from there; or, where that is not so, the response; or a
    /// promise of one of them. `undefined` where the precedent is no longer kept.
    pub fn ask(number: u32, request: web_sys::Request, env: Env, context: Context) -> Result<JsValue, JsValue> {
        let Some((index, precedent)) = KEPT.with_borrow(|kept| kept.get(number)) else {
            return Ok(JsValue::UNDEFINED);
        };
        let asked = Rc::clone(&precedent);
        let same = move |memory: &Memory, steps| same(&asked, memory, steps, PlatformClock.now()).into();
        let shares = turn::copy_of(&context);
        turn::take_sharing(shares, Box::pin(respond_after_asking(request, env, context, (index, precedent), same)))
    }

    /// Has it told when the question is over that this precedent waits for, and says how many
    /// milliseconds that is worth; 0 where there is none.
    pub fn soon(number: u32, told: JsValue) -> u32 {
        let ms = following(number, |_, precedent, config, memory| {
            let asked = precedent.asked(config, memory, PlatformClock.now())?;
            memory.under_way().when_over(asked, glue::telling(told));
            u32::try_from(millis(lookup::patience(config.bound))).ok()
        });
        ms.unwrap_or_default()
    }

    /// The request that is heard next, in this turn, has waited for a question in vain.
    pub fn waited() {
        has_waited();
    }

    /// How many milliseconds one took to its answer, of which the time was taken.
    pub fn took(number: u32, ms: f64) {
        following(number, |_, _, _, memory| {
            memory.tally().origin_time.note(Duration::from_secs_f64((ms / 1_000.0).clamp(0.0, DAY_SECONDS)));
            Some(())
        });
    }

    /// The edits that sign it; `query` has its `?`, or is empty. None where it cannot be signed.
    pub fn sign(number: u32, method: &str, path: &str, query: &str) -> Option<String> {
        let signed = following(number, |site, precedent, _, _| {
            precedent.sign(site, (method, path, query), PlatformClock.now(), &PlatformRandom)
        })?;
        Some(["=signature-input: ", &*signed.signature_input, "\n=signature: ", &*signed.signature, "\n"].concat())
    }

    /// Hears an answer, or why there is none (`null`: it is late), to a request that was let
    /// through at a time by what was `said` of this number: the response and, where others
    /// like it get the same, its edits; or a promise of both. `undefined` where the precedent
    /// is no longer kept.
    #[allow(clippy::too_many_arguments, reason = "what a request has, and what JavaScript knows of it")]
    pub fn answered(
        number: u32,
        said: u32,
        began: f64,
        request: web_sys::Request,
        env: Env,
        context: Context,
        outcome: JsValue,
        has_thrown: bool,
    ) -> Result<JsValue, JsValue> {
        let Some((_, precedent)) = KEPT.with_borrow(|kept| kept.get(number)) else {
            return Ok(JsValue::UNDEFINED);
        };
        #[cfg(feature = "test-panic")]
        count(2, true);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole milliseconds since 1970")]
        let at = UnixMillis(began as u64);
        let sought = Reading::noted(at, u64::from(said.saturating_sub(Standing::Same as u32) / 2));
        let outcome = if has_thrown { Err(outcome) } else { Ok(outcome) };
        turn::take(Box::pin(respond_to_answer(request, env, context, Followed { precedent, sought, outcome })))
    }
}

#[cfg(feature = "test-panic")]
thread_local! {
    static COUNTS: core::cell::Cell<[u32; 3]> = const { core::cell::Cell::new([0; 3]) };
}

#[cfg(feature = "test-panic")]
fn count(what: usize, counts: bool) {
    let mut all = COUNTS.get();
    all[what] += u32::from(counts);
    COUNTS.set(all);
}

/// How many were kept, how many requests went by one, and how many of their answers had to
/// be heard.
#[cfg(feature = "test-panic")]
pub fn counts() -> [u32; 3] {
    COUNTS.get()
}

/// What is said of one that goes by it, which is counted; `steps`: from before it was asked.
fn same(precedent: &Precedent, memory: &Memory, steps: u64, now: UnixMillis) -> Option<u32> {
    #[cfg(feature = "test-panic")]
    count(1, true);
    let steps = u32::try_from(steps).ok()?.checked_mul(2)?;
    (Standing::Same as u32).checked_add(steps)?.checked_add(u32::from(precedent.follow(memory, now)))
}

/// What comes of a precedent that is still kept.
fn following<T>(number: u32, of: impl FnOnce(&Site, &Precedent, &Config, &Memory) -> Option<T>) -> Option<T> {
    let (index, precedent) = KEPT.with_borrow(|kept| kept.get(number))?;
    let Prepared { sites, memories } = &*prepared()?;
    let site = sites.as_slice().get(index)?;
    of(site, &precedent, &site.config, memories.get(index)?)
}

const DAY_SECONDS: f64 = 86_400.0;

/// More than the rules of a configuration tell apart, for one host.
const CLASSES_MAX: usize = 256;

/// More than the JavaScript keeps, which are 512 at most: a request that waits for its answer
/// needs the one that it went by.
const PRECEDENTS_MAX: usize = 2_048;
