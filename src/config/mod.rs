//! The configuration: the `WARIFU` binding and the secrets, read once per
//! isolate, completely and strictly.
//!
//! Nothing falls back: an unknown key, a bad value or an impossible
//! combination makes the Worker answer 500 `misconfigured` on every path.

mod adopt;
mod custody;
mod limits;
mod reader;
mod routes;
mod sites;
mod values;

use core::time::Duration;

use serde_json::{Map, Value};

pub use self::adopt::Adopt;
pub use self::custody::{Bearer, Custody, name_of};
pub use self::reader::Mistake;
use self::reader::{Mistakes, Table};
pub use self::routes::{Access, Commands, OnEnd, OnOutage, Route};
pub use self::sites::{Part, refuse_twins, split};
pub use self::values::{
    BOUND_MAX, BOUND_MIN, CrossOrigin, GRACE_MAX, MapRow, REGIONS, SameSite, WebOrigin, is_host, region_code,
    region_name,
};
use crate::limit::Rate;
use crate::path::CanonicalPath;
use crate::policy::demand;
use crate::time::{SPAN_SECONDS_MAX, show_span};

/// One site's configuration, valid as a whole.
#[derive(Debug)]
pub struct Config {
    /// The name that the token's MAC covers.
    pub site: String,
    /// Hosts that are served, lower case, with a port unless it is the
    /// scheme's own; empty: any.
    pub hosts: Vec<String>,
    /// Where requests go, without a trailing slash; `None`: the URL they came to.
    pub origin: Option<WebOrigin>,
    /// From a request to the first byte of the origin's answer, where the
    /// request has no large body.
    pub origin_timeout: Duration,
    /// Path of the login page.
    pub login: String,
    /// Host that is the operators' own; the application is never served there.
    pub admin_host: Option<String>,
    pub idle_timeout: Duration,
    pub absolute_timeout: Duration,
    /// How long an old secret is served after the first use of its successor.
    pub rotation_grace: Duration,
    /// How many sessions a subject may have; 0: any number.
    pub max_sessions: u32,
    pub on_limit: OnLimit,
    pub on_replay: OnReplay,
    /// The rows of the shard map; the last takes new sessions.
    pub map: Vec<MapRow>,
    pub cookie: Cookie,
    pub routes: Vec<Route>,
    /// Whether only commands that the origin has signed count.
    pub require_signed_commands: bool,
    /// Of a request's names and values together.
    pub max_header_bytes: usize,
    pub trusted_origins: Vec<WebOrigin>,
    pub cross_origin: CrossOrigin,
    pub case_insensitive: bool,
    /// What is kept from browsers.
    pub custody: Custody,
    /// What moves in, and how.
    pub adopt: Option<Adopt>,
    /// Names of cookies that reach the origin only from here, as careless
    /// applications read them (see [`crate::headers::folded`]).
    pub kept_cookies: Vec<String>,
    /// An extra header name for the subject.
    pub user_header: Option<String>,
    /// Whether forwarded requests are signed.
    pub sign: bool,
    /// The bound B on how long a killed session can be honoured; zero: every
    /// route is strict.
    pub bound: Duration,
    /// What proves that a session object is current.
    pub fence: Fence,
    /// When session records are read from KV.
    pub replica: Replica,
    /// How old the feed's proof of a record in KV may be.
    pub replica_horizon: Duration,
    /// For how long routes with `on_outage = "continue"` serve on the last
    /// proof.
    pub continue_for: Duration,
    /// How long the audit tables keep what happened; zero: there are none.
    pub audit_retention: Duration,
    /// By [`crate::limit::Limit`]; `None`: as many as come.
    pub limits: [Option<Rate>; 3],
}

/// What stands behind a session object's yes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fence {
    /// A write that was confirmed after the question had arrived.
    Write,
    /// A read of its storage: cheaper, and as good as the platform's word that
    /// an object which has been replaced finds out at its next access.
    Read,
}

/// When the copy of session records in KV is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replica {
    Off,
    /// Where the request enters far from the session's region.
    Away,
    Always,
}

/// What happens to a log-in that would be one too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnLimit {
    /// The oldest sessions end to make room.
    EndOldest,
    Refuse,
}

/// What happens to a session when an old secret of it is used after its grace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnReplay {
    /// The use is refused, and an event.
    Observe,
    /// And the session ends.
    End,
}

/// How the session cookie is written.
#[derive(Debug)]
pub struct Cookie {
    /// Begins with `__Host-`.
    pub name: String,
    pub same_site: SameSite,
    pub partitioned: bool,
    /// Whether the cookie outlives the browser (Max-Age up to the absolute expiry).
    pub persistent: bool,
}

impl Config {
    /// Reads the `WARIFU` binding. `has_origin_keys` says whether there are keys
    /// to sign forwarded requests with, which changes a default.
    ///
    /// Returns it as far as it can be read, and every mistake that was found,
    /// each with its key. With a mistake, nothing may be served.
    pub fn read(binding: &Value, has_origin_keys: bool) -> (Self, Vec<Mistake>) {
        let mistakes = Mistakes::default();
        let empty = Map::new();
        let entries = binding.as_object().unwrap_or_else(|| {
            mistakes.add("WARIFU", "the binding is no table; set [vars.WARIFU] in wrangler.toml");
            &empty
        });
        let config = read_site(Table::root(entries, &mistakes), has_origin_keys);
        (config, mistakes.into_vec())
    }

