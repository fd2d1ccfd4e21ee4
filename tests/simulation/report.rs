//! What a person gets to read: how many, how fast, and what went wrong where.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::executor::{MILLI, SECOND};
use super::run::Outcome;
use super::truth;

/// A number from the environment. What is none must not be taken for nothing: fewer seeds would be
/// run than were asked for.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?;
    let number = text.to_str().and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{name} is {}, which is no number", text.display())))
}

/// Runs seeds from 1 on, two at a time, until one of them fails.
pub fn for_each_seed(count: u64, run: impl Fn(u64) -> bool + Sync) {
    let (next, has_failed) = (AtomicU64::new(number("WARIFU_FIRST").unwrap_or(1)), AtomicBool::new(false));
    let last = next.load(Ordering::Relaxed) + count;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last {
                        return;
                    }
                    if !run(seed) {
                        has_failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

#[derive(Default)]
struct Sums {
    seeds: u64,
    requests: u64,
    acceptances: u64,
    cached: u64,
    followed: u64,
    waited: u64,
    replica: u64,
    outage: u64,
    kills: u64,
    opened: u64,
    cut: u64,
    failed: u64,
    faults: BTreeMap<&'static str, u64>,
    durable: BTreeMap<&'static str, u64>,
}

/// Of all seeds together.
pub struct Total {
    sums: Mutex<Sums>,
    began: Instant,
}

impl Default for Total {
    fn default() -> Self {
        Self { sums: Mutex::default(), began: Instant::now() }
    }
}

impl Total {
    pub fn add(&self, outcome: &Outcome) {
        let mut sums = self.sums.lock().expect("nobody panics with it");
        let counts = &outcome.counts;
        sums.seeds += 1;
        sums.requests += counts.requests;
        sums.acceptances += counts.acceptances;
        sums.cached += counts.cached;
        sums.followed += counts.followed;
        sums.waited += counts.waited;
        sums.replica += counts.replica;
        sums.outage += counts.outage;
        sums.kills += counts.kills;
        sums.opened += counts.opened;
        sums.cut += counts.cut;
        sums.failed += u64::from(!outcome.violations.is_empty());
        for (kind, count) in &counts.faults {
            *sums.faults.entry(kind).or_default() += count;
        }
        for (kind, count) in &counts.durable {
            *sums.durable.entry(kind).or_default() += count;
        }
        if sums.seeds.is_multiple_of(100) {
            eprintln!("{} seeds in {:.0} s", sums.seeds, self.began.elapsed().as_secs_f64());
        }
    }

    pub fn print(&self) {
        let sums = self.sums.lock().expect("nobody panics with it");
        eprintln!(
            "{} seeds in {:.1} s: {} requests, {} accepted ({} from memory, which is {} %, {} of them by a precedent, {} requests waited for another's question, {} from KV, {} in an outage), {} kills, {} left open ({} cut)",
            sums.seeds,
            self.began.elapsed().as_secs_f64(),
            sums.requests,
            sums.acceptances,
            sums.cached,
            sums.cached * 100 / sums.acceptances.max(1),
            sums.followed,
            sums.waited,
            sums.replica,
            sums.outage,
            sums.kills,
            sums.opened,
            sums.cut,
        );
        let list = |counts: &BTreeMap<&str, u64>| {
            counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
        };
        eprintln!("faults: {}", list(&sums.faults));
        eprintln!("durable: {}", list(&sums.durable));
    }

    /// A world in which next to nothing comes from memory would prove little.
    pub fn check(&self) {
        let sums = self.sums.lock().expect("nobody panics with it");
        assert!(sums.seeds > 0, "no seed was run");
        assert!(sums.seeds < 20 || sums.followed * 10 > sums.cached, "next to none goes by a precedent");
        assert!(sums.seeds < 20 || sums.waited > 0, "nobody waits for another's question");
        assert_eq!(sums.failed, 0, "seeds that violate an invariant");
        for kind in truth::KINDS {
            let is_seen = sums.durable.get(kind).is_some_and(|count| *count > 0);
            assert!(sums.seeds < 20 || is_seen, "no statement was recognised that makes {kind} durable");
        }
        assert!(sums.seeds < 20 || sums.cut > 0, "nothing open was ever cut");
        assert!(sums.seeds < 20 || sums.replica > 0, "no record of KV was ever worth anything");
        assert!(sums.cached * 5 >= sums.acceptances, "{} of {} from memory", sums.cached, sums.acceptances);
    }
}

pub fn print_failure(seed: u64, outcome: &Outcome) {
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    eprintln!("seed {seed} at commit {commit} violates:");
    for violation in &outcome.violations {
        eprintln!("  {} at {} ms: {}", violation.invariant, violation.at / MILLI, violation.says);
    }
    eprintln!("again: make sim SEED={seed}");
}

/// The trace; or the last of it, before a failure.
pub fn print_trace(outcome: &Outcome, is_short: bool) {
    eprintln!("{:?}", outcome.plan);
    let skipped = if is_short { outcome.trace.len().saturating_sub(LINES) } else { 0 };
    for (at, line) in &outcome.trace[skipped..] {
        eprintln!("{:>3}.{:06} {line}", at / SECOND, at % SECOND);
    }
    for violation in &outcome.violations {
        eprintln!("{} at {} ms: {}", violation.invariant, violation.at / MILLI, violation.says);
    }
}

/// Of a trace, where a seed fails among many.
const LINES: usize = 120;
