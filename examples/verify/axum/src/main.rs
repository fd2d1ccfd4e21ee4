//! An origin that answers only what came through the gateway: all else gets 401.
//! docs/signatures.md says what is signed, and what that is good for.
//!
//! The crate `httpsig` (0.0.26) writes a signature's parameters in an order of
//! its own, so that it verifies only what has that order. `sfv` keeps theirs.

use std::{collections::HashMap, env, error::Error, time::UNIX_EPOCH};

use axum::{Json, Router, extract::Request, http::StatusCode};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sfv::{Dictionary, FieldType, List, ListEntry, Parser};

// Where the gateway has a user_header: its name, in lower case, stands before "warifu-subject".
const IDENTITY: [&str; 5] = ["warifu-session", "warifu-level", "warifu-auth-time", "warifu-claims", "warifu-subject"];

/// What to answer, if the request came through the gateway.
fn verify(request: &Request, keys: &HashMap<String, Hmac<sha2::Sha256>>) -> Option<Json<Value>> {
    // None where it is there twice, too.
    let header = |name| request.headers().get_all(name).iter().map(|value| value.to_str().ok()).reduce(|_, _| None)?;
    let ours = |name| Parser::new(header(name)?).parse::<Dictionary>().ok()?.swap_remove("warifu");
    let Some(ListEntry::InnerList(input)) = ours("signature-input") else { return None };
    let Some(ListEntry::Item(signature)) = ours("signature") else { return None };
    let text = |name| Some(input.params.get(name)?.as_string()?.as_str());
    let seconds = |name| u64::try_from(input.params.get(name)?.as_integer()?).ok();
    let (now, skew) = (UNIX_EPOCH.elapsed().ok()?.as_secs(), 5);
    let is_current = seconds("created")? <= now + skew && now <= seconds("expires")? + skew;
    let is_ours = text("tag")? == "warifu" && text("alg")? == "hmac-sha256" && text("nonce").is_some();
    let mut mac = keys.get(text("keyid")?).filter(|_| is_ours && is_current)?.clone();
    // What the gateway covers, in its order: the MAC of anything that covers less is another.
    let (method, path, query) = (request.method(), request.uri().path(), request.uri().query().unwrap_or_default());
    // A target that names a host (http://…/) could name another than `Host`, which the gateway sends.
    let authority = header("host").filter(|_| request.uri().authority().is_none())?.to_ascii_lowercase();
    mac.update(format!("\"@method\": {method}\n\"@authority\": {authority}\n").as_bytes());
    mac.update(format!("\"@path\": {path}\n\"@query\": ?{query}\n").as_bytes());
    for name in IDENTITY {
        mac.update(format!("\"{name}\": {}\n", header(name)?).as_bytes());
    }
    mac.update(format!("\"@signature-params\": {}", List::from([ListEntry::InnerList(input)]).serialize()?).as_bytes());
    mac.verify_slice(signature.bare_item.as_byte_sequence()?).ok()?;
    let subject = percent_encoding::percent_decode_str(header("warifu-subject")?).decode_utf8().ok()?;
    Some(Json(json!({ "subject": subject, "session": header("warifu-session")?, "level": header("warifu-level")? })))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // All keys verify, so that they can be replaced one after the other.
    let list: Vec<Value> = serde_json::from_str(&env::var("WARIFU_ORIGIN_KEYS")?)?;
    let bytes = |key: &Value| Base64UrlUnpadded::decode_vec(key.as_str()?).ok();
    let entry = |entry: &Value| Some((entry["kid"].to_string(), Hmac::new_from_slice(&bytes(&entry["key"])?).ok()?));
    let keys: HashMap<_, _> = list.iter().map(entry).collect::<Option<_>>().ok_or("WARIFU_ORIGIN_KEYS")?;
    let answer = async move |request: Request| {
        let verified = verify(&request, &keys);
        // Who hangs up while a body is on its way is a broken origin: 502.
        let _ = axum::body::to_bytes(request.into_body(), 1 << 20).await;
        verified.ok_or(StatusCode::UNAUTHORIZED)
    };
    let app = Router::new().fallback(answer);
    let port = env::var("PORT").map_or(Ok(8790), |port| port.parse())?;
    Ok(axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?, app).await?)
}
