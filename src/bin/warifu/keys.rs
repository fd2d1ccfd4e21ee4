//! `warifu keys`: the MAC keys, made and changed.

use std::io::{IsTerminal as _, Read as _};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use warifu::token::KeyRing;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::platform::VARIABLE_BYTES_FINE;

#[derive(Subcommand)]
pub enum Keys {
    /// Print a WARIFU_KEYS value with one random key, and nothing else
    ///
    /// It is made for a pipe: warifu keys new | npx wrangler secret put WARIFU_KEYS
    ///
    /// Cloudflare never shows a secret again. For `keys rotate` you need the present value, so keep a copy
    /// where you keep such things.
    #[command(verbatim_doc_comment, after_help = crate::EXIT_CODES)]
    New {
        /// The key's id, 0 to 255
        #[arg(long, value_name = "N", default_value_t = 1)]
        kid: u8,
    },
    /// Read the present WARIFU_KEYS value from stdin, print it with a new key in front
    ///
    /// The first key signs, all verify, so nobody is logged out unless --keep leaves keys out:
    ///
    ///   warifu keys rotate < present.json > next.json
    ///   npx wrangler secret put WARIFU_KEYS < next.json
    ///
    /// For the seconds in which the new value spreads, an edge that has the old one does not know the new key.
    /// In two steps, with --stage and later `keys promote`, every edge knows the key before it signs.
    #[command(verbatim_doc_comment, after_help = crate::EXIT_CODES)]
    Rotate {
        /// Put the new key second: known everywhere once it is deployed, but not signing yet
        #[arg(long)]
        stage: bool,
        /// How many of the old keys stay, the newest first [default: all]
        ///
        /// Every session under a key that is left out ends.
        #[arg(long, value_name = "N")]
        keep: Option<usize>,
        /// The new key's id [default: the next after that of the first key]
        #[arg(long, value_name = "N")]
        kid: Option<u8>,
    },
    /// Read the present WARIFU_KEYS value from stdin, print it with a known key moved to the front
    ///
    /// The second step after `keys rotate --stage`, a minute after that was deployed:
    ///
    ///   warifu keys promote < next.json > last.json
    ///   npx wrangler secret put WARIFU_KEYS < last.json
    #[command(verbatim_doc_comment, after_help = crate::EXIT_CODES)]
    Promote {
        /// The key's id [default: that of the second key, if it is newer than the first]
        kid: Option<u8>,
    },
    /// Read the present WARIFU_KEYS value from stdin, print it without these keys
    ///
    /// Every session under a key that is dropped ends once the value is deployed.
    #[command(verbatim_doc_comment, after_help = crate::EXIT_CODES)]
    Drop {
        /// The keys' ids
        #[arg(required = true, value_name = "KID")]
        kids: Vec<u8>,
    },
}

/// One member of `WARIFU_KEYS`.
#[derive(Deserialize, Serialize)]
struct Entry {
    kid: u8,
    key: Zeroizing<String>,
}

impl Keys {
    pub fn run(self) -> Result<(), Failure> {
        let entries = match self {
            Self::New { kid } => vec![Entry { kid, key: random_key()? }],
            Self::Rotate { stage, keep, kid } => rotated(read(&present()?)?, keep, stage, kid)?,
            Self::Promote { kid } => promoted(read(&present()?)?, kid)?,
            Self::Drop { kids } => without(read(&present()?)?, &kids)?,
        };
        let text = written(&entries)?;
        if text.len() > VARIABLE_BYTES_FINE {
            crate::remark(&format!(
                "warning: this is {} bytes, and Cloudflare takes at most 5 KB for a secret: use --keep",
                text.len()
            ));
        }
        crate::print(&text)
    }
}

/// 32 bytes of the system's CSPRNG, base64url without padding.
pub fn random_key() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Failure::Unusable(format!("the system gives no random bytes: {error}")))?;
    Ok(Zeroizing::new(Base64UrlUnpadded::encode_string(&*bytes)))
}

/// A value with one random key.
pub fn first() -> Result<Zeroizing<String>, Failure> {
    let text = written(&[Entry { kid: 1, key: random_key()? }])?;
    Ok(Zeroizing::new(String::from_utf8_lossy(text.trim_ascii_end()).into_owned()))
}

fn present() -> Result<Zeroizing<String>, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        crate::remark("Paste the present value of WARIFU_KEYS, then press Enter and Ctrl-D:");
    }
    let mut text = Zeroizing::new(String::with_capacity(STDIN_BYTES_MAX));
    let limit = u64::try_from(STDIN_BYTES_MAX).unwrap_or(u64::MAX);
    stdin
        .take(limit)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Unusable(format!("stdin cannot be read: {error}")))?;
    if text.trim().is_empty() {
        return Err(Failure::Unusable(
            "found nothing on stdin; it must be the present value of WARIFU_KEYS. For a first one: warifu keys new"
                .to_owned(),
        ));
    }
    Ok(text)
}

/// Takes what the gateway itself would take.
fn read(text: &str) -> Result<Vec<Entry>, Failure> {
    // Which site the keys are for makes no difference to whether they are good.
    KeyRing::read(text, "default")
        .map_err(|found| Failure::Mistaken(found.iter().map(ToString::to_string).collect()))?;
    // The parser's own message could quote a part of a key.
    serde_json::from_str(text).map_err(|_| mistaken("it cannot be read"))
}

