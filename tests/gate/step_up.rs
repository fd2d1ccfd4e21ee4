use std::time::Duration;

use crate::support::{World, request, site_of};

const CONFIG: &str = r#"{
    "origin": "http://origin.test",
    "routes": [
        {"path": "/login", "access": "optional", "commands": true},
        {"path": "/transfer/*", "access": "strict", "level": 2, "max_auth_age": "5m"},
        {"path": "/vault/*", "access": "required", "level": 3},
        {"path": "/vault;x/*", "access": "required"}
    ]
}"#;

fn transfer(world: &World, site: &warifu::site::Site, cookie: &str) -> crate::support::world::Seen {
    world.serve(site, &request("GET", "/transfer/1?to=bob", &[("cookie", cookie)]))
}

#[test]
fn a_route_asks_for_a_level_and_a_fresh_log_in() {
    let site = site_of(CONFIG);
    let world = World::commanding("do=start, sub=\"alice\"");
    let cookie = world.log_in(&site);
    world.command.set("");
    let seen = transfer(&world, &site, &cookie);
    assert_eq!(seen.status, Some(403));
    let problem: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
    assert_eq!((problem["code"].as_str(), problem["level"].as_u64()), (Some("step_up_required"), Some(2)));
    assert_eq!(problem["max_auth_age"].as_u64(), Some(300));
    let browser = [("cookie", cookie.as_str()), ("sec-fetch-mode", "navigate")];
    let seen = world.serve(&site, &request("GET", "/transfer/1?to=bob", &browser));
    assert_eq!(seen.header("location"), Some("/login?return_to=/transfer/1%3Fto%3Dbob&step_up=2"));

    world.command.set("do=rotate, level=2");
    let raised = world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)]));
    let raised = raised.cookie().expect("a fresh secret").to_owned();
    world.command.set("");
    assert_eq!(transfer(&world, &site, &raised).status, None);
    assert_eq!(transfer(&world, &site, &cookie).status, Some(403), "the old secret stays below");
    world.pass(Duration::from_secs(300));
    assert_eq!(transfer(&world, &site, &raised).status, None);
    world.pass(Duration::from_millis(1));
    assert_eq!(transfer(&world, &site, &raised).status, Some(403), "too long ago");
}

#[test]
fn parameters_in_a_path_do_not_lower_the_level() {
    let site = site_of(CONFIG);
    let world = World::commanding("do=start, sub=\"alice\", level=2");
    let cookie = world.log_in(&site);
    world.command.set("");
    let status = |path| world.serve(&site, &request("GET", path, &[("cookie", &cookie)])).status;
    assert_eq!((status("/vault/1"), status("/vault;x/1")), (Some(403), Some(403)));
}
