//! A request's URL, as the platform serializes it, and the headers on their
//! way in and out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;
use warifu::headers::{HeaderBlock, HeaderEdits, folded};
use warifu::request::Request;
use warifu_fuzz::reached;

fuzz_target!(|text: &str| {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    of_a_url(first);
    let _ = Request::new("GET", first, HeaderBlock::default());
    edits(rest);
    let block = HeaderBlock::new(rest.to_owned());
    for (name, value) in block.iter() {
        assert!(!name.contains('\n') && !value.contains('\n'));
        assert!(block.get(name).is_some());
        assert!(folded(name).bytes().all(|b| b.is_ascii_alphanumeric() && !b.is_ascii_uppercase() || b == b'-'));
    }
});

/// The parts are those that the URL standard sees.
fn of_a_url(text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    if !matches!(url.scheme(), "http" | "https") {
        return;
    }
    reached!("a URL");
    let request = Request::new("GET", url.as_str(), HeaderBlock::default()).expect("an http URL");
    let host = url.host_str().expect("http URLs have one");
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    assert_eq!((request.scheme.as_str(), request.host), (url.scheme(), host), "{url}");
    assert_eq!((request.raw_path.as_str(), request.query.as_deref()), (url.path(), url.query()), "{url}");
    if !url.username().is_empty() {
        reached!("a URL with a user");
    }
}

/// However a value is made, there are as many lines as there are edits.
fn edits(text: &str) {
    let mut edits = HeaderEdits::default();
    for pair in text.split(';').take(8) {
        let (sign, value) = pair.split_once('=').unwrap_or(("", pair));
        match sign {
            "+" => edits.append.push(("x-added".to_owned(), value.to_owned())),
            "-" => edits.remove.push("x-gone".to_owned()),
            _ => edits.set("x-set", value),
        }
    }
    let lines = edits.to_lines();
    let count = edits.remove.len() + edits.set.len() + edits.append.len();
    assert_eq!(lines.lines().count(), count, "{lines:?}");
    for line in lines.split_terminator('\n') {
        let name = line[1..].split(": ").next().unwrap_or_default();
        assert!(matches!((&line[..1], name), ("-", "x-gone") | ("=", "x-set") | ("+", "x-added")), "{line:?}");
        assert!(!line.contains('\r'));
    }
    if count > 1 {
        reached!("several edits");
    }
}
