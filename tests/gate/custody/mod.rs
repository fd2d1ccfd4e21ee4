//! Values of the application's own that browsers must not have: an application
//! that speaks JWT, and knows nothing of the gateway.

mod assembled;
mod at_once;
mod attacks;
mod cookies;
mod forms;
mod opaque;
mod others;
mod refused;
mod sealed;
mod slow;
mod switched;
mod tokens;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use warifu::ports::Outgoing;
use warifu::site::Site;

use crate::support::world::{Meanwhile, Seen, at_origin};
use crate::support::{World, request, site_of};

const COOKIES: &str = r#"{"origin": "http://origin.test", "custody": {"cookies": ["token", "refresh"]}, "routes": [
    {"path": "/open/*", "access": "public"},
    {"path": "/login", "access": "optional"},
    {"path": "/both", "access": "optional", "commands": true},
    {"path": "/maybe/*", "access": "optional"}
]}"#;

const TOKENS: &str = r#"{"origin": "http://origin.test", "custody": {"bearer": [
    {"path": "/api/login", "tokens": ["/access_token", "/refresh_token"]},
    {"path": "/api/refresh", "tokens": ["/data/token", "/data/refresh_token"], "body": ["/refresh_token"]}
]}, "routes": [
    {"path": "/open/*", "access": "public"},
    {"path": "/api/login", "access": "optional"},
    {"path": "/api/refresh", "access": "optional"}
]}"#;

type Said = Vec<(&'static str, &'static str)>;

/// An application, and browsers in front of the gateway.
struct App {
    world: World,
    site: Rc<Site>,
    /// Isolates that are still there: what they remember goes by their place.
    others: Vec<Rc<Site>>,
    says: Rc<RefCell<Said>>,
    /// What happens while the application makes its next answer.
    meanwhile: Meanwhile,
}

/// What came of one request.
struct Visit {
    seen: Seen,
    /// The header fields that the application has got; `None`: it got nothing.
    got: Option<Vec<(String, String)>>,
    body: Option<String>,
}

impl App {
    fn new(config: &str) -> Self {
        let says: Rc<RefCell<Said>> = Rc::default();
        let meanwhile = Meanwhile::default();
        let (said, first) = (Rc::clone(&says), Rc::clone(&meanwhile));
        let answer = move |_: &Outgoing| {
            let said = said.borrow().clone();
            if let Some(act) = first.take() {
                act();
            }
            Some(said)
        };
        Self { world: World::new(answer), site: Rc::new(site_of(config)), others: Vec::new(), says, meanwhile }
    }

    /// This happens while the application makes its next answer.
    fn meanwhile(self: &Rc<Self>, act: impl FnOnce(&Self) + 'static) {
        let app = Rc::downgrade(self);
        *self.meanwhile.borrow_mut() = Some(Box::new(move || act(&app.upgrade().expect("it is there"))));
    }

    fn ask(&self, line: &str, headers: &[(&str, &str)], says: &[(&str, &str)]) -> Visit {
        self.send(line, headers, "", says)
    }

    /// `line` is method and path.
    fn send(&self, line: &str, headers: &[(&str, &str)], body: &str, says: &[(&str, &str)]) -> Visit {
        let keep = |text: &str| -> &'static str { text.to_owned().leak() };
        self.says.replace(says.iter().map(|(name, value)| (keep(name), keep(value))).collect());
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let request = request(method, path, headers);
        self.world.origin.seen.borrow_mut().clear();
        let seen = self.world.serve_with_body(&self.site, &request, body.as_bytes().to_vec());
        let outgoing = self.world.origin.seen.borrow();
        let outgoing = outgoing.last();
        let body = outgoing.and_then(|outgoing| outgoing.body.clone());
        Visit {
            seen,
            got: outgoing.map(|outgoing| at_origin(&request, outgoing)),
            body: body.map(|body| String::from_utf8(body).expect("a text")),
        }
    }

    /// Logs in with a cookie of the application's; the browser's Cookie header.
    fn log_in(&self, set_cookie: &str) -> String {
        let visit = self.ask("POST /login", &[], &[("Set-Cookie", set_cookie)]);
        assert_eq!(visit.seen.status, None, "{}", visit.seen.body);
        visit.seen.cookie().expect("a session").to_owned()
    }

    /// The events but the ones of every day.
    fn events(&self) -> Vec<String> {
        self.world.event_names()
    }

    /// At another isolate, which knows nothing of this one but what is told.
    fn elsewhere(&mut self, config: &str) {
        self.others.push(std::mem::replace(&mut self.site, Rc::new(site_of(config))));
    }
}

impl Visit {
    /// A header field that the application has got.
    fn got(&self, name: &str) -> Option<&str> {
        let got = self.got.as_ref().expect("a request to the application");
        got.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn problem(&self) -> Value {
        serde_json::from_str(&self.seen.body).expect("a problem")
    }

    /// The Set-Cookie values that the browser gets.
    fn set_cookies(&self) -> Vec<&str> {
        let headers = self.seen.headers.iter();
        headers.filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect()
    }
}

/// A JWT of this subject that ends so long after the beginning of the world.
fn jwt(subject: &str, lasts: Duration) -> String {
    jwt_of(&json!({"sub": subject, "exp": 1_750_000_000 + lasts.as_secs()}))
}

fn jwt_of(claims: &Value) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}.c2lnbmF0dXJl", part(r#"{"alg":"HS256"}"#), part(&claims.to_string()))
}

const HOUR: Duration = Duration::from_secs(3_600);
