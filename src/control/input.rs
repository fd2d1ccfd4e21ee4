//! What callers send: queries, JSON bodies, cursors. Bounded, and strict: an
//! unknown member or parameter is an error that names it, since to ignore one
//! could end or show something else than was meant.

use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding};
use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde_json::Number;
use sha2::{Digest, Sha256};

use crate::error::Failure;
use crate::ports::Body;
use crate::request::Request;
use crate::session::{SUBJECT_FORM, SessionId, Subject};
use crate::store::message::Mark;
use crate::time::UnixMillis;

/// The parameters of a query, each known and at most once.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// # Errors
    /// A parameter is unknown or repeated.
    pub fn read(request: &Request, known: &[&str]) -> Result<Self, Failure> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in request.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if !known.contains(&name.as_str()) {
                let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Failure::BadInput(format!("unknown parameter {name:?}; allowed: {allowed}")));
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Failure::BadInput(format!("the parameter {name} is there twice")));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The parameter `subject`.
    pub fn subject(&self) -> Result<Option<Subject>, Failure> {
        let read =
            |text| Subject::parse(text).ok_or_else(|| Failure::BadInput(format!("subject must be {SUBJECT_FORM}")));
        self.get("subject").map(read).transpose()
    }
}

/// A name or value as forms write it (WHATWG URL, section 5.1), but only if it
/// is UTF-8: what it is replaced by otherwise could be somebody's name.
fn decoded(text: &str) -> Result<String, Failure> {
    let text = text.replace('+', " ");
    let refusal = |_| Failure::BadInput("the query is percent-encoded, but not UTF-8".to_owned());
    percent_decode_str(&text).decode_utf8().map(Cow::into_owned).map_err(refusal)
}

/// A member that may be absent, but not null: that could mean to remove what is
/// there.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// As [`given`], for whole numbers: `60.0` is one too (JSON Schema, section
/// 6.1.1), and some languages write no other.
pub fn whole<'de, T: TryFrom<u64>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let number = Number::deserialize(from)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
    let from_float =
        |float: f64| (float.fract() == 0.0 && (0.0..=WHOLE_FLOAT_MAX).contains(&float)).then_some(float as u64);
    let read =
        number.as_u64().or_else(|| number.as_f64().and_then(from_float)).and_then(|whole| T::try_from(whole).ok());
    read.map(Some).ok_or_else(|| Error::custom(format!("{number} is no whole number in range")))
}

/// A JSON body of at most 16 KiB.
///
/// # Errors
/// It is too large, does not end, or is not what the call takes.
pub async fn json<T: DeserializeOwned>(body: impl Body) -> Result<T, Failure> {
    parse(&bytes(body).await?)
}

/// The same where there need be none.
///
/// # Errors
/// As of [`json`].
pub async fn json_if_any<T: DeserializeOwned>(body: impl Body) -> Result<Option<T>, Failure> {
    let bytes = bytes(body).await?;
    if bytes.is_empty() { Ok(None) } else { parse(&bytes).map(Some) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let refusal =
        |why: &dyn core::fmt::Display| Failure::BadInput(format!("the body is not what is taken here: {why}"));
    // As text, as everywhere: a second parser over bytes would weigh 10 kB in wasm.
    let text = core::str::from_utf8(bytes).map_err(|error| refusal(&error))?;
    serde_json::from_str(text).map_err(|error| refusal(&error))
}

/// A body of at most 16 KiB.
pub async fn bytes(body: impl Body) -> Result<Vec<u8>, Failure> {
    Ok(body.read(BODY_BYTES_MAX).await?)
}

/// A place in a list of a subject's sessions, as text: opaque to the caller,
/// and good for the same subject only.
pub fn write_cursor(subject: &Subject, generation: u8, mark: Mark) -> String {
    let mut bytes = [0; CURSOR_BYTES];
    bytes[0] = generation;
    bytes[1..9].copy_from_slice(&mark.created.0.to_be_bytes());
    bytes[9..25].copy_from_slice(mark.id.as_bytes());
    bytes[25..].copy_from_slice(&binding(subject));
    Base64UrlUnpadded::encode_string(&bytes)
}

/// Reads what [`write_cursor`] wrote for this subject.
///
/// # Errors
/// It is another query's cursor, or none at all.
pub fn read_cursor(subject: &Subject, text: &str) -> Result<(u8, Mark), Failure> {
    let refusal = || Failure::BadInput("cursor must be the `next` of the same query".to_owned());
    let mut bytes = [0; CURSOR_BYTES];
    match Base64UrlUnpadded::decode(text, &mut bytes).map(<[u8]>::len) {
        Ok(CURSOR_BYTES) if bytes[25..] == binding(subject) => {}
        _ => return Err(refusal()),
    }
    let created = u64::from_be_bytes(bytes[1..9].try_into().expect("eight bytes"));
    let id = SessionId::from_bytes(bytes[9..25].try_into().expect("sixteen bytes"));
    Ok((bytes[0], Mark { created: UnixMillis(created), id }))
}

/// Ties a cursor to its query.
fn binding(subject: &Subject) -> [u8; 8] {
    let hash: [u8; 32] = Sha256::digest(subject.as_str().as_bytes()).into();
    hash[..8].try_into().expect("eight bytes")
}

/// 2^53: up to here each whole number is one float.
const WHOLE_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;
const CURSOR_BYTES: usize = 33;
const BODY_BYTES_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let read = |query: &str| {
            let url = format!("https://app.test/?{query}");
            let request = Request::new("GET", &url, crate::headers::HeaderBlock::default()).expect("a request");
            Query::read(&request, &["subject", "cursor"])
        };
        let subject = |query| read(query).and_then(|query| query.subject());
        for (query, expected) in [("subject=a%2Bb", "a+b"), ("&subject=%E5%89%B2+b&", "割 b"), ("subject=100%", "100%")]
        {
            assert_eq!(subject(query).map(|found| found.map(|s| s.as_str().to_owned())), Ok(Some(expected.to_owned())));
        }
        assert_eq!(subject("cursor=x"), Ok(None));
        for bad in [
            "subject=%ff",
            "%ff=x",
            "subject",
            "subject=",
            "subject=a&subject=a",
            "subject=+a",
            "who=a",
            "=",
            "subject=%00",
        ] {
            assert!(subject(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default, deserialize_with = "whole")]
            level: Option<u8>,
        }
        let read = |text: &str| serde_json::from_str::<Body>(text).ok().map(|body| body.level);
        for (text, expected) in [("{}", None), (r#"{"level":0}"#, Some(0)), (r#"{"level":255.0}"#, Some(255))] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for bad in ["-1", "256", "256.0", "1.5", "-0.5", "1e300", "18446744073709551616", "null", "\"1\""] {
            assert_eq!(read(&format!(r#"{{"level":{bad}}}"#)), None, "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_query_only() {
        let alice = Subject::parse("alice").expect("a subject");
        let bob = Subject::parse("bob").expect("a subject");
        let mark = Mark { created: UnixMillis(1_750_000_000_000), id: SessionId::from_bytes([7; 16]) };
        let cursor = write_cursor(&alice, 3, mark);
        assert_eq!(read_cursor(&alice, &cursor), Ok((3, mark)));
        assert!(read_cursor(&bob, &cursor).is_err());
        for bad in ["", "AAAA", &cursor[1..], &format!("{cursor}A"), "%%%"] {
            assert!(read_cursor(&alice, bad).is_err(), "{bad}");
        }
    }
}
