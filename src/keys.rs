//! Lists of keys, as the secrets `WARIFU_KEYS` and `WARIFU_ORIGIN_KEYS` hold
//! them: newest first, each with an id.

use base64ct::{Base64UrlUnpadded, Encoding};
use ctutils::CtEq;
use zeroize::{Zeroize, Zeroizing};

use crate::config::Mistake;
use crate::read::{self, read_record};

/// One key. Zeroed on drop.
pub struct Key {
    pub kid: u8,
    pub bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Reads `[{"kid":2,"key":"<base64url of 32 bytes>"},…]`, of which there is at
/// least one; `name` is that of the secret.
///
/// # Errors
/// Every mistake, with its place; never a key's bytes.
pub fn read(text: &str, name: &str) -> Result<Vec<Key>, Vec<Mistake>> {
    struct Entry {
        kid: u8,
        key: Zeroizing<String>,
    }
    read_record!(strict Entry { kid, key });
    let mistake = |key: String, says: &str| Mistake { key, says: says.to_owned() };
    // The parser's own message could quote a part of a key.
    let entries: Vec<Entry> = read::text(text).map_err(|_| vec![mistake(name.to_owned(), KEYS_FORM)])?;
    if entries.is_empty() {
        return Err(vec![mistake(name.to_owned(), &format!("found an empty list; {KEYS_FORM}"))]);
    }
    let mut mistakes = Vec::new();
    let mut keys: Vec<Key> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{name}[{index}]");
        if keys.iter().any(|key| key.kid == entry.kid) {
            mistakes
                .push(mistake(format!("{at}.kid"), &format!("found {} twice; each kid must be there once", entry.kid)));
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if Base64UrlUnpadded::decode(&*entry.key, &mut *bytes).map(<[u8]>::len) != Ok(KEY_BYTES) {
            mistakes.push(mistake(
                format!("{at}.key"),
                "it must be base64url, without padding, of exactly 32 bytes (43 characters)",
            ));
            continue;
        }
        if is_weak(&bytes) {
            mistakes.push(mistake(
                format!("{at}.key"),
                "it is weak: its bytes are not random; make one with `openssl rand -base64 32 | tr '+/' '-_' | tr -d =`",
            ));
        }
        if keys.iter().any(|earlier| earlier.bytes.ct_eq(&*bytes).to_bool()) {
            mistakes.push(mistake(format!("{at}.key"), "it is the same as an earlier key; each must be its own"));
        }
        keys.push(Key { kid: entry.kid, bytes });
    }
    if mistakes.is_empty() { Ok(keys) } else { Err(mistakes) }
}

/// Not an estimate of entropy: it catches keys that were typed or left empty.
/// 32 random bytes have fewer than 16 different ones with probability < 2⁻⁴⁰.
fn is_weak(key: &[u8; KEY_BYTES]) -> bool {
    let mut bytes = *key;
    bytes.sort_unstable();
    let different = 1 + bytes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    bytes.zeroize();
    different < 16
}

/// What such a list has to look like.
pub const KEYS_FORM: &str = "it must be a JSON list, newest first: \
     [{\"kid\":1,\"key\":\"<base64url of 32 random bytes>\"}]";

/// Length of a key.
pub const KEY_BYTES: usize = 32;
