//! The path of a request, from end to end. Nothing else decides.
//!
//! ```text
//! request → host → size → path → (our own API | admission → origin → command) → answer
//! ```
//!
//! What few requests need is boxed on its way: as a part of the common future it would
//! make that larger for each request, and V8, which compiles a function whole when it is
//! first called, would compile it for an isolate's first page.

use futures_util::FutureExt;

use crate::admission::{self, Admitted};
use crate::answer::{self, Obeyed, Visit};
use crate::audit::Event;
use crate::config::{Commands, is_host};
use crate::control;
use crate::cookie::COOKIE_HEADER_BYTES_MAX;
use crate::custody::{self, Opened, Taken};
use crate::error::{Failure, OriginError};
use crate::forward;
use crate::headers::HeaderEdits;
use crate::lookup;
use crate::origin_proof::Challenge;
use crate::path::CanonicalPath;
use crate::policy;
use crate::ports::{Answer, AnswerOf, BodyOf, Origin, Ports, Reading};
use crate::precedent::Precedent;
use crate::request::Request;
use crate::response::{self, OwnResponse};
use crate::sessions::Since;
use crate::site::Site;
use crate::watch::{self, Watched};

/// What the client gets.
pub enum Reply<A> {
    Own(OwnResponse),
    /// The origin's answer with changes to its headers.
    Forwarded {
        answer: A,
        edits: HeaderEdits,
        /// In the place of the body, where that was read.
        body: Option<Vec<u8>>,
        /// What goes on after the answer has begun, and ends with its session.
        watched: Option<Box<Watched>>,
    },
}

/// Serves one request.
pub async fn serve<P: Ports>(site: &Site, ports: &P, request: &Request, body: BodyOf<P>) -> Reply<AnswerOf<P>> {
    let passed = pass(site, ports, request, body).await;
    replied(site, ports, request, passed)
}

/// The same for one that was sent on by a precedent, `sought` being when that was, once it is
/// answered. Whose request it was is as it was then.
pub async fn serve_answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    (precedent, sought): (&Precedent, Reading),
    answered: Result<AnswerOf<P>, OriginError>,
) -> Reply<AnswerOf<P>> {
    let heard = hear_followed(site, ports, request, (precedent, sought), answered).await;
    replied(site, ports, request, heard)
}

fn replied<P: Ports, A>(site: &Site, ports: &P, request: &Request, passed: Result<Reply<A>, Failure>) -> Reply<A> {
    match passed {
        Ok(Reply::Own(own)) => Reply::Own(own.hardened(request)),
        Ok(forwarded) => forwarded,
        Err(failure) => {
            if failure == Failure::NoSession && response::is_login_page(site, request) {
                ports.tell(Event::LoginNeedsSession { path: site.config.login.as_str().into() });
            }
            Reply::Own(response::refusal(Some(site), request, &failure))
        }
    }
}

async fn pass<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    body: BodyOf<P>,
) -> Result<Reply<AnswerOf<P>>, Failure> {
    let path = examine(site, request)?;
    if path.is_ours() {
        if !request.is_safe() {
            ports.outlive_client();
        }
        return control::answer(site, ports, request, &path, body).boxed_local().await.map(Reply::Own);
    }
    if is_admin_host(site, request) {
        return Err(Failure::AdminHost);
    }
    refuse_echo(request)?;
    let demand = policy::demand(&site.config, &path, &request.method);
    // What the application has done, such as a change of password, does not come undone when
    // its client goes away: nor may what it then says of the session be lost.
    if demand.commands != Commands::No || !site.config.custody.is_off() {
        ports.outlive_client();
    }
    let known = answer::before(site, ports, demand).await;
    let mut admitted = admission::admit(site, ports, request, &path, demand).await?;
    let bearer = site.config.custody.bearer_at(&path);
    let read = match bearer {
        Some(bearer) => custody::read_body(bearer, request, || body.clone()).boxed_local().await?,
        None => None,
    };
    // A client may take its time over that, and what ends meanwhile must not have its tokens sent.
    if read.is_some() {
        admitted.look_again(site, ports, request).boxed_local().await?;
    }
    let opened = admitted.take_opened();
    let since = answer::since(site, ports, request, &admitted, known).await;
    let filled = match bearer.zip(read) {
        Some((bearer, read)) => Some(custody::fill(bearer, request, opened.as_ref(), read)?),
        None => None,
    };
    let challenge = Challenge::new(site, ports, demand)?;
    let mut outgoing = forward::compose(site, ports, request, &path, &admitted, opened.as_ref(), challenge.nonce())?;
    if filled.is_some() {
        outgoing.edits.body_is_another();
        outgoing.body = filled;
    }
    let tally = ports.memory().tally();
    let sent = tally.takes_origin_time().then(|| ports.time());
    let answered = ports.origin().send(&outgoing, body).await;
    if let Some(sent) = sent {
        let now = ports.time();
        tally.origin_time.note(now.since(sent));
        lookup::report_if_due(ports, now);
    }
    let sent = Sent { path: &path, admitted, challenge, url: &outgoing.url, opened, since };
    hear(site, ports, request, sent, answered).await
}

