//! Secrets: where they come from, how they are compared, what is left of them,
//! and where they are never written.

use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

use warifu::audit::Whence;
use warifu::keys::Key;
use warifu::time::UnixMillis;
use warifu::token::{KeyRing, Minted, Secret, Token};

use crate::support::{KEYS, World, request, signing_site_of, site, site_of};

/// Whether a type can be compared with `==`, which stops at the first byte that
/// differs. Of the two constants of one name, the one that is the type's own
/// goes first.
macro_rules! is_compared {
    ($kind:ty) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const IS_COMPARED: bool = false;
        }
        impl<T> Otherwise for T {}
        struct Of<T>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: PartialEq> Of<T> {
            const IS_COMPARED: bool = true;
        }
        <Of<$kind>>::IS_COMPARED
    }};
}

#[test]
fn secrets_cannot_be_compared_byte_by_byte() {
    assert!(is_compared!([u8; 32]) && is_compared!(String), "such as are compared so");
    assert!(!is_compared!(Secret));
    assert!(!is_compared!(Token));
    assert!(!is_compared!(Minted));
    assert!(!is_compared!(KeyRing));
    assert!(!is_compared!(Key));
    assert!(!is_compared!(warifu::custody::ContentKey));
}

/// The bytes where a value was, after it was dropped there.
fn left_of<T>(value: T) -> Vec<u8> {
    let mut place = MaybeUninit::new(value);
    // SAFETY: the place holds a value, and it is dropped once. Its bytes are
    // read as bytes afterwards; none of these types has padding.
    unsafe {
        place.assume_init_drop();
        std::slice::from_raw_parts(place.as_ptr().cast::<u8>(), size_of::<T>()).to_vec()
    }
}

#[test]
fn a_secret_is_zeroed_when_it_is_dropped() {
    assert_eq!(left_of(Secret::new([7; 32])), [0; 32]);
    assert_eq!(left_of(Secret::new([7; 32]).derive(None, b"x")), [0; 32], "what custody wraps keys with");
    let key = Key { kid: 7, bytes: zeroize::Zeroizing::new([7; 32]) };
    let left: Vec<u8> = left_of(key).into_iter().filter(|byte| *byte != 0).collect();
    assert_eq!(left, [7], "the kid, which is none");
}

#[test]
fn what_must_not_be_guessed_has_128_random_bits_at_least() {
    let routes =
        r#"[{"path": "/login", "access": "optional", "commands": "nonce"}, {"path": "/*", "access": "optional"}]"#;
    let nonce = signing_site_of(&format!(r#"{{"origin": "http://o", "routes": {routes}}}"#));
    let (world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    let drawn = |work: &dyn Fn()| {
        world.random.asked.borrow_mut().clear();
        work();
        world.random.asked.borrow().clone()
    };
    // Handles are public: 12 bytes that are no secret, beside the secret's 32.
    let cookie = std::cell::RefCell::new(String::new());
    assert_eq!(drawn(&|| drop(cookie.replace(world.log_in(&site)))), [32, 12, 12], "a log-in");
    world.command.set("do=rotate");
    let rotate = || drop(world.serve(&site, &request("POST", "/login", &[("cookie", &cookie.borrow())])));
    assert_eq!(drawn(&rotate), [16, 12], "a rotation: the salt, and a handle");
    world.command.set("do=rotate, level=2");
    assert!(drawn(&rotate).contains(&32), "a raise: a secret of its own");
    world.command.set("");
    let ask = || drop(world.serve(&nonce, &request("GET", "/login", &[])));
    assert!(drawn(&ask).contains(&16), "the nonce of a command");
}

#[test]
fn two_sessions_have_nothing_random_in_common() {
    let (world, site) = (World::with_login(), site());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let cookie = world.log_in(&site);
        assert!(seen.insert(cookie.split_once('=').expect("a pair").1[8..50].to_owned()), "the same secret twice");
    }
}

/// Whoever has `WARIFU_KEYS` can forge a MAC, and no secret that was drawn.
#[test]
fn a_forged_token_with_a_good_mac_finds_no_session() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let (name, token) = cookie.split_once('=').expect("a pair");
    let ring = KeyRing::read(KEYS, "default").expect("the keys of the site");
    let locator = ring.verify(token).expect("a token").locator();
    for byte in 0..=255 {
        let forged = ring.mint(locator, &Secret::new([byte; 32]));
        assert!(ring.verify(forged.expose()).is_some(), "its MAC is good");
        let header = format!("{name}={}", forged.expose());
        for path in ["/account", "/transfer/x"] {
            let seen = world.serve(&site, &request("GET", path, &[("cookie", &header)]));
            assert_eq!((seen.status, seen.header("set-cookie")), (Some(401), None), "{path}");
        }
    }
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, None);
}

/// In `src/`, of the Worker: the one place that draws is the platform's CSPRNG.
#[test]
fn randomness_comes_from_one_place() {
    fn files(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "js") {
                let name = path.to_str().expect("UTF-8").split_once("/src/").expect("below src").1.to_owned();
                found.push((name, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let mut sources = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    assert!(sources.len() > 100, "{}", sources.len());
    let drawing: Vec<&str> = sources
        .iter()
        .filter(|(name, _)| !name.starts_with("bin/"))
        .filter(|(_, text)| {
            ["getrandom::", "Math.random", "getRandomValues(", "randomUUID", "rand::"]
                .iter()
                .any(|of| text.contains(of))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(drawing, ["edge/ports.rs"]);
}

/// Tokens, keys, queries, bodies and the values of headers; whatever is asked.
#[test]
fn no_line_of_the_log_has_what_a_client_sent_in_confidence() {
    const CONFIDED: &str = "Confided-2f1c";
    let strict = site_of(
        r#"{"origin": "http://o", "admin_host": "admin.test", "on_replay": "end", "cross_origin": "strict",
            "routes": [{"path": "/*", "access": "optional", "commands": true}]}"#,
    );
    let world = World::commanding("do=start, sub=\"alice\"");
    let cookie = world.log_in(&strict);
    let forged = format!("{}=x{CONFIDED}", cookie.split_once('=').expect("a pair").0);
    let bearer = format!("Bearer {CONFIDED}");
    for command in ["", "do=end", "do=rotate", "do=stop", "garbage="] {
        world.command.set(command);
        for path in ["/account", "/_warifu/sessions", "/_warifu/me", "/_warifu/logout", "/_warifu/none", "/a%2f"] {
            for method in ["GET", "POST", "DELETE"] {
                for cookie in [&cookie, &forged, &format!("{cookie}; {forged}")] {
                    for origin in ["https://evil.test", "https://app.test"] {
                        let headers = [
                            ("cookie", cookie.as_str()),
                            ("authorization", &bearer),
                            ("origin", origin),
                            ("referer", &format!("https://app.test/?{CONFIDED}")),
                            ("user-agent", CONFIDED),
                            ("x-api-key", CONFIDED),
                        ];
                        let asked = request(method, &format!("{path}?token={CONFIDED}"), &headers);
                        world.serve_with_body(&strict, &asked, format!("password={CONFIDED}").into_bytes());
                    }
                }
            }
        }
    }
    let whence = Whence::new(Some("203.0.113.77"), None);
    let lines: Vec<String> = world.events.borrow().iter().map(|event| event.to_line(UnixMillis(0), &whence)).collect();
    let token = &cookie.split_once('=').expect("a pair").1[8..50];
    assert!(lines.len() > 100, "{} lines", lines.len());
    for line in lines {
        assert!(!line.contains(CONFIDED) && !line.contains(token) && !line.contains("203.0.113.77"), "{line}");
    }
}
