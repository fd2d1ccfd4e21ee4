//! Header fields as they cross from the platform: all at once, as one text.

use core::fmt;
use std::borrow::Cow;

/// Header fields in a block of lines `name: value`, names in lower case.
/// Field values cannot hold a line break (RFC 9110, section 5.5), so the form
/// is unambiguous, and one string crosses from JavaScript instead of many.
#[derive(Clone, Default)]
pub struct HeaderBlock {
    text: String,
    /// Where each field is in the text: it is looked at many times.
    fields: Vec<Field>,
}

#[derive(Clone, Copy)]
struct Field {
    name: usize,
    value: usize,
    end: usize,
}

/// Names only: values hold cookies and credentials.
impl fmt::Debug for HeaderBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl HeaderBlock {
    pub fn new(text: String) -> Self {
        let mut fields = Vec::with_capacity(FIELDS_EXPECTED);
        let mut name = 0;
        for line in text.split_inclusive('\n') {
            let end = name + line.len();
            let bytes = line.as_bytes();
            // A name has no colon (RFC 9110, section 5.1).
            if let Some(colon) =
                bytes.iter().position(|byte| *byte == b':').filter(|at| bytes.get(at + 1) == Some(&b' '))
            {
                let end = if line.ends_with('\n') { end - 1 } else { end };
                fields.push(Field { name, value: name + colon + 2, end });
            }
            name = end;
        }
        Self { text, fields }
    }

    /// Builds a block from pairs; names are lowered.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            text.push_str(&name.to_ascii_lowercase());
            text.push_str(": ");
            text.push_str(value);
            text.push('\n');
        }
        Self::new(text)
    }

    /// The bytes of all lines: names and values, and four more for each field,
    /// as in HTTP/1.1.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.fields.len()
    }

    /// All fields, in the order in which the platform lists them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (self.name(field), &self.text[field.value..field.end]))
    }

    /// The value of a field by its lower-case name. The platform has joined
    /// repeated fields with `, ` (all but `set-cookie`).
    pub fn get(&self, name: &str) -> Option<&str> {
        // As bytes: to cut a text out looks at its edges each time.
        let (bytes, wanted) = (self.text.as_bytes(), name.as_bytes());
        let found = self.fields.iter().find(|field| bytes[field.name..field.value - 2] == *wanted)?;
        Some(&self.text[found.value..found.end])
    }

    fn name(&self, field: &Field) -> &str {
        &self.text[field.name..field.value - 2]
    }

    /// `type/subtype` of the content, in lower case, without parameters
    /// (RFC 9110, section 8.3.1).
    pub fn media_type(&self) -> Option<String> {
        self.get("content-type")
            .and_then(|found| found.split(';').next())
            .map(|found| found.trim().to_ascii_lowercase())
    }
}

/// Digests (RFC 9530, and what was before it), validators, and the offer of parts.
const OF_BYTES: [&str; 7] =
    ["content-digest", "repr-digest", "digest", "content-md5", "etag", "last-modified", "accept-ranges"];

/// Whether a media type is JSON: RFC 8259, what some servers write for it, and
/// RFC 6839, section 3.1.
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// The name of a field, most often one that is written in the code.
pub type Name = Cow<'static, str>;

/// Changes to a set of header fields, applied in the order remove, set, append.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct HeaderEdits {
    pub remove: Vec<String>,
    pub set: Vec<(Name, String)>,
    pub append: Vec<(String, String)>,
}

/// Names only, as for [`HeaderBlock`].
impl fmt::Debug for HeaderEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.set.iter().map(|(name, _)| &**name).collect();
        let append: Vec<&str> = self.append.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("HeaderEdits").field("remove", &self.remove).field("set", &set).field("append", &append).finish()
    }
}

