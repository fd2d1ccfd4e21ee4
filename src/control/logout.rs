//! `POST /_warifu/logout`: ends the session of the cookie and clears it.
//!
//! Always POST and never from another site, since a link or an image must not
//! be able to log anybody out.

use crate::admission;
use crate::answer::{end_sessions, write_cookie};
use crate::audit::Cause;
use crate::cookie;
use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::ports::{Body, BodyError, BodyOf, Ports};
use crate::request::Request;
use crate::response::{OwnResponse, safe_return_to};
use crate::site::Site;

pub async fn answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    body: BodyOf<P>,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    admission::refuse_cross_origin(site, ports, request, path)?;
    // Read before anything is ended, so that a bad form changes nothing.
    let return_to = return_to(request, body).await?;
    let presented = admission::presented(site, ports, request, path);
    end_sessions(site, ports, &presented, cause).await?;
    let mut response = match return_to {
        Some(location) => OwnResponse::empty(303).with("location", location),
        None => OwnResponse::empty(204),
    };
    write_cookie(site, cookie::clear(&site.config.cookie), presented.len(), &mut response.headers);
    Ok(response.with("clear-site-data", "\"cache\""))
}

/// The form field `return_to`, if a form was posted.
async fn return_to<B: Body>(request: &Request, body: B) -> Result<Option<String>, Failure> {
    let is_form = request.headers.get("content-type").is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !is_form {
        return Ok(None);
    }
    let bytes = match body.read(FORM_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(BodyError::TooLong) => return Err(Failure::BodyTooLarge),
        Err(BodyError::TooSlow) => return Err(Failure::BodyTimeout),
        Err(BodyError::Broken) => return Err(Failure::BadRequest("the body broke off")),
    };
    let field = form_urlencoded::parse(&bytes).find(|(name, _)| name == "return_to").map(|(_, value)| value);
    match field {
        None => Ok(None),
        Some(value) => safe_return_to(&value)
            .map(|location| Some(location.to_owned()))
            .ok_or(Failure::BadRequest("return_to must be a path and query of this site")),
    }
}

const FORM_BYTES_MAX: usize = 16_384;
