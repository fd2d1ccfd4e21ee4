//! `GET /_warifu/audit`: what happened, to whom, why, and from where.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::input::Query;
use crate::audit::Cause;
use crate::error::Failure;
use crate::ports::Ports;
use crate::request::Request;
use crate::response::OwnResponse;
use crate::session::Handle;
use crate::sessions::{Sessions, Trail, TrailMark};
use crate::site::Site;
use crate::store::message::Audited;

/// A page, newest first.
#[derive(Serialize)]
struct Page {
    events: Vec<Shown>,
    next: Option<String>,
}

/// An event as the API shows it.
#[derive(Serialize)]
struct Shown {
    at: String,
    event: String,
    session: Option<String>,
    subject: Option<String>,
    actor: String,
    reason: String,
    from: Option<String>,
}

pub async fn answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    let query = Query::read(request, &["subject", "session", "cursor", "limit"])?;
    let session = match query.get("session") {
        None => None,
        Some(text) => Some(Handle::parse(text).ok_or_else(|| bad("session must be the id of a session"))?),
    };
    let trail = Trail { subject: query.subject()?, session };
    let limit = query.get("limit").map_or(Ok(PAGE_MAX), limit_of)?;
    let binding = binding(&query);
    let after = query.get("cursor").map(|text| read_cursor(text, binding)).transpose()?;
    let (events, next) = Sessions::new(site, ports).trail(&trail, after, limit, cause).await?;
    let page =
        Page { events: events.into_iter().map(shown).collect(), next: next.map(|next| write_cursor(&next, binding)) };
    Ok(OwnResponse::json(200, &page))
}

fn shown(audited: Audited) -> Shown {
    let Audited { at, event, session, subject, actor, reason, from, .. } = audited;
    Shown { at: at.to_rfc3339(), event, session: session.map(Handle::to_text), subject, actor, reason, from }
}

fn limit_of(text: &str) -> Result<u32, Failure> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| is_digits && (1..=PAGE_MAX).contains(limit));
    limit.ok_or_else(|| bad("limit must be from 1 to 100"))
}

fn bad(says: &str) -> Failure {
    Failure::BadInput(says.to_owned())
}

/// A cursor is good for its own query only.
fn binding(query: &Query) -> [u8; BINDING_BYTES] {
    let [subject, session] = ["subject", "session"].map(|name| query.get(name).unwrap_or_default());
    // A session's id has no space.
    let hash: [u8; 32] = Sha256::digest([session, " ", subject].concat().as_bytes()).into();
    *hash.first_chunk().expect("32 bytes are more than that")
}

/// The binding, the number of shards before the group, and its marks: each in
/// as few bytes as it takes (LEB128).
fn write_cursor(mark: &TrailMark, binding: [u8; BINDING_BYTES]) -> String {
    let mut bytes = binding.to_vec();
    bytes.extend(mark.passed.to_be_bytes());
    for mark in &mark.marks {
        let mut left = *mark;
        while left >= 0x80 {
            bytes.push(left.to_le_bytes()[0] | 0x80);
            left >>= 7;
        }
        bytes.push(left.to_le_bytes()[0]);
    }
    Base64UrlUnpadded::encode_string(&bytes)
}

fn read_cursor(text: &str, binding: [u8; BINDING_BYTES]) -> Result<TrailMark, Failure> {
    let read = || {
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        let rest = bytes.strip_prefix(&binding)?;
        let (passed, rest) = rest.split_first_chunk()?;
        let (mut marks, mut mark, mut shift) = (Vec::new(), 0_u64, 0_u32);
        for byte in rest {
            mark |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                marks.push(mark);
                (mark, shift) = (0, 0);
            }
        }
        (shift == 0).then_some(TrailMark { passed: u32::from_be_bytes(*passed), marks })
    };
    read().ok_or_else(|| bad("cursor must be the `next` of the same query"))
}

const BINDING_BYTES: usize = 8;

/// Events of a page.
const PAGE_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_for_its_own_query_only() {
        let marks = vec![0, 1, 127, 128, 16_384, (1 << 53) - 1];
        let mark = TrailMark { passed: 65_504, marks };
        let text = write_cursor(&mark, [1; 8]);
        assert_eq!(read_cursor(&text, [1; 8]), Ok(mark));
        assert!(read_cursor(&text, [2; 8]).is_err());
        let endless = Base64UrlUnpadded::encode_string(&[[1; 8].as_slice(), &[0; 4], &[0xff; 40], &[0]].concat());
        for bad in ["", "A", "%%", &text[..text.len() - 1], &endless] {
            assert!(read_cursor(bad, [1; 8]).is_err(), "{bad}");
        }
    }
}
