//! Makes the description from the table of calls.

use serde_json::{Map, Value, json};
use warifu::admin_keys::Scope;
use warifu::control::{CALLS, Call, Who};

use crate::codes;
use crate::schemas::{self, schema};

/// What the table does not say of a call.
struct Operation {
    id: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<Value>,
    success: Vec<(u16, Value)>,
    /// Statuses of problems, besides those that every call can have.
    problems: &'static [u16],
}

/// All calls of this version, in the form of `OpenAPI` 3.1.
pub fn description() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut used: Vec<u16> = Vec::new();
    for (method, pattern, who, call) in CALLS {
        let operation = operation(call);
        let path = paths.entry(path(pattern, call)).or_insert_with(|| json!({}));
        path[method.to_ascii_lowercase()] = write(operation, who, call, &mut used);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "warifu",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A session gateway",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/_warifu" }],
        "tags": [
            { "name": "sessions", "description": "For administrators." },
            { "name": "own sessions", "description": "For the user whose cookie it is." },
            { "name": "gateway" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "responses": responses(&used),
            "parameters": parameters(),
            "headers": headers(),
            "links": { "receipt": { "operationId": "getReceipt", "parameters": { "kill_id": "$response.body#/kill_id" } } },
            "securitySchemes": {
                "admin": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": format!(
                        "A key of WARIFU_ADMIN_KEYS with the scope of the call: {}.",
                        Scope::ALL.map(Scope::name).join(", ")
                    ),
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-Http-warifu",
                    "description": "The session cookie; its name can be configured.",
                },
            },
        },
    })
}

/// The path with a name for its `*`.
pub fn path(pattern: &str, call: Call) -> String {
    let name = if call == Call::Receipt { "{kill_id}" } else { "{id}" };
    format!("/{}", pattern.replace('*', name))
}

/// Which key or cookie opens a call; a list of alternatives.
pub fn security(who: Who, call: Call) -> Value {
    match (who, call) {
        (Who::Anyone, _) => json!([]),
        // To log out once more is no error.
        (Who::User, Call::Logout) => json!([{ "session": [] }, {}]),
        (Who::User, _) => json!([{ "session": [] }]),
        // The user's cookie goes along, if there is one.
        (Who::Admin(scope), Call::Verify) => {
            json!([{ "admin": [scope.name()], "session": [] }, { "admin": [scope.name()] }])
        }
        (Who::Admin(scope), _) => json!([{ "admin": [scope.name()] }]),
        (Who::AnyAdmin, _) => json!([{ "admin": [] }]),
    }
}

fn write(operation: Operation, who: Who, call: Call, used: &mut Vec<u16>) -> Value {
    let Operation { id, summary, description, parameters, body, success, problems } = operation;
    let tag = match who {
        _ if matches!(call, Call::Health | Call::Description | Call::Verify) => "gateway",
        Who::Admin(_) | Who::AnyAdmin => "sessions",
        Who::User | Who::Anyone => "own sessions",
    };
    let mut responses: Map<String, Value> =
        success.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect();
    let of_caller: &[u16] = match who {
        Who::Anyone => &[],
        Who::User if call == Call::Logout => &[403],
        Who::User => &[401, 403],
        Who::Admin(_) | Who::AnyAdmin => &[401, 403, 429],
    };
    for status in ANY_CALL.iter().chain(of_caller).chain(problems) {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") }));
        used.push(*status);
    }
    let mut written = json!({
        "operationId": id, "summary": summary, "tags": [tag], "security": security(who, call), "responses": responses,
    });
    if let Some(description) = description {
        written["description"] = description.into();
    }
    if !parameters.is_empty() {
        written["parameters"] = parameters.into();
    }
    if let Some(body) = body {
        written["requestBody"] = body;
    }
    written
}

