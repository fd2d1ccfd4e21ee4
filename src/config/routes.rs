//! The `[[vars.WARIFU.routes]]`: which part of the application wants what.

use core::time::Duration;

use crate::config::reader::Table;
use crate::path::CanonicalPath;

/// What a route asks of a request, from the least to the most strict.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// No check, no look-up, no identity.
    Public,
    /// Identity if there is a live session; none otherwise.
    Optional,
    /// Only with a live session.
    Required,
    /// Only with a live session, and the session object is asked each time.
    Strict,
}

/// One rule; the first that matches wins.
#[derive(Clone, Debug)]
pub struct Route {
    /// The rule's path, decoded, as requests' paths are matched.
    pub decoded: Vec<u8>,
    /// Whether everything below `path` matches too (`/a/*` in the configuration).
    pub below: bool,
    /// Methods that match; `None`: all.
    pub methods: Option<Vec<String>>,
    pub access: Access,
    /// The least level of the session; 0: any.
    pub level: u8,
    /// The longest time since the person proved who they are.
    pub max_auth_age: Option<Duration>,
    /// Whether the origin may start and end sessions in its answers here.
    pub commands: Commands,
    /// Whether requests here count as use of the session.
    pub activity: bool,
    pub on_outage: OnOutage,
    pub on_end: OnEnd,
}

/// Which commands in the origin's answers count, from the least to the most
/// strict.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Commands {
    /// Every one.
    Yes,
    /// One that repeats the nonce of the request that it answers.
    Nonce,
    /// None.
    No,
}

/// What becomes of WebSockets and event streams that are open when their
/// session ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnEnd {
    /// They are cut.
    Close,
    /// They stay.
    Keep,
}

/// What happens to requests while no store answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnOutage {
    /// They are refused.
    Closed,
    /// They are served on the last proof, for `continue_for`.
    Continue,
}

pub(super) fn routes(root: &Table<'_>) -> Vec<Route> {
    let tables = root.tables("routes").unwrap_or_default();
    tables.into_iter().map(route).collect()
}

#[inline(never)]
fn route(table: Table<'_>) -> Route {
    let found = table.text("path");
    if found.is_none() {
        table.wrong("path", "missing; a route needs a path: \"/account\" or \"/api/*\"");
    }
    let found = found.unwrap_or("/");
    let (path, below) = match found.strip_suffix("/*") {
        Some("") => ("/", true),
        Some(parent) => (parent, true),
        None => (found, false),
    };
    // `/a//*` is looked at as `/a//`, or its parent would seem canonical.
    let whole = if below { found.strip_suffix('*').unwrap_or(found) } else { found };
    let parsed = CanonicalPath::parse(whole).ok().filter(|parsed| parsed.as_str() == whole && !whole.contains('*'));
    if parsed.is_none() {
        table.wrong(
            "path",
            format!(
                "found {found:?}; it must be a canonical path, exact (\"/account\") or with everything below (\"/api/*\")"
            ),
        );
    }
    if parsed.is_some_and(|parsed| parsed.is_ours()) {
        table.wrong("path", format!("found {found:?}; /_warifu is the gateway's own and has no routes"));
    }
    let mut methods = table.texts("methods");
    if methods.is_empty() && table.has("methods") {
        table.wrong("methods", "found []; leave it out for all methods");
    }
    for method in &methods {
        if !METHODS.contains(method) {
            table.wrong("methods", format!("found {method:?}; allowed: {}", METHODS.join(", ")));
        }
    }
    // RFC 9110, section 9.3.2: HEAD is GET without its content, so what is asked for is too.
    if methods.contains(&"GET") && !methods.contains(&"HEAD") {
        methods.push("HEAD");
    }
    let access = table.optional_choice("access", &ACCESSES);
    if access.is_none() && !table.has("access") {
        table.wrong("access", "missing; it must be one of \"public\", \"optional\", \"required\", \"strict\"");
    }
    let access = access.unwrap_or(Access::Strict);
    let commands = table.flag_or("commands", ("nonce", Commands::Nonce), (Commands::No, Commands::Yes));
    if commands != Commands::No && access == Access::Public {
        let found = if commands == Commands::Yes { "true" } else { "\"nonce\"" };
        table.wrong(
            "commands",
            format!(
                "found {found} on a public route; there the presented session is not read: use access = \"optional\""
            ),
        );
    }
    let on_outage = on_outage(&table, access);
    let on_end = table.choice("on_end", &[("close", OnEnd::Close), ("keep", OnEnd::Keep)], OnEnd::Close);
    if access == Access::Public && table.has("on_end") {
        table.wrong("on_end", "found on a public route, where no session is read; leave it out");
    }
    let level = u8::try_from(table.integer("level", 0, 255, 0)).unwrap_or(u8::MAX);
    let max_auth_age = table.optional_span("max_auth_age");
    if access < Access::Required && (level > 0 || max_auth_age.is_some()) {
        let key = if level > 0 { "level" } else { "max_auth_age" };
        table.wrong(
            key,
            "found on a route that is open without a session; it needs access = \"required\" or \"strict\"",
        );
    }
    let route = Route {
        decoded: CanonicalPath::parse(path).map(|parsed| parsed.decoded().to_vec()).unwrap_or_default(),
        below,
        methods: (!methods.is_empty()).then(|| methods.into_iter().map(str::to_owned).collect()),
        access,
        level,
        max_auth_age,
        commands,
        activity: table.flag("activity", true),
        on_outage,
        on_end,
    };
    table.finish();
    route
}

/// `require_signed_commands`: only where there is something to verify with.
pub(super) fn require_signed_commands(root: &Table<'_>, has_origin_keys: bool) -> bool {
    let is_required = root.flag("require_signed_commands", false);
    if is_required && !has_origin_keys {
        root.wrong(
            "require_signed_commands",
            "found true, and there is nothing to verify with: set the secret WARIFU_ORIGIN_KEYS",
        );
    }
    is_required
}

/// `on_outage`: only where the session is looked at, and not asked for each time.
fn on_outage(table: &Table<'_>, access: Access) -> OnOutage {
    let choices = [("closed", OnOutage::Closed), ("continue", OnOutage::Continue)];
    let on_outage = table.choice("on_outage", &choices, OnOutage::Closed);
    if on_outage == OnOutage::Continue && access == Access::Strict {
        table.wrong("on_outage", "found \"continue\" on a strict route, which asks the session object each time; only \"closed\" is possible");
    }
    on_outage
}

const ACCESSES: [(&str, Access); 4] = [
    ("public", Access::Public),
    ("optional", Access::Optional),
    ("required", Access::Required),
    ("strict", Access::Strict),
];

/// Methods that a route can name: those of RFC 9110, section 9.3, that reach a
/// Worker, and PATCH (RFC 5789).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