fn rotated(mut entries: Vec<Entry>, keep: Option<usize>, stage: bool, kid: Option<u8>) -> Result<Vec<Entry>, Failure> {
    if let Some(kid) = kid.filter(|kid| entries.iter().any(|entry| entry.kid == *kid)) {
        return Err(mistaken(format!("found key {kid} already; --kid must be none of {}", list(&entries))));
    }
    let dropped = entries.split_off(keep.unwrap_or(entries.len()).min(entries.len()));
    if stage && entries.is_empty() {
        return Err(Failure::Unusable(
            "--stage: the key that signs now has to stay; it must be --keep 1 or more".to_owned(),
        ));
    }
    let newest = entries.first().or(dropped.first()).map_or(0, |entry| entry.kid);
    let is_kept = |kid: &u8| entries.iter().any(|entry| entry.kid == *kid);
    let is_dropped = |kid: &u8| dropped.iter().any(|entry| entry.kid == *kid);
    // Counted on from the newest; a kid that is only now given up comes last.
    let mut free = (1..=u8::MAX).map(|step| newest.wrapping_add(step)).filter(|kid| !is_kept(kid));
    let kid = kid
        .or_else(|| free.clone().find(|kid| !is_dropped(kid)))
        .or_else(|| free.next())
        .ok_or_else(|| mistaken("found all 256 kids taken; leave old keys out with --keep"))?;
    warn_of_ends(&dropped, ["old key is left out", "old keys are left out"]);
    entries.insert(usize::from(stage), Entry { kid, key: random_key()? });
    if stage {
        crate::remark(&format!(
            "note: key {kid} is known once this value is deployed, and signs nothing yet; a minute later: warifu keys \
             promote {kid}"
        ));
    }
    Ok(entries)
}

fn promoted(mut entries: Vec<Entry>, kid: Option<u8>) -> Result<Vec<Entry>, Failure> {
    let signs = entries[0].kid;
    let kid = match (kid, entries.get(1)) {
        (Some(kid), _) => kid,
        (None, None) => return Err(mistaken(format!("found key {signs} only; for another one: warifu keys rotate"))),
        // Kids are counted on, so the one that a second run would bring back is behind.
        (None, Some(second)) if second.kid.wrapping_sub(signs) > 128 => {
            let second = second.kid;
            return Err(mistaken(format!(
                "key {signs} signs, and key {second} behind it looks older; if it is meant: warifu keys promote {second}"
            )));
        }
        (None, Some(second)) => second.kid,
    };
    let Some(at) = entries.iter().position(|entry| entry.kid == kid) else {
        return Err(mistaken(format!("found no key {kid}; it must be one of {}", list(&entries))));
    };
    entries[..=at].rotate_right(1);
    crate::remark(&if at == 0 {
        format!("note: key {kid} is the first already; nothing was changed")
    } else {
        format!("note: key {kid} signs once this value is deployed; the others still verify")
    });
    Ok(entries)
}

fn without(entries: Vec<Entry>, kids: &[u8]) -> Result<Vec<Entry>, Failure> {
    if let Some(kid) = kids.iter().find(|kid| !entries.iter().any(|entry| entry.kid == **kid)) {
        return Err(mistaken(format!("found no key {kid}; it must be one of {}", list(&entries))));
    }
    let signed = entries[0].kid;
    let (dropped, kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| kids.contains(&entry.kid));
    let Some(first) = kept.first() else {
        return Err(mistaken(
            "no key would be left; for a new one in place of all: warifu keys rotate --keep 0".to_owned(),
        ));
    };
    warn_of_ends(&dropped, ["key is dropped", "keys are dropped"]);
    if first.kid != signed {
        crate::remark(&format!("note: key {} signs once this value is deployed", first.kid));
    }
    remind_of_kids(&dropped, &kept);
    Ok(kept)
}

/// `rotate` counts on from the key that signs, and cannot know what had a kid before.
fn remind_of_kids(dropped: &[Entry], kept: &[Entry]) {
    let after_signing = |entry: &&Entry| entry.kid.wrapping_sub(kept[0].kid);
    let is_newer = |entry: &&Entry| (1..=128).contains(&after_signing(entry));
    let to_come: Vec<&Entry> = dropped.iter().filter(is_newer).collect();
    let newest = dropped.iter().chain(kept).filter(is_newer).max_by_key(after_signing);
    let (Some(newest), count) = (newest, to_come.len()) else { return };
    if count > 0 {
        crate::remark(&format!(
            "note: the next key must not be called {} again, or cookies of the old {} are taken for made up: warifu keys \
             rotate --kid {}",
            list(to_come),
            if count == 1 { "one" } else { "ones" },
            newest.kid.wrapping_add(1)
        ));
    }
}

fn warn_of_ends(gone: &[Entry], how: [&str; 2]) {
    let (how, kids, them) = match gone.len() {
        0 => return,
        1 => (how[0], "kid", "it"),
        _ => (how[1], "kids", "them"),
    };
    crate::remark(&format!(
        "warning: {} {how} ({kids} {}): every session under {them} ends once this value is deployed",
        gone.len(),
        list(gone)
    ));
}

fn list<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> String {
    entries.into_iter().map(|entry| entry.kid.to_string()).collect::<Vec<_>>().join(", ")
}

fn mistaken(says: impl core::fmt::Display) -> Failure {
    Failure::Mistaken(vec![format!("WARIFU_KEYS: {says}")])
}

/// One line of JSON.
fn written(entries: &[Entry]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // With room for all of it, no part is left behind in memory that was outgrown.
    let mut text = Zeroizing::new(Vec::with_capacity(entries.len() * ENTRY_BYTES_MAX + 3));
    serde_json::to_writer(&mut *text, entries)
        .map_err(|error| Failure::Unusable(format!("the keys cannot be written: {error}")))?;
    text.push(b'\n');
    Ok(text)
}

const KEY_BYTES: usize = 32;
/// `{"kid":255,"key":"<43 characters>"},` is 64 bytes.
const ENTRY_BYTES_MAX: usize = 80;
/// 256 entries, and white space.
const STDIN_BYTES_MAX: usize = 65_536;
