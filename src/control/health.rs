//! `GET /_warifu/health`: for load balancers and people. It says nothing but
//! whether sessions can be checked.

use serde_json::json;

use super::input::Query;
use crate::error::Failure;
use crate::ports::{Ports, Shards};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::sessions::tell_store_error;

pub async fn answer<P: Ports>(ports: &P, request: &Request) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    ports.shards().probe().await.map_err(|error| {
        tell_store_error(ports, &error);
        Failure::from(error)
    })?;
    Ok(OwnResponse::json(200, &json!({ "status": "ok" })))
}
