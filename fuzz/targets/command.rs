//! `Warifu-Command`: obeyed exactly where the table of docs/reference.md says
//! so, and with no other values than the header's.
#![no_main]

use core::time::Duration;

use base64ct::{Base64, Encoding};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Map, Value};
use sfv::{BareItem, Dictionary, ListEntry, Parser};
use warifu::command::{Command, CommandRefusal, Nonce, Start, parse};
use warifu::session::{Claims, Subject};
use warifu_fuzz::{assembled, reached};

/// That of the test vectors, which are the first inputs.
const NONCE: &str = "fRIlBd04cFMB0hmL1eN_mQ";

const PIECES: [&str; 35] = [
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
    ", nonce=\"fRIlBd04cFMB0hmL1eN_mQ\"",
    ", nonce=\"AAAB\"",
    "fRIlBd04cFMB0hmL1eN_mQ",
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
    let plain = parse(header, Nonce::NotSent);
    check(header, &plain, read(header, false));
    // With a nonce, the rest of the command means what it does without.
    let expected = read(header, true);
    let (sent, wanted) = (parse(header, Nonce::Sent(NONCE)), parse(header, Nonce::Wanted(NONCE)));
    match said(header) {
        Said::Nothing => {
            assert_eq!(sent, plain, "{header:?}");
            assert!(matches!(wanted, Err(CommandRefusal::Unproven(_))), "{header:?}");
        }
        Said::Another => {
            reached!("another nonce");
            assert!(matches!(sent, Err(CommandRefusal::Unproven(_))), "{header:?}");
            assert_eq!(sent, wanted);
        }
        Said::TheOne => {
            if expected.is_some() {
                reached!("the nonce is repeated");
            }
            assert!(!matches!(wanted, Err(CommandRefusal::Unproven(_))), "{header:?}");
            assert_eq!(sent, wanted);
            check(header, &wanted, expected);
        }
    }
    // Thousands of ways to be no Dictionary would crowd the others out.
    if Parser::new(header).parse::<Dictionary>().is_ok() { Corpus::Keep } else { Corpus::Reject }
});

fn check(header: &str, found: &Result<Command, CommandRefusal>, expected: Option<Command>) {
    match found {
        Ok(command) => {
            match command {
                Command::Start(_) => reached!("start"),
                Command::Rotate { .. } => reached!("rotate"),
                Command::Update { .. } => reached!("update"),
                Command::End => reached!("end"),
                Command::EndOthers => reached!("end-others"),
                Command::EndAll => reached!("end-all"),
            }
            assert_eq!(Some(command), expected.as_ref(), "{header:?} is obeyed otherwise than it says");
            let text = write(command);
            assert_eq!(parse(&text, Nonce::NotSent).as_ref(), Ok(command), "{text:?}");
        }
        Err(refusal) => {
            assert_eq!(expected, None, "{header:?} is refused: {refusal:?}");
            assert!(refusal.explain().starts_with("Warifu-Command: "));
        }
    }
}

/// What a header says of the nonce.
enum Said {
    Nothing,
    Another,
    TheOne,
}

/// Found in the text: a Dictionary does not show which of two came first.
fn said(header: &str) -> Said {
    if header.len() > BYTES_MAX || Parser::new(header).parse::<Dictionary>().is_err() {
        return Said::Nothing;
    }
    let mut said = Said::Nothing;
    for member in members(header).filter(|member| key(member) == "nonce") {
        // A list is no item, and so no nonce.
        if member.starts_with("nonce=(") {
            continue;
        }
        let item = Parser::new(member).parse::<Dictionary>().expect("one member of a Dictionary");
        match item.get("nonce") {
            Some(ListEntry::Item(item)) if matches!(&item.bare_item, BareItem::String(text) if text.as_str() == NONCE) =>
            {
                return Said::TheOne;
            }
            _ => said = Said::Another,
        }
    }
    said
}

/// Reads a command from the finished Dictionary, and what that does not show,
/// repeated keys, from the text.
fn read(header: &str, takes_nonce: bool) -> Option<Command> {
    let members = Parser::new(header).parse::<Dictionary>().ok().filter(|_| header.len() <= BYTES_MAX)?;
    if self::members(header).count() != members.len() {
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
    let only = |allowed: &[&str]| {
        items.iter().all(|(key, _)| *key == "do" || allowed.contains(key) || (takes_nonce && *key == "nonce"))
    };
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

/// The members of a well-formed Dictionary, each as often as it stands there.
fn members(header: &str) -> impl Iterator<Item = &str> {
    let mut rest = header.trim_start_matches(' ');
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let member = rest;
        rest = after_comma(rest);
        let length = member.len() - rest.len();
        Some(member[..length].trim_end_matches([' ', '\t']).trim_end_matches(',').trim_end_matches([' ', '\t']))
    })
}

fn key(member: &str) -> &str {
    let end = member.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c)));
    &member[..end.unwrap_or(member.len())]
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

/// No longer header is read.
const BYTES_MAX: usize = 8_192;
