//! `Warifu-Command`: what the origin's answer tells warifu to do.
//!
//! A Structured Field Dictionary (RFC 9651). An origin that checks a password
//! starts the session by answering with
//! `Warifu-Command: do=start, sub="42", level=1`.

use core::convert::Infallible;
use core::time::Duration;

use ctutils::CtEq;
use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

use crate::session::{Claims, Subject};
use crate::time::SPAN_SECONDS_MAX;

/// What the origin wants done.
#[derive(Debug, Eq, PartialEq)]
pub enum Command {
    Start(Start),
    /// A new secret; with a level, also a new authentication.
    Rotate {
        level: Option<u8>,
    },
    /// New claims.
    Update {
        claims: Claims,
    },
    /// End the session of this request.
    End,
    /// End the subject's other sessions, and renew this one.
    EndOthers,
    /// End all of the subject's sessions.
    EndAll,
}

/// The session to start.
#[derive(Debug, Eq, PartialEq)]
pub struct Start {
    pub subject: Subject,
    pub level: Option<u8>,
    /// A shorter or longer absolute timeout than the configured one.
    pub ttl: Option<Duration>,
    pub claims: Option<Claims>,
    /// Whether the subject's other sessions end in the same commit.
    pub end_others: bool,
}

/// What the origin was sent with the request, for its command to repeat.
#[derive(Clone, Copy)]
pub enum Nonce<'a> {
    /// Nothing: the member `nonce` is refused.
    NotSent,
    /// The command may leave it out.
    Sent(&'a str),
    /// A command without it is not taken for the origin's own.
    Wanted(&'a str),
}

/// Why a command is not obeyed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandRefusal {
    /// The text is for whoever runs the origin.
    Malformed(&'static str),
    /// Nothing shows that it is the origin's own.
    Unproven(&'static str),
}

impl CommandRefusal {
    pub fn explain(&self) -> String {
        let (Self::Malformed(why) | Self::Unproven(why)) = self;
        format!("Warifu-Command: {why}")
    }
}

/// Reads the value of a `Warifu-Command` header.
///
/// # Errors
/// Why it is not obeyed. Unknown members are refused too: to skip one would
/// start a session that is not the one that the origin asked for.
pub fn parse(header: &str, nonce: Nonce<'_>) -> Result<Command, CommandRefusal> {
    let members = Members::read(header);
    nonce.compare(members.as_ref().ok())?;
    let members = members.map_err(CommandRefusal::Malformed)?;
    if members.has_repeated_or_adorned {
        return Err(CommandRefusal::Malformed(
            "each member must be there once, be a plain item, and have no parameters",
        ));
    }
    let mut members = members.list;
    if !matches!(nonce, Nonce::NotSent) {
        members.retain(|(key, _)| *key != "nonce");
    }
    let action = members.iter().find(|(key, _)| *key == "do").map(|(_, value)| value);
    let Some(action) = action else {
        return Err(CommandRefusal::Malformed("do is missing: do=start, sub=\"42\""));
    };
    let BareItemFromInput::Token(action) = action else {
        return Err(CommandRefusal::Malformed("do must be a Token: do=start"));
    };
    let alone = |command| {
        let says = "do=end, do=end-others and do=end-all take no other member";
        if members.len() == 1 { Ok(command) } else { Err(unknown_or_nonce(&members, says)) }
    };
    match action.as_str() {
        "start" => parse_start(&members).map(Command::Start),
        "rotate" => parse_rotate(&members),
        "update" => parse_update(&members),
        "end" => alone(Command::End),
        "end-others" => alone(Command::EndOthers),
        "end-all" => alone(Command::EndAll),
        _ => Err(CommandRefusal::Malformed("unknown do; allowed: start, rotate, update, end, end-others, end-all")),
    }
}

impl Nonce<'_> {
    /// Whether the members show that the origin itself has spoken. Of several
    /// nonces one is enough: the header is malformed then, and the origin has a
    /// part in it.
    fn compare(self, members: Option<&Members<'_>>) -> Result<(), CommandRefusal> {
        let (sent, is_wanted) = match self {
            Self::NotSent => return Ok(()),
            Self::Sent(sent) => (sent, false),
            Self::Wanted(sent) => (sent, true),
        };
        let unproven = |why| if is_wanted { Err(CommandRefusal::Unproven(why)) } else { Ok(()) };
        let Some(members) = members else { return unproven("it cannot be read, and so no nonce in it") };
        let mut said = members.list.iter().filter(|(key, _)| *key == "nonce").map(|(_, value)| value).peekable();
        if said.peek().is_none() {
            return unproven("it does not repeat the nonce");
        }
        let is_sent = |value: &BareItemFromInput<'_>| match value {
            BareItemFromInput::String(text) => text.as_str().as_bytes().ct_eq(sent.as_bytes()).to_bool(),
            _ => false,
        };
        if said.any(is_sent) { Ok(()) } else { Err(CommandRefusal::Unproven("its nonce is not that of the request")) }
    }
}

type Item<'a> = (&'a str, BareItemFromInput<'a>);

