//! The Worker's entry.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_util::FutureExt;
use wasm_bindgen::prelude::*;
use web_sys::Response;
use worker::Env;
use worker::worker_sys::Context;
use zeroize::Zeroizing;

use crate::audit::{Event, Whence};
use crate::config::{Mistake, Replica};
use crate::edge::connection;
use crate::edge::glue;
use crate::edge::log::{bind, log, log_of};
use crate::edge::ports::{Before, ClientBody, Network, RequestPorts, answer_of};
use crate::edge::turn;
use crate::error::Failure;
use crate::gate::{self, Reply};
use crate::headers::{HeaderBlock, HeaderEdits};
use crate::ports::{Answer, Ports, Reading};
use crate::precedent::{Precedent, is_answer_of_all};
use crate::request::Request;
use crate::response::{self, OwnResponse};
use crate::revocation::Memory;
use crate::site::{Secrets, Sites};

thread_local! {
    /// Prepared at the isolate's first request; the bindings never change under it,
    /// since a new version gets new isolates.
    static PREPARED: OnceCell<Result<Rc<Prepared>, Vec<Mistake>>> = const { OnceCell::new() };
}

thread_local! {
    /// Where requests are written; those that do not fit come as a text.
    static DESCRIBED: RefCell<Box<[u8; 8_192]>> = {
        // It only keeps it.
        let _ = glue::lend(&wasm_bindgen::memory());
        RefCell::new(Box::new([0; 8_192]))
    };
}

/// The sites, and what this isolate remembers of each.
pub struct Prepared {
    pub sites: Sites,
    pub memories: Vec<Rc<Memory>>,
}

/// What requests are served with, once there was one.
pub fn prepared() -> Option<Rc<Prepared>> {
    PREPARED.with(|cell| cell.get()?.as_ref().ok().cloned())
}

/// What a client gets, and the edits that others like it get as well, where it is such an
/// answer and that was asked.
struct Served {
    response: Response,
    of_all: Option<String>,
}

impl From<Response> for Served {
    fn from(response: Response) -> Self {
        Self { response, of_all: None }
    }
}

/// What the Worker's entry, `entry.js`, calls for each request: answers the
/// response, or a promise of it.
#[wasm_bindgen]
pub fn fetch(incoming: web_sys::Request, env: Env, context: Context) -> Result<JsValue, JsValue> {
    let before = Before { has_waited: HAS_WAITED.replace(false), ..Before::default() };
    let shares = turn::copy_of(&context);
    turn::take_sharing(shares, Box::pin(whole(incoming, env, context, Course::Whole(before))))
}

async fn whole(incoming: web_sys::Request, env: Env, context: Context, course: Course) -> Result<JsValue, JsValue> {
    respond(incoming, env, context, course).await.map(|served| served.response.into())
}

/// How far a request has come.
enum Course {
    Whole(Before),
    Answered(Followed),
}

thread_local! {
    static HAS_WAITED: Cell<bool> = const { Cell::new(false) };
}

/// The request that is heard next, in this turn, has waited for another's question.
pub fn has_waited() {
    HAS_WAITED.set(true);
}

/// A request that a precedent has sent on.
pub struct Followed {
    pub precedent: Rc<Precedent>,
    /// When that was.
    pub sought: Reading,
    /// What has come of it.
    pub outcome: Result<JsValue, JsValue>,
}

/// The response to one: an array of it and the edits of answers like that.
pub async fn respond_to_answer(
    incoming: web_sys::Request,
    env: Env,
    context: Context,
    followed: Followed,
) -> Result<JsValue, JsValue> {
    let Served { response, of_all } = respond(incoming, env, context, Course::Answered(followed)).await?;
    Ok(js_sys::Array::of2(&response, &of_all.into()).into())
}

