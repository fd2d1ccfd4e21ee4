//! What the routes demand, and the cross-origin rule.

use core::time::Duration;

use crate::config::{Access, Commands, Config, CrossOrigin, OnEnd, OnOutage, Route, SameSite};
use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::request::Request;
use crate::session::Session;
use crate::time::UnixMillis;

/// What the policy asks of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Demand {
    pub access: Access,
    /// The least level of the session.
    pub level: u8,
    /// The longest time since the person proved who they are.
    pub max_auth_age: Option<Duration>,
    /// Whether the origin's answer may start and end sessions.
    pub commands: Commands,
    /// Whether the request counts as use of the session.
    pub activity: bool,
    /// Whether it is served on the last proof while no store answers.
    pub continues: bool,
    /// What becomes of what is open when its session ends.
    pub on_end: OnEnd,
}

impl Demand {
    /// Protected by default: what no rule names wants a session.
    pub const UNMATCHED: Self = Self {
        access: Access::Required,
        level: 0,
        max_auth_age: None,
        commands: Commands::No,
        activity: true,
        continues: false,
        on_end: OnEnd::Close,
    };

    /// What a rule asks for.
    fn of(route: &Route) -> Self {
        Self {
            access: route.access,
            level: route.level,
            max_auth_age: route.max_auth_age,
            commands: route.commands,
            activity: route.activity,
            continues: route.on_outage == OnOutage::Continue,
            on_end: route.on_end,
        }
    }

    /// The stricter of two readings of one path, in every respect.
    fn and(self, other: Self) -> Self {
        Self {
            access: self.access.max(other.access),
            level: self.level.max(other.level),
            max_auth_age: self.max_auth_age.into_iter().chain(other.max_auth_age).min(),
            commands: self.commands.max(other.commands),
            activity: self.activity && other.activity,
            on_end: if self.on_end == OnEnd::Keep { other.on_end } else { OnEnd::Close },
            continues: self.continues && other.continues && self.access.max(other.access) < Access::Strict,
        }
    }

    /// Whether the session is strong and fresh enough.
    ///
    /// # Errors
    /// What the person has to do.
    pub fn is_met_by(&self, session: &Session, now: UnixMillis) -> Result<(), Failure> {
        let is_fresh = self.max_auth_age.is_none_or(|age| now.since(session.auth_time) <= age);
        if session.level >= self.level && is_fresh {
            return Ok(());
        }
        Err(Failure::StepUp { level: self.level.max(session.level), max_auth_age: self.max_auth_age })
    }
}

/// What the policy asks of a path and a method. Of the ways in which
/// origins may read the path, the strictest counts.
pub fn demand(config: &Config, path: &CanonicalPath, method: &str) -> Demand {
    let of = |reading: &[u8]| {
        let own = first_match(config, reading, method, false);
        let as_is = own.map_or(Demand::UNMATCHED, Demand::of);
        // Many frameworks serve `/a/` by what `/a` is routed to, or the other way
        // round. A rule for all below has both, and says nothing new.
        let Some(sibling) = first_match(config, reading, method, true).filter(|route| !route.below) else {
            return as_is;
        };
        // Whether the origin may give commands there, a rule of its own has said.
        let names_it = own.filter(|own| !own.below).unwrap_or(sibling);
        as_is.and(Demand { commands: names_it.commands, ..Demand::of(sibling) })
    };
    path.other_readings().iter().fold(of(path.decoded()), |demand, reading| demand.and(of(reading)))
}

/// The first rule for a path, or for the one that differs by a `/` at its end.
fn first_match<'a>(config: &'a Config, decoded: &[u8], method: &str, by_slash: bool) -> Option<&'a Route> {
    let matches = |route: &&Route| {
        route.methods.as_ref().is_none_or(|methods| methods.iter().any(|m| m == method))
            && covers(route, decoded, config.case_insensitive, by_slash)
    };
    config.routes.iter().find(matches)
}

