//! What Cloudflare answers in the application's place: deployed, `fetch` to an application
//! that is down does not throw.

use warifu::audit::Event;

use crate::support::world::{BODY, STATUS, Seen};
use crate::support::{World, request, site, site_of};

const PAGE: &str = "<title>hidden-origin.example | 522: Connection timed out</title>";

fn world(status: &'static str) -> World {
    World::new(move |_| {
        Some(vec![(STATUS, status), (BODY, PAGE), ("Content-Type", "text/html"), ("Set-Cookie", "__cf_bm=x")])
    })
}

fn reasons(world: &World) -> Vec<String> {
    let reason = |event: &Event| match event {
        Event::OriginUnreachable { reason } => reason.clone(),
        other => panic!("{other:?}"),
    };
    world.events.borrow().iter().map(reason).collect()
}

fn code(seen: &Seen) -> String {
    let problem: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
    problem["code"].as_str().expect("a code").to_owned()
}

#[test]
fn cloudflares_page_is_no_answer_of_the_application() {
    let site = site();
    let unreachable = ["520", "521", "523", "525", "526", "527", "530"].map(|status| (status, 502));
    for (status, expected) in unreachable.into_iter().chain([("522", 504), ("524", 504)]) {
        for (method, path) in [("GET", "/"), ("GET", "/assets/x.css"), ("POST", "/echo/x"), ("GET", "/login")] {
            let world = world(status);
            let seen = world.serve(&site, &request(method, path, &[("sec-fetch-site", "same-origin")]));
            assert_eq!(
                (seen.status, code(&seen)),
                (Some(expected), "origin_unreachable".to_owned()),
                "{status} {path}"
            );
            assert_eq!(seen.header("content-type"), Some("application/problem+json"));
            assert!(!seen.body.contains("hidden") && seen.header("set-cookie").is_none(), "{}", seen.body);
            assert_eq!(reasons(&world), [format!("Cloudflare answered {status} for the origin")]);
        }
    }
}

#[test]
fn so_is_it_for_browsers_for_head_and_for_web_sockets() {
    let (site, world) = (site(), world("522"));
    let browser = world.serve(&site, &request("GET", "/", &[("sec-fetch-mode", "navigate")]));
    assert_eq!(browser.status, Some(504));
    assert!(browser.body.contains("Nothing is wrong with your account.") && !browser.body.contains("hidden"));
    assert_eq!(world.serve(&site, &request("HEAD", "/", &[])).status, Some(504));
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade"), ("origin", "https://app.test")];
    let socket = world.serve(&site, &request("GET", "/", &upgrade));
    assert_eq!((socket.status, code(&socket).as_str()), (Some(504), "origin_unreachable"));
    assert_eq!(reasons(&world).len(), 3);
}

#[test]
fn what_the_application_says_of_itself_passes() {
    let site = site();
    for status in ["500", "501", "502", "503", "504", "508", "511", "519", "528", "529", "531", "599"] {
        let world = world(status);
        let seen = world.serve(&site, &request("GET", "/", &[]));
        assert_eq!((seen.status, seen.removed.len(), seen.headers.len()), (None, 0, 0), "{status}");
        assert!(world.events.borrow().is_empty(), "{status}");
    }
}

/// Cloudflare gives none, and whoever else stands in the application's place is not it.
#[test]
fn a_command_in_it_is_not_obeyed() {
    let (site, world) = (site(), World::commanding("do=start, sub=\"alice\""));
    let log_in = request("POST", "/login", &[("sec-fetch-site", "same-origin")]);
    for status in [520, 522, 530] {
        world.origin.status.set(status);
        let seen = world.serve(&site, &log_in);
        assert!(matches!(seen.status, Some(502 | 504)) && seen.set_cookie().is_none(), "{status}");
    }
    world.command.set("do=begin");
    world.origin.status.set(520);
    assert_eq!(code(&world.serve(&site, &log_in)), "origin_unreachable", "it is not even read");
    assert_eq!(reasons(&world).len(), 4);
    assert_eq!(world.shards.calls.get(), 0, "no shard has heard of it");
    world.origin.status.set(500);
    world.command.set("do=start, sub=\"alice\"");
    assert!(world.serve(&site, &log_in).cookie().is_some(), "the application's own 500 may log somebody in");
}

#[test]
fn nothing_in_it_is_held() {
    let site = site_of(
        r#"{"origin": "http://origin.test", "custody": {"cookies": ["token"]},
            "routes": [{"path": "/login", "access": "optional"}]}"#,
    );
    let said = Some(vec![(STATUS, "524"), ("Set-Cookie", "token=none"), ("Set-Cookie", "a=b")]);
    let world = World::new(move |_| said.clone());
    let seen = world.serve(&site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    assert_eq!((seen.status, code(&seen).as_str(), seen.set_cookie()), (Some(504), "origin_unreachable", None));
    assert_eq!(reasons(&world).len(), 1, "and no custody_refused");
}
