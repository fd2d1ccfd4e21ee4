//! `GET /_warifu/key`: what an administrator's key is good for, and where. The
//! console asks it first.

use serde_json::json;

use super::input::Query;
use crate::admin_keys::{AdminKey, Scope};
use crate::error::Failure;
use crate::request::Request;
use crate::response::OwnResponse;
use crate::site::Site;
use crate::time::millis;

pub fn answer(site: &Site, request: &Request, key: &AdminKey) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    // As receipts count it, so far as this version knows: no edge of it lets an ended session in for longer.
    let bound = site.config.bound.max(site.config.continue_in_use());
    let scopes: Vec<&str> = key.scopes().iter().copied().map(Scope::name).collect();
    Ok(OwnResponse::json(
        200,
        &json!({
            "id": key.id(),
            "scopes": scopes,
            "site": site.config.site,
            "bound_ms": millis(bound),
        }),
    ))
}
