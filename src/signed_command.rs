//! The signature that a command comes with (RFC 9421), under a key that nobody
//! has but the gateway and the origin.
//!
//! Label `warifu`, algorithm `hmac-sha256`, tag `warifu-command`. It covers the
//! command, the answer's status, and of the request that it answers what the
//! origin received, with its nonce: one that was recorded fits no other
//! request.

use core::convert::Infallible;
use core::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, ItemSerializer, KeyRef, Parser};
use sha2::Sha256;

use crate::config::Mistake;
use crate::keys;
use crate::signature::LABEL;
use crate::time::UnixMillis;

/// Verifies with any of `WARIFU_ORIGIN_KEYS`.
pub struct Verifier(Vec<(String, Hmac<Sha256>)>);

impl core::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(keyid, _)| keyid)).finish()
    }
}

/// An answer with a command, and the request as the origin received it.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub status: u16,
    pub command: &'a str,
    pub method: &'a str,
    pub authority: &'a str,
    pub path: &'a str,
    /// With its `?`, which stands alone where there is none.
    pub query: &'a str,
    pub nonce: &'a str,
    /// The answer's `Signature-Input` and `Signature`.
    pub input: Option<&'a str>,
    pub signature: Option<&'a str>,
}

impl Verifier {
    /// Reads `WARIFU_ORIGIN_KEYS`, of the form of `WARIFU_KEYS`.
    ///
    /// # Errors
    /// Every mistake; never a key's bytes.
    pub fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        let mac = |key: &[u8]| Hmac::new_from_slice(key).expect("RFC 2104, section 3: a key can be of any length");
        let keys = keys::read(text, "WARIFU_ORIGIN_KEYS")?;
        Ok(Self(keys.iter().map(|key| (key.kid.to_string(), mac(&*key.bytes))).collect()))
    }

    /// Whether the origin itself has given this command in answer to this
    /// request.
    ///
    /// # Errors
    /// Why nothing shows it, for the log.
    pub fn verify(&self, signed: &Signed<'_>, now: UnixMillis) -> Result<(), &'static str> {
        let (Some(input), Some(signature)) = (signed.input, signed.signature) else { return Err(UNSIGNED) };
        let (input, signature) = (Member::read(input)?, Member::read(signature)?);
        let Content::List(components) = &input.content else { return Err(UNREADABLE) };
        let Content::Item(BareItemFromInput::ByteSequence(mac)) = &signature.content else { return Err(UNREADABLE) };
        if !signature.parameters.is_empty() {
            return Err(UNREADABLE);
        }
        let parameters = Parameters::read(&input.parameters)?;
        let (_, key) = self.0.iter().find(|(keyid, _)| keyid == parameters.keyid).ok_or("its key is unknown")?;
        parameters.hold_at(now)?;
        let base = signed.base(components, &input.parameters)?;
        let mut expected = key.clone();
        expected.update(base.as_bytes());
        expected.verify_slice(mac).map_err(|_| "its signature does not fit")
    }
}

impl Signed<'_> {
    /// The signature base of RFC 9421, section 2.5. What is to be covered is
    /// fixed: less would leave a way to use a signature twice, and whatever came
    /// on top could be read in another way here than by the origin.
    fn base(&self, components: &[String], parameters: &[Parameter<'_>]) -> Result<String, &'static str> {
        let status = self.status.to_string();
        // Section 2.4: `req`, of the request to which this is the answer.
        let values = [
            ("\"@status\"", &*status),
            ("\"warifu-command\"", self.command.trim_matches([' ', '\t'])),
            ("\"@method\";req", self.method),
            ("\"@authority\";req", self.authority),
            ("\"@path\";req", self.path),
            ("\"@query\";req", self.query),
            ("\"warifu-nonce\";req", self.nonce),
        ];
        let is_covered = |(name, _): &(&str, &str)| components.iter().any(|component| component == name);
        if components.len() != values.len() || !values.iter().all(is_covered) {
            return Err("its signature covers something else");
        }
        let mut base = String::with_capacity(1_024);
        for component in components {
            let (name, value) = values.iter().find(|(name, _)| name == component).ok_or(UNREADABLE)?;
            writeln!(base, "{name}: {value}").expect("a String takes all");
        }
        write!(base, "\"@signature-params\": ({})", components.join(" ")).expect("a String takes all");
        for (name, value) in parameters {
            push_parameter(&mut base, name, value);
        }
        Ok(base)
    }
}

/// The parameters of a signature that says what it has to.
struct Parameters<'a> {
    created: u64,
    expires: u64,
    keyid: &'a str,
}

