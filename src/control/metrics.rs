//! `GET /_warifu/metrics`: what this isolate has counted, as Prometheus reads
//! it: text format 0.0.4. A family is its HELP, its TYPE and its samples, one a
//! line; in a label's value `\`, `"` and a line feed are escaped.

use core::fmt::Write;

use super::input::Query;
use crate::error::Failure;
use crate::limit::{Limit, OWN_NAME};
use crate::ports::{Ports, Random};
use crate::request::Request;
use crate::response::OwnResponse;
use crate::tally::{EDGES_MS, Histogram, ORIGIN_SAMPLED, Outcome, Source};

pub fn answer<P: Ports>(ports: &P, request: &Request) -> Result<OwnResponse, Failure> {
    Query::read(request, &[])?;
    Ok(OwnResponse::text("text/plain; version=0.0.4; charset=utf-8", text(ports)))
}

/// A name for the isolate that answers, so that the numbers of two are not
/// taken for those of one that began anew.
pub fn isolate<P: Ports>(ports: &P) -> String {
    ports.memory().tally().isolate(|| {
        let mut id = [0; 4];
        // Where there is no randomness, nothing else works either.
        let _ = ports.random().fill(&mut id);
        id
    })
}

fn text<P: Ports>(ports: &P) -> String {
    let (memory, now) = (ports.memory(), ports.time());
    let (tally, held) = (memory.tally(), memory.holdings());
    let isolate = isolate(ports);
    let mut page = Page { text: String::with_capacity(8_192), isolate: &isolate };

    page.family("warifu_checks_total", "counter", "Verdicts on tokens, by where they came from.");
    for (source, from) in
        [(Source::Memory, "memory"), (Source::Kv, "kv"), (Source::Object, "object"), (Source::Outage, "outage")]
    {
        for (outcome, was) in [(Outcome::Live, "live"), (Outcome::None, "none"), (Outcome::Unknown, "unknown")] {
            let labels = ["source=\"", from, "\",outcome=\"", was, "\""].concat();
            page.sample("warifu_checks_total", &labels, tally.checks(source, outcome));
        }
    }
    page.one("warifu_store_calls_total", "counter", "Messages to session objects.", tally.store_calls.get());
    page.one(
        "warifu_store_failures_total",
        "counter",
        "Messages to session objects without an answer that counts.",
        tally.store_failures.get(),
    );
    page.one("warifu_polls_total", "counter", "Polls of the feed.", tally.polls.get());
    page.one(
        "warifu_poll_failures_total",
        "counter",
        "Polls of the feed without an answer that counts.",
        tally.failed_polls(),
    );
    page.histogram("warifu_poll_seconds", "From sending a poll of the feed to its answer.", &tally.poll_time);
    if let Some(age) = memory.window_age(now) {
        page.family("warifu_feed_age_seconds", "gauge", "Age of what is known of the feed; absent: nothing is.");
        page.seconds("warifu_feed_age_seconds", "", crate::time::millis(age));
    }
    page.histogram(
        "warifu_kill_delay_seconds",
        "For each kill that the feed told of: for how long the session can have been let in from memory, at most.",
        &tally.kill_delay,
    );
    page.one("warifu_cached_verdicts", "gauge", "Verdicts in memory.", held.verdicts as u64);
    page.one("warifu_cached_bytes", "gauge", "What these take, about.", held.bytes as u64);
    page.one("warifu_cached_dead", "gauge", "Tokens in memory that open nothing.", held.dead as u64);
    page.one("warifu_feed_entries", "gauge", "Entries of the feed in memory.", held.entries as u64);
    page.one("warifu_evictions_total", "counter", "Verdicts that had to make room for others.", held.evicted);
    page.histogram(
        "warifu_origin_seconds",
        &format!("To the first byte of the application's answer: of one request in {ORIGIN_SAMPLED}."),
        &tally.origin_time,
    );
    page.one("warifu_bad_macs_total", "counter", "Tokens with a wrong MAC.", tally.bad_macs.get());
    page.one(
        "warifu_records_refused_total",
        "counter",
        "Records of KV that cannot be read, or that no key vouches for.",
        tally.records_refused.get(),
    );
    page.family("warifu_limited_total", "counter", "What rate limits have refused, by the limit.");
    for limit in Limit::ALL {
        page.sample("warifu_limited_total", &["limit=\"", limit.name(), "\""].concat(), tally.limited_so_far(limit));
    }
    page.sample("warifu_limited_total", &["limit=\"", OWN_NAME, "\""].concat(), tally.own_limited.get());
    page.family("warifu_events_total", "counter", "Lines of the log, by the event, but for what came after an answer.");
    for (event, count) in tally.events() {
        page.sample("warifu_events_total", &["event=\"", &event, "\""].concat(), count);
    }
    page.text
}

/// The text, as far as it is written. No label here has a sign to be escaped:
/// they are words of our own and hex digits.
struct Page<'a> {
    text: String,
    isolate: &'a str,
}

impl Page<'_> {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.push(&["# HELP ", name, " ", help, " Of this isolate.\n# TYPE ", name, " ", kind, "\n"]);
    }

    /// A family of one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        self.name(name, labels);
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{value}");
    }

    /// The unit is the second, as Prometheus wants it.
    fn seconds(&mut self, name: &str, labels: &str, ms: u64) {
        self.name(name, labels);
        let _ = writeln!(self.text, "{}.{:03}", ms / 1_000, ms % 1_000);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = [name, "_bucket"].concat();
        // Buckets are cumulative: each has what the smaller ones have.
        let mut total = 0;
        let edges = EDGES_MS.map(|ms| format!("le=\"{}.{:03}\"", ms / 1_000, ms % 1_000));
        let all = "le=\"+Inf\"".to_owned();
        for (edge, count) in edges.iter().chain([&all]).zip(histogram.counts()) {
            total += count;
            self.sample(&bucket, edge, total);
        }
        self.seconds(&[name, "_sum"].concat(), "", histogram.sum_ms());
        self.sample(&[name, "_count"].concat(), "", total);
    }

    fn name(&mut self, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        self.push(&[name, "{isolate=\"", self.isolate, "\"", comma, labels, "} "]);
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }
}