    /// For how long an answer without the store may be given anywhere: zero
    /// where no route asks for it.
    pub fn continue_in_use(&self) -> Duration {
        if self.routes.iter().any(|route| route.on_outage == OnOutage::Continue) {
            self.continue_for
        } else {
            Duration::ZERO
        }
    }

    /// The row of the shard map that takes new sessions.
    pub fn current_row(&self) -> MapRow {
        self.map.last().copied().unwrap_or(MapRow::DEFAULT)
    }
}

fn read_site(root: Table<'_>, has_origin_keys: bool) -> Config {
    let site = values::site(&root);
    let idle_timeout = root.span("idle_timeout", Duration::from_mins(30));
    let absolute_timeout = root.span("absolute_timeout", Duration::from_hours(12));
    if idle_timeout.is_zero() {
        root.wrong_value("idle_timeout", "longer than nothing");
    }
    if absolute_timeout < idle_timeout || absolute_timeout.is_zero() {
        root.wrong(
            "absolute_timeout",
            format!(
                "found {:?}; it must be at least idle_timeout, {:?}",
                show_span(absolute_timeout),
                show_span(idle_timeout)
            ),
        );
    }
    let bound = values::bound(&root);
    let continue_for = values::span_within(&root, "continue_for", Duration::from_mins(1), CONTINUE_FOR);
    let replica_horizon = values::span_within(&root, "replica_horizon", Duration::from_mins(10), REPLICA_HORIZON);
    let audit_retention =
        values::span_or_nothing(&root, "audit_retention", Duration::from_hours(30 * 24), AUDIT_RETENTION);
    let (user_header, sign) = values::identity(&root, has_origin_keys);
    let cookie = values::cookie(&root);
    let custody = custody::custody(&root, &cookie.name);
    let adopt = adopt::adopt(&root, &cookie.name, &custody.cookies);
    let kept = custody.cookies.iter().chain(adopt.iter().map(|adopt| &adopt.cookie));
    let kept_cookies = kept.map(|name| crate::headers::folded(name)).collect();
    let config = Config {
        site,
        hosts: values::hosts(&root, "hosts"),
        origin: values::optional_origin(&root, "origin"),
        origin_timeout: values::span_within(&root, "origin_timeout", Duration::from_mins(1), ORIGIN_TIMEOUT),
        login: values::login(&root),
        admin_host: values::admin_host(&root),
        idle_timeout,
        absolute_timeout,
        rotation_grace: values::rotation_grace(&root),
        max_sessions: u32::try_from(root.integer("max_sessions", 0, 100_000, 0)).unwrap_or(0),
        max_header_bytes: usize::try_from(root.integer("max_header_bytes", 1_024, 131_072, 32_768)).unwrap_or(0),
        on_limit: root.choice(
            "on_limit",
            &[("end_oldest", OnLimit::EndOldest), ("refuse", OnLimit::Refuse)],
            OnLimit::EndOldest,
        ),
        on_replay: root.choice(
            "on_replay",
            &[("observe", OnReplay::Observe), ("end", OnReplay::End)],
            OnReplay::Observe,
        ),
        map: values::map(&root),
        cookie,
        custody,
        adopt,
        kept_cookies,
        routes: routes::routes(&root),
        require_signed_commands: routes::require_signed_commands(&root, has_origin_keys),
        trusted_origins: values::trusted_origins(&root),
        cross_origin: root.choice(
            "cross_origin",
            &[("standard", CrossOrigin::Standard), ("strict", CrossOrigin::Strict)],
            CrossOrigin::Standard,
        ),
        case_insensitive: root.flag("case_insensitive", false),
        user_header,
        sign,
        bound,
        fence: root.choice("fence", &[("write", Fence::Write), ("read", Fence::Read)], Fence::Write),
        replica: root.choice(
            "replica",
            &[("off", Replica::Off), ("away", Replica::Away), ("always", Replica::Always)],
            Replica::Away,
        ),
        replica_horizon,
        continue_for,
        audit_retention,
        limits: limits::limits(&root),
    };
    if config.admin_host.as_ref().is_some_and(|host| config.hosts.contains(host)) {
        root.wrong_value("admin_host", "another host than those of the application in hosts");
    }
    refuse_public_log_ins(&root, &config);
    // They are taken apart before a site is read.
    root.finish_beside("; and [[vars.WARIFU.sites]], for several sites");
    config
}

/// Longer than any answer takes, shorter than the feed remembers.
const CONTINUE_FOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(10));
const AUDIT_RETENTION: (Duration, Duration) = (Duration::from_hours(1), Duration::from_secs(SPAN_SECONDS_MAX));
const ORIGIN_TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(10));
const REPLICA_HORIZON: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));

/// On a public route no session is read, so none can hold what a log-in gives.
fn refuse_public_log_ins(root: &Table<'_>, config: &Config) {
    let custody = &config.custody;
    if custody.is_off() && custody.ends_others.is_empty() {
        return;
    }
    let bearer =
        custody.bearer.iter().enumerate().map(|(index, one)| (format!("custody.bearer[{index}].path"), &one.path));
    let ends_others = custody.ends_others.iter().map(|path| ("custody.ends_others".to_owned(), path));
    for (key, path) in bearer.chain(ends_others) {
        let text = percent_encoding::percent_encode(path, percent_encoding::NON_ALPHANUMERIC).to_string();
        let Ok(path) = CanonicalPath::parse(&text.replace("%2F", "/")) else { continue };
        if demand(config, &path, "POST").access == Access::Public {
            root.wrong(
                &key,
                format!(
                    "found {:?}, which is public for POST; it needs a route with access = \"optional\"",
                    path.as_str()
                ),
            );
        }
    }
}
