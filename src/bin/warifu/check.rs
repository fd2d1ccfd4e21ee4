//! `warifu check`: the configuration, read by the gateway's own code, before
//! it is deployed.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use toml::de::DeValue;
use warifu::config::{Access, Config, Mistake, Replica};
use warifu::path::CanonicalPath;
use warifu::policy;
use warifu::site::{Secrets, Sites};

use crate::document::{Document, to_json};
use crate::explain::explain;
use crate::failure::Failure;
use crate::keys_file::{Variable, variable};
use crate::report::{self, Finding, Source};
use crate::routing::Routing;
use crate::worker::SECRETS;
use crate::{keys, misplaced, platform, rules, worker};

/// Find the mistakes of a configuration before it is deployed
///
/// Reads [vars.WARIFU] as the gateway will, and what the Worker needs beside it: main, compatibility_date, the
/// bindings of the sessions' and the feed's objects and their migrations, a KV namespace where replica wants one, and
/// an origin that does not lead back to the Worker. Prints every mistake with its place.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Check {
    /// The file that wrangler deploys from
    #[arg(default_value = "wrangler.toml", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Check this environment: [env.NAME.vars.WARIFU]
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// A file with the secrets in it, such as .dev.vars, to check WARIFU_KEYS, WARIFU_ADMIN_KEYS and WARIFU_ORIGIN_KEYS
    /// as well
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    keys_file: Option<PathBuf>,
    /// Print a list of {file, line, column, key, says}
    #[arg(long)]
    json: bool,
    /// If there are no mistakes, say what is asked of this path
    #[arg(long, value_name = "PATH")]
    explain: Option<String>,
    /// The method to go with --explain
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "explain")]
    method: String,
    /// The host to go with --explain, where there are several sites; all of them if absent
    #[arg(long, value_name = "HOST", requires = "explain")]
    host: Option<String>,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        if self.file.extension().is_some_and(|ending| ending == "json" || ending == "jsonc") {
            let path = self.file.display();
            return Err(Failure::Unusable(format!("{path}: found JSON; it must be TOML, such as wrangler.toml")));
        }
        let file = Source::read(&self.file, true)?;
        let vars = self.keys_file.as_deref().map(|path| Source::read(path, false)).transpose()?;
        let stand_in = keys::first()?;
        let read = match Document::parse(&file.text) {
            Ok(document) => {
                refuse_unknown_environment(&document, self.env.as_deref())?;
                self.read(&file, vars.as_ref(), &stand_in, &document)
            }
            Err((span, why)) => {
                let whole = Document::recovered(&file.text);
                // Such as `routes` above a list of tables of the same name, which is said to be there twice.
                let misplaced = misplaced::mistakes(&whole).into_iter().map(|Mistake { key, says }| Finding {
                    source: &file,
                    span: whole.place(&key),
                    key,
                    says,
                });
                let broken = Finding { source: &file, span, key: String::new(), says: format!("no valid TOML: {why}") };
                Err(misplaced.chain([broken]).collect())
            }
        };
        if vars.is_none() {
            crate::remark(
                "note: WARIFU_KEYS, WARIFU_ADMIN_KEYS and WARIFU_ORIGIN_KEYS were not checked, since they are secrets; \
                 --keys-file .dev.vars checks those of that file",
            );
        }
        match read {
            Ok(sites) => crate::print(self.praise(&file, &sites)?.as_bytes()),
            Err(mut findings) => {
                findings.sort_by_key(|finding| (finding.source.path != file.path, finding.span.start));
                crate::print(self.blame(&findings)?.as_bytes())?;
                Err(Failure::Shown)
            }
        }
    }

    /// The sites as the gateway will have them, or everything that keeps it from
    /// that. The stand-in is for the keys when there is no file with them: what
    /// the Worker has cannot be seen from here.
    fn read<'s>(
        &self,
        file: &'s Source,
        vars: Option<&'s Source>,
        stand_in: &str,
        document: &Document<'_>,
    ) -> Result<Sites, Vec<Finding<'s>>> {
        let rings = SECRETS.map(|name| (name, vars.and_then(|source| variable(&source.text, name))));
        let secret = |name| rings.iter().find(|(known, _)| *known == name)?.1.as_ref().map(Variable::text);
        let secrets = match vars {
            Some(_) => Secrets {
                keys: secret("WARIFU_KEYS"),
                admin_keys: secret("WARIFU_ADMIN_KEYS"),
                origin_keys: secret("WARIFU_ORIGIN_KEYS"),
            },
            None => Secrets { keys: Some(stand_in), admin_keys: None, origin_keys: Some(stand_in) },
        };
        let binding = self.binding(document);
        let sites = Sites::read(&binding, secrets);

        let table = self.env.as_ref().map_or_else(|| "vars".to_owned(), |env| format!("env.{env}.vars"));
        let in_file = |key: String, says: String| Finding { span: document.place(&key), source: file, key, says };
        let place = |Mistake { key, says }: Mistake| {
            let is_of =
                |name: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
            match (rings.iter().find(|(name, _)| is_of(name)), vars) {
                (Some((_, found)), Some(source)) => {
                    let at = found.as_ref().map_or(0, |found| found.at);
                    Finding { source, span: at..at, key, says }
                }
                _ if key == "WARIFU" => in_file(format!("{table}.WARIFU"), says),
                _ => in_file(format!("{table}.WARIFU.{key}"), says),
            }
        };
        let mut beside = worker::mistakes(document, self.env.as_deref());
        let routing = Routing::read(document, self.env.as_deref());
        if let Ok(sites) = &sites {
            for (index, site) in sites.as_slice().iter().enumerate() {
                let circle = routing.circle(sites, index);
                let circle = circle.map(|says| Mistake { key: self.origin_of(document, index, &table), says });
                for mistake in circle.into_iter().chain(self.wrong_replica(document, &site.config, &table)) {
                    beside.extend(Some(mistake).filter(|mistake| !beside.contains(mistake)));
                }
            }
        }
        let misplaced = misplaced::mistakes(document);
        let texts = || {
            let of_file = SECRETS.into_iter().filter_map(|name| Some((name, secret(name)?)));
            of_file.chain([("WARIFU", binding.as_str())])
        };
        let own = sites.as_ref().err().into_iter().flatten().cloned();
        let mut findings: Vec<Finding<'_>> = own.map(place).collect();
        findings.retain(|finding| !misplaced::explains(&misplaced, &finding.key));
        findings.extend(texts().filter_map(|(key, text)| platform::too_large(key, text)).map(place));
        findings.extend(beside.into_iter().chain(misplaced).map(|Mistake { key, says }| in_file(key, says)));
        let Ok(sites) = sites else { return Err(findings) };
        if !findings.is_empty() {
            return Err(findings);
        }
        worker::remind_of_logs(document, self.env.as_deref());
        if vars.is_none() {
            say_what_needs_origin_keys(&binding, secrets, &table);
        }
        texts().for_each(|(key, text)| platform::remind_of_size(key, &table, text));
        let several = sites.as_slice();
        for site in several {
            let of = match several {
                [_] => String::new(),
                _ => format!(" of the site {:?}", site.config.site),
            };
            remind_of_first_row(&site.config);
            remind_of_login(&site.config, &of);
            rules::remind(&site.config, &of);
            platform::remind_of_timeout(&site.config, &of);
            routing.remind_of_this_machine(site, &of);
        }
        Ok(sites)
    }

    /// A copy that is asked for needs a KV namespace; where it would only be
    /// used now and then, its absence is worth a remark.
    fn wrong_replica(&self, document: &Document<'_>, config: &Config, table: &str) -> Option<Mistake> {
        let env = self.env.as_deref();
        if config.replica == Replica::Off || worker::has_replica(document, env) {
            return None;
        }
        let form = worker::replica_form(env);
        if config.replica == Replica::Always {
            let says = format!("found \"always\", and {form}");
            return Some(Mistake { key: format!("{table}.WARIFU.replica"), says });
        }
        let is_written = binding_in(document, env).is_some_and(has_replica_key);
        if is_written || config.map.iter().any(|row| row.region != 0) {
            crate::remark(&format!(
                "note: replica is \"away\", and {form}; without it nothing is copied, and every miss asks the session's \
                 own region"
            ));
        }
        None
    }

    /// Where the origin of a site stands: with it, or with what is common to all.
    fn origin_of(&self, document: &Document<'_>, index: usize, table: &str) -> String {
        let binding = binding_in(document, self.env.as_deref());
        let own = worker::tables(binding.and_then(|binding| worker::member(binding, "sites"))).nth(index);
        match own.and_then(|(_, site)| worker::member(site, "origin")) {
            Some(_) => format!("{table}.WARIFU.sites[{index}].origin"),
            None => format!("{table}.WARIFU.origin"),
        }
    }

    /// The text that the gateway gets: a table as JSON, a string as it is.
    fn binding(&self, document: &Document<'_>) -> String {
        match binding_in(document, self.env.as_deref()) {
            None => String::new(),
            Some(DeValue::String(text)) => text.to_string(),
            Some(value) => to_json(value).to_string(),
        }
    }

    fn praise(&self, file: &Source, sites: &Sites) -> Result<String, Failure> {
        match &self.explain {
            Some(path) => self.explained(path, sites),
            None if self.json => report::for_programs(&[]),
            None => {
                let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
                let routes = count(sites.as_slice().iter().map(|site| site.config.routes.len()).sum(), "route");
                let of = match sites.as_slice() {
                    [_] => String::new(),
                    several => format!(" of {}", count(several.len(), "site")),
                };
                Ok(format!("{}: no mistakes ({routes}{of})\n", file.path))
            }
        }
    }

    /// What the policy of the site asks that the host leads to; of each, where
    /// no host is named.
    fn explained(&self, path: &str, sites: &Sites) -> Result<String, Failure> {
        let several = sites.as_slice();
        let meant = match &self.host {
            None => several,
            Some(host) => {
                let index = sites.index_of(host).ok_or_else(|| {
                    let known: Vec<&str> =
                        several.iter().flat_map(|site| &site.config.hosts).map(String::as_str).collect();
                    Failure::Unusable(format!("--host: found {host:?}; it must be one of {}", known.join(", ")))
                })?;
                &several[index..=index]
            }
        };
        let has_names = several.len() > 1;
        Ok(meant.iter().map(|site| explain(&site.config, path, &self.method, self.json, has_names)).collect())
    }

    fn blame(&self, findings: &[Finding<'_>]) -> Result<String, Failure> {
        if self.json {
            return report::for_programs(findings);
        }
        let count = findings.len();
        let mistakes = if count == 1 { "mistake" } else { "mistakes" };
        Ok(format!("{}{count} {mistakes}\n", report::for_people(findings)))
    }
}

