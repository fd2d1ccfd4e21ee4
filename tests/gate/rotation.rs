use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use warifu::audit::Whence;
use warifu::site::Site;
use warifu::time::UnixMillis;

use crate::support::world::OriginAnswer;
use crate::support::{CONFIG, KEYS, KEYS_DROPPED, KEYS_ROTATED, World, request, site, site_plus, site_with};

const START: &str = "do=start, sub=\"alice\"";

fn account(world: &World, site: &Site, cookie: &str) -> (Option<u16>, Option<String>) {
    let seen = world.serve(site, &request("GET", "/account", &[("cookie", cookie)]));
    (seen.status, seen.cookie().map(str::to_owned))
}

/// The next answer carries a command, and the one after that none.
fn command(world: &World, site: &Site, cookie: &str, command: &'static str) -> Option<String> {
    world.command.set(command);
    let seen = world.serve(site, &request("POST", "/login", &[("cookie", cookie)]));
    world.command.set("");
    assert_eq!(seen.status, None, "{command}: {}", seen.body);
    seen.cookie().map(str::to_owned)
}

fn logged_in(site: &Site) -> (World, String) {
    let world = World::commanding(START);
    let cookie = world.log_in(site);
    world.command.set("");
    (world, cookie)
}

#[test]
fn all_requests_that_race_a_rotation_get_the_same_successor() {
    let site = site();
    let (world, old) = logged_in(&site);
    let new = command(&world, &site, &old, "do=rotate").expect("a successor");
    assert_ne!(old, new);
    for _ in 0..3 {
        assert_eq!(command(&world, &site, &old, "do=rotate").as_ref(), Some(&new));
        assert_eq!(account(&world, &site, &old), (None, Some(new.clone())), "a lost answer logs nobody out");
    }
    assert_eq!(account(&world, &site, &new), (None, None));
    let rotations = world.event_names().iter().filter(|name| *name == "session_rotated").count();
    assert_eq!(rotations, 1);
}

#[test]
fn an_answer_with_new_claims_repairs_a_lost_rotation_too() {
    const UPDATE: &str = "do=update, claims=:e30=:";
    let site = site();
    let (world, old) = logged_in(&site);
    let new = command(&world, &site, &old, "do=rotate").expect("a successor");
    assert_eq!(command(&world, &site, &old, UPDATE), Some(new.clone()), "the first answer was lost");
    assert_eq!(command(&world, &site, &new, UPDATE), None, "the secret stays");
}

#[test]
fn after_the_grace_an_old_secret_is_a_replay() {
    let site = site();
    let (world, old) = logged_in(&site);
    let new = command(&world, &site, &old, "do=rotate").expect("a successor");
    world.pass(Duration::from_secs(60));
    assert_eq!(account(&world, &site, &old).0, None, "the successor has not been used yet");
    assert_eq!(account(&world, &site, &new).0, None);
    world.pass(Duration::from_secs(14));
    assert_eq!(account(&world, &site, &old), (None, Some(new.clone())));
    world.pass(Duration::from_secs(1));
    assert_eq!(account(&world, &site, &old), (Some(401), None));
    assert_eq!(world.event_names().last().map(String::as_str), Some("token_replayed"));
    assert_eq!(account(&world, &site, &new).0, None, "observed only");
}

#[test]
fn five_minutes_after_the_rotation_the_grace_is_over_in_any_case() {
    let site = site();
    let (world, old) = logged_in(&site);
    command(&world, &site, &old, "do=rotate").expect("a successor");
    world.pass(Duration::from_millis(299_999));
    assert_eq!(account(&world, &site, &old).0, None);
    world.pass(Duration::from_millis(1));
    assert_eq!(account(&world, &site, &old).0, Some(401));
}

