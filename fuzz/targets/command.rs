//! `Warifu-Command`: obeyed exactly where the table of docs/reference.md says
//! so, and with no other values than the header's.
#![no_main]

use core::time::Duration;

use base64ct::{Base64, Encoding};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Map, Value};
use sfv::{BareItem, Dictionary, ListEntry, Parser};
use warifu::command::{Command, CommandRefusal, Start, parse};
use warifu::session::{Claims, Subject};
use warifu_fuzz::{assembled, reached};

const PIECES: [&str; 32] = [
    "do=start",
    "do=rotate",
    "do=update",
    "do=end",
    "do=end-others",
    "do=end-all",
    ", ",
    ",",
    "sub=",
    "\"42\"",
    "level=1",
    "level=",
    "255",
    "256",
    "ttl=3600",
    "ttl=",
    "315360000",
    "claims=",
    ":e30=:",
    ":W10=:",
    "end-others",
    "=?0",
    "?1",
    "nonce",
    "%\"%c3%a4\"",
    "\"",
    "%\"",
    "\\",
    "-",
    "1.0",
    ";x",
    "(1)",
];

fuzz_target!(|data: &str| -> Corpus {
    let header = &*assembled(data, &PIECES);
    let expected = read(header);
    match parse(header) {
        Ok(command) => {
            match &command {
                Command::Start(_) => reached!("start"),
                Command::Rotate { .. } => reached!("rotate"),
                Command::Update { .. } => reached!("update"),
                Command::End => reached!("end"),
                Command::EndOthers => reached!("end-others"),
                Command::EndAll => reached!("end-all"),
            }
            assert_eq!(Some(&command), expected.as_ref(), "{header:?} is obeyed otherwise than it says");
            let text = write(&command);
            assert_eq!(parse(&text), Ok(command), "{text:?}");
        }
        Err(refusal) => {
            assert_eq!(expected, None, "{header:?} is refused: {refusal:?}");
            assert!(refusal.explain().starts_with("Warifu-Command: "));
            if matches!(refusal, CommandRefusal::NotBuilt(_)) {
                reached!("not built");
                assert!(keys(header).contains(&"nonce"));
            }
        }
    }
    // Thousands of ways to be no Dictionary would crowd the others out.
    if Parser::new(header).parse::<Dictionary>().is_ok() { Corpus::Keep } else { Corpus::Reject }
});

/// Reads a command from the finished Dictionary, and what that does not show,
/// repeated keys, from the text.
fn read(header: &str) -> Option<Command> {
    let members = Parser::new(header).parse::<Dictionary>().ok()?;
    if keys(header).len() != members.len() {
        reached!("a repeated member");
        return None;
    }
    let mut items = Vec::new();
    for (key, member) in &members {
        match member {
            ListEntry::Item(item) if item.params.is_empty() => items.push((key.as_str(), &item.bare_item)),
            _ => return None,
        }
    }
    let get = |wanted: &str| items.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
    let only = |allowed: &[&str]| items.iter().all(|(key, _)| *key == "do" || allowed.contains(key));
    let BareItem::Token(action) = get("do")? else { return None };
    let level = match get("level") {
        None => None,
        Some(BareItem::Integer(level)) => Some(u8::try_from(i64::from(*level)).ok()?),
        Some(_) => return None,
    };
    let claims = match get("claims") {
        None => None,
        Some(BareItem::ByteSequence(bytes)) => Some(object(bytes)?),
        Some(_) => return None,
    };
    match action.as_str() {
        "start" if only(&["sub", "level", "ttl", "claims", "end-others"]) => {
            let subject = match get("sub")? {
                BareItem::String(text) => subject(text.as_str())?,
                BareItem::DisplayString(text) => subject(text)?,
                _ => return None,
            };
            let ttl = match get("ttl") {
                None => None,
                Some(BareItem::Integer(ttl)) => match i64::from(*ttl) {
                    seconds @ 1..=315_360_000 => Some(Duration::from_secs(seconds.unsigned_abs())),
                    _ => return None,
                },
                Some(_) => return None,
            };
            let end_others = match get("end-others") {
                None => false,
                Some(BareItem::Boolean(flag)) => *flag,
                Some(_) => return None,
            };
            Some(Command::Start(Start { subject, level, ttl, claims, end_others }))
        }
        "rotate" if only(&["level"]) => Some(Command::Rotate { level }),
        "update" if only(&["claims"]) => Some(Command::Update { claims: claims? }),
        "end" if only(&[]) => Some(Command::End),
        "end-others" if only(&[]) => Some(Command::EndOthers),
        "end-all" if only(&[]) => Some(Command::EndAll),
        _ => None,
    }
}

fn subject(text: &str) -> Option<Subject> {
    let white_at_an_end = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    let fits = !text.is_empty() && text.len() <= 255 && !white_at_an_end && !text.contains(char::is_control);
    let subject = Subject::parse(text);
    assert_eq!(subject.is_some(), fits, "{text:?}");
    subject
}

fn object(bytes: &[u8]) -> Option<Claims> {
    let text = core::str::from_utf8(bytes).ok()?;
    let fits = text.len() <= 2_048 && serde_json::from_str::<Map<String, Value>>(text).is_ok();
    let claims = Claims::parse(text);
    assert_eq!(claims.is_some(), fits, "{text:?}");
    assert!(claims.as_ref().is_none_or(|claims| claims.as_str() == text && claims.to_value().is_object()));
    claims
}

/// The keys of a well-formed Dictionary, each as often as it stands there.
fn keys(header: &str) -> Vec<&str> {
    let mut keys = Vec::new();
    let mut rest = header.trim_start_matches(' ');
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c)));
        keys.push(&rest[..end.unwrap_or(rest.len())]);
        rest = after_comma(rest);
    }
    keys
}

fn after_comma(member: &str) -> &str {
    let bytes = member.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b',' => return member[at + 1..].trim_start_matches([' ', '\t']),
            b'"' => {
                // In a Display String, a backslash is a backslash.
                let has_escapes = at == 0 || bytes[at - 1] != b'%';
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' && has_escapes { 2 } else { 1 };
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    ""
}

fn write(command: &Command) -> String {
    let claims = |claims: &Claims| format!(", claims=:{}:", Base64::encode_string(claims.as_str().as_bytes()));
    match command {
        Command::Start(start) => {
            let mut text = "do=start, sub=%\"".to_owned();
            for byte in start.subject.as_str().bytes() {
                text.push_str(&format!("%{byte:02x}"));
            }
            text.push('"');
            text.extend(start.level.map(|level| format!(", level={level}")));
            text.extend(start.ttl.map(|ttl| format!(", ttl={}", ttl.as_secs())));
            text.extend(start.claims.as_ref().map(claims));
            text.push_str(if start.end_others { ", end-others" } else { ", end-others=?0" });
            text
        }
        Command::Rotate { level } => level.map_or("do=rotate".to_owned(), |level| format!("do=rotate, level={level}")),
        Command::Update { claims: new } => format!("do=update{}", claims(new)),
        Command::End => "do=end".to_owned(),
        Command::EndOthers => "do=end-others".to_owned(),
        Command::EndAll => "do=end-all".to_owned(),
    }
}
