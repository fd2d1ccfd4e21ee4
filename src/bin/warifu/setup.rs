//! `warifu setup`: all secrets of the Worker, made and set with one command.
//! They pass from this process to wrangler's stdin: no file, no argument and no
//! variable has them.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use clap::{Args, ValueHint};
use serde::{Deserialize, Serialize};
use warifu::admin_keys::Scope;
use zeroize::Zeroizing;

use crate::check::refuse_unknown_environment;
use crate::document::Document;
use crate::failure::Failure;
use crate::report::Source;
use crate::{admin_key, keys};

/// Make the secrets that the Worker lacks, and set them through wrangler
///
/// Asks `npx wrangler secret list` which the Worker has, and hands the others to `npx wrangler secret bulk`, on its
/// stdin. A secret that is there is never replaced: a new WARIFU_KEYS would log everybody out.
///
/// Prints what it has made on stdout, as one line of JSON, for the place where you keep secrets. Cloudflare never
/// shows them again, and to rotate keys you need them. Give each run an entry of its own: a later one prints only
/// what it has made itself, and pass would put it in the place of the first without asking.
///
///   warifu setup --env production | pass insert -m "warifu/production/$(date +%Y%m%dT%H%M%S)"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Setup {
    /// The file that wrangler deploys from
    #[arg(default_value = "wrangler.toml", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The environment, as for wrangler deploy
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Whose the first admin key is; it gets all scopes
    #[arg(long, value_name = "ID", default_value = "ops", value_parser = admin_key::id)]
    admin: String,
    /// Make WARIFU_ORIGIN_KEYS as well: from then on forwarded requests are signed
    #[arg(long)]
    origin_keys: bool,
    /// Print the secrets, though stdout is a terminal
    #[arg(long)]
    show: bool,
}

/// What is handed to wrangler; an absent one is not made.
#[derive(Default, Serialize)]
struct Secrets {
    #[serde(rename = "WARIFU_KEYS", skip_serializing_if = "Option::is_none")]
    keys: Option<Zeroizing<String>>,
    #[serde(rename = "WARIFU_ADMIN_KEYS", skip_serializing_if = "Option::is_none")]
    admin_keys: Option<Zeroizing<String>>,
    #[serde(rename = "WARIFU_ORIGIN_KEYS", skip_serializing_if = "Option::is_none")]
    origin_keys: Option<Zeroizing<String>>,
    /// The key itself, of which the Worker gets the hash only.
    #[serde(rename = "WARIFU_ADMIN_KEY", skip_serializing_if = "Option::is_none")]
    admin_key: Option<Zeroizing<String>>,
}

impl Setup {
    pub fn run(self) -> Result<(), Failure> {
        let source = Source::read(&self.file, true)?;
        let document = Document::parse(&source.text)
            .map_err(|(_, why)| Failure::Unusable(format!("{}: no valid TOML: {why}", source.path)))?;
        refuse_unknown_environment(&document, self.env.as_deref())?;
        if std::io::stdout().is_terminal() && !self.show {
            return Err(Failure::Unusable(
                "stdout is a terminal, and the secrets are printed there; hand them to where you keep such things, in \
                 an entry of their own (warifu setup | pass insert -m \"warifu/$(date +%Y%m%dT%H%M%S)\"), or give --show"
                    .to_owned(),
            ));
        }
        let present = self.present()?;
        let mut secrets = self.missing(&present)?;
        let names = secrets.names();
        if names.is_empty() {
            crate::remark(
                "note: all secrets are there; nothing was made, changed or printed, and an entry that was to keep what \
                 is printed is empty",
            );
            return Ok(());
        }
        // First the copy: what is set and kept nowhere could never be rotated.
        crate::print(&line(&secrets)?)?;
        secrets.admin_key = None;
        self.set(&line(&secrets)?)?;
        crate::remark(&format!("note: set {}; what was printed is the only copy", names.join(", ")));
        Ok(())
    }

