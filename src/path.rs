//! The canonical path: what the policy matches is what the origin gets.
//!
//! Gates were broken again and again because they and the origin read one path
//! in two ways (`..%2f`, `%2561dmin`, `//`, `;`). So whatever origins are
//! known to read differently is refused, the rest is brought into one form
//! (RFC 3986, section 6.2.2), and that form is both matched and forwarded.

/// A path in canonical form: unreserved characters bare, everything else that
/// is no path character percent-encoded with upper-case hex.
#[derive(Debug)]
pub struct CanonicalPath {
    text: String,
    decoded: Vec<u8>,
    other_readings: Vec<Vec<u8>>,
}

/// Why a path is refused; shown to the client as the problem's detail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathRefusal {
    TooLong,
    NotAbsolute,
    RawCharacter,
    BadEncoding,
    EncodedSeparator,
    EncodedControl,
    EmptySegment,
    DotSegment,
    DoubleEncoding,
    Overlong,
}

impl PathRefusal {
    pub fn explain(self) -> &'static str {
        match self {
            Self::TooLong => "the path is too long",
            Self::NotAbsolute => "the path does not begin with /",
            Self::RawCharacter => "the path has a control character, space, backslash or non-ASCII character",
            Self::BadEncoding => "the path has a % that two hexadecimal digits do not follow",
            Self::EncodedSeparator => "the path has an encoded / or \\",
            Self::EncodedControl => "the path has an encoded control character",
            Self::EmptySegment => "the path has an empty segment (//)",
            Self::DotSegment => "the path has a . or .. segment",
            Self::DoubleEncoding => "the path is percent-encoded twice",
            Self::Overlong => "the path has an overlong UTF-8 sequence",
        }
    }
}

