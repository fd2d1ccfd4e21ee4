//! The canonical path: one reading, however often and however carelessly an
//! origin decodes it, and one demand, however a client writes it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode;
use warifu::config::{Access, Config};
use warifu::path::CanonicalPath;
use warifu::policy::demand;
use warifu_fuzz::{assembled, config, reached};

const PIECES: [&str; 41] = [
    "/", "/a", "/admin", "/pay", "/_warifu", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%25", "2", "5",
    "e", "f", "%61", "%C3%A4", "%ff", "%c0", "%af", "%ae", "%80", "%81", "%e0", "%f0", "%f8", "%fc", "%", "~", "|",
    "%20", "%7f", "b", "=", "%253", "c1", "A",
];

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    config(
        r#"{"routes": [
            {"path": "/admin/*", "access": "strict", "level": 2},
            {"path": "/a;b", "access": "public"},
            {"path": "/a/*", "access": "optional"},
            {"path": "/pay", "access": "required", "methods": ["POST"], "max_auth_age": "5m"},
            {"path": "/*", "access": "public"}
        ]}"#,
    )
});

fuzz_target!(|data: &str| {
    let raw = &*assembled(data, &PIECES);
    let Ok(path) = CanonicalPath::parse(raw) else { return };
    reached!("a path");
    let again = CanonicalPath::parse(path.as_str()).expect("what is canonical is a path");
    assert_eq!(again.as_str(), path.as_str(), "the canonical form is a fixed point");
    assert_eq!(again.decoded(), path.decoded());
    assert_eq!(decode(raw.as_bytes()), path.decoded(), "the meaning is kept");
    assert!(path.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"\\?#".contains(&b)), "{:?}", path.as_str());

    let separators = |bytes: &[u8]| bytes.iter().filter(|b| matches!(b, b'/' | b'\\')).count();
    let expected = separators(path.as_str().as_bytes());
    let mut layer = path.as_str().as_bytes().to_vec();
    for depth in 0..5 {
        assert!(!layer.iter().any(u8::is_ascii_control));
        assert_eq!(separators(&layer), expected, "decoding makes a separator");
        assert_harmless(&layer);
        let next = decode(&layer);
        if next == layer {
            break;
        }
        if depth > 0 {
            reached!("a path that decodes more than once");
        }
        layer = next;
    }
    one_demand(&path);
});

fn decode(text: &[u8]) -> Vec<u8> {
    percent_decode(text).collect()
}

/// No segment that an origin could drop or climb up by, nor bytes that a naive
/// decoder of UTF-8 could make one of.
fn assert_harmless(layer: &[u8]) {
    let segments: Vec<&[u8]> = layer.split(|b| *b == b'/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let bare = segment.split(|b| *b == b';').next().unwrap_or_default();
        assert!(bare != b"." && bare != b"..", "a dot segment");
        assert!(!bare.is_empty() || index + 1 == segments.len(), "an empty segment");
    }
    for at in 0..layer.len() {
        if let Some(c) = overlong(&layer[at..]) {
            reached!("overlong, and harmless");
            assert!(!b"./\\".contains(&c) && !c.is_ascii_control(), "an overlong {c:#04x}");
        }
    }
}

/// The ASCII character that stands here in more bytes than it needs, as a
/// decoder reads it that does not count: RFC 2279 has up to six.
fn overlong(bytes: &[u8]) -> Option<u8> {
    let (length, first) = match bytes[0] {
        b @ 0xC0..=0xDF => (2, b & 0x1F),
        b @ 0xE0..=0xEF => (3, b & 0x0F),
        b @ 0xF0..=0xF7 => (4, b & 0x07),
        b @ 0xF8..=0xFB => (5, b & 0x03),
        b @ 0xFC..=0xFD => (6, b & 0x01),
        _ => return None,
    };
    let more = bytes.get(1..length)?;
    let value = more
        .iter()
        .try_fold(u32::from(first), |value, b| (b & 0xC0 == 0x80).then_some(value << 6 | u32::from(b & 0x3F)))?;
    u8::try_from(value).ok().filter(u8::is_ascii)
}

/// The same demand for every way to write the path, and never less than the
/// strictest that an origin could route it by.
fn one_demand(path: &CanonicalPath) {
    let salt = path.decoded().iter().fold(7_u32, |salt, b| salt.wrapping_mul(31).wrapping_add(u32::from(*b)));
    let other = rewritten(path.as_str(), salt);
    // An escape is longer than what it stands for, and paths have a bound.
    let other =
        (other.len() <= 16_384).then(|| CanonicalPath::parse(&other).expect("the same path, written otherwise"));
    let readings = readings(path.decoded());
    for method in ["GET", "POST"] {
        let found = demand(&CONFIG, path, method);
        let least = readings.iter().map(|reading| access(reading, method)).max().expect("four readings");
        assert_eq!(found.access, least, "{:?}", path.as_str());
        if found.access == Access::Strict {
            reached!("a strict path");
        }
        if let Some(other) = &other {
            assert_eq!(demand(&CONFIG, other, method), found);
        }
    }
    if let Some(other) = other {
        assert_eq!(other.as_str(), path.as_str());
        assert_eq!(other.is_ours(), path.is_ours());
    }
    if path.is_ours() {
        reached!("a path of our own");
    }
    let head = |bytes: &[u8]| {
        let lower = bytes.to_ascii_lowercase();
        lower == b"/_warifu" || lower.starts_with(b"/_warifu/")
    };
    assert_eq!(path.is_ours(), readings.iter().any(|reading| head(reading)), "{:?}", path.as_str());
}

/// The ways in which an origin could route by a path: decoded once or to the
/// end, each also without query, fragment and parameters.
fn readings(decoded: &[u8]) -> [Vec<u8>; 4] {
    let mut full = decoded.to_vec();
    while decode(&full) != full {
        full = decode(&full);
    }
    let bare = |layer: &[u8]| {
        let path = layer.split(|b| b"?#".contains(b)).next().unwrap_or_default();
        let segments = path.split(|b| *b == b'/').map(|s| s.split(|b| *b == b';').next().unwrap_or_default());
        segments.collect::<Vec<_>>().join(&b'/')
    };
    [decoded.to_vec(), bare(decoded), bare(&full), full]
}

/// Hex in either case, and letters and digits encoded here and there.
fn rewritten(text: &str, mut salt: u32) -> String {
    let mut escape = 0;
    let mut other = String::new();
    for c in text.chars() {
        salt = salt.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let toss = salt >> 30;
        if escape > 0 {
            escape -= 1;
            other.push(if toss == 0 { c.to_ascii_lowercase() } else { c });
        } else if c == '%' {
            escape = 2;
            other.push(c);
        } else if toss == 0 && (c.is_ascii_alphanumeric() || "-._~".contains(c)) {
            other.push_str(&if salt & 1 << 29 == 0 {
                format!("%{:02x}", c as u8)
            } else {
                format!("%{:02X}", c as u8)
            });
        } else {
            other.push(c);
        }
    }
    other
}

/// The routes above, written down once more; a rule for a path is also for the one with a `/`.
fn access(decoded: &[u8], method: &str) -> Access {
    let below = |parent: &[u8]| decoded.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
    if below(b"/admin") {
        Access::Strict
    } else if decoded == b"/a;b" {
        Access::Public
    } else if below(b"/a") {
        Access::Optional
    } else if matches!(decoded, b"/pay" | b"/pay/") && method == "POST" {
        Access::Required
    } else {
        Access::Public
    }
}
