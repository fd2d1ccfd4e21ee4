//! The ports over the Workers runtime, but for the session objects.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;
use worker::Env;
use worker::worker_sys::Context;

use crate::audit::{Event, Whence};
use crate::config::Config;
use crate::control::isolate;
use crate::edge::glue;
use crate::edge::log::{log_of, report, within_limit};
use crate::edge::precedents;
use crate::edge::sessions::SiteObjects;
use crate::edge::turn::{self, Patience, begun};
use crate::error::OriginError;
use crate::headers::HeaderBlock;
use crate::limit::Limit;
use crate::ports::Outgoing;
use crate::ports::{Answer, Asset, Body, BodyError, Clock, Origin, Place, Ports, Probe, Probed, Random};
use crate::precedent::Asked;
use crate::revocation::{Memory, Told};
use crate::time::{UnixMillis, millis};
use crate::token::SessionKey;

/// The world of one request.
pub struct RequestPorts {
    objects: SiteObjects,
    memory: Rc<Memory>,
    incoming: web_sys::Request,
    network: Network,
    asked: Cell<Option<Asked>>,
    has_waited: bool,
}

/// What was done for a request before it is heard.
#[derive(Default)]
pub struct Before {
    /// What its session object has said.
    pub asked: Option<Asked>,
    /// Whether it has waited for another's question.
    pub has_waited: bool,
}

impl RequestPorts {
    pub fn new(
        env: Env,
        context: Context,
        config: &Config,
        memory: &Rc<Memory>,
        incoming: web_sys::Request,
        network: Network,
        Before { asked, has_waited }: Before,
    ) -> Self {
        let objects = SiteObjects::new(env.into(), context, config.site.clone());
        Self { objects, memory: Rc::clone(memory), incoming, network, asked: Cell::new(asked), has_waited }
    }
}

impl Ports for RequestPorts {
    type Shards = SiteObjects;
    type Feed = SiteObjects;
    type Replica = SiteObjects;
    type Origin = Network;

    fn shards(&self) -> &SiteObjects {
        &self.objects
    }

    fn feed(&self) -> &SiteObjects {
        &self.objects
    }

    fn replica(&self) -> Option<&SiteObjects> {
        self.objects.has_kv().then_some(&self.objects)
    }

    fn origin(&self) -> &Network {
        &self.network
    }

    fn clock(&self) -> &impl Clock {
        &PlatformClock
    }

    fn random(&self) -> &impl Random {
        &PlatformRandom
    }

    fn memory(&self) -> &Rc<Memory> {
        &self.memory
    }

    async fn asset(&self, path: &str) -> Result<Option<Asset>, String> {
        let answered = glue::asset(self.objects.env(), path).await.map_err(|thrown| glue::reason(&thrown))?;
        if answered.is_null() {
            return Ok(None);
        }
        let parts: js_sys::Array = answered.into();
        let body = parts.get(1).as_string().ok_or("an asset without a body")?;
        Ok(Some(Asset { etag: parts.get(0).as_string(), body }))
    }

    fn outlive_client(&self) {
        self.objects.outlive_client();
    }

    fn is_used_up(&self) -> bool {
        self.objects.is_used_up()
    }

    fn stay(&self) -> impl Sized {
        self.objects.stay()
    }

    fn asked(&self, key: &SessionKey) -> Option<Asked> {
        self.asked.take().filter(|asked| asked.is_of(key))
    }

    fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Whoever sleeps becomes a task, which nothing drops when its request ends.
    async fn sleep(&self, span: Duration) {
        self.outlive_client();
        turn::sleep(span).await;
    }

    async fn until_told(&self, begin: impl FnOnce(Told), at_most: Duration) {
        let Ok(notice) = glue::notice() else { return };
        begin(glue::telling(notice.get(1)));
        let patience = Patience::Millis(u32::try_from(millis(at_most)).unwrap_or(u32::MAX));
        // It fails never, and what it comes to says nothing.
        let _ = turn::settled(notice.get(0).unchecked_into(), patience).await;
    }

    fn place(&self) -> Place {
        let text = glue::place(&self.incoming).unwrap_or_default();
        let mut parts = text.split('\n').map(|part| (!part.is_empty()).then_some(part));
        let mut next = || parts.next().flatten();
        Place {
            country: next().map(str::to_owned),
            city: next().map(str::to_owned),
            continent: next().map(str::to_owned),
            whence: Whence { site: Some(self.objects.site().to_owned()), ..Whence::new(next(), next()) },
        }
    }

    async fn is_within_limit(&self, limit: Limit, key: &str) -> Option<bool> {
        within_limit(limit, key).await
    }

