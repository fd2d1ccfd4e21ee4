//! `warifu`, the operators' command: it makes keys and sets them, finds the mistakes of a
//! configuration before it is deployed, and asks the running gateway who is
//! logged in and ends sessions.
#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the help, which is no markdown")]

mod admin_key;
mod check;
mod document;
mod explain;
mod failure;
mod gateway;
mod health;
mod keys;
mod keys_file;
mod kill;
mod misplaced;
mod platform;
mod receipt;
mod report;
mod routing;
mod rules;
mod sessions;
mod setup;
mod text;
mod user_agent;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::failure::Failure;

/// Makes keys for the gateway, checks its configuration before it is deployed, lists and ends sessions
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The keys that vouch for sessions' tokens: WARIFU_KEYS
    #[command(subcommand, arg_required_else_help = true)]
    Keys(keys::Keys),
    /// The keys of those who administer: WARIFU_ADMIN_KEYS
    #[command(subcommand, arg_required_else_help = true)]
    AdminKey(admin_key::AdminKey),
    #[command(after_help = EXIT_CODES)]
    Setup(setup::Setup),
    #[command(after_help = EXIT_CODES)]
    Check(check::Check),
    /// Who is logged in, and where
    #[command(subcommand, arg_required_else_help = true)]
    Sessions(sessions::Sessions),
    /// End sessions, at once and for good
    #[command(subcommand, arg_required_else_help = true)]
    Kill(kill::Kill),
    #[command(after_help = EXIT_CODES)]
    Health(health::Health),
    /// Print the completions for a shell
    ///
    /// For bash: warifu completions bash > ~/.local/share/bash-completion/completions/warifu
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Keys(command) => command.run(),
        Command::AdminKey(command) => command.run(),
        Command::Setup(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Sessions(command) => command.run(),
        Command::Kill(command) => command.run(),
        Command::Health(command) => command.run(),
        Command::Completions { shell } => completions(shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "warifu", &mut script);
    print(&script)
}

/// Writes a result to stdout. What could not be delivered is a failure: it may
/// be the only copy of a key.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::Unusable(format!("stdout cannot be written: {error}")))
}

/// Writes to stderr what must not be lost.
fn tell(text: &str) -> Result<(), Failure> {
    let mut stderr = anstream::stderr().lock();
    writeln!(stderr, "{text}")
        .and_then(|()| stderr.flush())
        .map_err(|error| Failure::Unusable(format!("stderr cannot be written: {error}")))
}

/// Writes a remark to stderr, where it is in no program's way.
fn remark(text: &str) {
    // Nobody is left to be told that it failed.
    let _ = writeln!(anstream::stderr(), "{text}");
}

const EXIT_CODES: &str = "Exit codes: 0 fine; 1 the configuration or the keys have mistakes, or the gateway refuses, \
     does not find or does not finish what it was asked for; 2 wrong usage, something cannot be read or written, the \
     gateway cannot be reached, or wrangler fails.";
