//! `require_signed_commands`: only what the origin has signed for this very
//! request is obeyed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use warifu::ports::Outgoing;
use warifu::site::{Secrets, Site, Sites};

use crate::support::world::nonce_of;
use crate::support::{KEYS, ORIGIN_KEYS, World, request};

const ROUTES: &str = r#""routes": [
    {"path": "/", "access": "public"},
    {"path": "/login", "access": "optional", "commands": true},
    {"path": "/relay", "access": "optional", "commands": "nonce"},
    {"path": "/maybe", "access": "optional"}
]"#;

fn site_with(members: &str) -> Site {
    let secrets = Secrets { keys: Some(KEYS), admin_keys: None, origin_keys: Some(ORIGIN_KEYS) };
    let read = Sites::read(&format!("{{\"origin\": \"http://Origin.test:80\", {members} {ROUTES}}}"), secrets);
    read.expect("a valid configuration").into_first().expect("a site")
}

fn site() -> Site {
    site_with("\"require_signed_commands\": true,")
}

/// What an origin signs, as it has received and as it sends it.
#[derive(Clone)]
struct Said {
    status: String,
    command: String,
    method: String,
    authority: String,
    path: String,
    query: String,
    nonce: String,
    created: u64,
}

impl Said {
    fn of(outgoing: &Outgoing, method: &str, command: &str) -> Self {
        let target = outgoing.url.strip_prefix("http://").expect("an origin without TLS");
        let (authority, target) = target.split_at(target.find('/').expect("a path"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let nonce = nonce_of(outgoing).unwrap_or_default();
        Self {
            status: "200".to_owned(),
            command: command.replace("NONCE", nonce),
            method: method.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: format!("?{query}"),
            nonce: nonce.to_owned(),
            created: 1_750_000_000,
        }
    }

    /// `Signature-Input` and `Signature`.
    fn signed(&self) -> [String; 2] {
        let lines = [
            ("\"@status\"", &self.status),
            ("\"warifu-command\"", &self.command),
            ("\"@method\";req", &self.method),
            ("\"@authority\";req", &self.authority),
            ("\"@path\";req", &self.path),
            ("\"@query\";req", &self.query),
            ("\"warifu-nonce\";req", &self.nonce),
        ];
        let created = self.created;
        let input = format!(
            "({});created={created};expires={};keyid=\"7\";alg=\"hmac-sha256\";tag=\"warifu-command\"",
            lines.map(|(name, _)| name).join(" "),
            created + 60
        );
        let base = lines.map(|(name, value)| format!("{name}: {value}\n")).concat();
        let key = Base64UrlUnpadded::decode_vec("QAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").expect("the key");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{base}\"@signature-params\": {input}").as_bytes());
        let signature = Base64::encode_string(&mac.finalize().into_bytes());
        [format!("warifu={input}"), format!("warifu=:{signature}:")]
    }
}

fn answer(command: &str, [input, signature]: [String; 2]) -> Vec<(&'static str, &'static str)> {
    let leaked = |text: String| &*text.leak();
    let command = leaked(command.to_owned());
    vec![("Warifu-Command", command), ("Signature-Input", leaked(input)), ("Signature", leaked(signature))]
}

/// An origin that signs the command of [`World::command`], after `change`.
fn origin(method: &'static str, change: impl Fn(&mut Said) + 'static) -> World {
    let command = Rc::new(Cell::new(""));
    let says = Rc::clone(&command);
    let mut world = World::new(move |outgoing| {
        let mut said = Said::of(outgoing, method, says.get());
        let sent = said.command.clone();
        change(&mut said);
        Some(answer(&sent, said.signed()))
    });
    world.command = command;
    world
}

#[test]
fn a_signed_command_is_obeyed_and_its_signature_stays_here() {
    let (world, site) = (origin("POST", |_| {}), site());
    world.command.set("do=start, sub=\"alice\"");
    for path in ["/login", "/login?", "/login?a=1&b=%2F'x", "/login?a=?b", "/%6cog%69n"] {
        let reply = world.serve(&site, &request("POST", path, &[("sec-fetch-site", "same-origin")]));
        assert!(reply.cookie().is_some(), "{path}: {:?}", world.ignored());
        assert_eq!(reply.removed, ["warifu-command", "signature-input", "signature"]);
    }
    let by_get = origin("GET", |_| {});
    by_get.command.set("do=start, sub=\"alice\"");
    assert!(by_get.serve(&site, &request("GET", "/login", &[])).cookie().is_some());
    for command in ["do=update, claims=:e30=:", "do=rotate", "do=end-others", "do=end-all", "do=end"] {
        world.command.set("do=start, sub=\"alice\"");
        let cookie = world.log_in(&site);
        world.command.set(command);
        assert_eq!(world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)])).status, None, "{command}");
        assert_eq!(world.ignored(), None, "{command}");
    }
}

