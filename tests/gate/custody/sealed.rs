use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use warifu::custody::{ContentKey, Owner};
use warifu::ports::Random;
use warifu::session::{Sealed, SessionId, Wrapped};
use warifu::store::{Sql, SqlValue};
use warifu::token::Secret;

use super::{App, COOKIES, HOUR, jwt};
use crate::support::{ADMIN_KEYS, KEYS, ORIGIN_KEYS};

/// All that the shards and KV have, as one text of bytes.
fn copy_of_the_stores(app: &App) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for object in app.world.shards.databases.borrow().values() {
        let sql = object.shard().sql();
        let tables = sql.run("SELECT name FROM sqlite_master WHERE type = 'table'", &[]).expect("rows");
        assert!(tables.len() >= 10, "{} tables", tables.len());
        for table in &tables {
            let SqlValue::Text(table) = &table.0[0] else { panic!("a name") };
            let rows = sql.run(&format!("SELECT * FROM {table}"), &[]).expect("rows");
            bytes.extend(format!("{rows:?}").into_bytes());
            for row in &rows {
                for value in &row.0 {
                    if let warifu::store::SqlValue::Blob(blob) = value {
                        bytes.extend(blob);
                    }
                }
            }
        }
    }
    bytes.extend(app.world.shards.kv.borrow().values().flat_map(|record| record.bytes()));
    bytes
}

#[test]
fn a_copy_of_the_stores_does_not_hold_the_token() {
    let config = COOKIES.replacen('{', r#"{"replica": "always", "#, 1);
    let app = App::new(&config);
    let token = jwt("alice", HOUR);
    let session = app.log_in(&format!("token={token}"));
    app.ask("GET /a", &[("cookie", &session)], &[]);
    let copy = copy_of_the_stores(&app);
    let has = |what: &[u8]| copy.windows(what.len()).any(|window| window == what);
    assert!(has(b"alice"), "it is a copy");
    for part in token.split('.') {
        assert!(!has(part.as_bytes()));
    }
    let secret = session.split_once('=').expect("a pair").1;
    assert!(!has(&secret.as_bytes()[8..48]));
}

/// A source of chance that always says the same.
struct Piece([u8; 32]);

impl Random for Piece {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        true
    }
}

