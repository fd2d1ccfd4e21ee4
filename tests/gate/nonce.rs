//! Routes with `commands = "nonce"`: what repeats the request's nonce is the
//! origin's own, and all else is not obeyed.

use std::collections::BTreeSet;

use base64ct::{Base64UrlUnpadded, Encoding};
use warifu::ports::Outgoing;
use warifu::site::Site;

use crate::support::world::{at_origin, nonce_of};
use crate::support::{World, request, site_of};

fn site() -> Site {
    site_of(
        r#"{"origin": "http://origin.test", "routes": [
            {"path": "/", "access": "public"},
            {"path": "/login", "access": "optional", "commands": "nonce"},
            {"path": "/signout", "access": "required", "commands": "nonce"},
            {"path": "/plain", "access": "optional", "commands": true},
            {"path": "/maybe", "access": "optional"}
        ]}"#,
    )
}

/// An origin that gives the command of [`World::command`], in which `NONCE` is
/// the nonce of this request, and `OLD` that of the one before.
fn origin() -> World {
    let command = std::rc::Rc::new(std::cell::Cell::new(""));
    let says = std::rc::Rc::clone(&command);
    let last = std::cell::RefCell::new("AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let answer = move |outgoing: &Outgoing| {
        let nonce = nonce_of(outgoing).unwrap_or_default().to_owned();
        let earlier = last.replace(nonce.clone());
        let said = says.get().replace("NONCE", &nonce).replace("OLD", &earlier);
        Some(if said.is_empty() { vec![] } else { vec![("Warifu-Command", &*said.leak())] })
    };
    let mut world = World::new(answer);
    world.command = command;
    world
}

#[test]
fn each_request_brings_a_nonce_of_its_own() {
    let (world, site) = (origin(), site());
    let mut nonces = BTreeSet::new();
    for _ in 0..20 {
        world.serve(&site, &request("POST", "/login", &[]));
        let seen = world.origin.seen.borrow();
        let nonce = nonce_of(seen.last().expect("forwarded")).expect("a nonce").to_owned();
        assert_eq!(Base64UrlUnpadded::decode_vec(&nonce).map(|bytes| bytes.len()), Ok(16), "{nonce}");
        assert!(nonces.insert(nonce));
    }
    for path in ["/", "/plain", "/maybe"] {
        world.serve(&site, &request("POST", path, &[]));
        assert_eq!(nonce_of(world.origin.seen.borrow().last().expect("forwarded")), None, "{path}");
    }
    world.random.is_broken.set(true);
    let forwarded = world.origin.seen.borrow().len();
    assert_eq!(world.serve(&site, &request("POST", "/login", &[])).status, Some(500));
    assert_eq!(world.origin.seen.borrow().len(), forwarded, "without randomness nothing is sent on");
}

#[test]
fn a_command_that_repeats_the_nonce_is_obeyed() {
    let (world, site) = (origin(), site());
    world.command.set("do=start, sub=\"alice\", nonce=\"NONCE\"");
    let reply = world.serve(&site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    assert_eq!(reply.removed, ["warifu-command"]);
    let mut cookie = reply.cookie().expect("a cookie").to_owned();
    for (command, is_written) in [
        ("nonce=\"NONCE\", do=rotate, level=2", true),
        ("do=update, nonce=\"NONCE\", claims=:e30=:", false),
        ("do=end, nonce=\"NONCE\"", true),
    ] {
        world.command.set(command);
        let reply = world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)]));
        assert_eq!((reply.status, reply.header("set-cookie").is_some()), (None, is_written), "{command}");
        cookie = reply.cookie().map_or(cookie, str::to_owned);
    }
    assert!(!world.event_names().contains(&"command_ignored".to_owned()));
}

#[test]
fn a_command_of_somebody_else_changes_nothing_and_the_answer_goes_on() {
    let (world, site) = (origin(), site());
    world.command.set("do=start, sub=\"alice\", nonce=\"NONCE\"");
    let cookie = world.log_in(&site);
    world.command.set("");
    world.serve(&site, &request("POST", "/signout", &[("cookie", &cookie)]));
    let calls = world.shards.calls.get();
    for (command, reason) in [
        ("do=start, sub=\"mallory\"", "it does not repeat the nonce"),
        ("do=start, sub=\"mallory\", nonce=\"AAAAAAAAAAAAAAAAAAAAAA\"", "its nonce is not that of the request"),
        ("do=end, nonce=\"OLD\"", "its nonce is not that of the request"),
        ("do=end, nonce=\"\"", "its nonce is not that of the request"),
        ("do=end", "it does not repeat the nonce"),
        ("do=end-all", "it does not repeat the nonce"),
        ("do=stop", "it does not repeat the nonce"),
        ("\"", "it cannot be read, and so no nonce in it"),
        ("do=end, nonce=\"NONCE\",", "it cannot be read, and so no nonce in it"),
    ] {
        world.command.set(command);
        for path in ["/login", "/signout"] {
            let reply = world.serve(&site, &request("POST", path, &[("cookie", &cookie)]));
            assert_eq!((reply.status, reply.header("set-cookie")), (None, None), "{command}");
            assert_eq!(reply.removed, ["warifu-command"]);
            assert_eq!(world.ignored(), Some(reason), "{command}");
        }
    }
    assert_eq!(world.shards.calls.get(), calls, "no store was asked");
    world.command.set("");
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, None);
}

