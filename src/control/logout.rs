//! `POST /_warifu/logout`: ends the session of the cookie and clears it.
//!
//! Always POST and never from another site, since a link or an image must not
//! be able to log anybody out.

use crate::admission;
use crate::answer::{end_sessions, write_cookie};
use crate::audit::Cause;
use crate::control::input;
use crate::cookie;
use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::ports::{Body, BodyOf, Ports};
use crate::request::Request;
use crate::response::{OwnResponse, safe_return_to};
use crate::sessions::Look;
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
    end_sessions(site, ports, &presented, cause, Look::Use).await?;
    let mut response = match return_to {
        Some(location) => OwnResponse::empty(303).with("location", location),
        None => OwnResponse::empty(204),
    };
    write_cookie(site, cookie::clear(&site.config.cookie), &presented, &mut response.headers);
    // What has not moved in yet would let the person in again at the next request.
    if let Some(adopt) = &site.config.adopt {
        response = response.with("set-cookie", adopt.clear());
    }
    Ok(response.with("clear-site-data", "\"cache\""))
}

/// The form field `return_to`, if a form was posted.
async fn return_to<B: Body>(request: &Request, body: B) -> Result<Option<String>, Failure> {
    if request.headers.media_type().as_deref() != Some("application/x-www-form-urlencoded") {
        return Ok(None);
    }
    let bytes = input::bytes(body).await?;
    let field = form_urlencoded::parse(&bytes).find(|(name, _)| name == "return_to").map(|(_, value)| value);
    match field {
        None => Ok(None),
        Some(value) => safe_return_to(&value)
            .map(|location| Some(location.to_owned()))
            .ok_or(Failure::BadRequest("return_to must be a path and query of this site")),
    }
}
