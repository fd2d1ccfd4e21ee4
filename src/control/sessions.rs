//! The administrators' calls: sessions are minted, looked at, changed, ended.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::input::{self, Query};
use super::receipt::{self, Receipt, wants_quiet};
use super::record::{Page, Record};
use crate::answer::LEVEL_DEFAULT;
use crate::audit::Cause;
use crate::cookie;
use crate::error::Failure;
use crate::ports::{BodyOf, Ports};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::session::{CLAIMS_FORM, Claims, Device, Handle, SUBJECT_FORM, Session, SessionId, Subject};
use crate::sessions::{NewSession, One, Sessions, Since};
use crate::site::Site;
use crate::time::SPAN_SECONDS_MAX;

/// `POST sessions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mint {
    subject: String,
    #[serde(default, deserialize_with = "input::whole")]
    level: Option<u8>,
    /// Seconds to the absolute expiry.
    #[serde(default, deserialize_with = "input::whole")]
    ttl: Option<u64>,
    #[serde(default, deserialize_with = "input::given")]
    claims: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "input::given")]
    device: Option<NamedDevice>,
}

/// A device as a caller tells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedDevice {
    #[serde(default, deserialize_with = "input::given")]
    user_agent: Option<String>,
    #[serde(default, deserialize_with = "input::given")]
    country: Option<String>,
    #[serde(default, deserialize_with = "input::given")]
    city: Option<String>,
    #[serde(default, deserialize_with = "input::given")]
    first_prefix: Option<String>,
    #[serde(default, deserialize_with = "input::given")]
    last_prefix: Option<String>,
}

#[derive(Serialize)]
struct Minted<'a> {
    session: Record,
    /// Which cookies the browser has, only the caller can know.
    clear_cookie: String,
    set_cookie: &'a str,
    token: &'a str,
}

pub async fn mint<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    body: BodyOf<P>,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    let Mint { subject, level, ttl, claims, device } = input::json(body).await?;
    let subject =
        Subject::parse(&subject).ok_or_else(|| Failure::BadInput(format!("subject must be {SUBJECT_FORM}")))?;
    let device = device.map_or_else(Device::default, |named| {
        let NamedDevice { user_agent, country, city, first_prefix, last_prefix } = named;
        Device { user_agent, country, city, first_prefix, last_prefix }
    });
    let begun = Sessions::new(site, ports)
        .begin(NewSession {
            hold: None,
            adopts: None,
            subject,
            level: level.unwrap_or(LEVEL_DEFAULT),
            ttl: ttl.map(ttl_of).transpose()?,
            claims: claims.map(claims_of).transpose()?,
            device,
            presented: None,
            end_others: false,
            cause,
            since: Since::now(site, ports).await,
        })
        .await?;
    let set_cookie = zeroize::Zeroizing::new(begun.set_cookie(&site.config));
    let minted = Minted {
        session: Record::from(&begun.session),
        clear_cookie: cookie::clear_other(&site.config.cookie),
        set_cookie: &set_cookie,
        token: begun.token.expose(),
    };
    Ok(OwnResponse::json(201, &minted))
}

pub async fn list<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    let query = Query::read(request, &["subject", "cursor"])?;
    let subject = query.subject()?.ok_or_else(|| Failure::BadInput("the parameter subject is missing".to_owned()))?;
    let page = page(site, ports, &subject, query.get("cursor"), None, cause).await?;
    Ok(OwnResponse::json(200, &page))
}

/// A page of a subject's sessions; `own` is marked as the caller's.
pub async fn page<P: Ports>(
    site: &Site,
    ports: &P,
    subject: &Subject,
    cursor: Option<&str>,
    own: Option<SessionId>,
    cause: Cause<'_>,
) -> Result<Page, Failure> {
    let after = cursor.map(|text| input::read_cursor(subject, text)).transpose()?;
    let (sessions, next) = Sessions::new(site, ports).list(subject, after, PAGE_SESSIONS, cause).await?;
    let record = |session: &Session| {
        let mut record = Record::from(session);
        record.current = own.map(|own| session.id == own);
        record
    };
    Ok(Page {
        sessions: sessions.iter().map(record).collect(),
        next: next.map(|(generation, mark)| input::write_cursor(subject, generation, mark)),
    })
}

pub async fn show<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    handle: &str,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    let session = Sessions::new(site, ports).show(handle_of(handle)?, cause).await?.ok_or(Failure::NotFound)?;
    Ok(OwnResponse::json(200, &Record::from(&session)))
}

/// `PATCH sessions/{id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default, deserialize_with = "input::given")]
    claims: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "input::whole")]
    level: Option<u8>,
}

pub async fn change<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    body: BodyOf<P>,
    handle: &str,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    let id = handle_of(handle)?;
    let Change { claims, level } = input::json(body).await?;
    if claims.is_none() && level.is_none() {
        return Err(Failure::BadInput("give claims, level, or both".to_owned()));
    }
    let claims = claims.map(claims_of).transpose()?;
    let session =
        Sessions::new(site, ports).update(One::OfId(id), claims, level, cause).await?.ok_or(Failure::NotFound)?;
    Ok(OwnResponse::json(200, &Record::from(&session)))
}

pub async fn end<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    handle: &str,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    let waits = wants_quiet(&Query::read(request, &["wait"])?)?;
    let ended = Sessions::new(site, ports).end(One::OfId(handle_of(handle)?), None, cause).await?;
    let ended = ended.ok_or(Failure::NotFound)?;
    Ok(receipt::answer(site, ports, ended.kill, waits).await)
}

/// `DELETE sessions`: of a subject, or, with a confirmation, of the whole site.
pub async fn end_all<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    body: BodyOf<P>,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Confirmation {
        confirm: String,
    }
    let query = Query::read(request, &["subject", "wait"])?;
    let waits = wants_quiet(&query)?;
    let confirmation = input::json_if_any::<Confirmation>(body).await?;
    let Some(subject) = query.subject()? else {
        if confirmation.is_none_or(|found| found.confirm != site.config.site) {
            return Err(Failure::BadInput("confirm must be the name of the site".to_owned()));
        }
        let kill = Sessions::new(site, ports).end_site(cause).await?;
        return Ok(receipt::answer(site, ports, kill, waits).await);
    };
    let ended = Sessions::new(site, ports).end_all(&subject, cause).await?;
    // Committed all the same; but there was nothing to end, also of late.
    if !ended.is_of_any {
        return Err(Failure::NotFound);
    }
    Ok(receipt::answer(site, ports, ended.kill, waits).await)
}

pub async fn show_receipt<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    handle: &str,
) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    let kill = Sessions::new(site, ports).receipt(handle_of(handle)?).await?.ok_or(Failure::NotFound)?;
    Ok(OwnResponse::json(200, &Receipt::new(site, &kill)))
}

/// A handle that is none names nothing.
pub fn handle_of(text: &str) -> Result<Handle, Failure> {
    Handle::parse(text).ok_or(Failure::NotFound)
}

fn claims_of(object: Map<String, Value>) -> Result<Claims, Failure> {
    Claims::parse(&Value::Object(object).to_string())
        .ok_or_else(|| Failure::BadInput(format!("claims must be {CLAIMS_FORM}")))
}

fn ttl_of(seconds: u64) -> Result<Duration, Failure> {
    if (1..=SPAN_SECONDS_MAX).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(Failure::BadInput(format!("ttl must be from 1 to {SPAN_SECONDS_MAX} seconds")))
    }
}

/// Sessions of one page.
pub const PAGE_SESSIONS: u32 = 100;