#[test]
fn a_replay_ends_the_lineage_where_that_is_configured() {
    let site = site_plus(r#""on_replay": "end", "rotation_grace": "1s""#);
    let (world, old) = logged_in(&site);
    let new = command(&world, &site, &old, "do=rotate").expect("a successor");
    assert_eq!(account(&world, &site, &new).0, None);
    world.pass(Duration::from_secs(1));
    assert_eq!(account(&world, &site, &old).0, Some(401));
    assert_eq!(account(&world, &site, &new).0, Some(401), "the thief's and the user's");
    let last =
        world.events.borrow().last().map(|event| event.to_line(UnixMillis(0), &Whence::default())).expect("an event");
    assert!(last.contains("token_replayed") && last.contains(r#""ended":true"#), "{last}");
}

/// Whoever has taken a session over, has its newest secret; the person has an old one.
#[test]
fn a_log_out_with_an_old_secret_is_a_replay_too() {
    for (on_replay, status) in [("observe", None), ("end", Some(401))] {
        let site = site_plus(&format!(r#""on_replay": "{on_replay}", "rotation_grace": "1s""#));
        let (world, old) = logged_in(&site);
        let new = command(&world, &site, &old, "do=rotate").expect("a successor");
        assert_eq!(account(&world, &site, &new).0, None);
        world.pass(Duration::from_secs(1));
        let headers = [("cookie", &*old), ("sec-fetch-site", "same-origin")];
        let log_out = || world.serve(&site, &request("POST", "/_warifu/logout", &headers)).status;
        assert_eq!(log_out(), Some(204), "{on_replay}");
        assert_eq!(world.event_names().last().map(String::as_str), Some("token_replayed"), "{on_replay}");
        let calls = world.shards.calls.get();
        assert_eq!(log_out(), Some(204), "{on_replay}");
        assert_eq!(world.shards.calls.get(), calls, "{on_replay}: and what is known is not asked again");
        assert_eq!(account(&world, &site, &new).0, status, "{on_replay}");
    }
}

/// A copy that comes within the grace of an end of all others is none yet; later it has to be seen.
#[test]
fn a_log_out_hides_no_replay() {
    let (world, site) = (World::with_login(), site());
    let old = world.log_in(&site);
    let ask = |method: &str, path: &str, cookie: &str| {
        world.serve(&site, &request(method, path, &[("cookie", cookie), ("sec-fetch-site", "same-origin")])).status
    };
    assert_eq!(ask("DELETE", "/_warifu/me/sessions", &old), Some(200));
    assert_eq!(ask("POST", "/_warifu/logout", &old), Some(204));
    assert!(!world.event_names().contains(&"token_replayed".to_owned()));
    world.pass(site.config.rotation_grace);
    assert_eq!(ask("GET", "/account", &old), Some(401));
    assert_eq!(world.event_names().last().map(String::as_str), Some("token_replayed"));
}

#[test]
fn a_stolen_copy_does_not_ride_up_with_the_level() {
    let site = site_plus(r#""max_sessions": 0"#);
    let (world, old) = logged_in(&site);
    world.pass(Duration::from_secs(10));
    let new = command(&world, &site, &old, "do=rotate, level=2").expect("a fresh secret");
    let identity = |cookie: &str| {
        let (status, handed_out) = account(&world, &site, cookie);
        assert_eq!((status, handed_out), (None, None), "no successor for anybody");
        let seen = world.origin.seen.borrow();
        let set = &seen.last().expect("forwarded").edits.set;
        let one = |name: &str| set.iter().find(|(found, _)| found == name).expect("a header").1.clone();
        (one("warifu-level"), one("warifu-auth-time"))
    };
    assert_eq!(identity(&old), ("1".to_owned(), "1750000000".to_owned()));
    assert_eq!(identity(&new), ("2".to_owned(), "1750000010".to_owned()));
    // Nor does the copy get anything from asking.
    assert_eq!(command(&world, &site, &old, "do=rotate"), None);
    let others = command(&world, &site, &old, "do=end-others").expect("a secret of its own level");
    assert_eq!(identity(&others).0, "1");
    assert_eq!(account(&world, &site, &new).0, Some(401));
}

#[test]
fn a_new_authentication_at_the_same_level_is_not_shared_either() {
    let site = site();
    let (world, old) = logged_in(&site);
    let new = command(&world, &site, &old, "do=rotate, level=1").expect("a fresh secret");
    assert_eq!(account(&world, &site, &old), (None, None), "max_auth_age counts for the new one only");
    assert_eq!(account(&world, &site, &new).0, None);
}

#[test]
fn only_the_immediate_predecessor_gets_the_successor() {
    let site = site();
    let (world, first) = logged_in(&site);
    let second = command(&world, &site, &first, "do=rotate").expect("a successor");
    let third = command(&world, &site, &second, "do=rotate").expect("a successor");
    assert_eq!(account(&world, &site, &second), (None, Some(third)));
    assert_eq!(account(&world, &site, &first), (None, None), "served, and no more");
}

/// A world whose origin does something before it answers `GET /account`, and elsewhere gives the
/// command of the moment.
fn slow(meanwhile: impl Fn(&World) + 'static) -> Rc<World> {
    Rc::new_cyclic(|world: &Weak<World>| {
        let world = world.clone();
        World::new(move |outgoing| -> OriginAnswer {
            let world = world.upgrade().expect("it is there");
            if outgoing.url.contains("/account") {
                meanwhile(&world);
                return Some(Vec::new());
            }
            let command = world.command.get();
            Some(if command.is_empty() { Vec::new() } else { vec![("Warifu-Command", command)] })
        })
    })
}

/// The browser's cookie of before, and the one that it has by the time of the late answer.
type Cookies = (String, String);

/// Sends a request with an old secret in its grace. While the origin thinks about it, the browser
/// gets another cookie at another isolate; then comes the answer, which must set none.
fn late(between: impl Fn(&World, &Site, &str) -> String + 'static) -> (Rc<World>, Cookies) {
    let (here, there) = (site(), site());
    let now: Rc<RefCell<Cookies>> = Rc::default();
    let browser = Rc::clone(&now);
    let world = slow(move |world| {
        let fresh = between(world, &there, &browser.borrow().0);
        browser.borrow_mut().1 = fresh;
    });
    world.command.set(START);
    let old = world.log_in(&here);
    let successor = command(&world, &here, &old, "do=rotate").expect("a successor");
    now.replace((successor, String::new()));
    let visit = world.serve(&here, &request("GET", "/account", &[("cookie", &old)]));
    assert_eq!(visit.status, None, "let through before");
    assert_eq!(visit.header("set-cookie"), None, "the browser has a newer one by now");
    let cookies = now.take();
    (world, cookies)
}

#[test]
fn who_was_let_through_in_the_grace_is_no_replay_after_it() {
    let site = site_plus(r#""on_replay": "end", "rotation_grace": "1s", "audit_retention": "30d""#);
    let world = slow(|world| world.pass(Duration::from_secs(3)));
    world.command.set(START);
    let old = world.log_in(&site);
    let new = command(&world, &site, &old, "do=rotate").expect("a successor");
    assert!(is_in(&world, &new), "the grace of the old one begins");
    assert_eq!(account(&world, &site, &old), (None, None), "served, and too late for the new one");
    assert!(is_in(&world, &new), "nobody has copied anything");
    assert!(!world.event_names().contains(&"token_replayed".to_owned()));
    assert!(!audit(&world, &site).contains("token_replayed"));
    // Who comes now has a copy.
    assert_eq!(account(&world, &site, &old).0, Some(401));
    assert_eq!(world.event_names().last().map(String::as_str), Some("token_replayed"));
    assert!(audit(&world, &site).contains("token_replayed"));
    assert!(!is_in(&world, &new));
}

fn audit(world: &World, site: &Site) -> String {
    let headers = [("authorization", "Bearer hunter2")];
    world.serve(site, &request("GET", "/_warifu/audit?subject=alice", &headers)).body
}

fn is_in(world: &World, cookie: &str) -> bool {
    // Strict, at an isolate that remembers nothing.
    world.serve(&site(), &request("GET", "/transfer/x", &[("cookie", cookie)])).status.is_none()
}

#[test]
fn a_late_answer_does_not_bring_an_older_session_back() {
    let log_out: fn(&World, &Site, &str) -> Option<u16> = |world, site, cookie| {
        let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
        world.serve(site, &request("POST", "/_warifu/logout", &headers)).status
    };
    let kill: fn(&World, &Site, &str) -> Option<u16> = |world, site, _| {
        let headers = [("authorization", "Bearer hunter2")];
        world.serve(site, &request("DELETE", "/_warifu/sessions?subject=alice", &headers)).status
    };
    for (end, status) in [(log_out, 204), (kill, 200)] {
        let (world, (ended, fresh)) = late(move |world, there, cookie| {
            assert_eq!(end(world, there, cookie), Some(status));
            world.command.set(START);
            let fresh = world.log_in(there);
            world.command.set("");
            fresh
        });
        assert!(!is_in(&world, &ended));
        assert!(is_in(&world, &fresh), "the log-in of meanwhile counts");
    }
}

#[test]
fn a_late_answer_does_not_undo_the_end_of_the_others() {
    let (world, (copied, fresh)) =
        late(|world, there, cookie| command(world, there, cookie, "do=end-others").expect("a fresh secret"));
    assert!(!is_in(&world, &copied), "the secret that a thief may hold");
    assert!(is_in(&world, &fresh));
}

#[test]
fn what_cannot_be_asked_again_is_not_handed_out() {
    let site = site();
    let (world, old) = logged_in(&site);
    let new = command(&world, &site, &old, "do=rotate").expect("a successor");
    // One question lets the request through; the one for its answer is lost.
    world.shards.fails_from_call.set(Some(world.shards.calls.get() + 2));
    assert_eq!(account(&world, &site, &old), (None, None));
    world.shards.fails_from_call.set(None);
    assert_eq!(account(&world, &site, &old), (None, Some(new)));
}

#[test]
fn a_token_under_an_older_key_is_minted_anew_at_its_renewal() {
    let (before, after, dropped) =
        (site_with(CONFIG, KEYS), site_with(CONFIG, KEYS_ROTATED), site_with(CONFIG, KEYS_DROPPED));
    let (world, old) = logged_in(&before);
    assert_eq!(account(&world, &after, &old), (None, None), "not before a renewal is due");
    world.pass(Duration::from_secs(180));
    let (status, minted) = account(&world, &after, &old);
    let new = minted.expect("the same secret under the new key");
    assert_eq!(status, None);
    assert_eq!(account(&world, &dropped, &new), (None, None), "nobody was logged out");
    assert_eq!(account(&world, &dropped, &old), (Some(401), None), "a dropped key ends all under it");
    assert_eq!(account(&world, &after, &old).0, None, "both are the same secret");
    world.pass(Duration::from_secs(181));
    let again = command(&world, &after, &old, "do=update, claims=:e30=:");
    assert_eq!(again.as_ref(), Some(&new), "with new claims as without");
    assert!(!world.event_names().contains(&"token_replayed".to_owned()));
}

#[test]
fn a_renewal_is_written_with_the_place_of_the_request() {
    let site = site();
    let (world, cookie) = logged_in(&site);
    world.pass(Duration::from_secs(181));
    let headers = [("cookie", cookie.as_str()), ("cf-connecting-ip", "198.51.100.9")];
    world.serve(&site, &request("GET", "/account", &headers));
    let seen = world.serve(&site, &request("GET", "/_warifu/me", &[("cookie", &cookie)]));
    assert!(seen.body.contains(r#""last_prefix":"198.51.100.0/24""#), "{}", seen.body);
}
