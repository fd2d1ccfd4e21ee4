//! Why a command does not end with 0.

use std::process::ExitCode;

/// Texts say what was found and what is allowed, and never quote a key.
pub enum Failure {
    /// What was to be checked has mistakes, and they have been printed.
    Shown,
    /// What was given has these mistakes.
    Mistaken(Vec<String>),
    /// The gateway does not do what it was asked for; and what can be done about it.
    Refused(String, Option<String>),
    /// Wrong usage, or something cannot be read or written.
    Unusable(String),
    /// The gateway cannot be reached, or is none; and what can be done about it.
    Unreachable(String, Option<String>),
}

impl Failure {
    /// Says it on stderr; the exit code.
    pub fn tell(self) -> ExitCode {
        let (lines, hint, code) = match self {
            Self::Shown => (Vec::new(), None, 1),
            Self::Mistaken(lines) => (lines, None, 1),
            Self::Refused(line, hint) => (vec![line], hint, 1),
            Self::Unusable(line) => (vec![line], None, 2),
            Self::Unreachable(line, hint) => (vec![line], hint, 2),
        };
        for line in lines {
            crate::remark(&format!("error: {line}"));
        }
        if let Some(hint) = hint {
            crate::remark(&format!("hint: {hint}"));
        }
        ExitCode::from(code)
    }
}