/// What there is to say of each call.
#[allow(clippy::too_many_lines, reason = "a table")]
fn operation(call: Call) -> Operation {
    let plain = |id, summary, success| Operation {
        id,
        summary,
        description: None,
        parameters: Vec::new(),
        body: None,
        success,
        problems: &[503],
    };
    match call {
        Call::Health => plain("health", "Whether sessions can be checked", vec![(200, answer("It does", "Health"))]),
        Call::Description => Operation {
            problems: &[],
            ..plain(
                "description",
                "This description",
                vec![(200, answer_of("OpenAPI 3.1", &json!({ "type": "object" })))],
            )
        },
        Call::Verify => Operation {
            description: Some(
                "Forward-auth for other proxies. Send the user's cookie along, and nothing else of theirs; say what you \
                 require. A newer cookie in the answer is the user's.",
            ),
            parameters: vec![
                query(
                    "access",
                    "What the page asks for.",
                    &json!({ "enum": ["optional", "required", "strict"], "default": "required" }),
                ),
                query("level", "The least level.", &schema("Level")),
                query(
                    "max_auth_age",
                    "The longest time since the log-in, with a unit.",
                    &json!({
                        "type": "string",
                        "pattern": "^([0-9]{1,11}ms|[0-9]{1,8}s|[0-9]{1,6}m|[0-9]{1,4}h|[0-9]{1,3}d)$",
                        "examples": ["5m"],
                    }),
                ),
                query(
                    "method",
                    "Of the user's request.",
                    &json!({ "type": "string", "pattern": "^[A-Z]+$", "default": "GET" }),
                ),
                query("origin", "Its Origin header, or empty.", &json!({ "type": "string", "pattern": "^[^\\n]*$" })),
                query(
                    "sec_fetch_site",
                    "Its Sec-Fetch-Site header, or empty.",
                    &json!({ "type": "string", "pattern": "^[^\\n]*$" }),
                ),
            ],
            success: vec![(
                204,
                json!({ "description": "Let it through. Who it is, in headers that are empty where nobody is.", "headers": identity() }),
            )],
            ..plain("verify", "Whether a user's request may pass", Vec::new())
        },
        Call::Logout => Operation {
            body: Some(json!({ "content": { "application/x-www-form-urlencoded": { "schema": {
                "type": "object",
                "properties": { "return_to": {
                    "type": "string",
                    "description": "A path and query of this site.",
                    "pattern": r"^/([!-.0-\[\]-~][!-\[\]-~]*)?$",
                    "maxLength": 4096,
                    "examples": ["/?bye"],
                } },
            } } } })),
            success: vec![
                (
                    204,
                    json!({ "description": "Logged out", "headers": { "Set-Cookie": must(&header("Set-Cookie")), "Clear-Site-Data": header("Clear-Site-Data") } }),
                ),
                (
                    303,
                    json!({ "description": "The same, with return_to", "headers": { "Set-Cookie": must(&header("Set-Cookie")), "Location": header("Location") } }),
                ),
            ],
            problems: &[408, 413, 503],
            ..plain("logout", "End this session and clear the cookie", Vec::new())
        },
        Call::Me => plain("me", "This session", vec![(200, with_cookie(answer("It", "Session")))]),
        Call::MySessions => Operation {
            parameters: vec![parameter("cursor")],
            ..plain("listMySessions", "Where I am logged in", vec![(200, with_cookie(answer("A page", "Sessions")))])
        },
        Call::EndMySession => Operation {
            parameters: vec![parameter("id"), wait()],
            problems: &[404, 429, 503],
            ..plain("endMySession", "End one of my sessions", receipts_with(with_cookie))
        },
        Call::EndMyOthers => Operation {
            description: Some("This one gets a fresh secret; the old cookie is refused at once. So `wait` is ignored."),
            parameters: vec![wait()],
            problems: &[429, 503],
            ..plain("endMyOtherSessions", "End all my other sessions", receipts_with(with_fresh_cookie))
        },
        Call::NotMe => Operation {
            parameters: vec![wait()],
            ..plain("notMe", "That was not me: end all my sessions, this one too", receipts())
        },
        Call::Mint => Operation {
            body: Some(json_body("NewSession")),
            success: vec![(201, with_links(answer("Started", "Minted")))],
            problems: &[408, 409, 413, 503],
            ..plain("mintSession", "Start a session", Vec::new())
        },
        Call::List => Operation {
            parameters: vec![query_required("subject", &schema("Subject")), parameter("cursor")],
            ..plain("listSessions", "A subject's sessions", vec![(200, answer("A page", "Sessions"))])
        },
        Call::EndAll => Operation {
            description: Some(
                "With `subject`: 404 if none lived, or was ended so within a day. That is committed too: a log-in on \
                 its way is refused. Without, and with the site's name in the body: every session of the site; \
                 202; the receipt shows how far.",
            ),
            parameters: vec![query("subject", "Whose; left out: everybody's.", &schema("Subject")), wait()],
            body: Some(json!({ "content": { "application/json": { "schema": schema("Confirmation") } } })),
            problems: &[404, 408, 413, 503],
            ..plain("endSessions", "End all sessions of a subject, or of the site", receipts())
        },
        Call::Show => Operation {
            parameters: vec![parameter("id")],
            problems: &[404, 503],
            ..plain("getSession", "One session", vec![(200, answer("It", "Session"))])
        },
        Call::Change => Operation {
            description: Some("Seen from the next request on."),
            parameters: vec![parameter("id")],
            body: Some(json_body("Change")),
            problems: &[404, 408, 409, 413, 503],
            ..plain("changeSession", "Replace claims, lower the level", vec![(200, answer("As it is now", "Session"))])
        },
        Call::End => Operation {
            parameters: vec![parameter("id"), wait()],
            problems: &[404, 503],
            ..plain("endSession", "End one session", receipts())
        },
        Call::Key => Operation {
            problems: &[],
            ..plain("getKey", "What the key is good for, and on which site", vec![(200, answer("It", "Key"))])
        },
        Call::Audit => Operation {
            description: Some(
                "Newest first. With `subject` or `session`, of the shards where they live; else of 32 shards at a \
                 time, newest first among these. A page can be short or empty and not the last.",
            ),
            parameters: vec![
                query("subject", "Whose; left out: everybody's.", &schema("Subject")),
                query("session", "Of one session; `sessions_ended` has the one that stays.", &schema("Id")),
                query(
                    "cursor",
                    "`next` of the page before.",
                    &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{17,}$" }),
                ),
                query(
                    "limit",
                    "Events of a page.",
                    &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 100 }),
                ),
            ],
            ..plain("audit", "What happened", vec![(200, answer("A page", "Events"))])
        },
        Call::Metrics => Operation {
            problems: &[],
            ..plain(
                "metrics",
                "What the isolate that answers has counted",
                vec![(
                    200,
                    json!({
                        "description": "Prometheus text format 0.0.4",
                        "content": { "text/plain": { "schema": { "type": "string" } } },
                    }),
                )],
            )
        },
        Call::Receipt => Operation {
            parameters: vec![parameter("kill_id")],
            problems: &[404, 503],
            ..plain("getReceipt", "The receipt of a kill, as it stands now", vec![(200, answer("It", "Receipt"))])
        },
    }
}