/// A configuration that is fine with `WARIFU_ORIGIN_KEYS` may not be without: the
/// Worker then answers nothing but `misconfigured`.
fn say_what_needs_origin_keys(binding: &str, secrets: Secrets<'_>, table: &str) {
    let without = Sites::read(binding, Secrets { origin_keys: None, ..secrets });
    for Mistake { key, .. } in without.err().into_iter().flatten() {
        crate::remark(&format!(
            "note: {table}.WARIFU.{key} needs the secret WARIFU_ORIGIN_KEYS; warifu setup --origin-keys makes it where \
             the Worker lacks it"
        ));
    }
}

/// What moved in, and what was ended, is noted under the rows of its time alone.
fn remind_of_first_row(config: &Config) {
    if config.adopt.is_some() && config.map.iter().all(|row| row.generation > 1) {
        crate::remark(
            "note: adopt is there, and the map has no row of generation 1; if that was taken out while sessions moved \
             in, old cookies that were used up or ended under it open sessions again, so take adopt out as well",
        );
    }
}

/// Whoever has no session is sent there, and gets no further.
fn remind_of_login(config: &Config, of: &str) {
    let login = &config.login;
    let Ok(path) = CanonicalPath::parse(login.split('?').next().unwrap_or_default()) else { return };
    if policy::demand(config, &path, "GET").access < Access::Required {
        return;
    }
    // Custody takes the log-in without them.
    let commands = if config.custody.is_off() { " and commands = true" } else { "" };
    crate::remark(&format!(
        "note: login{of} is {login:?}, and a session is needed there, so nobody can log in; give it a route with access \
         = \"optional\"{commands}"
    ));
}

/// An environment that the file does not have would have nothing of it.
pub fn refuse_unknown_environment(document: &Document<'_>, env: Option<&str>) -> Result<(), Failure> {
    let Some(env) = env else { return Ok(()) };
    if document.get(&["env", env]).is_some_and(DeValue::is_table) {
        return Ok(());
    }
    let known = document.get(&["env"]).and_then(DeValue::as_table);
    let known: Vec<&str> =
        known.into_iter().flat_map(|table| table.keys()).map(|name| name.get_ref().as_ref()).collect();
    let allowed = match known[..] {
        [] => "the file has no environments".to_owned(),
        _ => format!("it must be one of {}", known.join(", ")),
    };
    Err(Failure::Unusable(format!("--env: found {env:?}; {allowed}")))
}

fn binding_in<'d, 't>(document: &'d Document<'t>, env: Option<&str>) -> Option<&'d DeValue<'t>> {
    match env {
        Some(env) => document.get(&["env", env, "vars", "WARIFU"]),
        None => document.get(&["vars", "WARIFU"]),
    }
}

/// Whether the key is written in the file, and not only its default counts.
fn has_replica_key(binding: &DeValue<'_>) -> bool {
    binding.as_table().is_some_and(|table| table.contains_key("replica"))
}
