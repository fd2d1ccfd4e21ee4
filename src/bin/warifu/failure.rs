//! Why a command does not end with 0.

use std::process::ExitCode;

/// Texts say what was found and what is allowed, and never quote a key.
pub enum Failure {
    /// What was to be checked has mistakes, and they have been printed.
    Shown,
    /// What was given has these mistakes.
    Mistaken(Vec<String>),
    /// Wrong usage, or something cannot be read or written.
    Unusable(String),
}

impl Failure {
    /// Says it on stderr; the exit code.
    pub fn tell(self) -> ExitCode {
        let (lines, code) = match self {
            Self::Shown => (Vec::new(), 1),
            Self::Mistaken(lines) => (lines, 1),
            Self::Unusable(line) => (vec![line], 2),
        };
        for line in lines {
            crate::remark(&format!("error: {line}"));
        }
        ExitCode::from(code)
    }
}