// --- parts of operations ----------------------------------------------------------

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn query_required(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": true, "schema": schema })
}

fn json_body(name: &str) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema(name) } } })
}

fn answer(description: &str, name: &str) -> Value {
    answer_of(description, &schema(name))
}

fn answer_of(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// Statuses of a receipt, and their names.
const RECEIPTS: [(u16, &str); 2] = [(200, "published"), (202, "committed")];

fn receipts() -> Vec<(u16, Value)> {
    let named = |name| json!({ "$ref": format!("#/components/responses/{name}") });
    RECEIPTS.map(|(status, name)| (status, named(name))).into()
}

/// 200 where the feed has it; 202 while it is committed only.
fn receipts_with(with: impl Fn(Value) -> Value) -> Vec<(u16, Value)> {
    RECEIPTS.map(|(status, name)| (status, with(receipt(name)))).into()
}

fn receipt(name: &str) -> Value {
    let mut answer = answer(if name == "published" { "In the feed" } else { "Not in the feed yet" }, "Receipt");
    answer["links"] = json!({ "receipt": { "$ref": "#/components/links/receipt" } });
    answer
}

fn wait() -> Value {
    parameter("wait")
}

fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// Those of several calls.
fn parameters() -> Value {
    let in_path = |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": schema("Id") });
    let cursor = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{44}$" });
    json!({
        "id": in_path("id"),
        "kill_id": in_path("kill_id"),
        "cursor": query("cursor", "`next` of the page before.", &cursor),
        "wait": query(
            "wait",
            "Answer only when no edge can still accept what was ended. What is not in the feed yet does not wait.",
            &json!({ "const": "quiesced" }),
        ),
    })
}

/// What can be done with a session that was started.
fn with_links(mut answer: Value) -> Value {
    let link = |operation| json!({ "operationId": operation, "parameters": { "id": "$response.body#/session/id" } });
    answer["links"] = json!({ "get": link("getSession"), "change": link("changeSession"), "end": link("endSession") });
    answer
}

/// A newer token, where one is due.
fn with_cookie(mut answer: Value) -> Value {
    answer["headers"] = json!({ "Set-Cookie": header("Set-Cookie") });
    answer
}

fn with_fresh_cookie(mut answer: Value) -> Value {
    answer["headers"] = json!({ "Set-Cookie": must(&header("Set-Cookie")) });
    answer
}

fn identity() -> Value {
    let text = json!({ "required": true, "schema": { "type": "string" } });
    let mut headers = json!({ "Set-Cookie": header("Set-Cookie") });
    for name in ["Subject", "Session", "Level", "Auth-Time", "Claims"] {
        headers[format!("Warifu-{name}")] = text.clone();
    }
    headers
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The header, which is always there.
fn must(reference: &Value) -> Value {
    let name = reference["$ref"].as_str().and_then(|text| text.rsplit('/').next()).expect("a reference");
    let mut header = headers()[name].clone();
    header["required"] = true.into();
    header
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "Set-Cookie": text("The cookie, new or cleared."),
        "Clear-Site-Data": text("Always \"cache\"."),
        "Location": text("Where to go on."),
    })
}

