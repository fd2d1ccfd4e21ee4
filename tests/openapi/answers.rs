//! Real answers of the gate, held against the description.

use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use warifu::admin_keys::Scope;
use warifu::site::{Secrets, Site, Sites};

use crate::document::in_file;
use crate::support::world::Seen;
use crate::support::{CONFIG, KEYS, World, request};

/// Panics unless the value is as the schema says, and has nothing in it that
/// the schema does not name.
pub fn assert_valid(document: &Value, schema: &Value, value: &Value) {
    let validator = validator(document, schema);
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?} in {value}, by {schema}");
}

/// A schema of the document, made strict: what it does not name is an error.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.as_object().expect("a schema").clone();
    whole.insert("components".to_owned(), json!({ "schemas": strict(&document["components"]["schemas"]) }));
    jsonschema::options().should_validate_formats(true).build(&strict(&whole.into())).expect("a schema")
}

fn strict(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Map<String, Value> =
                members.iter().map(|(name, member)| (name.clone(), strict(member))).collect();
            if members.get("properties").is_some_and(Value::is_object) && members.contains_key("type") {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.into()
        }
        other => other.clone(),
    }
}

/// A gate that knows one key with all scopes, and one with none.
struct Api {
    world: World,
    site: Site,
    document: Value,
}

impl Api {
    fn new() -> Self {
        Self::with(CONFIG)
    }

    fn with(config: &str) -> Self {
        let hash = |key: &str| base16ct::lower::encode_string(&Sha256::digest(key));
        let keys = json!([
            { "id": "ops", "sha256": hash("key"), "scopes": Scope::ALL.map(Scope::name) },
            { "id": "none", "sha256": hash("weak"), "scopes": [] },
        ])
        .to_string();
        let secrets = Secrets { keys: Some(KEYS), admin_keys: Some(&keys), ..Secrets::default() };
        let site = Sites::read(config, secrets).expect("a valid configuration").into_first().expect("a site");
        Self { world: World::with_login(), site, document: in_file() }
    }

    /// Sends a request, and holds what comes back against the description of
    /// the operation.
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value, Seen) {
        let sent = request(method, &format!("/_warifu{path}"), headers);
        let seen = self.world.serve_with_body(&self.site, &sent, body.as_bytes().to_vec());
        let status = seen.status.expect("an answer of our own");
        let operation = self.operation(method, path);
        // Of these two the description says that they are not of one call.
        let anywhere = json!({ "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } });
        let response =
            if matches!(status, 421 | 431) { &anywhere } else { &operation["responses"][status.to_string()] };
        assert!(response.is_object(), "{method} {path}: {status} is not described: {}", seen.body);
        let response = self.resolved(response);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = self.resolved(header);
            let found = seen.header(&name.to_ascii_lowercase());
            assert!(found.is_some() || header["required"] != true, "{method} {path} {status}: no {name}");
            if let Some(found) = found {
                let value = match header["schema"]["type"].as_str() {
                    Some("integer") => found.parse::<u64>().expect("a number").into(),
                    _ => Value::from(found),
                };
                assert_valid(&self.document, &header["schema"], &value);
            }
        }
        let Some(content) = response["content"].as_object() else {
            assert!(seen.body.is_empty(), "{method} {path} {status}: {}", seen.body);
            return (status, Value::Null, seen);
        };
        let content_type = seen.header("content-type").expect("a content type");
        let described =
            &content.get(content_type).unwrap_or_else(|| panic!("{content_type} of {method} {path}"))["schema"];
        let json: Value = serde_json::from_str(&seen.body).expect("JSON");
        assert_valid(&self.document, described, &json);
        (status, json, seen)
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, json, _) = self.call(method, path, &[("authorization", "Bearer key")], body);
        (status, json)
    }

    fn user(&self, cookie: &str, method: &str, path: &str) -> (u16, Value, Seen) {
        self.call(method, path, &[("cookie", cookie), ("sec-fetch-site", "same-origin")], "")
    }

    /// The code of a problem.
    fn code(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let (status, json, _) = self.call(method, path, headers, body);
        (status, json["code"].as_str().unwrap_or_default().to_owned())
    }

    /// What is described of a path; methods that are not there answer as any
    /// other does.
    fn operation(&self, method: &str, path: &str) -> &Value {
        let bare = path.split('?').next().unwrap_or_default();
        let matches = |template: &str| {
            template.split('/').count() == bare.split('/').count()
                && template.split('/').zip(bare.split('/')).all(|(of, with)| of == with || of.starts_with('{'))
        };
        let paths = self.document["paths"].as_object().expect("paths");
        let mut found: Vec<(&String, &Value)> = paths.iter().filter(|(template, _)| matches(template)).collect();
        found.sort_by_key(|(template, _)| template.contains('{'));
        let methods = found.first().unwrap_or_else(|| panic!("{path} is not described")).1;
        let method = method.to_ascii_lowercase();
        methods.get(&method).unwrap_or_else(|| methods.as_object().and_then(|all| all.values().next()).expect("one"))
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).expect("it is there"),
            None => value,
        }
    }
}

