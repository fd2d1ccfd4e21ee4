//! Whose the first value is: by its own word where it is a JWT, else by the
//! application's.

use crate::custody::{Change, Jwt, Kind, Opened, Value, refuse};
use crate::error::Failure;
use crate::ports::Ports;
use crate::request::Request;
use crate::session::Subject;
use crate::sessions::Sessions;
use crate::site::Site;

/// Notes in the change whose its first value is. A cookie that is no JWT, where
/// the application can be asked about it (`adopt`), is asked about; if it is
/// nobody's, such as one that a log-out leaves, that is as if it were cleared.
///
/// # Errors
/// It cannot be known, so the value cannot be kept.
pub async fn name<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    opened: Option<&Opened>,
    change: &mut Change,
) -> Result<(), Failure> {
    let custody = &site.config.custody;
    let first = custody.cookies.first();
    let is_first = |value: &&Value| value.kind == Kind::Bearer || Some(&value.name) == first;
    let Some(value) = change.set.iter().find(is_first) else { return Ok(()) };
    if let Some(subject) = Jwt::read(&value.value).and_then(|jwt| jwt.subject(&custody.subject)) {
        change.subject = Some(subject);
        return Ok(());
    }
    let adopt = site.config.adopt.as_ref().filter(|adopt| value.kind == Kind::Cookie && adopt.cookie == value.name);
    let Some(adopt) = adopt else {
        let says = format!("{} is no JWT with a subject at {} in its claims", value.name, custody.subject);
        return Err(refuse(ports, says));
    };
    let known: Option<Subject> = opened.and_then(|opened| opened.holding.whose(value).cloned());
    change.subject = match known {
        Some(subject) => Some(subject),
        None => Sessions::new(site, ports).probe(adopt, request, &value.value).await?,
    };
    if change.subject.is_none() {
        let name = value.name.clone();
        change.set.retain(|value| value.name != name);
        change.cleared.push(name);
    }
    Ok(())
}
