//! Signatures of forwarded requests, as the origin sees them.

use base64ct::{Base64UrlUnpadded, Encoding};
use warifu::headers::HeaderBlock;
use warifu::request::Request;
use warifu::signature::Signer;
use warifu::site::{Secrets, Site, Sites};

use crate::support::world::at_origin;
use crate::support::{KEYS, ORIGIN_KEYS, World, request, signing_site, site};

const COVERED: [&str; 10] = [
    "@method",
    "@authority",
    "@path",
    "@query",
    "warifu-session",
    "warifu-level",
    "warifu-auth-time",
    "warifu-claims",
    "remote-user",
    "warifu-subject",
];

/// What an origin has to check: that our signature is there, covers all of the
/// list, and fits what arrived. Returns the parameters.
pub fn verified(method: &str, url: &str, headers: &[(String, String)]) -> Option<String> {
    let header = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    let ours =
        |name: &str| header(name)?.split(", ").find_map(|member| member.strip_prefix("warifu=")).map(str::to_owned);
    let (params, signature) = (ours("signature-input")?, ours("signature")?);
    let rest = url.strip_prefix("http://").expect("an origin without TLS");
    let (authority, target) = rest.split_at(rest.find('/').expect("a path"));
    let (path, query) =
        target.split_once('?').map_or((target, "?".to_owned()), |(path, query)| (path, format!("?{query}")));
    let value = |name: &str| match name {
        "@method" => method.to_owned(),
        "@authority" => authority.to_owned(),
        "@path" => path.to_owned(),
        "@query" => query.clone(),
        name => header(name).unwrap_or("absent").to_owned(),
    };
    let list = COVERED.map(|name| format!("\"{name}\"")).join(" ");
    assert!(params.starts_with(&format!("({list});created=")), "{params}");
    let values = COVERED.map(|name| (name, value(name)));
    let components: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let key = Base64UrlUnpadded::decode_vec("QAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").expect("the key");
    let expected = Signer::new("7".to_owned(), &key).mac_of(&components, &params);
    (format!(":{expected}:") == signature).then_some(params)
}

#[test]
fn an_origin_can_tell_what_came_through_the_gateway() {
    let (world, site) = (World::with_login(), signing_site());
    let cookie = world.log_in(&site);
    let asked = request("GET", "/account?a=1&b=%2F", &[("cookie", &cookie)]);
    assert_eq!(world.serve(&site, &asked).status, None);
    let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
    let headers = at_origin(&asked, &outgoing);
    let params = verified("GET", &outgoing.url, &headers).expect("it fits");
    assert!(params.contains(";created=1750000000;expires=1750000060;nonce=\""), "{params}");
    assert!(params.ends_with(";keyid=\"7\";alg=\"hmac-sha256\";tag=\"warifu\""), "{params}");
    // A copy fits no other path, query, method, or person.
    assert!(verified("POST", &outgoing.url, &headers).is_none());
    for other in [
        "http://origin.test/accounts?a=1&b=%2F",
        "http://origin.test/account?a=2",
        "http://else.test/account?a=1&b=%2F",
    ] {
        assert!(verified("GET", other, &headers).is_none(), "{other}");
    }
    for (name, _) in headers.iter().filter(|(name, _)| COVERED.contains(&name.as_str())) {
        let changed: Vec<_> = headers.iter().filter(|(found, _)| found != name).cloned().collect();
        assert!(verified("GET", &outgoing.url, &changed).is_none(), "without {name}");
        let changed: Vec<_> = headers
            .iter()
            .map(|(found, value)| (found.clone(), if found == name { format!("{value}1") } else { value.clone() }))
            .collect();
        assert!(verified("GET", &outgoing.url, &changed).is_none(), "with another {name}");
    }
}