#[test]
fn an_administrators_calls_answer_as_described() {
    let api = Api::new();
    let (status, minted) = api.admin(
        "POST",
        "/sessions",
        r#"{"subject":"割 符","level":2,"ttl":60,"claims":{"a":[1]},"device":{"user_agent":"x","country":"JP"}}"#,
    );
    assert_eq!((status, &minted["session"]["claims"]), (201, &json!({ "a": [1] })));
    let id = minted["session"]["id"].as_str().expect("an id");
    assert_eq!(api.admin("POST", "/sessions", r#"{"subject":"割 符"}"#).0, 201);
    let (status, page) = api.admin("GET", "/sessions?subject=%E5%89%B2+%E7%AC%A6", "");
    assert_eq!((status, page["sessions"].as_array().map(Vec::len), &page["next"]), (200, Some(2), &Value::Null));
    let at = format!("/sessions/{id}");
    assert_eq!(api.admin("GET", &at, ""), (200, minted["session"].clone()));
    let (status, changed) = api.admin("PATCH", &at, r#"{"claims":{},"level":1}"#);
    assert_eq!((status, &changed["claims"], &changed["level"]), (200, &json!({}), &json!(1)));
    assert_eq!(api.admin("PATCH", &at, r#"{"level":9}"#).0, 409);
    let (status, receipt) = api.admin("DELETE", &at, "");
    assert_eq!((status, &receipt["scope"], &receipt["state"]), (200, &json!("session"), &json!("published")));
    let kill = format!("/revocations/{}", receipt["kill_id"].as_str().expect("an id"));
    assert_eq!(api.admin("GET", &kill, ""), (200, receipt));
    assert_eq!(api.admin("DELETE", "/sessions?subject=%E5%89%B2+%E7%AC%A6", "").1["scope"], "subject");
    assert_eq!(api.admin("DELETE", &at, "").0, 200, "again");
    assert_eq!(api.admin("DELETE", "/sessions/AQAAAHq3M68rpyOfG5cTjw", "").0, 404);
    for (method, path) in [("GET", &*at), ("PATCH", &at), ("GET", "/revocations/none")] {
        assert_eq!(api.admin(method, path, r#"{"level":0}"#).0, 404, "{method} {path}");
    }
    assert_eq!(api.admin("DELETE", "/sessions?subject=nobody", "").0, 404);
    for query in ["subject=%E5%89%B2+%E7%AC%A6".to_owned(), format!("session={id}"), "limit=2".to_owned()] {
        let (status, page) = api.admin("GET", &format!("/audit?{query}"), "");
        assert_eq!(status, 200);
        assert!(page["events"].as_array().is_some_and(|events| events.len() > 1), "{page}");
    }
    let (_, page) = api.admin("GET", "/audit?limit=1", "");
    let cursor = page["next"].as_str().expect("more");
    assert_eq!(api.admin("GET", &format!("/audit?limit=1&cursor={cursor}"), "").0, 200);
}

#[test]
fn a_page_has_a_cursor_for_the_next() {
    let api = Api::new();
    for _ in 0..101 {
        assert_eq!(api.admin("POST", "/sessions", r#"{"subject":"alice"}"#).0, 201);
        api.world.pass(Duration::from_millis(1));
    }
    let (_, page) = api.admin("GET", "/sessions?subject=alice", "");
    let cursor = page["next"].as_str().expect("a cursor");
    let parameters = api.operation("GET", "/sessions")["parameters"].as_array().expect("parameters");
    let described = parameters.iter().map(|one| api.resolved(one)).find(|one| one["name"] == "cursor").expect("it");
    assert_valid(&api.document, &described["schema"], &cursor.into());
    let (_, rest) = api.admin("GET", &format!("/sessions?subject=alice&cursor={cursor}"), "");
    assert_eq!(
        (page["sessions"].as_array().map(Vec::len), rest["sessions"].as_array().map(Vec::len)),
        (Some(100), Some(1))
    );
    assert_eq!(api.admin("GET", &format!("/sessions?subject=bob&cursor={cursor}"), "").0, 400);
}

#[test]
fn a_users_calls_answer_as_described() {
    let api = Api::new();
    let (cookie, other) = (api.world.log_in(&api.site), api.world.log_in(&api.site));
    let (_, me, _) = api.user(&cookie, "GET", "/me");
    assert_eq!((&me["subject"], &me["current"]), (&json!("alice"), &json!(true)));
    let (_, page, _) = api.user(&cookie, "GET", "/me/sessions");
    let marks: Vec<&Value> = page["sessions"].as_array().into_iter().flatten().map(|one| &one["current"]).collect();
    assert_eq!(marks.iter().filter(|mark| ***mark == json!(true)).count(), 1, "{marks:?}");
    let (_, theirs, _) = api.user(&other, "GET", "/me");
    let at = format!("/me/sessions/{}", theirs["id"].as_str().expect("an id"));
    assert_eq!(api.user(&cookie, "DELETE", &at).0, 200);
    assert_eq!(api.user(&cookie, "DELETE", &at).0, 200, "again");
    assert_eq!(api.user(&cookie, "DELETE", "/me/sessions/AQAAAHq3M68rpyOfG5cTjw").0, 404);
    let (status, _, seen) = api.user(&cookie, "DELETE", "/me/sessions");
    let fresh = seen.cookie().expect("a fresh cookie").to_owned();
    assert_eq!((status, api.user(&cookie, "GET", "/me").0, api.user(&fresh, "GET", "/me").0), (200, 401, 200));
    assert_eq!(api.user(&fresh, "POST", "/me/not-me?wait=quiesced").0, 200);
    assert_eq!(api.user(&fresh, "POST", "/me/not-me").0, 401);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(api.user(&fresh, "POST", "/logout").0, 204);
    assert_eq!(api.call("POST", "/logout", &form, "return_to=/?bye").0, 303);
    assert_eq!(api.call("POST", "/logout", &form, "return_to=//bye").0, 400);
}

#[test]
fn forward_auth_answers_as_described() {
    let api = Api::new();
    let cookie = api.world.log_in(&api.site);
    let verify = |query: &str, cookie: &str| {
        api.code("GET", &format!("/verify{query}"), &[("authorization", "bearer key"), ("cookie", cookie)], "")
    };
    assert_eq!(verify("", &cookie).0, 204);
    assert_eq!(verify("?access=strict&level=1&max_auth_age=5m&method=POST&origin=&sec_fetch_site=", &cookie).0, 204);
    assert_eq!(verify("?access=optional", "").0, 204);
    assert_eq!(verify("", "").1, "no_session");
    assert_eq!(verify("?level=2", &cookie).1, "step_up_required");
    assert_eq!(verify("?method=POST&sec_fetch_site=cross-site", &cookie).1, "cross_origin");
    for bad in [
        "?access=public",
        "?access=required&access=optional",
        "?level=256",
        "?max_auth_age=5",
        "?method=get",
        "?path=/",
    ] {
        assert_eq!(verify(bad, &cookie), (400, "bad_request".to_owned()), "{bad}");
    }
}

#[test]
fn a_key_is_told_what_it_is_good_for() {
    let api = Api::new();
    let (_, key) = api.admin("GET", "/key", "");
    let scopes = Scope::ALL.map(Scope::name);
    assert_eq!(key, json!({ "id": "ops", "scopes": scopes, "site": "default", "bound_ms": 2_000 }));
    let (status, weak, _) = api.call("GET", "/key", &[("authorization", "Bearer weak")], "");
    assert_eq!((status, &weak["scopes"]), (200, &json!([])), "any key may ask");
    assert_eq!(api.code("GET", "/key", &[("authorization", "Bearer other")], "").1, "bad_admin_key");
    let headers = [("authorization", "Bearer key"), ("sec-fetch-site", "same-origin")];
    assert_eq!(api.code("GET", "/key", &headers, "").1, "admin_host_only");
    assert_eq!(api.admin("GET", "/key?more=1", "").0, 400);
}

#[test]
fn refusals_are_as_described() {
    let api = Api::new();
    let key = [("authorization", "Bearer key")];
    let admins = [
        ("GET", "/verify"),
        ("POST", "/sessions"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("GET", "/sessions/x"),
        ("PATCH", "/sessions/x"),
        ("DELETE", "/sessions/x"),
        ("GET", "/revocations/x"),
    ];
    for (method, path) in admins {
        let code = |headers: &[(&str, &str)]| api.code(method, path, headers, "").1;
        assert_eq!(code(&[]), "bad_admin_key", "{method} {path}");
        assert_eq!(code(&[("authorization", "Bearer other")]), "bad_admin_key", "{method} {path}");
        assert_eq!(code(&[("authorization", "Bearer weak")]), "missing_scope", "{method} {path}");
        assert_eq!(code(&[key[0], ("origin", "https://app.test")]), "admin_host_only", "{method} {path}");
        assert_eq!(code(&[key[0], ("cookie", &"x".repeat(16_385))]), "headers_too_large", "{method} {path}");
    }
    let users = [
        ("GET", "/me"),
        ("GET", "/me/sessions"),
        ("DELETE", "/me/sessions"),
        ("DELETE", "/me/sessions/x"),
        ("POST", "/me/not-me"),
    ];
    for (method, path) in users {
        assert_eq!(api.code(method, path, &[], "").1, "no_session", "{method} {path}");
        assert_eq!(api.code(method, path, &[("sec-fetch-site", "same-site")], "").1, "cross_origin", "{method} {path}");
    }
    for path in [
        "/health",
        "/openapi.json",
        "/verify",
        "/logout",
        "/me",
        "/me/sessions",
        "/me/sessions/x",
        "/sessions",
        "/sessions/x",
    ] {
        assert_eq!(api.code("PUT", path, &[], "").1, "method_not_allowed", "{path}");
    }
    let bodies =
        ["", "[]", "{}", r#"{"subject":""}"#, r#"{"subject":"a","ttl":-1}"#, r#"{"subject":"a","level":null}"#];
    for body in bodies {
        assert_eq!(api.code("POST", "/sessions", &key, body), (400, "bad_request".to_owned()), "{body}");
    }
    assert_eq!(api.code("POST", "/sessions", &key, &" ".repeat(16_385)).1, "body_too_large");
    api.world.shards.is_down.set(true);
    assert_eq!(api.code("GET", "/health", &[], "").1, "store_unavailable");
    assert_eq!(api.code("GET", "/sessions?subject=a", &key, "").1, "store_unavailable");
}

#[test]
fn a_limit_that_is_reached_is_described() {
    let api =
        Api::with(&CONFIG.replacen('{', r#"{"max_sessions": 1, "on_limit": "refuse", "hosts": ["app.test"],"#, 1));
    assert_eq!(api.admin("POST", "/sessions", r#"{"subject":"alice"}"#).0, 201);
    let key = [("authorization", "Bearer key")];
    assert_eq!(api.code("POST", "/sessions", &key, r#"{"subject":"alice"}"#), (409, "session_limit".to_owned()));
}

#[test]
fn a_kill_answers_as_described_whatever_its_state() {
    let api = Api::new();
    let minted = || {
        let (_, minted) = api.admin("POST", "/sessions", r#"{"subject":"alice"}"#);
        format!("/sessions/{}", minted["session"]["id"].as_str().expect("an id"))
    };
    let (status, receipt) = api.admin("DELETE", &format!("{}?wait=quiesced", minted()), "");
    assert_eq!((status, &receipt["state"]), (200, &json!("quiesced")));
    let at = minted();
    assert_eq!(api.admin("DELETE", &format!("{at}?wait=soon"), "").0, 400);
    api.world.shards.is_feed_down.set(true);
    let (status, receipt) = api.admin("DELETE", &format!("{at}?wait=quiesced"), "");
    assert_eq!((status, &receipt["state"], &receipt["epoch"]), (202, &json!("committed"), &Value::Null));
}

#[test]
fn a_kill_of_the_site_answers_as_described() {
    let api = Api::new();
    for body in ["", "{}", r#"{"confirm":"another"}"#, r#"{"confirm":"default","more":1}"#] {
        assert_eq!(api.admin("DELETE", "/sessions", body).0, 400, "{body}");
    }
    let key = [("authorization", "Bearer key")];
    assert_eq!(api.code("DELETE", "/sessions", &key, &" ".repeat(16_385)).1, "body_too_large");
    let (status, receipt) = api.admin("DELETE", "/sessions", r#"{"confirm":"default"}"#);
    assert_eq!((status, &receipt["progress"]["done"]), (202, &json!(0)));
    let at = format!("/revocations/{}", receipt["kill_id"].as_str().expect("an id"));
    let state = || api.admin("GET", &at, "").1["state"].clone();
    assert_eq!(state(), "committed");
    for _ in 0..4 {
        api.world.ring();
    }
    assert_eq!(state(), "published");
    api.world.pass(Duration::from_secs(3));
    assert_eq!(state(), "quiesced");
    api.world.shards.is_feed_down.set(true);
    assert_eq!(api.admin("DELETE", "/sessions", r#"{"confirm":"default"}"#).0, 503);
}

#[test]
fn a_start_in_a_shard_that_waits_to_be_told_of_a_kill_is_described() {
    let api = Api::new();
    api.admin("DELETE", "/sessions", r#"{"confirm":"default"}"#);
    // Each shard commits it, and learns only afterwards where it stands.
    for _ in 0..2 {
        let _ = pollster::block_on(api.world.shards.feed.wake(&api.world.shards));
    }
    let key = [("authorization", "Bearer key")];
    let refused = api.code("POST", "/sessions", &key, r#"{"subject":"alice"}"#);
    assert_eq!(refused, (409, "killed_meanwhile".to_owned()));
}

#[test]
fn what_anyone_may_see_is_as_described() {
    let api = Api::new();
    assert_eq!(api.call("GET", "/health", &[], "").1, json!({ "status": "ok" }));
    assert_eq!(api.call("GET", "/openapi.json", &[], "").1, api.document);
}
