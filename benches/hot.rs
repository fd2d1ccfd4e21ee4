//! The parts of a request, natively, so that a part that has become dear is found:
//! `make bench-native`. What a request costs in the Worker is measured by
//! `make bench`; there, crossings to JavaScript cost more than all of this.
#![cfg(not(target_arch = "wasm32"))]

use std::hint::black_box;
use std::time::Duration;

use divan::Bencher;
use warifu::cookie::{self, Presented};
use warifu::headers::HeaderBlock;
use warifu::path::CanonicalPath;
use warifu::policy;
use warifu::ports::Random;
use warifu::request::Request;
use warifu::revocation::{Entry, EntryKey, Epoch, FeedAnswer, Known, Memory};
use warifu::session::{Device, Served, Session, SessionId, Subject};
use warifu::signature::Signer;
use warifu::site::Site;
use warifu::time::UnixMillis;
use warifu::token::{KeyRing, Locator, Secret};

#[path = "../tests/support/mod.rs"]
mod support;

use support::World;

fn main() {
    divan::main();
}

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
const B: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_mins(30);
const URL: &str = "https://app.example/api/orders?page=2";
const NAME: &str = "__Host-Http-warifu";

/// What a browser sends with a request of a page's script.
fn headers(cookie: &str) -> String {
    let mut text = "accept: application/json, text/plain, */*\n\
        accept-encoding: gzip, deflate, br, zstd\n\
        accept-language: en-GB,en;q=0.9,de;q=0.8\n\
        cf-connecting-ip: 192.0.2.7\n"
        .to_owned();
    text.push_str(cookie);
    text.push_str(
        "host: app.example\n\
        sec-ch-ua: \"Chromium\";v=\"156\", \"Not)A;Brand\";v=\"24\"\n\
        sec-ch-ua-mobile: ?0\n\
        sec-ch-ua-platform: \"Linux\"\n\
        sec-fetch-dest: empty\n\
        sec-fetch-mode: cors\n\
        sec-fetch-site: same-origin\n\
        user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\n",
    );
    text
}

/// Of a request as it crosses from JavaScript.
#[divan::bench]
fn read_the_request(bencher: Bencher) {
    let text = headers("cookie: theme=dark\n");
    bencher.bench_local(|| Request::new("GET", black_box(URL), HeaderBlock::new(black_box(&text).clone())));
}

#[divan::bench(args = ["/api/orders", "/files/a%20b/%C3%A4/2026;v=1/report.pdf"])]
fn read_the_path(path: &str) -> bool {
    CanonicalPath::parse(black_box(path)).is_ok()
}

/// From the Cookie header to a token with a good MAC, and to its key.
#[divan::bench]
fn verify_the_token(bencher: Bencher) {
    let ring = ring();
    let header = format!("theme=dark; _ga=GA1.1.1; {NAME}={}", token(&ring));
    bencher.bench_local(|| matches!(cookie::presented(black_box(&header), NAME, &ring), Presented::One(_)));
}

/// What the routes demand, and the verdict from memory.
#[divan::bench]
fn decide(bencher: Bencher) {
    let (site, memory) = (support::site(), memory(1_000));
    let path = CanonicalPath::parse("/account").expect("a path");
    let key = Secret::new([7; 32]).session_key();
    bencher.bench_local(|| {
        let demand = policy::demand(&site.config, black_box(&path), "GET");
        (demand, matches!(memory.look(&key, NOW, B, IDLE), Known::Live(..)))
    });
}

#[divan::bench]
fn sign(bencher: Bencher) {
    let signer = Signer::new("7".to_owned(), &[9; 32]);
    let components = [
        ("@method", "GET"),
        ("@authority", "app.internal.example"),
        ("@path", "/api/orders"),
        ("@query", "?page=2"),
        ("warifu-session", "AQAABxAREhMUFRYXGBkaGw"),
        ("warifu-level", "1"),
        ("warifu-auth-time", "1750000000"),
        ("warifu-claims", "eyJyb2xlcyI6WyJhZG1pbiIsImJpbGxpbmciXX0"),
        ("warifu-subject", "3f9a7c52-8f0e-4d6b-9a51-000000000042"),
    ];
    bencher.bench_local(|| signer.sign(black_box(&components), NOW, &Zeros).is_some());
}

/// One answer of the feed with so many entries, to a window that holds a minute's.
#[divan::bench(args = [0, 10, 1_000])]
fn apply_the_feed(bencher: Bencher, entries: u32) {
    bencher.with_inputs(|| (memory(10_000), answer(10_000, entries))).bench_local_refs(|(memory, answer)| {
        let sent = memory.poll(NOW);
        memory.polled(&sent, core::mem::replace(answer, self::answer(0, 0)))
    });
}

/// The whole way through the gate, with an origin that answers at once.
#[divan::bench(args = ["warm", "signed", "forged", "public"])]
fn serve(bencher: Bencher, what: &str) {
    let world = World::with_login();
    let site: Site = if what == "signed" { support::signing_site() } else { support::site() };
    let cookie = world.log_in(&site);
    let cookie = if what == "forged" { format!("{}AA", &cookie[..cookie.len() - 2]) } else { cookie };
    let path = if what == "public" { "/" } else { "/account" };
    let text = headers(&format!("cookie: {cookie}\n"));
    let url = format!("https://app.example{path}");
    // The first asks the session object, and the next have the feed polled.
    for _ in 0..3 {
        world.serve(&site, &Request::new("GET", &url, HeaderBlock::new(text.clone())).expect("a URL"));
    }
    bencher.bench_local(|| {
        let request = Request::new("GET", &url, HeaderBlock::new(text.clone())).expect("a URL");
        world.serve(&site, &request)
    });
}

fn ring() -> KeyRing {
    KeyRing::read(support::KEYS, "default").expect("a ring")
}

fn token(ring: &KeyRing) -> String {
    let locator = Locator { generation: 1, region: 0, shard: 7 };
    ring.mint(locator, &Secret::new([7; 32])).expose().to_owned()
}

/// An isolate with one session in memory and a window of so many entries.
fn memory(entries: u32) -> Memory {
    let memory = Memory::default();
    memory.polled(&memory.poll(UnixMillis(NOW.0 - 2)), answer(0, entries));
    let session = Session {
        id: SessionId::from_bytes([3; 16]),
        subject: Subject::parse("3f9a7c52-8f0e-4d6b-9a51-000000000042").expect("a subject"),
        level: 1,
        auth_time: NOW,
        created: NOW,
        last_seen: NOW,
        idle_expires: NOW.plus(IDLE),
        absolute_expires: NOW.plus(IDLE),
        claims: None,
        device: Device::default(),
        generation: 0,
        held: None,
    };
    let question = memory.question(UnixMillis(NOW.0 - 1));
    memory.keep(&question, Secret::new([7; 32]).session_key(), session.into(), Served::Current);
    memory
}

/// Entries about others, after the first `from`.
fn answer(from: u32, count: u32) -> FeedAnswer {
    let id = |number: u32| {
        let mut bytes = [0; 16];
        bytes[4..8].copy_from_slice(&number.to_be_bytes());
        SessionId::from_bytes(bytes)
    };
    let entry = |number| Entry { seq: u64::from(number) + 1, key: EntryKey::Session(id(number)) };
    let entries = (from..from + count).map(entry).collect();
    FeedAnswer { epoch: Epoch([1; 8]), low: 0, high: u64::from(from + count), age_ms: 0, entries }
}

struct Zeros;

impl Random for Zeros {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        bytes.fill(0);
        true
    }
}