impl<'a> Parameters<'a> {
    fn read(list: &'a [Parameter<'a>]) -> Result<Self, &'static str> {
        let (mut created, mut expires, mut keyid, mut tag) = (None, None, None, None);
        for (index, (name, value)) in list.iter().enumerate() {
            if list[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(OTHER_PARAMETERS);
            }
            match (name.as_str(), value) {
                ("created", BareItemFromInput::Integer(seconds)) => created = u64::try_from(i64::from(*seconds)).ok(),
                ("expires", BareItemFromInput::Integer(seconds)) => expires = u64::try_from(i64::from(*seconds)).ok(),
                ("keyid", BareItemFromInput::String(text)) => keyid = Some(text.as_str()),
                ("tag", BareItemFromInput::String(text)) => tag = Some(text.as_str()),
                // RFC 9421, section 2.3: it may be told by the key alone.
                ("alg", BareItemFromInput::String(text)) if text.as_str() == "hmac-sha256" => {}
                // Of no use here, since the request has one, and of no harm.
                ("nonce", BareItemFromInput::String(_)) => {}
                _ => return Err(OTHER_PARAMETERS),
            }
        }
        match (created, expires, keyid, tag) {
            (Some(created), Some(expires), Some(keyid), Some(TAG)) => Ok(Self { created, expires, keyid }),
            _ => Err(OTHER_PARAMETERS),
        }
    }

    fn hold_at(&self, now: UnixMillis) -> Result<(), &'static str> {
        let now = now.as_unix_seconds();
        let is_short = self.expires.checked_sub(self.created).is_some_and(|span| span <= VALID_SECONDS_MAX);
        let has_begun = self.created <= now + SKEW_SECONDS_MAX;
        let is_over = self.expires + SKEW_SECONDS_MAX < now;
        if is_short && has_begun && !is_over { Ok(()) } else { Err("its signature is not valid at this time") }
    }
}

/// A parameter as it is serialized (RFC 9651, section 4.1.1.2).
fn push_parameter(text: &mut String, name: &KeyRef, value: &BareItemFromInput<'_>) {
    text.push(';');
    text.push_str(name.as_str());
    if !matches!(value, BareItemFromInput::Boolean(true)) {
        text.push('=');
        let _ = ItemSerializer::with_buffer(text).bare_item(value).finish();
    }
}

type Parameter<'de> = (&'de KeyRef, BareItemFromInput<'de>);

/// The member of a Dictionary that is labelled `warifu`.
struct Member<'de> {
    content: Content<'de>,
    /// As they come, so that repeated ones are seen.
    parameters: Vec<Parameter<'de>>,
}

enum Content<'de> {
    Item(BareItemFromInput<'de>),
    /// Items of an Inner List, each as it is serialized.
    List(Vec<String>),
}

impl<'de> Member<'de> {
    fn read(header: &'de str) -> Result<Self, &'static str> {
        if header.len() > SIGNATURE_BYTES_MAX {
            return Err(UNREADABLE);
        }
        let found = Parser::new(header).parse_dictionary_with_visitor(Found::default()).map_err(|_| UNREADABLE)?;
        match (found.times, found.content) {
            (0, _) => Err(UNSIGNED),
            // Of two, which one an origin means is its own affair.
            (1, Some(content)) => Ok(Self { content, parameters: found.parameters }),
            _ => Err(UNREADABLE),
        }
    }
}

#[derive(Default)]
struct Found<'de> {
    times: usize,
    content: Option<Content<'de>>,
    parameters: Vec<Parameter<'de>>,
}

impl<'de> DictionaryVisitor<'de> for Found<'de> {
    type Out = Self;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        let is_ours = key.as_str() == LABEL;
        self.times += usize::from(is_ours);
        Ok(is_ours.then_some(Entry(self)))
    }

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

struct Entry<'m, 'de>(&'m mut Found<'de>);

impl<'de> EntryVisitor<'de> for Entry<'_, 'de> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        Ok(List { items: Vec::new(), found: self.0 })
    }
}

impl<'de> ItemVisitor<'de> for Entry<'_, 'de> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        self.0.content = Some(Content::Item(item));
        Ok(Kept(&mut self.0.parameters))
    }
}

struct List<'m, 'de> {
    items: Vec<String>,
    found: &'m mut Found<'de>,
}

impl<'de> InnerListVisitor<'de> for List<'_, 'de> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(Written(self.items.push_mut(String::new())))
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        self.found.content = Some(Content::List(self.items));
        Ok(Kept(&mut self.found.parameters))
    }
}

/// Keeps parameters as they come.
struct Kept<'m, 'de>(&'m mut Vec<Parameter<'de>>);

impl<'de> ParameterVisitor<'de> for Kept<'_, 'de> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, name: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Infallible> {
        self.0.push((name, value));
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Writes an item with its parameters.
struct Written<'m>(&'m mut String);

impl<'de> ItemVisitor<'de> for Written<'_> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        let _ = ItemSerializer::with_buffer(&mut *self.0).bare_item(&item).finish();
        Ok(self)
    }
}

impl<'de> ParameterVisitor<'de> for Written<'_> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, name: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Infallible> {
        push_parameter(self.0, name, &value);
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

const UNSIGNED: &str = "it is not signed";
const UNREADABLE: &str = "its signature cannot be read";
const OTHER_PARAMETERS: &str = "its signature has other parameters";

const TAG: &str = "warifu-command";

/// From `created` to `expires`, at most.
const VALID_SECONDS_MAX: u64 = 60;

/// How much the origin's clock may differ.
const SKEW_SECONDS_MAX: u64 = 5;

/// Others' signatures may stand beside it.
const SIGNATURE_BYTES_MAX: usize = 16_384;
