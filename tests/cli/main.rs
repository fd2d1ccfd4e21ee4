//! The operators' command, as operators run it: the real binary.
#![cfg(all(not(target_arch = "wasm32"), feature = "cli"))]

mod check;
mod documents;
mod gateway;
mod keys;
mod platform;
mod routing;
mod rules;
#[cfg(unix)]
mod setup;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a run left behind.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn warifu(arguments: &[&str]) -> Run {
    warifu_with(arguments, "")
}

fn warifu_with(arguments: &[&str], stdin: &str) -> Run {
    warifu_in(&[], arguments, stdin)
}

/// With these variables, and none of the command's own besides.
fn warifu_in(variables: &[(&str, &str)], arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_warifu"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("WARIFU_URL")
        .env_remove("WARIFU_ADMIN_KEY")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // One that does not read its input may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run { code: output.status.code().expect("an exit code"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A file with this content; `name` must be the test's own.
fn file(name: &str, content: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the file can be written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn wrong_usage_is_2_and_help_lists_the_exit_codes() {
    for wrong in
        [&["nonsense"][..], &["check", "--nonsense"], &["keys", "new", "--kid", "256"], &["completions", "csh"]]
    {
        let run = warifu(wrong);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{wrong:?}");
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
    for words in [&[][..]].into_iter().chain(COMMANDS).filter(|words| *words != ["completions"]) {
        let help = [words, &["--help"]].concat();
        let run = warifu(&help);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("Exit codes: 0 fine; 1 "), "{help:?}");
    }
}

#[test]
fn no_colours_where_there_is_no_terminal() {
    let bad = file("colours.toml", "[vars.WARIFU]\nnonsense = 1\n");
    for arguments in [&["check", bad.as_str()][..], &["nonsense"], &["--help"]] {
        let run = warifu(arguments);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = warifu(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        for word in ["rotate", "promote", "admin-key", "explain", "sessions", "subject", "key-file", "insecure-http"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
    }
}

const COMMANDS: [&[&str]; 15] = [
    &["keys", "new"],
    &["keys", "rotate"],
    &["keys", "promote"],
    &["keys", "drop"],
    &["admin-key", "new"],
    &["setup"],
    &["check"],
    &["sessions", "list"],
    &["sessions", "show"],
    &["kill", "session"],
    &["kill", "subject"],
    &["kill", "site"],
    &["kill", "receipt"],
    &["health"],
    &["completions"],
];
