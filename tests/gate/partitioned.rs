//! `cookie.partitioned` is switched while people are logged in: browsers keep partitioned cookies
//! and others apart, and send both.

use warifu::headers::HeaderBlock;
use warifu::request::Request;
use warifu::site::Site;

use crate::support::world::Seen;
use crate::support::{World, request, site_plus};

const OPS: (&str, &str) = ("authorization", "Bearer hunter2");
const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Two cookies of one name at most: those of before the switch and of after it.
#[derive(Default)]
struct Browser {
    /// Whether it has one jar for both.
    is_old: bool,
    jars: [Option<String>; 2],
}

impl Browser {
    fn header(&self) -> String {
        self.jars.iter().flatten().map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    fn takes(&mut self, seen: &Seen) {
        for (_, set) in seen.headers.iter().filter(|(name, _)| name == "set-cookie") {
            self.sets(set);
        }
    }

    fn sets(&mut self, set: &str) {
        let jar = &mut self.jars[usize::from(set.contains("; Partitioned") && !self.is_old)];
        let pair = set.split(';').next().expect("a pair").to_owned();
        *jar = Some(pair).filter(|_| !set.contains("Max-Age=0"));
    }

    fn ask(&mut self, world: &World, site: &Site, method: &str, path: &str) -> Seen {
        let seen = world.serve(site, &request(method, path, &[("cookie", &self.header()), SAME]));
        self.takes(&seen);
        seen
    }

    fn is_in(&mut self, world: &World, site: &Site) -> bool {
        self.ask(world, site, "GET", "/transfer/x").status.is_none()
    }
}

/// Each way to another cookie: what the origin says, and what is asked for.
const WAYS: [(&str, &str, &str); 6] = [
    ("do=start, sub=\"alice\"", "POST", "/login"),
    ("do=rotate", "POST", "/login"),
    ("do=rotate, level=2", "POST", "/login"),
    ("do=end-others", "POST", "/login"),
    ("", "DELETE", "/_warifu/me/sessions"),
    ("do=end", "POST", "/login"),
];

fn sites() -> [Site; 2] {
    [false, true].map(|partitioned| site_plus(&format!(r#""cookie": {{"partitioned": {partitioned}}}"#)))
}

#[test]
fn a_switch_logs_nobody_out_whichever_way_the_next_cookie_comes() {
    for is_old in [false, true] {
        for (command, method, path) in WAYS {
            for (before, after) in [(0, 1), (1, 0)] {
                let (sites, world) = (sites(), World::commanding("do=start, sub=\"alice\""));
                let mut browser = Browser { is_old, ..Browser::default() };
                browser.ask(&world, &sites[before], "POST", "/login");
                world.command.set(command);
                let seen = browser.ask(&world, &sites[after], method, path);
                assert!(seen.status.is_none_or(|status| status == 200), "{command} {path}: {}", seen.body);
                world.command.set("");
                assert_eq!(browser.is_in(&world, &sites[after]), command != "do=end", "{command} {method} {path}");
                assert!(!world.event_names().contains(&"several_tokens".to_owned()), "{command} {method} {path}");
            }
        }
    }
}

/// A session that ended long ago is presented too, where its cookie is still there.
#[test]
fn what_was_logged_out_elsewhere_does_not_stand_beside_the_next_log_in() {
    let (sites, world) = (sites(), World::commanding("do=start, sub=\"alice\""));
    let mut browser = Browser::default();
    browser.ask(&world, &sites[0], "POST", "/login");
    let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[OPS]);
    assert_eq!(world.serve(&sites[0], &kill).status, Some(200));
    browser.ask(&world, &sites[1], "POST", "/login");
    world.command.set("");
    assert!(browser.is_in(&world, &sites[1]));
}

#[test]
fn who_missed_a_rotation_before_the_switch_gets_one_cookie_wherever_he_goes() {
    for path in ["/transfer/x", "/_warifu/me", "/_warifu/account/", "/_warifu/logout"] {
        let (sites, world) = (sites(), World::commanding("do=start, sub=\"alice\""));
        *world.assets.borrow_mut() = vec![("/account/index.html", None, "the account")];
        let mut browser = Browser::default();
        browser.ask(&world, &sites[0], "POST", "/login");
        world.command.set("do=rotate");
        world.serve(&sites[0], &request("POST", "/login", &[("cookie", &browser.header())]));
        world.command.set("");
        let is_log_out = path == "/_warifu/logout";
        browser.ask(&world, &sites[1], if is_log_out { "POST" } else { "GET" }, path);
        assert_eq!(browser.jars.iter().flatten().count(), usize::from(!is_log_out), "{path}: {:?}", browser.jars);
        assert_eq!(browser.is_in(&world, &sites[1]), !is_log_out, "{path}");
    }
}

/// The application that starts sessions itself hands on both lines. A cookie of before is there,
/// live or not.
#[test]
fn who_is_minted_a_session_has_its_cookie_alone() {
    for (before, after) in [(0, 1), (1, 0)] {
        for (ends, is_old) in [(false, false), (true, false), (false, true)] {
            let (sites, world) = (sites(), World::commanding(""));
            let mut browser = Browser { is_old, ..Browser::default() };
            let mut mint = |site: &Site| {
                let asked = request("POST", "/_warifu/sessions", &[OPS]);
                let seen = world.serve_with_body(site, &asked, br#"{"subject": "alice"}"#.to_vec());
                let minted: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
                for member in ["clear_cookie", "set_cookie"] {
                    browser.sets(minted[member].as_str().expect(member));
                }
                assert_eq!(browser.jars.iter().flatten().count(), 1, "{:?}", browser.jars);
                assert!(browser.is_in(&world, site));
            };
            mint(&sites[before]);
            if ends {
                let kill = request("DELETE", "/_warifu/sessions?subject=alice", &[OPS]);
                assert_eq!(world.serve(&sites[before], &kill).status, Some(200));
            }
            mint(&sites[after]);
            mint(&sites[after]);
        }
    }
}

/// Two lines would not get through a proxy that copies the one header (docs/forward-auth.md).
#[test]
fn a_proxy_that_asks_gets_one_set_cookie() {
    let (sites, world) = (sites(), World::commanding("do=start, sub=\"alice\""));
    let old = world.log_in(&sites[0]);
    world.command.set("do=rotate");
    world.serve(&sites[0], &request("POST", "/login", &[("cookie", &old)]));
    let headers = HeaderBlock::from_pairs([("cookie", old.as_str()), ("authorization", "Bearer hunter2")]);
    let asked = Request::new("GET", "https://app.test/_warifu/verify", headers).expect("a request");
    let seen = world.serve(&sites[1], &asked);
    assert_eq!(seen.status, Some(204));
    assert_eq!(seen.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 1);
}