    fn tell(&self, event: Event) {
        let name = log_of(&event, &self.place().whence);
        self.memory.tally().event(&name);
    }

    fn report(&self, figures: &[u64]) {
        report(self.objects.site(), &isolate(self), figures);
    }
}

/// The incoming request, for its body.
#[derive(Clone)]
pub struct ClientBody(pub web_sys::Request);

impl Body for ClientBody {
    async fn read(self, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        read(begun(glue::read_body(&self.0, bytes_max, BODY_MS_MAX)).await)
    }
}

/// What `readBody` answers.
fn read(answered: Result<JsValue, JsValue>) -> Result<Vec<u8>, BodyError> {
    let read = answered.map_err(|_| BodyError::Broken)?;
    if read.is_null() {
        return Err(BodyError::TooSlow);
    }
    glue::bytes(&read).ok_or(BodyError::TooLong)
}

/// `fetch` to the origin.
pub struct Network {
    /// The place of the site.
    pub site: usize,
}

impl Origin for Network {
    type Body = ClientBody;
    type Answer = OriginResponse;

    async fn probe(&self, probe: &Probe) -> Result<Probed, OriginError> {
        let ms_max = u32::try_from(millis(probe.timeout)).unwrap_or(u32::MAX);
        let answered = begun(glue::probe(&probe.url, &probe.headers.to_lines(), probe.bytes_max, ms_max)).await;
        let answered = answered.map_err(unreachable)?;
        if answered.is_null() {
            return Err(OriginError::TimedOut);
        }
        let parts: js_sys::Array = answered.into();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a status")]
        let status = parts.get(0).as_f64().unwrap_or_default() as u16;
        Ok(Probed { status, body: glue::bytes(&parts.get(1)) })
    }

    async fn send(&self, outgoing: &Outgoing, body: ClientBody) -> Result<OriginResponse, OriginError> {
        let lines = outgoing.edits.to_lines_after(&outgoing.url);
        let is_precedent = precedents::offer(self.site, outgoing.precedent.as_ref());
        let call = glue::forward(&body.0, &lines, outgoing.body.clone(), outgoing.shared_cache, is_precedent);
        let call = call.map_err(unreachable)?.ok_or(OriginError::BodyNotCarried)?;
        let patience = outgoing
            .timeout
            .map_or(Patience::Endless, |span| Patience::Shared(u32::try_from(millis(span)).unwrap_or(u32::MAX)));
        answer_of(turn::settled(call, patience).await)
    }
}

/// What has come of a request to the origin: a response, `null` where that is late, or what was
/// thrown.
pub fn answer_of(outcome: Result<JsValue, JsValue>) -> Result<OriginResponse, OriginError> {
    let response = outcome.map_err(unreachable)?;
    if response.is_null() {
        return Err(OriginError::TimedOut);
    }
    let response: Response = response.unchecked_into();
    let lines = glue::answer_lines(&response).map_err(unreachable)?;
    let status = lines.split('\n').next().and_then(|status| status.parse().ok()).unwrap_or_default();
    // The line of the status is no field.
    Ok(OriginResponse { response, status, headers: HeaderBlock::new(lines) })
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreachable(thrown: JsValue) -> OriginError {
    OriginError::Unreachable(glue::reason(&thrown))
}

/// The origin's answer.
pub struct OriginResponse {
    pub response: Response,
    status: u16,
    headers: HeaderBlock,
}

impl Answer for OriginResponse {
    fn status(&self) -> u16 {
        self.status
    }

    fn headers(&self) -> &HeaderBlock {
        &self.headers
    }

    async fn read(&self, bytes_max: usize, within: Duration) -> Result<Vec<u8>, BodyError> {
        let ms_max = u32::try_from(millis(within)).unwrap_or(u32::MAX);
        read(begun(glue::read_answer(&self.response, bytes_max, ms_max)).await)
    }

    fn is_web_socket(&self) -> bool {
        self.status == 101
    }

    fn refuse(self) {
        // What cannot be ended is dropped.
        let _ = glue::refuse(&self.response);
    }
}

/// `Date.now()`: stands still during computation when deployed, and advances
/// with I/O. So it is read once a turn.
pub struct PlatformClock;

impl Clock for PlatformClock {
    fn now(&self) -> UnixMillis {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole milliseconds since 1970")]
        UnixMillis(turn::once(|| js_sys::Date::now() as u64))
    }
}

/// `crypto.getRandomValues`.
pub struct PlatformRandom;

impl Random for PlatformRandom {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}

/// A request's body that is read here and has not ended by then is given up.
const BODY_MS_MAX: u32 = 10_000;
