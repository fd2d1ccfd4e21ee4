//! Whether requests get from the Worker to the application, as far as the file
//! says what leads to the Worker.

use core::net::IpAddr;

use toml::Spanned;
use toml::de::DeValue;
use warifu::site::{Site, Sites};

use crate::document::Document;
use crate::worker::{File, member, text};

/// The hosts of the Worker's routes, in lower case.
pub struct Routing {
    /// Custom domains: nothing stands behind the Worker there.
    custom: Vec<String>,
    /// Routes of a zone: what the Worker asks of such a host goes to what stands
    /// behind it, and not to the Worker. May begin with `*`.
    zones: Vec<String>,
}

impl Routing {
    pub fn read(document: &Document<'_>, env: Option<&str>) -> Self {
        let file = File { document, env };
        let mut routing = Self { custom: Vec::new(), zones: Vec::new() };
        for value in ["routes", "route"].iter().filter_map(|key| file.inherited(key).1) {
            match value.as_array() {
                Some(list) => list.iter().map(Spanned::get_ref).for_each(|route| routing.add(route)),
                None => routing.add(value),
            }
        }
        routing
    }

    fn add(&mut self, route: &DeValue<'_>) {
        let Some(pattern) = route.as_str().or_else(|| text(route, "pattern")) else { return };
        let is_custom = member(route, "custom_domain").and_then(DeValue::as_bool) == Some(true);
        let pattern = pattern.rsplit("://").next().unwrap_or_default();
        let host = pattern.split('/').next().unwrap_or_default().to_ascii_lowercase();
        if is_custom { self.custom.push(host) } else { self.zones.push(host) }
    }

    fn is_in_zone(&self, host: &str) -> bool {
        self.zones.iter().any(|zone| zone.strip_prefix('*').map_or(zone == host, |end| host.ends_with(end)))
    }

    /// An origin that leads a request of this site back to where it came from.
    /// None is right where the Worker is on a route of the application's own zone.
    pub fn circle(&self, sites: &Sites, index: usize) -> Option<String> {
        let config = &sites.as_slice()[index].config;
        let Some(origin) = &config.origin else {
            let is_served = |host: &String| {
                sites.index_of(host) == Some(index)
                    && config.admin_host.as_ref() != Some(host)
                    && (config.hosts.is_empty() || config.hosts.contains(host))
            };
            let host = self.custom.iter().find(|host| is_served(host))?;
            return Some(format!(
                "is missing, and nothing stands behind {host:?}, which is a custom domain; it must be your \
                 application's own address"
            ));
        };
        let is_custom = |host: &str| self.custom.iter().any(|custom| custom == host);
        let of_another = |host: &str| sites.index_of(host).is_some_and(|other| other != index);
        let name = name_of(origin.host());
        let mut own = config.hosts.iter().chain(&config.admin_host);
        let cure = if is_custom(name) && !of_another(name) {
            ""
        } else if own.any(|host| host == origin.host()) && !self.is_in_zone(name) {
            "; leave it out for a Worker on a route of your application's own zone"
        } else {
            return None;
        };
        let origin = origin.as_str();
        Some(format!(
            "found {origin:?}, which leads back to this Worker; it must be your application's own address{cure}"
        ))
    }

    /// What is good for this machine alone: where the file says that the Worker is
    /// reached elsewhere, or where nobody would mean it.
    pub fn remind_of_this_machine(&self, Site { config, .. }: &Site, of: &str) {
        if let Some(origin) =
            config.origin.as_ref().filter(|origin| ip_of(origin.host()).is_some() && !is_private(origin.host()))
        {
            let origin = origin.as_str();
            crate::remark(&format!(
                "note: origin{of} is {origin:?}, an IP address; deployed, the Worker gets 403 (error 1003) from \
                 Cloudflare in place of your application's answers; give it a DNS name"
            ));
        }
        if self.custom.is_empty() && self.zones.is_empty() {
            return;
        }
        if let Some(origin) = config.origin.as_ref().filter(|origin| is_private(origin.host())) {
            let origin = origin.as_str();
            crate::remark(&format!(
                "note: origin{of} is {origin:?}, a private address, and the Worker has routes; deployed, it reaches \
                 nothing there"
            ));
        }
        if let Some(host) = config.admin_host.as_ref().filter(|host| is_private(host)) {
            crate::remark(&format!(
                "note: admin_host{of} is {host:?}, and the Worker has routes; give the operators a host of their own, or \
                 leave it out"
            ));
        }
    }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn ip_of(host: &str) -> Option<IpAddr> {
    name_of(host).trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether it is this machine's, or of a network that only some can reach.
fn is_private(host: &str) -> bool {
    let name = name_of(host);
    match ip_of(host) {
        Some(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        Some(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
        None => name == "localhost" || name.ends_with(".localhost"),
    }
}
