//! JSON into records, in little code.
//!
//! serde's derived readers are made anew for each type and each parser: of all
//! that the Worker was, they were nearly a third. Here the text becomes a
//! [`Value`] first, by one parser for all, and a record is what [`read_record`]
//! or [`read_choice`] takes out of it, a call for each member. The form stays
//! serde's: a choice is a text where nothing belongs to it, else an object of
//! one member; writing is still derived.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// What can be read out of JSON. `impl Deserialize` goes by it.
pub trait Read: Sized {
    /// # Errors
    /// It is something else.
    fn read(value: Value) -> Result<Self, Unread>;
}

/// Why something was not read: no values, since these are people's own.
#[derive(Debug)]
pub enum Unread {
    No(&'static str),
    Without(&'static str),
    UnknownMember,
}

impl core::fmt::Display for Unread {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (says, what) = match self {
            Self::No(what) => ("no ", *what),
            Self::Without(member) => ("without the member ", *member),
            Self::UnknownMember => ("with a member that is not known", ""),
        };
        f.write_str(says)?;
        f.write_str(what)
    }
}

/// What is one of several things, each of which has a name.
pub trait Choice {
    fn name(&self) -> &'static str;
}

/// The members of an object, each of which is taken once.
pub struct Members(Map<String, Value>);

impl Members {
    /// # Errors
    /// It is no object.
    pub fn of(value: Value) -> Result<Self, Unread> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(Unread::No("object")),
        }
    }

    /// The same where there may be no others than so many, all of which are
    /// taken after this, and those that need not be there.
    ///
    /// # Errors
    /// It is no object, or one with more members.
    pub fn exactly(value: Value, count: usize, spares: &[&str]) -> Result<Self, Unread> {
        let members = Self::of(value)?;
        let spares = spares.iter().filter(|name| members.0.contains_key(**name)).count();
        if members.0.len() > count + spares {
            return Err(Unread::UnknownMember);
        }
        Ok(members)
    }

    /// # Errors
    /// It is not there; null is something.
    pub fn take<T: Read>(&mut self, name: &'static str) -> Result<T, Unread> {
        self.find(name).ok_or(Unread::Without(name)).and_then(T::read)
    }

    /// `None`: it is not there, or null.
    ///
    /// # Errors
    /// It is something else.
    pub fn take_if_there<T: Read>(&mut self, name: &'static str) -> Result<Option<T>, Unread> {
        Option::read(self.find(name).unwrap_or_default())
    }

    #[inline(never)]
    fn find(&mut self, name: &str) -> Option<Value> {
        self.0.get_mut(name).map(Value::take)
    }
}

/// The name of a choice, and what belongs to it.
///
/// # Errors
/// It is neither a text nor an object of one member.
pub fn choice(value: Value) -> Result<(String, Option<Value>), Unread> {
    match value {
        Value::String(name) => Ok((name, None)),
        Value::Object(members) if members.len() == 1 => {
            let only = members.into_iter().next();
            only.map(|(name, inner)| (name, Some(inner))).ok_or(Unread::No("choice"))
        }
        _ => Err(Unread::No("choice")),
    }
}

/// What serde asks for, by way of [`Read`].
///
/// # Errors
/// It is no JSON, or not this.
pub fn deserialize<'de, T: Read, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::read(Value::deserialize(from)?).map_err(D::Error::custom)
}

/// What stands in a text of JSON.
///
/// # Errors
/// It is no JSON, or not this.
pub fn text<T: Read>(text: &str) -> Result<T, Unread> {
    T::read(serde_json::from_str(text).map_err(|_| Unread::No("JSON"))?)
}

/// The same of bytes: one parser, over texts, serves all.
///
/// # Errors
/// It is no JSON, or not this.
pub fn bytes<T: Read>(bytes: &[u8]) -> Result<T, Unread> {
    text(core::str::from_utf8(bytes).map_err(|_| Unread::No("UTF-8"))?)
}

