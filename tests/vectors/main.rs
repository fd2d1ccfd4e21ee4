//! The shared test vectors: `generate.py` computes them from the description
//! of the formats, and this runner holds the crate against them, natively and
//! in wasm.

use std::fmt::Write as _;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use warifu::command::{self, Command, CommandRefusal, Nonce};
use warifu::config::{
    Access, Commands, Config, Fence, Mistake, OnEnd, OnLimit, OnOutage, OnReplay, Replica, SameSite, region_name,
};
use warifu::cookie::{self, Presented};
use warifu::path::CanonicalPath;
use warifu::session::Salt;
use warifu::signature::{self, Signer};
use warifu::signed_command::{Signed, Verifier};
use warifu::site::{Secrets, Sites};
use warifu::time::{UnixMillis, millis};
use warifu::token::{KeyRing, Locator, Secret, Token};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test;

/// Why a case fails.
type Checked = Result<(), String>;

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn tokens() {
    check_file("token.json", include_str!("token.json"), |file, case| {
        if let Some(salt) = case.get("salt") {
            let salt: Salt = serde_json::from_value(salt.clone()).expect("a salt");
            let successor = Secret::new(bytes_of(text(&case["secret"]))).successor(&salt);
            return same(&case["expect"], &json!({"successor_key": hex(successor.session_key().as_bytes())}));
        }
        let site = text(&case["site"]);
        if let Some(cookie) = case.get("cookie") {
            let key = Secret::of_cookie(text(cookie), site).session_key();
            return same(&case["expect"], &json!({"session_key": hex(key.as_bytes())}));
        }
        let ring = KeyRing::read(text(&file["rings"][text(&case["ring"])]), site).expect("a ring of the file is good");
        if let Some(mint) = case.get("mint") {
            let minted = ring.mint(locator_of(mint), &Secret::new(bytes_of(text(&mint["secret"]))));
            let token = ring.verify(minted.expose()).ok_or("the minted token is refused")?;
            same(&json!(hex(Secret::new(bytes_of(text(&mint["secret"]))).session_key().as_bytes())), &key_of(&token))?;
            return same(&case["expect"], &json!({"token": minted.expose()}));
        }
        match (ring.verify(text(&case["token"])), case["expect"].get("refused")) {
            (None, Some(_)) => Ok(()),
            (Some(token), None) => same(&case["expect"], &show_token(&token)),
            (None, None) => Err("refused, and should be taken".to_owned()),
            (Some(token), Some(why)) => Err(format!("taken as {}, and should be refused: {why}", show_token(&token))),
        }
    });
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn cookies() {
    check_file("cookie.json", include_str!("cookie.json"), |file, case| {
        let ring = KeyRing::read(text(&file["ring"]), text(&file["site"])).expect("the ring of the file is good");
        let expected = match case["expect"].get("token") {
            // A session has as many valid tokens as the ring has keys.
            Some(token) => {
                json!({"session": key_of(&ring.verify(text(token)).ok_or("the expected token is refused")?)})
            }
            None => case["expect"].clone(),
        };
        let found = match cookie::presented(&input(&case["header"]), text(&file["cookie_name"]), &ring) {
            Presented::None => json!({"none": true}),
            Presented::One(token) => json!({"session": key_of(&token)}),
            Presented::Several(_) => json!({"several": true}),
        };
        same(&expected, &found)
    });
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn paths() {
    check_file("path.json", include_str!("path.json"), |_, case| {
        let found = CanonicalPath::parse(&input(&case["input"]));
        let Some(canonical) = case["expect"].get("canonical") else {
            let why = text(&case["expect"]["refused"]);
            return found.map_or(Ok(()), |path| {
                Err(format!("taken as {}, and should be refused: {why}", short(path.as_str())))
            });
        };
        let canonical = input(canonical);
        let path = found.map_err(|refusal| format!("refused: {}", refusal.explain()))?;
        same(&json!(canonical), &json!(path.as_str()))?;
        let again = CanonicalPath::parse(&canonical).map_err(|refusal| format!("not stable: {}", refusal.explain()))?;
        same(&json!(canonical), &json!(again.as_str()))
    });
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn configurations() {
    check_file("config.json", include_str!("config.json"), |_, case| {
        let secret = |name: &str| case["secrets"].get(name).map(text);
        let secrets = Secrets {
            keys: secret("WARIFU_KEYS"),
            admin_keys: secret("WARIFU_ADMIN_KEYS"),
            origin_keys: secret("WARIFU_ORIGIN_KEYS"),
        };
        let read = Sites::read(&case["config"].to_string(), secrets);
        match (read, case["expect"].get("ok"), case["expect"].get("errors")) {
            (Ok(sites), Some(values), None) => {
                let host = case.get("host").map_or("", text);
                let index = sites.index_of(host).ok_or_else(|| format!("no site for {host:?}"))?;
                let found = show_config(&sites.as_slice()[index].config);
                for (pointer, expected) in values.as_object().expect("`ok` is an object") {
                    let value = found.pointer(pointer).ok_or_else(|| format!("{pointer} is not there"))?;
                    same(expected, value).map_err(|why| format!("{pointer}: {why}"))?;
                }
                Ok(())
            }
            (Err(mistakes), None, Some(errors)) => {
                for error in list(errors) {
                    is_reported(&mistakes, error)?;
                }
                keeps_keys_secret(&mistakes, secrets.keys.unwrap_or_default())
            }
            (Ok(_), None, Some(errors)) => Err(format!("taken, and should be refused: {errors}")),
            (Err(mistakes), Some(_), None) => Err(format!("refused: {}", show_mistakes(&mistakes))),
            _ => Err("expects neither `ok` nor `errors`".to_owned()),
        }
    });
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn commands() {
    check_file("command.json", include_str!("command.json"), |_, case| {
        let expected = &case["expect"];
        let nonce = case.get("nonce").map_or(Nonce::NotSent, |nonce| {
            let sent = text(&nonce["sent"]);
            if nonce["wanted"] == true { Nonce::Wanted(sent) } else { Nonce::Sent(sent) }
        });
        match command::parse(&input(&case["header"]), nonce) {
            Ok(Command::End) => same(expected, &json!({"end": true})),
            Ok(Command::EndOthers) => same(expected, &json!({"end_others": true})),
            Ok(Command::EndAll) => same(expected, &json!({"end_all": true})),
            Ok(Command::Rotate { level }) => same(expected, &json!({"rotate": {"level": level}})),
            Ok(Command::Update { claims }) => same(expected, &json!({"update": {"claims": claims.as_str()}})),
            Ok(Command::Start(start)) => {
                let claims = start.claims.as_ref().map(|claims| json_of(claims.as_str()));
                let found = json!({
                    "sub": start.subject.as_str(),
                    "level": start.level,
                    "ttl_s": start.ttl.as_ref().map(Duration::as_secs),
                    "claims": claims,
                    "end_others": start.end_others,
                });
                let mut expected = expected.get("start").cloned().ok_or_else(|| format!("taken as {found}"))?;
                if let Some(claims) = expected["claims"].as_str().map(json_of) {
                    expected["claims"] = claims;
                }
                same(&expected, &found)
            }
            Err(CommandRefusal::Malformed(_)) if expected.get("malformed").is_some() => Ok(()),
            Err(CommandRefusal::Unproven(_)) if expected.get("unproven").is_some() => Ok(()),
            Err(refusal) => Err(format!("{}; expected {}", refusal.explain(), short(&expected.to_string()))),
        }
    });
}

/// Runs all cases of a file and panics with the names of all that fail.
fn check_file(name: &str, content: &str, check: impl Fn(&Value, &Value) -> Checked) {
    let file = json_of(content);
    let cases = list(&file["cases"]);
    assert!(!cases.is_empty(), "{name} has no cases");
    let mut failures = String::new();
    let mut failed = 0;
    for case in cases {
        if let Err(why) = check(&file, case) {
            failed += 1;
            let _ = write!(failures, "\n  {}: {why}", text(&case["name"]));
        }
    }
    assert!(failed == 0, "{name}: {failed} of {} cases fail{failures}", cases.len());
}

fn same(expected: &Value, found: &Value) -> Checked {
    if expected == found {
        return Ok(());
    }
    Err(format!("found {}; expected {}", short(&found.to_string()), short(&expected.to_string())))
}

/// Whether one of the mistakes has the key of `error` and says all that it asks for.
fn is_reported(mistakes: &[Mistake], error: &Value) -> Checked {
    let key = text(&error["key"]);
    let says: Vec<&str> = list(&error["says"]).iter().map(text).collect();
    let fits = |mistake: &Mistake| mistake.key == key && says.iter().all(|word| mistake.says.contains(word));
    if mistakes.iter().any(fits) {
        return Ok(());
    }
    Err(format!("found [{}]; expected {key} with {says:?}", show_mistakes(mistakes)))
}

/// Whether no text repeats a key of `WARIFU_KEYS`.
fn keeps_keys_secret(mistakes: &[Mistake], ring: &str) -> Checked {
    let entries: Value = serde_json::from_str(ring).unwrap_or_default();
    let keys = entries.as_array().into_iter().flatten().filter_map(|entry| entry["key"].as_str());
    let is_shown = |key: &str| mistakes.iter().any(|mistake| mistake.to_string().contains(key));
    match keys.filter(|key| !key.is_empty()).find(|key| is_shown(key)) {
        Some(_) => Err("a text repeats a key of WARIFU_KEYS".to_owned()),
        None => Ok(()),
    }
}

/// The input of a case: a string, or a list of strings and repetitions.
fn input(value: &Value) -> String {
    let Some(parts) = value.as_array() else { return text(value).to_owned() };
    let mut whole = String::new();
    for part in parts {
        if let Some(part) = part.as_str() {
            whole.push_str(part);
        } else {
            whole.push_str(&text(&part["repeat"]).repeat(number(&part["times"])));
        }
    }
    whole
}

fn json_of(content: &str) -> Value {
    serde_json::from_str(content).expect("the vectors are JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// A whole number that fits.
fn number<T: TryFrom<u64>>(value: &Value) -> T {
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.unwrap_or_else(|| panic!("{value} is no such number"))
}

fn locator_of(mint: &Value) -> Locator {
    Locator { generation: number(&mint["generation"]), region: number(&mint["region"]), shard: number(&mint["shard"]) }
}

fn bytes_of(hex: &str) -> [u8; 32] {
    assert_eq!(hex.len(), 64, "32 bytes in hexadecimal");
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn key_of(token: &Token) -> Value {
    json!(hex(token.session_key().as_bytes()))
}

fn show_token(token: &Token) -> Value {
    let Locator { generation, region, shard } = token.locator();
    json!({
        "kid": token.kid(),
        "generation": generation,
        "region": region,
        "shard": shard,
        "session_key": key_of(token),
        "current": token.is_current(),
    })
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn signatures() {
    check_file("signature.json", include_str!("signature.json"), |_, case| {
        if let Some(header) = case.get("header") {
            return same(&case["expect"], &json!({"kept": signature::without_ours(text(header))}));
        }
        let mut key = [0; 64];
        let key = Base64::decode(text(&case["key"]), &mut key).expect("base64 of at most 64 bytes");
        let components = case["components"].as_array().expect("a list");
        let components: Vec<_> = components.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        let signer = Signer::new("1".to_owned(), key);
        same(&case["expect"], &json!({"signature": signer.mac_of(&components, text(&case["params"]))}))
    });
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn signed_commands() {
    check_file("signed_command.json", include_str!("signed_command.json"), |file, case| {
        let verifier = Verifier::read(text(&file["keys"])).expect("the ring of the file is good");
        let of = &case["signed"];
        let signed = Signed {
            status: number(&of["status"]),
            command: text(&of["command"]),
            method: text(&of["method"]),
            authority: text(&of["authority"]),
            path: text(&of["path"]),
            query: text(&of["query"]),
            nonce: text(&of["nonce"]),
            input: of["input"].as_str(),
            signature: of["signature"].as_str(),
        };
        let found = verifier.verify(&signed, UnixMillis(number::<u64>(&case["now"]) * 1_000));
        match (found, case["expect"].get("refused")) {
            (Ok(()), None) | (Err(_), Some(_)) => Ok(()),
            (Ok(()), Some(why)) => Err(format!("taken, and should be refused: {why}")),
            (Err(why), None) => Err(format!("refused: {why}")),
        }
    });
}

/// A configuration as the pointers of the vectors see it.
fn show_config(config: &Config) -> Value {
    let rows = config.map.iter();
    let rows =
        rows.map(|row| json!({"generation": row.generation, "shards": row.shards, "region": region_name(row.region)}));
    let routes = config.routes.iter().map(|route| {
        json!({
            "access": show_access(route.access),
            "commands": match route.commands {
                Commands::No => json!(false),
                Commands::Yes => json!(true),
                Commands::Nonce => json!("nonce"),
            },
            "level": route.level,
            "max_auth_age_ms": route.max_auth_age.map(millis),
            "on_end": if route.on_end == OnEnd::Keep { "keep" } else { "close" },
            "on_outage": if route.on_outage == OnOutage::Continue { "continue" } else { "closed" },
        })
    });
    let same_site = match config.cookie.same_site {
        SameSite::Lax => "lax",
        SameSite::Strict => "strict",
        SameSite::None => "none",
    };
    json!({
        "site": config.site,
        "login": config.login,
        "idle_timeout_ms": millis(config.idle_timeout),
        "absolute_timeout_ms": millis(config.absolute_timeout),
        "bound_ms": millis(config.bound),
        "fence": if config.fence == Fence::Write { "write" } else { "read" },
        "replica": match config.replica {
            Replica::Off => "off",
            Replica::Away => "away",
            Replica::Always => "always",
        },
        "replica_horizon_ms": millis(config.replica_horizon),
        "adopt": config.adopt.as_ref().map(|adopt| json!({
            "cookie": adopt.cookie,
            "probe": adopt.probe,
            "subject": adopt.subject,
            "until_ms": adopt.until.0,
            "clear": adopt.clear(),
        })),
        "custody": {
            "cookies": config.custody.cookies,
            "subject": config.custody.subject,
            "bearer": config.custody.bearer.iter().map(|bearer| json!({
                "path": String::from_utf8_lossy(&bearer.path), "tokens": bearer.tokens, "body": bearer.body, "ends": bearer.ends,
            })).collect::<Vec<_>>(),
        },
        "continue_for_ms": millis(config.continue_for),
        "limits": config.limits.map(|rate| rate.map(|rate| json!([rate.count, millis(rate.span)]))),
        "audit_retention_ms": millis(config.audit_retention),
        "max_header_bytes": config.max_header_bytes,
        "origin_timeout_ms": millis(config.origin_timeout),
        "sign": config.sign,
        "rotation_grace_ms": millis(config.rotation_grace),
        "max_sessions": config.max_sessions,
        "on_limit": match config.on_limit {
            OnLimit::EndOldest => "end_oldest",
            OnLimit::Refuse => "refuse",
        },
        "on_replay": match config.on_replay {
            OnReplay::Observe => "observe",
            OnReplay::End => "end",
        },
        "cookie": {"name": config.cookie.name, "same_site": same_site},
        "origin": config.origin.as_ref().map(warifu::config::WebOrigin::as_str),
        "hosts": config.hosts,
        "map": rows.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
        "require_signed_commands": config.require_signed_commands,
    })
}

fn show_access(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::Required => "required",
        Access::Strict => "strict",
    }
}

fn show_mistakes(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join(" | ")
}

/// At most 200 characters of `long`.
fn short(long: &str) -> String {
    match long.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &long[..end]),
        None => long.to_owned(),
    }
}
