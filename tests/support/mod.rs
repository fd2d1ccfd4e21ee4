//! A world for native tests: the production gate and shards over real SQLite
//! databases in memory, one for each shard, a clock that is set by hand, and
//! an origin that answers as the test says.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod precedents;
pub mod sqlite;
pub mod world;

pub use world::World;

use warifu::config::Mistake;
use warifu::headers::HeaderBlock;
use warifu::request::Request;
use warifu::site::{Secrets, Site, Sites};

pub const KEYS: &str = r#"[{"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;

/// The same key under a newer one, and the newer one alone.
pub const KEYS_ROTATED: &str = r#"[{"kid":2,"key":"IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
    {"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
pub const KEYS_DROPPED: &str = r#"[{"kid":2,"key":"IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;

pub const ORIGIN_KEYS: &str = r#"[{"kid":7,"key":"QAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;

/// An administrator with all scopes whose key is `hunter2`, and one who may
/// only read.
pub const ADMIN_KEYS: &str = r#"[
    {"id":"ops","sha256":"f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7",
     "scopes":["sessions:read","sessions:write","mint","revoke","verify","metrics"]},
    {"id":"reader","sha256":"3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30",
     "scopes":["sessions:read"]}
]"#;

/// The demo's routes.
pub const CONFIG: &str = r#"{
    "origin": "http://origin.test",
    "admin_host": "admin.test",
    "trusted_origins": ["https://friend.test"],
    "identity": {"user_header": "Remote-User"},
    "routes": [
        {"path": "/", "access": "public"},
        {"path": "/assets/*", "access": "public"},
        {"path": "/login", "access": "optional", "commands": true},
        {"path": "/signout", "access": "required", "commands": true},
        {"path": "/account", "access": "required"},
        {"path": "/transfer/*", "access": "strict"},
        {"path": "/poll", "access": "required", "activity": false},
        {"path": "/echo/*", "access": "optional"}
    ]
}"#;

pub fn site() -> Site {
    site_of(CONFIG)
}

pub fn site_of(config: &str) -> Site {
    site_with(config, KEYS)
}

fn only(read: Result<Sites, Vec<Mistake>>) -> Site {
    read.expect("a valid configuration").into_first().expect("a site")
}

pub fn site_with(config: &str, keys: &str) -> Site {
    let secrets = Secrets { keys: Some(keys), admin_keys: Some(ADMIN_KEYS), origin_keys: None };
    only(Sites::read(config, secrets))
}

/// [`CONFIG`], and forwarded requests are signed.
pub fn signing_site() -> Site {
    signing_site_of(CONFIG)
}

pub fn signing_site_of(config: &str) -> Site {
    let secrets = Secrets { keys: Some(KEYS), admin_keys: Some(ADMIN_KEYS), origin_keys: Some(ORIGIN_KEYS) };
    only(Sites::read(config, secrets))
}

/// [`CONFIG`] with more keys: members of a JSON object.
pub fn site_plus(members: &str) -> Site {
    site_of(&CONFIG.replacen('{', &format!("{{{members},"), 1))
}

/// A request to `https://app.test`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    Request::new(method, &format!("https://app.test{path}"), HeaderBlock::from_pairs(headers.iter().copied()))
        .expect("a request")
}