macro_rules! deserialize_by_read {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::read::deserialize(from)
            }
        }
    };
}

/// A struct by its members, and after a `;` those that need not be there;
/// `strict`: there may be no others.
macro_rules! read_record {
    (@members $value:ident strict $($member:ident)+ $(; $($spare:ident)+)?) => {
        $crate::read::Members::exactly($value, [$(stringify!($member)),+].len(), &[$($(stringify!($spare)),+)?])?
    };
    (@members $value:ident open $($rest:tt)+) => { $crate::read::Members::of($value)? };
    ($form:ident $type:ident { $($member:ident),+ $(; $($spare:ident),+)? $(,)? }) => {
        impl $crate::read::Read for $type {
            fn read(value: serde_json::Value) -> Result<Self, $crate::read::Unread> {
                let mut members = $crate::read::read_record!(@members value $form $($member)+ $(; $($spare)+)?);
                Ok(Self {
                    $($member: members.take(stringify!($member))?,)+
                    $($($spare: members.take_if_there(stringify!($spare))?),+)?
                })
            }
        }
        $crate::read::deserialize_by_read!($type);
    };
}

/// An enum by the names of its choices, and their members as in a struct.
macro_rules! read_choice {
    (@inner $form:ident $inner:ident $choice:ident { $($member:ident),+ $(; $($spare:ident),+)? }) => {
        $inner.ok_or($crate::read::Unread::No("object")).and_then(|value| {
            let mut members = $crate::read::read_record!(@members value $form $($member)+ $(; $($spare)+)?);
            Ok(Self::$choice {
                $($member: members.take(stringify!($member))?,)+
                $($($spare: members.take_if_there(stringify!($spare))?),+)?
            })
        })
    };
    (@inner $form:ident $inner:ident $choice:ident ($_:tt)) => {
        $inner.ok_or($crate::read::Unread::No("value")).and_then($crate::read::Read::read).map(Self::$choice)
    };
    (@inner $form:ident $inner:ident $choice:ident) => {
        match $inner {
            None => Ok(Self::$choice),
            Some(_) => Err($crate::read::Unread::No("text")),
        }
    };
    ($form:ident $type:ident {
        $($name:literal => $choice:ident $({ $($member:ident),+ $(; $($spare:ident),+)? })? $(($inner:tt))?),+ $(,)?
    }) => {
        impl $crate::read::Read for $type {
            fn read(value: serde_json::Value) -> Result<Self, $crate::read::Unread> {
                let (name, inner) = $crate::read::choice(value)?;
                match name.as_str() {
                    $($name => $crate::read::read_choice!(
                        @inner $form inner $choice $({ $($member),+ $(; $($spare),+)? })? $(($inner))?
                    ),)+
                    _ => Err($crate::read::Unread::No(concat!("known ", stringify!($type)))),
                }
            }
        }
        impl $crate::read::Choice for $type {
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$choice { .. } => $name,)+
                }
            }
        }
        $crate::read::deserialize_by_read!($type);
    };
}

/// A type that reads itself out of a text.
macro_rules! read_text {
    ($type:ident, $parse:expr, $what:literal) => {
        impl $crate::read::Read for $type {
            fn read(value: serde_json::Value) -> Result<Self, $crate::read::Unread> {
                value.as_str().and_then($parse).ok_or($crate::read::Unread::No($what))
            }
        }
        $crate::read::deserialize_by_read!($type);
    };
}
pub(crate) use {deserialize_by_read, read_choice, read_record, read_text};

impl Read for Value {
    fn read(value: Value) -> Result<Self, Unread> {
        Ok(value)
    }
}

impl Read for Map<String, Value> {
    fn read(value: Value) -> Result<Self, Unread> {
        Members::of(value).map(|members| members.0)
    }
}

impl Read for String {
    fn read(value: Value) -> Result<Self, Unread> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(Unread::No("text")),
        }
    }
}