/// Whoever has all that is stored, and all secrets of the gateway and of its
/// operators, tries each of them, and each piece of the copy, as the secret and
/// as the key itself.
#[test]
fn nothing_that_is_stored_or_configured_opens_what_is_held() {
    let config = COOKIES.replacen('{', r#"{"replica": "always", "#, 1);
    let app = App::new(&config);
    let token = jwt("alice", HOUR);
    let cookie = app.log_in(&format!("token={token}"));
    // With all that a rotation leaves behind.
    let visit = app.ask("POST /both", &[("cookie", &cookie)], &[("Warifu-Command", "do=rotate")]);
    let newest = visit.seen.cookie().expect("a new secret").to_owned();
    let (id, sealed, wraps) = {
        let shards = app.world.shards.databases.borrow();
        let sql = shards.values().find_map(|object| {
            let sql = object.shard().sql();
            let rows = sql.run("SELECT session, sealed FROM held", &[]).expect("rows");
            rows.first().map(|row| (row.bytes::<16>(0).expect("an id"), row.0[1].clone(), sql))
        });
        let (id, sealed, sql) = sql.expect("something held");
        let wraps = sql.run("SELECT wrapped FROM secrets WHERE wrapped IS NOT NULL", &[]).expect("rows");
        let wraps: Vec<Wrapped> = wraps.iter().map(|row| Wrapped(row.bytes(0).expect("a wrap"))).collect();
        (SessionId::from_bytes(id), sealed, wraps)
    };
    assert_eq!(wraps.len(), 2);
    let SqlValue::Blob(sealed) = sealed else { panic!("bytes") };
    let owner = Owner { site: "default", session: id };
    let opened = |candidate: [u8; 32]| {
        wraps.iter().filter_map(|wrapped| ContentKey::unwrap(wrapped, &Secret::new(candidate), owner)).count()
    };
    // What the people have does open it, one wrap each.
    for cookie in [&cookie, &newest] {
        let bytes = Base64UrlUnpadded::decode_vec(cookie.split_once('=').expect("a pair").1).expect("a token");
        assert_eq!(opened(bytes[6..38].try_into().expect("a secret")), 1);
    }
    let mut all = copy_of_the_stores(&app);
    for secret in [KEYS, ADMIN_KEYS, ORIGIN_KEYS] {
        all.extend(secret.bytes());
        for text in secret.split('"').filter(|text| text.len() > 40) {
            all.extend(Base64UrlUnpadded::decode_vec(text).unwrap_or_default());
        }
    }
    assert!(all.len() > 2_000, "{} bytes", all.len());
    for piece in all.windows(32) {
        let piece: [u8; 32] = piece.try_into().expect("32 bytes");
        assert_eq!(opened(piece), 0);
        let hashed = Sha256::digest(piece).into();
        assert_eq!(opened(hashed), 0);
        let as_key = ContentKey::new(&Piece(piece)).expect("a key");
        assert!(as_key.open(&Sealed(sealed.clone()), owner).is_none());
    }
}

#[test]
fn what_is_held_cannot_be_passed_off_as_anothers() {
    let app = App::new(COOKIES);
    let alices = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let bobs = app.log_in(&format!("token={}", jwt("bob", HOUR)));
    // Whoever can write to the store gives bob what alice's session holds.
    let objects: Vec<_> = app.world.shards.databases.borrow().values().cloned().collect();
    let find = |subject: &str| {
        let rows = objects.iter().find_map(|object| {
            let sql = object.shard().sql();
            let rows = sql.run("SELECT id FROM sessions WHERE subject = ?", &[subject.into()]).expect("rows");
            rows.first().map(|row| (row.bytes::<16>(0).expect("an id"), sql))
        });
        rows.expect("a session")
    };
    let ((alice, hers), (bob, his)) = (find("alice"), find("bob"));
    let held = hers.run("SELECT sealed FROM held WHERE session = ?", &[alice.as_slice().into()]).expect("rows");
    let wrapped = hers.run("SELECT wrapped FROM secrets WHERE session = ?", &[alice.as_slice().into()]).expect("rows");
    let change = |statement: &str, value: &warifu::store::SqlValue| {
        his.run(statement, &[value.clone(), bob.as_slice().into()]).expect("a change");
    };
    change("UPDATE held SET sealed = ?1 WHERE session = ?2", &held[0].0[0]);
    let visit = app.ask("GET /a", &[("cookie", &bobs)], &[]);
    assert_eq!(visit.seen.status, Some(503), "one cannot know");
    change("UPDATE secrets SET wrapped = ?1 WHERE session = ?2", &wrapped[0].0[0]);
    assert_eq!(app.ask("GET /a", &[("cookie", &bobs)], &[]).seen.status, Some(503));
    assert!(app.events().contains(&"custody_unreadable".to_owned()));
    assert_eq!(app.ask("GET /a", &[("cookie", &alices)], &[]).seen.status, None);
}

#[test]
fn a_retired_secret_no_longer_opens_what_is_held() {
    let app = App::new(COOKIES);
    let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let wrapped = || {
        let shards = app.world.shards.databases.borrow();
        let count = |object: &std::rc::Rc<warifu::store::session_object::SessionObject<_>>| -> u32 {
            let sql: &crate::support::sqlite::Sqlite = object.shard().sql();
            let rows = sql.run("SELECT count(*) FROM secrets WHERE wrapped IS NOT NULL", &[]).expect("rows");
            rows[0].integer(0).expect("a number")
        };
        shards.values().map(count).sum::<u32>()
    };
    let rotate = |cookie: &str, command: &str| {
        let visit = app.ask("POST /both", &[("cookie", cookie)], &[("Warifu-Command", command)]);
        visit.seen.cookie().expect("a new secret").to_owned()
    };
    let second = rotate(&session, "do=rotate");
    assert_eq!(wrapped(), 2, "in its grace it is served");
    app.ask("GET /a", &[("cookie", &second)], &[]);
    app.world.pass(std::time::Duration::from_secs(16));
    app.world.ring();
    assert_eq!(wrapped(), 1);
    let third = rotate(&second, "do=end-others");
    assert_eq!(wrapped(), 1, "without a grace");
    app.ask("POST /logout", &[("cookie", &third)], &[("Set-Cookie", "token=")]);
    assert_eq!(wrapped(), 0);
}
