use std::time::Duration;

use crate::support::{World, request, site};

const CLEARED: &str = "__Host-Http-warifu=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";

#[test]
fn logout_ends_the_session_and_clears_the_cookie() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let logout = request("POST", "/_warifu/logout", &[("cookie", &cookie), ("sec-fetch-site", "same-origin")]);
    let reply = world.serve(&site, &logout);
    assert_eq!(reply.status, Some(204));
    assert_eq!(reply.set_cookie(), Some(CLEARED));
    assert_eq!(reply.header("clear-site-data"), Some("\"cache\""));
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, Some(401));
    assert_eq!(world.event_names(), ["session_started", "session_ended"]);
    assert_eq!(world.serve(&site, &logout).status, Some(204), "once more is no error");
}

#[test]
fn logout_with_two_good_tokens_ends_both() {
    let (world, site) = (World::with_login(), site());
    let (one, two) = (world.log_in(&site), world.log_in(&site));
    let both = format!("{one}; {two}");
    let reply = world.serve(&site, &request("POST", "/_warifu/logout", &[("cookie", &both)]));
    assert_eq!(reply.status, Some(204));
    for cookie in [one, two] {
        assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, Some(401));
    }
    // One of them may be from before `partitioned` was switched.
    let set: Vec<&str> = reply.headers.iter().filter(|(n, _)| n == "set-cookie").map(|(_, v)| v.as_str()).collect();
    assert_eq!(set.len(), 2);
    assert!(set[0].contains("; Partitioned") && set[1] == CLEARED);
}

#[test]
fn what_has_ended_is_not_ended_again_and_again() {
    let (world, site) = (World::with_login(), site());
    let both = format!("{}; {}", world.log_in(&site), world.log_in(&site));
    let log_out = |headers: &[(&str, &str)]| world.serve(&site, &request("POST", "/_warifu/logout", headers)).status;
    assert_eq!(log_out(&[("cookie", &both)]), Some(204));
    let before = world.shards.calls.get();
    for _ in 0..99 {
        assert_eq!(log_out(&[("cookie", &both), ("cf-connecting-ip", "203.0.113.77")]), Some(204));
    }
    assert_eq!(world.shards.calls.get(), before);
    // The first came from no known network, and is written down by itself.
    let told = world.event_names().iter().filter(|name| *name == "several_tokens").count();
    assert_eq!(told, 2, "once for the network");
    let counted = world.memory(&site).tally().events();
    assert!(counted.contains(&("several_tokens".to_owned(), 100)), "{counted:?}");
    world.pass(Duration::from_secs(61));
    assert_eq!(log_out(&[("cookie", &both)]), Some(204));
    assert_eq!(
        world.shards.calls.get(),
        before + 4,
        "for as long as anything dead is remembered: each is looked for, too"
    );
}

#[test]
fn logout_csrf_and_other_methods() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let status = |method, headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        world.serve(&site, &request(method, "/_warifu/logout", &all)).status
    };
    assert_eq!(status("POST", &[("sec-fetch-site", "cross-site")]), Some(403));
    assert_eq!(status("POST", &[("origin", "https://evil.test")]), Some(403));
    assert_eq!(status("GET", &[]), Some(405));
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, None, "still logged in");
}

#[test]
fn a_logout_that_cannot_be_committed_is_no_logout() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    world.shards.is_down.set(true);
    let reply = world.serve(&site, &request("POST", "/_warifu/logout", &[("cookie", &cookie)]));
    assert_eq!((reply.status, reply.header("set-cookie")), (Some(503), None));
}

#[test]
fn a_form_is_sent_back_within_this_site_only() {
    let (world, site) = (World::with_login(), site());
    let post = |body: &str| {
        let form =
            request("POST", "/_warifu/logout", &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
        world.serve_with_body(&site, &form, body.as_bytes().to_vec())
    };
    let reply = post("a=b&return_to=%2Fbye%3Fx%3D1");
    assert_eq!((reply.status, reply.header("location")), (Some(303), Some("/bye?x=1")));
    assert_eq!(post("a=b").status, Some(204));
    for bad in ["//evil.test", "/\\evil.test", "https://evil.test/", "/a\r\nx: y"] {
        let encoded: String = form_urlencoded::byte_serialize(bad.as_bytes()).collect();
        assert_eq!(post(&format!("return_to={encoded}")).status, Some(400), "{bad}");
    }
    assert_eq!(post(&"x".repeat(20_000)).status, Some(413));
}