impl Read for Zeroizing<String> {
    fn read(value: Value) -> Result<Self, Unread> {
        String::read(value).map(Self::new)
    }
}

impl Read for bool {
    fn read(value: Value) -> Result<Self, Unread> {
        value.as_bool().ok_or(Unread::No("true or false"))
    }
}

impl Read for u64 {
    fn read(value: Value) -> Result<Self, Unread> {
        value.as_u64().ok_or(Unread::No("whole number"))
    }
}

macro_rules! read_smaller {
    ($($type:ty),+) => {$(
        impl Read for $type {
            fn read(value: Value) -> Result<Self, Unread> {
                u64::read(value)?.try_into().map_err(|_| Unread::No("number in range"))
            }
        }
    )+};
}
read_smaller!(u8, u16, u32);

impl<T: Read> Read for Option<T> {
    fn read(value: Value) -> Result<Self, Unread> {
        if value.is_null() { Ok(None) } else { T::read(value).map(Some) }
    }
}

impl<T: Read> Read for Box<T> {
    fn read(value: Value) -> Result<Self, Unread> {
        T::read(value).map(Self::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: Value) -> Result<Self, Unread> {
        match value {
            Value::Array(items) => {
                let mut all = Self::with_capacity(items.len());
                for item in items {
                    all.push(T::read(item)?);
                }
                Ok(all)
            }
            _ => Err(Unread::No("list")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Row {
        level: u8,
        name: Option<String>,
    }
    read_record!(strict Row { level, name });

    #[derive(Debug, PartialEq)]
    enum Pick {
        None,
        One(Row),
        Some { level: u8 },
        More { level: u8, name: Option<String> },
    }
    read_choice!(open Pick {
        "none" => None,
        "one" => One(_),
        "some" => Some { level },
        "more" => More { level; name },
    });

    #[test]
    fn a_record_has_all_its_members_and_no_others() {
        let row = |level, name: Option<&str>| Some(Row { level, name: name.map(str::to_owned) });
        for (from, expected) in [
            (r#"{"level":255,"name":"a"}"#, row(255, Some("a"))),
            (r#"{"name":null,"level":0}"#, row(0, None)),
            (r#"{"level":0}"#, None),
            (r#"{"level":null,"name":null}"#, None),
            (r#"{"level":256,"name":null}"#, None),
            (r#"{"level":1.0,"name":null}"#, None),
            (r#"{"level":-1,"name":null}"#, None),
            (r#"{"level":"1","name":null}"#, None),
            (r#"{"level":1,"name":1}"#, None),
            (r#"{"level":1,"name":null,"more":1}"#, None),
            (r#"{"level":1,"more":null}"#, None),
            ("[1,null]", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(text::<Row>(from).ok(), expected, "{from}");
        }
    }

    #[test]
    fn a_choice_is_a_text_or_an_object_of_one_member() {
        for (from, expected) in [
            (r#""none""#, Some(Pick::None)),
            (r#"{"one":{"level":1,"name":null}}"#, Some(Pick::One(Row { level: 1, name: None }))),
            (r#"{"some":{"level":1,"new":2}}"#, Some(Pick::Some { level: 1 })),
            (r#"{"more":{"level":1}}"#, Some(Pick::More { level: 1, name: None })),
            (r#"{"more":{"level":1,"name":"a"}}"#, Some(Pick::More { level: 1, name: Some("a".to_owned()) })),
            (r#"{"more":{"level":1,"name":2}}"#, None),
            (r#"{"more":{"name":"a"}}"#, None),
            (r#"{"none":null}"#, None),
            (r#""one""#, None),
            (r#""some""#, None),
            (r#"{"some":null}"#, None),
            (r#"{"some":{"level":1},"none":null}"#, None),
            ("{}", None),
            (r#""else""#, None),
            (r#"{"else":1}"#, None),
        ] {
            assert_eq!(text::<Pick>(from).ok(), expected, "{from}");
        }
        assert_eq!(Pick::Some { level: 1 }.name(), "some");
    }
}