#[test]
fn the_nonce_goes_with_each_request_whose_answer_may_hold_a_command() {
    let (world, site) = (World::new(|_| Some(vec![])), site());
    for (path, is_sent) in [("/", false), ("/login", true), ("/relay", true), ("/maybe", false)] {
        world.serve(&site, &request("GET", path, &[]));
        let seen = world.origin.seen.borrow();
        assert_eq!(nonce_of(seen.last().expect("forwarded")).is_some(), is_sent, "{path}");
    }
}

#[test]
fn what_is_not_signed_is_ignored_and_the_answer_goes_on() {
    let site = site();
    for command in ["do=start, sub=\"mallory\"", "do=end", "do=stop", "\""] {
        let world = World::commanding(command);
        for path in ["/login", "/relay"] {
            let reply = world.serve(&site, &request("POST", path, &[]));
            assert_eq!((reply.status, reply.header("set-cookie")), (None, None), "{command}");
            assert_eq!(reply.removed, ["warifu-command"]);
            assert_eq!(world.ignored(), Some("it is not signed"), "{command}");
        }
        assert_eq!(world.shards.calls.get(), 0);
    }
}

/// A name, and what it does to what is signed.
type Change = (&'static str, fn(&mut Said));

#[test]
fn a_signature_fits_one_answer_to_one_request() {
    let site = site();
    let changes: [Change; 8] = [
        ("status", |said| "302".clone_into(&mut said.status)),
        ("command", |said| said.command.push_str(", level=2")),
        ("method", |said| "GET".clone_into(&mut said.method)),
        ("authority", |said| "app.test".clone_into(&mut said.authority)),
        ("path", |said| said.path.push('/')),
        ("query", |said| said.query.push('x')),
        ("nonce", |said| "AAAAAAAAAAAAAAAAAAAAAA".clone_into(&mut said.nonce)),
        ("created", |said| said.created -= 66),
    ];
    for (name, change) in changes {
        let world = origin("POST", change);
        world.command.set("do=start, sub=\"alice\"");
        let reply = world.serve(&site, &request("POST", "/login?a=1", &[]));
        assert_eq!((reply.status, reply.header("set-cookie")), (None, None), "another {name}");
        let why =
            if name == "created" { "its signature is not valid at this time" } else { "its signature does not fit" };
        assert_eq!(world.ignored(), Some(why), "{name}");
        assert_eq!(world.shards.calls.get(), 0);
    }
    let world = origin("POST", |said| "303".clone_into(&mut said.status));
    world.command.set("do=start, sub=\"alice\"");
    world.origin.status.set(303);
    assert!(world.serve(&site, &request("POST", "/login", &[])).cookie().is_some(), "the status is the answer's");
}

#[test]
fn a_recorded_answer_fits_no_other_request() {
    let recorded = RefCell::new(None);
    let site = site();
    let world = World::new(move |outgoing| {
        let mut recorded = recorded.borrow_mut();
        let command = "do=start, sub=\"alice\"";
        let signed = recorded.get_or_insert_with(|| Said::of(outgoing, "POST", command).signed());
        Some(answer(command, signed.clone()))
    });
    let login = request("POST", "/login", &[]);
    assert!(world.serve(&site, &login).cookie().is_some());
    assert_eq!(world.serve(&site, &login).cookie(), None);
    assert_eq!(world.ignored(), Some("its signature does not fit"));
}

#[test]
fn a_command_that_was_added_to_a_signed_one_does_not_count() {
    let site = site();
    for joined in
        ["do=start, sub=\"alice\", do=start, sub=\"mallory\"", "do=start, sub=\"mallory\", do=start, sub=\"alice\""]
    {
        let world = World::new(move |outgoing| {
            Some(answer(joined, Said::of(outgoing, "POST", "do=start, sub=\"alice\"").signed()))
        });
        let reply = world.serve(&site, &request("POST", "/login", &[]));
        assert_eq!((reply.status, reply.header("set-cookie")), (None, None));
        assert_eq!(world.ignored(), Some("its signature does not fit"));
    }
    // Somebody else's signature under our label.
    let world = World::new(|outgoing| {
        let command = "do=start, sub=\"alice\"";
        let signed = Said::of(outgoing, "POST", command).signed().map(|member| format!("{member}, warifu=:AAAA:"));
        Some(answer(command, signed))
    });
    assert_eq!(world.serve(&site, &request("POST", "/login", &[])).header("set-cookie"), None);
    assert_eq!(world.ignored(), Some("its signature cannot be read"));
}

#[test]
fn a_signed_command_that_cannot_be_obeyed_hides_the_answer() {
    let (world, site) = (origin("POST", |_| {}), site());
    for command in ["do=start", "do=stop", "\"", "do=start, sub=\"alice\", do=start, sub=\"bob\""] {
        world.command.set(command);
        let reply = world.serve(&site, &request("POST", "/login", &[]));
        assert_eq!(reply.status, Some(502), "{command}");
        assert_eq!(world.event_names().last().map(String::as_str), Some("command_refused"));
    }
    assert_eq!(world.shards.calls.get(), 0);
}

#[test]
fn a_route_with_nonce_wants_both() {
    let (world, site) = (origin("POST", |_| {}), site());
    let relay = request("POST", "/relay", &[]);
    world.command.set("do=start, sub=\"alice\"");
    assert_eq!(world.serve(&site, &relay).header("set-cookie"), None);
    assert_eq!(world.ignored(), Some("it does not repeat the nonce"));
    world.command.set("do=start, sub=\"alice\", nonce=\"NONCE\"");
    assert!(world.serve(&site, &relay).cookie().is_some());
    assert!(world.serve(&site, &request("POST", "/login", &[])).cookie().is_some(), "elsewhere it may be repeated");
    let world = World::new(|outgoing| {
        let nonce = nonce_of(outgoing).expect("a nonce");
        Some(vec![("Warifu-Command", &*format!("do=start, sub=\"alice\", nonce=\"{nonce}\"").leak())])
    });
    assert_eq!(world.serve(&site, &relay).header("set-cookie"), None);
    assert_eq!(world.ignored(), Some("it is not signed"));
}

#[test]
fn without_the_key_signatures_are_neither_asked_for_nor_looked_at() {
    let site = site_with("");
    let world = World::new(|outgoing| {
        assert_eq!(nonce_of(outgoing), None);
        Some(answer("do=start, sub=\"alice\"", ["warifu=()".to_owned(), "warifu=:AAAA:".to_owned()]))
    });
    let reply = world.serve(&site, &request("POST", "/login", &[]));
    assert!(reply.cookie().is_some());
    assert_eq!(reply.removed, ["warifu-command", "signature-input", "signature"]);
}

#[test]
fn our_signatures_reach_no_client_on_any_route_and_others_do() {
    let sig1 = "sig1=(\"@status\");keyid=\"warifus\"";
    let cases: [(&str, Option<&str>); 8] = [
        ("warifu=:AAAA:", None),
        ("sig1=(\"@status\");keyid=\"warifus\", warifu=()", Some(sig1)),
        ("warifu=:AAAA:, sig1=(\"@status\");keyid=\"warifus\"", Some(sig1)),
        // No Dictionary: a reader who is less strict may find it.
        ("warifu=:AAAA:,", None),
        ("warifu=:AAAA:, =", None),
        // Not ours, and none of our business.
        (sig1, Some(sig1)),
        ("a=:AAAA:", Some("a=:AAAA:")),
        ("keyId=\"k\",algorithm=\"rsa-sha256\"", Some("keyId=\"k\",algorithm=\"rsa-sha256\"")),
    ];
    for (said, kept) in cases {
        for (site, path) in [(site(), "/"), (site(), "/login"), (site(), "/maybe"), (site_with(""), "/")] {
            let world = World::new(move |_| Some(vec![("Signature", said), ("Signature-Input", said)]));
            let reply = world.serve(&site, &request("GET", path, &[]));
            for name in ["signature", "signature-input"] {
                let is_gone = reply.removed.contains(&name.to_owned());
                let found = if is_gone { None } else { Some(reply.header(name).unwrap_or(said)) };
                assert_eq!(found, kept, "{path}: {name}: {said}");
            }
        }
    }
}
