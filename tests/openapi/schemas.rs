//! The schemas of what callers send and get (JSON Schema 2020-12), next to the
//! calls in `describe.rs`.

use serde_json::{Value, json};

use warifu::admin_keys::Scope;

use crate::codes;

/// The schemas that have names.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn all() -> Value {
    json!({
        "Subject": subject(),
        "Id": handle(),
        "Level": { "type": "integer", "minimum": 0, "maximum": 255, "description": "Strength of the authentication." },
        "Claims": {
            "type": "object",
            "description": "Facts that travel with the session, at most 2048 bytes of JSON.",
            "examples": [{ "plan": "pro" }],
        },
        "Device": {
            "type": "object",
            "description": "Where it is used, as far as known. Long values are cut.",
            "properties": {
                "user_agent": { "type": "string", "description": "Of the start." },
                "country": { "type": "string", "description": "ISO 3166-1 alpha-2." },
                "city": { "type": "string" },
                "first_prefix": { "type": "string", "description": "The network of the start: an IPv4 /24 or an IPv6 /48." },
                "last_prefix": { "type": "string", "description": "The network of the last renewal." },
            },
            "examples": [{ "user_agent": "Mozilla/5.0", "country": "JP", "first_prefix": "203.0.113.0/24" }],
        },
        "NewSession": {
            "type": "object",
            "required": ["subject"],
            "additionalProperties": false,
            "properties": {
                "subject": schema("Subject"),
                "level": with(schema("Level"), &json!({ "default": 1 })),
                "ttl": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 315_360_000,
                    "description": "Seconds to the absolute expiry, instead of absolute_timeout.",
                },
                "claims": schema("Claims"),
                "device": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "user_agent": { "type": "string" },
                        "country": { "type": "string" },
                        "city": { "type": "string" },
                        "first_prefix": { "type": "string" },
                        "last_prefix": { "type": "string" },
                    },
                },
            },
            "examples": [{ "subject": "alice", "level": 1, "ttl": 3_600, "claims": { "plan": "pro" } }],
        },
        "Change": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": false,
            "properties": {
                "claims": with(schema("Claims"), &json!({ "description": "Replaces all." })),
                "level": with(schema("Level"), &json!({ "description": "At most the present one." })),
            },
            "examples": [{ "claims": { "plan": "basic" } }],
        },
        "Session": {
            "type": "object",
            "required": [
                "id", "subject", "level", "auth_time", "created", "last_seen", "idle_expires", "absolute_expires",
                "claims", "device", "generation",
            ],
            "properties": {
                "id": with(schema("Id"), &json!({ "description": "Survives rotation; no credential." })),
                "subject": schema("Subject"),
                "level": schema("Level"),
                "auth_time": time("When the user last proved who they are."),
                "created": time("The start."),
                "last_seen": time("The last renewal; at most a tenth of idle_timeout behind the last use."),
                "idle_expires": time("When it ends, if it is not used."),
                "absolute_expires": time("When it ends in any case."),
                "claims": { "anyOf": [schema("Claims"), { "type": "null" }] },
                "device": schema("Device"),
                "generation": { "type": "integer", "minimum": 0, "description": "The shard's count of kills at its start." },
                "current": { "type": "boolean", "description": "Whether it is the caller's own; only in the user's calls." },
            },
            "examples": [session_example()],
        },
        "Sessions": {
            "type": "object",
            "required": ["sessions", "next"],
            "properties": {
                "sessions": { "type": "array", "items": schema("Session"), "maxItems": 100, "description": "Newest first." },
                "next": { "type": ["string", "null"], "description": "The next page's cursor, or null." },
            },
        },
        "Events": {
            "type": "object",
            "required": ["events", "next"],
            "properties": {
                "events": { "type": "array", "maxItems": 100, "items": {
                    "type": "object",
                    "required": ["at", "event", "session", "subject", "actor", "reason", "from"],
                    "properties": {
                        "at": time("By the shard's clock."),
                        "event": { "type": "string", "examples": ["session_started"] },
                        "session": { "anyOf": [schema("Id"), { "type": "null" }] },
                        "subject": { "type": ["string", "null"] },
                        "actor": { "type": "string", "examples": ["origin", "user", "admin:ops"] },
                        "reason": { "type": "string", "examples": ["do=start"] },
                        "from": { "type": ["string", "null"], "description": "The client's network: an IPv4 /24 or an IPv6 /48." },
                    },
                } },
                "next": { "type": ["string", "null"], "description": "The next page's cursor, or null." },
            },
        },
        "Minted": {
            "type": "object",
            "required": ["session", "clear_cookie", "set_cookie", "token"],
            "properties": {
                "session": schema("Session"),
                "clear_cookie": { "type": "string", "description": "The value of a Set-Cookie header to be sent before that." },
                "set_cookie": { "type": "string", "description": "The value of a Set-Cookie header for the browser." },
                "token": { "type": "string", "pattern": "^[A-Za-z0-9_-]{72}$", "description": "A credential; shown this once." },
            },
        },
        "Receipt": {
            "type": "object",
            "description": "Of a kill. Every shard concerned has committed it and refuses what it ended; of the site's, as many as `progress` says.",
            "required": [
                "kill_id", "epoch", "seq", "scope", "committed_at", "accepted_at", "bound_ms", "refused_everywhere_by", "state",
            ],
            "properties": {
                "kill_id": schema("Id"),
                "epoch": { "type": ["string", "null"], "description": "The feed's; null before it is published." },
                "seq": { "type": ["integer", "null"], "description": "Its place in the feed." },
                "scope": { "enum": ["session", "subject", "site"] },
                "committed_at": time("The shards' commit; of the site's, when it was asked for."),
                "accepted_at": maybe_time("The feed's commit."),
                "bound_ms": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "How long an edge may still accept: the largest of any live version.",
                },
                "refused_everywhere_by": maybe_time("accepted_at, the bound, a thousandth of it, and 50 ms."),
                "state": {
                    "enum": ["committed", "published", "quiesced"],
                    "description": "Not in the feed yet; in the feed; the bound is over.",
                },
                "progress": {
                    "type": "object",
                    "description": "Of the site's: shards that have committed it.",
                    "required": ["done", "total"],
                    "properties": {
                        "done": { "type": "integer", "minimum": 0 },
                        "total": { "type": "integer", "minimum": 0 },
                    },
                },
            },
            "examples": [receipt_example(), site_example()],
        },
        "Confirmation": {
            "type": "object",
            "required": ["confirm"],
            "additionalProperties": false,
            "properties": { "confirm": { "type": "string", "description": "The name of the site." } },
            "examples": [{ "confirm": "default" }],
        },
        "Health": { "type": "object", "required": ["status"], "properties": { "status": { "const": "ok" } } },
        "Key": {
            "type": "object",
            "required": ["id", "scopes", "site", "bound_ms"],
            "properties": {
                "id": { "type": "string", "description": "As the log names it." },
                "scopes": { "type": "array", "items": { "enum": Scope::ALL.map(Scope::name) } },
                "site": { "type": "string", "description": "The site that this host leads to." },
                "bound_ms": { "type": "integer", "description": "How long after its receipt is published an ended session can be accepted: `bound`, or the `continue_for` in use if that is more." },
            },
            "examples": [{ "id": "ops", "scopes": ["sessions:read", "revoke"], "site": "default", "bound_ms": 2_000 }],
        },
        "Problem": {
            "type": "object",
            "description": "RFC 9457. Programs read `code`, which is stable.",
            "required": ["status", "title", "code"],
            "properties": {
                "status": { "type": "integer" },
                "title": { "type": "string" },
                "code": { "enum": codes::names() },
                "detail": { "type": "string" },
                "level": { "type": "integer", "description": "With step_up_required: the level that is asked for." },
                "max_auth_age": {
                    "type": ["integer", "null"],
                    "description": "With step_up_required: seconds since the log-in, at most.",
                },
            },
            "examples": [{ "status": 404, "title": "There is nothing here", "code": "not_found" }],
        },
    })
}

