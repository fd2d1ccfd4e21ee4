//! Sites, ready to serve: their configuration and their keys.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::admin_keys::AdminKeys;
use crate::config::{self, Config, Mistake};
use crate::keys::KEYS_FORM;
use crate::signature::Signer;
use crate::signed_command::Verifier;
use crate::token::KeyRing;

/// What a request is served with; prepared once per isolate.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub ring: KeyRing,
    /// Signs what is forwarded; `None`: the configuration does not want it.
    pub signer: Option<Signer>,
    /// Verifies commands; `None`: they need no signature.
    pub verifier: Option<Verifier>,
    pub admins: AdminKeys,
    /// Whether one host alone leads to its application, as far as that is configured.
    pub has_one_host: bool,
}

/// The secrets beside the configuration, as the platform hands them over.
#[derive(Clone, Copy, Default)]
pub struct Secrets<'a> {
    /// `WARIFU_KEYS`: the token's MAC keys.
    pub keys: Option<&'a str>,
    /// `WARIFU_ADMIN_KEYS`: who may call the admin API; absent: nobody.
    pub admin_keys: Option<&'a str>,
    /// `WARIFU_ORIGIN_KEYS`: keys for signatures that the origin verifies, and
    /// for those of its commands.
    pub origin_keys: Option<&'a str>,
}

impl Site {
    /// Reads the configuration of one site, and the secrets.
    ///
    /// # Errors
    /// Every mistake that was found, in both.
    fn of_table(table: &Value, secrets: Secrets<'_>) -> Result<Self, Vec<Mistake>> {
        let (config, mut mistakes) = Config::read(table, secrets.origin_keys.is_some());
        let ring = match secrets.keys {
            None => Err(vec![mistake("WARIFU_KEYS", format!("the secret is not set; {KEYS_FORM}"))]),
            Some(text) => KeyRing::read(text, &config.site),
        };
        let admins = secrets.admin_keys.map_or_else(|| Ok(AdminKeys::default()), AdminKeys::read);
        // Checked also where they are not used yet.
        let of_origin = |text| Ok((Signer::read(text)?, Verifier::read(text)?));
        let of_origin = secrets.origin_keys.map(of_origin).transpose();
        match (ring, admins, of_origin) {
            (Ok(ring), Ok(admins), Ok(of_origin)) if mistakes.is_empty() => {
                let (signer, verifier) = of_origin.unzip();
                let signer = signer.filter(|_| config.sign);
                let verifier = verifier.filter(|_| config.require_signed_commands);
                Ok(Self { config, ring, signer, verifier, admins, has_one_host: true })
            }
            (ring, admins, of_origin) => {
                mistakes.extend(ring.err().into_iter().chain(admins.err()).chain(of_origin.err()).flatten());
                Err(mistakes)
            }
        }
    }

    /// The hosts that lead to it: the application's, and the operators'.
    fn hosts(&self) -> impl Iterator<Item = &str> {
        self.config.hosts.iter().chain(&self.config.admin_host).map(String::as_str)
    }
}

/// The sites of a Worker: one, or several that are told apart by their hosts.
#[derive(Debug)]
pub struct Sites(Vec<Site>);

impl Sites {
    /// Reads the `WARIFU` binding, a JSON text, and the secrets.
    ///
    /// # Errors
    /// Every mistake that was found, in all of them.
    pub fn read(binding: &str, secrets: Secrets<'_>) -> Result<Self, Vec<Mistake>> {
        if binding.is_empty() {
            return Err(vec![mistake("WARIFU", "the binding is missing; set [vars.WARIFU]".to_owned())]);
        }
        let value: Value =
            serde_json::from_str(binding).map_err(|error| vec![mistake("WARIFU", format!("not JSON: {error}"))])?;
        let (mut sites, mut mistakes) = (Vec::new(), Vec::new());
        for part in config::split(&value)? {
            match Site::of_table(&part.table, secrets) {
                Ok(site) => sites.push(site),
                Err(found) => mistakes.extend(found.into_iter().map(|mistake| part.place(mistake))),
            }
        }
        if mistakes.is_empty() {
            let named = sites.iter().map(|site| (site.config.site.as_str(), site.hosts().collect()));
            mistakes = config::refuse_twins(named);
        }
        // What stands in the common part is wrong in each site.
        let mut seen = BTreeSet::new();
        mistakes.retain(|mistake| seen.insert(mistake.to_string()));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        for index in 0..sites.len() {
            let same = sites.iter().filter(|other| other.config.origin == sites[index].config.origin);
            let hosts: usize = same.map(|site| site.config.hosts.len().max(1)).sum();
            sites[index].has_one_host = hosts == 1;
        }
        Ok(Self(sites))
    }

    /// The place of the site that a host leads to. One site alone decides for
    /// itself; `None`: none of several is meant.
    pub fn index_of(&self, host: &str) -> Option<usize> {
        if self.0.len() == 1 {
            return Some(0);
        }
        self.0.iter().position(|site| site.hosts().any(|known| known == host))
    }

    pub fn as_slice(&self) -> &[Site] {
        &self.0
    }

    /// The first of them, or the only one.
    pub fn into_first(self) -> Option<Site> {
        self.0.into_iter().next()
    }
}

fn mistake(key: &str, says: String) -> Mistake {
    Mistake { key: key.to_owned(), says }
}
