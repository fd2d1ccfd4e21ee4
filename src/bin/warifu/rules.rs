//! What of a site's rules cannot do what somebody meant by it. All of it can be read, so none is
//! a mistake.

use warifu::config::{Access, Config, OnOutage, Route, SameSite};
use warifu::policy;

/// Rules that never count, never can be met, or change nothing.
pub fn remind(config: &Config, of: &str) {
    for (index, rule) in config.routes.iter().enumerate() {
        let name = name_of(rule);
        let earlier = config.routes[..index].iter().find(|earlier| policy::includes(config, earlier, rule));
        if let Some(earlier) = earlier {
            crate::remark(&format!(
                "note: the rule for {name:?}{of} never counts: the one for {:?} comes before it and has all of its \
                 requests; the first rule that fits is the one",
                name_of(earlier)
            ));
        }
        if rule.max_auth_age.is_some_and(|age| age.is_zero()) {
            crate::remark(&format!(
                "note: max_auth_age of the rule for {name:?}{of} is nothing, which no log-in is quick enough for: people \
                 are sent to log in again and again"
            ));
        }
        if rule.on_outage == OnOutage::Continue && (config.bound.is_zero() || rule.access == Access::Public) {
            let why = if rule.access == Access::Public {
                "no session is read there"
            } else {
                "with bound = \"0s\" nothing is remembered"
            };
            crate::remark(&format!(
                "note: on_outage of the rule for {name:?}{of} has no effect, since {why}; and receipts count \
                 continue_for all the same"
            ));
        }
    }
    if config.cookie.partitioned && config.cookie.same_site != SameSite::None {
        crate::remark(&format!(
            "note: cookie.partitioned{of} is for pages in frames of other sites, where browsers keep no cookie without \
             cookie.same_site = \"none\""
        ));
    }
}

/// The rule's path, as it is configured.
fn name_of(rule: &Route) -> String {
    let path = String::from_utf8_lossy(&rule.decoded);
    if rule.below { format!("{}/*", path.trim_end_matches('/')) } else { path.into_owned() }
}