/// A reference to a named schema.
pub fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The form of a subject, but for its length in bytes, which a schema cannot
/// say: no control characters, and no white space at the ends.
fn subject() -> Value {
    let control = r"\u0000-\u001f\u007f-\u009f";
    let space = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": format!("^[^{control}{space}]([^{control}]*[^{control}{space}])?$"),
        "description": "Whose it is: 1 to 255 bytes of UTF-8.",
        "examples": ["alice"],
    })
}

/// A session's or a kill's handle: 16 bytes in base64url, so that the last
/// character has two bits of them only.
fn handle() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$", "examples": [HANDLE_EXAMPLE] })
}

fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn maybe_time(description: &str) -> Value {
    json!({ "type": ["string", "null"], "format": "date-time", "description": description })
}

/// A schema with more members.
fn with(mut schema: Value, more: &Value) -> Value {
    let members = schema.as_object_mut().expect("a schema is an object");
    members.extend(more.as_object().expect("members").clone());
    schema
}

fn session_example() -> Value {
    json!({
        "id": HANDLE_EXAMPLE, "subject": "alice", "level": 1,
        "auth_time": "2026-11-23T08:00:00.000Z", "created": "2026-11-23T08:00:00.000Z",
        "last_seen": "2026-11-23T08:03:00.000Z", "idle_expires": "2026-11-23T08:36:00.000Z",
        "absolute_expires": "2026-11-23T20:00:00.000Z",
        "claims": { "plan": "pro" }, "device": { "country": "JP" }, "generation": 0,
    })
}

fn receipt_example() -> Value {
    json!({
        "kill_id": HANDLE_EXAMPLE, "epoch": "9f2c41d07be35a18", "seq": 812, "scope": "session",
        "committed_at": "2026-11-23T08:05:00.000Z", "accepted_at": "2026-11-23T08:05:00.012Z", "bound_ms": 2_000,
        "refused_everywhere_by": "2026-11-23T08:05:02.064Z", "state": "published",
    })
}

fn site_example() -> Value {
    json!({
        "kill_id": HANDLE_EXAMPLE, "epoch": null, "seq": null, "scope": "site",
        "committed_at": "2026-11-23T08:05:00.000Z", "accepted_at": null, "bound_ms": 2_000,
        "refused_everywhere_by": null, "state": "committed", "progress": { "done": 40, "total": 64 },
    })
}

const HANDLE_EXAMPLE: &str = "AQAAKkYhS2mZ0cXq9vT4Bw";