async fn hear_followed<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    (precedent, sought): (&Precedent, Reading),
    answered: Result<AnswerOf<P>, OriginError>,
) -> Result<Reply<AnswerOf<P>>, Failure> {
    let path = examine(site, request)?;
    let admitted = admission::by_precedent(site, request, precedent, sought)?;
    let challenge = Challenge::new(site, ports, precedent.demand)?;
    hear(site, ports, request, Sent { path: &path, admitted, challenge, url: "", opened: None, since: None }, answered)
        .await
}

/// A request that was sent on.
struct Sent<'a> {
    path: &'a CanonicalPath,
    admitted: Admitted,
    challenge: Challenge,
    url: &'a str,
    opened: Option<Opened>,
    since: Option<Since>,
}

/// What the client gets of the answer.
async fn hear<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    sent: Sent<'_>,
    answered: Result<AnswerOf<P>, OriginError>,
) -> Result<Reply<AnswerOf<P>>, Failure> {
    let Sent { path, admitted, challenge, url, opened, since } = sent;
    let answer = answered.map_err(|error| without_answer(ports, error))?;
    if let Some(error) = OriginError::of_status(answer.status()) {
        answer.refuse();
        return Err(without_answer(ports, error));
    }
    let command = challenge.heard(site, ports, request, path, url, &answer)?;
    let visit = Visit { site, ports, request, path, admitted: &admitted, since };
    let finds = if site.config.custody.is_off() {
        Taken::default()
    } else {
        custody::take(&visit, command.as_ref(), opened.as_ref(), &answer).boxed_local().await?
    };
    let is_lasting = answer.is_web_socket() || watch::is_event_stream(answer.headers());
    let began = is_lasting.then(|| Reading::new(ports));
    let obeyed = answer::obey(&visit, command, opened, finds, answer.headers()).await?;
    let Obeyed { edits, body, is_done, newer, has_grace } = obeyed;
    let mut watched = match began {
        Some(began) => Watched::new(request, admitted, newer, has_grace, is_done.then_some(began)).map(Box::new),
        None => None,
    };
    // What was done is not undone by a refusal, which would only keep the cookie from the
    // browser: then it opens, and is cut at the first look.
    if let Some(watched) = &mut watched
        && !is_done
        && let Err(failure) = watch::may_open(site, ports, watched).boxed_local().await
    {
        answer.refuse();
        return Err(failure);
    }
    Ok(Reply::Forwarded { answer, edits, body, watched })
}

#[cold]
fn without_answer<P: Ports>(ports: &P, error: OriginError) -> Failure {
    let (failure, reason) = error.told();
    if let Some(reason) = reason {
        ports.tell(Event::OriginUnreachable { reason });
    }
    failure
}

/// Host, sizes and path: what is refused on every route, public ones too.
fn examine(site: &Site, request: &Request) -> Result<CanonicalPath, Failure> {
    // What a URL allows in a host, such as quotes, would break out of `Forwarded`.
    if !is_host(&request.host) {
        return Err(Failure::BadRequest("the Host is malformed"));
    }
    let hosts = &site.config.hosts;
    if !hosts.is_empty() && !hosts.contains(&request.host) && !is_admin_host(site, request) {
        return Err(Failure::Misdirected);
    }
    refuse_large_headers(site, request)?;
    CanonicalPath::parse(&request.raw_path).map_err(|refusal| Failure::BadRequest(refusal.explain()))
}

fn refuse_large_headers(site: &Site, request: &Request) -> Result<(), Failure> {
    let of_cookie = request.headers.get("cookie").map_or(0, str::len);
    let (of_all, max) = (request.headers.bytes(), site.config.max_header_bytes);
    let text = if of_cookie > COOKIE_HEADER_BYTES_MAX {
        format!("the Cookie header has {of_cookie} bytes; at most {COOKIE_HEADER_BYTES_MAX} are accepted")
    } else if of_all > max {
        format!("all headers together have {of_all} bytes, with four for each; max_header_bytes allows {max}")
    } else {
        return Ok(());
    };
    Err(Failure::HeadersTooLarge(text))
}

/// RFC 9110, section 9.3.8: "A client MUST NOT generate fields in a TRACE request
/// containing sensitive data that might be disclosed by the response." What is
/// forwarded has the identity, its signature and what is held in custody. TRACK
/// is what older IIS calls it.
fn refuse_echo(request: &Request) -> Result<(), Failure> {
    if matches!(request.method.as_str(), "TRACE" | "TRACK") {
        return Err(Failure::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()));
    }
    Ok(())
}

/// The operators' own host: the application, whose scripts must not share an
/// origin with the console, is never served there.
fn is_admin_host(site: &Site, request: &Request) -> bool {
    site.config.admin_host.as_deref() == Some(request.host.as_str())
}
