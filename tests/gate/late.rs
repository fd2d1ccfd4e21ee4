//! Commands in answers that come late: while the application took its time, the session has got
//! another secret, or has ended.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use warifu::audit::Event;
use warifu::site::Site;

use crate::support::world::Seen;
use crate::support::{World, request, site};

const START: &str = "do=start, sub=\"alice\"";
/// {"a":1}
const UPDATE: &str = "do=update, claims=:eyJhIjoxfQ==:";
const GONE: &str = "the secret of its session was replaced meanwhile";

/// What came of it.
struct Late {
    world: Rc<World>,
    seen: Seen,
    /// The browser's cookie by the time of the answer.
    now: String,
    /// A session of the same person's, elsewhere.
    there: String,
}

/// Logs in here and there, and gets this command in an answer before which something happens:
/// to the browser's cookie of before, which leads to another one.
fn late(command: &'static str, between: fn(&World, &Site, &str) -> String) -> Late {
    let here = Rc::new(site());
    let (at, cookies) = (Rc::clone(&here), Rc::<RefCell<(String, String)>>::default());
    let browser = Rc::clone(&cookies);
    let world = Rc::new_cyclic(|world: &Weak<World>| {
        let world = world.clone();
        World::new(move |outgoing| {
            let world = world.upgrade().expect("it is there");
            let says = if outgoing.url.contains("slow") {
                let before = browser.borrow().0.clone();
                let now = between(&world, &at, &before);
                browser.borrow_mut().1 = now;
                command
            } else {
                world.command.get()
            };
            Some((!says.is_empty()).then_some(("Warifu-Command", says)).into_iter().collect())
        })
    });
    let (old, there) = (gets(&world, &here, "", START), gets(&world, &here, "", START));
    cookies.borrow_mut().0.clone_from(&old);
    let seen = world.serve(&here, &request("POST", "/login?slow", &[("cookie", &old)]));
    let now = cookies.take().1;
    Late { world, seen, now, there }
}

/// The cookie that a command leads to.
fn gets(world: &World, site: &Site, cookie: &str, command: &'static str) -> String {
    world.command.set(command);
    let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
    let seen = world.serve(site, &request("POST", "/login", &headers));
    world.command.set("");
    seen.cookie().unwrap_or_else(|| panic!("{command}: {}", seen.body)).to_owned()
}

/// The secret is replaced, the new one is used, and the grace of the old one passes.
fn replaced(world: &World, site: &Site, old: &str) -> String {
    let new = gets(world, site, old, "do=rotate");
    assert!(is_in(world, &new));
    world.pass(Duration::from_secs(20));
    new
}

/// In another tab.
fn logged_out(world: &World, site: &Site, old: &str) -> String {
    let headers = [("cookie", old), ("sec-fetch-site", "same-origin")];
    assert_eq!(world.serve(site, &request("POST", "/_warifu/logout", &headers)).status, Some(204));
    String::new()
}

fn logged_in_anew(world: &World, site: &Site, old: &str) -> String {
    logged_out(world, site, old);
    gets(world, site, "", START)
}

/// Strict, at an isolate that remembers nothing.
fn is_in(world: &World, cookie: &str) -> bool {
    world.serve(&site(), &request("GET", "/transfer/x", &[("cookie", cookie)])).status.is_none()
}

fn at_origin(world: &World, name: &str) -> String {
    let seen = world.origin.seen.borrow();
    let set = &seen.last().expect("forwarded").edits.set;
    set.iter().find(|(found, _)| found == name).expect("it is set").1.clone()
}

#[test]
fn new_claims_are_those_of_the_session_whichever_secret_it_has() {
    let Late { world, seen, now, .. } = late(UPDATE, replaced);
    assert_eq!((seen.status, seen.header("set-cookie")), (None, None), "{}", seen.body);
    assert!(is_in(&world, &now));
    assert_eq!(at_origin(&world, "warifu-claims"), "eyJhIjoxfQ");
}

#[test]
fn a_secret_that_is_gone_gets_no_successor_and_no_level() {
    for command in ["do=rotate", "do=rotate, level=2"] {
        let Late { world, seen, now, .. } = late(command, replaced);
        assert_eq!((seen.status, seen.header("set-cookie")), (None, None), "{command}: {}", seen.body);
        let events = world.events.take();
        assert!(matches!(events.last(), Some(Event::CommandRefused { reason, .. }) if reason.as_str() == GONE));
        assert!(is_in(&world, &now));
        assert_eq!(at_origin(&world, "warifu-level"), "1");
    }
}

/// Whether the newest secret is the person's is not known: with a new password, nobody stays.
#[test]
fn where_the_secret_is_gone_the_end_of_the_others_is_that_of_all() {
    for between in [replaced, logged_out] {
        let Late { world, seen, now, there } = late("do=end-others", between);
        assert_eq!((seen.status, seen.header("set-cookie")), (None, None), "{}", seen.body);
        assert!(!is_in(&world, &there) && !is_in(&world, &now));
        assert_eq!(world.event_names().last().map(String::as_str), Some("sessions_ended"));
    }
}

#[test]
fn a_log_out_ends_the_session_whichever_secret_it_has() {
    let Late { world, seen, now, there } = late("do=end", replaced);
    assert!(seen.set_cookie().is_some_and(|set| set.contains("Max-Age=0")), "{:?}", seen.set_cookie());
    assert!(!is_in(&world, &now) && is_in(&world, &there));
}

#[test]
fn a_log_out_of_a_session_that_has_ended_leaves_a_newer_log_in_alone() {
    let Late { world, seen, now, .. } = late("do=end", logged_in_anew);
    assert_eq!((seen.status, seen.header("set-cookie")), (None, None), "{}", seen.body);
    assert!(is_in(&world, &now));
}

#[test]
fn a_log_out_that_is_done_again_removes_the_cookie() {
    let (world, site) = (World::commanding(START), site());
    let cookie = world.log_in(&site);
    world.command.set("do=end");
    for _ in 0..2 {
        let seen = world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)]));
        assert!(seen.set_cookie().is_some_and(|set| set.contains("Max-Age=0")), "{:?}", seen.set_cookie());
    }
}

#[test]
fn nothing_of_a_session_that_has_ended_is_changed() {
    for command in ["do=rotate", "do=rotate, level=2", UPDATE] {
        for between in [logged_out, logged_in_anew] {
            let Late { world, seen, now, .. } = late(command, between);
            assert_eq!((seen.status, seen.header("set-cookie")), (Some(409), None), "{command}");
            assert!(seen.body.contains("no_live_session"));
            assert_eq!(is_in(&world, &now), !now.is_empty());
        }
    }
}