impl HeaderEdits {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.append.is_empty()
    }

    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<String>) {
        self.set.push((name.into(), value.into()));
    }

    /// Takes away what is said of a body's bytes, which are others now. The length is another
    /// matter: where there is a new body, the platform writes it.
    pub fn body_is_another(&mut self) {
        self.remove.extend(OF_BYTES.iter().map(|name| (*name).to_owned()));
    }

    /// The edits as lines for the one crossing back: `-name`, `=name: value`
    /// and `+name: value`.
    pub fn to_lines(&self) -> String {
        self.lines(String::with_capacity(LINES_BYTES_EXPECTED))
    }

    /// The same, after a line that is no edit.
    pub fn to_lines_after(&self, first: &str) -> String {
        let mut lines = String::with_capacity(LINES_BYTES_EXPECTED);
        push_value(&mut lines, first);
        lines.push('\n');
        self.lines(lines)
    }

    fn lines(&self, mut lines: String) -> String {
        for name in &self.remove {
            push_line(&mut lines, '-', name, None);
        }
        for (name, value) in &self.set {
            push_line(&mut lines, '=', name, Some(value));
        }
        for (name, value) in &self.append {
            push_line(&mut lines, '+', name, Some(value));
        }
        lines
    }
}

fn push_line(lines: &mut String, sign: char, name: &str, value: Option<&str>) {
    lines.push(sign);
    lines.push_str(name);
    if let Some(value) = value {
        lines.push_str(": ");
        push_value(lines, value);
    }
    lines.push('\n');
}

/// A line break would begin a line of its own, so it must not get out.
fn push_value(lines: &mut String, value: &str) {
    if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n')));
    } else {
        lines.push_str(value);
    }
}

/// Whether a text holds a part that is not empty. `str::contains` first makes a plan
/// for the part, which takes longer than to look through what a header has.
pub fn holds(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.first().is_some_and(|first| (0..text.len()).any(|at| text[at] == *first && text[at..].starts_with(part)))
}

/// A name as origins may read it: many map `-` and `_`, or any other sign, to
/// one character, so `warifu_subject` can stand for `Warifu-Subject`.
pub fn folded(name: &str) -> String {
    folded_chars(name).collect()
}

/// Whether a name, [`folded`], is this one. Looks at none that is too long for it:
/// a character is folded to one, and has four bytes at most.
pub fn is_folded(name: &str, whole: &str) -> bool {
    name.len() <= 4 * whole.len() && folded_chars(name).eq(whole.chars())
}

fn folded_chars(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
}

/// Whether a name, [`folded`], begins like this.
pub fn folds_to_start(name: &str, start: &str) -> bool {
    name.len() >= start.len() && folded_bytes(name).zip(start.bytes()).all(|(found, wanted)| found == wanted)
}

/// Whether a name, [`folded`], is this one. Names of headers are ASCII.
pub fn folds_to(name: &str, whole: &str) -> bool {
    name.len() == whole.len() && folds_to_start(name, whole)
}

fn folded_bytes(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
}

/// A browser sends about so many.
const FIELDS_EXPECTED: usize = 24;
/// What a forwarded request takes.
const LINES_BYTES_EXPECTED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_begin_a_line_of_its_own() {
        let mut edits = HeaderEdits { remove: vec!["x-gone".to_owned()], ..HeaderEdits::default() };
        edits.set("x-one", "a\r\n=warifu-subject: admin");
        edits.append.push(("x-two".to_owned(), String::new()));
        assert_eq!(edits.to_lines(), "-x-gone\n=x-one: a=warifu-subject: admin\n+x-two: \n");
    }

    #[test]
    fn a_part_is_found_wherever_it_stands() {
        for (text, part) in [("abc", "abc"), ("xabc", "abc"), ("abcx", "ab"), ("aab", "ab"), ("\u{e9}=ab", "ab")] {
            assert!(holds(text, part), "{text} {part}");
        }
        for (text, part) in [("", "a"), ("ab", "abc"), ("a.b.c", ".."), ("xab", "abc")] {
            assert!(!holds(text, part), "{text} {part}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let block = HeaderBlock::from_pairs([("Cookie", "secret")]);
        assert_eq!(format!("{block:?}"), r#"["cookie"]"#);
    }
}