#[test]
fn with_the_nonce_what_cannot_be_obeyed_hides_the_answer() {
    let (world, site) = (origin(), site());
    for command in [
        "do=start, nonce=\"NONCE\"",
        "do=stop, nonce=\"NONCE\"",
        "do=end, nonce=\"NONCE\", nonce=\"NONCE\"",
        // Theirs, joined to the origin's.
        "do=start, sub=\"alice\", nonce=\"NONCE\", do=start, sub=\"mallory\"",
        "do=start, sub=\"mallory\", nonce=\"OLD\", do=start, sub=\"alice\", nonce=\"NONCE\"",
    ] {
        world.command.set(command);
        let reply = world.serve(&site, &request("POST", "/login", &[]));
        assert_eq!(reply.status, Some(502), "{command}");
        assert!(reply.body.contains("bad_command") && reply.header("set-cookie").is_none());
        assert_eq!(world.event_names().last().map(String::as_str), Some("command_refused"));
    }
    assert_eq!(world.shards.calls.get(), 0);
}

#[test]
fn where_no_nonce_was_sent_the_member_is_refused() {
    let (world, site) = (origin(), site());
    world.command.set("do=start, sub=\"alice\", nonce=\"AAAAAAAAAAAAAAAAAAAAAA\"");
    let reply = world.serve(&site, &request("POST", "/plain", &[]));
    assert_eq!(reply.status, Some(502));
    assert!(reply.body.contains("the route needs commands = \\\"nonce\\\""), "{}", reply.body);
    assert_eq!(world.shards.calls.get(), 0);
}

#[test]
fn the_clients_own_nonce_never_arrives_on_any_route() {
    let (world, site) = (origin(), site());
    let theirs = [
        ("Warifu-Nonce", "forged1"),
        ("warifu_nonce", "forged2"),
        ("WARIFU.NONCE", "forged3"),
        ("warifu-nonce_", "forged4"),
        ("Warifu~Nonce", "forged5"),
    ];
    for path in ["/", "/login", "/plain", "/maybe"] {
        let asked = request("POST", path, &theirs);
        world.command.set("do=start, sub=\"mallory\", nonce=\"forged1\"");
        world.serve(&site, &asked);
        let seen = world.origin.seen.borrow();
        let headers = at_origin(&asked, seen.last().expect("forwarded"));
        assert!(!format!("{headers:?}").contains("forged"), "{path}");
        let count = headers.iter().filter(|(name, _)| name == "warifu-nonce").count();
        assert_eq!(count, usize::from(path == "/login"), "{path}");
    }
    assert_eq!(world.shards.calls.get(), 0);
}

#[test]
fn the_strictest_reading_of_a_path_says_which_commands_count() {
    let rules = |one: &str, other: &str| {
        site_of(&format!(
            r#"{{"origin": "http://o", "routes": [
                {{"path": "/login", "access": "optional", "commands": {one}}},
                {{"path": "/*", "access": "optional", "commands": {other}}}
            ]}}"#
        ))
    };
    for (one, other, counts, is_sent) in [
        ("true", "true", true, false),
        ("true", "\"nonce\"", false, true),
        ("\"nonce\"", "true", false, true),
        ("\"nonce\"", "false", false, false),
        ("false", "\"nonce\"", false, false),
    ] {
        let (world, site) = (origin(), rules(one, other));
        world.command.set("do=start, sub=\"alice\"");
        let reply = world.serve(&site, &request("POST", "/login;x", &[]));
        assert_eq!((reply.status, reply.cookie().is_some()), (None, counts), "{one}, {other}");
        assert_eq!(nonce_of(world.origin.seen.borrow().last().expect("forwarded")).is_some(), is_sent);
        if is_sent {
            world.command.set("do=start, sub=\"alice\", nonce=\"NONCE\"");
            assert!(world.serve(&site, &request("POST", "/login;x", &[])).cookie().is_some(), "{one}, {other}");
        }
    }
}
