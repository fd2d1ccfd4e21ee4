//! `GET /_warifu/verify`: forward-auth for other proxies, such as nginx's
//! `auth_request`. The proxy says what it requires; nothing is concluded from
//! a path or a header that the user could have sent.

use core::time::Duration;

use super::input::Query;
use crate::admission;
use crate::config::Access;
use crate::error::Failure;
use crate::forward;
use crate::headers::HeaderBlock;
use crate::path::CanonicalPath;
use crate::policy::Demand;
use crate::ports::Ports;
use crate::request::Request;
use crate::response::OwnResponse;
use crate::sessions::Look;
use crate::site::Site;
use crate::time::parse_span;

pub async fn answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
) -> Result<OwnResponse, Failure> {
    let query = Query::read(request, &["access", "level", "max_auth_age", "method", "origin", "sec_fetch_site"])?;
    let demand = demand(&query)?;
    let asked = asked_about(request, &query)?;
    admission::refuse_cross_origin(site, ports, &asked, path)?;
    let presented = admission::presented(site, ports, request, path);
    let caller = match admission::identify(site, ports, request, &presented, demand, Look::Use).await {
        Ok(caller) => Some(caller),
        Err(Failure::NoSession) if demand.access == Access::Optional => None,
        Err(failure) => return Err(failure),
    };
    let mut answer = OwnResponse::empty(204);
    let identity = forward::identity(&site.config, caller.as_ref().map(|caller| &*caller.session));
    answer.headers.extend(identity.into_iter().map(|(name, value)| (name.into_owned(), value)));
    let cookie = match (&caller, presented.first()) {
        (Some(caller), Some(token)) => caller.newer_cookie(site, ports, token).await,
        _ => None,
    };
    // Only this one: a proxy copies one header, and nginx joins two lines of it to one that clears
    // the cookie.
    Ok(match cookie {
        Some(set_cookie) => answer.with("set-cookie", set_cookie),
        None => answer,
    })
}

/// What the proxy requires; what it does not name, as for a path without a rule.
fn demand(query: &Query) -> Result<Demand, Failure> {
    let wrong = |name: &str, wanted: &str| Failure::BadInput(format!("{name} must be {wanted}"));
    let access = match query.get("access") {
        None | Some("required") => Access::Required,
        Some("optional") => Access::Optional,
        Some("strict") => Access::Strict,
        Some(_) => return Err(wrong("access", "optional, required or strict")),
    };
    let level = query.get("level").map(|text| number(text).ok_or_else(|| wrong("level", "from 0 to 255")));
    let age = |text: &str| -> Result<Duration, Failure> {
        parse_span(text).ok_or_else(|| wrong("max_auth_age", "a duration with a unit, such as 5m"))
    };
    Ok(Demand {
        access,
        level: level.transpose()?.unwrap_or(0),
        max_auth_age: query.get("max_auth_age").map(age).transpose()?,
        ..Demand::UNMATCHED
    })
}

/// Digits only: `u8::from_str` would take a sign.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The user's request, as far as the cross-origin rule looks at it.
fn asked_about(request: &Request, query: &Query) -> Result<Request, Failure> {
    let method = query.get("method").unwrap_or("GET");
    if !method.bytes().all(|b| b.is_ascii_uppercase()) || method.is_empty() {
        return Err(Failure::BadInput("method must be a method in capitals".to_owned()));
    }
    let named = [("origin", query.get("origin")), ("sec-fetch-site", query.get("sec_fetch_site"))];
    // A proxy that passes an absent header on sends an empty parameter.
    let given =
        named.into_iter().filter_map(|(name, value)| value.filter(|v| !v.is_empty()).map(|value| (name, value)));
    if given.clone().any(|(_, value)| value.contains('\n')) {
        return Err(Failure::BadInput("origin and sec_fetch_site must be values of headers".to_owned()));
    }
    Ok(Request { method: method.to_owned(), headers: HeaderBlock::from_pairs(given), ..request.clone() })
}
