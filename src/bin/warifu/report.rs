//! Mistakes with their places: as rustc shows them for people, and as JSON.

use core::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::worker::SECRETS;

/// A file that was read.
pub struct Source {
    /// As it was named by the user.
    pub path: String,
    pub text: Zeroizing<String>,
    /// Whether it may be quoted.
    pub quotable: bool,
}

impl Source {
    pub fn read(path: &Path, quotable: bool) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: shown, text: Zeroizing::new(text), quotable }),
            Err(error) => Err(Failure::Unusable(format!("{shown} cannot be read: {error}"))),
        }
    }
}

/// One mistake and where it stands.
pub struct Finding<'s> {
    pub source: &'s Source,
    /// In bytes.
    pub span: Range<usize>,
    pub key: String,
    pub says: String,
}

impl Finding<'_> {
    /// From 1, in characters.
    fn line_and_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Whether the line can be shown: there is one, and no secret of any form is in it.
    fn is_quotable(&self) -> bool {
        let text = &self.source.text;
        let line = text.lines().nth(self.line_and_column().0 - 1).unwrap_or_default();
        self.source.quotable && !text.is_empty() && !SECRETS.iter().any(|name| line.contains(name))
    }

    fn title(&self) -> String {
        if self.key.is_empty() { self.says.clone() } else { format!("{}: {}", self.key, self.says) }
    }
}

/// With an excerpt of the file and the key underlined.
pub fn for_people(findings: &[Finding<'_>]) -> String {
    let renderer = Renderer::styled();
    findings.iter().map(|finding| renderer.render(&[group(finding)]) + "\n\n").collect()
}

fn group<'f>(finding: &'f Finding<'_>) -> annotate_snippets::Group<'f> {
    let title = Level::ERROR.primary_title(finding.title());
    let path = finding.source.path.as_str();
    if finding.is_quotable() {
        let span = within_a_line(&finding.source.text, &finding.span);
        let shown = Snippet::source(without_secrets(&finding.source.text)).path(path);
        title.element(shown.annotation(AnnotationKind::Primary.span(span)))
    } else {
        let (line, column) = finding.line_and_column();
        title.element(Origin::path(path).line(line).char_column(column))
    }
}

/// One line of JSON: a list, empty if there is nothing to report.
pub fn for_programs(findings: &[Finding<'_>]) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Shown<'f> {
        file: &'f str,
        line: usize,
        column: usize,
        key: &'f str,
        says: &'f str,
    }
    let shown = findings.iter().map(|finding| {
        let (line, column) = finding.line_and_column();
        Shown { file: &finding.source.path, line, column, key: &finding.key, says: &finding.says }
    });
    let list = serde_json::to_string(&shown.collect::<Vec<_>>());
    list.map(|list| list + "\n").map_err(|error| Failure::Unusable(format!("the list cannot be written: {error}")))
}

/// A table's place may be all of it; its first line is enough.
fn within_a_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let line = text.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    span.start..span.start + line.len()
}

/// The text with stars, of the same length, where it could hold a secret: for
/// what looks like a key, and for what stands before the `@` of a URL.
fn without_secrets(text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    let is_of_a_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    for run in shown.chunk_by_mut(|a, b| is_of_a_key(a) == is_of_a_key(b)) {
        if run.len() >= KEY_CHARS_MIN && run.iter().any(u8::is_ascii_alphanumeric) && run.iter().all(is_of_a_key) {
            run.fill(b'*');
        }
    }
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        let end = text[start..].find(['"', '\'', '\n']).map_or(text.len(), |length| start + length);
        if let Some(user) = text[start..end].rfind('@') {
            shown[start..start + user].fill(b'*');
        }
    }
    String::from_utf8_lossy(&shown).into_owned()
}

/// A key has 43 characters; one that was cut short is hidden too.
const KEY_CHARS_MIN: usize = 32;
