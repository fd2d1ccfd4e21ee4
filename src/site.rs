//! One site, ready to serve: its configuration and its keys.

use serde_json::Value;

use crate::admin_keys::AdminKeys;
use crate::config::{Config, Mistake};
use crate::keys::KEYS_FORM;
use crate::signature::Signer;
use crate::token::KeyRing;

/// What a request is served with; prepared once per isolate.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub ring: KeyRing,
    /// Signs what is forwarded; `None`: the configuration does not want it.
    pub signer: Option<Signer>,
    pub admins: AdminKeys,
}

/// The secrets beside the configuration, as the platform hands them over.
#[derive(Clone, Copy, Default)]
pub struct Secrets<'a> {
    /// `WARIFU_KEYS`: the token's MAC keys.
    pub keys: Option<&'a str>,
    /// `WARIFU_ADMIN_KEYS`: who may call the admin API; absent: nobody.
    pub admin_keys: Option<&'a str>,
    /// `WARIFU_ORIGIN_KEYS`: keys for signatures that the origin verifies.
    pub origin_keys: Option<&'a str>,
}

impl Site {
    /// Reads the `WARIFU` binding, a JSON text, and the secrets.
    ///
    /// # Errors
    /// Every mistake that was found, in both.
    pub fn read(binding: &str, secrets: Secrets<'_>) -> Result<Self, Vec<Mistake>> {
        let mistake = |key: &str, says: String| Mistake { key: key.to_owned(), says };
        if binding.is_empty() {
            return Err(vec![mistake("WARIFU", "the binding is missing; set [vars.WARIFU]".to_owned())]);
        }
        let value: Value =
            serde_json::from_str(binding).map_err(|error| vec![mistake("WARIFU", format!("not JSON: {error}"))])?;
        let (config, mut mistakes) = Config::read(&value, secrets.origin_keys.is_some());
        let ring = match secrets.keys {
            None => Err(vec![mistake("WARIFU_KEYS", format!("the secret is not set; {KEYS_FORM}"))]),
            Some(text) => KeyRing::read(text, &config.site),
        };
        let admins = secrets.admin_keys.map_or_else(|| Ok(AdminKeys::default()), AdminKeys::read);
        // Checked also where they are not used yet.
        let signer = secrets.origin_keys.map(Signer::read).transpose();
        match (ring, admins, signer) {
            (Ok(ring), Ok(admins), Ok(signer)) if mistakes.is_empty() => {
                let signer = signer.filter(|_| config.sign);
                Ok(Self { config, ring, signer, admins })
            }
            (ring, admins, signer) => {
                mistakes.extend(ring.err().into_iter().chain(admins.err()).chain(signer.err()).flatten());
                Err(mistakes)
            }
        }
    }
}
