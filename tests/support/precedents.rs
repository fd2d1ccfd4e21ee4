//! What the edge does with precedents, done beside each request of a native test: where one
//! stands, the gate, which hears the request in full all the same, has to come to just that,
//! and to ask nobody for it, or, on a strict route, once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use warifu::headers::{HeaderBlock, HeaderEdits};
use warifu::policy::Demand;
use warifu::ports::{Clock, Outgoing, Ports};
use warifu::precedent::{Asked, CHARS_MAX, LEFT_OUT, Precedent, Standing, is_answer_of_all};
use warifu::request::Request;
use warifu::site::Site;

/// What an isolate keeps, by the same keys as in `src/edge/precedents.js`.
#[derive(Default)]
pub struct Precedents {
    places: RefCell<HashMap<Place, (Demand, String)>>,
    cases: RefCell<HashMap<Case, Rc<Kept>>>,
    answers: RefCell<HashMap<(usize, bool, bool, String), String>>,
    /// How many have stood.
    pub stood: RefCell<usize>,
}

/// Of the site at this address: method, scheme, host and path.
type Place = (usize, String, String, String, String);

/// Scheme, host, what is demanded, and the header fields that count.
type Case = (usize, String, String, String, String);

struct Kept {
    precedent: Precedent,
    edits: String,
    shared_cache: bool,
}

/// What a request has to come to.
pub struct Claim {
    lines: String,
    /// How many questions were asked for it.
    pub asks: u32,
    shared_cache: bool,
    kept: Rc<Kept>,
}

/// Why a request is heard in full.
pub enum Unfollowed {
    /// There is no precedent, or none that counts: it may make one.
    New,
    /// The same, after the session object has said something else.
    Asked(Option<Asked>),
    /// There is one, and something is due.
    NotNow,
}

impl Precedents {
    /// What it has to come to, if a precedent stands; or else why it is heard.
    pub async fn claim<P: Ports>(
        &self,
        site: &Site,
        request: &Request,
        ports: &P,
        calls: &Cell<u32>,
    ) -> Result<Claim, Unfollowed> {
        let Some((kept, lines)) = self.kept(site, request) else { return Err(Unfollowed::New) };
        let before = calls.get();
        match kept.precedent.stands(&site.config, ports.memory(), ports.clock().now()) {
            Standing::Same => {}
            Standing::Asks => {
                let asked = kept.precedent.ask(site, ports).await;
                assert!(calls.get() - before <= 1, "one question each");
                asked.map_err(Unfollowed::Asked)?;
            }
            Standing::Over => return Err(Unfollowed::New),
            Standing::Soon | Standing::NotNow => return Err(Unfollowed::NotNow),
        }
        *self.stood.borrow_mut() += 1;
        Ok(Claim { lines, shared_cache: kept.shared_cache, asks: calls.get() - before, kept })
    }

    /// The precedent, and what such a request is sent on as.
    fn kept(&self, site: &Site, request: &Request) -> Option<(Rc<Kept>, String)> {
        let text = text_of(request)?;
        let is_odd = |query: &String| query.bytes().any(|b| !b.is_ascii_graphic() || b"\"'#<>".contains(&b));
        if request.query.as_ref().is_some_and(is_odd) {
            return None;
        }
        let places = self.places.borrow();
        let (demand, url) = places.get(&place(site, request))?;
        let kept = Rc::clone(self.cases.borrow().get(&case(site, request, *demand, text))?);
        let query = request.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let lines = format!("{url}{query}\n{}", kept.edits);
        Some((kept, lines))
    }

    /// What was sent on: compares it, or keeps what it makes, where the edge would.
    pub fn sent(&self, site: &Site, request: &Request, outgoing: &Outgoing, claim: Result<&Claim, bool>) {
        if let Ok(claim) = claim {
            assert_eq!(claim.lines, lines(outgoing), "the precedent came to something else");
            assert_eq!(claim.shared_cache, outgoing.shared_cache);
            assert!(outgoing.timeout == Some(site.config.origin_timeout) && outgoing.body.is_none());
        }
        let (Some(precedent), Some(text), Err(true)) = (&outgoing.precedent, text_of(request), claim) else { return };
        let url = outgoing.url.split('?').next().unwrap_or_default().to_owned();
        let sent = lines(outgoing);
        let edits = sent.split_once('\n').expect("a URL").1.to_owned();
        self.places.borrow_mut().insert(place(site, request), (precedent.demand, url));
        let kept = Kept { precedent: precedent.clone(), edits, shared_cache: outgoing.shared_cache };
        self.cases.borrow_mut().insert(case(site, request, precedent.demand, text), Rc::new(kept));
    }

    /// What became of the answer to a request that a precedent stood for.
    pub fn answered(
        &self,
        site: &Site,
        claim: &Claim,
        (status, headers): (u16, &HeaderBlock),
        edits: &HeaderEdits,
        is_plain: bool,
    ) {
        let looked_at = headers.iter().filter(|(name, _)| LOOKED_AT.contains(name) || name.starts_with("warifu"));
        let headers = HeaderBlock::from_pairs(looked_at);
        let text = lines_of(headers.iter(), |_| true);
        let precedent = &claim.kept.precedent;
        let key = (address(site), precedent.with_identity(), precedent.caller().is_some(), format!("{status}\n{text}"));
        if let Some(known) = self.answers.borrow().get(&key) {
            assert!(is_plain && *known == edits.to_lines(), "an answer like one before is another: {text}");
        }
        if is_plain && is_answer_of_all(&headers, edits) {
            self.answers.borrow_mut().insert(key, edits.to_lines());
        }
    }
}

/// As in `src/edge/glue.js`.
const LOOKED_AT: [&str; 9] = [
    "cache-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
    "content-type",
    "set-cookie",
    "signature",
    "signature-input",
    "upgrade",
];

fn address(site: &Site) -> usize {
    std::ptr::from_ref(site).addr()
}

fn place(site: &Site, Request { method, scheme, host, raw_path, .. }: &Request) -> Place {
    (address(site), method.clone(), scheme.clone(), host.clone(), raw_path.clone())
}

fn case(site: &Site, request: &Request, demand: Demand, text: String) -> Case {
    (address(site), request.scheme.clone(), request.host.clone(), format!("{demand:?}"), text)
}

fn text_of(request: &Request) -> Option<String> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return None;
    }
    let chars: usize = request.headers.iter().map(|(name, value)| name.len() + value.chars().count() + 4).sum();
    (chars <= CHARS_MAX).then(|| lines_of(request.headers.iter(), |name| !LEFT_OUT.contains(&name)))
}

/// Fields as lines, with or without their values.
fn lines_of<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>, counts: impl Fn(&str) -> bool) -> String {
    let mut lines = Vec::new();
    for (name, value) in fields {
        lines.push(if counts(name) { format!("{name}: {value}") } else { name.to_owned() });
    }
    lines.join("\n")
}

fn lines(outgoing: &Outgoing) -> String {
    let mut edits = outgoing.edits.clone();
    if outgoing.precedent.is_some() {
        edits.set.retain(|(name, _)| !matches!(&**name, "signature" | "signature-input"));
    }
    edits.to_lines_after(&outgoing.url)
}