/// The receipts, and the problems of each status that some call can have.
fn responses(used: &[u16]) -> Value {
    let required = |schema: Value| json!({ "required": true, "schema": schema });
    let mut responses: Map<String, Value> =
        RECEIPTS.map(|(_, name)| (name.to_owned(), receipt(name))).into_iter().collect();
    for (status, codes) in codes::by_status() {
        if !used.contains(&status) {
            continue;
        }
        let lines: Vec<String> = codes.iter().map(|code| format!("`{}`: {}.", code.name, code.title)).collect();
        let mut response = json!({
            "description": lines.join(" "),
            "content": { "application/problem+json": { "schema": schema("Problem") } },
        });
        let header = match status {
            401 => Some(("WWW-Authenticate", required(json!({ "enum": ["Bearer", "Cookie"] })))),
            405 => Some(("Allow", required(json!({ "type": "string" })))),
            429 | 503 => Some(("Retry-After", required(json!({ "type": "integer", "description": "Seconds." })))),
            _ => None,
        };
        if let Some((name, header)) = header {
            response["headers"] = json!({ name: header });
        }
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

/// A malformed path or Host, another method, and our own defects. What has
/// nothing to do with the call, 421 and 431, is said once, in [`ABOUT`].
const ANY_CALL: [u16; 3] = [400, 405, 500];

const ABOUT: &str = "Sessions that can be taken back. Unknown parameters and members are refused. HEAD is answered as GET is. A \
     browser that navigates gets pages and redirects, no problems. From browsers, calls of administrators are taken \
     on admin_host only, users' on their own origin only. In answers, members may be added. Any call can answer \
     421 `misdirected` (a host not served) and 431 `headers_too_large` (a Cookie header over 16384 bytes, or all \
     headers over max_header_bytes).";