/// Asks the session object whether one like a precedent of this site comes to the same; then
/// it comes to what `same` says, by how often the clock had stepped back before, and else to the
/// response.
pub async fn respond_after_asking(
    incoming: web_sys::Request,
    env: Env,
    context: Context,
    (index, precedent): (usize, Rc<Precedent>),
    same: impl FnOnce(&Memory, u64) -> JsValue,
) -> Result<JsValue, JsValue> {
    let prepared = prepared().ok_or(JsValue::UNDEFINED)?;
    let Prepared { sites, memories } = &*prepared;
    let (site, memory) = (&sites.as_slice()[index], &memories[index]);
    let (steps, network) = (memory.steps(), Network { site: index });
    let ports = RequestPorts::new(
        env.clone(),
        turn::copy_of(&context),
        &site.config,
        memory,
        Clone::clone(&incoming),
        network,
        Before::default(),
    );
    let asked = match AssertUnwindSafe(precedent.ask(site, &ports)).catch_unwind().await {
        Ok(Ok(())) => return Ok(same(memory, steps)),
        Ok(Err(asked)) => asked,
        Err(_) => {
            ports.tell(Event::Panicked { place: "worker" });
            None
        }
    };
    let before = Before { asked, has_waited: false };
    whole(incoming, env, context, Course::Whole(before)).boxed_local().await
}

async fn respond(incoming: web_sys::Request, env: Env, context: Context, course: Course) -> Result<Served, JsValue> {
    let request = match describe(&incoming) {
        Ok(request) => request,
        Err(thrown) => {
            log("", &Event::Threw { reason: glue::reason(&thrown) });
            return own(&response::problem(&Failure::Internal));
        }
    };
    // Whatever escapes the gate, the client is told nothing of it.
    let served = AssertUnwindSafe(serve(incoming, &request, env, context, course)).catch_unwind().await;
    let event = match served {
        Ok(Ok(served)) => return Ok(served),
        Ok(Err(thrown)) => Event::Threw { reason: glue::reason(&thrown) },
        Err(_) => Event::Panicked { place: "worker" },
    };
    tell_of_site(&request, &event);
    own(&response::refusal(None, &request, &Failure::Internal))
}

async fn serve(
    incoming: web_sys::Request,
    request: &Request,
    env: Env,
    context: Context,
    course: Course,
) -> Result<Served, JsValue> {
    let prepared = PREPARED.with(|cell| cell.get_or_init(|| prepare(&env).map(Rc::new)).as_ref().ok().cloned());
    let Some(prepared) = prepared else {
        return own(&response::refusal(None, request, &Failure::Misconfigured));
    };
    let Prepared { sites, memories } = &*prepared;
    let Some(index) = sites.index_of(&request.host) else {
        return own(&response::refusal(None, request, &Failure::Misdirected));
    };
    let site = &sites.as_slice()[index];
    let (before, followed) = match course {
        Course::Whole(before) => (before, None),
        Course::Answered(followed) => (Before::default(), Some(followed)),
    };
    let hears_answer = followed.is_some();
    let network = Network { site: index };
    let ports =
        RequestPorts::new(env, context, &site.config, &memories[index], Clone::clone(&incoming), network, before);
    #[cfg(feature = "test-panic")]
    if let Some(answer) = crate::edge::test_panic::answer(request, &ports).await {
        return own(&answer);
    }
    let reply = match followed {
        None => gate::serve(site, &ports, request, ClientBody(incoming)).await,
        Some(Followed { precedent, sought, outcome }) => {
            let answered = answer_of(outcome);
            gate::serve_answer(site, &ports, request, (&precedent, sought), answered).boxed_local().await
        }
    };
    match reply {
        Reply::Own(response) => own(&response),
        Reply::Forwarded { answer, edits, body: Some(body), .. } => {
            glue::with_body(&answer.response, &edits.to_lines(), &body).map(Served::from)
        }
        Reply::Forwarded { answer, edits, watched: None, .. } => {
            let of_all = (hears_answer && is_answer_of_all(answer.headers(), &edits)).then(|| edits.to_lines());
            let response =
                if edits.is_empty() { answer.response } else { glue::edited(&answer.response, &edits.to_lines())? };
            Ok(Served { response, of_all })
        }
        Reply::Forwarded { answer, edits, watched: Some(watched), .. } => {
            let connection = glue::connect(&answer.response, &edits.to_lines())?;
            let response = connection.response();
            let prepared = Rc::clone(&prepared);
            wasm_bindgen_futures::spawn_local(async move {
                connection::watch(&prepared.sites.as_slice()[index], &ports, &watched, &connection).await;
            });
            Ok(response.into())
        }
    }
}

