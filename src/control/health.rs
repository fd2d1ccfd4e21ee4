//! `GET /_warifu/health`: for load balancers and people. It says nothing but
//! whether sessions can be checked.

use serde_json::json;

use super::input::Query;
use crate::error::Failure;
use crate::limit;
use crate::ports::{Ports, Shards};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::sessions::tell_store_error;

pub async fn answer<P: Ports>(ports: &P, request: &Request) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    let memory = ports.memory();
    if !memory.is_store_well(ports.time()) {
        ports.shards().probe().await.map_err(|error| {
            // Anybody can ask as often as they like.
            limit::tell_or_count(ports, limit::is_told(ports, request), "store_unavailable", || {
                tell_store_error(ports, &error);
            });
            Failure::from(error)
        })?;
        memory.store_is_well(ports.time());
    }
    Ok(OwnResponse::json(200, &json!({ "status": "ok" })))
}