impl CanonicalPath {
    /// Reads the path of a request URL, without query.
    ///
    /// # Errors
    /// What is wrong with it, if origins could read it in more than one way.
    pub fn parse(raw: &str) -> Result<Self, PathRefusal> {
        if raw.len() > PATH_BYTES_MAX {
            return Err(PathRefusal::TooLong);
        }
        if !raw.starts_with('/') {
            return Err(PathRefusal::NotAbsolute);
        }
        let mut text = String::with_capacity(raw.len());
        let mut decoded = Vec::with_capacity(raw.len());
        let mut rest = raw.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'%' {
                let value = escape(after).ok_or(PathRefusal::BadEncoding)?;
                rest = &after[2..];
                match value {
                    b'/' | b'\\' => return Err(PathRefusal::EncodedSeparator),
                    control if control.is_ascii_control() => return Err(PathRefusal::EncodedControl),
                    plain if is_unreserved(plain) => text.push(char::from(plain)),
                    other => push_escape(&mut text, other),
                }
                decoded.push(value);
                continue;
            }
            match byte {
                b'\\' | b' ' | b'?' | b'#' => return Err(PathRefusal::RawCharacter),
                b'/' if decoded.last() == Some(&b'/') => return Err(PathRefusal::EmptySegment),
                other if !other.is_ascii_graphic() => return Err(PathRefusal::RawCharacter),
                plain if is_path_character(plain) => text.push(char::from(plain)),
                other => push_escape(&mut text, other),
            }
            decoded.push(byte);
        }
        refuse_odd_reading(&decoded)?;
        let mut other_readings = Vec::new();
        // Most paths have none of these, and only one reading.
        if decoded.iter().any(|byte| matches!(byte, b';' | b'?' | b'#' | b'%')) {
            let full = fully_decoded(&decoded)?;
            refuse_odd_reading(&full)?;
            other_readings.extend([bare(&decoded), bare(&full), full]);
            other_readings.retain(|reading| *reading != decoded);
            other_readings.dedup();
        }
        Ok(Self { text, decoded, other_readings })
    }

    /// The form that is forwarded.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form that is matched: percent-decoded once, which is unambiguous
    /// here since no encoded separator is left.
    pub fn decoded(&self) -> &[u8] {
        &self.decoded
    }

    /// Whether the path is warifu's own and never the application's, whichever
    /// way the application would read its parameters or its case.
    pub fn is_ours(&self) -> bool {
        let is_below = |decoded: &[u8]| {
            decoded.split_at_checked(OUR_PREFIX.len()).is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(OUR_PREFIX) && (rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        is_below(&self.decoded) || self.other_readings.iter().any(|reading| is_below(reading))
    }

    /// The other ways in which an origin may read the path to route by it:
    /// without path parameters (`/a;x=1/b` → `/a/b`); decoded again, behind a
    /// proxy that passes on what it has decoded; and then up to a `?` or `#`
    /// that this has laid bare.
    pub fn other_readings(&self) -> &[Vec<u8>] {
        &self.other_readings
    }
}

/// Without query, fragment and path parameters.
fn bare(decoded: &[u8]) -> Vec<u8> {
    let path = decoded.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').map(before_parameters).collect();
    segments.join(&b'/')
}

/// What no reading of a path may hold.
fn refuse_odd_reading(decoded: &[u8]) -> Result<(), PathRefusal> {
    if !decoded.is_ascii() {
        refuse_overlong(decoded)?;
    }
    refuse_odd_segments(decoded)
}

/// A dot, a separator or a control character in more bytes than UTF-8 allows
/// (RFC 3629, section 3: "a naive implementation may decode the overlong UTF-8
/// sequence C0 80 into the character U+0000"). RFC 2279 had up to six bytes, and
/// its decoders live on. Other bytes that are no UTF-8 pass: they are letters in
/// older encodings.
fn refuse_overlong(decoded: &[u8]) -> Result<(), PathRefusal> {
    let is_dangerous = |high: u8, low: u8| {
        let value = high << 6 | low & 0x3F;
        matches!(low, 0x80..=0xBF) && (matches!(value, b'.' | b'/' | b'\\') || value.is_ascii_control())
    };
    let is_overlong = |window: &[u8]| match window {
        [high @ 0xC0..=0xC1, low, ..]
        | [0xE0, high @ 0x80..=0x81, low, ..]
        | [0xF0, 0x80, high @ 0x80..=0x81, low, ..]
        | [0xF8, 0x80, 0x80, high @ 0x80..=0x81, low, ..]
        | [0xFC, 0x80, 0x80, 0x80, high @ 0x80..=0x81, low, ..] => is_dangerous(high & 1, *low),
        _ => false,
    };
    if (0..decoded.len()).any(|at| is_overlong(&decoded[at..])) {
        return Err(PathRefusal::Overlong);
    }
    Ok(())
}

/// Dot segments, also with parameters (servlet containers read `/..;x/` as
/// `/../`), and segments that hold nothing but parameters: without them,
/// `/;x/admin` is `//admin`, which some origins read as `/admin`.
fn refuse_odd_segments(decoded: &[u8]) -> Result<(), PathRefusal> {
    let mut segments = decoded.split(|b| *b == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match before_parameters(segment) {
            b"." | b".." => return Err(PathRefusal::DotSegment),
            // The last may be empty: `/a/`.
            b"" if segments.peek().is_some() => return Err(PathRefusal::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

/// Decodes again and again, as an origin behind another proxy would, and
/// refuses what would change the path's meaning. No honest encoder writes an
/// unreserved character encoded twice, either. One pass: an escape that
/// decoding completes is decoded at once.
fn fully_decoded(decoded: &[u8]) -> Result<Vec<u8>, PathRefusal> {
    let mut full = Vec::with_capacity(decoded.len());
    for &byte in decoded {
        full.push(byte);
        while let [.., b'%', high, low] = full[..] {
            let Some(value) = escape(&[high, low]) else { break };
            if matches!(value, b'/' | b'\\') || value.is_ascii_control() || is_unreserved(value) {
                return Err(PathRefusal::DoubleEncoding);
            }
            full.truncate(full.len() - 3);
            full.push(value);
        }
    }
    Ok(full)
}

fn before_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|b| *b == b';').next().unwrap_or_default()
}

/// The byte that the two hexadecimal digits at the start of `text` stand for.
fn escape(text: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    match text {
        [high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

fn push_escape(text: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(HEX[usize::from(byte >> 4)]));
    text.push(char::from(HEX[usize::from(byte & 15)]));
}

/// RFC 3986, section 2.3: `unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"`.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986, section 3.3: `pchar = unreserved / pct-encoded / sub-delims / ":" / "@"`.
fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

/// Where warifu's own calls are.
const OUR_PREFIX: &[u8] = b"/_warifu";

/// The platform's own limit on a URL.
const PATH_BYTES_MAX: usize = 16_384;
