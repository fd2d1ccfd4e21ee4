//! What may happen to a shard, and how often.

use super::random::Random;

/// Secrets, sessions and kills are counted from the last one back, so that an
/// operation still means something where others are left out before it.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Start {
        subject: u8,
        level: u8,
        presented: Option<u32>,
        end_others: bool,
        limit: Option<AtMost>,
        lifetime_ms: u64,
        /// Whether its edge knows where the feed stands.
        knows_feed: bool,
    },
    Use {
        secret: u32,
        ends_replays: bool,
    },
    Rotate {
        secret: u32,
        grace_ms: u64,
    },
    /// Several rotations and uses of one secret, none of which knows of another.
    Race {
        secret: u32,
        times: u32,
    },
    /// A rotation of the secret, of its successor, and so on.
    RotateOn {
        secret: u32,
        times: u32,
    },
    Raise {
        secret: u32,
        level: u8,
    },
    Update {
        of: Which,
        claims: bool,
        level: Option<u8>,
    },
    Renew {
        secret: u32,
        idle_ms: u64,
        moves: bool,
    },
    End {
        of: Which,
        only: Option<u8>,
    },
    EndOthers {
        secret: u32,
    },
    EndAll {
        subject: u8,
    },
    EndSite,
    /// The shard hears where the last kill of the site stands.
    TellSite,
    Leave {
        subject: u8,
        keep: Option<u32>,
    },
    List {
        subject: u8,
        page: u32,
    },
    Receipt {
        kill: u32,
    },
    /// Time, with the alarms that are due in it.
    Pass {
        ms: u64,
    },
    /// Time in which no alarm rings; they do afterwards.
    PassUnheard {
        ms: u64,
    },
    /// An alarm that nothing called for.
    Wake,
    /// The feed is out of reach from now on.
    LoseFeed,
    FindFeed,
    /// A newer key signs from now on.
    NewKey,
    /// Tokens under older keys are no tokens any more.
    DropKeys,
}

#[derive(Clone, Copy, Debug)]
pub enum Which {
    Secret(u32),
    Session(u32),
}

/// A limit of sessions.
#[derive(Clone, Copy, Debug)]
pub struct AtMost {
    pub max: u32,
    pub end_oldest: bool,
    pub elsewhere: u32,
}

impl Operation {
    /// What every sequence begins with.
    pub const FIRST: Self = Self::Start {
        subject: 0,
        level: 1,
        presented: None,
        end_others: false,
        limit: None,
        lifetime_ms: LIFETIME_MS,
        knows_feed: true,
    };

    pub fn any(random: &mut Random) -> Self {
        let operation = random.below(210);
        let secret = secret(random);
        let subject = subject(random);
        let level = u8::try_from(random.below(4)).expect("small");
        match operation {
            0..28 => Self::start(random, subject, level),
            28..62 => Self::Use { secret, ends_replays: random.is_one_in(6) },
            62..85 => Self::Rotate { secret, grace_ms: random.of(&[15_000, 15_000, 1_000, 300_000]) },
            85 => Self::RotateOn { secret, times: 2 + random.below(40) },
            86..96 => Self::Race { secret, times: 2 + random.below(4) },
            96..110 => Self::Raise { secret, level },
            110..120 => {
                let level = random.is_one_in(2).then_some(level);
                Self::Update { of: which(random, secret), claims: random.is_one_in(2), level }
            }
            120..132 => {
                let idle_ms = random.of(&[IDLE_MS, IDLE_MS, 600_000, 3_600_000]);
                Self::Renew { secret, idle_ms, moves: random.is_one_in(2) }
            }
            132..140 => Self::End { of: which(random, secret), only: random.is_one_in(3).then_some(subject) },
            140..148 => Self::EndOthers { secret },
            148..152 => Self::EndAll { subject },
            152 => Self::Leave { subject, keep: random.is_one_in(2).then(|| random.below(3)) },
            153..162 => Self::List { subject, page: 1 + random.below(4) },
            162..166 => Self::Receipt { kill: random.below(8) },
            166..192 => Self::Pass { ms: span(random) },
            192..194 => Self::PassUnheard { ms: span(random).min(1_200_000) },
            194..198 => Self::Wake,
            198 => Self::NewKey,
            199 => Self::DropKeys,
            200..204 => Self::LoseFeed,
            204..208 => Self::FindFeed,
            208 => Self::EndSite,
            _ => Self::TellSite,
        }
    }

    fn start(random: &mut Random, subject: u8, level: u8) -> Self {
        let presented = random.is_one_in(3).then(|| secret(random));
        let limit = random.is_one_in(2).then(|| AtMost {
            max: 1 + random.below(4),
            end_oldest: !random.is_one_in(3),
            elsewhere: if random.is_one_in(4) { random.below(3) } else { 0 },
        });
        let lifetime_ms = random.of(&[LIFETIME_MS, LIFETIME_MS, LIFETIME_MS, 2_400_000, 60_000, 1]);
        Self::Start {
            subject,
            level,
            presented,
            end_others: random.is_one_in(12),
            limit,
            lifetime_ms,
            knows_feed: !random.is_one_in(10),
        }
    }
}

/// Mostly one of the last, at times any of all.
fn secret(random: &mut Random) -> u32 {
    let bound = random.of(&[2, 4, 4, 8, 1_000]);
    random.below(bound)
}

fn subject(random: &mut Random) -> u8 {
    random.of(&[0, 0, 0, 1, 1, 2])
}

fn which(random: &mut Random, secret: u32) -> Which {
    if random.is_one_in(2) { Which::Session(random.below(6)) } else { Which::Secret(secret) }
}

/// Spans about as long as something lasts: a moment, a grace, a step between
/// renewals, the longest grace, both timeouts, a receipt.
fn span(random: &mut Random) -> u64 {
    match random.below(40) {
        0..12 => u64::from(random.below(2_000)),
        12..24 => 14_999 + u64::from(random.below(3)),
        24..30 => 179_999 + u64::from(random.below(3)),
        30..35 => 299_999 + u64::from(random.below(3)),
        35..37 => u64::from(random.below(1_800_000)),
        37 => 1_979_999 + u64::from(random.below(3)),
        38 => LIFETIME_MS - 1 + u64::from(random.below(3)),
        _ => 86_399_999 + u64::from(random.below(3)),
    }
}

/// 30 minutes.
pub const IDLE_MS: u64 = 1_800_000;
/// 12 hours.
const LIFETIME_MS: u64 = 43_200_000;