/// Whether the first rule takes each request that the second is for: where it stands before that,
/// the second never counts.
pub fn includes(config: &Config, first: &Route, second: &Route) -> bool {
    let has_methods = first.methods.as_ref().is_none_or(|first| {
        second.methods.as_ref().is_some_and(|second| second.iter().all(|method| first.contains(method)))
    });
    // What is exact has one path only.
    has_methods
        && (first.below || !second.below)
        && (first.below || first.decoded.len() == second.decoded.len())
        && covers(first, &second.decoded, config.case_insensitive, false)
}

/// Whether the rule's path is this one, or an ancestor of it for `/a/*`.
fn covers(route: &Route, decoded: &[u8], case_insensitive: bool, by_slash: bool) -> bool {
    let same = |a: &[u8], b: &[u8]| if case_insensitive { a.eq_ignore_ascii_case(b) } else { a == b };
    let parent = route.decoded.strip_suffix(b"/").unwrap_or(&route.decoded);
    if !route.below {
        let bare = decoded.strip_suffix(b"/").unwrap_or(decoded);
        return same(parent, bare) && (route.decoded.len() == decoded.len()) != by_slash;
    }
    match decoded.split_at_checked(parent.len()) {
        Some((start, rest)) => same(start, parent) && (rest.is_empty() || rest.starts_with(b"/")),
        None => false,
    }
}

/// Whether a browser sent this from somewhere it must not: the rule of Go
/// 1.25's `CrossOriginProtection`, and upgrades are held to it too.
pub fn is_forbidden_cross_origin(config: &Config, request: &Request) -> bool {
    let upgrade = request.is_upgrade();
    if request.is_safe() && !upgrade {
        return false;
    }
    let origin = request.headers.get("origin");
    if let Some(site) = request.headers.get("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none") && !origin.is_some_and(|o| is_trusted(config, o));
    }
    match origin {
        Some(origin) => !is_own(request, origin) && !is_trusted(config, origin),
        // No current browser. For an upgrade that is not good enough, since
        // older ones send no fetch metadata there but always an Origin.
        None => upgrade || config.cross_origin == CrossOrigin::Strict,
    }
}

/// Whether the answer may log somebody in: a request that another site caused
/// counts only if the user sees where it leads.
pub fn may_start_session(config: &Config, request: &Request) -> bool {
    let header = |name| request.headers.get(name);
    match header("sec-fetch-site") {
        Some("same-origin" | "none") => true,
        // Another host of the same site, if it is trusted with unsafe methods.
        Some("same-site") if header("origin").is_some_and(|origin| is_trusted(config, origin)) => true,
        Some(_) => header("sec-fetch-mode") == Some("navigate") && header("sec-fetch-dest") == Some("document"),
        None => header("origin").is_none_or(|origin| is_own(request, origin)),
    }
}

/// Whether a browser sends the session cookie, if it has one, with a request
/// like this (RFC 6265bis, section 5.2). Where it does not, a cookie of the
/// application's own that comes alone says nothing: any site can cause that.
pub fn comes_with_cookies(config: &Config, request: &Request) -> bool {
    let header = |name| request.headers.get(name);
    if header("sec-fetch-site") != Some("cross-site") {
        return true;
    }
    match config.cookie.same_site {
        SameSite::None => true,
        SameSite::Lax => {
            request.is_safe()
                && header("sec-fetch-mode") == Some("navigate")
                && header("sec-fetch-dest") == Some("document")
        }
        SameSite::Strict => false,
    }
}

/// A preflight of an origin that may send unsafe methods goes to the origin,
/// without identity, on any route: browsers send none with it.
pub fn is_trusted_preflight(config: &Config, request: &Request) -> bool {
    request.is_preflight() && request.headers.get("origin").is_some_and(|origin| is_trusted(config, origin))
}

/// Over https, a page without TLS is another's: whoever sits on its way can have made
/// it. Not the other way round: something before the gateway may end TLS.
fn is_own(request: &Request, origin: &str) -> bool {
    crate::config::WebOrigin::parse(origin).is_some_and(|origin| {
        let is_downgrade = request.scheme == "https" && origin.as_str().starts_with("http:");
        origin.host() == request.host && !is_downgrade
    })
}

fn is_trusted(config: &Config, origin: &str) -> bool {
    config.trusted_origins.iter().any(|trusted| trusted.as_str() == origin)
}