    /// The names of the secrets that the Worker has.
    fn present(&self) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        struct Entry {
            name: String,
        }
        let Output { status, stdout, stderr } = self
            .wrangler(&["secret", "list", "--format", "json"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| no_wrangler(&error))?;
        if status.success() {
            let entries: Vec<Entry> = serde_json::from_slice(&stdout)
                .map_err(|error| Failure::Unusable(format!("wrangler secret list: found no JSON list: {error}")))?;
            return Ok(entries.into_iter().map(|entry| entry.name).collect());
        }
        let says = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if is_no_worker(&says) {
            crate::remark(
                "note: there is no Worker of this name yet; wrangler makes one, and your deployment fills it",
            );
            return Ok(Vec::new());
        }
        if is_no_wrangler(&says) {
            return Err(Failure::Unreachable(
                "npx found no wrangler in this folder or above it, so nothing was made or set".to_owned(),
                Some(
                    "in a clone, make build installs it; for an archive of a release, docs/operations/release.md has \
                     the command, with the version that it was tried with"
                        .to_owned(),
                ),
            ));
        }
        let hint = if is_undecided(&says) {
            "wrangler can ask nobody here which account is meant: set the variable CLOUDFLARE_ACCOUNT_ID, or account_id \
             at the top of the file; npx wrangler whoami lists them"
        } else {
            "is this machine logged in? npx wrangler whoami"
        };
        // Whether there are keys cannot be known, and to replace them would log everybody out.
        Err(Failure::Unreachable(
            format!("wrangler secret list failed ({status}), so nothing was made or set:\n{}", says.trim()),
            Some(hint.to_owned()),
        ))
    }

    fn missing(&self, present: &[String]) -> Result<Secrets, Failure> {
        let lacks = |name: &str| !present.iter().any(|known| known == name);
        let mut secrets = Secrets::default();
        if lacks("WARIFU_KEYS") {
            secrets.keys = Some(keys::first()?);
        }
        if lacks("WARIFU_ADMIN_KEYS") {
            let (key, entry) = admin_key::made(self.admin.clone(), Scope::ALL.map(Scope::name).to_vec())?;
            secrets.admin_keys = Some(Zeroizing::new(format!("[{entry}]")));
            secrets.admin_key = Some(key);
        }
        if self.origin_keys && lacks("WARIFU_ORIGIN_KEYS") {
            secrets.origin_keys = Some(keys::first()?);
        }
        Ok(secrets)
    }

    fn set(&self, text: &[u8]) -> Result<(), Failure> {
        let mut child = self
            .wrangler(&["secret", "bulk"])
            .stdin(Stdio::piped())
            // stdout is for the copy alone.
            .stdout(std::io::stderr())
            .spawn()
            .map_err(|error| no_wrangler(&error))?;
        // What does not arrive is told by how wrangler ends; the pipe is closed with the end of this.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text));
        let status = child.wait().map_err(|error| no_wrangler(&error))?;
        if status.success() && written.is_ok() {
            return Ok(());
        }
        Err(Failure::Unreachable(
            format!("wrangler secret bulk failed ({status}): whether the secrets are set is not known"),
            Some(
                "keep what was printed: of those that npx wrangler secret list shows now, it is the only copy; then do \
                 it again for the others"
                    .to_owned(),
            ),
        ))
    }

    fn wrangler(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("npx");
        command.args(["--no-install", "wrangler"]).args(arguments).arg("--config").arg(&self.file);
        if let Some(env) = &self.env {
            command.args(["--env", env]);
        }
        command
    }
}

impl Secrets {
    /// Of what the Worker gets.
    fn names(&self) -> Vec<&'static str> {
        [
            ("WARIFU_KEYS", &self.keys),
            ("WARIFU_ADMIN_KEYS", &self.admin_keys),
            ("WARIFU_ORIGIN_KEYS", &self.origin_keys),
        ]
        .into_iter()
        .filter_map(|(name, secret)| secret.is_some().then_some(name))
        .collect()
    }
}

/// In wrangler's words, or by the code of Cloudflare's API.
fn is_no_worker(says: &str) -> bool {
    says.lines().any(|line| line.contains("Worker \"") && line.contains("not found.")) || says.contains("[code: 10007]")
}

/// In wrangler's words: who is logged in has several accounts.
fn is_undecided(says: &str) -> bool {
    says.contains("More than one account available")
}

/// In npm's words: it was told not to fetch what is not there.
fn is_no_wrangler(says: &str) -> bool {
    says.contains("npx canceled due to missing packages")
}

fn no_wrangler(error: &std::io::Error) -> Failure {
    Failure::Unusable(format!("npx, which comes with Node, cannot be started: {error}"))
}

/// One line of JSON.
fn line(secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // With room for all of it, no part is left behind in memory that was outgrown.
    let mut text = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX));
    serde_json::to_writer(&mut *text, secrets)
        .map_err(|error| Failure::Unusable(format!("the secrets cannot be written: {error}")))?;
    text.push(b'\n');
    Ok(text)
}

/// Four values of less than 400 bytes.
const LINE_BYTES_MAX: usize = 2_048;