fn parse_start(members: &[Item<'_>]) -> Result<Start, CommandRefusal> {
    let mut subject = None;
    let (mut level, mut ttl, mut claims, mut end_others) = (None, None, None, false);
    for (key, value) in members {
        match (*key, value) {
            ("do", _) => {}
            ("sub", BareItemFromInput::String(text)) => subject = Some(subject_of(text.as_str())?),
            ("sub", BareItemFromInput::DisplayString(text)) => subject = Some(subject_of(text)?),
            ("sub", _) => return Err(CommandRefusal::Malformed("sub must be a String or a Display String")),
            ("level", value) => level = Some(level_of(value)?),
            ("ttl", BareItemFromInput::Integer(number)) => ttl = Some(ttl_of(i64::from(*number))?),
            ("ttl", _) => return Err(CommandRefusal::Malformed("ttl must be an Integer, in seconds")),
            ("claims", value) => claims = Some(claims_of(value)?),
            ("end-others", BareItemFromInput::Boolean(flag)) => end_others = *flag,
            ("end-others", _) => return Err(CommandRefusal::Malformed("end-others must be a Boolean")),
            _ => {
                let says = "unknown member; do=start takes sub, level, ttl, claims, end-others";
                return Err(unknown_or_nonce(members, says));
            }
        }
    }
    let subject = subject.ok_or(CommandRefusal::Malformed("do=start needs sub"))?;
    Ok(Start { subject, level, ttl, claims, end_others })
}

fn parse_rotate(members: &[Item<'_>]) -> Result<Command, CommandRefusal> {
    let mut level = None;
    for (key, value) in members {
        match *key {
            "do" => {}
            "level" => level = Some(level_of(value)?),
            _ => return Err(unknown_or_nonce(members, "unknown member; do=rotate takes level")),
        }
    }
    Ok(Command::Rotate { level })
}

fn parse_update(members: &[Item<'_>]) -> Result<Command, CommandRefusal> {
    let mut claims = None;
    for (key, value) in members {
        match *key {
            "do" => {}
            "claims" => claims = Some(claims_of(value)?),
            _ => return Err(unknown_or_nonce(members, "unknown member; do=update takes claims")),
        }
    }
    claims.map(|claims| Command::Update { claims }).ok_or(CommandRefusal::Malformed("do=update needs claims"))
}

/// A member that does not belong to the command; `nonce` does where one was
/// sent.
fn unknown_or_nonce(members: &[Item<'_>], says: &'static str) -> CommandRefusal {
    let has_nonce = members.iter().any(|(key, _)| *key == "nonce");
    CommandRefusal::Malformed(if has_nonce {
        "nonce: none was sent; the route needs commands = \"nonce\""
    } else {
        says
    })
}

fn level_of(value: &BareItemFromInput<'_>) -> Result<u8, CommandRefusal> {
    let BareItemFromInput::Integer(number) = value else {
        return Err(CommandRefusal::Malformed("level must be an Integer"));
    };
    u8::try_from(i64::from(*number)).map_err(|_| CommandRefusal::Malformed("level must be from 0 to 255"))
}

fn claims_of(value: &BareItemFromInput<'_>) -> Result<Claims, CommandRefusal> {
    let BareItemFromInput::ByteSequence(bytes) = value else {
        return Err(CommandRefusal::Malformed("claims must be a Byte Sequence: claims=:<base64>:"));
    };
    core::str::from_utf8(bytes)
        .ok()
        .and_then(Claims::parse)
        .ok_or(CommandRefusal::Malformed("claims must be a Byte Sequence of a JSON object of at most 2048 bytes"))
}

fn subject_of(text: &str) -> Result<Subject, CommandRefusal> {
    Subject::parse(text).ok_or(CommandRefusal::Malformed(
        "sub must be 1 to 255 bytes without control characters or white space at the ends",
    ))
}

fn ttl_of(seconds: i64) -> Result<Duration, CommandRefusal> {
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| (1..=SPAN_SECONDS_MAX).contains(seconds))
        .map(Duration::from_secs)
        .ok_or(CommandRefusal::Malformed("ttl must be from 1 to 315360000 seconds"))
}

/// The dictionary's members as they come, so that repeated ones are seen: a
/// Dictionary type would keep only the last.
#[derive(Default)]
struct Members<'de> {
    list: Vec<(&'de str, BareItemFromInput<'de>)>,
    has_repeated_or_adorned: bool,
}

impl<'de> Members<'de> {
    fn read(header: &'de str) -> Result<Self, &'static str> {
        if header.len() > COMMAND_BYTES_MAX {
            return Err("it is longer than 8192 bytes");
        }
        Parser::new(header)
            .parse_dictionary_with_visitor(Self::default())
            .map_err(|_| "not a Structured Field Dictionary (RFC 9651)")
    }
}

impl<'de> DictionaryVisitor<'de> for Members<'de> {
    type Out = Self;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        if self.list.iter().any(|(earlier, _)| *earlier == key.as_str()) {
            self.has_repeated_or_adorned = true;
        }
        Ok(Member { key: key.as_str(), members: self })
    }

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

struct Member<'m, 'de> {
    key: &'de str,
    members: &'m mut Members<'de>,
}

impl<'de> EntryVisitor<'de> for Member<'_, 'de> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        self.members.has_repeated_or_adorned = true;
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for Member<'_, 'de> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        self.members.list.push((self.key, item));
        Ok(AnyParameter(&mut self.members.has_repeated_or_adorned))
    }
}

/// Notes that a member has a parameter; none has a meaning here.
struct AnyParameter<'m>(&'m mut bool);

impl<'de> ParameterVisitor<'de> for AnyParameter<'_> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, _key: &'de KeyRef, _value: BareItemFromInput<'de>) -> Result<(), Infallible> {
        *self.0 = true;
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// More than twice the longest subject and claims. Each member is compared with
/// those before it, so there must not be any number of them.
const COMMAND_BYTES_MAX: usize = 8_192;
