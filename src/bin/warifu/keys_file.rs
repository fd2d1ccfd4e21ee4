//! `.dev.vars`, read as wrangler reads it, by the rules of npm's `dotenv`. The
//! crates for such files take the quotes out of JSON that is not itself quoted.

use zeroize::Zeroizing;

/// One variable of the file.
pub struct Variable {
    /// Where it begins, in bytes.
    pub at: usize,
    value: Zeroizing<String>,
}

impl Variable {
    pub fn text(&self) -> &str {
        &self.value
    }
}

/// The variable of this name. As in `dotenv`, the last one counts.
pub fn variable(text: &str, name: &str) -> Option<Variable> {
    let mut found = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(start) = value_start(line, name) {
            found = Some((at, at + start));
        }
        at += line.len();
    }
    found.map(|(at, start)| Variable { at, value: Zeroizing::new(value(&text[start..]).to_owned()) })
}

/// Where the value begins, if the line sets the variable.
fn value_start(line: &str, name: &str) -> Option<usize> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("export ").map_or(rest, str::trim_start);
    let rest = rest.strip_prefix(name)?.trim_start().strip_prefix('=')?;
    Some(line.len() - rest.len())
}

/// In quotes, which may span lines, or up to a `#` or the end of the line.
fn value(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '\t']);
    let quoted = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`')).and_then(|quote| {
        let inner = &text[1..];
        let is_end = |at: &usize| !inner[..*at].ends_with('\\');
        inner.match_indices(quote).map(|(at, _)| at).find(is_end).map(|end| &inner[..end])
    });
    quoted.unwrap_or_else(|| text.split(['#', '\r', '\n']).next().unwrap_or_default().trim())
}
