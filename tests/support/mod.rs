//! A world for native tests: the production gate and shards over real SQLite
//! databases in memory, one for each shard, a clock that is set by hand, and
//! an origin that answers as the test says.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod sqlite;
pub mod world;

pub use world::World;

use warifu::headers::HeaderBlock;
use warifu::request::Request;
use warifu::site::{Secrets, Site};

pub const KEYS: &str = r#"[{"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;

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
    Site::read(config, Secrets { keys: Some(KEYS), origin_keys: None }).expect("a valid configuration")
}

/// A request to `https://app.test`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    Request::new(method, &format!("https://app.test{path}"), HeaderBlock::from_pairs(headers.iter().copied()))
        .expect("a request")
}
