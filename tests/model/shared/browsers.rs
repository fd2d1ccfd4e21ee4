//! The browsers: all secrets that were ever given to one, and the keys of the
//! tokens that carry them.

use super::calls::Secret;

pub struct Browsers {
    /// The first is nobody's.
    tokens: Vec<Token>,
    /// The newest key, and the oldest that still counts.
    kid: u32,
    oldest_kid: u32,
}

/// A secret, and the key that vouches for it.
struct Token {
    secret: Secret,
    kid: u32,
}

impl Browsers {
    pub fn new() -> Self {
        Self { tokens: vec![Token { secret: Secret::fresh(0), kid: 0 }], kid: 0, oldest_kid: 0 }
    }

    pub fn keep(&mut self, secret: Secret) {
        if self.tokens.iter().all(|token| token.secret != secret) {
            self.tokens.push(Token { secret, kid: self.kid });
        }
    }

    pub fn all(&self) -> Vec<Secret> {
        self.tokens.iter().map(|token| token.secret).collect()
    }

    /// A secret that gets as far as the store: its token's key still counts.
    pub fn presented(&self, count: u32) -> Option<Secret> {
        let token = back(&self.tokens, count);
        (token.kid >= self.oldest_kid).then_some(token.secret)
    }

    /// The gate gives a current secret a token under the newest key.
    pub fn mint_anew(&mut self, secret: Secret) {
        let kid = self.kid;
        self.tokens.iter_mut().filter(|token| token.secret == secret).for_each(|token| token.kid = kid);
    }

    pub fn new_key(&mut self) {
        self.kid += 1;
    }

    pub fn drop_keys(&mut self) {
        self.oldest_kid = self.kid;
    }
}

/// The one that is so many from the last, and around.
pub fn back<T>(all: &[T], count: u32) -> &T {
    &all[all.len() - 1 - count as usize % all.len()]
}
