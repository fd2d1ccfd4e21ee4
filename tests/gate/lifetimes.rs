//! How long the browser keeps the cookie: each that is set, whatever sets it, lasts for what is left
//! of the session, and none lets it look younger than it is.

use std::time::Duration;

use warifu::site::Site;

use crate::support::world::Seen;
use crate::support::{CONFIG, KEYS, KEYS_ROTATED, World, request, site, site_with};

const TTL: u64 = 7_200;
const START: &str = "do=start, sub=\"alice\", ttl=7200";
/// Between the log-in and what sets the cookie anew; less than the idle time.
const PASSED: u64 = 1_000;
const LEFT: u64 = TTL - PASSED;

/// The `Max-Age` of the session cookie that an answer sets.
pub fn max_age(seen: &Seen) -> u64 {
    let set_cookie = seen.set_cookie().unwrap_or_else(|| panic!("no cookie: {:?} {}", seen.status, seen.body));
    let (_, max_age) = set_cookie.rsplit_once("; Max-Age=").expect("a cookie that lasts");
    max_age.parse().expect("seconds")
}

/// Somebody who has been logged in for a while.
fn logged_in(site: &Site) -> (World, String) {
    let world = World::commanding(START);
    let seen = world.serve(site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    assert_eq!(max_age(&seen), TTL, "all of it at the start");
    world.command.set("");
    world.pass(Duration::from_secs(PASSED));
    let cookie = seen.cookie().expect("a cookie").to_owned();
    (world, cookie)
}

fn ask(world: &World, site: &Site, method: &str, path: &str, cookie: &str) -> Seen {
    world.serve(site, &request(method, path, &[("cookie", cookie), ("sec-fetch-site", "same-origin")]))
}

#[test]
fn a_command_that_gives_a_new_secret() {
    for command in ["do=rotate", "do=rotate, level=2", "do=end-others"] {
        let site = site();
        let (world, cookie) = logged_in(&site);
        world.command.set(command);
        let seen = ask(&world, &site, "POST", "/login", &cookie);
        assert_eq!(max_age(&seen), LEFT, "{command}");
    }
}

#[test]
fn the_person_who_ends_all_others() {
    let site = site();
    let (world, cookie) = logged_in(&site);
    let seen = ask(&world, &site, "DELETE", "/_warifu/me/sessions", &cookie);
    assert_eq!((seen.status, max_age(&seen)), (Some(200), LEFT));
}

#[test]
fn the_successor_of_an_old_secret_in_its_grace() {
    let site = site();
    let (world, old) = logged_in(&site);
    world.command.set("do=rotate");
    let rotated = ask(&world, &site, "POST", "/login", &old);
    world.command.set("");
    world.pass(Duration::from_secs(100));
    let late = ask(&world, &site, "GET", "/account", &old);
    assert_eq!(late.cookie(), rotated.cookie(), "a lost answer logs nobody out");
    assert_eq!(max_age(&late), LEFT - 100);
}

#[test]
fn the_same_secret_under_a_newer_key() {
    let (before, after) = (site_with(CONFIG, KEYS), site_with(CONFIG, KEYS_ROTATED));
    let (world, cookie) = logged_in(&before);
    assert_eq!(max_age(&ask(&world, &after, "GET", "/account", &cookie)), LEFT);
}