/// The sites of a Worker share the key, and `X-Forwarded-Host` is not covered: the host of
/// `origin` is what keeps them apart.
#[test]
fn a_signature_of_one_site_is_none_of_another_whose_origin_has_its_own_host() {
    for (theirs, fits) in [("b.origin.test", false), ("a.origin.test:8080", false), ("a.origin.test", true)] {
        let table = |name: &str, origin: &str| {
            format!(r#"{{"site": "{name}", "hosts": ["{name}.test"], "origin": "http://{origin}"}}"#)
        };
        let config = format!(
            r#"{{"identity": {{"user_header": "Remote-User"}},
                "routes": [{{"path": "/login", "access": "optional", "commands": true}}],
                "sites": [{}, {}]}}"#,
            table("a", "a.origin.test"),
            table("b", theirs),
        );
        let secrets = Secrets { keys: Some(KEYS), origin_keys: Some(ORIGIN_KEYS), ..Secrets::default() };
        let sites = Sites::read(&config, secrets).expect("a valid configuration");
        let world = World::with_login();
        let ask = |site: &Site, method: &str, path: &str, headers: &[(&str, &str)]| {
            let url = format!("https://{}{path}", site.config.hosts[0]);
            let asked = Request::new(method, &url, HeaderBlock::from_pairs(headers.iter().copied())).expect("a URL");
            let cookie = world.serve(site, &asked).cookie().map(str::to_owned);
            let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
            (cookie, at_origin(&asked, &outgoing), outgoing.url)
        };
        let [first, second] = sites.as_slice() else { panic!("two sites") };
        let (cookie, ..) = ask(first, "POST", "/login", &[("sec-fetch-site", "same-origin")]);
        let (_, mut copied, url) = ask(first, "GET", "/account", &[("cookie", &cookie.expect("a session"))]);
        assert!(verified("GET", &url, &copied).is_some());
        // What the other's application would get of the gateway, but for who is there.
        let (_, genuine, url) = ask(second, "GET", "/login", &[]);
        assert!(verified("GET", &url, &genuine).is_some());
        for (name, value) in copied.iter_mut().filter(|(name, _)| name == "x-forwarded-host" || name == "forwarded") {
            genuine.iter().find(|(found, _)| found == name).expect("the same header").1.clone_into(value);
        }
        let url = url.replace("/login", "/account");
        assert_eq!(verified("GET", &url, &copied).is_some(), fits, "{url}");
    }
}

#[test]
fn nobody_is_signed_for_too_and_public_routes_are_not() {
    let (world, site) = (World::with_login(), signing_site());
    let asked = request("GET", "/login", &[]);
    world.serve(&site, &asked);
    let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
    let mut headers = at_origin(&asked, &outgoing);
    assert!(verified("GET", &outgoing.url, &headers).is_some());
    headers.iter_mut().filter(|(name, _)| name == "warifu-subject").for_each(|(_, value)| "admin".clone_into(value));
    assert!(verified("GET", &outgoing.url, &headers).is_none(), "a subject was added");
    let asked = request("GET", "/", &[]);
    world.serve(&site, &asked);
    let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
    assert!(at_origin(&asked, &outgoing).iter().all(|(name, _)| !name.starts_with("signature")));
}

#[test]
fn what_could_pass_for_our_signature_is_removed_on_every_route() {
    let theirs = [
        ("signature-input", "sig1=(\"@method\");created=1, warifu=(\"@path\");created=1"),
        ("signature", "warifu=:AAAA:, sig1=:BBBB:"),
    ];
    for (site, path) in [(site(), "/"), (signing_site(), "/"), (site(), "/login"), (signing_site(), "/login")] {
        let world = World::with_login();
        let asked = request("GET", path, &theirs);
        world.serve(&site, &asked);
        let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
        let headers = at_origin(&asked, &outgoing);
        let value = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        assert!(value("signature").is_some_and(|value| value.starts_with("sig1=:BBBB:") && !value.contains("AAAA")));
        assert!(value("signature-input").is_some_and(|value| !value.contains("warifu=(\"@path\")")));
        let is_signed = site.signer.is_some() && path != "/";
        assert_eq!(verified("GET", &outgoing.url, &headers).is_some(), is_signed, "{path}");
    }
    let world = World::with_login();
    let asked = request("GET", "/", &[("signature", "=broken, warifu=:AAAA:"), ("signature-input", "warifu=();x")]);
    world.serve(&site(), &asked);
    let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
    assert!(at_origin(&asked, &outgoing).iter().all(|(name, _)| !name.starts_with("signature")));
}

#[test]
fn no_nonce_is_given_out_twice_and_without_randomness_nothing_is_forwarded() {
    let (world, site) = (World::with_login(), signing_site());
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let asked = request("GET", "/login", &[]);
        world.serve(&site, &asked);
        let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
        let params = verified("GET", &outgoing.url, &at_origin(&asked, &outgoing)).expect("it fits");
        let nonce =
            params.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce").to_owned();
        assert_eq!(Base64UrlUnpadded::decode_vec(&nonce).map(|bytes| bytes.len()), Ok(16));
        assert!(nonces.insert(nonce));
    }
    let (world, site) = (World::with_login(), signing_site());
    world.random.is_broken.set(true);
    assert_eq!(world.serve(&site, &request("GET", "/login", &[])).status, Some(500));
    assert!(world.origin.seen.borrow().is_empty());
}