/// Writes down what has escaped the gate, and counts it for the site that was asked.
fn tell_of_site(request: &Request, event: &Event) {
    let prepared = prepared();
    let asked = prepared.as_deref().and_then(|Prepared { sites, memories }| {
        let index = sites.index_of(&request.host)?;
        Some((&sites.as_slice()[index].config.site, &memories[index]))
    });
    let name = log_of(event, &Whence::of(asked.map_or("", |(site, _)| site)));
    if let Some((_, memory)) = asked {
        memory.tally().event(&name);
    }
}

fn describe(incoming: &web_sys::Request) -> Result<Request, JsValue> {
    DESCRIBED.with_borrow_mut(|buffer| {
        let from = buffer.as_mut_ptr() as usize;
        let end = glue::describe(incoming, from, buffer.len())?;
        if end == 0 {
            return request_of(&glue::described(incoming)?);
        }
        let text = buffer.get(..end - from).and_then(|text| core::str::from_utf8(text).ok());
        request_of(text.ok_or_else(|| JsValue::from_str("the request cannot be read"))?)
    })
}

fn request_of(text: &str) -> Result<Request, JsValue> {
    let mut parts = text.splitn(3, '\n');
    let (method, url, headers) = (parts.next(), parts.next(), parts.next());
    method
        .zip(url)
        .zip(headers)
        .and_then(|((method, url), headers)| Request::new(method, url, HeaderBlock::new(headers.to_owned())))
        .ok_or_else(|| JsValue::from_str("the request has no http URL"))
}

/// Reads the configuration; says in the log what is wrong with it.
fn prepare(env: &Env) -> Result<Prepared, Vec<Mistake>> {
    bind(env);
    let text = |name| glue::variable(env, name).ok().flatten();
    let secret = |name| text(name).map(Zeroizing::new);
    let (keys, admin_keys, origin_keys) =
        (secret("WARIFU_KEYS"), secret("WARIFU_ADMIN_KEYS"), secret("WARIFU_ORIGIN_KEYS"));
    let secrets = Secrets {
        keys: keys.as_ref().map(|text| text.as_str()),
        admin_keys: admin_keys.as_ref().map(|text| text.as_str()),
        origin_keys: origin_keys.as_ref().map(|text| text.as_str()),
    };
    let mut read = Sites::read(&text("WARIFU").unwrap_or_default(), secrets);
    let has_kv = js_sys::Reflect::has(env, &"REPLICA".into()).unwrap_or(false);
    let wants_kv = |sites: &Sites| sites.as_slice().iter().any(|site| site.config.replica == Replica::Always);
    if read.as_ref().is_ok_and(wants_kv) && !has_kv {
        let says = "found \"always\", and no KV namespace is bound as REPLICA".to_owned();
        read = Err(vec![Mistake { key: "replica".to_owned(), says }]);
    }
    if let Err(mistakes) = &read {
        log("", &Event::Misconfigured { mistakes: mistakes.iter().map(ToString::to_string).collect() });
    }
    read.map(|sites| {
        let memories = sites.as_slice().iter().map(|_| Rc::default()).collect();
        Prepared { sites, memories }
    })
}

fn own(response: &OwnResponse) -> Result<Served, JsValue> {
    let edits = HeaderEdits { append: response.headers.clone(), ..HeaderEdits::default() };
    glue::own_response(response.status, &edits.to_lines(), &response.body).map(Served::from)
}
