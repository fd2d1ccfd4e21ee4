//! What is drawn for a seed before it begins: the configuration, the size of
//! the world, and what will go wrong in it.

use std::ops::Range;
use std::rc::Rc;

use warifu::site::Site;

use super::executor::{Micros, SECOND};
use super::moving;
use super::random::Dice;
use crate::support::site_of;

/// How much goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Messages that are lost, that come twice, that take long: of a thousand.
    pub lost: u64,
    pub twice: u64,
    pub slow: u64,
    /// Between two faults of each kind, about; 0: never.
    pub crashes: Micros,
    pub replacements: Micros,
    pub partitions: Micros,
    pub feed_losses: Micros,
    pub restarts: Micros,
    pub steps: Micros,
    pub disks: Micros,
    pub compactions: Micros,
    /// Whether alarms come late and twice.
    pub alarms: bool,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one draw")]
pub struct Plan {
    pub seed: u64,
    pub edges: usize,
    /// One bound for each version of the configuration, in milliseconds.
    pub bounds: Vec<u64>,
    /// Idle timeouts likewise, in seconds.
    pub idles: Vec<u64>,
    pub continue_for: u64,
    pub grace: u64,
    pub max_sessions: u32,
    pub refuses_at_limit: bool,
    pub ends_on_replay: bool,
    /// Whether shards answer behind a confirmed write.
    pub is_fenced: bool,
    /// How many calls the platform lets a request make, for as long as what it opens lasts.
    pub calls_max: Option<u32>,
    /// Shards of the rows of the map; the second comes into use later.
    pub rows: Vec<u32>,
    pub subjects: usize,
    pub browsers: usize,
    /// Whether polls go over a relay, which gives an answer to several edges.
    pub has_relay: bool,
    /// Whether records are copied into KV, and read there first.
    pub has_replica: bool,
    /// Whether people come who were logged in before.
    pub adopts: bool,
    pub faults: Faults,
    pub length: Micros,
    /// After that, nothing goes wrong any more.
    pub healing: Micros,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x7761_7269_6675);
        let has_two_versions = dice.chance(250);
        let bound = *dice.pick(&[1_000, 2_000]);
        let bounds = if has_two_versions { vec![2_000, 1_000] } else { vec![bound] };
        // By dice of its own: what is drawn beside it stays as it was.
        let short = Dice::new(seed ^ 0x62_6f75_6e64);
        let bounds = if short.chance(120) { vec![*short.pick(&[0, 250])] } else { bounds };
        let idle = *dice.pick(&[1_800, 1_800, 20, 10]);
        let idles = if has_two_versions { vec![idle, (idle / 2).max(10)] } else { vec![idle] };
        let shards = dice.within(2, 3);
        let shards = u32::try_from(shards).expect("few");
        let rows = if dice.chance(350) { vec![shards, 2] } else { vec![shards] };
        Self {
            seed,
            edges: 3 + dice.index(3),
            bounds,
            idles,
            continue_for: dice.within(3, 6),
            grace: dice.within(1, 3),
            max_sessions: if dice.chance(300) { 2 + u32::from(dice.chance(500)) } else { 0 },
            refuses_at_limit: dice.chance(300),
            ends_on_replay: dice.chance(300),
            is_fenced: dice.chance(850),
            calls_max: None,
            rows,
            subjects: 3 + dice.index(3),
            browsers: 6 + dice.index(5),
            has_relay: dice.chance(250),
            has_replica: dice.chance(400),
            // By dice of its own: what is drawn beside it stays as it was.
            adopts: Dice::new(seed ^ 0x61_646f_7074).chance(350),
            faults: faults(&dice),
            length: 22 * SECOND,
            healing: 7 * SECOND,
        }
    }

    /// A quiet world, in which only what a schedule does happens.
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            edges: 3,
            bounds: vec![2_000],
            idles: vec![1_800],
            continue_for: 5,
            grace: 2,
            max_sessions: 0,
            refuses_at_limit: false,
            ends_on_replay: false,
            is_fenced: true,
            calls_max: None,
            rows: vec![2],
            subjects: 3,
            browsers: 0,
            has_relay: false,
            has_replica: false,
            adopts: false,
            faults: Faults::default(),
            length: 30 * SECOND,
            healing: 0,
        }
    }

    pub fn has_faults(&self) -> bool {
        let Faults { lost, crashes, partitions, .. } = self.faults;
        lost + crashes + partitions > 0
    }

    /// Whether an object can be woken on another machine, by a clock of its own.
    pub fn wakes_elsewhere(&self) -> bool {
        self.has_faults() || self.faults.replacements > 0
    }

    /// Whether nothing at all goes wrong.
    pub fn is_quiet(&self) -> bool {
        !self.has_faults() && self.faults.slow == 0
    }

    /// The site as a version of the Worker reads it, with these rows.
    pub fn site(&self, version: usize, rows: Range<usize>) -> Rc<Site> {
        let rows: Vec<String> = rows
            .map(|index| (index, self.rows[index]))
            .map(|(index, shards)| format!(r#"{{"generation": {}, "shards": {shards}}}"#, index + 1))
            .collect();
        let text = format!(
            r#"{{
            "origin": "http://origin.test", "origin_timeout": "{}s", {}
            "bound": "{}ms", "fence": "{}", "replica": "{}", "continue_for": "{}s",
            "idle_timeout": "{}s", "absolute_timeout": "12h", "rotation_grace": "{}s",
            "max_sessions": {}, "on_limit": "{}", "on_replay": "{}", "map": [{}],
            "routes": [
                {{"path": "/login", "access": "optional", "commands": true}},
                {{"path": "/account", "access": "required"}},
                {{"path": "/act", "access": "required", "commands": true}},
                {{"path": "/poll", "access": "required", "activity": false}},
                {{"path": "/news", "access": "required", "on_outage": "continue"}},
                {{"path": "/strict", "access": "strict"}}
            ]}}"#,
            moving::PATIENCE / SECOND,
            if self.adopts { ADOPT } else { "" },
            self.bounds[version % self.bounds.len()],
            if self.is_fenced { "write" } else { "read" },
            if self.has_replica { "always" } else { "off" },
            self.continue_for,
            self.idles[version % self.idles.len()],
            self.grace,
            self.max_sessions,
            if self.refuses_at_limit { "refuse" } else { "end_oldest" },
            if self.ends_on_replay { "end" } else { "observe" },
            rows.join(", "),
        );
        Rc::new(site_of(&text))
    }
}

const ADOPT: &str = r#""adopt": {"cookie": "old", "probe": "/me", "subject": "/id", "until": "2999-01-01"},"#;

/// A tenth of the seeds are quiet, half a little unsafe, the rest a mess.
fn faults(dice: &Dice) -> Faults {
    let level = match dice.below(10) {
        0 => return Faults::default(),
        1..=5 => 1,
        _ => 3,
    };
    let every = |seconds: u64| if dice.chance(700) { seconds * SECOND / level } else { 0 };
    Faults {
        lost: dice.within(0, 6) * level,
        twice: dice.within(0, 5) * level,
        slow: dice.within(2, 12) * level,
        crashes: every(10),
        replacements: every(10),
        partitions: every(8),
        feed_losses: every(30),
        restarts: every(18),
        steps: every(12),
        disks: every(20),
        compactions: every(15),
        alarms: dice.chance(600),
    }
}
