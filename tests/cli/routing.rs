//! `warifu check`: what leads to the Worker, and where its requests go.

use crate::check::{FINE, SITES, at, places};
use crate::{file, warifu};

/// [`FINE`] with keys of the Worker, and with its origin changed.
fn routed(worker: &str, table: &str) -> String {
    let own = "origin = \"http://origin.test\"\n";
    format!("{worker}\n{}", FINE.replace(own, &format!("{table}\n")))
}

#[test]
fn an_origin_that_leads_back_to_the_worker_is_a_mistake() {
    let custom = "routes = [{ pattern = \"app.test\", custom_domain = true }]";
    let zone = "routes = [{ pattern = \"app.test/*\", zone_name = \"app.test\" }]";
    let other = "routes = [{ pattern = \"other.test/*\", zone_name = \"other.test\" }]";
    let hosts = "hosts = [\"app.test\"]";
    let (own, own_port) = ("origin = \"https://App.test\"", "origin = \"https://app.test:8443\"");
    let fine = "origin = \"https://internal.test\"";
    let at_origin = |line| vec![at(line, 1, "vars.WARIFU.origin")];
    let mut count = 0;
    let mut is = |worker: &str, table: &[&str], expected: Vec<(u64, u64, String)>| {
        count += 1;
        let content = routed(worker, &table.join("\n"));
        assert_eq!(places(&format!("circle-{count}.toml"), &content, &[]), expected, "{content}");
    };
    is("", &[own, hosts], at_origin(18));
    is(custom, &[own, hosts], at_origin(18));
    is(custom, &[own], at_origin(18));
    is(custom, &[own_port], at_origin(18));
    is("route = { pattern = \"app.test\", custom_domain = true }", &[own], at_origin(18));
    is(other, &[own, hosts], at_origin(18));
    is("", &[own, "admin_host = \"app.test\""], at_origin(18));
    is(custom, &[fine, hosts], vec![]);
    is("", &["origin = \"http://127.0.0.1:3000\"", "hosts = [\"127.0.0.1:8787\"]"], vec![]);
    // The platform hands a request for the zone's own host to what the route is before.
    is(zone, &[own, hosts], vec![]);
    is("routes = [\"https://app.test/*\"]", &[own, hosts], vec![]);
    is("route = \"*.test/*\"", &[own, hosts], vec![]);
    // Without an origin: right on a route of the zone, and nothing stands behind a custom domain.
    let missing = |line| vec![at(line, 7, "vars.WARIFU.origin")];
    is(custom, &[hosts], missing(17));
    is(custom, &[""], missing(17));
    is(zone, &[hosts], vec![]);
    is("", &[hosts], vec![]);
    // The operators' host, and one that gets 421.
    let both = format!("{}, {}]", zone.trim_end_matches(']'), "{ pattern = \"admin.test\", custom_domain = true }");
    is(&both, &["admin_host = \"admin.test\""], vec![]);
    is(&both, &[hosts], vec![]);
    is(&both, &[""], missing(17));

    let environment = "\n[env.b.vars.WARIFU]\n[[env.b.durable_objects.bindings]]\nname = \"SESSIONS\"\nclass_name = \
                       \"SessionObject\"\n[[env.b.durable_objects.bindings]]\nname = \"FEED\"\nclass_name = \"FeedObject\"\n";
    let content = routed(custom, fine) + environment;
    let expected = [at(20, 13, "env.b.vars.WARIFU.origin")];
    assert_eq!(places("circle-env.toml", &content, &["--env", "b"]), expected, "routes are inherited");
    let content = content.replace("[env.b.vars", &format!("[env.b]\n{zone}\n[env.b.vars"));
    assert_eq!(places("circle-env-own.toml", &content, &["--env", "b"]), []);

    let sites = |origin: &str| {
        let custom = "routes = [{ pattern = \"shop.test\", custom_domain = true }, { pattern = \"news.test\", \
                      custom_domain = true }]";
        routed(custom, &format!("{origin}\n{SITES}"))
    };
    let content = sites("origin = \"https://shop.test\"");
    assert_eq!(places("circle-site.toml", &content, &[]), at_origin(18));
    let content = sites(fine).replace("http://news.origin.test", "http://news.test");
    assert_eq!(places("circle-sites.toml", &content, &[]), [at(28, 1, "vars.WARIFU.sites[1].origin")]);
    assert_eq!(places("circle-no-site.toml", &sites(fine), &[]), []);
}

#[test]
fn what_an_edge_cannot_reach_is_told_of() {
    let zone = "routes = [\"app.test/*\"]";
    let mut count = 0;
    let mut told = |worker: &str, table: &str| -> Vec<String> {
        count += 1;
        let run = warifu(&["check", &file(&format!("private-{count}.toml"), &routed(worker, table))]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        let is_meant = |line: &&str| line.starts_with("note: origin") || line.starts_with("note: admin_host");
        run.stderr.lines().filter(is_meant).map(str::to_owned).collect()
    };
    for host in
        ["127.0.0.1:8790", "localhost:3000", "x.localhost", "10.1.2.3", "192.168.0.1:80", "[::1]:3000", "[fd00::1]"]
    {
        let found = told(zone, &format!("origin = \"http://{host}\""));
        assert_eq!(found.len(), 1, "{host}");
        assert!(found[0].starts_with("note: origin is \"http://"), "{}", found[0]);
    }
    for host in ["1.1.1.1", "[2606:4700::1]:8443"] {
        let says = format!(
            "note: origin is \"http://{host}\", an IP address; deployed, the Worker gets 403 (error 1003) from Cloudflare in \
             place of your application's answers; give it a DNS name"
        );
        for worker in [zone, ""] {
            assert_eq!(told(worker, &format!("origin = \"http://{host}\""))[..], [says.as_str()], "{worker}");
        }
    }
    assert!(told(zone, "origin = \"http://1.1.1.1.example\"").is_empty());
    assert!(told("", "origin = \"http://127.0.0.1:8790\"").is_empty(), "for make dev");
    let both = told(zone, "origin = \"http://127.0.0.1:8790\"\nadmin_host = \"localhost:8787\"");
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[1].starts_with("note: admin_host is \"localhost:8787\""), "{}", both[1]);
    let sites = told(zone, &format!("origin = \"http://127.0.0.1:8790\"\n{SITES}"));
    assert!(sites[0].starts_with("note: origin of the site \"shop\" is"), "{sites:?}");
    assert_eq!(sites.len(), 1);
}
